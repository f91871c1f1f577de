"""Pictures of a pipeline's graph: text, Mermaid, Graphviz and plain data, with what its cartridges have done where that is known.

Names stand as quoted labels, so none can be read as syntax, whatever is in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from eventctl.graph import Graph
from eventctl.totals import NOTHING, Totals


class Drawn(NamedTuple):
    """What stands beside one name: `state` is empty for one that simply runs; `totals` None says that nobody asked."""

    state: str = ""
    totals: Totals | None = None

    def words(self) -> list[str]:
        """The same in words, each a part of its own."""
        words = [] if self.totals is None else [f"{self.totals.calls:,} runs" if self.totals.calls != 1 else "1 run"]
        if self.totals is not None and self.totals.calls:
            errors = self.totals.errors
            words += [f"{errors:,} error{'s' * (errors != 1)}"] if errors else []
            words += [f"p95 {milliseconds(self.totals.p95_ns)}"]
        return [*words, *filter(None, (self.state,))]


class Picture(NamedTuple):
    """A pipeline as it is drawn. `off` are those that were switched off, with the reason: they stand beside the order, not in it."""

    pipeline: str
    graph: Graph
    beside: Mapping[str, Drawn]
    off: Sequence[tuple[str, str]] = ()

    def words(self, name: str) -> list[str]:
        """What stands beside a name."""
        return self.beside.get(name, Drawn()).words()


def milliseconds(ns: float) -> str:
    """A time as people read it: three digits of milliseconds."""
    ms = ns / 1e6
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms"


def as_json(picture: Picture) -> dict[str, Any]:
    """The picture as plain data."""
    names = [name for level in picture.graph.levels for name in level]
    told = {name: picture.beside.get(name, Drawn()) for name in names}
    return {
        "pipeline": picture.pipeline,
        "levels": [list(level) for level in picture.graph.levels],
        "edges": [{"from": earlier, "to": later} for earlier, later in _edges(picture.graph)],
        "cartridges": [
            {"id": name, "state": drawn.state or "active"} | ({} if drawn.totals is None else {"counts": drawn.totals.form()})
            for name, drawn in told.items()
        ],
        "off": [{"id": name, "reason": reason} for name, reason in picture.off],
    }


def as_text(picture: Picture) -> str:
    """One line for each cartridge, under its level, with what it comes after."""
    graph = picture.graph
    width = max((len(name) for level in graph.levels for name in level), default=0)
    lines = [picture.pipeline]
    for number, level in enumerate(graph.levels, 1):
        lines.append(f"  level {number}")
        for name in level:
            after = graph.before[name]
            words = [*picture.words(name), *([f"after {', '.join(after)}"] if after else [])]
            lines.append(f"    {name:{width}}  {', '.join(words)}".rstrip())
    if not graph.levels:
        lines.append("  no cartridges")
    if picture.off:
        lines.append("  switched off")
        lines += [f"    {name:{width}}  {reason}".rstrip() for name, reason in picture.off]
    return "\n".join(lines)


def as_mermaid(*pictures: Picture) -> str:
    """One Mermaid flowchart, a box for each pipeline."""
    lines, drawn_already, off_already = ["flowchart LR"], 0, 0
    for number, picture in enumerate(pictures):
        names = [name for level in picture.graph.levels for name in level]
        keys = {name: f"c{n}" for n, name in enumerate(names, drawn_already)}
        lines.append(f"  subgraph p{number or ''}[{_label([picture.pipeline])}]")
        lines += [f"    {key}[{_label([name, *picture.words(name)])}]" for name, key in keys.items()]
        lines += [f"    o{n}({_label([name, 'switched off'])})" for n, (name, _) in enumerate(picture.off, off_already)]
        lines.append("  end")
        lines += [f"  {keys[earlier]} --> {keys[later]}" for earlier, later in _edges(picture.graph)]
        drawn_already, off_already = drawn_already + len(names), off_already + len(picture.off)
    return "\n".join(lines)


def as_dot(picture: Picture) -> str:
    """Graphviz, one rank for each level."""
    graph = picture.graph
    lines = [f"digraph {_quoted(picture.pipeline)} {{", "  rankdir=LR;"]
    for level in graph.levels:
        words = {name: picture.words(name) for name in level}
        lines += [f"  {_quoted(name)} [label={_quoted(name, *said)}];" for name, said in words.items() if said]
        lines.append("  {rank=same; " + " ".join(f"{_quoted(name)};" for name in level) + "}")
    lines += [f"  {_quoted(name)} [style=dashed, label={_quoted(name, 'switched off')}];" for name, _ in picture.off]
    lines += [f"  {_quoted(earlier)} -> {_quoted(later)};" for earlier, later in _edges(graph)]
    return "\n".join([*lines, "}"])


def _edges(graph: Graph) -> Iterator[tuple[str, str]]:
    for level in graph.levels:
        for later in level:
            for earlier in graph.before[later]:
                yield earlier, later


_ENTITIES = {ord(char): f"#{ord(char)};" for char in '"#&<>`\\[]{}()|'} | {ord("\n"): " ", ord("\r"): " "}


def _label(lines: Sequence[str]) -> str:
    """Text between the quotes of a Mermaid label: everything that could end it or be markup goes by its number."""
    return '"' + "<br/>".join(line.translate(_ENTITIES) for line in lines) + '"'


def _quoted(*lines: str) -> str:
    """Text between the quotes of Graphviz, a line each."""
    return (
        '"'
        + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ") for line in lines)
        + '"'
    )


def drawn(states: Mapping[str, str], counted: Mapping[str, Totals] | None, names: Sequence[str]) -> dict[str, Drawn]:
    """What stands beside these names. Without `counted` no runs are mentioned; who is not in it has never run."""
    return {name: Drawn(states.get(name, ""), None if counted is None else counted.get(name, NOTHING)) for name in names}
