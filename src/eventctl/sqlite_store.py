"""The store in one SQLite file: the verbs of `eventctl.store`, put together from connection, reads and writes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from eventctl import failpoints
from eventctl import sqlite_reads as reads
from eventctl import sqlite_writes as writes
from eventctl.errors import NotFound
from eventctl.migrations import upgrade
from eventctl.sqlite_connection import RESERVE_BYTES, Connection, Role, guarded, make_file, set_aside
from eventctl.store import (
    LOG_PIPELINE,
    Appended,
    Committed,
    CursorRow,
    DecisionRow,
    ExceptionRow,
    FeedRow,
    InstalledRow,
    Keys,
    Kind,
    LogRow,
    Operations,
    OutboxRow,
    Record,
    Snapshot,
    Stream,
    TimerRow,
    Unit,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from eventctl.sqlite_views import SqliteViews


class SqliteStore:
    """One connection's view of a workspace's database; a thread or process opens its own."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._epoch = ""
        self._views: SqliteViews | None = None

    @classmethod
    def create(
        cls, path: Path, *, role: Role = "runner", checkpointer: bool = False, reserve_bytes: int = RESERVE_BYTES
    ) -> SqliteStore:
        """A new database, in its own directory. Raises `Conflict` where one is already."""
        make_file(path)
        upgrade(path)
        if reserve_bytes:
            set_aside(path, reserve_bytes)
        return cls.open(path, role=role, checkpointer=checkpointer)

    @classmethod
    def open(cls, path: Path, *, role: Role = "runner", checkpointer: bool = False) -> SqliteStore:
        """Open, upgrading an older file first. Raises `NotFound`, `TryLater` (being upgraded, locked), `Misconfigured` (newer)."""
        return cls(Connection(path, role, checkpointer=checkpointer))

    @property
    @guarded
    def epoch(self) -> str:
        if not self._epoch:
            found = self.meta("epoch")
            if found is None:
                raise NotFound("the database has no epoch", where=str(self.connection.path), hint="run `eventctl doctor`")
            self._epoch = found
        return self._epoch

    @property
    def views(self) -> SqliteViews:
        if self._views is None:
            from eventctl.sqlite_views import SqliteViews

            self._views = SqliteViews(self.connection)
        return self._views

    @guarded
    def append(self, records: Sequence[Record], *, rejects: Sequence[tuple[str, int, str, bytes]] = ()) -> list[Appended]:
        with self.connection.transaction(durable=True) as db:
            appended = writes.append_records(db, records)
            writes.reject(db, rejects)
            failpoints.reach("t0.before_commit")
        failpoints.reach("t0.after_commit")
        return appended

    @contextmanager
    def filling(self) -> Iterator[None]:
        """For a block that appends a whole log. Only a scratch store gains by it: others keep their indexes at all times."""
        if self.connection.role != "scratch":
            yield
            return
        with writes.indexes_last(self._db):
            yield

    @guarded
    def read_log(self, after: int, limit: int, *, kinds: Sequence[Kind] = ()) -> list[LogRow]:
        return reads.read_log(self._db, after, limit, kinds)

    @guarded
    def read_feed(self, after: int, limit: int) -> list[FeedRow]:
        return reads.read_feed(self._db, after, limit)

    @guarded
    def tail(self, stream: Stream) -> int:
        return reads.tail(self._db, stream)

    @guarded
    def snapshot(self, keys: Keys) -> Snapshot:
        return reads.snapshot(self._db, keys)

    @guarded
    def history(self, entity: str, *, before: int, limit: int, pattern: str = "**") -> list[LogRow]:
        return reads.history(self._db, entity, before, limit, pattern)

    @guarded
    def commit(self, operations: Operations, *, durable: bool = False) -> Committed:
        name = failpoint_of(operations)
        with self.connection.transaction(durable=durable) as db:
            committed = writes.commit(db, operations)
            failpoints.reach(f"{name}.before_commit")
        failpoints.reach(f"{name}.after_commit")
        return committed

    @guarded
    def claim(self, now: int, *, lease: int, limit: int, kinds: Sequence[str] = ()) -> list[OutboxRow]:
        if not reads.due_outbox(self._db, now, 1, kinds):  # an idle poll takes no lock and syncs nothing
            return []
        with self.connection.transaction(durable=True) as db:
            return writes.claim(db, reads.due_outbox(db, now, limit, kinds), now + lease)

    @guarded
    def overdue(self, now: int, *, limit: int) -> list[OutboxRow]:
        return reads.overdue(self._db, now, limit)

    @guarded
    def due_decisions(self, now: int, *, limit: int) -> list[DecisionRow]:
        return reads.due_decisions(self._db, now, limit)

    @guarded
    def installed(self) -> list[InstalledRow]:
        return reads.installed(self._db)

    @guarded
    def package(self, digest: str) -> bytes | None:
        row = self._db.execute("SELECT body FROM package WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else bytes(row[0])

    @guarded
    def due_timers(self, now: int, *, limit: int) -> list[TimerRow]:
        return reads.due_timers(self._db, now, limit)

    @guarded
    def due_retries(self, pipeline: str, now: int, *, limit: int) -> list[ExceptionRow]:
        return reads.due_retries(self._db, pipeline, now, limit)

    @guarded
    def exceptions_of(self, pipeline: str, states: Sequence[str]) -> list[ExceptionRow]:
        return reads.exceptions_of(self._db, pipeline, states)

    @guarded
    def next_due(self) -> int | None:
        return reads.next_due(self._db)

    @guarded
    def cursor(self, pipeline: str) -> CursorRow | None:
        return reads.cursor(self._db, pipeline)

    @guarded
    def cursors(self) -> list[CursorRow]:
        return reads.cursors(self._db)

    @guarded
    def open_cursor(self, pipeline: str, *, at: int | None = None) -> CursorRow:
        found = reads.cursor(self._db, pipeline)
        if found is not None:
            return found
        with self.connection.transaction() as db:
            start = reads.tail(db, "log" if pipeline == LOG_PIPELINE else "feed") if at is None else at
            return reads.cursor(db, pipeline) or writes.open_cursor(db, pipeline, start)

    @guarded
    def take_over(self) -> int:
        with self.connection.transaction() as db:
            return writes.take_over(db)

    @guarded
    def forget_cursor(self, pipeline: str, *, told: Sequence[Record] = ()) -> None:
        with self.connection.transaction() as db:
            writes.forget_cursor(db, pipeline)
            writes.append_records(db, told)

    @guarded
    def units(self) -> dict[str, Unit]:
        return {row[0]: Unit(*row) for row in self._db.execute("SELECT * FROM unit ORDER BY path")}

    @guarded
    def meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT v FROM meta WHERE k = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    @guarded
    def checkpoint(self) -> int:
        """For the one checkpointer, when it is idle: returns the bytes left in the WAL."""
        return self.connection.checkpoint()

    def restore_reserve(self) -> bool:
        """Set the reserve aside again once the disk has room; whether it is there."""
        return set_aside(self.connection.path)

    def close(self) -> None:
        self.connection.close()

    @property
    def _db(self) -> sqlite3.Connection:
        return self.connection.db


def failpoint_of(operations: Operations) -> str:
    """Which transaction this is, by the name that failpoints know it by; "" for one that has none."""
    if operations.advance is not None:
        return "t1"
    return "move" if operations.records and operations.records[0].kind == "move" else ""
