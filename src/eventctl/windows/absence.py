"""Absence: what was expected did not come.

With `after`: A, and no B in the `within` that follow it by event time. B, for which `expect` holds, clears every A from its own time
back to `within` before, also one that comes in later than B. An A that is not cleared is asked about at
`max(its time + within, its ingestion) + grace`: by then everything had the chance to come in, also when a whole day is read at once.
`grace` is the rule's `lateness`, or 10 s. When the first one is due, the window fires once for it and for every open A up to its
deadline: a repeated A waits no longer than the first. A later one has a deadline of its own. An event more than four windows older
than the newest A or B of its key is too late to count.

Without `after` it is a heartbeat: each B that is newer than all before expects the next one within `within`, and is asked about at its
own time + `within` + `grace`; silence fires once. A B for which that moment is over when it comes in expects nothing: it says
nothing about now. Nothing is expected before the first B.

State: at most 64 open A (of more, the oldest and the newest one) and about ten B: at most 2.5 kB per key. A heartbeat: 100 bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventctl.times import WEEK
from eventctl.windows import pairs
from eventctl.windows.steps import Fired, Signals, State, Step, grace, lateness

if TYPE_CHECKING:
    from eventctl.rule import Window

OVERDUE = WEEK
"""How long past its moment a question may be asked: as long as a runner that stands still may leave it."""

Open = tuple[int, int]
"""An A: its time, and when it is asked about."""


def step(window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
    """Take one event as B, as A, or as both. `at` counts already: it is not ahead, and not history."""
    if window.after is None:
        return _beat(window, state, at, ingested) if signals.expect else Step(state)
    if not (signals.after or signals.expect):
        return Step(state)
    opened = _opened(state)
    answers: list[int] = state["answers"] if state else []
    newest = max(at, state["newest"]) if state else at
    if pairs.too_late(window, newest, at):
        return Step(state)
    if signals.expect:
        opened = [each for each in opened if not each[0] <= at <= each[0] + window.within]
    if signals.after and not pairs.answered(window, answers, at):
        opened = sorted([*opened, (at, max(at + window.within, ingested) + grace(window))])
        if len(opened) > pairs.OPEN_MAX:
            del opened[-2]
    if signals.expect:
        answers = pairs.noted(window, answers, at, newest)
    left = _left(window, newest, opened, answers)
    return left._replace(wake=None) if left.wake == _wake(_opened(state)) else left


def woken(window: Window, state: State | None, now: int) -> Step:
    """What is due by now, `now` in ingestion time. A wake that is not in the future asks to be asked again at once."""
    if state is None:
        return Step()
    if window.after is None:
        return _silent(window, state, now)
    opened = _opened(state)
    due = [start for start, asked in opened if asked <= now]
    if not due:
        return Step(state, wake=_wake(opened))
    over = [start for start, _ in opened if start <= due[0] + window.within]
    opened = [each for each in opened if each[0] not in over]
    return _left(window, state["newest"], opened, state["answers"], Fired(len(over), over[0]))


def _opened(state: State | None) -> list[Open]:
    return [(start, asked) for start, asked in state["open"]] if state else []


def _wake(opened: list[Open]) -> int | None:
    return min((asked for _, asked in opened), default=None)


def _left(window: Window, newest: int, opened: list[Open], answers: list[int], fired: Fired | None = None) -> Step:
    state: State = {"newest": newest, "open": [list(each) for each in opened], "answers": answers}
    last = max((asked + OVERDUE for _, asked in opened), default=0)
    return Step(state, fired, _wake(opened), max(newest + window.within + lateness(window) + 1, last))


def _beat(window: Window, state: State | None, at: int, ingested: int) -> Step:
    if state and at <= state["newest"]:
        return Step(state)
    due: int | None = at + window.within + grace(window)
    if at + window.within + grace(window) <= ingested:
        due = state["due"] if state else None
    return _beaten(window, at, due)


def _silent(window: Window, state: State, now: int) -> Step:
    due = state["due"]
    if due is None or due > now:
        return Step(state, wake=due)
    return _beaten(window, state["newest"], None)._replace(fired=Fired(1, state["newest"]))


def _beaten(window: Window, newest: int, due: int | None) -> Step:
    over = newest + window.within + grace(window)
    return Step({"newest": newest, "due": due}, None, due, over if due is None else max(due, over) + OVERDUE)
