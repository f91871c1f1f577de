"""What the log of a workspace says to a trial: everything that the trial does not come to by itself.

event     comes in as it was stored; one that a cartridge of the trial made comes in when the trial makes it, and what that has
led to comes in only if it did
timer     stays out: timers come due in the trial
answer    under the number that the trial has given the call, if the trial has made it
move      of the inbox where the person stood who made it (`saw`), on the notification that is that one here; a decision about
a held event under the number that the event has here; silences, also those that were set before the beginning
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import orjson

from eventctl.dag import effects
from eventctl.moves import DECIDES
from eventctl.rebuild import inbox_moves, saw
from eventctl.store import LOG_PIPELINE, LogRow, Store
from eventctl.system import shaping

PIECE = 500
_NEWS = frozenset({effects.FAILED, effects.DISABLED, effects.RECOVERED})


class Past:
    """The records of a store's log from `first` to `last`. `own` are the cartridges of the trial, `pipelines` those that run them.

    `left` are the events that stayed out, `read` is how far has been read.
    """

    def __init__(self, source: Store, own: Collection[str], pipelines: Collection[str], first: int, last: int) -> None:
        self._source = source
        self._own = frozenset(own)
        self._pipelines = frozenset(pipelines)
        self._first = first
        self._last = last
        self.left: set[int] = set()
        self.read = first - 1

    def remade(self, row: LogRow) -> bool:
        """Whether the trial itself comes to this event, if anybody does."""
        told = row.source == "eventctl" and row.type in _NEWS and row.entity in self._own
        return row.source in self._own or row.source == shaping.SOURCE or told or self._asked(row)

    def _asked(self, row: LogRow) -> bool:
        """Whether it tells of a decision that a cartridge of the trial asked for: the trial asks by itself."""
        if row.source != "eventctl" or not row.type.startswith("decision."):
            return False
        return orjson.loads(row.body)["payload"].get("by") in self._own

    def __iter__(self) -> Iterator[LogRow]:
        """What comes in, in order; a move of the inbox stands where it was made."""
        yield from self._silences()
        moves = iter(sorted(self._moves(), key=lambda place: (place[0], place[1])))
        move = next(moves, None)
        for row in self._rows():
            while move is not None and move[0] < row.seq:
                yield self._record(move[1])
                move = next(moves, None)
            self.read = row.seq
            if row.kind == "event":
                if self.remade(row):
                    self.left.add(row.seq)
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
        for row in inbox_moves(self._source, self._first - 1):
            if row.seq <= self._last:
                yield min(saw(row), row.seq), row.seq

    def _silences(self) -> Iterator[LogRow]:
        """Those that were set or ended before the beginning: some stand still."""
        after = 0
        while after < self._first - 1 and (rows := self._source.read_log(after, PIECE, kinds=("move",))):
            yield from (row for row in rows if row.seq < self._first and row.type.startswith("silence."))
            after = rows[-1].seq

    def _record(self, seq: int) -> LogRow:
        return self._source.read_log(seq - 1, 1)[0]

    def _wanted(self, row: LogRow) -> bool:
        if row.kind == "move" and row.type.startswith("silence."):
            return True
        if row.kind == "move":
            return row.type in DECIDES and orjson.loads(row.body)["pipeline"] in {LOG_PIPELINE, *self._pipelines}
        return row.kind == "answer" and orjson.loads(row.body)["pipeline"] in self._pipelines


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
