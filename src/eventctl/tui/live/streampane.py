"""The stream of the log on a screen: it goes along at the end, stands still when somebody looks at something, and goes back by pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.scrollbar import ScrollTo, ScrollUp
from textual.widgets import Input, Static

from eventctl import logquery
from eventctl.errors import UsageError
from eventctl.tui.detail.recordview import RecordView
from eventctl.tui.live import stream
from eventctl.tui.live.stream import PAGE, Window
from eventctl.tui.look import Cell, line, said
from eventctl.tui.rows import NEAR, RowList
from eventctl.views import LogFilter

if TYPE_CHECKING:
    from eventctl.tui.room import Host

EVERYTHING = LogFilter()


class StreamRows(RowList):
    """The list of the stream. It says when somebody goes up, and when what is older is wanted."""

    class Raised(RowList.Wanted):
        """Somebody went up, or points at something: it has to stand still."""

    class Older(RowList.Wanted):
        """The beginning of what is loaded is near, and there is more."""

    class Ended(RowList.Wanted):
        """Somebody went to the end."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(stream.COLUMNS, id=id, empty="The log is empty.")
        self.older = False
        self.along = True
        """Whether the cursor stays on the last row, also when there is another amount of room."""

    def on_resize(self) -> None:
        """There is another amount of room."""
        self.call_after_refresh(self.stay)

    def stay(self) -> None:
        """Go to the last row if it goes along."""
        if self.along and self.loaded:
            self.point(self._rows[-1].key)
            # Its scrollbar may not show yet: then nothing but force scrolls.
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True, force=True)

    def action_step(self, by: int) -> None:
        """Go up or down."""
        super().action_step(by)
        if by < 0:
            self._raised()

    def action_leaf(self, pages: int) -> None:
        """Go a page up or down."""
        super().action_leaf(pages)
        if pages < 0:
            self._raised()

    def action_edge(self, way: int) -> None:
        """Go to the first row that is loaded, or to the end."""
        super().action_edge(way)
        if way < 0:
            self._raised()
        else:
            self.post_message(self.Ended(self))

    def on_mouse_scroll_up(self) -> None:
        """The wheel goes up."""
        self._raised()

    def on_scroll_up(self, _: ScrollUp) -> None:
        """So does a click above the handle of the bar."""
        self._raised()

    def on_scroll_to(self, message: ScrollTo) -> None:
        """And the handle itself."""
        if message.y is not None and message.y < self.scroll_offset.y:
            self._raised()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Who points at a row wants it to stay there."""
        if event.y > 0 and self.loaded:
            self._raised()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """What is older is wanted before the beginning is reached."""
        super().watch_scroll_y(old_value, new_value)
        self.want_older()

    def want_older(self) -> None:
        """Ask for what is older if the beginning is near."""
        if self.older and self.scroll_offset.y < NEAR:
            self.older = False  # asked for once; the page says whether there is another
            self.post_message(self.Older(self))

    def _raised(self) -> None:
        self.post_message(self.Raised(self))
        self.want_older()


class StreamFilter(Input):
    """Where the filter is typed: the words of `log tail`."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave the filter off")]

    def action_leave(self) -> None:
        """No filter."""
        self.value = ""
        self.post_message(self.Submitted(self, ""))


