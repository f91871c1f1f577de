"""Windows: what a rule remembers of earlier events, as pure steps from state to state.

A step takes the state of one key and one event, and gives the next state, JSON both. It reads no clock and does nothing: firing,
timers and muting are said in what it returns. Each kind stands in a module of its own and says there what it means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventctl.windows import absence, flap, inhibit, rate, sequence, threshold
from eventctl.windows.steps import AHEAD, Fired, Signals, State, Step, lateness

if TYPE_CHECKING:
    from eventctl.expressions import Expression, Facts
    from eventctl.rule import Window

__all__ = ["Fired", "Signals", "State", "Step", "moment", "signals", "step", "woken"]

_KINDS = {
    "threshold": threshold.step,
    "sequence": sequence.step,
    "absence": absence.step,
    "flap": flap.step,
    "rate": rate.step,
    "inhibit": inhibit.step,
}


def step(window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
    """What one event does to the window of its key.

    `at` is the event's own time and `ingested` when it came in, microseconds. What is too old to count, or nothing to this window,
    leaves the state as it is.
    """
    counted, ours = moment(window, at, ingested), _ours(window, state)
    if counted is None:
        return Step(ours)
    return _marked(window, ours, _KINDS[window.kind](window, ours, counted, ingested, signals))


def woken(window: Window, state: State | None, now: int) -> Step:
    """What the window of a key says when it is asked again, at `now` in ingestion time. Asking too early changes nothing."""
    ours = _ours(window, state)
    return _marked(window, ours, absence.woken(window, ours, now)) if window.kind == "absence" else Step(ours)


def moment(window: Window, at: int, ingested: int) -> int | None:
    """When an event counts: its own time, held to 5 s after its ingestion; None when it happened too long before that."""
    return min(at, ingested + AHEAD) if at >= ingested - lateness(window) else None


def signals(window: Window, when: Expression | None, facts: Facts) -> Signals:
    """What an event is to this window. Raises `expressions.Unanswered` when an expression has no answer for it."""
    from eventctl.expressions import compiled

    def holds(text: str | None) -> bool:
        return text is not None and compiled(text).holds(facts)

    counts = when is None or when.holds(facts)
    if not counts and window.kind != "inhibit":
        return Signals()
    text = window.distinct or window.value
    value = None if text is None else compiled(text, wants="any" if window.kind != "rate" else "number").value(facts)
    return Signals(holds(window.after), holds(window.then), holds(window.expect), holds(window.until), counts, value)


def _shape(window: Window) -> str:
    """What state is good for: another kind, or another length, cannot read it."""
    by = "distinct" if window.distinct else "after" if window.after else ""
    return f"{window.kind} {window.within} {by}".rstrip()


def _ours(window: Window, state: State | None) -> State | None:
    return state if state and state.get("of") == _shape(window) else None


def _marked(window: Window, ours: State | None, done: Step) -> Step:
    if done.state is None or done.state is ours:
        return done
    return done._replace(state={"of": _shape(window), **done.state})
