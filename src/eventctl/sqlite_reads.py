"""What the SQLite store reads for the runner: streams, the snapshot of a batch, what is due.

A set of keys becomes a table `want` of one of a few fixed sizes, filled up with NULL, which equals nothing: so a statement is
compiled once per size and not once per batch. SQLite walks such a table as it stands; `IN (?,?,…)` it sorts into a tree first, which
took as long as the search itself.
"""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from eventctl.notification import MemberView, Notification
from eventctl.store import (
    DUE_MAX,
    CursorRow,
    DecisionRow,
    ExceptionRow,
    FeedRow,
    InstalledRow,
    Keys,
    Kind,
    LedgerRow,
    LogRow,
    OutboxRow,
    Snapshot,
    TimerRow,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence

LOG_COLUMNS = ", ".join(LogRow._fields)
OUTBOX_COLUMNS = ", ".join(OutboxRow._fields)
EXCEPTION_COLUMNS = ", ".join(ExceptionRow._fields)
TIMER_COLUMNS = ", ".join(TimerRow._fields)
CURSOR_COLUMNS = ", ".join(CursorRow._fields)
DECISION_COLUMNS = ", ".join(DecisionRow._fields)
NOTIFICATION_COLUMNS = ", ".join(f"n.{name}" for name in Notification._fields)

_SIZES = (1, 4, 16, 64, 128, 256, 512)

# Rows become NamedTuples without going through __new__'s Python-level argument list: 0.1 us each instead of 0.4.
log_row: Callable[[Any], LogRow] = partial(tuple.__new__, LogRow)
feed_row: Callable[[Any], FeedRow] = partial(tuple.__new__, FeedRow)
exception_row: Callable[[Any], ExceptionRow] = partial(tuple.__new__, ExceptionRow)
ledger_row: Callable[[Any], LedgerRow] = partial(tuple.__new__, LedgerRow)
timer_row: Callable[[Any], TimerRow] = partial(tuple.__new__, TimerRow)
outbox_row: Callable[[Any], OutboxRow] = partial(tuple.__new__, OutboxRow)
cursor_row: Callable[[Any], CursorRow] = partial(tuple.__new__, CursorRow)
_notification: Callable[[Any], Notification] = partial(tuple.__new__, Notification)
member_view: Callable[[Any], MemberView] = partial(tuple.__new__, MemberView)


def notification_row(row: Sequence[Any]) -> Notification:
    values = list(row)
    values[9] = bool(values[9])  # actionable: SQLite has no booleans
    return _notification(values)


def decision_row(row: Sequence[Any]) -> DecisionRow:
    values = list(row)
    values[13] = bool(values[13])
    return DecisionRow(*values)


def outbox_rows(rows: Iterable[Any]) -> list[OutboxRow]:
    return list(map(outbox_row, rows))


@lru_cache(maxsize=256)
def _sized(statement: str, slot: str, size: int) -> str:
    return statement.replace("{keys}", ",".join([slot] * size))


def _parts(keys: Sequence[Any], filler: Any) -> Iterator[list[Any]]:
    for start in range(0, len(keys), _SIZES[-1]):
        part = list(keys[start : start + _SIZES[-1]])
        size = next(size for size in _SIZES if size >= len(part))
        yield part + [filler] * (size - len(part))


def by_key(db: sqlite3.Connection, statement: str, keys: Sequence[Any], *after: Any) -> Iterator[Any]:
    """Rows of a SELECT that joins `want`, a table of the keys (a); `after` are the statement's own parameters."""
    for part in _parts(keys, None):
        values = _sized("WITH want (a) AS (VALUES {keys}) ", "(?)", len(part))
        yield from db.execute(values + statement, [*part, *after] if after else part)


def by_pair(db: sqlite3.Connection, statement: str, keys: Sequence[tuple[Any, Any]]) -> Iterator[Any]:
    """Rows of a SELECT that joins `want`, a table of the pairs (a, b)."""
    for part in _parts(keys, (None, None)):
        values = _sized("WITH want (a, b) AS (VALUES {keys}) ", "(?,?)", len(part))
        yield from db.execute(values + statement, list(chain.from_iterable(part)))


_LEDGER = "SELECT key, seq, expires FROM want CROSS JOIN ledger ON key = a"
_NOTIFICATIONS = f"SELECT {NOTIFICATION_COLUMNS} FROM want CROSS JOIN notification AS n ON id = a"
_RECORDS = f"SELECT {LOG_COLUMNS} FROM want CROSS JOIN log ON seq = a"
_ANNOTATIONS = "SELECT seq, slot, value FROM want CROSS JOIN annotation ON seq = a"
_IDENTITIES = f"SELECT {LOG_COLUMNS} FROM want CROSS JOIN log ON source = a AND id = b"
_STATES = "SELECT key, value FROM want CROSS JOIN state ON cartridge = ? AND partition = 0 AND key = a"
EXCEPTIONS = f"SELECT {EXCEPTION_COLUMNS} FROM want CROSS JOIN exception ON pipeline = a AND seq = b"
_MEMBER_VIEWS = "SELECT member_view.* FROM want CROSS JOIN member_view ON member = a AND notification = b"
_DECISIONS = f"SELECT {DECISION_COLUMNS} FROM want CROSS JOIN decision ON call = a"
_APPROVALS = """SELECT kind, count(*) FROM want CROSS JOIN decision INDEXED BY decision_approved
  ON kind = a AND approved = 1 AND state NOT IN ('undoing', 'undone') GROUP BY kind"""
_DECISION_LAST = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'decision'), 0)"
_LIVES = f"""SELECT {NOTIFICATION_COLUMNS} FROM want CROSS JOIN notification AS n ON n.id = (
  SELECT CASE settled WHEN 0 THEN id ELSE
    (SELECT max(settled) FROM notification WHERE life = a AND life_key = b AND archived_at IS NULL) END
  FROM notification WHERE life = a AND life_key = b AND archived_at IS NULL ORDER BY settled LIMIT 1)"""
