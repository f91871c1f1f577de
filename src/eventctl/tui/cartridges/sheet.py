"""Something to read over a screen: a heading and text, which scrolls, and goes with escape."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from eventctl.tui.keyline import KeyLine
from eventctl.tui.look import plain


class Sheet(ModalScreen[None]):
    """A text to read: up and down, escape goes back."""

    DEFAULT_CSS = """
    Sheet { align: center middle; }
    Sheet > #sheet { width: 96%; max-width: 120; height: auto; max-height: 96%; background: $surface; border: round $primary; padding: 0 1; }
    Sheet #title { height: auto; text-style: bold; margin-bottom: 1; }
    Sheet #text { height: auto; max-height: 80vh; scrollbar-size-vertical: 1; }
    Sheet #text > Static { height: auto; width: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Back"),
        Binding("down,j", "turn(1)", "Down", show=False),
        Binding("up,k", "turn(-1)", "Up", show=False),
    ]

    def __init__(self, title: str, text: Content) -> None:
        super().__init__()
        self._heading = title
        self._text = text

    def compose(self) -> ComposeResult:
        """The heading, the text, the keys."""
        with Vertical(id="sheet"):
            yield Static(plain(self._heading), id="title", markup=False)
            with VerticalScroll(id="text"):
                yield Static(self._text, markup=False)
            yield KeyLine()

    def action_leave(self) -> None:
        """Go back."""
        self.dismiss(None)

    def action_turn(self, lines: int) -> None:
        """Scroll."""
        self.query_one("#text", VerticalScroll).scroll_relative(y=lines, animate=False)
