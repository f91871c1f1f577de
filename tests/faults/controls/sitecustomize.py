"""Negative controls: loaded by every Python that has this folder on its path, it breaks the store in one known way.

EVENTCTL_CONTROL names the way. A harness that does not notice proves nothing. Between the two halves of a split commit lie 20 ms, so
that dozens of kills find what would otherwise take thousands.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

GAP_S = 0.02
CONTROL = os.environ.get("EVENTCTL_CONTROL", "")


def cursor_before() -> None:
    """The cursor moves in a transaction of its own, before the effects: a kill between them loses effects."""
    from eventctl.sqlite_store import SqliteStore
    from eventctl.store import Committed, Operations

    commit = SqliteStore.commit

    def split(self: SqliteStore, operations: Operations, *, durable: bool = False) -> Committed:
        if operations.advance is not None:
            commit(self, Operations(advance=operations.advance))
            time.sleep(GAP_S)
        return commit(self, replace(operations, advance=None), durable=durable)

    SqliteStore.commit = split  # type: ignore[method-assign]


def cursor_after() -> None:
    """The effects are committed first and the cursor afterwards: a kill between them applies effects twice."""
    from eventctl.sqlite_store import SqliteStore
    from eventctl.store import Committed, Operations

    commit = SqliteStore.commit

    def split(self: SqliteStore, operations: Operations, *, durable: bool = False) -> Committed:
        done = commit(self, replace(operations, advance=None), durable=durable)
        if operations.advance is not None:
            time.sleep(GAP_S)
            commit(self, Operations(advance=operations.advance))
        return done

    SqliteStore.commit = split  # type: ignore[method-assign]


def read_then_begin() -> None:
    """The cursor is set to where this runner thinks it is, whoever moved it meanwhile."""
    from eventctl import sqlite_writes

    sqlite_writes._ADVANCE = (
        "UPDATE cursor SET pos = ?1, applied = applied + ?2, dropped = dropped + ?3, quarantined = quarantined + ?4,"
        " dead = dead + ?5, waiting = waiting + ?6 WHERE pipeline = ?7 AND ?8 >= 0 AND ?9 >= 0"
    )


def never_sync() -> None:
    """Every connection is NORMAL: a commit is only in the page cache when somebody hears "ok"."""
    import sqlite3

    real = sqlite3.connect

    class Lazy(sqlite3.Connection):
        def execute(self, statement: str, *args: object) -> sqlite3.Cursor:  # type: ignore[override]
            if statement.lower().replace(" ", "").startswith("pragmasynchronous="):
                statement = "PRAGMA synchronous=NORMAL"
            return super().execute(statement, *args)  # type: ignore[arg-type]

    def connect(*args: object, **more: object) -> sqlite3.Connection:
        more.setdefault("factory", Lazy)
        return real(*args, **more)  # type: ignore[call-overload, no-any-return]

    sqlite3.connect = connect  # type: ignore[assignment]


def decision_repeats() -> None:
    """A decision whose end nobody saw is tried again, as a plain call is."""
    from eventctl import decisions
    from eventctl.outbox import Outbox, Worked
    from eventctl.store import Operations, OutboxChange, OutboxRow

    settle = Outbox._settle

    def again(self: Outbox, row: OutboxRow, now: int, worked: Worked) -> None:
        if row.kind != decisions.KIND:
            return settle(self, row, now, worked)
        worked.retried += 1
        self._commit(Operations(outbox_changed=[OutboxChange(row.id, row.attempt_id, "retry", now)]))
        return None

    Outbox._settle = again  # type: ignore[method-assign]


def emit_apart() -> None:
    """The event of a decision is appended before the commit that says so."""
    from eventctl.ids import uuid7
    from eventctl.outbox import Outbox, Worked, wished_event
    from eventctl.store import OutboxRow, Record

    made = Outbox._emit

    def apart(self: Outbox, row: OutboxRow, now: int, worked: Worked) -> None:
        record = wished_event(row, now)
        if isinstance(record, Record):
            self._store.append([record._replace(id=uuid7(now))])
        made(self, row, now, worked)

    Outbox._emit = apart  # type: ignore[method-assign]


def decision_unfenced() -> None:
    """A decision is written over whatever became of it meanwhile."""
    from eventctl import sqlite_writes
    from eventctl.store import DecisionRow

    place = DecisionRow._fields.index("ver") + 1
    sqlite_writes._DECIDED = sqlite_writes._DECIDED.replace(f"ver = ?{place} - 1", f"?{place} > 0")


def leave_first() -> None:
    """A promotion deletes the files before it writes them elsewhere."""
    import shutil
    from collections.abc import Mapping
    from pathlib import Path

    from eventctl import carrying

    put, read, stood = carrying.put, carrying.read, list[Path]()

    def remember(path: Path) -> dict[str, bytes]:
        stood.append(path)
        return read(path)

    def gone_first(files: Mapping[str, bytes], folder: Path) -> None:
        for entry in carrying.entries(stood[-1]):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        put(files, folder)

    carrying.read, carrying.put, carrying.leave = remember, gone_first, lambda _path, _files: None


def package_apart() -> None:
    """What is installed is committed first, and its files after it."""
    from eventctl.sqlite_store import SqliteStore
    from eventctl.store import Committed, Operations

    commit = SqliteStore.commit

    def split(self: SqliteStore, operations: Operations, *, durable: bool = False) -> Committed:
        done = commit(self, replace(operations, packages=[]), durable=durable)
        if operations.packages:
            time.sleep(10 * GAP_S)
            commit(self, Operations(packages=operations.packages), durable=durable)
        return done

    SqliteStore.commit = split  # type: ignore[method-assign]


CONTROLS = {
    "leave-first": leave_first,
    "package-apart": package_apart,
    "decision-repeats": decision_repeats,
    "emit-apart": emit_apart,
    "decision-unfenced": decision_unfenced,
    "cursor-before": cursor_before,
    "cursor-after": cursor_after,
    "read-then-begin": read_then_begin,
    "never-sync": never_sync,
}
if CONTROL:
    CONTROLS[CONTROL]()
