"""Sequence: first A, then B, at most `within` later by event time.

A is an event for which `after` holds, B one for which `then` does; B may be as old as A, and no event answers itself. Each A is
completed once, by whichever B comes in first that fits, or on coming in itself when a B that fits was faster. An event that
completes several fires once: `count` says how many, `since` is the oldest. So all A that had their B are counted once each, in
whatever order events arrive. An event more than four windows older than the newest A or B of its key is too late to count.

State: the times of open A, of more than 64 the newest 64, and of about ten B: at most 1.5 kB per key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventctl.windows import pairs
from eventctl.windows.steps import BEHIND, Fired, Signals, State, Step, lateness

if TYPE_CHECKING:
    from eventctl.rule import Window


def step(window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
    """Take one event as B, as A, or as both. `at` counts already: it is not ahead, and not history."""
    if not (signals.after or signals.then):
        return Step(state)
    opened: list[int] = list(state["open"]) if state else []
    answers: list[int] = list(state["answers"]) if state else []
    newest = max(at, state["newest"]) if state else at
    if pairs.too_late(window, newest, at):
        return Step(state)
    done = [start for start in opened if start <= at <= start + window.within] if signals.then else []
    opened = [start for start in opened if start not in done]
    if signals.after and pairs.answered(window, answers, at):
        done.append(at)
    elif signals.after:
        opened = sorted([*opened, at])
    if signals.then:
        answers = pairs.noted(window, answers, at, newest)
    opened = [start for start in opened if start >= newest - (BEHIND + 1) * window.within][-pairs.OPEN_MAX :]
    fired = Fired(len(done), min(done)) if done else None
    left: State = {"newest": newest, "open": opened, "answers": answers}
    return Step(left, fired, expires=newest + window.within + lateness(window) + 1)
