"""A store that is somebody else's below and one's own on top: reads what it has not been told from the source, writes to itself only.

What a batch asks for is taken over from the source the first time, and from then on stands here, changed or not. The source's timers
are its runner's: only those that are set here come due. It is never written, and may be the store of a workspace that runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from eventctl.memory_store import MemoryStore
from eventctl.patterns import matches
from eventctl.scratch import ScratchTables
from eventctl.store import (
    Appended,
    Committed,
    CursorRow,
    ExceptionRow,
    FeedRow,
    Keys,
    Kind,
    LogRow,
    Operations,
    Record,
    Snapshot,
    Store,
    Unit,
)

K = TypeVar("K")


class Overlaid(MemoryStore):
    """What would be in a store, if. `base` is the last number of the source's log: what stands above it is ours."""

    def __init__(self, source: Store) -> None:
        self._own = ScratchTables()
        super().__init__(self._own)
        self._source = source
        self._asked: dict[str, set[object]] = {}
        self._opened: set[str] = set()
        self.base = self._own.seq = source.tail("log")
        self._fed = self._own.pos = source.tail("feed")
        self._own.last = source.snapshot(Keys()).notification_last

    def append(self, records: Sequence[Record], *, rejects: Sequence[tuple[str, int, str, bytes]] = ()) -> list[Appended]:
        self._know(records)
        return super().append(records, rejects=rejects)

    def commit(self, operations: Operations, *, durable: bool = False) -> Committed:
        self._know(operations.records)
        return super().commit(operations, durable=durable)

    def snapshot(self, keys: Keys) -> Snapshot:
        self._take(
            Keys(
                ledger=self._new("ledger", keys.ledger),
                lives=self._new("lives", keys.lives),
                notifications=self._new("notifications", keys.notifications),
                states=self._new("states", keys.states),
                exceptions=self._new("exceptions", keys.exceptions),
                records=self._new("records", keys.records),
                annotations=self._new("annotations", keys.annotations),
                member_views=self._new("member_views", keys.member_views),
                identities=self._new("identities", keys.identities),
            )
        )
        found = super().snapshot(keys)
        if keys.approvals:
            found.approvals = self._source.snapshot(Keys(approvals=keys.approvals)).approvals
        return found

    def read_log(self, after: int, limit: int, *, kinds: Sequence[Kind] = ()) -> list[LogRow]:
        rows = self._source.read_log(after, limit, kinds=kinds) if after < self.base else []
        rows = [row for row in rows if row.seq <= self.base]
        own = (self._own.log.rows[seq] for seq in range(max(after, self.base) + 1, self._own.seq + 1))
        return [*rows, *(row for row in own if not kinds or row.kind in kinds)][:limit]

    def read_feed(self, after: int, limit: int) -> list[FeedRow]:
        rows = [row for row in self._source.read_feed(after, limit) if row.pos <= self._fed] if after < self._fed else []
        own = [self._own.feed.rows[pos] for pos in range(max(after, self._fed) + 1, self._own.pos + 1)]
        return [*rows, *own][:limit]

    def tail(self, stream: str) -> int:
        return self._own.seq if stream == "log" else self._own.pos

    def history(self, entity: str, *, before: int, limit: int, pattern: str = "**") -> list[LogRow]:
        own = [self._own.log.rows[seq] for seq in range(self._own.seq, self.base, -1) if seq < before]
        mine = [row for row in own if row.entity == entity and row.kind == "event" and matches(pattern, row.type)]
        below = self._source.history(entity, before=min(before, self.base + 1), limit=limit, pattern=pattern)
        return [*mine, *below][:limit]

    def cursor(self, pipeline: str) -> CursorRow | None:
        held = super().cursor(pipeline)
        found = self._source.cursor(pipeline) if held is None else None
        if found is not None:
            self._own.cursors.rows[pipeline] = held = found
        return held

    def exceptions_of(self, pipeline: str, states: Sequence[str]) -> list[ExceptionRow]:
        """What is open in the source is open here too: an event of the same entity is behind it."""
        if pipeline not in self._opened:
            self._opened.add(pipeline)
            open_ = ("waiting", "behind", "retry", "struck", "dead")
            for row in self._source.exceptions_of(pipeline, open_):
                self._own.exceptions.rows.setdefault((pipeline, row.seq), row)
        return super().exceptions_of(pipeline, states)

    def due_retries(self, pipeline: str, now: int, *, limit: int) -> list[ExceptionRow]:
        """Of what came in here: the source's retries are its runner's."""
        return [row for row in super().due_retries(pipeline, now, limit=limit) if row.seq > self.base]

    def units(self) -> dict[str, Unit]:
        return {**self._source.units(), **super().units()}

    def meta(self, key: str) -> str | None:
        held = super().meta(key)
        return self._source.meta(key) if held is None else held

    def _know(self, records: Iterable[Record]) -> None:
        """Whether somebody has said this before."""
        self._take(Keys(identities=self._new("identities", [(record.source, record.id) for record in records])))

    def _new(self, what: str, keys: Sequence[K]) -> list[K]:
        asked = self._asked.setdefault(what, set())
        new = [key for key in dict.fromkeys(keys) if key not in asked]
        asked.update(new)
        return new

    def _take(self, keys: Keys) -> None:
        """Take over what the source says about these; what has been written here stands."""
        if keys == Keys():
            return
        found, own = self._source.snapshot(keys), self._own
        for key, entry in found.ledger.items():
            own.ledger.rows.setdefault(key, entry)
        for row in (*found.lives.values(), *found.notifications.values()):
            if row.id not in own.notifications.rows:
                own.notifications.rows[row.id] = row
                numbers = own.lives.rows.get((row.life, row.life_key), ())
                own.lives.rows[row.life, row.life_key] = (*numbers, row.id)
        for state, value in found.states.items():
            own.states.rows.setdefault(state, value)
        for at, exception in found.exceptions.items():
            own.exceptions.rows.setdefault(at, exception)
        for seq, record in found.records.items():
            own.log.rows.setdefault(seq, record)
        for seq, slots in found.annotations.items():
            own.annotations.rows.setdefault(seq, slots)
        for whose, view in found.member_views.items():
            own.member_views.rows.setdefault(whose, view)
        for identity, record in found.identities.items():
            if record.seq <= self.base:
                own.identities.rows.setdefault(identity, record.seq)
                own.log.rows.setdefault(record.seq, record)
