"""How each cartridge does: calls, how fast, errors, how long they take; those that want a look stand before all others."""

from __future__ import annotations

from collections.abc import Sequence

from eventctl.drawing import milliseconds
from eventctl.totals import NOTHING, Totals
from eventctl.tui.live.fleet import SLOW, WANTED, Fleet, Reading, Seat, Standing, standing
from eventctl.tui.live.rates import Speed, speed
from eventctl.tui.look import Cell, age, said
from eventctl.tui.rows import Column, Row

ORDERS = ("name", "calls", "rate", "errors", "p95", "last")

COLUMNS = (
    Column("state", 15), Column("cartridge", 0), Column("calls", 10, right=True), Column("per s", 7, right=True),
    Column("errors", 8, right=True), Column("share", 6, right=True, wide=84), Column("p95", 10, right=True),
    Column("mean", 11, right=True, wide=100), Column("last", 5, right=True, wide=72),
)  # fmt: skip

HEADS = ("Wants a look", "All others")


def rows(fleet: Fleet, reading: Reading, calls: Speed, errors: Speed, order: str, now: int) -> list[Row]:
    """A row a cartridge: those that want a look first, then in this order."""
    told = []
    for seat in fleet.seats:
        totals = reading.units.get(seat.unit, NOTHING)
        stands = standing(seat, totals, errors.of(seat.unit), fleet.budget_ns)
        wanted = stands.turn <= WANTED
        place = (not wanted, stands.turn if wanted else 0, *_place(seat, totals, calls, order))
        told.append((place, seat, totals, stands))
    told.sort(key=lambda each: each[0])
    grouped = any(stands.turn <= WANTED for _, _, _, stands in told)
    return [_row(seat, totals, stands, calls, now, grouped=grouped) for _, seat, totals, stands in told]


def wanted(rows: Sequence[Row]) -> int:
    """How many of them want a look."""
    return sum(row.group == HEADS[0] for row in rows)


def _place(seat: Seat, totals: Totals, calls: Speed, order: str) -> tuple[float, str, str]:
    most = {
        "calls": totals.calls, "rate": calls.of(seat.unit) or 0, "errors": totals.errors, "p95": totals.p95_ns, "last": totals.last
    }.get(order, 0)  # fmt: skip
    return -most, seat.id, seat.unit


def _row(seat: Seat, totals: Totals, stands: Standing, calls: Speed, now: int, *, grouped: bool) -> Row:
    per_s = calls.of(seat.unit)
    ran = bool(totals.calls)
    failed = "bad" if totals.errors else "muted"
    name = said(seat.id, 60) + (f"  {said(stands.why, 200)}" if stands.why else "")
    cells = (
        stands.cell, Cell(name, "strong" if stands.turn <= WANTED else ""), Cell(f"{totals.calls:,}"),
        Cell("" if per_s is None else speed(per_s)), Cell(f"{totals.errors:,}", failed), Cell(share(totals), failed),
        Cell(milliseconds(totals.p95_ns) if ran else "", stands.cell.tone if stands.turn == SLOW else ""),
        Cell(milliseconds(totals.mean_ns) if ran else ""), Cell(age(totals.last, now) if ran else "never", "muted"),
    )  # fmt: skip
    return Row(seat.unit, cells, HEADS[stands.turn > WANTED] if grouped else "")


def share(totals: Totals) -> str:
    """How many of its runs ended in an error: `0%`, `<1%`, `12%`."""
    if not totals.calls:
        return ""
    of_hundred = 100 * totals.errors / totals.calls
    return "<1%" if 0 < of_hundred < 1 else f"{of_hundred:.0f}%"
