"""The events that a pipeline has met and not finished: waiting for an answer, for a retry, or behind an earlier one.

A small index in memory of rows that stand in the store. It is built from there, and built again after a batch that was planned
and not committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from eventctl.store import ExceptionRow

WAITING_MAX = 10_000
"""Events that one pipeline may leave open. Past that it takes nothing new until some are done."""


class OpenEvents:
    """Rows by seq, and for each entity its ordered ones in stream order: the first is what the others are behind."""

    def __init__(self, rows: Iterable[ExceptionRow] = (), *, passed: int = 0) -> None:
        self._rows: dict[int, ExceptionRow] = {}
        self._struck: dict[int, ExceptionRow] = {}
        self._queues: dict[str, dict[int, None]] = {}
        self._free: dict[str, None] = {}
        self.retries = 0
        for row in rows:
            if row.state == "struck" and row.pos > passed:
                self._struck[row.seq] = row
            else:
                self.put(row)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def full(self) -> bool:
        """Whether nothing new may be taken."""
        return len(self._rows) >= WAITING_MAX

    def get(self, seq: int) -> ExceptionRow | None:
        """The row of an open event."""
        return self._rows.get(seq)

    def struck_ahead(self, seq: int) -> ExceptionRow | None:
        """The strike against an event that the cursor has not passed yet."""
        return self._struck.get(seq)

    def blocker(self, entity: str | None) -> int | None:
        """The first open event of an entity; later ones are behind it."""
        return next(iter(self._queues.get(entity, ())), None) if entity is not None else None

    def put(self, row: ExceptionRow) -> None:
        """An event is open, in this state. An ordered one has an `entity` and keeps its place in that entity's queue."""
        before = self._rows.get(row.seq)
        self.retries += (row.state == "retry") - (before is not None and before.state == "retry")
        self._rows[row.seq] = row
        if before is not None and before.entity is not None and before.entity != row.entity:
            self._leave(before.entity, row.seq)
        if row.entity is not None:
            self._queues.setdefault(row.entity, {})[row.seq] = None
            self._see(row.entity)

    def remove(self, seq: int) -> None:
        """An event is finished."""
        before = self._rows.pop(seq, None)
        if before is None:
            return
        self.retries -= before.state == "retry"
        if before.entity is not None:
            self._leave(before.entity, seq)

    def struck(self) -> list[ExceptionRow]:
        """Struck events that the cursor has passed: they are run again without the cartridge that was struck."""
        return [row for row in self._rows.values() if row.state == "struck"]

    def ready(self, limit: int) -> list[ExceptionRow]:
        """Events that are behind nobody any more, each followed by those behind it; at most `limit`."""
        found: list[ExceptionRow] = []
        for entity in self._free:
            for seq in islice(self._queues[entity], limit - len(found)):
                if self._rows[seq].state != "behind":
                    break
                found.append(self._rows[seq])
            if len(found) >= limit:
                break
        return found

    def waiting(self) -> list[ExceptionRow]:
        """Events that wait for an answer."""
        return [row for row in self._rows.values() if row.state == "waiting"]

    def _leave(self, entity: str, seq: int) -> None:
        queue = self._queues[entity]
        queue.pop(seq, None)
        if not queue:
            del self._queues[entity]
        self._see(entity)

    def _see(self, entity: str) -> None:
        """Keep the entities whose first event is behind nobody and could run."""
        first = self.blocker(entity)
        if first is not None and self._rows[first].state == "behind":
            self._free[entity] = None
        else:
            self._free.pop(entity, None)
