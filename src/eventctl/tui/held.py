"""What is held for a person to judge, and what failed for good."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from eventctl.tui.room import Room


class HeldRoom(Room):
    """What is held for a person to judge, and what failed for good."""

    MODE = "held"

    def body(self) -> ComposeResult:
        """Nothing yet."""
        yield Static("", markup=False)

    async def reload(self) -> None:
        """Nothing yet."""
