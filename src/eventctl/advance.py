"""What every pipeline shares when it moves on by a batch: the report, the tally of buckets, the fence, and the bisecting.

    def advance(self, store, limit, now, *, term=None):
        cursor = standing(store, self.name, term)              # raises Unavailable when another runner took over
        rows = store.read_feed(cursor.pos, limit)
        report = Advanced(self.name, cursor.pos)

        def attempt(part, expected):                           # plan and commit these rows, or raise
            tally = Tally()
            operations = ...                                   # plan; tally.count("applied"); tally.move("waiting", "applied")
            operations.advance = tally.advance(self.name, expected, part[-1].pos, cursor.term)
            committed = store.commit(operations)
            report.add(operations, committed, passed=len(part))
            return part[-1].pos

        def bury(row, expected, *, error): ...                 # commit this one row as dead; the same return value

        in_halves(rows, cursor.pos, attempt, bury)
        return report

A batch whose plan or commit raises is cut in two, again and again, until the record that does it stands alone: no savepoints,
and about three times the work of the batch, once. `EventctlError` is the world's fault, not a record's, and passes through;
only `Conflict` is tried again, with a new plan.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from eventctl.errors import Conflict, EventctlError, Unavailable
from eventctl.store import LOG_PIPELINE, Advance, Committed, CursorRow, Operations, Store, Stream

REPLANS_MAX = 8
"""How often one batch is planned again after a conflict. A conflict needs a move on the same notification within the few
milliseconds between snapshot and commit; eight in a row is a fault, not bad luck."""

_BUCKETS = {
    "applied": "applied", "dropped": "dropped", "quarantined": "quarantined", "dead": "dead",
    "waiting": "waiting", "behind": "waiting", "retry": "waiting",
}  # fmt: skip

Row = TypeVar("Row")
Row_contra = TypeVar("Row_contra", contravariant=True)


class Tally:
    """How many records went into each bucket of the cursor. States of exceptions are accepted as names of their bucket."""

    __slots__ = ("applied", "dead", "dropped", "quarantined", "waiting")

    def __init__(self) -> None:
        self.applied = self.dropped = self.quarantined = self.dead = self.waiting = 0

    def count(self, state: str, number: int = 1) -> None:
        """So many records passed now and are in that state."""
        bucket = _BUCKETS[state]
        setattr(self, bucket, getattr(self, bucket) + number)

    def move(self, before: str, after: str) -> None:
        """A record that was counted earlier has changed its state."""
        self.count(before, -1)
        self.count(after)

    def advance(self, pipeline: str, expected: int, pos: int, term: int) -> Advance:
        """The cursor's part of the commit."""
        return Advance(
            pipeline, expected, pos, term,
            applied=self.applied, dropped=self.dropped, quarantined=self.quarantined, dead=self.dead, waiting=self.waiting,
        )  # fmt: skip


class Wait(NamedTuple):
    """Somebody elsewhere is at work: there is news when `descriptor` can be read (or, if `writes`, written), at `until` at the latest.

    `until` is on the clock that never jumps (seconds); a descriptor of -1 says that only the time counts.
    """

    descriptor: int
    until: float
    writes: bool = False


@dataclass(slots=True)
class Advanced:
    """What one advance did. The counts are changes of the cursor's buckets; `pos` is where it stands now.

    `passed` is positions moved over, `emitted` new records in the log, `commits` transactions, `buried` the seqs that a
    failing plan turned into dead letters, `behind_us` how old the last passed record is (0 when nothing was passed). `held` says why
    it does not go on though there is more. `waits` are whom the next event waits for, elsewhere: nothing moves before there is news.
    """

    pipeline: str
    pos: int
    passed: int = 0
    applied: int = 0
    dropped: int = 0
    quarantined: int = 0
    dead: int = 0
    waiting: int = 0
    emitted: int = 0
    commits: int = 0
    behind_us: int = 0
    held: str = ""
    buried: list[int] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)

    @property
    def moved(self) -> bool:
        """Whether anything was committed."""
        return self.commits > 0

    def add(self, operations: Operations, committed: Committed, *, passed: int) -> None:
        """Book one commit that moved the cursor over `passed` positions."""
        self.commits += 1
        self.passed += passed
        self.emitted += len(operations.records) - committed.duplicates
        step = operations.advance
        if step is None:
            return
        self.pos = step.pos
        self.applied += step.applied
        self.dropped += step.dropped
        self.quarantined += step.quarantined
        self.dead += step.dead
        self.waiting += step.waiting


