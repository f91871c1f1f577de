"""A notification as a pane: what it says, what may be done about it, what became of it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

import orjson
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from eventctl.tui import look
from eventctl.tui.detail import subject
from eventctl.tui.detail.affordances import Affordances
from eventctl.tui.detail.history import History, Owed
from eventctl.tui.detail.payloadtree import PayloadTree
from eventctl.tui.detail.recordview import RecordView
from eventctl.tui.detail.sections import Section
from eventctl.tui.look import TONES, Cell
from eventctl.tui.pane import Pane

if TYPE_CHECKING:
    from textual.widget import Widget

    from eventctl.tui.detail.subject import Subject
    from eventctl.tui.room import Host

ROWS_MAX = 12
"""Rows of a history in a pane; the others are scrolled to."""

IN_HEAD = ("id", "level", "state")
"""Fields that stand above the others, with their signs."""

DESCRIPTION_MAX = 8_000
"""Characters of a description; the record itself has all of it."""


class Detail(Pane):
    """A notification. `show` says which; `reload` reads it anew and leaves everything where the eye is.

    With `brief` it leaves history and effects to a room that has them elsewhere.
    """

    DEFAULT_CSS = """
    Detail { padding: 0 1; scrollbar-size-vertical: 1; }
    Detail > Static { height: auto; margin-bottom: 1; }
    Detail > #decide { margin-bottom: 1; }
    Detail > #decide:focus { text-style: bold reverse; }
    Detail RowList { height: 3; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "act", "Act", tooltip="Choose one of the actions that it offers, and say what it hands on."),
    ]

    class Filled(Message):
        """What is shown was read anew; `subject` is None when there is none."""

        def __init__(self, detail: Detail, subject: Subject | None) -> None:
            super().__init__()
            self.detail = detail
            self.subject = subject

        @property
        def control(self) -> Detail:
            return self.detail

    def __init__(self, number: int | None = None, *, brief: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.number = number
        self.subject: Subject | None = None
        """What is shown, as it was last read."""
        self.gone = False
        """Whether it was purged since."""
        self._brief = brief
        self._filling = asyncio.Lock()

    def compose(self) -> ComposeResult:
        """The parts, from what it says to what it owes."""
        yield Static("", id="head", markup=False)
        yield Button(Content(""), id="decide", compact=True, variant="warning")
        yield Section("Actions", Affordances(), id="actions")
        yield Static("", id="fields", markup=False)
        yield Section("Payload", PayloadTree(id="payload"), id="payload-section")
        yield Section("Noted on its way", PayloadTree(id="notes"), id="notes-section")
        if not self._brief:
            yield Section("History", History(), id="history-section")
            yield Section("Decisions and effects", Owed(), id="owed-section")

    def on_mount(self) -> None:
        """Nothing is shown before it is read."""
        self._part(None)

    @property
    def host(self) -> Host:
        """The app around it."""
        return cast("Host", self.app)

    def show(self, number: int | None) -> None:
        """Show this notification instead; None for none. It is read while keys are heard."""
        if number != self.number:
            self.scroll_home(animate=False)
        self.number = number
        self.host.behind(self.reload, "detail", part=self)

    async def reload(self) -> None:
        """Read anew what is shown."""
        number = self.number
        found = None if number is None else await self.host.desk.read(lambda store: subject.read(store, number))
        async with self._filling:
            if number == self.number and self.is_attached:  # a screen that is left while the front is read anew has none
                await self._fill(found)

    def action_act(self) -> None:
        """Choose an action."""
        self.query_one(Affordances).choose()

    def on_button_pressed(self, message: Button.Pressed) -> None:
        """Go to the decision that it tells of."""
        message.stop()
        self.action_decide()

    def action_decide(self) -> None:
        """Go to the decision that it tells of."""
        if self.subject is not None and self.subject.decision is not None:
            decide(self.host, self.subject.decision)

    def on_row_list_chosen(self, message: History.Chosen) -> None:
        """Show a record whole, or go to a decision."""
        message.stop()
        follow(message.rows)

    async def _fill(self, found: Subject | None) -> None:
        self.gone = found is None and self.subject is not None and self.subject.row.id == self.number
        if found is None:
            self.query_one("#head", Static).update(_absent(self.number, gone=self.gone))
        else:
            self._say(found)
        self.subject = self.subject if self.gone else found
        await self.query_one(Affordances).show(found)
        self._part(found)
        self.post_message(self.Filled(self, found))

    def _say(self, found: Subject) -> None:
        now = self.host.desk.now()
        self.query_one("#head", Static).update(_head(found, now))
        self.query_one("#fields", Static).update(_fields(found, now))
        payload = found.body.get("payload") if found.newest else {}
        other = self.subject is None or self.subject.row.id != found.row.id
        self.query_one("#payload", PayloadTree).show(payload if isinstance(payload, dict) else {}, anew=other)
        self.query_one("#notes", PayloadTree).show(
            {slot: orjson.loads(value) for slot, value in found.notes.items()}, anew=other
        )
        if found.decision is not None:
            self.query_one("#decide", Button).label = Content(f"Decide d{found.decision}")
        self._count("#payload-section", "" if found.newest else f"the log no longer has e{found.row.seq}")
        if not self._brief:
            history, owed = self.query_one(History), self.query_one(Owed)
            history.show(found)
            owed.show(found, self.host.desk.who, now)
            for rows in (history, owed):
                rows.styles.height = min(max(rows.loaded, 1), ROWS_MAX) + 2
            self._count("#history-section", found.length)
            self._count("#owed-section", str(owed.loaded or "none"))

    def _count(self, section: str, words: str) -> None:
        self.query_one(section, Section).count(words)

    def _part(self, found: Subject | None) -> None:
        """Show the parts that there is something in."""
        there: dict[str, bool] = {
            "#decide": found is not None and found.decision is not None,
            "#actions": found is not None and bool(found.offers),
            "#notes-section": found is not None and bool(found.notes),
        }
        for widget in self.query("Detail > *"):
            widget.display = widget.id == "head" or (found is not None and there.get(f"#{widget.id}", True))


def follow(rows: Widget) -> None:
    """Go where a row of a history, or of what is owed, leads to: a record whole, a decision."""
    host = cast("Host", rows.app)
    if isinstance(rows, History):
        host.push_screen(RecordView(int(rows.key.removeprefix("e"))))
    elif isinstance(rows, Owed):
        about = rows.about(rows.key)
        if about is not None:
            host.push_screen(RecordView(about))
        else:
            decide(host, int(rows.key.removeprefix("d")))


def decide(host: Host, number: int) -> None:
    """Bring the decisions in front, with the cursor on this one."""
    host.behind(partial(host.bring, "decisions", f"d{number}"), "jump")


def _absent(number: int | None, *, gone: bool) -> Content:
    if number is None:
        return look.plain("Nothing is chosen.", "muted")
    return look.plain(
        f"n{number} is gone: it was purged while you looked." if gone else f"There is no notification n{number}.", "warn"
    )


def _head(found: Subject, now: int) -> Content:
    row = found.row
    stands = look.line(
        Cell(f"n{row.id}", "muted"),
        look.level(row.level),
        look.state(row, None, now),
        Cell(look.age(row.updated_at, now), "muted"),
    )
    title = Content.styled(look.said(row.title), TONES["strong"])
    words = found.body.get("description")
    described = look.block("" if words == row.title else words, limit=DESCRIPTION_MAX)
    return Content("\n").join([title, stands, *([described] if described.plain else [])])


def _fields(found: Subject, now: int) -> Content:
    """What the head has not said yet."""
    return Content("\n").join(look.fields(pair for pair in found.fields(now) if pair[0] not in IN_HEAD))
