"""Inhibit: while A lasts, what matches is quiet.

A, for which `after` holds, mutes from its own time until an event for which `until` holds, or for `within`. What is muted are the events
for which the rule's `when` holds, every one without it, and never an A or an end itself; one that is both counts as an A. By event
time: an event is muted when the newest A at or before it is less than `within` old and no end lies between the two. So one
that comes in later than the end, but happened before it, is muted. An A or end more than four windows older than the newest of its key
is too late to count. It never fires.

State: the times of A and of ends, of more than 64 the newest 64 each: at most 2.5 kB per key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventctl.windows import pairs
from eventctl.windows.steps import BEHIND, Signals, State, Step, lateness

if TYPE_CHECKING:
    from eventctl.rule import Window


def step(window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
    """Note an A or an end, or say whether an event is muted. `at` counts already: it is not ahead, and not history."""
    if not (signals.after or signals.until):
        return Step(state, muted=_muted(window, state, at) if state and signals.counts else None)
    newest = max(at, state["newest"]) if state else at
    if pairs.too_late(window, newest, at):
        return Step(state)
    name = "on" if signals.after else "off"
    left: State = {"newest": newest, "on": state["on"] if state else [], "off": state["off"] if state else []}
    left[name] = sorted({*left[name], at})
    for each in ("on", "off"):
        left[each] = [time for time in left[each] if time >= newest - (BEHIND + 1) * window.within][-pairs.OPEN_MAX :]
    return Step(left, expires=newest + window.within + lateness(window) + 1)


def _muted(window: Window, state: State, at: int) -> int | None:
    start = max((time for time in state["on"] if time <= at), default=None)
    if start is None or at >= start + window.within or any(start <= end <= at for end in state["off"]):
        return None
    over: int = min([start + window.within, *(end for end in state["off"] if end > at)])
    return over
