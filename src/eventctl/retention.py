"""Retention: what may go, and how the disk gets it back.

A record goes when it is older than the setting (or the file is larger than its setting), every pipeline has passed it, nothing
is still owed, held or to be decided because of it, and no notification shows it any more. A snapshot is taken before the first one goes, so that
what is left can still be rebuilt. The work is cut into slices of a few milliseconds, for the writer's lock is everybody's; free
pages are given back by incremental vacuum (a full VACUUM held the lock for 449 ms where a slice takes 7).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventctl.snapshots import Snapshots
from eventctl.sqlite_connection import guarded
from eventctl.store import DECISION_ENDS, LOG_PIPELINE, Operations, Record, gone_key
from eventctl.times import DAY, HOUR, format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from eventctl.sqlite_connection import Connection
    from eventctl.sqlite_store import SqliteStore

SLICE = 1_000
PAGES = 250
SPARE_PAGES = 64
EVERY = HOUR
DECISIONS = 365 * DAY
"""How long a decision that has ended is kept: approvals are counted from these, and after a year one is asked about again."""

HOLD = 7 * DAY
"""How long a pipeline that nobody runs any more keeps what it has not read."""

_ENDED = f"({', '.join(repr(state) for state in DECISION_ENDS)})"

# A record stays while something that people or pipelines can still reach points at it.
_MAY_GO = f"""NOT EXISTS (SELECT 1 FROM notification_event AS n WHERE n.seq = log.seq)
  AND NOT EXISTS (SELECT 1 FROM exception AS e
    WHERE e.seq = log.seq AND e.state <> 'dropped' AND e.pipeline IN (SELECT pipeline FROM cursor))
  AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.seq = log.seq AND o.state <> 'done')
  AND NOT EXISTS (SELECT 1 FROM decision AS d WHERE d.seq = log.seq AND d.state NOT IN {_ENDED})"""
_ANY = f"SELECT 1 FROM log WHERE seq <= ? AND {_MAY_GO} LIMIT 1"
_END = "SELECT max(seq) FROM (SELECT seq FROM log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?)"
_LOG = f"DELETE FROM log WHERE seq > ? AND seq <= ? AND {_MAY_GO}"
_WITH_RECORD = tuple(
    f"DELETE FROM {table} WHERE seq > ?1 AND seq <= ?2 AND seq NOT IN (SELECT seq FROM log WHERE seq > ?1 AND seq <= ?2)"
    for table in ("annotation", "exception", "outbox")
)
_FEED = "DELETE FROM feed WHERE pos <= ? AND pos IN (SELECT pos FROM feed WHERE seq > ? AND seq <= ?)"
_LEDGER = "DELETE FROM ledger WHERE key IN (SELECT key FROM ledger WHERE expires <= ? LIMIT ?)"
_STATE = """DELETE FROM state WHERE (cartridge, partition, key) IN
  (SELECT cartridge, partition, key FROM state WHERE expires <= ? LIMIT ?)"""
_DECISION = f"""DELETE FROM decision WHERE number IN
  (SELECT number FROM decision INDEXED BY decision_asked WHERE asked_at < ? AND state IN {_ENDED} LIMIT ?)"""
_PACKAGE = f"""DELETE FROM package WHERE digest NOT IN (SELECT digest FROM installed)
  AND NOT EXISTS (SELECT 1 FROM decision AS d WHERE d.state NOT IN {_ENDED} AND instr(CAST(d.body AS TEXT), digest))"""
_COUNT = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = CAST(v AS INTEGER) + ?2"


@dataclass(frozen=True, slots=True)
class Keep:
    """How much to keep: events younger than `age` (microseconds), and a file no larger than `size` bytes (None: any)."""

    age: int
    size: int | None = None


class Retention:
    """Trims one store, a slice at a time. `live` names the pipelines that are run; others hold on for 7 days.

    `expired` makes the record that tells people of a pipeline (its name, the reason, now) that has lost its place.
    """

    def __init__(
        self, store: SqliteStore, keep: Keep, live: Collection[str], expired: Callable[[str, str, int], Record]
    ) -> None:
        self.connection: Connection = store.connection
        self._store = store
        self._keep = keep
        self._live = live
        self._next = 0
        self._at = 0
        self._upto = 0
        self._expired = expired

    @guarded
    def work(self, now: int) -> bool:
        """Do one slice if it is time; whether there is more to do at once."""
        if self._at >= self._upto and now >= self._next:
            self._begin(now)
        if self._at < self._upto:
            self._slice()
            return True
        return self._vacuum()

    def _begin(self, now: int) -> None:
        self._next = now + EVERY
        self._let_go(now)
        self._expire(_LEDGER, now)
        self._expire(_STATE, now)
        self._expire(_DECISION, now - DECISIONS)
        with self.connection.transaction() as db:
            db.execute(_PACKAGE)
        upto = min(self._wanted(now), self._passed())
        if self.connection.db.execute(_ANY, (upto,)).fetchone():
            Snapshots(self._store).take(now)
            self._at, self._upto = 0, upto

    def _slice(self) -> None:
        with self.connection.transaction() as db:
            to = int(db.execute(_END, (self._at, self._upto, SLICE)).fetchone()[0] or self._upto)
            gone = db.execute(_LOG, (self._at, to)).rowcount
            for statement in _WITH_RECORD:
                db.execute(statement, (self._at, to))
            fed = db.execute(_FEED, (self._feed_passed(db), self._at, to)).rowcount
            db.execute(_COUNT, ("trimmed.log", gone))
            db.execute(_COUNT, ("trimmed.feed", fed))
        self._at = to

    def _vacuum(self) -> bool:
        """Give some free pages back; whether there are more."""
        db = self.connection.db
        if self._free(db) <= SPARE_PAGES:
            return False
        db.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()
        return self._free(db) > SPARE_PAGES

    def _free(self, db: sqlite3.Connection) -> int:
        return int(db.execute("PRAGMA freelist_count").fetchone()[0])

    def _wanted(self, now: int) -> int:
        """The last record that is old enough to go, or that must go for the file's size."""
        db = self.connection.db
        old = self._last_before(db, now - self._keep.age)
        if self._keep.size is None:
            return old
        page, pages = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_size", "page_count"))
        used = page * (pages - self._free(db))
        if used <= self._keep.size:
            return old
        first, last = db.execute("SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM log").fetchone()
        share = 1 - self._keep.size / used
        return max(old, int(first + (last - first) * share))

    def _last_before(self, db: sqlite3.Connection, moment: int) -> int:
        """The last seq ingested before a moment, by halving: `at` grows with `seq` and needs no index."""
        low: int
        high: int
        low, high = db.execute("SELECT coalesce(min(seq), 1) - 1, coalesce(max(seq), 0) FROM log").fetchone()
        while low < high:
            middle = (low + high + 1) // 2
            seq, at = db.execute("SELECT seq, at FROM log WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (middle,)).fetchone() or (
                0,
                0,
            )
            if at < moment:
                low = middle
            else:
                high = min(middle, seq) - 1
        return low

    def _passed(self) -> int:
        """The last record that no pipeline still has to read; the newest always stays, so that a seq is never given twice."""
        db = self.connection.db
        system, fed, tail = db.execute(
            "SELECT (SELECT pos FROM cursor WHERE pipeline = ?1), (SELECT min(pos) FROM cursor WHERE pipeline <> ?1),"
            " (SELECT max(seq) FROM log)",
            (LOG_PIPELINE,),
        ).fetchone()
        bounds = [system or 0, (tail or 1) - 1]
        if fed is not None:
            waiting = db.execute("SELECT min(seq) FROM feed WHERE pos > ?", (fed,)).fetchone()[0]
            bounds += [] if waiting is None else [waiting - 1]
        return int(min(bounds))

    def _feed_passed(self, db: sqlite3.Connection) -> int:
        """The last position that every pipeline has passed, the newest left out."""
        return int(
            db.execute(
                "SELECT min(coalesce((SELECT min(pos) FROM cursor WHERE pipeline <> ?), (SELECT max(pos) FROM feed)),"
                " (SELECT coalesce(max(pos), 1) - 1 FROM feed))",
                (LOG_PIPELINE,),
            ).fetchone()[0]
            or 0
        )

    def _expire(self, statement: str, now: int) -> None:
        while True:
            with self.connection.transaction() as db:
                gone = db.execute(statement, (now, SLICE)).rowcount
            if gone < SLICE:
                return

    def _let_go(self, now: int) -> None:
        """Note since when a pipeline is not run any more, and drop its cursor after 7 days."""
        for cursor in self._store.cursors():
            key = gone_key(cursor.pipeline)
            since = self._store.meta(key)
            if cursor.pipeline in self._live:
                if since:
                    self._forget(key)
            elif since is None:
                self._store.commit(Operations(meta={key: str(now)}))
            elif now - int(since) > HOLD:
                reason = f"nobody has run it for {format_duration(HOLD)}"
                self._store.forget_cursor(cursor.pipeline, told=[self._expired(cursor.pipeline, reason, now)])

    def _forget(self, key: str) -> None:
        with self.connection.transaction() as db:
            db.execute("DELETE FROM meta WHERE k = ?", (key,))
