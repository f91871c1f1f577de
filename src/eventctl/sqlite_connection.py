"""An open database file: who may write how, transactions, and the one place where SQLite's errors become ours.

Five roles. A `runner` commits often and may redo what a power cut takes, so it syncs only when somebody is told "ok". An `appender`
and a `short` connection always sync; the short one holds `writer.lock` from before it opens until it closes, so that a hundred
concurrent commands queue there and not inside SQLite. A `reader` cannot write. A `scratch` is a file that nobody else opens and
nobody keeps: it never syncs and keeps no log of its writes. Exactly one connection checkpoints
(SQLite before 3.51.3 can lose a WAL that two connections reset), and none maps the file into memory.
"""

from __future__ import annotations

import fcntl
import os
import random
import sqlite3
import time
from contextlib import contextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from eventctl.errors import Conflict, EventctlError, NotFound, StorageFailed, TryLater
from eventctl.migrations import MIGRATIONS, check_version, upgrade, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Role = Literal["runner", "appender", "short", "reader", "scratch"]

RESERVE_BYTES = 8 << 20
"""Given back when the disk is full: deleting and checkpointing need room too, and so does the record that says so."""

WAL_TRUNCATE_BYTES = 8 << 20
SCRATCH_CACHE_KIB = 64_000
"""A rebuild visits the whole of its indexes again and again; a million records have 150 MB of them."""

_SYNCHRONOUS = {"runner": "NORMAL", "scratch": "OFF"}
LOCK_WAIT_S = 30.0

P = ParamSpec("P")
R = TypeVar("R")


class Connection:
    """One connection in one role. `db` is in autocommit; writes go through `transaction`."""

    def __init__(self, path: Path, role: Role, *, checkpointer: bool = False) -> None:
        self.path = path
        self.role = role
        self.checkpointer = checkpointer
        self._lock = take_lock(path.with_name("writer.lock")) if role == "short" else None
        try:
            self.db = _open(path, role, checkpointer)
        except BaseException as error:
            self._unlock()
            known = self.translated(error) if isinstance(error, sqlite3.Error) else None
            if known is None:
                raise
            raise known from error

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """All of it or nothing; with `durable`, on the disk before it returns (only a runner ever writes otherwise)."""
        db = self.db
        raised = durable and self.role == "runner"
        if raised:
            db.execute("PRAGMA synchronous=FULL")
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                check_version(version_of(db), self.path)
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        finally:
            if raised:
                db.execute("PRAGMA synchronous=NORMAL")

    def checkpoint(self) -> int:
        """Move what the WAL holds into the database; empties the WAL once it is over 8 MB. Returns the WAL's bytes after."""
        self.db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if self.wal_bytes() > WAL_TRUNCATE_BYTES:
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self.wal_bytes()

    def wal_bytes(self) -> int:
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def make_room(self) -> bool:
        """Give the reserve back to a full disk; False if it is already gone."""
        try:
            self.path.with_name("reserve").unlink()
        except FileNotFoundError:
            return False
        return True

    def translated(self, error: sqlite3.Error) -> EventctlError | None:
        """What a person can do about it; None for a bug."""
        name = getattr(error, "sqlite_errorname", "")
        where = str(self.path)
        # A WAL index that cannot grow is reported as an I/O error, but it is the same full disk.
        if name in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"):
            if self.role in ("runner", "appender"):
                self.make_room()
            return TryLater("the disk is full; nothing was written", where=where, hint="free some space, then try again")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return TryLater("another process is writing", where=where, hint="try again in a moment")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return StorageFailed(f"the database is damaged ({error})", where=where, hint="run `eventctl doctor`")
        if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")) and not os.access(self.path.parent, os.W_OK):
            return StorageFailed(
                "the workspace cannot be written here, and even reading the log needs that",
                where=where,
                hint="mount it writable, or copy the whole workspace to where you may write",
            )
        if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
            return StorageFailed(
                f"the disk refused ({error}, {name})", where=where, hint="check the disk, then `eventctl doctor`"
            )
        if name in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"):
            return Conflict("somebody else was first", where=where)
        return None

    def close(self) -> None:
        self.db.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class HasConnection(Protocol):
    """What `guarded` verbs belong to."""

    @property
    def connection(self) -> Connection: ...


S = TypeVar("S", bound=HasConnection)


def guarded(verb: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A verb whose SQLite errors come out as ours."""

    @wraps(verb)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return verb(self, *args, **kwargs)
        except sqlite3.Error as error:
            known = self.connection.translated(error)
            if known is None:
                raise
            raise known from error

    return run


def take_lock(path: Path, wait_s: float = LOCK_WAIT_S) -> int:
    """An exclusive lock on a file, as an open descriptor; closing it lets go. Raises `TryLater` after `wait_s`."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(handle)
                raise TryLater("other commands are writing", where=str(path), hint="try again in a moment") from None
            time.sleep(random.uniform(0.001, 0.004))


def make_file(path: Path) -> None:
    """An empty file that only its owner may read, in a directory that only its owner may enter."""
    missing = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    if missing:  # one that was there before is not ours to close
        path.parent.chmod(0o700)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        raise Conflict("a database is already here", where=str(path), hint="open it, or choose another place") from None
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def set_aside(path: Path, size: int = RESERVE_BYTES) -> bool:
    """Write the reserve file, if it is not there and there is twice its room; whether it is there afterwards."""
    reserve = path.with_name("reserve")
    if reserve.exists():
        return True
    disk = os.statvfs(path.parent)
    if disk.f_bavail * disk.f_frsize < 2 * size:
        return False
    try:
        handle = os.open(reserve, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            for _ in range(0, size, 1 << 20):  # written, not fallocated: macOS has none, and holes hold no room
                os.write(handle, bytes(min(size, 1 << 20)))
        finally:
            os.close(handle)
    except OSError:
        with suppress(FileNotFoundError):
            reserve.unlink()
        return False
    return True


def _open(path: Path, role: Role, checkpointer: bool) -> sqlite3.Connection:
    if not path.exists():
        raise NotFound("there is no workspace database here", where=str(path), hint="run `eventctl init`")
    mode = "ro" if role == "reader" else "rw"
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=5, isolation_level=None, cached_statements=256
    )
    try:
        if check_version(version_of(db), path):
            upgrade(path, MIGRATIONS)
        db.execute("PRAGMA trusted_schema=OFF")
        db.execute("PRAGMA mmap_size=0")
        db.execute("PRAGMA temp_store=MEMORY")
        db.execute(f"PRAGMA synchronous={_SYNCHRONOUS.get(role, 'FULL')}")
        # Checkpoints belong to idle moments (`checkpoint`); the number is a net for a checkpointer that never has one.
        db.execute(f"PRAGMA wal_autocheckpoint={4000 if checkpointer else 0}")
        db.create_function("fits", 2, _fits, deterministic=True)
        if role == "reader":
            db.execute("PRAGMA query_only=ON")
        elif role == "scratch":
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=MEMORY")
            db.execute(f"PRAGMA cache_size=-{SCRATCH_CACHE_KIB}")
        else:
            db.execute("PRAGMA secure_delete=FAST")
            db.execute("PRAGMA cache_size=-8000")
    except BaseException:
        db.close()
        raise
    return db


def _fits(pattern: str, name: str) -> bool:
    from eventctl.patterns import matches  # emit never asks

    return matches(pattern, name)
