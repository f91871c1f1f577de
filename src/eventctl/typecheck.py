"""What cartridges say about event types, against those that there are: types and patterns that choose none, fields that no payload has.

Ten thousand cartridges ask in turn, so what a pattern comes to is found once, and from sets where its form allows that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from eventctl.catalog import Catalog, EventType
from eventctl.errors import Problem
from eventctl.manifest import Manifest
from eventctl.nearest import did_you_mean
from eventctl.patterns import is_type, matches
from eventctl.rule import Rule
from eventctl.templates import fields

HINTS_MAX = 20
"""Patterns that are given a suggestion: each costs a look at every type, and who has more mistakes than these reads the first ones."""

_OPEN = {"$ref", "allOf", "anyOf", "oneOf", "patternProperties"}
_NAMED = re.compile(
    r"""(?<![\w.])payload\s*\[\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*\]|(?<![\w.])payload\.([A-Za-z_]\w*)"""
    r"""|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|//[^\n]*"""
)
"""A field of the payload, or a text or comment: what stands in those is none."""


class TypeCheck:
    """Looks at manifests against one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._types = catalog.types()
        self._parents = {name.rpartition(".")[0] for name in self._types}
        self._above = {parent for name in self._types for parent in _above(name)}
        self._patterns: dict[str, Problem | None] = {}
        self._chosen: dict[str, list[EventType]] = {}
        self._hints = 0

    def mistakes(self, manifest: Manifest, where: str) -> Iterator[Problem]:
        """Mistakes and warnings about what the manifest consumes, and the fields that its rule asks for."""
        for number, pattern in enumerate(manifest.consumes):
            if pattern not in self._patterns:
                self._patterns[pattern] = self._consumed(pattern)
            found = self._patterns[pattern]
            if found is not None:
                warning = found.warning or manifest.rule is None
                yield found._replace(where=f"{where}: consumes[{number}]", warning=warning)
        if manifest.rule is not None:
            yield from self._absent(manifest, manifest.rule, where)

    def _consumed(self, pattern: str) -> Problem | None:
        if self._chooses(pattern):
            return None
        self._hints += 1
        hinting = self._hints <= HINTS_MAX
        if is_type(pattern):
            what = f"{pattern!r} is a type that no one declares, so that it may never come"
            near = did_you_mean(pattern, self._types) if hinting else ""
            return Problem("", what, near or "declare it in event_types.toml, or `eventctl events adopt` it")
        hint = _near(pattern, self._above) if hinting else ""
        return Problem("", f"{pattern!r} chooses no declared type: only events that nobody has declared", hint, warning=True)

    def _chooses(self, pattern: str) -> bool:
        """Whether a declared type fits."""
        if pattern == "**" or self._catalog.declared(pattern):
            return True
        head, _, last = pattern.rpartition(".")
        if "*" in head or "*" not in last:
            return "*" in head and any(matches(pattern, name) for name in self._types)
        return head in (self._above if last == "**" else self._parents)

    def _absent(self, manifest: Manifest, rule: Rule, where: str) -> Iterator[Problem]:
        """Fields of payloads that none of the consumed types declares; nothing where one of them leaves its payload open."""
        declared = self._declared(manifest.consumes)
        if declared is None:
            return
        said: set[str] = set()
        for key, text in _asked(rule):
            for name in text:
                if name not in declared and name not in said:
                    said.add(name)
                    consumed = ", ".join(manifest.consumes)[:80]
                    what = f"payload.{name} is no field that {consumed} declares, so that it may never have an answer"
                    yield Problem(f"{where}: {key}", what, did_you_mean(name, declared), warning=True)

    def _declared(self, consumes: Sequence[str]) -> set[str] | None:
        """The payload fields of all types that these choose; None when there is no telling."""
        found: set[str] = set()
        for pattern in consumes:
            if pattern not in self._chosen:
                names = [name for name in self._types if matches(pattern, name)]
                self._chosen[pattern] = [self._catalog.entry(name) for name in names]
            if not self._chosen[pattern]:
                return None
            for entry in self._chosen[pattern]:
                of_type = _fields_of(entry)
                if not of_type:
                    return None
                found |= of_type
        return found


def _fields_of(entry: EventType) -> set[str]:
    if entry.payload:
        return set(entry.payload)
    schema: Mapping[str, object] = entry.schema or {}
    properties = schema.get("properties")
    return set(properties) if isinstance(properties, dict) and not _OPEN & set(schema) else set()


def _asked(rule: Rule) -> Iterator[tuple[str, list[str]]]:
    """Each key of a rule with the payload fields that it names."""
    yield from ((key, _of_expression(text)) for key, text in rule.expressions())
    yield from ((key, _of_paths(fields(text))) for key, text in rule.templates())
    if rule.window is not None:
        yield "window.per", _of_paths(rule.window.per)
    if rule.group is not None:
        yield "group.by", _of_paths(rule.group.by)


def _of_expression(text: str) -> list[str]:
    return [name for names in _NAMED.findall(text) for name in names if name]


def _of_paths(paths: Sequence[str]) -> list[str]:
    return [path.split(".")[1] for path in paths if path.startswith("payload.")]


def _above(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:at]) for at in range(1, len(parts)))


def _near(pattern: str, above: set[str]) -> str:
    """The beginning that is meant: the pattern with its part before the first star put right."""
    parts = pattern.split(".")
    first = next(at for at, part in enumerate(parts) if "*" in part)
    head, rest = ".".join(parts[:first]), ".".join(parts[first:])
    alike = {name for name in above if name.count(".") == head.count(".")}
    near = did_you_mean(pattern, {f"{name}.{rest}" for name in alike}) if head else ""
    return near if near.startswith("did you") else ""
