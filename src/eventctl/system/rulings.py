"""Shaping rules, ready to be asked: which of them consume a type, whose events they may touch, and what their windows belong to.

A library rule that the workspace enables acts on every event; a domain's on those of its own namespace or domain; a member's only on
what that member sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson

from eventctl.expressions import Expression, compiled
from eventctl.gathered import LIFE
from eventctl.lives import field_path, pick
from eventctl.patterns import Trie

if TYPE_CHECKING:
    from eventctl.manifest import Manifest
    from eventctl.rule import Rule
    from eventctl.system import Item

ROUTES_MAX = 4_096
"""Types whose rules are at hand; senders choose the names of types."""

Scope = Literal["workspace", "domain", "personal"]


class Shaper(NamedTuple):
    """A shaping rule as composition gives it: `owner` is the domain or the member, "" for the workspace; `hash` its file's."""

    scope: Scope
    owner: str
    manifest: Manifest
    hash: str = ""


class Ruling:
    """One rule in force. `label` is its name among all of them, `by` what it says it is where it silences."""

    __slots__ = ("by", "consumes", "hash", "label", "owner", "rule", "scope")

    def __init__(self, shaper: Shaper, label: str, rule: Rule) -> None:
        self.scope, self.owner, manifest, self.hash = shaper
        self.consumes = manifest.consumes
        self.label = label
        self.by = f"rule:{label}"
        self.rule = rule

    @property
    def member(self) -> str:
        """Whose view it touches, "" for everybody's."""
        return self.owner if self.scope == "personal" else ""

    @property
    def when(self) -> Expression | None:
        """Its condition; compiled when it is first asked for."""
        return None if self.rule.when is None else compiled(self.rule.when)

    @property
    def life(self) -> str:
        """The life of the notifications that it gathers others in."""
        return f"{LIFE}{self.label}"

    def may_touch(self, item: Item) -> bool:
        """Whether the event is one that this rule may shape."""
        if self.scope != "domain":
            return True
        return item.type.startswith(f"domain.{self.owner}.") or item.filed.domain == self.owner

    def key(self, item: Item) -> str:
        """The key of the state that its window has for this event."""
        window = self.rule.window
        values = _values(window.per if window else (), item)
        return f"{self.label}:{blake2b(orjson.dumps(values), digest_size=12).hexdigest()}"

    def group(self, item: Item) -> str | None:
        """The key of the group that this event belongs to, as JSON; None when it lacks a field of it."""
        group = self.rule.group
        values = None if group is None else _values(group.by, item)
        return None if values is None or None in values else orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()


class Rulings:
    """All shaping rules of a workspace, by the types that they consume."""

    def __init__(self, shapers: Iterable[Shaper] = ()) -> None:
        self._by_label: dict[str, Ruling] = {}
        self._trie: Trie[str] = Trie()
        self._routes: dict[str, tuple[Ruling, ...]] = {}
        for shaper in shapers:
            self._add(shaper)

    def __len__(self) -> int:
        return len(self._by_label)

    def get(self, label: str) -> Ruling | None:
        """A rule by its label."""
        return self._by_label.get(label)

    def of(self, event_type: str) -> tuple[Ruling, ...]:
        """The rules that consume a type, in their order."""
        found = self._routes.get(event_type)
        if found is None:
            if len(self._routes) >= ROUTES_MAX:
                self._routes.clear()
            found = tuple(self._by_label[label] for label in self._trie.find(event_type))
            self._routes[event_type] = found
        return found

    def _add(self, shaper: Shaper) -> None:
        rule = shaper.manifest.rule
        if rule is None:
            return
        name = shaper.manifest.id
        label = f"{shaper.owner}/{name}" if shaper.scope == "personal" or name in self._by_label else name
        ruling = self._by_label[label] = Ruling(shaper, label, rule)
        for pattern in ruling.consumes:
            self._trie.add(pattern, label)


def _values(fields: Iterable[str], item: Item) -> list[Any]:
    known: Mapping[str, Any] = {
        "entity": item.entity, "source": item.source, "event": item.type, "domain": item.data.get("domain") or item.entry.domain,
    }  # fmt: skip
    return [known[field] if field in known else pick(item.payload, field_path(field)[1:]) for field in fields]
