"""Which cartridges an event meets, in which order: asked for every event, so answered from a small cache by type.

The first event of a type asks a trie of all patterns, which costs what the type's parts branch into and not what is installed.
Types that choose the same cartridges share one route, and all that choose none share the empty one. Senders choose the names of
types, so the cache is bounded; those least recently asked for go first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal, NamedTuple

from eventctl.context import Rights
from eventctl.graph import Graph
from eventctl.modules import Code
from eventctl.patterns import Trie

ROUTES_MAX = 4_096
"""Types whose route is at hand. The shipped catalog has about a hundred; 4,096 take under 1 MB."""

MEMBERS = "members"
"""The pipeline of all members. What one of their cartridges does is no business of the others."""

ENTITY = ("entity",)
"""What state belongs to unless a manifest says otherwise."""

OnError = Literal["retry", "skip", "disable", "suspend"]
"""`suspend` is for rules without code: the event goes on, and the rule is switched off when it goes on like that."""


Tier = Literal["in-process", "worker"]


@dataclass(frozen=True, slots=True, eq=False)
class Cartridge:
    """A cartridge as it runs in one pipeline: its rights, its settings, its code.

    `key` holds the dotted fields of the event that its state belongs to, none when it has one for all. `unit` is the file that
    people know it by; `slots_in` stands before its slots where many pipelines of one kind share an event (`ada/` for a member's).
    `runs` is where, `memory` what a worker of it may have (bytes, None for what all may).
    """

    rights: Rights
    consumes: tuple[str, ...]
    code: Code
    unit: str = ""
    version: str = ""
    key: tuple[str, ...] = ENTITY
    ordered: bool = True
    on_error: OnError = "retry"
    settings: Mapping[str, Any] = field(default_factory=dict)
    limit_s: float | None = None
    slots_in: str = ""
    requires: tuple[str, ...] = ()
    runs: Tier = "in-process"
    memory: int | None = None

    @property
    def id(self) -> str:
        """Its name in its pipeline."""
        return self.rights.cartridge


class Route(NamedTuple):
    """What one event type meets: cartridges by level, empty levels left out. `ordered` is whether one of them keeps the order."""

    levels: tuple[tuple[Cartridge, ...], ...] = ()
    ordered: bool = False


NOWHERE = Route()


class Plan:
    """The cartridges of one pipeline in their order. Never changes; a reload makes another one.

    `fallible` is whether there are rules whose errors count, `leaves` whether each of them meets an event as if it were alone.
    """

    def __init__(self, pipeline: str, cartridges: Sequence[Cartridge], graph: Graph, *, routes_max: int = ROUTES_MAX) -> None:
        self.pipeline = pipeline
        self.graph = graph
        self._rank = {name: (level, at) for level, names in enumerate(graph.levels) for at, name in enumerate(names)}
        self._by_id = {cartridge.id: cartridge for cartridge in cartridges if cartridge.id in self._rank}
        self.leaves = pipeline == MEMBERS and not any(graph.before.values())
        self.fallible = any(cartridge.on_error == "suspend" for cartridge in self._by_id.values())
        self._trie: Trie[str] = Trie()
        for cartridge in self._by_id.values():
            for pattern in cartridge.consumes:
                self._trie.add(pattern, cartridge.id)
        self._half = max(1, routes_max // 2)
        self._young: dict[str, Route] = {}
        self._old: dict[str, Route] = {}
        self._shared: dict[tuple[str, ...], Route] = {(): NOWHERE}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Cartridge]:
        return iter(self._by_id.values())

    def get(self, cartridge: str) -> Cartridge | None:
        """A cartridge by its id."""
        return self._by_id.get(cartridge)

    def level(self, cartridge: str) -> int:
        """The number of a cartridge's level, from 0."""
        return self._rank[cartridge][0]

    def route(self, event_type: str) -> Route:
        """What an event of this type meets."""
        found = self._young.get(event_type)
        return self._look_up(event_type) if found is None else found

    def alone(self, cartridge: Cartridge) -> Route:
        """What a timer of this cartridge meets: its owner and nobody else."""
        return Route(((cartridge,),), cartridge.ordered)

    def without(self, left_out: Collection[str]) -> Plan:
        """The same without these, and without whoever requires them."""
        gone = set(left_out)
        while True:
            more = {cartridge.id for cartridge in self if cartridge.id not in gone and not gone.isdisjoint(cartridge.requires)}
            if not more:
                break
            gone |= more
        levels = tuple(tuple(name for name in names if name not in gone) for names in self.graph.levels)
        before = {name: earlier for name, earlier in self.graph.before.items() if name not in gone}
        return Plan(self.pipeline, list(self), Graph(levels, before), routes_max=2 * self._half)

    def _look_up(self, event_type: str) -> Route:
        route = self._old.pop(event_type, None)
        if route is None:
            route = self._find(event_type)
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
            self._shared = {(): NOWHERE}
        self._young[event_type] = route
        return route

    def _find(self, event_type: str) -> Route:
        chosen = tuple(self._trie.find(event_type))
        shared = self._shared.get(chosen)
        if shared is None:
            shared = self._shared[chosen] = self._route(chosen)
        return shared

    def _route(self, chosen: Collection[str]) -> Route:
        ranked = sorted((self._rank[name], self._by_id[name]) for name in chosen)
        levels = tuple(tuple(entry[1] for entry in group) for _, group in groupby(ranked, key=lambda entry: entry[0][0]))
        return Route(levels, any(cartridge.ordered for _, cartridge in ranked))
