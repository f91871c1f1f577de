"""The events that a pipeline has met and not finished: waiting for an answer, for a retry, or behind an earlier one.

A small index in memory of rows that stand in the store. It is built from there, and built again after a batch that was planned
and not committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eventctl.store import ExceptionRow

Lanes = Mapping[str, bool]
"""Where an event stands, and whether it is only behind others there: it goes on by itself when it is the first."""

WAITING_MAX = 10_000
"""Events that one pipeline may leave open. Past that it takes nothing new until some are done."""


class OpenEvents:
    """Rows by seq, and for each lane its events in stream order: the first is what the others are behind.

    There is a lane for each entity. Where each cartridge keeps an order of its own, there is one for each entity and cartridge: `lanes`
    says by seq which, as `put` does.
    """

    def __init__(self, rows: Iterable[ExceptionRow] = (), *, passed: int = 0, lanes: Mapping[int, Lanes] | None = None) -> None:
        self._rows: dict[int, ExceptionRow] = {}
        self._struck: dict[int, ExceptionRow] = {}
        self._queues: dict[str, dict[int, bool]] = {}
        self._lanes: dict[int, Lanes] = {}
        self._free: dict[str, None] = {}
        self.retries = 0
        for row in rows:
            if row.state == "struck" and row.pos > passed:
                self._struck[row.seq] = row
            else:
                self.put(row, None if lanes is None else lanes.get(row.seq, {}))

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

    def blocker(self, lane: str | None) -> int | None:
        """The first open event of a lane; later ones are behind it."""
        return next(iter(self._queues.get(lane, ())), None) if lane is not None else None

    def put(self, row: ExceptionRow, lanes: Lanes | None = None) -> None:
        """An event is open, in this state. It keeps its place in its lanes: that of its entity, which an ordered one has, or these."""
        before = self._rows.get(row.seq)
        self.retries += (row.state == "retry") - (before is not None and before.state == "retry")
        self._rows[row.seq] = row
        if lanes is None:
            lanes = {} if row.entity is None else {row.entity: row.state == "behind"}
        left = self._lanes.pop(row.seq, {})
        if lanes:
            self._lanes[row.seq] = lanes
        for lane in left:
            if lane not in lanes:
                self._leave(lane, row.seq)
        for lane, behind in lanes.items():
            self._queues.setdefault(lane, {})[row.seq] = behind
            self._see(lane)

    def remove(self, seq: int) -> None:
        """An event is finished."""
        before = self._rows.pop(seq, None)
        if before is None:
            return
        self.retries -= before.state == "retry"
        for lane in self._lanes.pop(seq, {}):
            self._leave(lane, seq)

    def struck(self) -> list[ExceptionRow]:
        """Struck events that the cursor has passed: they are run again without the cartridge that was struck."""
        return [row for row in self._rows.values() if row.state == "struck"]

    def ready(self, limit: int) -> list[ExceptionRow]:
        """Events that are behind nobody any more, each followed by those behind it; at most `limit`."""
        found: dict[int, ExceptionRow] = {}
        for lane in self._free:
            for seq, behind in self._queues[lane].items():
                if not behind or len(found) >= limit:
                    break
                found[seq] = self._rows[seq]
            if len(found) >= limit:
                break
        return list(found.values())

    def waiting(self) -> list[ExceptionRow]:
        """Events that wait for an answer."""
        return [row for row in self._rows.values() if row.state == "waiting"]

    def _leave(self, lane: str, seq: int) -> None:
        queue = self._queues[lane]
        queue.pop(seq, None)
        if not queue:
            del self._queues[lane]
        self._see(lane)

    def _see(self, lane: str) -> None:
        """Keep the lanes whose first event is behind nobody and could run."""
        first = next(iter(self._queues.get(lane, {}).items()), None)
        if first is not None and first[1]:
            self._free[lane] = None
        else:
            self._free.pop(lane, None)
