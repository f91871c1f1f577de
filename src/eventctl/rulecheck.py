"""What can be wrong with a rule in its place: with whose it is, and with the event types that there are."""

from __future__ import annotations

from collections.abc import Iterator

from eventctl.catalog import Catalog
from eventctl.errors import Problem
from eventctl.manifest import Manifest
from eventctl.patterns import is_type, matches
from eventctl.rule import Rule
from eventctl.suggest import did_you_mean

PERSONAL = ("notify", "annotate", "silence")
"""The effects of a member's rule: it speaks to its member, and changes nothing for anybody else."""


class RuleCheck:
    """Looks at rules against one catalog; what a pattern comes to is found once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._patterns: dict[str, Problem | None] = {}

    def mistakes(self, scope: str, owner: str, manifest: Manifest, where: str) -> Iterator[Problem]:
        """Mistakes and warnings about the rule of a manifest that stands in a library, with a domain or with a member."""
        rule = manifest.rule
        if rule is None:
            return
        for number, pattern in enumerate(manifest.consumes):
            if pattern not in self._patterns:
                self._patterns[pattern] = self._consumed(pattern)
            found = self._patterns[pattern]
            if found is not None:
                yield found._replace(where=f"{where}: consumes[{number}]")
        if scope == "personal":
            yield from _personal(rule, owner, where)

    def _consumed(self, pattern: str) -> Problem | None:
        types = self._catalog.types()
        if pattern == "**" or any(matches(pattern, name) for name in types):
            return None
        if is_type(pattern):
            what = f"{pattern!r} is a type that no one declares, so that it may never come"
            return Problem(
                "", what, did_you_mean(pattern, types) or "declare it in event_types.toml, or `eventctl events adopt` it"
            )
        hint = did_you_mean(pattern, {f"{name.rpartition('.')[0]}.*" for name in types})
        return Problem("", f"{pattern!r} chooses no declared type: only events that nobody has declared", hint, warning=True)


def _personal(rule: Rule, owner: str, where: str) -> Iterator[Problem]:
    for name in rule.effects:
        if name not in PERSONAL:
            what = f"a member's rule does not [{name}]: it can {', '.join(PERSONAL[:-1])} and {PERSONAL[-1]}"
            yield Problem(f"{where}: {name}", what, "a domain's or the library's rule can")
    audience = rule.notify.audience if rule.notify else ""
    if audience not in ("", f"member:{owner}"):
        yield Problem(f"{where}: notify.audience", f"a member's rule tells its member, not {audience!r}", "leave audience out")
