"""A pipeline's order laid out as boxes and lines: levels are columns, an edge is a line that can be followed from box to box.

A line belongs to one box that it leaves, and never shares a cell with another line except where they cross at right angles: `┼` always
means go straight on. So that this holds without searching, every line has rows and columns of its own:

    out of a box   in its first line, an odd row
    into a box     in an even row, one for each box that it comes after
    between two columns   a lane, shared by lines that are not there in the same rows
    past a column  a row below all boxes, shared by lines that are not there in the same columns
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from eventctl.graph import Graph

BOX_WIDTH = 28
"""Columns of a box: 24 letters of a name between its edges."""

BOX_HEIGHT = 5
"""Lines of a box: its edges, its name, what it has done, how it stands."""

LANE = 2
"""Columns that a lane takes."""

CELLS_MAX = 2_000_000
"""What a picture may hold: laid out in a quarter second. 200 boxes in ten levels are 100,000."""

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
_GLYPHS = {
    UP | DOWN: "│", LEFT | RIGHT: "─", DOWN | RIGHT: "┌", DOWN | LEFT: "┐", UP | RIGHT: "└", UP | LEFT: "┘",
    UP | DOWN | RIGHT: "├", UP | DOWN | LEFT: "┤", DOWN | LEFT | RIGHT: "┬", UP | LEFT | RIGHT: "┴", UP | DOWN | LEFT | RIGHT: "┼",
}  # fmt: skip


class Box(NamedTuple):
    """Where a cartridge stands: its upper left corner and its size, in cells."""

    name: str
    x: int
    y: int
    width: int
    height: int

    @property
    def out(self) -> int:
        """The row in which lines leave."""
        return self.y + 1

    def holds(self, x: int, y: int) -> bool:
        """Whether a cell is one of its own."""
        return self.x <= x < self.x + self.width and self.y <= y < self.y + self.height


@dataclass(frozen=True)
class Plot:
    """The picture without its words: every row as text, as wide as the widest, and which boxes stand in it, from left to right."""

    boxes: Mapping[str, Box] = field(default_factory=dict)
    rows: Sequence[str] = ()
    across: Mapping[int, Sequence[Box]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Columns."""
        return len(self.rows[0]) if self.rows else 0

    @property
    def columns(self) -> list[list[Box]]:
        """The boxes by column, each from top to bottom."""
        found: dict[int, list[Box]] = defaultdict(list)
        for box in self.boxes.values():
            found[box.x].append(box)
        return [sorted(found[x], key=lambda box: box.y) for x in sorted(found)]

    def at(self, x: int, y: int) -> Box | None:
        """The box that this cell belongs to."""
        return next((box for box in self.across.get(y, ()) if box.holds(x, y)), None)


class _Net(NamedTuple):
    """What one box leads to through one gap between columns: the row it comes in by, and the rows it goes out by."""

    source: str
    enters: int
    leaves: tuple[int, ...]

    @property
    def span(self) -> tuple[int, int]:
        rows = (self.enters, *self.leaves)
        return min(rows), max(rows)


def plot(graph: Graph, *, cells_max: int = CELLS_MAX) -> Plot | None:
    """The picture of a graph, the same for the same graph; None for one that would not end within `cells_max` cells."""
    levels = [list(dict.fromkeys(level)) for level in graph.levels if level]
    if not levels:
        return Plot()
    at = {name: column for column, level in enumerate(levels) for name in level}
    before = {name: [earlier for earlier in graph.before.get(name, ()) if earlier in at] for name in at}
    columns = _ordered(levels, before)
    places, below = _stacked(columns, before)
    ports = {
        (earlier, name): places[name][0] + 2 + 2 * port
        for name in at
        for port, earlier in enumerate(_inward(name, before[name], at, places))
    }
    buses, height = _buses(ports, at, below)
    gaps = [_packed(_nets(gap, ports, at, places, buses)) for gap in range(len(columns) - 1)]
    xs, x = [], 0
    for gap in [*gaps, []]:
        xs.append(x)
        x += BOX_WIDTH + 2 + LANE * (1 + max((lane for _, lane in gap), default=-1)) + 2
    width = xs[-1] + BOX_WIDTH
    if width * height > cells_max:
        return None
    boxes = {name: Box(name, xs[at[name]], places[name][0], BOX_WIDTH, places[name][1]) for name in at}
    return _drawn(boxes, gaps, xs, buses, ports, at, width, height)


