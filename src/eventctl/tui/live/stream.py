"""What of the log stands in memory: a window over it that goes along at its end, or stands still and is moved by pages.

Each look reads a bounded number of records. When more came than that, it goes on at the newest, and what lies between stands in the
window as one line that says how many records that are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eventctl.cli import forms
from eventctl.cli.render import local
from eventctl.store import LogRow, Store
from eventctl.tui.look import Cell, said
from eventctl.tui.rows import Column, Row
from eventctl.views import LogFilter

PAGE = 200
"""Records that one look shows at most: 2 ms to read, 4 ms to draw up."""

SPAN = 5_000
"""Records that one look goes through at most for what no index finds: 2 ms."""

ROWS_MAX = 2_000
"""Lines in memory; the others are read again when somebody goes there."""

COLUMNS = (
    Column("id", 9), Column("time", 11), Column("kind", 8, wide=96), Column("type", 26), Column("source", 18, wide=96), Column("about", 0)
)  # fmt: skip

KINDS = {
    "event": Cell("• event"), "move": Cell("» move", "accent"), "timer": Cell("◷ timer", "muted"), "answer": Cell("↩ answer", "good")
}  # fmt: skip


class Line(NamedTuple):
    """A line of the window, and the records that it stands for: one, or all from `first` to `last` that are not shown."""

    first: int
    last: int
    row: Row


class Piece(NamedTuple):
    """What one look found, oldest first: records from `first` to `last` were gone through. `skipped` before them were not looked at."""

    lines: list[Line]
    first: int
    last: int
    skipped: int = 0


def ahead(store: Store, want: LogFilter, after: int, now: int) -> Piece:
    """What came after a position, up to the end; when that is more than a page, the newest of it."""
    tail = store.tail("log")
    low = max(after, tail - SPAN) if _walked(want) else after
    found = store.views.log(want, limit=PAGE, before=tail + 1, above=low)[::-1]
    first = found[0].seq if len(found) == PAGE else low + 1
    skipped = first - after - 1
    gap = [_gap(after + 1, first - 1)] if skipped else []
    return Piece(gap + [_line(row, now) for row in found], first, tail, skipped)


def older(store: Store, want: LogFilter, before: int, now: int) -> Piece:
    """A page of what stands before a position. It may be empty, and more may fit: `first` says how far it went, 1 is the beginning."""
    low = max(0, before - 1 - SPAN) if _walked(want) else 0
    found = store.views.log(want, limit=PAGE, before=before, above=low)[::-1]
    first = found[0].seq if len(found) == PAGE else low + 1
    return Piece([_line(row, now) for row in found], 1 if first <= _oldest(store) else first, before - 1)


def newer(store: Store, want: LogFilter, after: int, now: int) -> Piece:
    """A page of what stands after a position; `last` says how far it went."""
    found: list[LogRow] = []
    reached, end = after, min(store.tail("log"), after + SPAN)
    while reached < end and len(found) < PAGE:
        step = min(end, reached + PAGE)
        found += store.views.log(want, limit=PAGE, before=step + 1, above=reached)[::-1]
        reached = step
    return Piece([_line(row, now) for row in found], after + 1, reached)


class Window:
    """Lines in the order of the log. `low` is where older ones are read from, `high` how far it has gone through the log."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.low = self.high = 0
        self.skipped = 0
        """Records that were not shown because they came too fast, since it began."""
        self.born = 0
        """Another number when it has begun anew: a page that was asked for before does not belong to it."""

    @property
    def rows(self) -> list[Row]:
        """What is shown."""
        return [line.row for line in self.lines]

    def begin(self, at: int) -> None:
        """Empty, before the record after `at`."""
        self.lines, self.low, self.high, self.skipped = [], at + 1, at, 0
        self.born += 1

    def above(self, piece: Piece) -> None:
        """Put a page of older ones on top. What is too much leaves at the bottom."""
        self.lines = piece.lines + self.lines
        self.low = piece.first
        if len(self.lines) > ROWS_MAX:
            del self.lines[ROWS_MAX:]
            self.high = self.lines[-1].last

    def below(self, piece: Piece) -> None:
        """Put newer ones at the bottom. What is too much leaves at the top."""
        self.lines += piece.lines
        self.high, self.skipped = piece.last, self.skipped + piece.skipped
        if len(self.lines) > ROWS_MAX:
            del self.lines[:-ROWS_MAX]
            self.low = self.lines[0].first

    def gap(self, key: str) -> Line | None:
        """The line of this key, if it stands for records that are not shown."""
        return next((line for line in self.lines if line.row.key == key and key.startswith("…")), None)


def _walked(want: LogFilter) -> bool:
    """Whether records are looked at one after the other: there is an index for none of what is asked."""
    return bool(want.text or want.sources or want.kinds) and want.entity is None


def _oldest(store: Store) -> int:
    first: Sequence[LogRow] = store.read_log(0, 1)
    return first[0].seq if first else 1


def _line(row: LogRow, now: int) -> Line:
    at = local(row.at)
    time = at[11:] if at[:10] == local(now)[:10] else at[5:16]  # to the second today, with the day before
    cells = (
        Cell(f"e{row.seq}", "muted"), Cell(time, "muted"), KINDS[row.kind], Cell(said(row.type, 80)),
        Cell(said(row.source, 80), "muted"), Cell(said(forms.description(row))),
    )  # fmt: skip
    return Line(row.seq, row.seq, Row(f"e{row.seq}", cells))


def _gap(first: int, last: int) -> Line:
    count = last - first + 1
    words = f"e{first} to e{last} came too fast to be looked at: enter shows them"
    cells = (Cell("…", "warn"), Cell(""), Cell(""), Cell(f"… {count:,} more", "warn"), Cell(""), Cell(words, "warn"))
    return Line(first, last, Row(f"…{first}", cells))


def number(key: str) -> int | None:
    """The record that a row stands for; None for a row that stands for what is not shown."""
    return int(key[1:]) if key.startswith("e") and key[1:].isdigit() else None
