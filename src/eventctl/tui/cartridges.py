"""What is installed where, and what can be done with it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from eventctl.tui.room import Room


class CartridgesRoom(Room):
    """What is installed where, and what can be done with it."""

    MODE = "cartridges"

    def body(self) -> ComposeResult:
        """Nothing yet."""
        yield Static("", markup=False)

    async def reload(self) -> None:
        """Nothing yet."""
