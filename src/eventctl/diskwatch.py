"""Whether the disk has room: noticed when the store says it is full, over when enough of it is free again.

The store gives its reserve back when a write finds no room, so that what must be said can still be written. From then on nothing
is taken from outside until twice the reserve is free: filling the reserve up with more events would leave nothing to clean up
with.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from eventctl.announce import announce
from eventctl.errors import TryLater
from eventctl.sqlite_connection import RESERVE_BYTES
from eventctl.sqlite_store import SqliteStore


class DiskWatch:
    """The state of the disk under one store. `say` takes a line for people, `now` is the wall clock in microseconds."""

    def __init__(self, store: SqliteStore, *, say: Callable[[str], None], now: Callable[[], int]) -> None:
        self._store = store
        self._say = say
        self._now = now
        self._told = True
        self.full = False

    def gate(self) -> TryLater | None:
        """Why nothing is taken now; None when the disk has room."""
        if not self.full:
            return None
        return TryLater("the disk is full; nothing was written", where=str(self._store.connection.path), hint="free some space")

    def refused(self) -> None:
        """The store would not take something: because of the disk, or because somebody else was writing for too long."""
        if not self.full and not self.has_room():
            self.full, self._told = True, False
            self.look()

    def look(self) -> None:
        """Say what has changed, as an event and to people; with room again, set the reserve aside anew."""
        if not self._told:
            self._told = self._tell("system.storage.full", "the disk is full: new events are refused until there is room")
        if self.full and self.has_room():
            self.full = not self._tell("system.storage.recovered", "the disk has room again")
        if not self.full:
            self._store.restore_reserve()

    def has_room(self) -> bool:
        """Whether twice the reserve is free: the reserve, given back, is no room. On a tiny disk, a tenth of it."""
        disk = os.statvfs(self._store.connection.path.parent)
        whole = disk.f_blocks * disk.f_frsize
        return disk.f_bavail * disk.f_frsize >= (2 * RESERVE_BYTES if whole >= 4 * RESERVE_BYTES else whole // 10)

    def _tell(self, event: str, said: str) -> bool:
        told = announce(event, {}, now=self._now(), by="supervisor", entity="storage", description=said)
        try:
            self._store.append([told])
        except TryLater:
            return False
        self._say(said)
        return True
