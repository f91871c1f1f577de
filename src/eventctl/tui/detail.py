"""One notification: what it says, what may be done about it, what became of it. A pane beside a list, or the left half of its room."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

import orjson
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static, TabbedContent, TabPane

from eventctl.tui import look, subject
from eventctl.tui.affordances import Affordances
from eventctl.tui.history import History, Owed
from eventctl.tui.look import TONES, Cell
from eventctl.tui.payloadtree import PayloadTree
from eventctl.tui.recordview import RecordView
from eventctl.tui.room import Room
from eventctl.tui.sections import Section
from eventctl.tui.triageroom import Picked, TriageRoom
from eventctl.tui.whyview import WhyView

if TYPE_CHECKING:
    from textual.widget import Widget

    from eventctl.tui.room import Host
    from eventctl.tui.subject import Subject

ROWS_MAX = 12
"""Rows of a history in a pane; the others are scrolled to."""

DESCRIPTION_MAX = 8_000
"""Characters of a description; the record itself has all of it."""


class Detail(VerticalScroll, can_focus=True):
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
        Binding("down,j", "scroll_down", "Down", show=False),
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("home,g", "scroll_home", "To the top", show=False),
        Binding("end,G", "scroll_end", "To the end", show=False),
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
        yield Section("Noted by cartridges", PayloadTree(id="notes"), id="notes-section")
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
        self.host.behind(self.reload, f"detail-{id(self)}")

    async def reload(self) -> None:
        """Read anew what is shown."""
        number = self.number
        found = None if number is None else await self.host.desk.read(lambda store: subject.read(store, number))
        async with self._filling:
            if number == self.number:
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


class DetailRoom(TriageRoom):
    """One notification, whole. Escape goes back to where it was opened; n and p go to the next and the one before in that list."""

    MODE = "detail"

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - Textual declares it so

    DEFAULT_CSS = """
    DetailRoom #split { layout: horizontal; height: 1fr; overflow-y: hidden; }
    DetailRoom #split > Detail { width: 1fr; height: 1fr; }
    DetailRoom #split > TabbedContent { width: 1fr; height: 1fr; border-left: solid $panel; }
    DetailRoom TabPane { padding: 0; height: 1fr; }
    DetailRoom.-narrow #split { layout: vertical; overflow-y: auto; scrollbar-size-vertical: 1; }
    DetailRoom.-narrow #split > Detail { width: 100%; height: auto; overflow-y: hidden; }
    DetailRoom.-narrow #split > TabbedContent { width: 100%; height: 80vh; border: none; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("y", "why", "Why", tooltip="Say why it is there, in the words of `eventctl why`."),
        Binding(
            "Y", "rule", "Why a rule", show=False, tooltip="Choose a rule, and say why it matched the newest event or did not."
        ),
        Binding("h", "tab('history')", "History", tooltip="The events and moves of its life; enter opens one."),
        Binding("o", "tab('owed')", "Owed", tooltip="The decisions about it, and what it owes the world."),
        Binding("x", "act", "Act", tooltip="Choose one of the actions that it offers, and say what it hands on."),
        Binding("a", "decide", "Decide", tooltip="Go to the decision that it tells of."),
        Binding("n", "step(1)", "Next"),
        Binding("p", "step(-1)", "Before"),
    ]

    def __init__(self, number: int, *, why: bool = False, among: Sequence[int] = ()) -> None:
        super().__init__()
        self.number = number
        """The notification that is shown."""
        self._among = tuple(among) if number in among else (number,)
        self._first = "why" if why else "history"
        self._explained: Subject | None = None

    def body(self) -> ComposeResult:
        """What it is, and beside it what became of it and why it is there."""
        with VerticalScroll(id="split", can_focus=False):
            yield Detail(self.number, brief=True)
            with TabbedContent(initial=self._first):
                with TabPane("History", id="history"):
                    yield History()
                with TabPane("Why", id="why"):
                    yield WhyView()
                with TabPane("Decisions and effects", id="owed"):
                    yield Owed()

    @property
    def detail(self) -> Detail:
        """The left half."""
        return self.query_one(Detail)

    @property
    def tab(self) -> str:
        """The tab in front."""
        return self.query_one(TabbedContent).active

    def on_mount(self) -> None:
        """Where keys go first."""
        if self._first == "why":
            self.query_one(WhyView).focus()
        else:
            self.detail.focus()

    def picked(self) -> list[Picked]:
        """The one that is shown, as far as it is shown."""
        found = self.detail.subject
        if found is None or found.row.id != self.number or self.detail.gone:
            return []
        return [Picked(found.row.id, found.row.news, found.row.title)]

    async def reload(self) -> None:
        """Read anew what is shown."""
        await self.detail.reload()

    def on_detail_filled(self, message: Detail.Filled) -> None:
        """The other half, from the same reading."""
        found = message.subject
        if message.detail.number != self.number:
            return
        self.query_one(History).show(found)
        self.query_one(Owed).show(found, self.desk.who, self.desk.now())
        self._explain()
        self.refresh_bindings()
        place = f"{self._among.index(self.number) + 1} of {len(self._among)}" if len(self._among) > 1 else ""
        named = f"n{self.number} {found.row.title}" if found else ""
        self.note(" · ".join(part for part in (place, named) if part))

    def on_tabbed_content_tab_activated(self) -> None:
        """Why is asked when somebody looks."""
        self._explain()

    def _explain(self) -> None:
        """Explain what is shown, if somebody looks and it has not been explained as it is."""
        found, why = self.detail.subject, self.query_one(WhyView)
        if self.tab == "why" and found is not None and found.row.id == self.number and found != self._explained:
            self._explained = found
            given = f"n{self.number}"
            why.ask(given, why.rule if why.given == given else "")

    def on_row_list_chosen(self, message: History.Chosen) -> None:
        """Show a record whole, or go to a decision."""
        follow(message.rows)

    def action_reload(self) -> None:
        """Read anew because somebody asks; why as well."""
        self._explained = None
        super().action_reload()

    def action_back(self) -> None:
        """Go back."""
        self.dismiss()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that lead nowhere here are not offered."""
        if action == "decide":
            return self.detail.subject is not None and self.detail.subject.decision is not None
        return action != "step" or len(self._among) > 1

    def action_act(self) -> None:
        """Choose an action."""
        self.detail.action_act()

    def action_decide(self) -> None:
        """Go to the decision that it tells of."""
        self.detail.action_decide()

    def action_tab(self, name: str) -> None:
        """Bring a tab in front, with the keys in it."""
        self.query_one(TabbedContent).active = name
        inside = self.query_one(f"#{name}", TabPane).query("RowList, WhyView").first()
        self.call_after_refresh(inside.focus)

    def action_why(self) -> None:
        """Say why it is there; where a rule was asked about, everything again."""
        why = self.query_one(WhyView)
        self.action_tab("why")
        if why.rule:
            why.ask(f"n{self.number}")

    def action_rule(self) -> None:
        """Say why a rule matched, or did not."""
        self.action_tab("why")
        why = self.query_one(WhyView)
        why.given = f"n{self.number}"
        why.choose()

    def action_step(self, by: int) -> None:
        """Go to another one of the list that it was opened from."""
        at = self._among.index(self.number) + by
        if not 0 <= at < len(self._among):
            self.host.tell("that is the last one" if by > 0 else "that is the first one")
            return
        self.number = self._among[at]
        self.detail.show(self.number)


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

    async def work() -> None:
        await host.run_action("go('decisions')")
        if isinstance(host.screen, Room):
            host.screen.call_after_refresh(host.screen.jump, f"d{number}")

    host.behind(work, "go")


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
    described = look.block(found.body.get("description"), limit=DESCRIPTION_MAX)
    return Content("\n").join([title, stands, *([described] if described.plain else [])])


def _fields(found: Subject, now: int) -> Content:
    pairs = [(name, value) for name, value in found.fields(now) if value is not None and value != ""]
    return Content("\n").join(look.line(Cell(name.ljust(8), "muted"), Cell(look.said(value))) for name, value in pairs)
