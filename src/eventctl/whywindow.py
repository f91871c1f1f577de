"""Which window stood at which count: a rule's window stepped again over the stored events of one key, up to one event and not past it.

What the store holds of a window is how it stands now. How it stood then follows from the events: those of the rule's types and of
the same key are stepped again in their order, from three of its lengths before the event (a flap: a week) on, and at most
`REPLAY_MAX` of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import orjson

from eventctl import windows
from eventctl.expressions import Unanswered, compiled
from eventctl.store import LOG_PIPELINE, Keys, Store
from eventctl.times import MINUTE, WEEK, format_duration, iso, parse_iso
from eventctl.views import LogFilter
from eventctl.whyterms import Term, plain, quoted, terms, value
from eventctl.windows.standing import Standing, standing
from eventctl.windows.steps import AHEAD, lateness

if TYPE_CHECKING:
    from eventctl.expressions import Facts
    from eventctl.rule import Rule, Window
    from eventctl.store import LogRow
    from eventctl.windows import Signals, State, Step

REPLAY_MAX = 2_000
"""Earlier events that are looked at: 0.1 s of them."""

SPAN = 3
"""Window lengths before the event that are looked at: whether a threshold has spoken before follows from two."""

When = Callable[[int], str]


class Counting(Protocol):
    """A rule that has a window, and what it takes an event for."""

    @property
    def rule(self) -> Rule: ...
    @property
    def consumes(self) -> tuple[str, ...]: ...
    def facts(self, row: LogRow, annotations: Mapping[str, bytes]) -> Facts:
        """What its expressions may ask about an event."""

    def key(self, row: LogRow) -> str:
        """The key of the state that its window has for an event."""

    def counts(self, row: LogRow, annotations: Mapping[str, bytes]) -> bool:
        """Whether an event that was let in reaches its window."""

    def one_entity(self, row: LogRow) -> str | None:
        """The entity that all events of the key of this one have, if that is all that its key says."""


class Stood(NamedTuple):
    """A window at an event. `was` says as what the event counted, `matched` that the rule acts at it.

    `reason` is that in half a sentence, `lines` are all sentences, `facts` the same as data.
    """

    matched: bool
    reason: str
    lines: list[str]
    facts: dict[str, Any]


class _Replay(NamedTuple):
    before: State | None
    lasting: int
    looked: int
    bounded: bool
    since: int


def stood(store: Store, rule: Counting, row: LogRow, facts: Facts, when: When) -> Stood:
    """How the window of an event's key stood with it."""
    window = rule.rule.window
    assert window is not None  # noqa: S101 - asked before
    at, wrong = windows.moment(window, _own_time(row), row.at), ""
    asked = _asked(window, facts)
    try:
        signals = windows.signals(window, _when(rule.rule), facts)
    except Unanswered as none:
        wrong = str(none)
    lines = [f"It is a window of the kind {window.kind} within {format_duration(window.within)}, {_per(window)}."]
    lines += [f"{name}: {term.sentence()}." for name, term in asked]
    told: dict[str, Any] = {"kind": window.kind, "asked": {name: term.form() for name, term in asked}}
    if wrong:
        return _end(lines, told, f"its window has no answer: {wrong}")
    if at is None:
        late = format_duration(row.at - _own_time(row))
        reason = f"it happened {late} before it came in, and the window counts at most {format_duration(lateness(window))}"
        return _end(lines, told, reason)
    replay = _replayed(store, rule, row, at)
    step = windows.step(window, replay.before, _own_time(row), row.at, signals)
    there = standing(window, replay.before, signals, step, at)
    was = [name for name in ("after", "then", "expect", "until", "counts") if getattr(signals, name)]
    told |= {
        "counted_as": was,
        "looked_at": replay.looked,
        "bounded": replay.bounded,
        "looked_since": iso(replay.since),
        **_told(there),
    }
    matched, reason = _said(rule.rule, signals, step, there, replay.lasting, row, when)
    if set(was) - {"counts"} and not there.late:
        lines.append(f"The event counted as {' and '.join(f'`{name}`' for name in was if name != 'counts')}.")
    lines.append(f"{reason[0].upper()}{reason[1:]}.")
    if replay.bounded:
        lines.append(
            f"Only the newest {REPLAY_MAX:,} events before it were looked at: with more, the window may have stood higher."
        )
    return Stood(matched, reason, lines, told | {"matched": matched, "reason": reason})


