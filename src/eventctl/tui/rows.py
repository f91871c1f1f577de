"""The one list: rows with a key, paged as they are wanted, marked, grouped under headers, and drawn line by line.

Only what is on the screen is drawn, so a list of a hundred thousand costs what a list of fifty costs. The cursor stands on a key and
not on a place: when rows come, go or change their order, it stays with its row, at the same height, so that a key which is pressed in
that moment does what was meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from eventctl.tui.look import HERE, MARKED, TONES, Cell

GAP = 1
"""Columns between two cells."""

NEAR = 40
"""Rows before the end at which the next page is wanted."""


SHARE = 4
"""A snug column takes no more than this part of its list: names of agents may be long, and titles matter more."""


class Column(NamedTuple):
    """A column of a list. One `width` of 0 takes what is left. It shows where the list is at least `wide` columns wide.

    One that is `snug` is as wide as the widest of its cells so far, at most `width` and a `SHARE` of the list: the rest is the others'.
    """

    title: str
    width: int
    right: bool = False
    wide: int = 0
    snug: bool = False


class Row(NamedTuple):
    """What a line shows: a cell for each column, under the header `group`. `key` names it: `n7`, `d3`."""

    key: str
    cells: tuple[Cell, ...]
    group: str = ""


class RowList(ScrollView, can_focus=True):
    """A list that people move in, mark in and choose from. It says what is wanted and leaves the reading to its screen."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"rows--{tone}" for tone in TONES if tone), "rows--cursor", "rows--marked", "rows--group", "rows--head"
    }  # fmt: skip

    DEFAULT_CSS = """
    RowList {
        background: $background; scrollbar-size-horizontal: 0; overflow-x: hidden;
        & > .rows--muted { color: $text-muted; }
        & > .rows--strong { text-style: bold; }
        & > .rows--accent { color: $text-accent; }
        & > .rows--good { color: $text-success; }
        & > .rows--warn { color: $text-warning; }
        & > .rows--bad { color: $text-error; text-style: bold; }
        & > .rows--group { color: $text-primary; text-style: bold; background: $surface; }
        & > .rows--head { color: $text-muted; text-style: underline; }
        & > .rows--cursor { background: $panel; }
        & > .rows--marked { background: $secondary; }
        &:focus > .rows--cursor { background: $primary; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "step(1)", "Down", show=False),
        Binding("up,k", "step(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "leaf(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "leaf(-1)", "Page up", show=False),
        Binding("home,g", "edge(-1)", "First", show=False),
        Binding("end,G", "edge(1)", "Last that is loaded", show=False),
        Binding("enter", "choose", "Open"),
        Binding("space", "mark", "Mark", show=False),
        Binding("shift+down,J", "mark_step(1)", "Mark and go down", show=False),
        Binding("shift+up,K", "mark_step(-1)", "Mark and go up", show=False),
        Binding("asterisk", "mark_all", "Mark all that is loaded, or none", show=False),
    ]

    class Wanted(Message):
        """The end of what is loaded is near, and there is more."""

        def __init__(self, rows: RowList) -> None:
            super().__init__()
            self.rows = rows

        @property
        def control(self) -> RowList:
            return self.rows

    class Chosen(Wanted):
        """A row was opened, by enter or a second click."""

    class Moved(Wanted):
        """The cursor stands on another row, or on none."""

    class Marked(Wanted):
        """Other rows are marked than before."""

    def __init__(self, columns: Sequence[Column], *, id: str | None = None, empty: str = "Nothing here.") -> None:
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._needed = [cell_len(column.title) for column in columns]
        self._rows: list[Row] = []
        self._lines: list[Row | str] = []
        self._at: dict[str, int] = {}
        self._key = ""
        self._read = False
        self.more = False
        self.empty = empty
        self.marks: dict[str, None] = {}
        """Keys of marked rows, in the order of marking. A row that is gone is not marked any more."""

    # --- what is shown -----------------------------------------------------------------------------------------------------------

    def fill(self, rows: Iterable[Row], *, more: bool = False) -> None:
        """Show these rows instead. The cursor stays with its row; if that is gone, at its place.

        Other words in the same rows move nothing at all, wherever somebody has scrolled to.
        """
        shown = self.places
        before, above = self.place, self.place - self.scroll_offset.y
        self._rows, self.more, self._read = list(rows), more, True
        self._measure(self._rows)
        self._lay()
        if shown == self.places:
            self._want(self.place)
            return
        there = self._at.get(self._key)
        self._go(self._at.get(self._key, before), above=above if there is not None else None)
        gone = [key for key in self.marks if key not in self._at]
        for key in gone:
            del self.marks[key]
        if gone:
            self.post_message(self.Marked(self))

    def extend(self, rows: Iterable[Row], *, more: bool = False) -> None:
        """Show these rows below what there is. One that is there already stays where it is."""
        new = [row for row in rows if row.key not in self._at]
        self._rows += new
        self.more = more
        self._measure(new)
        self._lay()

    @property
    def loaded(self) -> int:
        """How many rows are loaded."""
        return len(self._rows)

    @property
    def key(self) -> str:
        """The key of the row that the cursor stands on, "" for none."""
        return self._key

    @property
    def chosen(self) -> list[str]:
        """The keys that a move is about: those that are marked, else the one under the cursor."""
        return list(self.marks) or ([self._key] if self._key else [])

    @property
    def place(self) -> int:
        """The line of the cursor."""
        return self._at.get(self._key, 0)

    def point(self, key: str) -> None:
        """Put the cursor on the row with this key, if it is there."""
        if key in self._at:
            self._go(self._at[key])

    def unmark(self) -> None:
        """Mark nothing."""
        if self.marks:
            self.marks.clear()
            self.refresh()
            self.post_message(self.Marked(self))

    def _measure(self, rows: Sequence[Row]) -> None:
        """How wide the snug columns must be. They never become narrower: a list that breathes is hard to read."""
        for at, column in enumerate(self._columns):
            if column.snug and self._needed[at] < column.width:
                widest = max((cell_len(row.cells[at].text) for row in rows), default=0)
                self._needed[at] = min(max(self._needed[at], widest), column.width)

    @property
    def places(self) -> list[tuple[str, str]]:
        """The key and the header of each row, in their order."""
        return [(row.key, row.group) for row in self._rows]

    def _lay(self) -> None:
        self._lines, self._at, group = [], {}, ""
        for row in self._rows:
            if row.group and row.group != group:
                self._lines.append(row.group)
            group = row.group
            self._at[row.key] = len(self._lines)
            self._lines.append(row)
        self.virtual_size = Size(0, len(self._lines) + 1)
        self.refresh()

    # --- moving in it ------------------------------------------------------------------------------------------------------------

    def _go(self, line: int, *, above: int | None = None, step: int = 1) -> None:
        """Put the cursor on the row nearest to a line; `above` is at which height of the screen it is to stand."""
        key = self._near(line, step)
        moved, self._key = key != self._key, key
        self.refresh()
        if above is not None:
            self.scroll_to(y=max(0, self.place - above), animate=False, immediate=True)
        top, height = self.scroll_offset.y, max(1, self.size.height - 1)
        if self.place < top or (self.place == 1 and self._lines and isinstance(self._lines[0], str)):
            self.scroll_to(y=max(0, self.place - 1), animate=False, immediate=True)
        elif self.place >= top + height:
            self.scroll_to(y=self.place - height + 1, animate=False, immediate=True)
        if moved:
            self.post_message(self.Moved(self))
        self._want(self.place)

    def _near(self, line: int, step: int) -> str:
        line = min(max(line, 0), len(self._lines) - 1)
        for way in (step, -step):
            at = line
            while 0 <= at < len(self._lines):
                found = self._lines[at]
                if isinstance(found, Row):
                    return found.key
                at += 1 if way > 0 else -1
        return ""

    def _want(self, line: int) -> None:
        if self.more and line >= len(self._lines) - NEAR:
            self.more = False  # asked for once; the next page says whether there is another
            self.post_message(self.Wanted(self))

    def on_resize(self) -> None:
        """The cursor stays in sight."""
        self._go(self.place)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling by wheel or bar wants pages as moving does."""
        super().watch_scroll_y(old_value, new_value)
        self._want(round(new_value) + self.size.height)

    def action_step(self, by: int) -> None:
        """Go up or down."""
        self._go(self.place + by, step=by)

    def action_leaf(self, pages: int) -> None:
        """Go a page up or down."""
        self._go(self.place + pages * max(1, self.size.height - 2), step=pages)

    def action_edge(self, way: int) -> None:
        """Go to the first row, or to the last that is loaded."""
        self._go(0 if way < 0 else len(self._lines) - 1, step=-way)

    def action_choose(self) -> None:
        """Open the row under the cursor."""
        if self._key:
            self.post_message(self.Chosen(self))

    def action_mark(self) -> None:
        """Mark the row under the cursor, or take the mark away, and go on."""
        self.action_mark_step(1)

    def action_mark_step(self, by: int) -> None:
        """Mark and go."""
        if not self._key:
            return
        if self.marks.pop(self._key, self) is self:
            self.marks[self._key] = None
        self.post_message(self.Marked(self))
        self.action_step(by)

    def action_mark_all(self) -> None:
        """Mark everything that is loaded; when it all is, nothing."""
        everything = len(self.marks) == len(self._rows)
        self.marks = {} if everything else {row.key: None for row in self._rows}
        self.refresh()
        self.post_message(self.Marked(self))

    def on_click(self, event: events.Click) -> None:
        """A click goes to a row, the second one opens it; with ctrl it marks."""
        line = event.y - 1 + self.scroll_offset.y  # the first line of the widget is the head
        if not (event.y >= 1 and 0 <= line < len(self._lines) and isinstance(self._lines[line], Row)):
            return
        self._go(line)
        if event.ctrl:
            self.action_mark_step(0)
        elif event.chain == 2:
            self.action_choose()

    # --- drawing -----------------------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """The head, then what stands at that height."""
        width = self.size.width
        ground = self.rich_style
        if y == 0:
            head = Row("", tuple(Cell(column.title) for column in self._columns))
            return self._drawn(head, width, ground + self.get_component_rich_style("rows--head", partial=True), "")
        line = self.scroll_offset.y + y - 1
        if not self._lines:
            note = f"  {self.empty}" if y == 2 and self._read else ""
            return Strip([Segment(set_cell_size(note, width), ground + self._tone("muted"))], width)
        if line >= len(self._lines):
            return Strip.blank(width, ground)
        found = self._lines[line]
        if isinstance(found, str):
            style = ground + self.get_component_rich_style("rows--group", partial=True)
            return Strip([Segment(set_cell_size(f" {found}", width), style)], width)
        marked = found.key in self.marks
        if found.key == self._key:
            ground += self.get_component_rich_style("rows--cursor", partial=True)
        elif marked:
            ground += self.get_component_rich_style("rows--marked", partial=True)
        return self._drawn(found, width, ground, MARKED if marked else HERE if found.key == self._key else "")

    def _drawn(self, row: Row, width: int, ground: Style, mark: str) -> Strip:
        segments = [Segment(set_cell_size(mark, 1), ground + self._tone("accent"))]
        used = 1
        for column, cell, room in zip(self._columns, row.cells, self._rooms(width), strict=True):
            if room <= 0:
                continue
            text = fitted(cell.text, room, right=column.right)
            segments.append(Segment(text + " " * GAP, ground + self._tone(cell.tone)))
            used += room + GAP
        return Strip(segments, used).adjust_cell_length(width, ground)

    def _rooms(self, width: int) -> list[int]:
        """The width of each column here; 0 for one that is not shown."""
        most = width // SHARE
        widths = [
            max(len(column.title), min(need, most)) if column.snug else column.width
            for column, need in zip(self._columns, self._needed, strict=True)
        ]
        shown = [column.wide <= width for column in self._columns]
        fixed = sum(each + GAP for each, here in zip(widths, shown, strict=True) if here)
        rest = max(8, width - 1 - fixed - GAP)
        return [0 if not here else each or rest for each, here in zip(widths, shown, strict=True)]

    def _tone(self, tone: str) -> Style:
        return self.get_component_rich_style(f"rows--{tone}", partial=True) if tone else Style.null()


def fitted(text: str, room: int, *, right: bool = False) -> str:
    """The text in exactly so many columns, ending in `…` when something is left out."""
    length = cell_len(text)
    if length > room:
        return set_cell_size(text, room - 1) + "…"
    return " " * (room - length) + text if right else text + " " * (room - length)
