"""What happens now: the stream, the rates, the pipelines with their cartridges."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from eventctl.tui.room import Room


class LiveRoom(Room):
    """What happens now: the stream, the rates, the pipelines with their cartridges."""

    MODE = "live"

    def body(self) -> ComposeResult:
        """Nothing yet."""
        yield Static("", markup=False)

    async def reload(self) -> None:
        """Nothing yet."""
