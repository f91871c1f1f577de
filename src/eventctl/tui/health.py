"""Sources, deliveries, disk and retention."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from eventctl.tui.room import Room


class HealthRoom(Room):
    """Sources, deliveries, disk and retention."""

    MODE = "health"

    def body(self) -> ComposeResult:
        """Nothing yet."""
        yield Static("", markup=False)

    async def reload(self) -> None:
        """Nothing yet."""
