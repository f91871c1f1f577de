"""The order of a pipeline's cartridges: stable levels, and what stands in the way of them.

Pure: names in, names out. A cartridge that cannot stand is left out with a `Problem`, and so is whoever requires it; the rest
runs. Between the levels of one pipeline the order is total, inside a level there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from eventctl.errors import Problem
from eventctl.nearest import did_you_mean


class Node(NamedTuple):
    """A cartridge, as far as order is concerned. `requires` must be there, `after` counts where it is; `where` is its file."""

    id: str
    where: str
    consumes: tuple[str, ...] = ()
    annotates: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """Levels of ids in running order, and for each id those it comes directly after."""

    levels: tuple[tuple[str, ...], ...] = ()
    before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def _next(self) -> dict[str, list[str]]:
        following: dict[str, list[str]] = {}
        for name, earlier in self.before.items():
            for other in earlier:
                following.setdefault(other, []).append(name)
        return following

    def dependants(self, ids: Iterable[str]) -> set[str]:
        """Whoever comes after one of these, directly or through others."""
        found: set[str] = set()
        todo = list(ids)
        while todo:
            fresh = [name for name in self._next.get(todo.pop(), ()) if name not in found]
            found.update(fresh)
            todo += fresh
        return found


def build(nodes: Sequence[Node], left_out: Iterable[str] = ()) -> tuple[Graph, list[Problem]]:
    """The levels of all that can stand, and why the others cannot.

    The order of `nodes` decides who comes first inside a level and who stands when two want the same id. `left_out` are ids that
    were refused before, for the hint to whoever requires them.
    """
    problems: list[Problem] = []
    standing = _distinct(nodes, problems)
    known = {*standing, *left_out}
    while True:
        _present(standing, known, problems)
        before = {node.id: _earlier(node, standing) for node in standing.values()}
        cycle = _cycle(before)
        if not cycle:
            return Graph(_levels(before), before), problems
        for name in dict.fromkeys(cycle):
            node = standing.pop(name)
            problems.append(
                Problem(node.where, f"{name} is part of a circle: {' -> '.join(cycle)}", "each runs after the next")
            )


def owning(nodes: Iterable[Node]) -> tuple[list[Node], list[Problem]]:
    """The nodes that own their slots, and the problems of the others: an annotation slot has one owner for one event.

    Nodes of several pipelines come together here, because annotations of all of them stand beside the same event.
    """
    owners: dict[str, list[Node]] = {}
    kept: list[Node] = []
    problems: list[Problem] = []
    for node in nodes:
        clash = next(_clashes(node, owners), None)
        if clash is not None:
            problems.append(clash)
            continue
        kept.append(node)
        for slot in node.annotates:
            owners.setdefault(slot, []).append(node)
    return kept, problems


def _clashes(node: Node, owners: Mapping[str, Sequence[Node]]) -> Iterator[Problem]:
    for slot in node.annotates:
        for other in owners.get(slot, ()):
            if overlap(other.consumes, node.consumes):
                what = f"the slot {slot!r} belongs to {other.id} ({other.where}) for some of the same events"
                yield Problem(f"{node.where}: annotates", what, "rename one of the two slots")


def _distinct(nodes: Sequence[Node], problems: list[Problem]) -> dict[str, Node]:
    standing: dict[str, Node] = {}
    for node in nodes:
        first = standing.setdefault(node.id, node)
        if first is not node:
            problems.append(Problem(node.where, f"the id {node.id!r} is taken by {first.where}", "rename one of them"))
    return standing


def _present(standing: dict[str, Node], known: set[str], problems: list[Problem]) -> None:
    """Leave out whoever requires what is not there, and then whoever requires them."""
    while True:
        missing = [(node, name) for node in standing.values() for name in node.requires if name not in standing]
        if not missing:
            return
        for node, name in missing:
            if standing.pop(node.id, None) is None:
                continue  # another of its requirements is missing too, and was named
            hint = "it is left out for a mistake of its own" if name in known else did_you_mean(name, known - {node.id})
            problems.append(Problem(f"{node.where}: requires", f"{node.id} requires {name!r}, which is not here", hint))


def _earlier(node: Node, standing: Mapping[str, Node]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in (*node.requires, *node.after) if name in standing))


def _cycle(before: Mapping[str, tuple[str, ...]]) -> list[str]:
    """A circle as its path, its first name again at the end; empty when there is none."""
    try:
        TopologicalSorter({name: earlier for name, earlier in before.items() if earlier}).prepare()
    except CycleError as error:
        path: list[str] = error.args[1]
        return path[::-1]  # graphlib gives it from the required to the requiring
    return []


def _levels(before: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    later = {name: earlier for name, earlier in before.items() if earlier}
    if not later:
        return (tuple(before),) if before else ()
    place = {name: number for number, name in enumerate(before)}
    # Most come after nobody: they are the first level, and the sorter need not hear of those that nobody comes after either.
    sorter = TopologicalSorter(later)
    sorter.prepare()
    sorter.done(*sorter.get_ready())
    levels = [tuple(name for name in before if name not in later)]
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=place.__getitem__)
        sorter.done(*ready)
        levels.append(tuple(ready))
    return tuple(levels)


def overlap(some: Iterable[str], others: Sequence[str]) -> bool:
    """Whether one type fits a pattern of both."""
    return any(_meet(one.split("."), other.split(".")) for one in some for other in others)


def _meet(one: list[str], other: list[str]) -> bool:
    for first, second in zip(one, other, strict=False):
        if "**" in (first, second):
            return True
        if first != second and "*" not in (first, second):
            return False
    return len(one) == len(other)
