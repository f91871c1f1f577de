"""The orders of pipelines with what stands in their boxes: what each cartridge has done, and how it stands."""

from __future__ import annotations

from typing import NamedTuple

from eventctl.cli.cartridgegraph import pictures
from eventctl.drawing import Picture, as_text, milliseconds
from eventctl.store import LOG_PIPELINE
from eventctl.text import safe_text
from eventctl.totals import NOTHING
from eventctl.tui.live.dagview import Inside
from eventctl.tui.live.fleet import ACTIVE, OFF, STATES, WORKER, Fleet, Reading, Seat, Standing, standing
from eventctl.tui.live.rates import Speed
from eventctl.tui.look import Cell, said


class Drawing(NamedTuple):
    """A pipeline's order with what stands in it: boxes, lines of text instead, lines below."""

    picture: Picture
    inside: dict[str, Inside]
    text: list[str]
    below: list[Cell]
    units: dict[str, str]


def drawings(fleet: Fleet, reading: Reading, errors: Speed) -> dict[str, Drawing]:
    """The order of every pipeline, by its name. `units` says which file a box stands for."""
    by_path = {seat.unit: seat for seat in fleet.seats}
    found = {}
    for name, picture in pictures(fleet.looked, reading.counted).items():
        plan = fleet.looked.composed.plans.get(name)
        units = {each.id: each.unit for each in plan} if plan is not None else _shaping(fleet)
        inside = {
            each: _inside(each, picture, by_path.get(units.get(each, "")), errors, fleet.budget_ns)
            for level in picture.graph.levels
            for each in level
        }
        text = safe_text(as_text(picture), newline=True).split("\n")
        off = [Cell(f"{STATES[OFF].text}: {said(id_, 60)}  {said(reason)}", "bad") for id_, reason in picture.off]
        found[name] = Drawing(picture, inside, text, off, units)
    return found


def _shaping(fleet: Fleet) -> dict[str, str]:
    """Rules that shape, by the names that they have in a picture."""
    shaping = fleet.looked.composed.shaping_units
    found = [each for each in fleet.looked.found if each.path in shaping]
    return {name: each.path for each in found for name in (each.manifest.id, f"{each.owner}/{each.manifest.id}")}


def _inside(name: str, picture: Picture, seat: Seat | None, errors: Speed, budget_ns: int) -> Inside:
    drawn = picture.beside.get(name)
    totals = drawn.totals if drawn is not None and drawn.totals is not None else NOTHING
    stands = Standing(ACTIVE, STATES[ACTIVE]) if seat is None else standing(seat, totals, errors.of(seat.unit), budget_ns)
    done = f"{totals.calls:,} run{'s' * (totals.calls != 1)}" if picture.pipeline != LOG_PIPELINE else "shapes"
    if totals.calls:
        done += f"  p95 {milliseconds(totals.p95_ns)}"
    failed = f"  {totals.errors:,} error{'s' * (totals.errors != 1)}" if totals.errors else ""
    tone = stands.cell.tone if stands.turn <= WORKER else "muted"
    return Inside(Cell(said(name, 60), "strong"), Cell(done), Cell(stands.cell.text + failed, tone))
