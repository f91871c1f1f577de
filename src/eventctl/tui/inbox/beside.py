"""What stands beside a list: the notification that the cursor stands on, where the terminal is wide enough for both."""

from __future__ import annotations

from textual.timer import Timer

from eventctl.tui.detail.pane import Detail

SIDE_FROM = 140
"""Columns from which there is room for it."""

LEAST, MOST, STEP, USUAL = 25, 70, 5, 45
"""Its width, in parts of a hundred."""

FOLLOW_S = 0.12
"""How long the cursor stands before what it stands on is read: a key that is held down reads nothing on its way."""


class Beside(Detail):
    """A `Detail` that follows. `wanted` and `share` are what people chose; it shows when there is room, too."""

    DEFAULT_CSS = """
    Beside { border-left: solid $panel; }
    """

    def __init__(self, *, wanted: bool = True, share: int = USUAL) -> None:
        super().__init__(id="side")
        self.wanted = wanted
        self.share = min(max(share, LEAST), MOST)
        self._pause: Timer | None = None

    def fit(self, columns: int) -> None:
        """Show or not, on a screen of so many columns."""
        self.display = self.wanted and columns >= SIDE_FROM
        self.styles.width = f"{self.share}%"

    def widen(self, by: int) -> None:
        """Take more room, or less."""
        self.share = min(max(self.share + by, LEAST), MOST)
        self.styles.width = f"{self.share}%"

    def follow(self, number: int | None, *, at_once: bool = False) -> None:
        """Show this one soon; None for none. While it does not show, nothing is read."""
        if self._pause is not None:
            self._pause.stop()
        if not self.display:
            return
        if at_once:
            self.show(number)
        else:
            self._pause = self.set_timer(FOLLOW_S, lambda: self.show(number))
