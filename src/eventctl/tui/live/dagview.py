"""The order of a pipeline's cartridges, drawn: boxes to go to, lines between them, and in each box what it has done.

What the boxes look like is laid out once for a graph; what stands in them changes with every look and costs only what is on the screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from eventctl.tui.live.boxes import Box, Plot
from eventctl.tui.look import TONES, Cell
from eventctl.tui.rows import fitted

NARROW = 50
"""In fewer columns than this there is not even room for one box and its lines: the order is said in lines of text."""


class Inside(NamedTuple):
    """What stands in a box, a line each: its name, what it has done, how it stands."""

    name: Cell
    done: Cell = Cell("")
    stands: Cell = Cell("")


class DagView(ScrollView, can_focus=True):
    """Boxes and lines. The arrows go from box to box, enter or a second click chooses one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {*(f"dag--{tone}" for tone in TONES if tone), "dag--line", "dag--cursor"}

    DEFAULT_CSS = """
    DagView {
        background: $background;
        & > .dag--muted { color: $text-muted; }
        & > .dag--strong { text-style: bold; }
        & > .dag--accent { color: $text-accent; }
        & > .dag--good { color: $text-success; }
        & > .dag--warn { color: $text-warning; }
        & > .dag--bad { color: $text-error; text-style: bold; }
        & > .dag--line { color: $text-muted; }
        & > .dag--cursor { background: $primary 30%; }
        &:focus > .dag--cursor { background: $primary 60%; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(0, -1)", "The box above", show=False),
        Binding("down,j", "step(0, 1)", "The box below", show=False),
        Binding("left,h", "step(-1, 0)", "A level back", show=False),
        Binding("right,l", "step(1, 0)", "A level on", show=False),
        Binding("home,g", "edge(0)", "The first box", show=False),
        Binding("end,G", "edge(-1)", "The last box", show=False),
        Binding("enter", "choose", "Go to it"),
    ]

    class Chosen(Message):
        """A box was chosen."""

        def __init__(self, dag: DagView, name: str) -> None:
            super().__init__()
            self.dag = dag
            self.name = name

        @property
        def control(self) -> DagView:
            return self.dag

    class Moved(Chosen):
        """The cursor stands on another box."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._plot: Plot | None = None
        self._inside: Mapping[str, Inside] = {}
        self._text: Sequence[str] = ()
        self._below: Sequence[Cell] = ()
        self.name_here = ""
        """The box that the cursor stands on, "" for none."""

    def show(self, plot: Plot | None, inside: Mapping[str, Inside], text: Sequence[str], below: Sequence[Cell] = ()) -> None:
        """Show this. `text` is shown instead where there is no plot or no room for one, `below` under the plot. All of it is safe text."""
        if (plot, inside, text, below) == (self._plot, self._inside, self._text, self._below):
            return
        self._plot, self._inside, self._text, self._below = plot, inside, text, below
        boxes = plot.boxes if plot else {}
        if self.name_here not in boxes:
            self.name_here = next((column[0].name for column in plot.columns if column), "") if plot else ""
        self._measure()
        self.refresh()

    @property
    def drawn(self) -> bool:
        """Whether boxes are drawn, and not lines of text."""
        return self._plot is not None and bool(self._plot.boxes) and self.size.width >= NARROW

    def on_resize(self) -> None:
        """There may be room for boxes now, or no more."""
        self._measure()

    def _measure(self) -> None:
        if self.drawn and self._plot is not None:
            width, height = self._plot.width, len(self._plot.rows) + len(self._below)
        else:
            width, height = max(map(cell_len, self._text), default=0), len(self._text)
        if self.virtual_size != Size(width, height):
            self.virtual_size = Size(width, height)

    # --- moving in it ------------------------------------------------------------------------------------------------------------

    def point(self, name: str) -> None:
        """Put the cursor on a box, if it is there."""
        if self._plot is None or name not in self._plot.boxes:
            return
        self.name_here, box = name, self._plot.boxes[name]
        if self.drawn:
            self.scroll_to_region(Region(box.x, box.y, box.width, box.height), animate=False, immediate=True)
        self.refresh()
        self.post_message(self.Moved(self, name))

    def action_step(self, across: int, down: int) -> None:
        """Go to the next box in this direction; across, to the one nearest in height."""
        if self._plot is None or self.name_here not in self._plot.boxes:
            self.scroll_relative(x=across * 8, y=down, animate=False)
            return
        here, columns = self._plot.boxes[self.name_here], self._plot.columns
        level = next(number for number, column in enumerate(columns) if here in column)
        if down:
            column = columns[level]
            self.point(column[min(max(column.index(here) + down, 0), len(column) - 1)].name)
        elif 0 <= level + across < len(columns):
            self.point(min(columns[level + across], key=lambda box: abs(box.y - here.y)).name)

    def action_edge(self, place: int) -> None:
        """Go to the first box or to the last one."""
        if self._plot is not None and self._plot.boxes:
            self.point(self._plot.columns[place][place].name)

    def action_choose(self) -> None:
        """Choose the box under the cursor."""
        if self.name_here:
            self.post_message(self.Chosen(self, self.name_here))

    def on_click(self, event: events.Click) -> None:
        """A click goes to a box, the second one chooses it."""
        if self._plot is None or not self.drawn:
            return
        offset = event.get_content_offset(self)
        box = None if offset is None else self._plot.at(offset.x + self.scroll_offset.x, offset.y + self.scroll_offset.y)
        if box is not None:
            self.point(box.name)
            if event.chain == 2:
                self.action_choose()

    # --- drawing -----------------------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """What stands at that height."""
        left, width = self.scroll_offset.x, self.size.width
        row, ground = self.scroll_offset.y + y, self.rich_style
        if not self.drawn or self._plot is None:
            text = self._text[row] if row < len(self._text) else ""
            return Strip([Segment(text, ground)]).crop(left, left + width).adjust_cell_length(width, ground)
        if row >= len(self._plot.rows):
            under = row - len(self._plot.rows)
            cell = self._below[under] if under < len(self._below) else Cell("")
            return (
                Strip([Segment(cell.text, ground + self._tone(cell.tone))])
                .crop(left, left + width)
                .adjust_cell_length(width, ground)
            )
        line = ground + self._tone("line")
        base, at = self._plot.rows[row], left
        parts: list[Segment] = []
        first = left
        for box in self._plot.across.get(row, ()):
            if box.x + box.width <= left or box.x >= left + width:
                continue
            first = min(first, box.x)
            if box.x > at:
                parts.append(Segment(base[at : box.x], line))
            parts += self._box(box, row, ground)
            at = box.x + box.width
        parts.append(Segment(base[at : left + width], line))
        return Strip(parts).crop(left - first, left - first + width).adjust_cell_length(width, ground)

    def _box(self, box: Box, row: int, ground: Style) -> list[Segment]:
        """One line of a box."""
        if box.name == self.name_here:
            ground += self.get_component_rich_style("dag--cursor", partial=True)
        inside = self._inside.get(box.name) or Inside(Cell(""))
        base = self._plot.rows[row][box.x : box.x + box.width] if self._plot else ""
        edge = ground + self._tone(inside.stands.tone or "line")
        line = row - box.y - 1
        if not 0 <= line < len(inside) or row == box.y + box.height - 1:
            return [Segment(base, edge)]
        cell = inside[line]
        return [
            Segment(base[0], edge),
            Segment(_label(cell, box.width), ground + self._tone(cell.tone)),
            Segment(base[-1], edge),
        ]

    def _tone(self, tone: str) -> Style:
        return self.get_component_rich_style(f"dag--{tone}", partial=True) if tone else Style.null()


def _label(cell: Cell, width: int) -> str:
    return set_cell_size(f" {fitted(cell.text, width - 4)} ", width - 2)
