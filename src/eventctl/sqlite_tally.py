"""Conservation over SQLite: every position that a pipeline has passed is in one of its cursor's buckets.

Counted are the rows that are there, plus those that retention says it has trimmed (`trimmed.log`, `trimmed.feed`); a row that got
lost shows as a difference. What is below every cursor cannot change any more, so one process counts it once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventctl import sqlite_reads as reads
from eventctl.store import LOG_PIPELINE

if TYPE_CHECKING:
    import sqlite3

_SPAN = 20_000
"""Rows up to which walking the table is cheaper than walking its smallest index from end to end."""

_COUNT = {
    "log": "SELECT count(*) FROM log NOT INDEXED WHERE seq > ? AND seq <= ?",
    "log, all of it": "SELECT count(*) FROM log INDEXED BY log_at WHERE seq > ? AND seq <= ?",
    "feed": "SELECT count(*) FROM feed NOT INDEXED WHERE pos > ? AND pos <= ?",
}


class Tally:
    """Counts the rows of a stream up to given positions."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int, int]] = {}

    def balance(self, db: sqlite3.Connection) -> tuple[int, int]:
        """How many records the log holds, and how many positions no bucket accounts for, over all pipelines."""
        rows = db.execute(
            "SELECT pipeline, pos, origin, applied + dropped + quarantined + dead + waiting FROM cursor WHERE partition = 0"
        ).fetchall()
        log_tail = reads.tail(db, "log")
        log, trimmed = self._upto(db, "log", [log_tail, *(row[1] for row in rows if row[0] == LOG_PIPELINE)])
        feed, _ = self._upto(db, "feed", [row[1] for row in rows if row[0] != LOG_PIPELINE])
        unaccounted = 0
        for pipeline, pos, origin, booked in rows:
            passed = (log if pipeline == LOG_PIPELINE else feed)[pos] - origin
            unaccounted += abs(passed - booked)
        return log[log_tail] - trimmed, unaccounted

    def _upto(self, db: sqlite3.Connection, stream: str, positions: list[int]) -> tuple[dict[int, int], int]:
        """For each position how many rows there were up to it; and how many of them are trimmed."""
        found = db.execute("SELECT v FROM meta WHERE k = ?", (f"trimmed.{stream}",)).fetchone()
        trimmed = int(found[0]) if found else 0
        at, rows, then = self._known.get(stream, (0, 0, 0))
        if then != trimmed or min(positions, default=0) < at:
            at, rows = 0, trimmed
        tail = reads.tail(db, stream)
        answer: dict[int, int] = {}
        for position in sorted(set(positions)):
            end = min(position, tail)  # what is not there yet must not count as known
            whole = stream == "log" and end - at > _SPAN
            rows += db.execute(_COUNT["log, all of it" if whole else stream], (at, end)).fetchone()[0]
            at = max(at, end)
            answer[position] = rows
            if len(answer) == 1:
                self._known[stream] = (at, rows, trimmed)
        return answer, trimmed


_BOOKED = """
SELECT c.pipeline, c.applied, c.dropped, c.quarantined, c.dead, c.waiting,
  total(e.state = 'dropped' AND e.pos > c.origin), total(e.state = 'quarantined'), total(e.state = 'dead'),
  total(e.state IN ('waiting', 'behind', 'retry') OR (e.state = 'struck' AND e.pos <= c.pos))
FROM cursor AS c LEFT JOIN exception AS e ON e.pipeline = c.pipeline WHERE c.partition = 0 GROUP BY c.pipeline
"""


def misbooked(db: sqlite3.Connection) -> list[str]:
    """Which buckets are below zero, or hold another number than the exceptions say, each as a sentence.

    A struck event is in a bucket (waiting) once its pipeline has passed it. Drops go with their records, so they are compared only
    where nothing was trimmed; those of an earlier cursor of the same name, before the `origin` of this one, are not its own.
    """
    trimmed = db.execute("SELECT 1 FROM meta WHERE k = 'trimmed.log' AND CAST(v AS INTEGER) > 0").fetchone()
    found = []
    for pipeline, applied, *numbers in db.execute(_BOOKED):
        buckets = zip(("dropped", "quarantined", "dead", "waiting"), numbers[:4], map(int, numbers[4:]), strict=True)
        if applied < 0:
            found.append(f"{pipeline}: applied is {applied:,}")
        found += [
            f"{pipeline}: {bucket} is {booked:,}, and there are {there:,}"
            for bucket, booked, there in buckets
            if booked < 0 or (booked != there and not (trimmed and bucket == "dropped"))
        ]
    return found