def _end(lines: list[str], told: dict[str, Any], reason: str) -> Stood:
    return Stood(False, reason, [*lines, f"{reason[0].upper()}{reason[1:]}."], told | {"matched": False, "reason": reason})


def _own_time(row: LogRow) -> int:
    return parse_iso(orjson.loads(row.body)["timestamp"])


def _when(rule: Rule) -> Any:
    return compiled(rule.when) if rule.when else None


def _per(window: Window) -> str:
    return f"one for each {' and '.join(window.per)}" if window.per else "one for all events"


def _asked(window: Window, facts: Facts) -> list[tuple[str, Term]]:
    """The window's own expressions with their values."""
    named = [(name, getattr(window, name)) for name in ("after", "then", "expect", "until")]
    found = [(name, term) for name, text in named if text for term in terms(text, facts)]
    valued = [(name, getattr(window, name)) for name in ("distinct", "value")]
    return found + [(name, value(text, facts)) for name, text in valued if text]


def _replayed(store: Store, rule: Counting, row: LogRow, at: int) -> _Replay:
    window = rule.rule.window
    assert window is not None  # noqa: S101 - asked before
    span = max(SPAN * window.within, WEEK if window.kind == "flap" else 0)
    since = max(0, min(at, row.at) - span - AHEAD)
    want = LogFilter(types=rule.consumes, kinds=("event",), since=since, entity=rule.one_entity(row))
    rows = store.views.log(want, limit=REPLAY_MAX + 1, before=row.seq)
    bounded, key = len(rows) > REPLAY_MAX, rule.key(row)
    state: State | None = None
    wake, lasting, looked = None, 0, 0
    for each, noted in _let_in(store, rows[:REPLAY_MAX][::-1]):
        if rule.key(each) != key or not rule.counts(each, noted):
            continue
        looked += 1
        while wake is not None and wake <= each.at:
            woken = windows.woken(window, state, wake)
            state, wake = woken.state, woken.wake
        try:
            signals = windows.signals(window, _when(rule.rule), rule.facts(each, noted))
        except Unanswered:
            continue
        step = windows.step(window, state, _own_time(each), each.at, signals)
        state, wake = step.state, step.wake if step.wake is not None else wake
        if step.fired is not None and step.muted is None:
            lasting = each.at + lasts(rule.rule)
    while wake is not None and wake <= row.at:
        woken = windows.woken(window, state, wake)
        state, wake = woken.state, woken.wake
    return _Replay(state, lasting, looked, bounded, since)


def _let_in(store: Store, rows: list[LogRow]) -> Iterator[tuple[LogRow, Mapping[str, bytes]]]:
    """Those that the system pipeline let go on, with what stands beside them."""
    seqs = [row.seq for row in rows]
    found = store.snapshot(Keys(exceptions=[(LOG_PIPELINE, seq) for seq in seqs], annotations=seqs))
    for row in rows:
        if (LOG_PIPELINE, row.seq) not in found.exceptions:
            yield row, found.annotations.get(row.seq, {})


def lasts(rule: Rule) -> int:
    """How long a shaping rule that counted enough goes on acting, in microseconds; a speaking one does not."""
    if not rule.shaping or rule.window is None:
        return 0
    return rule.silence.for_ if rule.silence is not None and rule.silence.for_ is not None else rule.window.within


def _told(there: Standing) -> dict[str, Any]:
    moments = {name: None if (us := getattr(there, name)) is None else iso(us) for name in ("since", "until")}
    return {
        "count": there.count, "needed": there.needed, **moments, "spoken_before": there.spoken, "too_late": there.late,
        "value": plain(there.value), "before": plain(there.before),
    }  # fmt: skip


def _said(rule: Rule, signals: Signals, step: Step, there: Standing, lasting: int, row: LogRow, when: When) -> tuple[bool, str]:
    """Whether the rule acts at the event, and how its window stood, as half a sentence."""
    window = rule.window
    assert window is not None  # noqa: S101 - asked before
    if there.late:
        return False, "the event is more than four windows older than the newest of its key: too late to count"
    if not signals.counts and window.kind != "inhibit":
        return False, "`when` does not hold, so that the event does not reach the window"
    acts, said = _KINDS[window.kind](window, signals, step, there, when)
    if not acts and signals.counts and rule.shaping and lasting > row.at:
        return (
            True,
            f"{said}; it was reached before, and the rule acts on what matches until {when(-(-lasting // MINUTE) * MINUTE)}",
        )
    return acts, said