_AGEING = f"SELECT {NOTIFICATION_COLUMNS} FROM notification AS n WHERE due <= ? ORDER BY due, id LIMIT ?"
_SILENCED = f"""SELECT {NOTIFICATION_COLUMNS} FROM notification AS n INDEXED BY notification_silenced
  WHERE silenced_by IS NOT NULL AND (silenced_until <= ?1 OR silenced_by = ?2) ORDER BY id LIMIT ?3"""
_NOTIFICATION_LAST = """SELECT max(coalesce((SELECT max(id) FROM notification), 0),
  coalesce((SELECT CAST(v AS INTEGER) FROM meta WHERE k = 'notification.last'), 0))"""


def snapshot(db: sqlite3.Connection, keys: Keys) -> Snapshot:
    lives = [notification_row(row) for row in by_pair(db, _LIVES, keys.lives)]
    notifications = [notification_row(row) for row in by_key(db, _NOTIFICATIONS, keys.notifications)]
    identities = [log_row(row) for row in by_pair(db, _IDENTITIES, keys.identities)]
    annotations: dict[int, dict[str, bytes]] = {}
    for seq, slot, value in by_key(db, _ANNOTATIONS, keys.annotations):
        annotations.setdefault(seq, {})[slot] = value
    by, before = keys.silenced_by, keys.silenced_before
    quiet = [] if by is None and before is None else db.execute(_SILENCED, (before, by, DUE_MAX))
    return Snapshot(
        ledger={row[0]: ledger_row(row) for row in by_key(db, _LEDGER, list(map(bytearray, keys.ledger)))},
        lives={(row.life, row.life_key): row for row in lives},
        notifications={row.id: row for row in notifications},
        states=_states(db, keys.states),
        exceptions={(row[0], row[1]): exception_row(row) for row in by_pair(db, EXCEPTIONS, keys.exceptions)},
        records={row[0]: log_row(row) for row in by_key(db, _RECORDS, keys.records)},
        identities={(row.source, row.id): row for row in identities},
        annotations=annotations,
        member_views={(row[0], row[1]): member_view(row) for row in by_pair(db, _MEMBER_VIEWS, keys.member_views)},
        notification_last=db.execute(_NOTIFICATION_LAST).fetchone()[0],
        decisions={row[1]: decision_row(row) for row in by_key(db, _DECISIONS, keys.decisions)},
        approvals=dict(by_key(db, _APPROVALS, list(dict.fromkeys(keys.approvals)))),
        decision_last=db.execute(_DECISION_LAST).fetchone()[0] if keys.decisions else 0,
        due=[] if keys.due_before is None else list(map(notification_row, db.execute(_AGEING, (keys.due_before, DUE_MAX)))),
        silenced=list(map(notification_row, quiet)),
    )


