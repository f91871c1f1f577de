"""Rate: a number that rises, or falls, by much within a window.

The lowest and the highest value of each quarter of `within` are kept. An event *shows* the change when its value differs by `change` or
more from the lowest one (a fall: the highest) of its own quarter so far and the three before; and one that comes in late, when a
value of the three quarters after it differs so from its own. `percent` is of the earlier value, which has to be above 0. The first
event that shows it fires, and then none before a whole window without one. `value` is by how much, in the same unit; `since` is the
beginning of the quarter that it is compared with. An event four windows older than the newest of its key is too late to count.

State: at most 19 quarters, 1 kB per key.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING, Any

from eventctl.windows.steps import BEHIND, PARTS, Fired, Signals, State, Step, lateness, quarter

if TYPE_CHECKING:
    from eventctl.rule import Window

COUNTED = BEHIND * PARTS
KEPT = COUNTED + PARTS - 1
"""Quarters that are remembered: the oldest one that counts looks back at three."""

Cell = list[float] | None
"""The lowest and the highest value of a quarter, or nothing."""


def step(window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
    """Compare one value. `at` counts already: it is not ahead, and not history."""
    value = signals.value
    if not signals.counts or not _number(value):
        return Step(state)
    bucket = at // quarter(window)
    newest: int = max(bucket, state["newest"]) if state else bucket
    place = newest - bucket
    if place >= COUNTED:
        return Step(state)
    cells: list[Cell] = [None] * min(newest - state["newest"], KEPT) + state["cells"] if state else []
    cells = (cells + [None] * KEPT)[:KEPT]
    shown = max(_changes(window, cells, place, value), default=None)
    cell = cells[place]
    cells[place] = [min(cell[0], value), max(cell[1], value)] if cell else [value, value]
    hot: int | None = state["hot"] if state else None
    fired = None
    if shown:
        if hot is None or bucket - hot > PARTS:
            size, before = shown
            fired = Fired(1, (newest - before) * quarter(window), size if _rises(window) else -size)
        hot = bucket if hot is None else max(hot, bucket)
    while cells and cells[-1] is None:
        cells.pop()
    end = (newest + PARTS + 1) * quarter(window)
    return Step({"newest": newest, "cells": cells, "hot": hot}, fired, expires=end + lateness(window))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _rises(window: Window) -> bool:
    return (window.change or window.percent or 0) > 0


def _changes(window: Window, cells: list[Cell], place: int, value: float) -> Iterator[tuple[float, int]]:
    """The changes that a value shows: how large, as a rise, and the place of the quarter where each begins."""
    low, high = (0, 1) if _rises(window) else (1, 0)
    for at in range(place, min(place + PARTS, len(cells))):
        cell = cells[at]
        if cell and (size := _size(window, cell[low], value)):
            yield size, at
    for at in range(max(0, place - PARTS + 1), place):
        cell = cells[at]
        if cell and (size := _size(window, value, cell[high])):
            yield size, place


def _size(window: Window, before: float, now: float) -> float:
    """By how much a value went the window's way, if that is enough; else 0."""
    change = now - before if _rises(window) else before - now
    if window.percent is None:
        return change if change >= abs(window.change or 0) else 0
    percent = change / before * 100 if before > 0 else 0
    return percent if percent >= abs(window.percent) else 0
