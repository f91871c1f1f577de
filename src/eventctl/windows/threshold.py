"""Threshold: so many events, or so many distinct values, within a window.

Event time is cut into sub-buckets of a quarter of `within`, beginning with 1970. A *window* is any four sub-buckets in a row; it is
*hot* when it holds `count` events, or with `distinct` so many different values. An event fires when it makes a window hot, and no
window was hot that overlaps or touches one of those with the event in them: once, and not again before it has been calm for the
length of a window. So what fires happened within `within`, and what happens within three quarters of it surely fires. Where an
event counts follows from its own time; in which order events arrive changes neither the counts nor what is hot. An event four
windows older than the newest of its key is too late to count.

State: at most 23 sub-buckets. Without `distinct` up to 250 bytes per key; with it, each sub-bucket keeps up to `count` values of 24
characters, a longer one as its beginning and a hash: at most `count` kilobytes.
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


def step(window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
    """Count one event. `at` counts already: it is not ahead, and not history."""
    if not signals.counts:
        return Step(state)
    bucket = at // quarter(window)
    newest: int = state["newest"] if state else bucket
    cells: list[Any] = list(state["cells"]) if state else []
    if newest - bucket >= COUNTED:
        return Step(state)
    if bucket > newest:
        cells = ([0] * min(bucket - newest, KEPT) + cells)[:KEPT]
        newest = bucket
    place = newest - bucket
    cells += [0] * (place + 1 - len(cells))
    was_hot = _hot(window, cells, place - 2 * PARTS + 1, place + 2 * PARTS - 1)
    cells[place] = _with(cells[place], window, signals.value)
    hot = _hot(window, cells, place - PARTS + 1, place + PARTS - 1)
    fired = None
    if hot and not was_hot:
        fired = _fired(window, cells, hot[-1], newest)
    return _left(window, newest, cells, fired)


def _left(window: Window, newest: int, cells: list[Any], fired: Fired | None = None) -> Step:
    while cells and not cells[-1]:
        cells.pop()
    end = (newest + 2 * PARTS) * quarter(window)
    return Step({"newest": newest, "cells": cells}, fired, expires=end + lateness(window))


def _hot(window: Window, cells: list[Any], first: int, last: int) -> list[int]:
    """Which windows are hot that lie within these places: the place of each one's newest sub-bucket. Places count backwards."""
    wanted = window.count or 1
    return [place for place in range(first, last - PARTS + 2) if len(cells) > place and _size(cells, place) >= wanted]


def _size(cells: list[Any], place: int) -> int:
    inside = [cell for cell in cells[max(0, place) : max(0, place + PARTS)] if cell]
    if inside and isinstance(inside[0], list):
        return len({value for cell in inside for value in cell})
    return sum(inside)


def _with(cell: Any, window: Window, value: Any) -> Any:
    if window.distinct is None:
        return cell + 1
    name, known = short(value), cell or []
    full = name in known or len(known) >= (window.count or 1)
    return known if full else [*known, name]


def _fired(window: Window, cells: list[Any], place: int, newest: int) -> Fired:
    """The oldest of the windows that are hot now tells: how many, since when, and which values."""
    inside = [(at, cells[at]) for at in range(max(0, place), min(len(cells), place + PARTS)) if cells[at]]
    since = (newest - inside[-1][0]) * quarter(window)
    values = sorted({value for _, cell in inside for value in cell}) if window.distinct is not None else None
    return Fired(_size(cells, place), since, values)
