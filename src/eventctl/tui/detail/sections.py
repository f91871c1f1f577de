"""A part of a screen with a heading that folds it away."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from eventctl.tui.look import TONES, Cell, line, said

OPEN, FOLDED = "▾", "▸"


class Heading(Static, can_focus=True):
    """The heading of a section: enter, space or a click folds it away and brings it back."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "fold", "Fold or unfold", show=False)]

    class Folded(Message):
        """The part below is to be folded away, or brought back."""

    def action_fold(self) -> None:
        """Fold or unfold."""
        self.post_message(self.Folded())

    def on_click(self) -> None:
        """The same by mouse."""
        self.action_fold()


class Section(Vertical):
    """A heading, and what stands under it. `folded` says whether only the heading is seen."""

    DEFAULT_CSS = """
    Section { height: auto; margin-bottom: 1; }
    Section > Heading { height: auto; }
    Section > Heading:focus { background: $primary 40%; }
    Section.-folded > .inside { display: none; }
    """

    def __init__(self, title: str, *inside: Widget, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = said(title)
        self._count = ""
        self._inside = inside

    def compose(self) -> ComposeResult:
        """The heading first."""
        yield Heading(self._heading(), markup=False)
        for each in self._inside:
            each.add_class("inside")
            yield each

    @property
    def folded(self) -> bool:
        """Whether only the heading is seen."""
        return self.has_class("-folded")

    def fold(self, folded: bool) -> None:
        """Fold it away, or bring it back."""
        self.set_class(folded, "-folded")
        self.query_one(Heading).update(self._heading())

    def count(self, words: str) -> None:
        """Say beside the heading how much there is."""
        self._count = words
        self.query_one(Heading).update(self._heading())

    def on_heading_folded(self, message: Heading.Folded) -> None:
        """Its own heading was pressed."""
        message.stop()
        self.fold(not self.folded)

    def _heading(self) -> Content:
        sign = FOLDED if self.folded else OPEN
        return line(Cell(f"{sign} {self.title}", "accent"), Cell(said(self._count), "muted"))


def told(sentences: list[str], limit: int) -> Content:
    """Sentences that quote strangers, each on a line of its own that the screen may break; what is set in stays so."""
    return Content("\n").join(Content.styled(said(each, limit), TONES[""]) for each in sentences)
