"""All cartridges of a workspace as a dashboard watches them: where each stands, and which ones want a look before all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from eventctl import totals
from eventctl.cli.cartridgelook import Looked, broken, by_unit, look, names_of, runs_of
from eventctl.cli.wiring import house_of
from eventctl.drawing import milliseconds
from eventctl.totals import Totals
from eventctl.tui.look import Cell

if TYPE_CHECKING:
    from eventctl.cli.session import Session
    from eventctl.store import InstalledRow, Store, Unit

FAILING = 0.05
"""One run in twenty that ends in an error is no accident."""


class Standing(NamedTuple):
    """How a cartridge stands, in a glyph and a word; `why` says more. The lowest `turn` comes first."""

    turn: int
    cell: Cell
    why: str = ""


OFF, SUSPENDED, BROKEN, FAILS, STRUCK, SLOW, WORKER, ACTIVE, SHADOW, UNUSED = range(10)
WANTED = SLOW
"""Up to this turn somebody had better look."""

STATES = {
    OFF: Cell("✗ switched off", "bad"), SUSPENDED: Cell("⊘ suspended", "bad"), BROKEN: Cell("✗ broken", "bad"), FAILS: Cell("! failing", "bad"),
    STRUCK: Cell("⚡ struck", "warn"), SLOW: Cell("◷ slow", "warn"), WORKER: Cell("⧉ in a worker", "accent"), ACTIVE: Cell("● active", "good"),
    SHADOW: Cell("◌ in shadow", "muted"), UNUSED: Cell("○ not in use", "muted"),
}  # fmt: skip


class Seat(NamedTuple):
    """One cartridge of the workspace, as far as it does not change while files and units do not. `here` is whether it shares our process."""

    unit: str
    id: str
    standing: Standing
    here: bool


class Fleet(NamedTuple):
    """All cartridges of the workspace, put together once. `key` is what they were put together from."""

    key: tuple[object, ...]
    looked: Looked
    seats: tuple[Seat, ...]
    names: tuple[tuple[str, str], ...]
    budget_ns: int


class Reading(NamedTuple):
    """What they have done until now: by (pipeline, id), and by file."""

    counted: Mapping[tuple[str, str], Totals]
    units: Mapping[str, Totals]


def fleet(session: Session, key: tuple[object, ...]) -> Fleet:
    """Put all cartridges together. Costs a third of a second, and executes nothing of them."""
    looked = look(session)
    runs = runs_of(looked.composed)
    apart = {each.unit for plan in looked.composed.plans.values() for each in plan if each.runs == "worker"}
    suspended = {fault.path: str(fault) for fault in looked.faults if fault.suspended}
    seats = []
    for found in looked.found:
        unit = looked.units.get(found.path)
        stands = _stands(found.path, runs, apart, suspended, broken(looked, found), unit)
        if stands.turn == ACTIVE and found.manifest.rule is not None and found.manifest.rule.mode == "shadow":
            stands = Standing(SHADOW, STATES[SHADOW])
        seats.append(Seat(found.path, found.manifest.id, stands, found.path not in apart))
    seats += [Seat(unit.path, id_, Standing(OFF, STATES[OFF], unit.reason), False) for unit, id_ in looked.off()]
    settings, _ = house_of(session).settings()
    return Fleet(key, looked, tuple(seats), tuple(names_of(looked.composed)), settings.runner.in_process_budget * 1_000)


def key_of(units: Mapping[str, Unit], installed: Sequence[InstalledRow]) -> tuple[object, ...]:
    """What says whether they have to be put together anew."""
    return (*((unit.path, unit.hash, unit.state, unit.strikes) for unit in units.values()), *map(tuple, installed))


def read(store: Store, fleet: Fleet) -> Reading:
    """What they have done until now: one row of state a cartridge."""
    counted = totals.read(store, fleet.names)
    return Reading(counted, by_unit(fleet.looked.composed, counted))


def standing(seat: Seat, totals: Totals, errors_per_s: float | None, budget_ns: int) -> Standing:
    """How it stands, with what it has done."""
    if seat.standing.turn <= BROKEN:
        return seat.standing
    if errors_per_s or (totals.calls and totals.errors >= FAILING * totals.calls):
        why = f"{totals.errors:,} of {totals.calls:,} runs ended in an error"
        return Standing(FAILS, STATES[FAILS], why)
    if seat.standing.turn == STRUCK:
        return seat.standing
    if seat.here and totals.p95_ns > budget_ns:
        why = f"5 of 100 runs take more than {milliseconds(totals.p95_ns)}, and {milliseconds(budget_ns)} are meant"
        return Standing(SLOW, STATES[SLOW], why)
    return seat.standing


def _stands(
    path: str, runs: Mapping[str, object], apart: set[str], suspended: Mapping[str, str], wrong: str, unit: Unit | None
) -> Standing:
    if path in suspended:
        return Standing(SUSPENDED, STATES[SUSPENDED], suspended[path])
    if path not in runs:
        return Standing(BROKEN, STATES[BROKEN], wrong) if wrong else Standing(UNUSED, STATES[UNUSED])
    if unit is not None and unit.strikes:
        times = "once" if unit.strikes == 1 else f"{unit.strikes} times"
        return Standing(STRUCK, STATES[STRUCK], f"hung or ended the process {times}")
    return Standing(WORKER, STATES[WORKER]) if path in apart else Standing(ACTIVE, STATES[ACTIVE])
