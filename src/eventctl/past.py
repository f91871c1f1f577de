"""What the log of a workspace says to a trial of one cartridge: its records, without what that cartridge itself has led to.

event     comes in as it was stored, unless the cartridge made it, or it descends from one that it made
timer     only another cartridge's of the same pipeline: the cartridge's own, and those of the inbox, come due in the trial
answer    under the number that the trial has given the call, if the trial has made it
move      of the inbox where the person stood who made it (`saw`), on the notification that is that one here; a decision about
          a held event under the number that the event has here
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import orjson

from eventctl.dag import effects
from eventctl.moves import DECIDES
from eventctl.store import LOG_PIPELINE, LogRow, Store

PIECE = 500

_NEWS = frozenset({effects.FAILED, effects.DISABLED, effects.RECOVERED})


class Past:
    """The records of a store's log from `first` to `last`. `names` are the cartridge on trial in each pipeline that runs it."""

    def __init__(self, source: Store, names: Collection[str], pipelines: Collection[str], first: int, last: int) -> None:
        self._source = source
        self._names = frozenset(names)
        self._pipelines = frozenset(pipelines)
        self._first = first
        self._last = last
        self._left: set[int] = set()
        self.read = first - 1

    def left_out(self, row: LogRow) -> bool:
        """Whether the cartridge made this event, or led to it."""
        told = row.type in _NEWS and row.source == "eventctl" and row.entity in self._names
        return row.source in self._names or row.caused_by in self._left or told

    def __iter__(self) -> Iterator[LogRow]:
        """What comes in, in order; a move of the inbox stands where it was made."""
        moves = iter(sorted(self._moves(), key=lambda place: (place[0], place[1])))
        move = next(moves, None)
        for row in self._rows():
            while move is not None and move[0] < row.seq:
                yield self._record(move[1])
                move = next(moves, None)
            self.read = row.seq
            if row.kind == "event":
                if self.left_out(row):
                    self._left.add(row.seq)
                else:
                    yield row
            elif self._wanted(row):
                yield row
        if move is not None:
            yield from map(self._record, (seq for _, seq in (move, *moves)))

    def _rows(self) -> Iterator[LogRow]:
        after = self._first - 1
        while after < self._last and (rows := self._source.read_log(after, min(PIECE, self._last - after))):
            yield from (row for row in rows if row.seq <= self._last)
            after = rows[-1].seq

    def _moves(self) -> Iterator[tuple[int, int]]:
        """(what its maker saw, its number) of every move of the inbox."""
        after = self._first - 1
        while rows := self._source.read_log(after, PIECE, kinds=("move",)):
            for row in rows:
                body = orjson.loads(row.body) if row.type not in DECIDES and row.seq <= self._last else {}
                if "saw" in body:
                    yield min(int(body["saw"]), row.seq), row.seq
            after = rows[-1].seq

    def _record(self, seq: int) -> LogRow:
        return self._source.read_log(seq - 1, 1)[0]

    def _wanted(self, row: LogRow) -> bool:
        if row.kind == "move":
            return row.type in DECIDES and orjson.loads(row.body)["pipeline"] in {LOG_PIPELINE, *self._pipelines}
        body = orjson.loads(row.body)
        if row.kind == "answer":
            return body["pipeline"] in self._pipelines
        owner: str = body["owner"]
        return owner not in self._names and owner.partition("/")[0] in self._pipelines


def at_or_after(source: Store, moment: int) -> int:
    """The number of the first record that came in at `moment` (microseconds) or later; one past the end when there is none."""
    # The log is in the order of its moments, but for a clock that was set back: halving finds the place.
    low, high = 1, source.tail("log") + 1
    while low < high:
        middle = (low + high) // 2
        rows = source.read_log(middle - 1, 1)
        if not rows or rows[0].at >= moment:
            high = middle
        else:
            low = rows[0].seq + 1
    return low
