"""The notifications that a batch is working on: what the store gave, with this batch's changes over it.

A row is written once per batch, whatever happened to it in between, with `ver` one above what was read.
"""

from __future__ import annotations

from eventctl.notification import Notification
from eventctl.store import Operations, Snapshot


class Rows:
    """Rows by number, and by life."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._stored = {row.id: row for row in snapshot.lives.values()}
        self._stored.update(snapshot.notifications)
        self._lives = {key: row.id for key, row in snapshot.lives.items()}
        self._last = snapshot.notification_last
        self._opened: dict[int, Notification] = {}
        self._changed: dict[int, Notification] = {}
        for row in (*snapshot.due, *snapshot.silenced):
            self._stored[row.id] = row

    def last(self, life: str, key: str) -> Notification | None:
        """The open row of a life, or else the newest that is not archived."""
        number = self._lives.get((life, key))
        return None if number is None else self.number(number)

    def number(self, number: int) -> Notification | None:
        """A row by its number."""
        return self._opened.get(number) or self._changed.get(number) or self._stored.get(number)

    def next_number(self) -> int:
        """A number that no notification has had. In the order of events, so that a rebuild gives the same ones."""
        self._last += 1
        return self._last

    def open(self, row: Notification) -> None:
        """A new row, now the last of its life."""
        self._opened[row.id] = row
        self._lives[row.life, row.life_key] = row.id

    def change(self, row: Notification) -> None:
        """A row in its new state."""
        if row.id in self._opened:
            self._opened[row.id] = row
        else:
            self._changed[row.id] = row

    def write(self, out: Operations) -> None:
        """What the batch came to."""
        out.opened.extend(self._opened.values())
        out.changed.extend(row._replace(ver=self._stored[row.id].ver + 1) for row in self._changed.values())
