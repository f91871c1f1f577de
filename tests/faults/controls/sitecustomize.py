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


CONTROLS = {
    "cursor-before": cursor_before,
    "cursor-after": cursor_after,
    "read-then-begin": read_then_begin,
    "never-sync": never_sync,
}
if CONTROL:
    CONTROLS[CONTROL]()
