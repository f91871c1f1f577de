"""Where a window stands at an event: for people who ask why a rule spoke, or did not. Reads what a step has left, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventctl.windows.pairs import too_late
from eventctl.windows.steps import BEHIND, PARTS, Signals, State, Step, quarter

if TYPE_CHECKING:
    from eventctl.rule import Window


@dataclass(frozen=True, slots=True)
class Standing:
    """`count` of `needed` (events, distinct values, changes, or by how much a number went; None where nothing is counted).

    From `since` to `until`, microseconds of event time; of a wait, `until` is when it is over. `spoken` is that what is needed was
    there before this event, `late` that the event is too far behind the newest of its key. `value` and `before` are what is compared.
    """

    count: float | None = None
    needed: float | None = None
    since: int | None = None
    until: int | None = None
    spoken: bool = False
    late: bool = False
    value: Any = None
    before: Any = None


def standing(window: Window, before: State | None, signals: Signals, step: Step, at: int) -> Standing:
    """Where the window of an event's key stands with it. `before` is its state without the event, `at` when the event counts."""
    after = step.state
    if before is not None and _late(window, before["newest"], signals, at):
        return Standing(late=True)
    if after is None:
        return Standing()
    return _KINDS[window.kind](window, before, signals, step, at)


def _late(window: Window, newest: int, signals: Signals, at: int) -> bool:
    if window.kind in ("threshold", "rate"):
        return newest - at // quarter(window) >= BEHIND * PARTS
    opens_or_ends = signals.after or signals.then or signals.expect or signals.until
    waits = window.kind in ("sequence", "inhibit") or (window.kind == "absence" and window.after is not None)
    return waits and opens_or_ends and too_late(window, newest, at)


def _threshold(window: Window, before: State | None, signals: Signals, step: Step, at: int) -> Standing:
    """The fullest four quarters with the event in them."""
    state = step.state or {}
    cells, place = state["cells"], state["newest"] - at // quarter(window)
    sizes = [(_many(window, cells, first), -first) for first in range(max(0, place - PARTS + 1), place + 1)]
    count, newest = max(sizes)
    inside = [cell for cell in cells[-newest : -newest + PARTS] if cell]
    since = min((cell[0] for cell in inside), default=at)
    needed = window.count or 1
    return Standing(count, needed, since, max(at, since), spoken=count >= needed and step.fired is None)


def _many(window: Window, cells: list[Any], first: int) -> int:
    inside = [cell for cell in cells[first : first + PARTS] if cell]
    return sum(cell[1] for cell in inside) if window.distinct is None else len({name for cell in inside for name in cell[1]})


def _sequence(window: Window, before: State | None, signals: Signals, step: Step, at: int) -> Standing:
    """How many events for which `after` holds waited for their `then`."""
    waiting = [start for start in (before or {}).get("open", ()) if start <= at <= start + window.within]
    if signals.then:
        return Standing(len(waiting), 1, min(waiting, default=at - window.within), at)
    return Standing(None, None, at, at + window.within)


def _absence(window: Window, before: State | None, signals: Signals, step: Step, at: int) -> Standing:
    """Until when a wait lasts, or how many it has ended."""
    state = step.state or {}
    if window.after is None:
        return Standing(None, None, at, state.get("due"))
    if signals.expect and not signals.after:
        ended = [each[0] for each in (before or {}).get("open", ()) if each[0] <= at <= each[0] + window.within]
        return Standing(len(ended), None, min(ended, default=None), at)
    due = next((each[1] for each in state.get("open", ()) if each[0] == at), None)
    return Standing(None, None, at, due)


def _rate(window: Window, before: State | None, signals: Signals, step: Step, at: int) -> Standing:
    """By how much the number went since the lowest, or for a fall the highest, of its quarter and the three before."""
    wanted = (window.change if window.percent is None else window.percent) or 0
    bucket = at // quarter(window)
    cells = {before["newest"] - place: cell for place, cell in enumerate(before["cells"]) if cell} if before else {}
    inside = {number: cell for number, cell in cells.items() if bucket - PARTS < number <= bucket}
    if not inside:
        return Standing(None, wanted, value=signals.value)
    base, number = (
        min((cell[0], number) for number, cell in inside.items())
        if wanted > 0
        else max((cell[1], number) for number, cell in inside.items())
    )
    change: float = signals.value - base
    if window.percent is not None:
        change = change / base * 100 if base > 0 else 0
    enough = change >= wanted if wanted > 0 else change <= wanted
    since = number * quarter(window)
    return Standing(round(change, 6), wanted, since, at, enough and step.fired is None, value=signals.value, before=base)


def _flap(window: Window, before: State | None, signals: Signals, step: Step, at: int) -> Standing:
    """How often the value changed."""
    state = step.state or {}
    known = (before or {}).get("value")
    ends: int | None = state["until"]
    return Standing(
        sum(state["cells"]), window.count, at - window.within, ends or at, bool(ends) and step.fired is None,
        value=state["value"], before=known,
    )  # fmt: skip


def _inhibit(window: Window, before: State | None, signals: Signals, step: Step, at: int) -> Standing:
    """Since when the newest cause stands."""
    state = step.state or {}
    start = max((time for time in state["on"] if time <= at), default=None)
    return Standing(None, None, start, step.muted if step.muted is not None else None)


_KINDS = {
    "threshold": _threshold, "sequence": _sequence, "absence": _absence, "rate": _rate, "flap": _flap, "inhibit": _inhibit,
}  # fmt: skip
