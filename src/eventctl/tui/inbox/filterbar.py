"""The filter: the words of `inbox list` typed as one line, completed, remembered, and judged while they are typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.timer import Timer
from textual.widgets import Input, Static

from eventctl.flags import LEVEL_NAMES
from eventctl.inboxquery import ORDERS, STATES, WORDS
from eventctl.tui.look import plain

PAUSE_S = 0.12
"""Who types goes on within this time; a filter is read when they stop."""

RECENT_MAX = 20
"""Filters that are kept for the arrow up."""

FIXED: Mapping[str, tuple[str, ...]] = {"level": LEVEL_NAMES, "state": STATES, "order": ORDERS}
"""The values of words that have few."""


class Words(Suggester):
    """Completes the word that is being typed: a flag, or a value of one. `known` gives values by flag as the store has them."""

    def __init__(self, known: Callable[[], Mapping[str, Iterable[str]]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._known = known

    async def get_suggestion(self, value: str) -> str | None:
        """The whole line, completed; None when nothing fits."""
        before, _, word = value.rpartition(" ")
        if not word or "where" in before.split() or any(quote in value for quote in "'\""):
            return None
        flag, colon, begun = word.partition(":")
        if colon:
            options: Iterable[str] = FIXED.get(flag) or self._known().get(flag, ())
            found = next((option for option in options if option.startswith(begun) and option != begun), None)
            return None if found is None else value.removesuffix(begun) + found
        name = next((name for name in WORDS if name.startswith(word)), None)
        if name is None:
            return None
        ending = " " if name == "where" else ":" if WORDS[name].wants else ""
        return value.removesuffix(word) + name + ending


class Line(Input):
    """Where it is typed. Tab takes what is suggested, the arrows go through what was asked before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "take", "Take what is suggested", show=False),
        Binding("up", "recent(1)", "The filter before", show=False),
        Binding("down", "recent(-1)", "The filter after", show=False),
        Binding("escape", "leave", "Leave the filter off"),
    ]

    class Left(Message):
        """Nothing is to be filtered any more."""

    class Recent(Message):
        """Another of the last filters is wanted; `by` is how many back."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def action_take(self) -> None:
        """As at the end of the line the arrow to the right does."""
        self.action_end()
        self.action_cursor_right()

    async def action_submit(self) -> None:
        """Enter: the next key is no letter any more, however soon it comes."""
        self.screen.set_focus(None)
        await super().action_submit()

    def action_recent(self, by: int) -> None:
        """Go through what was asked before."""
        self.post_message(self.Recent(by))

    def action_leave(self) -> None:
        """Leave the filter off."""
        self.screen.set_focus(None)
        self.post_message(self.Left())


class FilterBar(Horizontal):
    """The line, and what is to be said about it. It shows while something is typed or filtered."""

    DEFAULT_CSS = """
    FilterBar { height: 1; display: none; background: $surface; }
    FilterBar.-open { display: block; layout: horizontal; }
    FilterBar > #slash { width: 2; color: $text-accent; text-style: bold; }
    FilterBar > Line { width: 1fr; }
    FilterBar > #told { width: auto; max-width: 60%; height: 1; padding: 0 1; }
    FilterBar.-wrong > #told { width: 1fr; max-width: 100%; }
    """

    class Asked(Message):
        """These words are wanted, `done` when nobody goes on typing."""

        def __init__(self, words: str, *, done: bool) -> None:
            super().__init__()
            self.words = words
            self.done = done

    def __init__(self, words: str = "", recent: Iterable[str] = ()) -> None:
        super().__init__()
        self.known: dict[str, list[str]] = {}
        """Values for completion, by flag."""
        self.recent = list(recent)
        self._first = words
        self._back = 0
        self._asked = words
        self._pause: Timer | None = None

    def compose(self) -> ComposeResult:
        """The slash, the line, what is said about it."""
        yield Static("/", id="slash", markup=False)
        yield Line(
            self._first, suggester=Words(lambda: self.known), compact=True, select_on_focus=False,
            placeholder='words to look for, level:workflow, state:none, unseen, since:2h, where payload.x == "y"',
        )  # fmt: skip
        yield Static("", id="told", markup=False)

    @property
    def line(self) -> Line:
        """Where it is typed."""
        return self.query_one(Line)

    def open(self) -> None:
        """Let somebody type."""
        self.add_class("-open")
        self.screen.set_focus(self.line)  # at once: the next key is a letter
        self.line.action_end()

    def show(self, words: str) -> None:
        """These words hold now, whoever typed them; none close the bar."""
        self._halt()
        self._asked = words
        with self.prevent(Input.Changed):
            self.line.value = words
        self._close()

    def on_descendant_blur(self) -> None:
        """An empty line needs no room."""
        self._close()

    def _close(self) -> None:
        self.set_class(bool(self.line.value) or self.line.has_focus, "-open")

    def keep(self, words: str) -> None:
        """Remember that it was asked."""
        if words.strip():
            self.recent = [words, *(each for each in self.recent if each != words)][:RECENT_MAX]
        self._back = 0

    def say(self, text: str, tone: str = "muted") -> None:
        """Say something about what is typed."""
        self.query_one("#told", Static).update(plain(text, tone))
        self.set_class(tone == "bad", "-wrong")
        self.line.styles.width = min(cell_len(self.line.value) + 2, self.size.width // 2) if tone == "bad" else None

    def on_input_changed(self, message: Input.Changed) -> None:
        """Wait until nobody goes on typing."""
        message.stop()
        self._halt()
        if message.value != self._asked:
            self._pause = self.set_timer(PAUSE_S, self._ask)

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter: it holds, and the list has the keys again."""
        message.stop()
        self._halt()
        self._asked = message.value
        self.post_message(self.Asked(message.value, done=True))

    def on_line_left(self, message: Line.Left) -> None:
        """Escape: no filter."""
        message.stop()
        self._halt()
        self._asked = ""
        self.post_message(self.Asked("", done=True))

    def on_line_recent(self, message: Line.Recent) -> None:
        """One further back, or forth to what is being typed."""
        message.stop()
        self._back = min(max(self._back + message.by, 0), len(self.recent))
        self.line.value = self.recent[self._back - 1] if self._back else ""
        self.line.action_end()

    def _ask(self) -> None:
        self._asked = self.line.value
        self.post_message(self.Asked(self._asked, done=False))

    def _halt(self) -> None:
        if self._pause is not None:
            self._pause.stop()
            self._pause = None
