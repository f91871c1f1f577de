"""Backup and restore of a workspace's memory, the one file that cannot be written again.

A backup is taken through SQLite's own backup call while everything goes on working; copying the file by hand would tear it. A restore
starts a new life of the log: positions that others remember (peers, streams) are from the old one, and a send that the backup does
not know about may have happened, so what was owed is marked `unknown` for a person to judge. So is what a person had allowed; what
would have acted by itself after its undo window waits for a person instead, for it may have acted already.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from eventctl.errors import Conflict, EventctlError, Misconfigured, NotFound, StorageFailed, TryLater
from eventctl.migrations import APPLICATION_ID, check_version, version_of

DISK = ("SQLITE_FULL", "SQLITE_IOERR")
"""What SQLite says when it is the disk and not the file that is at fault."""

FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
BESIDE = ("", "-journal", "-wal", "-shm")


class Copied(NamedTuple):
    """A finished copy: its size, the last record in it, and (after a restore) how many owed effects became `unknown`."""

    path: Path
    bytes: int
    tail: int
    unknown: int = 0


def back_up(database: Path, target: Path) -> Copied:
    """Copy the database to `target`, which must not be there yet; it is complete, checked and synced before it has that name.

    Raises `TryLater` when the disk is full and `StorageFailed` when it fails otherwise; then nothing is left of the copy.
    """
    if target.exists():
        raise Conflict("there is a file already", where=str(target), hint="name another, or remove it")
    if not target.parent.is_dir():
        raise NotFound("there is no such folder", where=str(target.parent), hint="make it first")
    making = target.with_name(f".{target.name}.making")
    with _making(making, "copied"):
        _copy(database, making)
        copied = inspect(making)
        _sync(making)
        making.rename(target)
        _sync(target.parent)
    return copied._replace(path=target)


def restore(source: Path, database: Path, now: int) -> Copied:
    """Put a backup in the place of the database. The caller holds the runner's and the writers' lock.

    The old file stays beside it as `state.db.before-<time>`. Raises `Misconfigured` for what is no backup of ours or is newer than
    this program, `StorageFailed` for a damaged one, `TryLater` for a full disk; then nothing has changed.
    """
    inspect(source)
    making = database.with_name("restoring.db")
    with _making(making, "restored"):
        _copy(source, making)
        unknown = _begin_anew(making)
        copied = inspect(making)
        _sync(making)
        if database.exists():
            _set_aside(database, now)
        making.rename(database)
        _sync(database.parent)
    return copied._replace(path=database, unknown=unknown)


def inspect(path: Path) -> Copied:
    """Whether this is a whole database of ours, and how far it goes."""
    if not path.exists():
        raise NotFound("there is no such file", where=str(path))
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise Misconfigured(
                "this is no backup of an eventctl workspace", where=str(path), hint="name a file that `eventctl backup` made"
            )
        check_version(version_of(db), path)
        verdict = db.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            raise StorageFailed(f"the copy is damaged ({verdict})", where=str(path), hint="take another backup")
        return Copied(path, path.stat().st_size, db.execute("SELECT coalesce(max(seq), 0) FROM log").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "").startswith(DISK):
            raise _failed(error, path, "read") from error
        raise Misconfigured(f"this is no backup of an eventctl workspace ({error})", where=str(path)) from error
    finally:
        db.close()


@contextmanager
def _making(path: Path, done: str) -> Iterator[None]:
    """A file that is being made: nothing of it is left under that name, and what the disk says is said in a sentence."""
    try:
        _remove(path)
        path.touch(mode=0o600)
        yield
    except (sqlite3.OperationalError, OSError) as error:
        raise _failed(error, path.parent, done) from error
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    for suffix in BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _failed(error: sqlite3.DatabaseError | OSError, where: Path, done: str) -> EventctlError:
    name = getattr(error, "sqlite_errorname", "")
    if name in FULL or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
        return TryLater(f"the disk is full; nothing was {done}", where=str(where), hint="free some space, then try again")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TryLater("another process is writing", where=str(where), hint="try again in a moment")
    said = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return StorageFailed(
        f"the disk refused ({said}); nothing was {done}", where=str(where), hint="`eventctl doctor` looks at it"
    )


def _copy(source: Path, target: Path) -> None:
    reading = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
    writing = sqlite3.connect(target)
    try:
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself
    finally:
        writing.close()
        reading.close()


def _begin_anew(path: Path) -> int:
    """A new epoch; what was owed is unknown, and what was about to act waits for a person. Returns how many effects that were."""
    db = sqlite3.connect(path)
    try:
        with db:
            db.execute("UPDATE meta SET v = lower(hex(randomblob(8))) WHERE k = 'epoch'")
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'decision'").fetchone():  # a backup may be older than that
                db.execute(
                    "UPDATE decision SET state = 'unknown', due = NULL, ver = ver + 1 WHERE state IN ('approved', 'undoing')"
                )
                db.execute("UPDATE decision SET state = 'held', due = NULL, ver = ver + 1 WHERE state = 'window'")
            unknown = db.execute("UPDATE outbox SET state = 'unknown' WHERE state IN ('pending', 'sending', 'retry')").rowcount
        db.execute("PRAGMA journal_mode=WAL")
    finally:
        db.close()
    return unknown


def _set_aside(database: Path, now: int) -> None:
    """Move the old database away, with its WAL folded into it."""
    db = sqlite3.connect(database)
    try:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        db.close()
    database.rename(database.with_name(f"{database.name}.before-{now}"))
    for leftover in ("-wal", "-shm"):
        database.with_name(database.name + leftover).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
