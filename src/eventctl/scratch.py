"""A store to try things in: kept in this process, trimmed as it goes, and able to take its last changes back.

It stands over a `source`, the store of the workspace, which is read and never written. Records of the source come in under numbers
of this store's own (a trial may have made events in between); `place` and `origin` translate. What has been worked through is let
go: a record that is asked for again is read from the source, so that 100,000 events cost no more than the state they leave behind.

    mark = scratch.mark()      what is done after this
    scratch.rewind(mark)       is undone by this, and
    scratch.settle()           can be undone no more, its records are let go
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from eventctl.memory_store import MemoryStore
from eventctl.memory_tables import Tables
from eventctl.notification import Notification
from eventctl.patterns import matches
from eventctl.store import Appended, Committed, FeedRow, Keys, Kind, LogRow, Operations, Record, Snapshot, Store, Stream

SWEEP = 20_000
"""After so many records occurrences whose window is over are forgotten, as retention does in a workspace."""

GONE = frozenset({"dropped"})
"""Exceptions in these states are never asked for again."""

_log_row: Callable[[tuple[Any, ...]], LogRow] = partial(tuple.__new__, LogRow)


class Mark(NamedTuple):
    """How far a scratch store had come."""

    journal: int
    seq: int
    pos: int
    last: int
    origins: int


class ScratchTables(Tables):
    """Tables that number on from where they were trimmed, and whose journal goes on over commits."""

    def __init__(self) -> None:
        super().__init__()
        self.seq = self.pos = self.last = 0
        self.known: Callable[[Record], int | None] = lambda _: None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        mark = self.mark()
        try:
            yield
        except BaseException:
            self.rewind(mark)
            raise
        else:
            self.commits += 1

    def mark(self) -> Mark:
        return Mark(len(self._journal), self.seq, self.pos, self.last, 0)

    def rewind(self, mark: Mark) -> None:
        while len(self._journal) > mark.journal:
            self._journal.pop()()
        self.seq, self.pos, self.last = mark.seq, mark.pos, mark.last

    def settle(self) -> None:
        """Nothing up to here is taken back."""
        self._journal.clear()

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def next_pos(self) -> int:
        self.pos += 1
        return self.pos

    def notification_last(self) -> int:
        return self.last

    def _place(self, row: Notification, otherwise: str) -> None:
        super()._place(row, otherwise)
        self.last = max(self.last, row.id)

    def _append(self, record: Record) -> Appended:
        held = self.identities.rows.get((record.source, record.id))
        if held is not None:
            return Appended(held, True)
        seq = self.next_seq()
        self.log.put(seq, LogRow(seq, *record))
        self.identities.put((record.source, record.id), seq)
        return Appended(seq, False)


class Scratch(MemoryStore):
    """The store of one trial. `watch(operations)` may change what a pipeline wants written before it is, and see it."""

    def __init__(self, source: Store, first: int = 1) -> None:
        self._tables = ScratchTables()
        super().__init__(self._tables)
        self._source = source
        self._first = first
        self._places = array("q")
        self._origins = array("q", [0])
        self._made: dict[int, LogRow] = {}
        self._older: dict[int, int] = {}
        self._answers: dict[tuple[str, str], LogRow] = {}
        self._about: dict[str, list[int]] = {}
        self._swept = 0
        self.watch: Callable[[Operations], None] = lambda _: None
        self.asked_history = False
        self.expected: dict[tuple[str, str], int] = {}

    def bring(self, rows: Sequence[LogRow]) -> None:
        """Records of the source come in, in their order: under a number of this store, caused by what is here."""
        tables = self._tables
        for row in rows:
            seq = tables.next_seq()
            cause = self.place(row.caused_by) or None if row.caused_by else None
            tables.log.put(seq, _log_row((seq, *row[1:9], cause, row.hops)))
            self._note(row.seq, seq)
            if row.kind == "answer":  # an event that asked twice is run from its top and reads the first one again
                self._answers[row.source, row.id] = tables.log.rows[seq]

    def place(self, number: int) -> int:
        """The number here of a record of the source; 0 when it did not come in."""
        at = number - self._first
        return self._older.get(number, 0) if at < 0 else self._places[at] if at < len(self._places) else 0

    def origin(self, seq: int) -> int:
        """The number in the source of a record here; 0 for one that was made here."""
        return self._origins[seq] if 0 <= seq < len(self._origins) else 0

    def made(self, seq: int) -> LogRow | None:
        """A record that was made here."""
        return self._made.get(seq)

    def mark(self) -> Mark:
        return self._tables.mark()._replace(origins=len(self._origins))

    def rewind(self, mark: Mark) -> None:
        """Undo everything after the mark."""
        self._tables.rewind(mark)
        for seq in range(mark.origins, len(self._origins)):
            if self._origins[seq]:
                self._places[self._origins[seq] - self._first] = 0
        del self._origins[mark.origins :]
        for seq in [seq for seq in reversed(self._made) if seq > mark.seq]:
            entity = self._made.pop(seq).entity
            if entity is not None:
                self._about[entity].remove(seq)

    def settle(self, now: int) -> None:
        """Keep what was done, and let go of records that every pipeline has passed."""
        tables = self._tables
        for rows in (tables.log.rows, tables.feed.rows, tables.annotations.rows, tables.touched.rows, tables.identities.rows):
            rows.clear()
        if any(row.state in GONE for row in tables.exceptions.rows.values()):
            tables.exceptions.rows = {key: row for key, row in tables.exceptions.rows.items() if row.state not in GONE}
        if tables.seq - self._swept >= SWEEP:
            self._swept = tables.seq
            tables.ledger.rows = {key: row for key, row in tables.ledger.rows.items() if row.expires > now}
        tables.settle()

    def append(self, records: Sequence[Record], *, rejects: Sequence[tuple[str, int, str, bytes]] = ()) -> list[Appended]:
        before = self._tables.seq
        appended = super().append(records, rejects=rejects)
        self._keep(before)
        return appended

    def commit(self, operations: Operations, *, durable: bool = False) -> Committed:
        self.watch(operations)
        before = self._tables.seq
        committed = super().commit(operations, durable=durable)
        self._keep(before)
        return committed

    def read_log(self, after: int, limit: int, *, kinds: Sequence[Kind] = ()) -> list[LogRow]:
        rows = self._tables.log.rows
        last = min(self._tables.seq, after + limit)
        return [rows[seq] for seq in range(max(after, 0) + 1, last + 1) if not kinds or rows[seq].kind in kinds]

    def read_feed(self, after: int, limit: int) -> list[FeedRow]:
        rows = self._tables.feed.rows
        return [rows[pos] for pos in range(max(after, 0) + 1, min(self._tables.pos, after + limit) + 1)]

    def tail(self, stream: Stream) -> int:
        return self._tables.seq if stream == "log" else self._tables.pos

    def snapshot(self, keys: Keys) -> Snapshot:
        found = super().snapshot(keys)
        if keys.approvals:  # as often as people have approved it by now: when they did is not looked up
            found.approvals = self._source.snapshot(Keys(approvals=keys.approvals)).approvals
        found.identities.update((key, self._answers[key]) for key in keys.identities if key in self._answers)
        gone = [seq for seq in keys.records if seq not in found.records]
        found.records.update((seq, row) for seq in gone if (row := self._made.get(seq)) is not None)
        numbers = {self.origin(seq): seq for seq in gone if self.origin(seq)}
        if numbers:
            again = self._source.snapshot(Keys(records=list(numbers))).records
            for number, row in again.items():
                cause = self.place(row.caused_by) or None if row.caused_by else None
                found.records[numbers[number]] = row._replace(seq=numbers[number], caused_by=cause)
        return found

    def history(self, entity: str, *, before: int, limit: int, pattern: str = "**") -> list[LogRow]:
        """Of the source, without what has not come in here, together with what was made here."""
        self.asked_history = True
        seq = before - 1
        while seq > 0 and not self.origin(seq):
            seq -= 1
        below = self.origin(seq) + 1 if seq > 0 else self._first
        stored = self._stored(entity, below, limit, pattern)
        made = [self._made[seq] for seq in reversed(self._about.get(entity, ())) if seq < before]
        made = [row for row in made if row.kind == "event" and matches(pattern, row.type)][:limit]
        return sorted([*stored, *made], key=lambda row: row.seq, reverse=True)[:limit] if made else stored

    def _stored(self, entity: str, below: int, limit: int, pattern: str) -> list[LogRow]:
        found: list[LogRow] = []
        while len(found) < limit:
            rows = self._source.history(entity, before=below, limit=limit, pattern=pattern)
            for row in rows:
                place = self.place(row.seq)
                if row.seq < self._first:
                    found.append(row._replace(seq=row.seq - self._first))  # older than the trial: before its first record
                elif place:
                    found.append(row._replace(seq=place))
            if len(rows) < limit:
                break
            below = rows[-1].seq
        return found[:limit]

    def _note(self, number: int, seq: int) -> None:
        at = number - self._first
        if at < 0:
            self._older[number] = seq
        else:
            self._places.extend([0] * (at + 1 - len(self._places)))
            self._places[at] = seq
        if seq >= len(self._origins):
            self._origins.extend([0] * (seq + 1 - len(self._origins)))
        self._origins[seq] = number

    def _keep(self, before: int) -> None:
        """Records that were made here have no other place to be read from."""
        for seq in range(before + 1, self._tables.seq + 1):
            there = self._tables.log.rows[seq]
            number = self.expected.pop((there.source, there.id), None)
            if number is not None:
                self._note(number, seq)
                continue
            row = self._made[seq] = self._tables.log.rows[seq]
            if row.entity is not None:
                self._about.setdefault(row.entity, []).append(seq)
            if seq >= len(self._origins):
                self._origins.extend([0] * (seq + 1 - len(self._origins)))