class StreamPane(Vertical):
    """The stream, what is asked of it, and how it stands."""

    DEFAULT_CSS = """
    StreamPane > .head { height: 1; background: $surface; padding: 0 1; }
    StreamPane > StreamFilter { display: none; height: 1; }
    StreamPane > StreamFilter.-open { display: block; }
    StreamPane > StreamRows { height: 1fr; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.window = Window()
        self.follow = True
        self.words = ""
        self._want = EVERYTHING
        self._wrong = ""
        self._tail = 0
        self._looking = False
        self._goal = ""

    def compose(self) -> ComposeResult:
        """How it stands, the filter, the list."""
        yield Static("", id="stream-head", classes="head", markup=False)
        yield StreamFilter(
            compact=True,
            select_on_focus=False,
            placeholder="words to look for, type:deployment.*, kind:move, source:ci, since:2h",
        )
        yield StreamRows(id="stream-rows")

    @property
    def host(self) -> Host:
        """The app around it."""
        return cast("Host", self.app)

    @property
    def rows(self) -> StreamRows:
        """The list."""
        return self.query_one(StreamRows)

    @property
    def record(self) -> int | None:
        """The record under the cursor."""
        return stream.number(self.rows.key)

    # --- reading -----------------------------------------------------------------------------------------------------------------

    async def reload(self) -> None:
        """Go along, or count how much has come since it stands still."""
        window, want, after, born = self.window, self._want, self.window.high, self.window.born
        now = self.host.desk.now()
        self._tail = await self.host.desk.read(lambda store: store.tail("log"))
        if not born or self._tail < after:  # the first look, or another life of the log
            self._begin(self._tail)
        elif self.follow and self._tail > after:
            piece = await self.host.desk.read(lambda store: stream.ahead(store, want, after, now))
            if window.born == born and window.high == after and self.follow:
                window.below(piece)
                self._put()
        self.rows.more = not self.follow and self.window.high < self._tail
        self.say()

    def _begin(self, at: int) -> None:
        """Show what stands before this position, and from there on."""
        self.window.begin(at)
        self._looking = False
        self._put()
        self._look_up()

    def _look_up(self) -> None:
        if not self._looking and self.window.low > 1:
            self._looking = True
            self.host.behind(self._page_up, "stream")

    async def _page_up(self) -> None:
        """A page of older ones. Where few fit it goes on looking, a span at a time, as long as nobody wants anything else."""
        window, want, born = self.window, self._want, self.window.born
        found, now = 0, self.host.desk.now()
        try:
            while window.low > 1 and found < PAGE // 2:
                before = window.low
                piece = await self.host.desk.read(lambda store, before=before: stream.older(store, want, before, now))  # type: ignore[misc]
                if window.born != born or window.low != before:
                    return
                window.above(piece)
                found += len(piece.lines)
                if piece.lines:
                    self._put()
                self.say()
        finally:
            if window.born == born:
                self._looking = False
        self._put()
        self.say()

    async def _page_down(self) -> None:
        """A page of newer ones, for whoever goes down again."""
        window, want, born = self.window, self._want, self.window.born
        found, now = 0, self.host.desk.now()
        while window.high < self._tail and found < PAGE // 2:
            after = window.high
            piece = await self.host.desk.read(lambda store, after=after: stream.newer(store, want, after, now))  # type: ignore[misc]
            if window.born != born or window.high != after or self.follow:
                return
            window.below(piece)
            found += len(piece.lines)
        self._put()
        self.say()

    def _put(self) -> None:
        """Show the window as it is now."""
        rows = self.rows
        rows.empty = "The log is empty." if self._want == EVERYTHING else "Nothing in the log fits."
        if self.window.low > 1 and self._looking:
            rows.empty = "Looking…"
        rows.older = self.window.low > 1 and not self._looking
        rows.along = self.follow
        rows.fill(self.window.rows, more=not self.follow and self.window.high < self._tail)
        if self._goal and rows.loaded:
            rows.point(self._goal)
            self._goal = ""
        rows.stay()

    def say(self) -> None:
        """Say how it stands: going along or not, how much came since, what is filtered."""
        newer = max(0, self._tail - self.window.high)
        if self.follow:
            stands = Cell("▶ following", "good")
        else:
            stands = Cell(f"‖ stands still, {newer:,} newer: f follows" if newer else "‖ stands still: f follows", "warn")
        skipped = Cell(f"{self.window.skipped:,} too fast to be shown" if self.window.skipped else "", "warn")
        asked = Cell(f"/ {said(self.words, 120)}" if self.words else "", "accent")
        looking = Cell(f"looking before e{self.window.low}…" if self._looking and self.window.low > 1 else "", "muted")
        head = [Cell("Stream", "strong"), stands, skipped, asked, Cell(said(self._wrong), "bad"), looking]
        self.query_one("#stream-head", Static).update(line(*head), layout=False)

    # --- what is asked of it -----------------------------------------------------------------------------------------------------

    def go_along(self) -> None:
        """Follow the end again."""
        self.follow = True
        self.say()
        self.host.reread()

    def stand_still(self) -> None:
        """Follow no more."""
        if self.follow:
            self.follow = self.rows.along = False
            self.say()

    def open_filter(self) -> None:
        """Let somebody type a filter."""
        line_ = self.query_one(StreamFilter)
        line_.add_class("-open")
        line_.value = self.words
        line_.focus()

    def filter(self, words: str) -> None:
        """Show what these words ask for; a wrong one is named, and what was shown stays."""
        try:
            want = logquery.query(words, self.host.desk.now())
        except UsageError as wrong:
            self._wrong = f"✗ {wrong.where}: {wrong.what}" if wrong.where else f"✗ {wrong.what}"
            self.say()
            return
        self._wrong, self.words = "", words.strip()
        changed, self._want = want != self._want, want
        if changed:
            self.follow = True
            self._begin(self._tail)
        self.query_one(StreamFilter).set_class(False, "-open")
        self.rows.focus()
        self.say()

    def on_mount(self) -> None:
        """What was remembered is asked for from the start."""
        if self.words:
            try:
                self._want = logquery.query(self.words, self.host.desk.now())
            except UsageError:  # remembered from another version
                self.words = ""

    def on_input_submitted(self, message: StreamFilter.Submitted) -> None:
        """Enter: the filter holds."""
        message.stop()
        self.filter(message.value)

    def on_stream_rows_raised(self) -> None:
        """Somebody looks at something."""
        self.stand_still()

    def on_stream_rows_ended(self) -> None:
        """The end is where it goes on."""
        self.go_along()

    def on_stream_rows_older(self) -> None:
        """The beginning of what is loaded is near."""
        self._look_up()

    def on_row_list_wanted(self) -> None:
        """The end of what is loaded is near, and it stands still."""
        self.host.behind(self._page_down, "stream-down")

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        """Show a record whole; or what came too fast."""
        message.stop()
        gap = self.window.gap(message.rows.key)
        if gap is not None:
            self.follow, self._goal = False, f"e{gap.last}"
            self._begin(gap.last)
            self.say()
        elif self.record is not None:
            self.app.push_screen(RecordView(self.record))

    def explain(self) -> None:
        """Say why the record under the cursor is there."""
        if self.record is not None:
            self.app.push_screen(RecordView(self.record, why=True))