def _ordered(levels: Iterable[Sequence[str]], before: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The levels, those near each other that come after the same: sorted by the mean place of what they come after."""
    place: dict[str, int] = {}
    ordered = []
    for level in levels:
        earlier = {name: [place[other] for other in before[name]] for name in level}
        means = {name: sum(places) / max(1, len(places)) for name, places in earlier.items()}
        ordered.append(sorted(level, key=means.__getitem__))
        place |= {name: number for number, name in enumerate(ordered[-1])}
    return ordered


def _stacked(columns: Sequence[Sequence[str]], before: Mapping[str, Sequence[str]]) -> tuple[dict[str, tuple[int, int]], int]:
    """For each name the row that its box begins in, always an even one, and its height; and the first free row below all."""
    places: dict[str, tuple[int, int]] = {}
    below = 0
    for names in columns:
        y = 0
        for name in names:
            height = max(BOX_HEIGHT, 2 * len(before[name]) + 2)
            places[name] = y, height
            y += (height + 2) // 2 * 2
        below = max(below, y)
    return places, below


def _inward(name: str, earlier: Iterable[str], at: Mapping[str, int], places: Mapping[str, tuple[int, int]]) -> list[str]:
    """What a box comes after, in the order in which the lines come in: from the top, those that pass columns last."""
    return sorted(earlier, key=lambda other: (at[name] - at[other] > 1, places[other][0], at[other]))


def _buses(ports: Mapping[tuple[str, str], int], at: Mapping[str, int], below: int) -> tuple[dict[str, int], int]:
    """For each box with an edge that passes a column the row of that line; and how many rows there are in all."""
    spans: dict[str, int] = {}
    for earlier, name in ports:
        if at[name] - at[earlier] > 1:
            spans[earlier] = max(spans.get(earlier, 0), at[name] - 1)
    ends: list[int] = []  # by row: the last gap that is taken in it
    rows: dict[str, int] = {}
    for source in sorted(spans, key=lambda name: (at[name], name)):
        row = next((row for row, end in enumerate(ends) if end < at[source]), len(ends))
        ends[row : row + 1] = [spans[source]]
        rows[source] = below + row
    return rows, below + len(ends)


def _nets(
    gap: int,
    ports: Mapping[tuple[str, str], int],
    at: Mapping[str, int],
    places: Mapping[str, tuple[int, int]],
    buses: Mapping[str, int],
) -> list[_Net]:
    """The lines in the gap behind a column."""
    leaves: dict[str, set[int]] = defaultdict(set)
    enters: dict[str, int] = {}
    for (earlier, name), port in ports.items():
        begins, ends = at[earlier], at[name] - 1
        if begins == gap:
            enters[earlier] = places[earlier][0] + 1
            leaves[earlier].add(port if ends == gap else buses[earlier])
        elif ends == gap:
            enters.setdefault(earlier, buses[earlier])
            leaves[earlier].add(port)
    return [_Net(source, row, tuple(sorted(leaves[source]))) for source, row in enters.items()]


def _packed(nets: Iterable[_Net]) -> list[tuple[_Net, int]]:
    """Each line with its lane: one that begins below the end of another one may have the same."""
    ends: list[int] = []
    packed = []
    for net in sorted(nets, key=lambda net: (net.span, net.source)):
        low, high = net.span
        lane = next((lane for lane, end in enumerate(ends) if end < low), len(ends))
        ends[lane : lane + 1] = [high]
        packed.append((net, lane))
    return packed


class _Canvas:
    """Cells with the directions in which lines leave them, and letters over them."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.cells = [[0] * width for _ in range(height)]
        self.letters: list[tuple[int, int, str]] = []

    def across(self, y: int, x1: int, x2: int) -> None:
        """A line from one column to a later one."""
        row = self.cells[y]
        row[x1] |= RIGHT
        row[x2] |= LEFT
        for x in range(x1 + 1, x2):
            row[x] |= LEFT | RIGHT

    def down(self, x: int, y1: int, y2: int) -> None:
        """A line from one row to a lower one."""
        for y in range(y1, y2):
            self.cells[y][x] |= DOWN
            self.cells[y + 1][x] |= UP

    def rows(self) -> list[str]:
        """All of it as text."""
        drawn = [[_GLYPHS.get(cell, " ") for cell in row] for row in self.cells]
        for x, y, text in self.letters:
            drawn[y][x : x + len(text)] = text
        return ["".join(row) for row in drawn]


def _drawn(
    boxes: Mapping[str, Box],
    gaps: Sequence[Sequence[tuple[_Net, int]]],
    xs: Sequence[int],
    buses: Mapping[str, int],
    ports: Mapping[tuple[str, str], int],
    at: Mapping[str, int],
    width: int,
    height: int,
) -> Plot:
    canvas = _Canvas(width, height)
    lanes: dict[str, list[int]] = defaultdict(list)  # where a line meets its row below the boxes
    for gap, packed in enumerate(gaps):
        for net, lane in packed:
            x = xs[gap] + BOX_WIDTH + 1 + LANE * lane + 1
            canvas.down(x, *net.span)
            for row in (net.enters, *net.leaves):
                if row == buses.get(net.source):
                    lanes[net.source].append(x)
                elif row == net.enters:
                    canvas.across(row, xs[gap] + BOX_WIDTH - 1, x)
                else:
                    canvas.across(row, x, xs[gap + 1] - 1)
    for source, row in buses.items():
        canvas.across(row, min(lanes[source]), max(lanes[source]))
    for box in boxes.values():
        inside = box.width - 2
        canvas.letters += [(box.x, box.y, f"╭{'─' * inside}╮"), (box.x, box.y + box.height - 1, f"╰{'─' * inside}╯")]
        canvas.letters += [(box.x, y, f"│{' ' * inside}│") for y in range(box.y + 1, box.y + box.height - 1)]
    canvas.letters += [(xs[at[name]] - 1, row, "▶") for (_, name), row in ports.items()]
    canvas.letters += [(boxes[name].x + BOX_WIDTH - 1, boxes[name].out, "├") for name in {earlier for earlier, _ in ports}]
    across: dict[int, list[Box]] = defaultdict(list)
    for box in sorted(boxes.values()):
        for y in range(box.y, box.y + box.height):
            across[y].append(box)
    return Plot(boxes, canvas.rows(), {y: sorted(found, key=lambda box: box.x) for y, found in across.items()})
