"""The line at the bottom: the keys of the screen as far as they fit, and always the two that help with everything else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Footer, Static
from textual.widgets._footer import FooterKey

Keys: TypeAlias = list[tuple[Binding, bool, str]]

ALWAYS = ("help", "quit")
"""The actions whose keys stand at the right end of every screen, however narrow it is."""

PADDING = 3
"""Columns around a key and its word."""

GAP = 1
"""Columns between the keys of the screen and the others, at least."""

PALETTE = 13
"""Columns of the key of the palette, with its border."""


class KeyLine(Footer):
    """A footer that cuts no key in the middle, and leaves out neither help nor the way out."""

    DEFAULT_CSS = """
    KeyLine > .gap { width: 1fr; height: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._drawn: Keys = []

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Draw the keys anew when they are others. That they might be is told at every change of the focus, and that takes 35 ms."""
        if not self._bindings_ready or _keys(screen) != self._drawn:
            super().bindings_changed(screen)

    def compose(self) -> ComposeResult:
        """The keys of the screen, then help and quit, then the palette."""
        self._drawn = _keys(self.screen) if self._bindings_ready else []
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        own, always, palette = parts(keys)
        self._fit(own, always, palette)
        yield from own
        yield Static("", classes="gap", markup=False)  # no id: the keys may be drawn anew before the old ones are gone
        yield from always
        yield from palette

    def on_resize(self) -> None:
        """More keys may fit, or fewer."""
        self._fit(*parts(self.query(FooterKey)))

    def _fit(self, own: list[FooterKey], always: list[FooterKey], palette: list[FooterKey]) -> None:
        """Show the first of its own keys that fit whole; the palette where there is room for all."""
        room = (self.size.width or self.app.size.width) - GAP - sum(map(_width, always))
        whole = sum(map(_width, own)) + PALETTE <= room
        for key in palette:
            key.display = whole
        for key in own:
            room -= _width(key)
            key.display = whole or room >= 0


def _keys(screen: Screen[object]) -> Keys:
    """The keys that are shown, whether each can be pressed now, and what is said about it."""
    return [(binding, enabled, tooltip) for _, binding, enabled, tooltip in screen.active_bindings.values() if binding.show]


def parts(keys: Iterable[FooterKey]) -> tuple[list[FooterKey], list[FooterKey], list[FooterKey]]:
    """The keys of the screen, those that are always shown, and the one of the palette."""
    own: list[FooterKey] = []
    always: list[FooterKey] = []
    palette: list[FooterKey] = []
    for key in keys:
        (palette if key.has_class("-command-palette") else always if key.action in ALWAYS else own).append(key)
    return own, always, palette


def _width(key: FooterKey) -> int:
    return cell_len(key.key_display) + cell_len(key.description) + PADDING