class Bury(Protocol[Row_contra]):
    """Commits one row as dead and returns the cursor's new position."""

    def __call__(self, row: Row_contra, expected: int, /, *, error: Exception) -> int: ...


class Pipeline(Protocol):
    """A cursor and what it does with a batch. `stream` says what the cursor counts: records of the log, positions of the feed."""

    @property
    def name(self) -> str: ...

    @property
    def stream(self) -> Stream: ...

    def advance(self, store: Store, limit: int, now: int, *, term: int | None = None) -> Advanced:
        """Move on by at most `limit` positions. Nothing is written but by whole commits, and nothing is waited for.

        `term` is the runner's fence, as `Store.take_over` gave it; None accepts whatever the cursor has. Raises `Unavailable`
        when another runner has taken over, `Conflict` when a batch could not be placed after `REPLANS_MAX` plans.
        """


@contextmanager
def undisturbed() -> Iterator[None]:
    """No garbage collection for the length of a batch.

    Planning makes no cycles, but some thousand objects that live until the commit: enough to set off collections of everything
    that the process holds, which took a quarter of a batch's time beside 100,000 live objects.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def standing(store: Store, pipeline: str, term: int | None) -> CursorRow:
    """The pipeline's cursor, opened when it has none: the log's at its beginning, a feed's at the tail."""
    cursor = store.cursor(pipeline) or store.open_cursor(pipeline, at=0 if pipeline == LOG_PIPELINE else None)
    if term is not None and cursor.term != term:
        raise Unavailable(
            "another runner has taken this workspace over",
            where=f"pipeline {pipeline}",
            hint="stop this one, or start it again",
        )
    return cursor


def at_once_or(whole: Callable[[int], int], carefully: Callable[[int], int], expected: int) -> int:
    """The whole batch in one go, which nearly always does, or else the careful way, which holds on to every record."""
    try:
        return whole(expected)
    except Conflict:
        return carefully(expected)
    except EventctlError:
        raise
    except Exception:  # noqa: BLE001  # the plugin boundary: the careful way finds the culprit and says what it raised
        return carefully(expected)


def in_halves(
    rows: Sequence[Row],
    expected: int,
    attempt: Callable[[Sequence[Row], int], int],
    bury: Bury[Row],
) -> None:
    """Commit the rows in order, as one batch if it can be, halving whatever raises until the culprit is alone.

    `attempt(rows, expected)` and `bury(row, expected, error=error)` commit and return the cursor's new position, which the next part
    expects. Each part is planned again after a conflict.
    """
    parts = [rows]
    while parts:
        part = parts.pop()
        try:
            expected = replanned(attempt, part, expected)
        except EventctlError:
            raise
        except Exception as error:  # noqa: BLE001  # the plugin boundary: a record may meet any bug; the others go on
            if len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
                continue
            expected = replanned(partial(bury, error=error), part[0], expected)


def replanned(attempt: Callable[[Row, int], int], what: Row, expected: int) -> int:
    """Try, and try again with a new plan while somebody else is first. Raises the last `Conflict`."""
    for _ in range(REPLANS_MAX - 1):
        try:
            return attempt(what, expected)
        except Conflict:
            continue
    return attempt(what, expected)


def failure_text(error: BaseException) -> str:
    """An exception as the reason of a dead letter: its kind and its first line, at most 300 characters."""
    lines, kind = str(error).strip().splitlines(), getattr(error, "raised_as", "") or type(error).__name__
    return f"{kind}: {lines[0]}"[:300] if lines else kind
