"""Flap: a state that changes too often is quiet until it has settled.

A change is a value unlike that of the event before it, by event time, if that was not more than a week before. Changes are counted in
quarters of `within`, as a threshold counts. The change that makes `count` of them in four quarters in a row begins a stretch: it
fires once, and from it on every event is muted, until there was no change for `within`. An event older than the newest of its key is
no change any more; it is muted when its own time lies in the stretch.

State: two times, one value and four counts: at most 250 bytes per key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventctl.times import WEEK
from eventctl.windows.steps import PARTS, Fired, Signals, State, Step, lateness, quarter, short

if TYPE_CHECKING:
    from eventctl.rule import Window


def step(window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
    """Compare one event with the one before it. `at` counts already: it is not ahead, and not history."""
    if not signals.counts:
        return Step(state)
    value = short(signals.value)
    if state is None or at - state["newest"] > WEEK:
        return _left(window, {"newest": at, "value": value, "cells": [], "since": None, "until": None})
    since, until = state["since"], state["until"]
    if at < state["newest"]:
        return Step(state, muted=until if until is not None and since <= at < until else None)
    cells: list[int] = _moved(window, state, at)
    if until is not None and at >= until:
        cells, since, until = [0] * PARTS, None, None
    fired = None
    if value != state["value"]:
        cells[0] += 1
        if until is not None:
            until = at + window.within
        elif sum(cells) >= (window.count or 1):
            since, until = at, at + window.within
            oldest = max(place for place, changes in enumerate(cells) if changes)
            fired = Fired(sum(cells), (at // quarter(window) - oldest) * quarter(window))
    left = {"newest": at, "value": value, "cells": cells, "since": since, "until": until}
    return _left(window, left)._replace(fired=fired, muted=until)


def _moved(window: Window, state: State, at: int) -> list[int]:
    """The counts of the last four quarters, newest first, as seen from this event's."""
    passed = at // quarter(window) - state["newest"] // quarter(window)
    known: list[int] = state["cells"]
    return ([0] * min(passed, PARTS) + known + [0] * PARTS)[:PARTS]


def _left(window: Window, state: State) -> Step:
    end = max(state["newest"] + WEEK, state["until"] or 0)
    return Step(state, expires=end + lateness(window) + 1)
