"""What the SQLite store writes: every statement that changes a row is in this file.

Rows go from NamedTuples straight into `executemany`, so the order of a table's columns is the order of its tuple's fields. A
precondition is part of the statement, and the count of changed rows says whether it held.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from eventctl.errors import Conflict
from eventctl.notification import Notification
from eventctl.sqlite_reads import DECISION_COLUMNS, EXCEPTION_COLUMNS, LOG_COLUMNS, OUTBOX_COLUMNS, by_pair
from eventctl.store import (
    REJECTS_MAX,
    Advance,
    Appended,
    Committed,
    CursorRow,
    DecisionRow,
    Operations,
    OutboxRow,
    Record,
    gone_key,
    row_hash,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

AT_ONCE = 20
"""Rows that one statement inserts: stepping and resetting it for each was a third of what a narrow row costs. More gain nothing."""

_APPEND = f"INSERT INTO log ({LOG_COLUMNS[5:]}, hash) VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id, source) DO NOTHING"
_REJECT = "INSERT INTO reject (channel, at, reason, raw) VALUES (?,?,?,?)"
_REJECTS_CAPPED = f"DELETE FROM reject WHERE id <= (SELECT max(id) FROM reject) - {REJECTS_MAX}"

_ADVANCE = """UPDATE cursor SET pos = ?, applied = applied + ?, dropped = dropped + ?, quarantined = quarantined + ?,
  dead = dead + ?, waiting = waiting + ? WHERE pipeline = ? AND partition = 0 AND pos = ? AND term = ?"""

# A live row of another seq stays as it is and is missing from the count. Live is judged at the moment of the new record.
_LEDGER = """INSERT INTO ledger VALUES (?,?,?) ON CONFLICT (key) DO UPDATE SET seq = excluded.seq, expires = excluded.expires
  WHERE ledger.seq = excluded.seq OR ledger.expires <= (SELECT at FROM log WHERE log.seq = excluded.seq)"""

_NOTIFICATION = ", ".join(Notification._fields)
_OPENED = f"INSERT INTO notification ({_NOTIFICATION}) VALUES ({','.join('?' * len(Notification._fields))})"
_TOUCH = slice(Notification._fields.index("agent_state"), Notification._fields.index("silenced_until") + 1)
_UNTOUCHED = ("none", None, 0, None, None, None, None, None, None, None)
_OPENED_NEW = (
    f"INSERT INTO notification ({', '.join(Notification._fields[: _TOUCH.start] + Notification._fields[_TOUCH.stop :])},"
    f" agent_state, lease_token) VALUES ({','.join('?' * (len(Notification._fields) - len(_UNTOUCHED)))}, 'none', 0)"
)
_CHANGED = (
    f"UPDATE notification SET {', '.join(f'{name} = ?{n}' for n, name in enumerate(Notification._fields, 1) if name != 'id')}"
    f" WHERE id = ?1 AND ver = ?{Notification._fields.index('ver') + 1} - 1"
)
_LAST_PURGED = """INSERT INTO meta SELECT 'notification.last', max(id) FROM notification HAVING max(id) IS NOT NULL
  ON CONFLICT (k) DO UPDATE SET v = max(CAST(v AS INTEGER), CAST(excluded.v AS INTEGER))"""
_PURGE = (
    "DELETE FROM notification WHERE id = ?",
    "DELETE FROM notification_event WHERE notification = ?",
    "DELETE FROM member_view WHERE notification = ?",
)

_OUTBOX_CHANGED = """UPDATE outbox SET state = ?, next_at = ?, lease = NULL, answer_seq = coalesce(?, answer_seq)
  WHERE id = ? AND attempt_id = ? AND state <> 'done'"""
_CLAIM = "UPDATE outbox SET state = 'sending', attempt = attempt + 1, attempt_id = ?, lease = ? WHERE id = ?"

_SNOOZED = """INSERT INTO member_view VALUES (?, ?, 0, ?, ?) ON CONFLICT DO UPDATE
  SET snooze_until = excluded.snooze_until, snoozed_by = excluded.snoozed_by
  WHERE coalesce(snooze_until, 0) < excluded.snooze_until"""

# Plain rows: the field of Operations and the statement that takes its tuples as they are, in the order of the commit.
_BEFORE_NOTIFICATIONS = (
    ("feed", "INSERT INTO feed (seq, type, why) VALUES (?,?,?)"),
    ("exceptions", f"INSERT OR REPLACE INTO exception ({EXCEPTION_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)"),
    ("cleared", "DELETE FROM exception WHERE pipeline = ? AND seq = ?"),
    ("annotations", "INSERT OR REPLACE INTO annotation VALUES (?,?,?)"),
)
_AFTER_NOTIFICATIONS = (
    ("member_views", "INSERT OR REPLACE INTO member_view VALUES (?,?,?,?,?)"),
    ("snoozes", _SNOOZED),
    ("outbox", f"INSERT INTO outbox ({OUTBOX_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING"),
)
_ASKED = f"""INSERT INTO decision ({DECISION_COLUMNS}) SELECT nullif(?1, 0), {", ".join(f"?{n}" for n in range(2, len(DecisionRow._fields) + 1))}
  WHERE NOT EXISTS (SELECT 1 FROM decision WHERE call = ?2)"""
_DECIDED = (
    f"UPDATE decision SET {', '.join(f'{name} = ?{n}' for n, name in enumerate(DecisionRow._fields, 1) if n > 2)}"
    f" WHERE number = ?1 AND call = ?2 AND ver = ?{DecisionRow._fields.index('ver') + 1} - 1"
)
_PACKAGE = "INSERT INTO package VALUES (?,?) ON CONFLICT (digest) DO UPDATE SET body = excluded.body"
_INACTIVE = "UPDATE installed SET active = 0 WHERE place = ? AND id = ? AND active = 1"
_INSTALLED = "INSERT OR REPLACE INTO installed VALUES (?,?,?,?,?,?,?,?,?,?)"
_UNINSTALLED = "DELETE FROM installed WHERE place = ? AND id = ? AND digest = ?"
_UNSNOOZED = "UPDATE member_view SET snooze_until = NULL, snoozed_by = NULL WHERE snoozed_by = ?"
_TOUCHED = "INSERT OR IGNORE INTO notification_event VALUES (?,?)"
_STATE_SET = "INSERT OR REPLACE INTO state (cartridge, key, value, expires) VALUES (?,?,?,?)"
_STATE_CLEARED = "DELETE FROM state WHERE cartridge = ? AND partition = 0 AND key = ?"
_TIMER = "INSERT OR REPLACE INTO timer (owner, key, due, body) VALUES (?,?,?,?)"
_TIMER_CLEARED = "DELETE FROM timer WHERE partition = 0 AND owner = ?1 AND key = ?2 AND (?3 IS NULL OR due = ?3)"
_UNIT = "INSERT OR REPLACE INTO unit VALUES (?,?,?,?,?,?,?,?,?)"
_META = "INSERT OR REPLACE INTO meta VALUES (?,?)"


def append_records(db: sqlite3.Connection, records: Sequence[Record]) -> list[Appended]:
    """Insert what is new. Seqs are contiguous within a transaction, so they are looked up only when something was a repeat."""
    if not records:
        return []
    # sqlite3 looks for an adapter for every bytes it binds (0.3 us), but not for a bytearray.
    rows = [(*record[:4], bytearray(record[4]), *record[5:], bytearray(row_hash(record))) for record in records]
    inserted = insert(db, _APPEND, rows)
    last: int = db.execute("SELECT max(seq) FROM log").fetchone()[0]
    before = last - inserted
    if inserted == len(records):
        return [Appended(seq, False) for seq in range(before + 1, last + 1)]
    identities = [(record.source, record.id) for record in records]
    found = {
        (source, name): seq
        for source, name, seq in by_pair(
            db, "SELECT source, id, seq FROM want CROSS JOIN log ON source = a AND id = b", identities
        )
    }
    answers: list[Appended] = []
    for identity in identities:
        seq = found[identity]
        answers.append(Appended(seq, seq <= before))
        before = max(before, seq)  # the second of two equal ones in this call is a repeat of the first
    return answers


@contextmanager
def indexes_last(db: sqlite3.Connection) -> Iterator[None]:
    """Fill the log first and sort its indexes afterwards: a quarter of the work of keeping them. Appends need the one on identities.

    Whoever is killed in between has a log without indexes, so this is for a file that nobody keeps.
    """
    found = db.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'log' AND sql LIKE 'CREATE INDEX %'"
    )
    indexes = found.fetchall()
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}")
    try:
        yield
    finally:
        for _, create in indexes:
            db.execute(create)


def reject(db: sqlite3.Connection, rejects: Sequence[tuple[str, int, str, bytes]]) -> None:
    if rejects:
        db.executemany(_REJECT, rejects)
        db.execute(_REJECTS_CAPPED)


def commit(db: sqlite3.Connection, operations: Operations) -> Committed:
    """Write all of it, inside the caller's transaction."""
    if operations.advance is not None:
        _advance(db, operations.advance)
    appended = append_records(db, operations.records)
    _plain(db, operations, _BEFORE_NOTIFICATIONS)
    if operations.ledger:
        # In the order of the keys, which are hashes: neighbours share a page (a quarter less time per row).
        rows = [(bytearray(key), seq, expires) for key, seq, expires in sorted(operations.ledger, key=itemgetter(0))]
        if insert(db, _LEDGER, rows) != len(rows):
            raise Conflict("an occurrence was already in the ledger")
    if operations.states:
        _states(db, operations)
    if operations.timers:
        db.executemany(_TIMER, operations.timers)
    if operations.timers_cleared:
        db.executemany(_TIMER_CLEARED, operations.timers_cleared)
    _notifications(db, operations, appended)
    _plain(db, operations, _AFTER_NOTIFICATIONS)
    if operations.unsnoozed:
        db.executemany(_UNSNOOZED, [(by,) for by in operations.unsnoozed])
    if operations.outbox_changed:
        _outbox_changed(db, operations, appended)
    reject(db, operations.rejects)
    _decide(db, operations.decisions)
    _install(db, operations)
    if operations.units:
        db.executemany(_UNIT, operations.units)
    if operations.meta:
        db.executemany(_META, operations.meta.items())
    return Committed([row.seq for row in appended], sum(row.duplicate for row in appended))


