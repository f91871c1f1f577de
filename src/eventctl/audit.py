"""Is what the store holds what was written, and does it add up? Reads everything once and changes nothing.

Rows are hashed when they are appended; a hash that no longer fits is damage below us, or somebody at the file with other tools.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from eventctl.sqlite_reads import LOG_COLUMNS
from eventctl.sqlite_tally import misbooked
from eventctl.store import Record, row_hash

if TYPE_CHECKING:
    from eventctl.sqlite_store import SqliteStore

PIECE = 2_000
SHOWN_MAX = 20


class Finding(NamedTuple):
    """One thing that was looked at: whether it is as it should be, and a sentence."""

    name: str
    ok: bool
    said: str


def audit(store: SqliteStore, each: Callable[[int], None] = lambda _: None) -> list[Finding]:
    """Look at the file, every record's hash, positions, decisions and conservation; `each` hears how many records were read."""
    return [_file(store), _hashes(store, each), _positions(store), _decisions(store), _conservation(store)]


def _file(store: SqliteStore) -> Finding:
    found = [row[0] for row in store.connection.db.execute(f"PRAGMA integrity_check({SHOWN_MAX})")]
    return Finding("file", found == ["ok"], "the database file is whole" if found == ["ok"] else "; ".join(found))


def _hashes(store: SqliteStore, each: Callable[[int], None]) -> Finding:
    statement = f"SELECT {LOG_COLUMNS}, hash FROM log WHERE seq > ? ORDER BY seq LIMIT {PIECE}"
    wrong: list[int] = []
    after = total = 0
    while rows := store.connection.db.execute(statement, (after,)).fetchall():
        wrong += [row[0] for row in rows if row_hash(Record(*row[1:-1])) != row[-1]]
        after, total = rows[-1][0], total + len(rows)
        each(len(rows))
    shown = ", ".join(f"e{seq}" for seq in wrong[:SHOWN_MAX])
    said = (
        f"{len(wrong)} of {total:,} records are not what was written: {shown}"
        if wrong
        else f"{total:,} records are what was written"
    )
    return Finding("records", not wrong, said)


def _positions(store: SqliteStore) -> Finding:
    """Nothing may speak of a record that is not there yet; of one that was trimmed it may."""
    tail = store.tail("log")
    db = store.connection.db
    ahead = {
        table: db.execute(f"SELECT count(*) FROM {table} WHERE seq > ?", (tail,)).fetchone()[0]
        for table in ("feed", "exception", "annotation", "notification_event", "outbox", "ledger", "decision")
    }
    lost = [cursor.pipeline for cursor, lag in store.views.cursors() if lag < 0]
    wrong = [f"{count} in {table}" for table, count in ahead.items() if count] + [f"the cursor of {name}" for name in lost]
    said = f"ahead of the log: {', '.join(wrong)}" if wrong else f"every position lies within the log, which ends at e{tail}"
    return Finding("positions", not wrong, said)


_ALONE = (
    """SELECT 'd' || number || ' may act and owes nothing' FROM decision AS d
      WHERE state = 'approved' AND NOT EXISTS (SELECT 1 FROM outbox WHERE id = d.call)""",
    """SELECT 'd' || number || ' acts without leave' FROM decision AS d
      WHERE state IN ('held', 'window', 'denied', 'expired') AND EXISTS (SELECT 1 FROM outbox WHERE id = d.call)""",
    """SELECT 'e' || seq || ' waits in ' || pipeline || ' for nothing' FROM exception AS e WHERE state = 'waiting'
      AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.seq = e.seq AND o.pipeline = e.pipeline)
      AND NOT EXISTS (SELECT 1 FROM decision AS d WHERE d.seq = e.seq AND d.pipeline = e.pipeline)""",
    """SELECT id || ' in ' || place || ' has lost its files' FROM installed AS i
      WHERE NOT EXISTS (SELECT 1 FROM package WHERE digest = i.digest)""",
)
"""What cannot be where every commit was whole: a yes that owes nothing, a no that does, a wait that nothing will end."""


def _decisions(store: SqliteStore) -> Finding:
    db = store.connection.db
    wrong = [row[0] for statement in _ALONE for row in db.execute(f"{statement} LIMIT {SHOWN_MAX}")]
    total = db.execute("SELECT count(*) FROM decision").fetchone()[0]
    said = "; ".join(wrong[:SHOWN_MAX]) or f"{total:,} decisions: what was allowed is owed, and nothing else"
    return Finding("decisions", not wrong, said)


def _conservation(store: SqliteStore) -> Finding:
    missing = store.views.counts().unaccounted
    wrong = [f"{missing:,} records are in no bucket or in two"] if missing else []
    wrong += misbooked(store.connection.db)
    return Finding("accounts", not wrong, "; ".join(wrong[:SHOWN_MAX]) or "every record is accounted for exactly once")