def _threshold(window: Window, signals: Signals, step: Step, there: Standing, when: When) -> tuple[bool, str]:
    unit = " different values" if window.distinct else ""
    place = _from_to(there, when)
    stood = f"its window stood at {there.count} of {there.needed}{unit} with this event{place}"
    if step.fired is not None:
        return True, stood
    if there.spoken:
        return False, f"{stood}, and it had spoken before: it does once, until it was calm for {format_duration(window.within)}"
    return False, stood


def _sequence(window: Window, signals: Signals, step: Step, there: Standing, when: When) -> tuple[bool, str]:
    if step.fired is not None:
        return True, f"it is the second of a sequence whose first came at {when(step.fired.since)}"
    if signals.then:
        return (
            False,
            f"`then` holds, and no event for which `after` holds waited for it in the {format_duration(window.within)} before",
        )
    if signals.after and there.until is not None:
        return False, f"it is the first of a sequence: the second is waited for until {when(there.until)}"
    return False, "neither `after` nor `then` holds"


def _absence(window: Window, signals: Signals, step: Step, there: Standing, when: When) -> tuple[bool, str]:
    if window.after is None:
        if not signals.expect:
            return False, "`expect` does not hold"
        due = (
            f"it speaks at {when(there.until)}" if there.until is not None else "it came in too late to say anything about now"
        )
        return False, f"it is a beat: without another one {due}" if there.until is not None else f"it is a beat, and {due}"
    if there.until is not None and signals.after:
        return False, f"a wait began with it: without what is expected the rule speaks at {when(there.until)}"
    if signals.after:
        return False, "it would begin a wait, and what is expected had come before it"
    if signals.expect and there.count:
        return False, f"it is what was expected, and ended the wait since {when(there.since or 0)}"
    if signals.expect:
        return False, "it is what is expected, and nothing waited for it"
    return False, "neither `after` nor `expect` holds"


def _rate(window: Window, signals: Signals, step: Step, there: Standing, when: When) -> tuple[bool, str]:
    if isinstance(signals.value, bool) or not isinstance(signals.value, int | float):
        return False, f"{quoted(signals.value)} is no number that it could compare"
    unit = " percent" if window.percent is not None else ""
    fired = step.fired
    if fired is not None and (there.count is None or abs(there.count) < abs(fired.value)):
        return True, f"it came in late, and a value after its time differs by {fired.value:g} of {there.needed:g}{unit}"
    if there.count is None:
        return False, f"its value is {quoted(there.value)}, and there is none of the {format_duration(window.within)} before"
    said = f"its value went from {quoted(there.before)} to {quoted(there.value)}, by {there.count:g} of {there.needed:g}{unit}"
    said += f" within {format_duration(window.within)}"
    if fired is not None:
        return True, said
    return False, f"{said}, and the rule had spoken before: it does once, until it was calm" if there.spoken else said


def _flap(window: Window, signals: Signals, step: Step, there: Standing, when: When) -> tuple[bool, str]:
    if there.before is None:
        return False, f"it is the first of its key, with the value {_short(there.value)}"
    same = there.before == there.value
    change = f"stayed {_short(there.value)}" if same else f"went from {_short(there.before)} to {_short(there.value)}"
    said = f"its value {change}; {there.count} of {there.needed} changes within {format_duration(window.within)}"
    return (True, f"{said}: quiet until {when(step.muted)}") if step.muted is not None else (False, said)


def _short(text: str) -> str:
    """A value as a flap remembers it: text as it is, all else as JSON."""
    return text if text in ("true", "false", "null") or text.lstrip("-").isdigit() else quoted(text)


def _inhibit(window: Window, signals: Signals, step: Step, there: Standing, when: When) -> tuple[bool, str]:
    if signals.after:
        return False, "it is a cause itself: from it on other events are kept quiet"
    if signals.until:
        return False, "it ends what keeps other events quiet"
    if step.muted is not None and there.since is not None:
        return True, f"a cause stands since {when(there.since)}, and keeps it quiet until {when(step.muted)}"
    if not signals.counts:
        return False, "`when` does not hold"
    if there.since is not None:
        return False, f"the last cause, at {when(there.since)}, was over"
    return False, f"no event for which `after` holds came in the {format_duration(window.within)} before"


def _from_to(there: Standing, when: When) -> str:
    if there.since is None or there.until is None or there.since == there.until:
        return ""
    return f", from {when(there.since)} to {when(there.until)}"


_KINDS = {
    "threshold": _threshold, "sequence": _sequence, "absence": _absence, "rate": _rate, "flap": _flap, "inhibit": _inhibit,
}  # fmt: skip