def _states(db: sqlite3.Connection, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
    """By cartridge, for a list of keys costs half of what a list of pairs does, and one cartridge asks for hundreds."""
    keys: dict[str, list[str]] = {}
    for cartridge, key in wanted:
        keys.setdefault(cartridge, []).append(key)
    return {(cartridge, key): value for cartridge, mine in keys.items() for key, value in by_key(db, _STATES, mine, cartridge)}


def read_log(db: sqlite3.Connection, after: int, limit: int, kinds: Sequence[Kind]) -> list[LogRow]:
    only = f"AND kind IN ({','.join('?' * len(kinds))})" if kinds else ""
    statement = f"SELECT {LOG_COLUMNS} FROM log WHERE seq > ? {only} ORDER BY seq LIMIT ?"
    return list(map(log_row, db.execute(statement, (after, *kinds, limit))))


def read_feed(db: sqlite3.Connection, after: int, limit: int) -> list[FeedRow]:
    rows = db.execute("SELECT pos, seq, type, why FROM feed WHERE pos > ? ORDER BY pos LIMIT ?", (after, limit))
    return list(map(feed_row, rows))


def history(db: sqlite3.Connection, entity: str, before: int, limit: int, pattern: str) -> list[LogRow]:
    fits = "" if pattern == "**" else "AND fits(?, type)"
    statement = f"""SELECT {LOG_COLUMNS} FROM log INDEXED BY log_entity
      WHERE entity = ? AND seq < ? AND kind = 'event' {fits} ORDER BY seq DESC LIMIT ?"""
    given = (entity, before, limit) if pattern == "**" else (entity, before, pattern, limit)
    return list(map(log_row, db.execute(statement, given)))


# One ordered range per state, merged: a sort of everything that is due would grow with the backlog.
_DUE = f"""SELECT {OUTBOX_COLUMNS} FROM outbox WHERE rowid IN (
  SELECT rowid FROM (SELECT rowid, next_at FROM outbox INDEXED BY outbox_owed
    WHERE state = 'pending' AND state <> 'done' AND next_at <= ?1 {{only}} ORDER BY next_at, kind, rowid LIMIT ?2)
  UNION ALL
  SELECT rowid FROM (SELECT rowid, next_at FROM outbox INDEXED BY outbox_owed
    WHERE state = 'retry' AND state <> 'done' AND next_at <= ?1 {{only}} ORDER BY next_at, kind, rowid LIMIT ?2))
  ORDER BY next_at, kind, rowid LIMIT ?2"""


def due_outbox(db: sqlite3.Connection, now: int, limit: int, kinds: Sequence[str]) -> list[OutboxRow]:
    marks = ",".join(f"?{n}" for n in range(3, 3 + len(kinds)))
    statement = _DUE.format(only=f"AND kind IN ({marks})" if kinds else "")
    return outbox_rows(db.execute(statement, (now, limit, *kinds)))


def overdue(db: sqlite3.Connection, now: int, limit: int) -> list[OutboxRow]:
    statement = f"""SELECT {OUTBOX_COLUMNS} FROM outbox
      WHERE state = 'sending' AND state <> 'done' AND lease <= ? ORDER BY lease, rowid LIMIT ?"""
    return outbox_rows(db.execute(statement, (now, limit)))


def due_timers(db: sqlite3.Connection, now: int, limit: int) -> list[TimerRow]:
    rows = db.execute(
        f"SELECT {TIMER_COLUMNS} FROM timer WHERE due <= ? ORDER BY due, partition, owner, key LIMIT ?", (now, limit)
    )
    return list(map(timer_row, rows))


def due_decisions(db: sqlite3.Connection, now: int, limit: int) -> list[DecisionRow]:
    statement = f"""SELECT {DECISION_COLUMNS} FROM decision INDEXED BY decision_due
      WHERE state IN ('held', 'window') AND due <= ? ORDER BY due, number LIMIT ?"""
    return list(map(decision_row, db.execute(statement, (now, limit))))


def installed(db: sqlite3.Connection) -> list[InstalledRow]:
    statement = f"SELECT {', '.join(InstalledRow._fields)} FROM installed ORDER BY place, id, at, digest"
    return [InstalledRow(*row)._replace(active=bool(row[4])) for row in db.execute(statement)]


def due_retries(db: sqlite3.Connection, pipeline: str, now: int, limit: int) -> list[ExceptionRow]:
    statement = f"""SELECT {EXCEPTION_COLUMNS} FROM exception INDEXED BY exception_due
      WHERE pipeline = ? AND state = 'retry' AND due <= ? ORDER BY pos, seq LIMIT ?"""
    return list(map(exception_row, db.execute(statement, (pipeline, now, limit))))


def exceptions_of(db: sqlite3.Connection, pipeline: str, states: Sequence[str]) -> list[ExceptionRow]:
    if not states:
        return []
    statement = f"{exceptions_in(states)} AND pipeline = ? ORDER BY pos, seq"
    return list(map(exception_row, db.execute(statement, (*states, pipeline))))


def exceptions_in(states: Sequence[str]) -> str:
    """The beginning of a SELECT of exceptions in these states: unless drops are wanted, by the index that leaves them out."""
    source = "exception WHERE" if "dropped" in states else "exception INDEXED BY exception_state WHERE state <> 'dropped' AND"
    return f"SELECT {EXCEPTION_COLUMNS} FROM {source} state IN ({','.join('?' * len(states))})"


_NEXT_DUE = """SELECT min(at) FROM (
  SELECT min(due) AS at FROM timer
  UNION ALL SELECT min(due) FROM exception WHERE state = 'retry'
  UNION ALL SELECT min(next_at) FROM outbox WHERE state = 'pending' AND state <> 'done'
  UNION ALL SELECT min(next_at) FROM outbox WHERE state = 'retry' AND state <> 'done'
  UNION ALL SELECT min(lease) FROM outbox WHERE state = 'sending' AND state <> 'done'
  UNION ALL SELECT min(due) FROM decision WHERE state IN ('held', 'window') AND due IS NOT NULL)"""


def next_due(db: sqlite3.Connection) -> int | None:
    due: int | None = db.execute(_NEXT_DUE).fetchone()[0]
    return due


def tail(db: sqlite3.Connection, stream: str) -> int:
    statement = "SELECT max(seq) FROM log" if stream == "log" else "SELECT max(pos) FROM feed"
    last: int | None = db.execute(statement).fetchone()[0]
    return last or 0


def cursors(db: sqlite3.Connection) -> list[CursorRow]:
    return list(map(cursor_row, db.execute(f"SELECT {CURSOR_COLUMNS} FROM cursor ORDER BY pipeline")))


def cursor(db: sqlite3.Connection, pipeline: str) -> CursorRow | None:
    row = db.execute(f"SELECT {CURSOR_COLUMNS} FROM cursor WHERE pipeline = ? AND partition = 0", (pipeline,)).fetchone()
    return None if row is None else cursor_row(row)
