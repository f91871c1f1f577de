"""What is known about an event from elsewhere: rows of lookup tables, the history of its entity, and what plugins say.

The stage stands behind the built-in enrichment, and only where something is declared. What it finds is annotated once, when the
event is folded, and stays: tables change and the annotation does not. Histories are state, a fold of the log like all others.
Tables and plugins have a time budget for each batch; what comes after it goes on without them, and an event says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import orjson

from eventctl.enrichments import PREFIX
from eventctl.event import SCHEMA_VERSION, Event
from eventctl.ids import derived_id
from eventctl.patterns import Trie
from eventctl.store import Keys, Operations, Record, Snapshot, StateRow, Store
from eventctl.system import Ended, Item
from eventctl.times import iso

OWNER = "system/enrichment"
SLOT = "enrichment"
"""Where it is said that the budget was spent before an event was reached."""

SOURCE = "eventctl:enrichment"
PRINCIPAL = "system:enrichment"
SKIPPED = "system.enrichment.skipped"
FAILED = "system.enrichment.failed"

MOMENTS_MAX = 64
"""Moments kept per entity and history; past that the count reads as "at least"."""

ROUTES_MAX = 4096
PIECE = 50
"""Events that a plugin is given at a time: between two pieces the budget is looked at."""

FAILURES_MAX = 3
"""A plugin that fails in so many batches on end is not asked again before the next start or reload."""

Key = str | int


class Lookups(Protocol):
    """A table, whatever it is made of."""

    trouble: Any

    def look(self) -> bool:
        """Take up what has changed. Whether that came to a trouble that was not there before."""

    def row(self, key: Key) -> bytes | None:
        """The values of that key's row as JSON; None where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """A table that events are looked up in. `path` is where the key stands in the envelope, `domain` whose it is ("": everybody's)."""

    name: str
    slot: str
    consumes: Sequence[str]
    path: Sequence[str]
    table: Lookups
    domain: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """How many events of `pattern` an entity had `within` (microseconds), and when the last one was."""

    name: str
    slot: str
    consumes: Sequence[str]
    pattern: str
    within: int
    domain: str = ""

    @property
    def owner(self) -> str:
        """The name of its state."""
        return f"{OWNER}/{self.domain}/{self.name}"


class Said(NamedTuple):
    """What a plugin's enricher answered: a value as JSON or None for each event, or why it could not."""

    values: Sequence[bytes | None] = ()
    error: str = ""


@dataclass(slots=True)
class Plugged:
    """A plugin's enricher. `ask` never raises."""

    name: str
    consumes: Sequence[str]
    ask: Callable[[Sequence[Event]], Said]
    failures: int = 0
    slot: str = field(init=False)
    domain: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.slot = self.name


class _Route(NamedTuple):
    """What there is to do for events of one type."""

    lookups: tuple[Lookup, ...]
    told: tuple[History, ...]
    counted: tuple[History, ...]
    plugged: tuple[Plugged, ...]


_NOWHERE = _Route((), (), (), ())


@dataclass(slots=True)
class _Sought:
    """An event that something is wanted for: the keys of its tables, its histories, and what plugins said."""

    item: Item
    keys: list[tuple[Lookup, Key]]
    told: list[History]
    counted: tuple[History, ...]
    plugged: list[Plugged]
    said: list[tuple[str, bytes]] = field(default_factory=list)


