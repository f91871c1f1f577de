"""`?`: every key of the screen in front, of what stands on it and of everything else; found by typing."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static

from eventctl.inboxquery import WORDS
from eventctl.tui import look
from eventctl.tui.keys import Key, Section, sections
from eventctl.tui.look import Cell, line

KEYS_WIDTH = 16
"""Columns of the keys; what is longer pushes its words on."""

GAP = 2
"""Columns around them."""

NARROW = 74
"""Columns before it is known how many there are."""

SIGNS = (
    *(Key(glyph, name, "how urgent: the level") for glyph, name in zip(look.LEVEL_GLYPHS, look.LEVEL_SHORT, strict=True)),
    Key(look.NEWS, "news", "you have not seen its newest change"),
    Key(look.MARKED, "marked", "the next key is about all that is marked"),
    Key("○ ◐ ◑ ✔", "open, claimed, in progress, resolved"),
    Key("☾ ⌀ ▪", "snoozed, silenced, archived"),
    Key("● ◌ ○ ⚠", "the runner: runs, begins or ends, is not there, has no room on the disk"),
)  # fmt: skip


class Help(ModalScreen[None]):
    """This help: type to find, arrows and page keys to move, escape to go back."""

    DEFAULT_CSS = """
    Help { align: center middle; }
    Help > #help { width: 100; max-width: 100%; height: 92%; background: $surface; border: round $border; padding: 0 1; }
    Help #find { border: none; height: 1; padding: 0; margin-bottom: 1; background: $panel; }
    Help #scroll { height: 1fr; scrollbar-size-vertical: 1; }
    Help #text { width: 1fr; height: auto; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+g", "leave", "Go back"),
        Binding("down", "move(1)", "Down", show=False),
        Binding("up", "move(-1)", "Up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
    ]

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__()
        self._about = about
        self._sections: list[Section] = []

    def compose(self) -> ComposeResult:
        """Where one types, and the text."""
        with Vertical(id="help"):
            yield Input(placeholder="Type to find a key or a word; escape goes back", id="find", select_on_focus=False)
            with VerticalScroll(id="scroll", can_focus=False):
                yield Static("", id="text", markup=False)

    def on_mount(self) -> None:
        """All of it."""
        words = tuple(Key(f"{name}:" if flag.wants else name, flag.wants or "also those") for name, flag in WORDS.items())
        self._sections = [
            *sections(self._about, self.app.get_key_display),
            Section("The words of the filter, as in `inbox list`; anything else is looked for", words),
            Section("Signs", SIGNS),
        ]
        self._say()

    def on_input_changed(self) -> None:
        """Only what fits."""
        self._say()
        self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)

    def on_resize(self) -> None:
        """Lines as long as they can be."""
        self.call_after_refresh(self._say)

    def _say(self) -> None:
        wanted = self.query_one("#find", Input).value.strip().casefold()
        width = self.query_one("#scroll", VerticalScroll).scrollable_content_region.width or NARROW
        told = list(_told(self._sections, wanted, width))
        self.query_one("#text", Static).update(Content("\n").join(told) if told else look.plain("Nothing fits.", "muted"))

    def action_leave(self) -> None:
        """Go back."""
        self.dismiss()

    def action_move(self, lines: int) -> None:
        """A line up or down."""
        self.query_one("#scroll", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """A page up or down."""
        scroll = self.query_one("#scroll", VerticalScroll)
        scroll.scroll_relative(y=pages * max(1, scroll.size.height - 1), animate=False)


def _told(found: list[Section], wanted: str, width: int) -> Iterator[Content]:
    """The lines of what fits: a section's title, or a key of it."""
    for section in found:
        whole = wanted in section.title.casefold()
        keys = [key for key in section.keys if whole or any(wanted in part.casefold() for part in key)]
        if not keys:
            continue
        yield look.plain(section.title, "accent")
        for key in keys:
            yield _lines(key, width)
        yield Content("")


def _lines(key: Key, width: int) -> Content:
    """A key, what it does, and the sentence about it, which goes on below what it does."""
    parts = wrap(f"{key.does}: {key.more}" if key.more else key.does, max(20, width - KEYS_WIDTH - GAP))
    first = line(Cell(f" {key.keys:<{KEYS_WIDTH}}", "strong"), Cell(parts[0]), gap=" ")
    return Content("\n").join([first, *(look.plain(" " * (KEYS_WIDTH + GAP) + part) for part in parts[1:])])
