"""What pipelines have met and not finished, for `status`: how many in which state, since when, and when that goes on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from eventctl.times import SECOND, format_duration, iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventctl.store import CursorRow, Store

STATES = {
    "waiting": "for an answer",
    "behind": "behind an earlier event of its entity",
    "retry": "to be tried again",
    "struck": "left by a hang",
}


class Unfinished(NamedTuple):
    """One pipeline's. `since` is when the oldest came in, `due` when the soonest is tried again; microseconds."""

    pipeline: str
    states: dict[str, int]
    oldest: int
    since: int
    due: int | None

    def words(self, now: int) -> str:
        """One sentence about all of them."""
        soon = "" if self.due is None else f", first in {format_duration(_seconds(self.due - now) * SECOND)}"
        parts = [
            f"{count:,} {STATES[state]}{soon if state == 'retry' else ''}" for state, count in self.states.items() if count
        ]
        return f"{'; '.join(parts)}; the oldest, e{self.oldest}, for {format_duration(_seconds(now - self.since) * SECOND)}"

    def form(self, now: int) -> dict[str, Any]:
        """As JSON."""
        return {
            **self.states,
            "oldest": f"e{self.oldest}",
            "oldest_since": iso(self.since),
            "oldest_s": _seconds(now - self.since),
            "next_retry": None if self.due is None else iso(self.due),
        }


def unfinished(store: Store, cursors: Iterable[CursorRow]) -> list[Unfinished]:
    """Of every pipeline that has left something open."""
    return [found for cursor in cursors if cursor.waiting and (found := _of(store, cursor.pipeline))]


def _of(store: Store, pipeline: str) -> Unfinished | None:
    rows = store.exceptions_of(pipeline, tuple(STATES))
    if not rows:
        return None
    counted, oldest = Counter(row.state for row in rows), min(row.seq for row in rows)
    known = store.read_log(oldest - 1, 1)
    due = [row.due for row in rows if row.state == "retry" and row.due is not None]
    since = known[0].at if known and known[0].seq == oldest else 0
    return Unfinished(pipeline, {state: counted[state] for state in STATES}, oldest, since, min(due, default=None))


def _seconds(us: int) -> int:
    return max(0, us) // SECOND