class Enrichers:
    """The stage. `budget` is in nanoseconds for a batch, `clock` counts them. `off` names plugins that failed too often."""

    name = "enrichment"

    def __init__(
        self,
        lookups: Sequence[Lookup] = (),
        histories: Sequence[History] = (),
        plugged: Sequence[Plugged] = (),
        *,
        budget: int,
        clock: Callable[[], int],
    ) -> None:
        self.lookups = tuple(lookups)
        self.budget = budget
        self.clock = clock
        self.late = False
        """Whether the last batch that asked anything was too slow: then it has been told."""
        self._tries: list[Trie[Any]] = []
        for given, patterns in (
            (lookups, lambda each: each.consumes),
            (histories, lambda each: each.consumes),
            (histories, lambda each: [each.pattern]),
            (plugged, lambda each: each.consumes),
        ):
            trie: Trie[Any] = Trie()
            for number, each in enumerate(given):
                for pattern in patterns(each):
                    trie.add(pattern, number)
            self._tries.append(trie)
        self._given = (lookups, histories, histories, plugged)
        self._routes: dict[str, _Route] = {}
        self._sought: dict[int, _Sought] = {}

    def prepare(self, items: Sequence[Item], keys: Keys) -> None:
        """Ask for the histories, and keep the keys: the events are let go of after this."""
        for item in items:
            route = self._routes.get(item.type) or self._route(item.type)
            if route is not _NOWHERE:
                self._seek(item, route, keys)

    def _seek(self, item: Item, route: _Route, keys: Keys) -> None:
        wanted = [
            (lookup, key)
            for lookup in route.lookups
            if _fits(lookup.domain, item) and (key := _key(item, lookup.path)) is not None
        ]
        told = [history for history in route.told if item.entity and _fits(history.domain, item)]
        if item.entity:
            keys.states += [(history.owner, item.entity) for history in dict.fromkeys((*told, *route.counted))]
        plugged = [each for each in route.plugged if each.failures < FAILURES_MAX]
        item.kept = bool(plugged)
        self._sought[item.seq] = _Sought(item, wanted, told, route.counted, plugged)

    def begin(self, snapshot: Snapshot, out: Operations) -> EnrichersRun:
        sought, self._sought = self._sought, {}
        return EnrichersRun(self, sought, snapshot, out)

    def _route(self, name: str) -> _Route:
        if len(self._routes) >= ROUTES_MAX:
            self._routes.clear()
        found = [tuple(given[at] for at in trie.find(name)) for trie, given in zip(self._tries, self._given, strict=True)]
        route = self._routes[name] = _Route(*found) if any(found) else _NOWHERE
        return route


class EnrichersRun:
    """One batch."""

    name = "enrichment"
    every = True

    def __init__(self, stage: Enrichers, sought: dict[int, _Sought], snapshot: Snapshot, out: Operations) -> None:
        self._stage = stage
        self._sought = sought
        self._stored = snapshot.states
        self._out = out
        self._moments: dict[tuple[str, str], list[int]] = {}
        self._changed: dict[tuple[str, str], History] = {}
        self._spent = 0
        self._asked = False
        self._skipped: dict[str, int] = {}
        self._troubles: list[tuple[str, str]] = []
        if sought:
            for lookup in stage.lookups:
                if lookup.table.look():
                    self._troubles.append((lookup.name, lookup.table.trouble.what))
            self._ask_plugins()

    def judge(self, items: Sequence[Item]) -> Sequence[Ended]:
        for item in items:
            sought = self._sought.get(item.seq)
            if sought is not None:
                self._say(item, sought)
        return ()

    def _say(self, item: Item, sought: _Sought) -> None:
        said, skipped = list(sought.said), []
        for lookup, key in sought.keys:
            if self._over():
                skipped.append(lookup.name)
                continue
            began = self._stage.clock()
            row = lookup.table.row(key)
            self._spent += self._stage.clock() - began
            self._asked = True
            if row is not None:
                said.append((lookup.slot, row))
        skipped += [plugged.name for plugged in sought.plugged]
        for history in sought.told:
            known = self._known(history, item)
            if known:
                said.append((history.slot, orjson.dumps({"count": len(known), "last": iso(known[-1])})))
        if item.entity and item.repeat_of is None:
            for history in sought.counted:
                key_ = (history.owner, item.entity)
                self._moments[key_] = [*self._known(history, item), item.at][-MOMENTS_MAX:]
                self._changed[key_] = history
        for slot, value in dict(reversed(said)).items():  # of two for one slot the first stands
            self._out.annotations.append((item.seq, PREFIX + slot, value))
        if skipped:
            self._out.annotations.append((item.seq, SLOT, orjson.dumps({"skipped": skipped})))
            for name in skipped:
                self._skipped[name] = self._skipped.get(name, 0) + 1

    def _over(self) -> bool:
        return self._spent > self._stage.budget

    def _known(self, history: History, item: Item) -> list[int]:
        """The moments before this event, within the history's time."""
        key = (history.owner, item.entity or "")
        known = self._moments.get(key)
        if known is None:
            stored = self._stored.get(key)
            known = self._moments[key] = orjson.loads(stored) if stored else []
        return [at for at in known if at > item.at - history.within]

    def _ask_plugins(self) -> None:
        """Plugins are given their events of the batch before it is judged, in pieces; what they left out was not reached in time."""
        wanted: dict[int, tuple[Plugged, list[_Sought]]] = {}
        for sought in self._sought.values():
            for plugged in sought.plugged:
                wanted.setdefault(id(plugged), (plugged, []))[1].append(sought)
        for plugged, events in wanted.values():
            for start in range(0, len(events), PIECE):
                if self._over():
                    break
                piece = events[start : start + PIECE]
                began = self._stage.clock()
                answer = plugged.ask([_event(each.item) for each in piece])
                self._spent += self._stage.clock() - began
                self._asked = True
                for each in piece if not answer.error else events[start:]:
                    each.plugged.remove(plugged)
                if answer.error:
                    plugged.failures += 1
                    self._troubles.append((plugged.name, answer.error))
                    break
                plugged.failures = 0
                for each, value in zip(piece, answer.values, strict=True):
                    if value is not None:
                        each.said.append((plugged.slot, value))

    def end(self) -> None:
        """Write the histories, and say what went wrong."""
        for key in sorted(self._changed):
            moments, history = self._moments[key], self._changed[key]
            self._out.states.append(StateRow(*key, orjson.dumps(moments), expires=moments[-1] + history.within))
        if not self._sought:
            return
        first = next(iter(self._sought.values())).item
        for number, (name, reason) in enumerate(self._troubles):
            self._tell(first, number, FAILED, {"enrichment": name, "reason": reason})
        if self._asked or self._skipped:
            if self._skipped and not self._stage.late:
                budget = self._stage.budget // 1_000_000
                for number, (name, count) in enumerate(self._skipped.items(), start=len(self._troubles)):
                    self._tell(first, number, SKIPPED, {"enrichment": name, "skipped": count, "budget_ms": budget})
            self._stage.late = bool(self._skipped)

    def _tell(self, item: Item, number: int, kind: str, payload: Mapping[str, Any]) -> None:
        id_ = derived_id(item.source, item.id, "system", kind, number)
        envelope = {
            "id": id_, "event": kind, "version": SCHEMA_VERSION, "source": SOURCE, "timestamp": iso(item.at), "payload": payload,
        }  # fmt: skip
        self._out.records.append(Record("event", SOURCE, id_, kind, orjson.dumps(envelope), PRINCIPAL, item.at))


