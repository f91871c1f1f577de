"""Threshold: so many events, or so many distinct values, within a window.

Event time is cut into sub-buckets of a quarter of `within`, beginning with 1970. A *window* is any four sub-buckets in a row; it is
*hot* when it holds `count` events, or with `distinct` so many different values. An event fires when it makes a window hot, and no
window was hot that overlaps or touches one of those with the event in them: once, and not again before it has been calm for the
length of a window. So what fires happened within `within`, and what happens within three quarters of it surely fires. Where an
event counts follows from its own time; in which order events arrive changes neither the counts nor what is hot. An event four
windows older than the newest of its key is too late to count.

State: at most 23 sub-buckets, each with the time of its earliest event. Without `distinct` up to 700 bytes per key; with it, a sub-bucket
keeps up to `count` values of 24 characters, a longer one as its beginning and a hash: at most `count` kilobytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventctl.windows.steps import BEHIND, PARTS, Fired, Signals, State, Step, lateness, quarter, short

if TYPE_CHECKING:
    from eventctl.rule import Window

COUNTED = BEHIND * PARTS
"""Sub-buckets, back from the newest, that still count."""

KEPT = COUNTED + 2 * PARTS - 1
"""Sub-buckets that are remembered: the oldest one that counts looks back at windows that touch its own."""


Cell = list[Any]
"""What happened in a sub-bucket: the time of its earliest event, and how many, or the distinct values."""


def step(window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
    """Count one event. `at` counts already: it is not ahead, and not history."""
    if not signals.counts:
        return Step(state)
    bucket = at // quarter(window)
    newest: int = state["newest"] if state else bucket
    cells: list[Cell | None] = list(state["cells"]) if state else []
    if newest - bucket >= COUNTED:
        return Step(state)
    if bucket > newest:
        cells = ([None] * min(bucket - newest, KEPT) + cells)[:KEPT]
        newest = bucket
    place = newest - bucket
    cells += [None] * (place + 1 - len(cells))
    before = list(cells)
    cells[place] = _with(cells[place], window, at, signals.value)
    hot = _hot(window, cells, place - PARTS + 1, place + PARTS - 1)
    if not hot or _hot(window, before, place - 2 * PARTS + 1, place + 2 * PARTS - 1):
        return _left(window, newest, cells)
    return _left(window, newest, cells, _fired(window, cells, hot[-1]))


def _left(window: Window, newest: int, cells: list[Cell | None], fired: Fired | None = None) -> Step:
    while cells and not cells[-1]:
        cells.pop()
    end = (newest + 2 * PARTS) * quarter(window)
    return Step({"newest": newest, "cells": cells}, fired, expires=end + lateness(window))


def _hot(window: Window, cells: list[Cell | None], first: int, last: int) -> list[int]:
    """Which windows are hot that lie within these places: the place of each one's newest sub-bucket. Places count backwards."""
    wanted = window.count or 1
    return [place for place in range(first, last - PARTS + 2) if len(cells) > place and _size(window, cells, place) >= wanted]


def _inside(cells: list[Cell | None], place: int) -> list[Cell]:
    return [cell for cell in cells[max(0, place) : max(0, place + PARTS)] if cell]


def _size(window: Window, cells: list[Cell | None], place: int) -> int:
    inside = _inside(cells, place)
    if window.distinct is None:
        return sum(count for _, count in inside)
    return len({value for _, values in inside for value in values})


def _with(cell: Cell | None, window: Window, at: int, value: Any) -> Cell:
    first = min(at, cell[0]) if cell else at
    if window.distinct is None:
        return [first, cell[1] + 1 if cell else 1]
    name, known = short(value), cell[1] if cell else []
    full = name in known or len(known) >= (window.count or 1)
    return [first, known if full else [*known, name]]


def _fired(window: Window, cells: list[Cell | None], place: int) -> Fired:
    """The oldest of the windows that are hot now tells: how many, since when, and which values."""
    inside = _inside(cells, place)
    values = sorted({value for _, names in inside for value in names}) if window.distinct is not None else None
    return Fired(_size(window, cells, place), inside[-1][0], values)
