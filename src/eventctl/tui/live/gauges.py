"""How far each pipeline has come, how fast it goes, what it has left, and what holds it up: the figures of `status`, as rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eventctl.cli.status import held
from eventctl.cli.unfinished import Unfinished
from eventctl.store import CursorRow
from eventctl.tui.live.rates import Speed, speed
from eventctl.tui.look import Cell, said
from eventctl.tui.rows import Column, Row

COLUMNS = (
    Column("pipeline", 18), Column("at", 11, right=True, wide=96), Column("behind", 8, right=True), Column("per s", 6, right=True),
    Column("waiting", 7, right=True), Column("quarantined", 11, right=True), Column("dead", 5, right=True),
    Column("dropped", 9, right=True, wide=100), Column("left open", 0),
)  # fmt: skip


def rows(cursors: Iterable[tuple[CursorRow, int]], left: Sequence[Unfinished], speeds: Speed, now: int) -> list[Row]:
    """A row a pipeline."""
    words = {each.pipeline: each.words(now) for each in left}
    return [_row(cursor, lag, words.get(cursor.pipeline, ""), speeds.of(cursor.pipeline)) for cursor, lag in cursors]


def _row(cursor: CursorRow, lag: int, left: str, per_s: float | None) -> Row:
    why = held(cursor, lag)
    cells = (
        Cell(said(cursor.pipeline, 60), "strong"), Cell(f"{cursor.pos:,}", "muted"), Cell(f"{lag:,}", "warn" if lag else "muted"),
        Cell("" if per_s is None else speed(per_s)), _counted(cursor.waiting, "accent"), _counted(cursor.quarantined, "warn"),
        _counted(cursor.dead, "bad"), Cell(f"{cursor.dropped:,}", "muted"),
        Cell(f"! {why}", "bad") if why else Cell(said(left), "muted"),
    )  # fmt: skip
    return Row(cursor.pipeline, cells)


def _counted(number: int, tone: str) -> Cell:
    return Cell(f"{number:,}", tone if number else "muted")


def more(pipeline: str, cursors: Iterable[tuple[CursorRow, int]], left: Sequence[Unfinished], now: int) -> list[str]:
    """What a row may have no room for: the pipeline's name, what holds it up, what it has left open."""
    why = [held(cursor, lag) for cursor, lag in cursors if cursor.pipeline == pipeline]
    return [part for part in (pipeline, *why, *(each.words(now) for each in left if each.pipeline == pipeline)) if part]
