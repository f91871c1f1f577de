"""The shape of the database file, and how an older file becomes a current one.

`PRAGMA user_version` is the number of migrations that a file has seen. All pending ones run in one transaction, so an upgrade that
is killed has not happened. A migration that has been released is never edited: append another.

sqlite-utils keeps the list; it is imported only when something is pending, because `emit` opens this file too.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from eventctl.errors import Misconfigured, TryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sqlite_utils import Database

    Migration = Callable[[Database], None]

APPLICATION_ID = 0x65766374
"""`evct`: how `file` and `open` tell this database from any other."""

# `partition` stands beside every position and is 0 in this store. A key that another partition could use too begins with it; `pos`
# stays the rowid, which SQLite gives in order and without an index.
FIRST = (
    """
    CREATE TABLE log (
      -- Every record, the only place of bodies. Writer: append, and commit for what a run emits. Grows with every record;
      -- retention trims the oldest, never the newest, so that a seq is never given twice.
      seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, body BLOB NOT NULL,
      principal TEXT NOT NULL, at INTEGER NOT NULL, entity TEXT, caused_by INTEGER, hops INTEGER NOT NULL, hash BLOB NOT NULL)
    """,
    # id first: ids are UUIDv7, so new ones land side by side, and `find` searches by the beginning of an id.
    "CREATE UNIQUE INDEX log_identity ON log (id, source)",
    # kind rides along so that counting events by type never leaves the index.
    "CREATE INDEX log_type ON log (type, seq, kind)",
    "CREATE INDEX log_at ON log (at)",
    "CREATE INDEX log_entity ON log (entity, seq) WHERE entity IS NOT NULL",
    "CREATE INDEX log_caused_by ON log (caused_by, seq) WHERE caused_by IS NOT NULL",
    """
    CREATE TABLE feed (
      -- Positions of accepted records. Writer: the system pipeline's commit. Grows with every accepted event; retention trims
      -- what every cursor has passed, never the newest.
      pos INTEGER PRIMARY KEY, seq INTEGER NOT NULL, type TEXT NOT NULL, why TEXT NOT NULL, partition INTEGER NOT NULL DEFAULT 0)
    """,
    "CREATE INDEX feed_seq ON feed (seq)",
    """
    CREATE TABLE cursor (
      -- How far each pipeline has come. Writer: that pipeline's commit, one row each. Gone with the pipeline (forget_cursor).
      -- origin: positions before its start, which it never had to account for.
      pipeline TEXT NOT NULL, partition INTEGER NOT NULL DEFAULT 0, pos INTEGER NOT NULL, term INTEGER NOT NULL,
      applied INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0, quarantined INTEGER NOT NULL DEFAULT 0,
      dead INTEGER NOT NULL DEFAULT 0, waiting INTEGER NOT NULL DEFAULT 0, origin INTEGER NOT NULL DEFAULT 0,
      PRIMARY KEY (pipeline, partition)) WITHOUT ROWID
    """,
    """
    CREATE TABLE exception (
      -- What was not plainly applied. Writer: the pipeline's commit. Waiting ones go when they are answered, the others when
      -- retention trims their record.
      pipeline TEXT NOT NULL, seq INTEGER NOT NULL, state TEXT NOT NULL, pos INTEGER NOT NULL, cartridge TEXT NOT NULL,
      reason TEXT NOT NULL, attempts INTEGER NOT NULL, due INTEGER, entity TEXT, partition INTEGER NOT NULL DEFAULT 0,
      PRIMARY KEY (pipeline, seq)) WITHOUT ROWID
    """,
    # Nearly all exceptions are drops (one in ten events is a repeat); these two leave them out and stay small.
    "CREATE INDEX exception_state ON exception (pipeline, state, seq) WHERE state <> 'dropped'",
    "CREATE INDEX exception_due ON exception (due) WHERE state = 'retry'",
    "CREATE INDEX exception_repeat ON exception (reason) WHERE state = 'dropped' AND reason GLOB 'duplicate of e*'",
    """
    CREATE TABLE annotation (
      -- What cartridges say about a record. Writer: the pipeline's commit. Goes with its record.
      seq INTEGER NOT NULL, slot TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (seq, slot)) WITHOUT ROWID
    """,
    """
    CREATE TABLE ledger (
      -- Occurrences that were seen. Writer: the system pipeline's commit, one row per event. Retention deletes what has expired.
      key BLOB PRIMARY KEY, seq INTEGER NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE state (
      -- Cartridges' memory. Writer: the pipeline's commit. Lives until the cartridge sets it to nothing or is removed; retention
      -- deletes what has expired.
      cartridge TEXT NOT NULL, partition INTEGER NOT NULL DEFAULT 0, key TEXT NOT NULL, value BLOB NOT NULL, expires INTEGER,
      PRIMARY KEY (cartridge, partition, key)) WITHOUT ROWID
    """,
    """
    CREATE TABLE timer (
      -- Durable due times. Writer: commit. A row lives until it fires or is cleared.
      partition INTEGER NOT NULL DEFAULT 0, owner TEXT NOT NULL, key TEXT NOT NULL, due INTEGER NOT NULL, body BLOB NOT NULL,
      PRIMARY KEY (partition, owner, key)) WITHOUT ROWID
    """,
    "CREATE INDEX timer_due ON timer (due)",
    """
    CREATE TABLE notification (
      -- What people handle. Writers: the system projection and moves. Archived by people or age, purged by retention.
      -- settled: 0 while it is open, so that one unique index finds the open one, and the newest of the resolved.
      -- rank: the order of the inbox in one number: open, resolved, archived; then level; then the last change.
      id INTEGER PRIMARY KEY, life TEXT NOT NULL, life_key TEXT NOT NULL, audience TEXT NOT NULL, level INTEGER NOT NULL,
      domain TEXT NOT NULL, type TEXT NOT NULL, entity TEXT, title TEXT NOT NULL, actionable INTEGER NOT NULL,
      seq INTEGER NOT NULL, opened_seq INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
      agent_state TEXT NOT NULL, agent TEXT, lease_token INTEGER NOT NULL, lease_due INTEGER, claimed_at INTEGER,
      resolved_at INTEGER, resolution BLOB, archived_at INTEGER, silenced_by TEXT, silenced_until INTEGER, due INTEGER, watched BLOB,
      ver INTEGER NOT NULL, news INTEGER NOT NULL, changed_pos INTEGER NOT NULL,
      settled INTEGER AS (CASE WHEN agent_state = 'resolved' THEN id ELSE 0 END) VIRTUAL,
      rank INTEGER AS ((CASE WHEN archived_at IS NOT NULL THEN 0 WHEN agent_state = 'resolved' THEN 1 ELSE 2 END << 58)
                       | (level << 56) | updated_at) VIRTUAL)
    """,
    "CREATE UNIQUE INDEX notification_life ON notification (life, life_key, settled) WHERE archived_at IS NULL",
    # agent_state rides along so that counting the unclaimed ones never leaves the index.
    "CREATE INDEX notification_rank ON notification (rank, id, agent_state)",
    "CREATE INDEX notification_due ON notification (due) WHERE due IS NOT NULL",
    "CREATE INDEX notification_silenced ON notification (silenced_by, id) WHERE silenced_by IS NOT NULL",
    """
    CREATE TABLE notification_event (
      -- Which records made a notification what it is. Writers and age: as notification.
      notification INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (notification, seq)) WITHOUT ROWID
    """,
    "CREATE INDEX notification_event_seq ON notification_event (seq)",
    """
    CREATE TABLE member_view (
      -- Each member's own side of a notification. Writers: moves, and the system projection for their silences. Age: as notification.
      member TEXT NOT NULL, notification INTEGER NOT NULL, seen INTEGER NOT NULL, snooze_until INTEGER,
      snoozed_by TEXT,
      PRIMARY KEY (member, notification)) WITHOUT ROWID
    """,
    "CREATE INDEX member_view_notification ON member_view (notification)",
    "CREATE INDEX member_view_snoozed ON member_view (snoozed_by) WHERE snoozed_by IS NOT NULL",
    """
    CREATE TABLE outbox (
      -- Effects that are owed. Writers: commit and claim. Done ones go with their record, by retention.
      id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL, pipeline TEXT NOT NULL, seq INTEGER NOT NULL,
      body BLOB NOT NULL, group_key TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL, attempt_id TEXT NOT NULL,
      lease INTEGER, next_at INTEGER NOT NULL, answer_seq INTEGER)
    """,
    "CREATE INDEX outbox_owed ON outbox (state, next_at, kind) WHERE state <> 'done'",
    "CREATE INDEX outbox_seq ON outbox (seq)",
    """
    CREATE TABLE reject (
      -- What never became an event. Writers: append and commit. Only the newest 10,000 are kept.
      id INTEGER PRIMARY KEY, channel TEXT NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL, raw BLOB NOT NULL)
    """,
    """
    CREATE TABLE unit (
      -- Files that people write, as last read. Writer: discovery, through commit. One row per file.
      path TEXT PRIMARY KEY, mtime INTEGER NOT NULL, size INTEGER NOT NULL, inode INTEGER NOT NULL, hash TEXT NOT NULL,
      manifest BLOB NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, strikes INTEGER NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE meta (
      -- Facts about the workspace: epoch, term, trimmed.log, trimmed.feed, notification.last. Writers: commit, take_over,
      -- retention. A handful of rows, which stay.
      k TEXT PRIMARY KEY, v TEXT NOT NULL) WITHOUT ROWID
    """,
)  # fmt: skip


def first(db: Database) -> None:
    """The tables of the first release, and the epoch of a new log."""
    for statement in FIRST:
        db.conn.execute(statement)
    db.conn.execute("INSERT INTO meta VALUES ('epoch', lower(hex(randomblob(8))))")


DECISIONS = (
    """
    CREATE TABLE decision (
      -- What may act, and who said so. Writers: the commit of the pipeline that asks, of a move, of the outbox. Grows with every
      -- action that autonomy does not plainly allow; retention deletes what has ended. A number is never given twice.
      number INTEGER PRIMARY KEY AUTOINCREMENT, call TEXT NOT NULL UNIQUE, state TEXT NOT NULL, kind TEXT NOT NULL,
      name TEXT NOT NULL, pipeline TEXT NOT NULL, seq INTEGER NOT NULL, domain TEXT NOT NULL, owner TEXT NOT NULL,
      asked_at INTEGER NOT NULL, due INTEGER, decided_by TEXT NOT NULL, decided_at INTEGER, approved INTEGER NOT NULL,
      ver INTEGER NOT NULL, body BLOB NOT NULL)
    """,
    # Ends in the rowid, as every index does: the newest of a state are found without a sort.
    "CREATE INDEX decision_state ON decision (state)",
    "CREATE INDEX decision_due ON decision (due) WHERE state IN ('held', 'window') AND due IS NOT NULL",
    "CREATE INDEX decision_approved ON decision (kind, state) WHERE approved = 1",
    "CREATE INDEX decision_seq ON decision (seq)",
    "CREATE INDEX decision_asked ON decision (asked_at)",
    """
    CREATE TABLE package (
      -- The files of installed cartridges, by what they hash to. Writer: the commit that installs. Retention deletes what no
      -- installed row and no open decision names.
      digest TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE installed (
      -- Versions of cartridges that came from elsewhere. Writer: the commits that install, promote, roll back and remove. A row
      -- for each version in each place; it stays until it is removed for good.
      place TEXT NOT NULL, id TEXT NOT NULL, version TEXT NOT NULL, digest TEXT NOT NULL, active INTEGER NOT NULL,
      runs TEXT NOT NULL, origin TEXT NOT NULL, by TEXT NOT NULL, at INTEGER NOT NULL, decision INTEGER NOT NULL,
      PRIMARY KEY (place, id, digest)) WITHOUT ROWID
    """,
    "CREATE UNIQUE INDEX installed_active ON installed (place, id) WHERE active = 1",
)  # fmt: skip


def decisions(db: Database) -> None:
    """What autonomy decides about, and cartridges that are installed."""
    for statement in DECISIONS:
        db.conn.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (first, decisions)


def version_of(db: sqlite3.Connection) -> int:
    """How many migrations this file has seen."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def check_version(found: int, path: Path, current: int = len(MIGRATIONS)) -> bool:
    """Whether migrations are pending. Raises `Misconfigured` for a file that a newer eventctl wrote."""
    if found > current:
        raise Misconfigured(
            f"this workspace was written by a newer eventctl (schema {found}, this one knows {current})",
            where=str(path),
            hint="upgrade eventctl, or restore a backup from before the upgrade",
        )
    return found < current


def upgrade(path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Run every pending migration in one transaction. Raises `TryLater` while another process does so."""
    with _only_upgrader(path):
        db = sqlite3.connect(path, timeout=5, isolation_level=None)
        try:
            found = version_of(db)
            if not check_version(found, path, len(migrations)):
                return
            if found == 0:
                _prepare(db, path)
            _migrate(db, migrations)
        finally:
            db.close()


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """What must be settled before the first table exists."""
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise Misconfigured("this is some other program's SQLite database", where=str(path), hint="give another --workspace")
    db.execute("PRAGMA auto_vacuum=INCREMENTAL")
    db.execute("PRAGMA journal_mode=WAL")


def _migrate(db: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    from sqlite_utils import Database, Migrations

    known = Migrations("eventctl")
    for number, migration in enumerate(migrations, start=1):
        known(name=f"{number:03}_{migration.__name__}")(migration)
    db.execute("BEGIN IMMEDIATE")
    try:
        known.apply(Database(db))
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute(f"PRAGMA user_version={len(migrations)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def _only_upgrader(path: Path) -> Iterator[None]:
    handle = os.open(path.with_name("upgrade.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TryLater("the workspace is being upgraded", where=str(path), hint="try again in a moment") from None
        yield
    finally:
        os.close(handle)
