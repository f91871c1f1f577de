"""What wants to act and waits for a yes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from eventctl.tui.room import Room


class DecisionsRoom(Room):
    """What wants to act and waits for a yes."""

    MODE = "decisions"

    def body(self) -> ComposeResult:
        """Nothing yet."""
        yield Static("", markup=False)

    async def reload(self) -> None:
        """Nothing yet."""