def _plain(db: sqlite3.Connection, operations: Operations, statements: Iterable[tuple[str, str]]) -> None:
    for field, statement in statements:
        rows = getattr(operations, field)
        if rows and statement.startswith("INSERT"):
            insert(db, statement, rows)
        elif rows:
            db.executemany(statement, rows)


def insert(db: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> int:
    """Run an `INSERT … VALUES (?,…)` for all rows, in their order; how many rows it wrote."""
    whole = len(rows) - len(rows) % AT_ONCE
    written = 0
    if whole:
        together = _together(statement)
        for start in range(0, whole, AT_ONCE):
            written += db.execute(together, list(chain.from_iterable(rows[start : start + AT_ONCE]))).rowcount
    if whole < len(rows):
        written += db.executemany(statement, rows[whole:]).rowcount
    return written


@lru_cache(maxsize=64)
def _together(statement: str) -> str:
    head, values, rest = statement.partition(" VALUES (")
    slots, end, rest = rest.partition(")")
    return head + values + f"{slots}{end},(" * (AT_ONCE - 1) + slots + end + rest


def _all(db: sqlite3.Connection, statement: str, rows: Sequence[Sequence[object]], otherwise: str) -> None:
    if db.executemany(statement, rows).rowcount != len(rows):
        raise Conflict(otherwise)


def _advance(db: sqlite3.Connection, to: Advance) -> None:
    row = (to.pos, to.applied, to.dropped, to.quarantined, to.dead, to.waiting, to.pipeline, to.expected, to.term)
    if db.execute(_ADVANCE, row).rowcount != 1:
        raise Conflict(f"the cursor has moved, or another runner has taken over (expected {to.expected} under term {to.term})",
                       where=to.pipeline)  # fmt: skip


def _states(db: sqlite3.Connection, operations: Operations) -> None:
    db.executemany(_STATE_SET, [row for row in operations.states if row.value is not None])
    cleared = [(row.cartridge, row.key) for row in operations.states if row.value is None]
    if cleared:
        db.executemany(_STATE_CLEARED, cleared)


def _notifications(db: sqlite3.Connection, operations: Operations, appended: list[Appended]) -> None:
    if operations.changed:
        try:
            _all(db, _CHANGED, operations.changed, "a notification has changed since it was read")
        except sqlite3.IntegrityError as error:
            raise Conflict("another notification of that life is open") from error
    if operations.opened:
        try:
            _open_notifications(db, operations.opened)
        except sqlite3.IntegrityError as error:
            raise Conflict("a notification of that life or number is already open") from error
    if operations.purged:
        db.execute(_LAST_PURGED)
        for statement in _PURGE:
            db.executemany(statement, [(number,) for number in operations.purged])
    touched = operations.touched
    if touched and appended:
        touched = [(number, appended[0].seq if seq == -1 else seq) for number, seq in touched]
    if touched:
        insert(db, _TOUCHED, touched)


def _open_notifications(db: sqlite3.Connection, opened: Sequence[tuple[Any, ...]]) -> None:
    """A new one is mostly what nobody has touched yet; binding its seven empty fields would cost as much as the row."""
    new = [row for row in opened if row[_TOUCH] == _UNTOUCHED]
    insert(db, _OPENED_NEW, [row[: _TOUCH.start] + row[_TOUCH.stop :] for row in new])
    if len(new) < len(opened):
        db.executemany(_OPENED, [row for row in opened if row[_TOUCH] != _UNTOUCHED])


def _outbox_changed(db: sqlite3.Connection, operations: Operations, appended: list[Appended]) -> None:
    answers = {record.id: at.seq for record, at in zip(operations.records, appended, strict=True) if record.kind == "answer"}
    rows = [(row.state, row.next_at, answers.get(row.id), row.id, row.attempt_id) for row in operations.outbox_changed]
    _all(db, _OUTBOX_CHANGED, rows, "an attempt is no longer the current one")


def _decide(db: sqlite3.Connection, decisions: Sequence[DecisionRow]) -> None:
    if not decisions:
        return
    try:
        db.executemany(_ASKED, [row for row in decisions if row.ver == 1])
    except sqlite3.IntegrityError as error:
        raise Conflict("another decision has this number") from error
    later = [row for row in decisions if row.ver > 1]
    if later:
        _all(db, _DECIDED, later, "a decision has changed since it was read")


def _install(db: sqlite3.Connection, operations: Operations) -> None:
    if not (operations.packages or operations.installed or operations.uninstalled):
        return
    db.executemany(_PACKAGE, operations.packages)
    for row in operations.installed:
        if row.active:
            db.execute(_INACTIVE, (row.place, row.id))
        db.execute(_INSTALLED, row)
    db.executemany(_UNINSTALLED, operations.uninstalled)


def claim(db: sqlite3.Connection, due: list[OutboxRow], lease: int) -> list[OutboxRow]:
    """Take these rows for an attempt, inside the caller's transaction."""
    taken = [row._replace(state="sending", attempt=row.attempt + 1, attempt_id=os.urandom(8).hex(), lease=lease) for row in due]
    db.executemany(_CLAIM, [(row.attempt_id, row.lease, row.id) for row in taken])
    return taken


def open_cursor(db: sqlite3.Connection, pipeline: str, at: int) -> CursorRow:
    """A cursor under the present term, which accounts for nothing before `at`."""
    term = db.execute("SELECT coalesce(max(CAST(v AS INTEGER)), 0) FROM meta WHERE k = 'term'").fetchone()[0]
    db.execute("INSERT INTO cursor (pipeline, pos, origin, term) VALUES (?1, ?2, ?2, ?3)", (pipeline, at, term))
    return CursorRow(pipeline, at, term)


def take_over(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT v FROM meta WHERE k = 'term'").fetchone()
    term = int(row[0] if row else 0) + 1
    db.execute(_META, ("term", str(term)))
    db.execute("UPDATE cursor SET term = ?", (term,))
    return term


def forget_cursor(db: sqlite3.Connection, pipeline: str) -> None:
    """What it has dropped stays readable until retention; what was still to come goes."""
    db.execute("DELETE FROM cursor WHERE pipeline = ?", (pipeline,))
    db.execute("DELETE FROM meta WHERE k = ?", (gone_key(pipeline),))
    db.execute("DELETE FROM exception WHERE pipeline = ? AND state <> 'dropped'", (pipeline,))
    db.execute(
        "DELETE FROM timer WHERE partition = 0 AND (owner = ?1 OR (owner >= ?1 || '/' AND owner < ?1 || '0'))", (pipeline,)
    )
    db.execute("DELETE FROM outbox WHERE pipeline = ? AND kind <> 'decision' AND state IN ('pending', 'retry')", (pipeline,))
