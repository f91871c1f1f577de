"""The line at the top: the screens with what waits in each, whether somebody works, and who looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from eventctl.tui.look import Cell, line

ROOMS: Mapping[str, tuple[str, str, str]] = {
    "inbox": ("Inbox", "Inbox", "Inb"),
    "decisions": ("Decisions", "Decis.", "Dec"),
    "live": ("Live", "Live", "Live"),
    "cartridges": ("Cartridges", "Cartr.", "Car"),
    "held": ("Held", "Held", "Held"),
    "health": ("Health", "Health", "Hea"),
}
"""The screens in the order of their keys, and their names: whole, short, shortest."""

SHORTEST = 2
MANY, SOME = 10_000, 1_000
"""From here on thousands are counted: where there is room, and where names are shortest."""


class Told(NamedTuple):
    """What stands at the right: the runner's state, whose glyph comes first, then the workspace and who looks."""

    runner: Cell = Cell("")
    root: Cell = Cell("")
    who: Cell = Cell("")

    def ways(self) -> list[Content]:
        """The longest first: all of it, the runner's state, its glyph."""
        glyph = self.runner._replace(text=self.runner.text[:1])
        return [line(*self), line(self.runner), line(glyph)]


class RoomTab(Static):
    """The name of a screen: a click goes there."""

    def __init__(self, mode: str) -> None:
        super().__init__(markup=False, id=f"tab-{mode}")
        self._mode = mode
        self._shown = Content("")

    def show(self, text: str, *, here: bool) -> None:
        """Say this; the screen in front stands out."""
        content = Content.styled(text, "bold reverse" if here else "")
        if content != self._shown or content.spans != self._shown.spans:
            self._shown = content
            self.update(content)

    async def on_click(self) -> None:
        """Go there."""
        await self.app.run_action(f"go('{self._mode}')")


class TopLine(Horizontal):
    """One line, with names as long as they fit."""

    DEFAULT_CSS = """
    TopLine { height: 1; background: $panel; }
    TopLine > RoomTab { width: auto; }
    TopLine > #told { width: 1fr; text-align: right; height: 1; padding-right: 1; }
    """

    TABS: ClassVar[Mapping[str, str]] = {mode: f"{key} {names[0]}" for key, (mode, names) in enumerate(ROOMS.items(), 1)}
    """Name of a screen -> its key and title."""

    def __init__(self) -> None:
        super().__init__()
        self._here = ""
        self._waits: Mapping[str, int] = {}
        self._told = Told()

    def compose(self) -> ComposeResult:
        """The tabs, then what is told."""
        for mode in ROOMS:
            yield RoomTab(mode)
        yield Static("", id="told", markup=False)

    def on_mount(self) -> None:
        """Names first; numbers come when they are read."""
        self._here = str(getattr(self.screen, "MODE", ""))
        self._lay()

    def show(self, here: str, waits: Mapping[str, int], told: Told) -> None:
        """Say how things stand: the screen in front, how much waits in which, and what is told."""
        self._here, self._waits, self._told = here, waits, told
        self._lay()

    def tell(self, told: Told) -> None:
        """Only what is told is another."""
        self._told = told
        self._lay()

    def on_resize(self) -> None:
        """Names may be longer, or must be shorter."""
        self._lay()

    def _lay(self) -> None:
        if len(self.children) <= len(ROOMS):  # being put up or taken down: what is told is kept, and shown when it stands
            return
        width, ways = self.size.width or self.app.size.width, self._told.ways()
        fits = [(0, ways[0]), (0, ways[1]), (1, ways[1]), (1, ways[2]), (2, ways[2])]
        for length, told in fits:
            titles = self._titles(length)
            if sum(map(len, titles.values())) + told.cell_length + 1 <= width:
                break
        for mode, title in titles.items():
            self.query_one(f"#tab-{mode}", RoomTab).show(title, here=mode == self._here)
        self.query_one("#told", Static).update(told, layout=False)

    def _titles(self, length: int) -> dict[str, str]:
        return {
            mode: f" {key} {names[length]}{number(self._waits.get(mode, 0), MANY if length < SHORTEST else SOME)} "
            for key, (mode, names) in enumerate(ROOMS.items(), 1)
        }


def number(waits: int, many: int = MANY) -> str:
    """` 84`, ` 12k` from `many` on, and nothing for none."""
    return "" if not waits else f" {waits:,}" if waits < many else f" {waits // 1_000:,}k"
