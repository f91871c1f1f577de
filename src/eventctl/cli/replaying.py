"""A dry replay: the log up to a point, folded again into a store aside by the pipelines as they are now.

Everything before the range only makes the state that the range begins with. Nothing is sent: what would be owed stays a row in the
store aside. An answer that was recorded comes at its own place in the log, as it did then.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventctl.cli.session import Session
from eventctl.cli.wiring import house_of
from eventctl.errors import Conflict, NotFound
from eventctl.rebuild import inbox_moves, remake, saw
from eventctl.sqlite_store import SqliteStore
from eventctl.store import LOG_PIPELINE, ExceptionRow, Keys, Record, Store
from eventctl.system_pipeline import SystemPipeline
from eventctl.views import InboxFilter

if TYPE_CHECKING:
    from eventctl.advance import Pipeline

PIECE = 500
TRIMMED = "trimmed.log"
"""The fact about a store that says how many records retention has taken out of its log."""
DIFFERENCES_MAX = 100
STATES = ("applied", "dropped", "quarantined", "waiting", "dead")


@dataclass(slots=True)
class Tally:
    """What stands in a store at one moment: each pipeline's buckets, events emitted, notifications opened."""

    pipelines: dict[str, dict[str, int]] = field(default_factory=dict)
    tail: int = 0
    opened: int = 0


def replay_range(session: Session, first: int, last: int | None) -> dict[str, Any]:
    """Replay `first` to `last` (default: the end) and say what came out, and where it differs from what stands.

    Raises `Conflict` when the beginning of the log was trimmed, `NotFound` for an empty range.
    """
    with session.reading() as source, tempfile.TemporaryDirectory(prefix="eventctl-replay-") as folder:
        end = min(last or source.tail("log"), source.tail("log"))
        if not 1 <= first <= end:
            raise NotFound(f"the log has no records e{first} to e{end}", hint="`eventctl log show` lists the newest ones")
        if source.meta(TRIMMED):
            raise _trimmed(source)
        aside = SqliteStore.create(Path(folder) / "state.db", role="scratch", reserve_bytes=0)
        try:
            replay = Replay(source, aside, house_of(session).build(aside).pipelines, end)
            replay.fold(first - 1)
            before = replay.tally()
            replay.fold(end)
            return _report(replay, before, first, end)
        finally:
            aside.close()


class Replay:
    """A source, a store aside with its log up to `end`, and pipelines over it."""

    def __init__(self, source: Store, aside: Store, pipelines: Sequence[Pipeline], end: int) -> None:
        self.source = source
        self.aside = aside
        self.others = [pipeline for pipeline in pipelines if pipeline.name != LOG_PIPELINE]
        self._system = next(pipeline for pipeline in pipelines if isinstance(pipeline, SystemPipeline))
        self._system.recall(source)
        for pipeline in pipelines:
            aside.open_cursor(pipeline.name, at=0)
        with aside.filling():
            _copy(source, aside, end)
        self._moves = sorted((row for row in inbox_moves(source) if row.seq <= end), key=lambda row: (saw(row), row.seq))

    def fold(self, until: int) -> None:
        """Bring every pipeline up to `until`, with each move made where it was made."""
        while self._moves and saw(self._moves[0]) <= until:
            row = self._moves.pop(0)
            self._advance(saw(row))
            remake(self.aside, row)
        self._advance(until)
        for pipeline in self.others:
            while pipeline.advance(self.aside, PIECE, 0).moved:
                pass

    def tally(self) -> Tally:
        """What stands aside now."""
        cursors = {cursor.pipeline: cursor for cursor, _ in self.aside.views.cursors()}
        buckets = {name: {state: getattr(cursor, state) for state in STATES} for name, cursor in cursors.items()}
        return Tally(buckets, self.aside.tail("log"), self.aside.snapshot(Keys()).notification_last)

    def _advance(self, until: int) -> None:
        while self._system.advance(self.aside, PIECE, 0, until=until).moved:
            pass


def _copy(source: Store, aside: Store, end: int) -> None:
    after = 0
    while after < end and (rows := source.read_log(after, min(PIECE, end - after))):
        rows = [row for row in rows if row.seq <= end]
        if not rows:
            return
        if aside.append([Record(*row[1:]) for row in rows])[0].seq != rows[0].seq:
            raise _trimmed(source)
        after = rows[-1].seq


def _trimmed(source: Store) -> Conflict:
    gone = int(source.meta(TRIMMED) or 0)
    some = f"{gone:,} old records have" if gone > 1 else "an old record has"
    return Conflict(
        f"{some} been trimmed from the log, and a replay folds it from its first record",
        hint="see [retention] in eventctl.toml; `eventctl verify --rebuild` folds on from the newest snapshot",
    )


def _report(replay: Replay, before: Tally, first: int, last: int) -> dict[str, Any]:
    after = replay.tally()
    none = dict.fromkeys(STATES, 0)
    counts = {
        name: {state: states[state] - before.pipelines.get(name, none)[state] for state in STATES}
        for name, states in after.pipelines.items()
    }
    newest = [row for row in _notifications(replay.aside) if first <= row[1] <= last]
    opened = after.opened - before.opened
    differences = list(_differences(replay, first, last))
    return {
        "first": first, "last": last, "records": last - first + 1, "pipelines": counts,
        "emitted": after.tail - before.tail, "owed": sum(first <= row.seq <= last for row in replay.aside.views.outbox(limit=10_000)),
        "opened": opened, "changed": max(0, len(newest) - opened),
        "differences": differences[:DIFFERENCES_MAX], "differences_count": len(differences),
    }  # fmt: skip


def _notifications(store: Store) -> Iterator[tuple[int, int]]:
    """(number, newest seq) of every notification."""
    after = ""
    while True:
        page = store.views.inbox(InboxFilter(archived=True), limit=PIECE, after=after)
        yield from ((item.notification.id, item.notification.seq) for item in page.items)
        if not page.next:
            return
        after = page.next


def _differences(replay: Replay, first: int, last: int) -> Iterator[dict[str, Any]]:
    """Records that come to another end now than they did."""
    names = [LOG_PIPELINE, *(pipeline.name for pipeline in replay.others)]
    there = {cursor.pipeline: cursor.pos for cursor in replay.source.cursors()}
    for start in range(first, last + 1, PIECE):
        seqs = range(start, min(start + PIECE, last + 1))
        pairs = [(name, seq) for name in names if name in there for seq in seqs if name != LOG_PIPELINE or seq <= there[name]]
        was = replay.source.snapshot(Keys(exceptions=pairs)).exceptions
        now = replay.aside.snapshot(Keys(exceptions=pairs)).exceptions
        for pair in pairs:
            old, new = was.get(pair), now.get(pair)
            if (old.state if old else "applied") != (new.state if new else "applied"):
                yield {"pipeline": pair[0], "seq": pair[1], "was": _end(old), "now": _end(new)}


def _end(row: ExceptionRow | None) -> dict[str, Any]:
    """A state with its reason."""
    return {"state": row.state, "reason": row.reason} if row else {"state": "applied", "reason": ""}