class Recalled:
    """In the place of the stage when a log is folded again: what was annotated then, from the store that has it.

    Tables have changed since, and plugins may say something else: a rebuild that asked them would come to another inbox. `origin`
    gives the number that an event has there, 0 for one that never was.
    """

    name = "enrichment"
    every = True

    def __init__(self, source: Store, origin: Callable[[int], int]) -> None:
        self._source = source
        self._origin = origin
        self._seqs: list[int] = []
        self._known: dict[int, dict[str, bytes]] = {}
        self._out = Operations()

    def prepare(self, items: Sequence[Item], keys: Keys) -> None:
        """Note whom to ask about."""
        self._seqs += [item.seq for item in items]

    def begin(self, snapshot: Snapshot, out: Operations) -> Recalled:
        seqs, self._seqs = self._seqs, []
        origins = {seq: self._origin(seq) for seq in seqs}
        found = self._source.snapshot(Keys(annotations=[origin for origin in origins.values() if origin])).annotations
        self._known = {seq: found[origin] for seq, origin in origins.items() if origin in found}
        self._out = out
        return self

    def judge(self, items: Sequence[Item]) -> Sequence[Ended]:
        for item in items:
            for slot, value in self._known.get(item.seq, {}).items():
                if slot.startswith(PREFIX) or slot == SLOT:
                    self._out.annotations.append((item.seq, slot, value))
        return ()

    def end(self) -> None:
        self._known = {}


def _fits(domain: str, item: Item) -> bool:
    """Whether an event is one of the domain's; what a domain declares is about its own."""
    return not domain or item.type.startswith(f"domain.{domain}.") or (item.data.get("domain") or item.entry.domain) == domain


def _key(item: Item, path: Sequence[str]) -> Key | None:
    value: Any = item.data
    if path == ("domain",):
        return item.data.get("domain") or item.entry.domain or None
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


def _event(item: Item) -> Event:
    return Event(item.body, seq=item.seq, at=item.at, principal=item.principal, defaults=item.entry.defaults)
