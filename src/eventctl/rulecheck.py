"""What can be wrong with a rule where it stands: a member's speaks to its member, and changes nothing for anybody else."""

from __future__ import annotations

from collections.abc import Iterator

from eventctl.errors import Problem
from eventctl.rule import Rule

PERSONAL = ("notify", "annotate", "emit", "silence")
"""The effects of a member's rule. What it emits stands in the member's own namespace."""


def personal(rule: Rule, owner: str, where: str) -> Iterator[Problem]:
    """What a member's rule may not do."""
    for name in rule.effects:
        if name not in PERSONAL:
            what = f"a member's rule does not [{name}]: it can {', '.join(PERSONAL[:-1])} and {PERSONAL[-1]}"
            yield Problem(f"{where}: {name}", what, "a domain's or the library's rule can")
    audience = rule.notify.audience if rule.notify else ""
    if audience not in ("", f"member:{owner}"):
        yield Problem(f"{where}: notify.audience", f"a member's rule tells its member, not {audience!r}", "leave audience out")
