"""A row of names of which one is chosen, each with how many there are: by key or by mouse. A mark says which, not a colour."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from eventctl.tui.look import TONES

CHOSEN, OTHER = "●", "○"


class Chip(Static):
    """One name: a click chooses it."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(markup=False, name=name, classes="chip")
        self._words = words
        self._said = ""

    def show(self, *, here: bool, count: int | None) -> None:
        """Say whether it is chosen, and how many there are; None where nobody has counted. What is the same is not painted again."""
        number = "" if count is None else f" {count:,}"
        text = f" {CHOSEN if here else OTHER} {self._words}{number} "
        if text != self._said:
            self._said = text
            self.update(Content.styled(text, TONES["strong" if here else "muted"]))

    def on_click(self) -> None:
        """Choose it."""
        if self.name:
            self.post_message(Chips.Picked(self.name))


class Chips(Horizontal):
    """The names."""

    DEFAULT_CSS = """
    Chips { height: 1; background: $surface; }
    Chips > .chip { width: auto; height: 1; }
    """

    class Picked(Message):
        """A name was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, names: Mapping[str, str], chosen: str) -> None:
        super().__init__()
        self.names = dict(names)
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        """A chip a name."""
        for name, words in self.names.items():
            yield Chip(name, words)

    def on_mount(self) -> None:
        """Nobody has counted yet."""
        self.show(self._chosen, {})

    def show(self, chosen: str, counts: Mapping[str, int]) -> None:
        """Say which one is chosen, and how many there are of each."""
        self._chosen = chosen
        for chip in self.query(Chip):
            chip.show(here=chip.name == chosen, count=counts.get(chip.name or ""))

    def beside(self, by: int) -> str:
        """The name so many places on from the chosen one, round and round."""
        names = list(self.names)
        return names[(names.index(self._chosen) + by) % len(names)]
