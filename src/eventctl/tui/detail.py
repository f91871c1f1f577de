"""One notification, whole: what it says, what may be done about it, what became of it, and why it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from eventctl.tui import look, subject
from eventctl.tui.look import Cell
from eventctl.tui.room import Room

if TYPE_CHECKING:
    from eventctl.tui.room import Host
    from eventctl.tui.subject import Subject


class Detail(VerticalScroll, can_focus=False):
    """A notification. `show` says which; `reload` reads it anew and leaves everything where the eye is."""

    DEFAULT_CSS = """
    Detail { padding: 0 1; scrollbar-size-vertical: 1; }
    Detail > Static { height: auto; margin-bottom: 1; }
    """

    def __init__(self, number: int | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.number = number
        self._filling = asyncio.Lock()

    def compose(self) -> ComposeResult:
        """The parts, from what it says to what it owes."""
        yield Static("", id="head", markup=False)
        yield Static("", id="fields", markup=False)

    @property
    def host(self) -> Host:
        """The app around it."""
        return cast("Host", self.app)

    def show(self, number: int | None) -> None:
        """Show this notification instead; None for none. It is read while keys are heard."""
        self.number = number
        self.host.behind(self.reload, f"detail-{id(self)}")

    async def reload(self) -> None:
        """Read anew what is shown."""
        number = self.number
        found = None if number is None else await self.host.desk.read(lambda store: subject.read(store, number))
        async with self._filling:
            if number == self.number:
                self._fill(found)

    def _fill(self, found: Subject | None) -> None:
        head, fields = self.query_one("#head", Static), self.query_one("#fields", Static)
        if found is None:
            head.update(Content("") if self.number is None else Content(f"There is no notification n{self.number} any more."))
            fields.update("")
            return
        now = self.host.desk.now()
        head.update(look.plain(found.row.title, "strong"))
        pairs = [(name, value) for name, value in found.fields(now) if value is not None and value != ""]
        fields.update(
            Content("\n").join(look.line(Cell(name.ljust(8), "muted"), Cell(look.said(value))) for name, value in pairs)
        )


class DetailRoom(Room):
    """One notification, whole. Escape goes back to where it was opened."""

    MODE = "inbox"

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back")]

    def __init__(self, number: int, *, why: bool = False, among: Sequence[int] = ()) -> None:
        super().__init__()
        self.number = number
        self._among = tuple(among) or (number,)
        self._why = why

    def body(self) -> ComposeResult:
        """What it says."""
        yield Detail(self.number)

    async def reload(self) -> None:
        """Read anew what is shown."""
        await self.query_one(Detail).reload()

    def action_back(self) -> None:
        """Go back."""
        self.dismiss()
