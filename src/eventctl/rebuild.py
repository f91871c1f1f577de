"""Rebuild: fold the same log again, into another store, and see the same notifications.

Two streams are merged. Events, timers and control moves take effect at their own position in the log; a move of the inbox took
effect at once, whatever the pipeline had reached, and so is applied where it says that it was made: after the records up to its
`saw`, before the next. Timers come from the log only; nothing here looks at a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import orjson

from eventctl import moves
from eventctl.errors import Conflict, EventctlError, NotFound
from eventctl.store import LOG_PIPELINE, Keys, LogRow, Operations, Record, Store
from eventctl.system_pipeline import SystemPipeline

COPIED = 1_000
PIECE_BYTES = 4 << 20
BATCH = 2_000
TIMERS_MAX = 1_000_000


class Rebuilt(NamedTuple):
    """What a rebuild came to: how far it folded, how many moves it applied, and both hashes; `same` is what it is for."""

    pos: int
    moves: int
    expected: str
    found: str

    @property
    def same(self) -> bool:
        return self.expected == self.found


def saw(row: LogRow) -> int:
    """The position that a move of the inbox was made at."""
    return int(orjson.loads(row.body)["saw"])


def rebuild(
    source: Store,
    target: Store,
    pipeline: SystemPipeline,
    *,
    batch: int = BATCH,
    after: int = 0,
    place: Callable[[LogRow], int] = saw,
) -> Rebuilt:
    """Copy the source's log into the target and fold it there as far as the source has come.

    What tables and plugins said about an event is taken from the source, for they may say something else today. The target is
    empty, or a state of the source when its log ended at `after`: fold, cursor, and the log up to there or whole. `place` says
    where a move is applied. Raises `Conflict` when the target is something else or the log's beginning is gone, `EventctlError`
    when a move does not fit the state it was made in: then the log and what was folded from it disagree.
    """
    pipeline.recall(source)
    there = target.tail("log")
    if there not in (after, source.tail("log")) or (there and not after):
        raise Conflict("a rebuild needs an empty store" if not after else f"the store to rebuild in does not end at e{after}")
    with target.filling():
        _copy(source, target, there)
    cursor = source.cursor(LOG_PIPELINE)
    stop = cursor.pos if cursor else 0
    made = sorted(inbox_moves(source, after), key=lambda row: (place(row), row.seq))
    for row in made:
        _fold(target, pipeline, min(place(row), stop), batch)
        remake(target, row)
    _fold(target, pipeline, stop, batch)
    _forget_fired(target)
    return Rebuilt(stop, len(made), source.views.projection_hash(), target.views.projection_hash())


def inbox_moves(source: Store, after: int = 0) -> Iterator[LogRow]:
    """The moves of the inbox behind a record of the log, in its order."""
    while rows := source.read_log(after, COPIED, kinds=("move",)):
        yield from (row for row in rows if row.type.startswith("inbox."))
        after = rows[-1].seq


def remake(target: Store, row: LogRow) -> None:
    """Make a move of the inbox again. Raises `EventctlError` when it does not fit what stands in the target."""
    body = orjson.loads(row.body)
    try:
        target.commit(moves.apply(body, moves.read(target, body), row.seq, row.at))
    except (Conflict, NotFound) as error:
        raise EventctlError(
            f"e{row.seq} ({row.type}) does not fit what the log gives: {error.what}", where=f"after e{body['saw']}"
        ) from error


def _copy(source: Store, target: Store, after: int) -> None:
    for rows in _pieces(source, after):
        appended = target.append([Record(*row[1:]) for row in rows])
        if any(row.seq != there.seq for row, there in zip(rows, appended, strict=True)):
            raise Conflict(f"the log begins at e{rows[0].seq}: what came before is gone", hint="start from a snapshot")


def _pieces(source: Store, after: int) -> Iterator[list[LogRow]]:
    """The log in pieces of about `PIECE_BYTES`: few, because every append syncs and writes the same pages of the indexes again."""
    piece: list[LogRow] = []
    size = 0
    while rows := source.read_log(after, COPIED):
        after = rows[-1].seq
        piece += rows
        size += sum(len(row.body) for row in rows)
        if size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _fold(target: Store, pipeline: SystemPipeline, until: int, batch: int) -> None:
    while pipeline.advance(target, batch, 0, until=until).moved:
        pass


def _forget_fired(target: Store) -> None:
    """A timer that has fired left a record; the runner took the timer away in the same commit."""
    timers = target.due_timers(2**62, limit=TIMERS_MAX)
    marks = {("timer", f"{timer.owner}:{timer.key}:{timer.due}"): timer for timer in timers}
    fired = target.snapshot(Keys(identities=list(marks))).identities
    gone = [marks[mark] for mark in fired]
    if gone:
        target.commit(Operations(timers_cleared=[(timer.owner, timer.key, timer.due) for timer in gone]))
