"""Snapshots: what the system pipeline has folded so far, in a file beside the store, so that a log can be trimmed and still rebuilt.

A snapshot is a small SQLite database, `snapshots/<pos>.db`, written by one statement per table from one consistent read; SQLite
moves the rows, so its memory does not grow with them. It says where the system pipeline stood (`pos`), how long the log was
(`tail`: moves up to there are in it already) and what the projection hashed to.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from eventctl.errors import Misconfigured, NotFound
from eventctl.moves import INBOX
from eventctl.sqlite_connection import guarded
from eventctl.store import LOG_PIPELINE

if TYPE_CHECKING:
    from eventctl.sqlite_connection import Connection
    from eventctl.sqlite_store import SqliteStore

KEPT = 2
"""The newest is what a rebuild starts from; the one before is for when it cannot be read."""

FOLDED = {
    "notification": "true",
    "notification_event": "true",
    "member_view": "true",
    "ledger": "true",
    "state": "cartridge GLOB 'system/*'",
    "timer": f"owner = '{INBOX}'",
    "exception": f"pipeline = '{LOG_PIPELINE}' AND state <> 'dropped'",
}
"""The tables that the system pipeline folds, and which of their rows."""


class SnapshotFile(NamedTuple):
    """A snapshot that can be started from. `at` is when it was taken."""

    path: Path
    pos: int
    tail: int
    at: int
    epoch: str
    projection: str


class Snapshots:
    """The snapshots of one store."""

    def __init__(self, store: SqliteStore) -> None:
        self.connection: Connection = store.connection
        self._store = store
        self.folder = store.connection.path.with_name("snapshots")

    @guarded
    def take(self, now: int) -> SnapshotFile:
        """Write one of this moment and let the old ones go. Raises `NotFound` before the system pipeline has begun."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        making = self.folder / "making.db"
        making.unlink(missing_ok=True)
        making.touch(mode=0o600)
        try:
            pos = self._write(making, now)
            making.rename(self.folder / f"{pos:020}.db")
        finally:
            making.unlink(missing_ok=True)
        for old in sorted(self.folder.glob("[0-9]*.db"))[:-KEPT]:
            old.unlink()
        return self._read(self.folder / f"{pos:020}.db")

    def newest(self) -> SnapshotFile | None:
        """The newest of this log's life; None when there is none that can be read."""
        for path in sorted(self.folder.glob("[0-9]*.db"), reverse=True):
            try:
                found = self._read(path)
            except (sqlite3.DatabaseError, TypeError):  # half a file, or none of ours
                continue
            if found.epoch == self._store.epoch:
                return found
        return None

    @guarded
    def load(self, found: SnapshotFile, source: Path) -> None:
        """Make this empty store what the store in the file `source` was at the snapshot, with the whole log that it has now."""
        with attached(self.connection, found.path) as db:
            db.execute("ATTACH ? AS source", (str(source),))
            try:
                db.execute("BEGIN IMMEDIATE")
                for table in FOLDED:
                    columns = _columns(db, "snap", table)
                    db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM snap.{table}")
                columns = _columns(db, "main", "log")
                db.execute(f"INSERT INTO main.log ({columns}) SELECT {columns} FROM source.log")
                db.execute("INSERT OR REPLACE INTO main.meta SELECT k, v FROM snap.meta WHERE k = 'notification.last'")
                db.execute(
                    "INSERT INTO main.cursor (pipeline, pos, origin, term) VALUES (?1, ?2, ?2, 0)", (LOG_PIPELINE, found.pos)
                )
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                db.execute("DETACH source")

    def _write(self, making: Path, now: int) -> int:
        projection = self._store.views.projection_hash
        with attached(self.connection, making) as db:
            db.execute("PRAGMA snap.synchronous=OFF")
            db.execute("BEGIN")
            row = db.execute("SELECT pos FROM main.cursor WHERE pipeline = ?", (LOG_PIPELINE,)).fetchone()
            if row is None:
                db.execute("ROLLBACK")
                raise NotFound("nothing has run here yet", where=str(self.connection.path), hint="eventctl run --until-idle")
            tail = db.execute("SELECT coalesce(max(seq), 0) FROM main.log").fetchone()[0]
            for table, which in FOLDED.items():
                columns = _columns(db, "main", table)
                db.execute(f"CREATE TABLE snap.{table} AS SELECT {columns} FROM main.{table} WHERE {which}")
            db.execute("CREATE TABLE snap.meta (k TEXT PRIMARY KEY, v TEXT NOT NULL)")
            facts = {"pos": row[0], "tail": tail, "at": now, "epoch": self._store.epoch, "projection": projection()}
            db.executemany("INSERT INTO snap.meta VALUES (?, ?)", [(key, str(value)) for key, value in facts.items()])
            db.execute("INSERT INTO snap.meta SELECT k, v FROM main.meta WHERE k = 'notification.last'")
            db.execute("COMMIT")
        with making.open("rb") as file:
            os.fsync(file.fileno())
        return int(row[0])

    def _read(self, path: Path) -> SnapshotFile:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            facts = dict(db.execute("SELECT k, v FROM meta").fetchall())
            return SnapshotFile(
                path, int(facts["pos"]), int(facts["tail"]), int(facts["at"]), facts["epoch"], facts["projection"]
            )
        except KeyError as missing:
            raise Misconfigured(f"the snapshot lacks {missing}", where=str(path), hint="remove it") from missing
        finally:
            db.close()


def _columns(db: sqlite3.Connection, schema: str, table: str) -> str:
    """The stored columns; a virtual one is worked out again wherever the row is."""
    return ", ".join(name for _, name, *_ in db.execute(f"PRAGMA {schema}.table_info({table})"))


@contextmanager
def attached(connection: Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """The connection with another database at hand under the name `snap`."""
    db = connection.db
    db.execute("ATTACH ? AS snap", (str(path),))
    try:
        yield db
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
        db.execute("DETACH snap")
