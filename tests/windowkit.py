"""An oracle for windows: it keeps everything that ever came in and answers each question from scratch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from hypothesis import strategies as st

from eventctl import windows
from eventctl.rule import Window
from eventctl.shapes import STORED
from eventctl.times import SECOND, WEEK
from eventctl.windows import Fired, Signals, State, Step

NOON = 1_800_000_000 * SECOND
AHEAD = 5 * SECOND


class Arrival(NamedTuple):
    """One thing that happens to a window: `wait` seconds pass, then an event comes in that happened `lag` seconds before.

    `asked` says whether timers that came due are worked off first; a runner that stands still does so later. `restart` puts the
    state through JSON, and lets go of it when it has expired.
    """

    wait: int
    lag: float
    signals: Signals
    asked: bool = True
    restart: bool = False


class Said(NamedTuple):
    """A window spoke: at which arrival (a wake counts for the arrival after it), and what."""

    arrival: int
    fired: Fired


class Seen(NamedTuple):
    """An event that counts, with its time as it counts."""

    number: int
    at: int
    ingested: int
    signals: Signals


class Machine:
    """The machine under test. Mutants override what they get wrong."""

    def step(self, window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
        return windows.step(window, state, at, ingested, signals)

    def woken(self, window: Window, state: State | None, now: int) -> Step:
        return windows.woken(window, state, now)

    def restarted(self, state: State | None, expired: bool) -> State | None:
        return None if state is None or expired else orjson.loads(orjson.dumps(state))


def said(machine: Machine, window: Window, arrivals: Iterable[Arrival]) -> list[Said]:
    """What the machine says of these, one after the other, with a wake for every timer that it sets."""
    now, state, timer, expires = NOON, None, None, None
    heard: list[Said] = []

    def take(number: int, step: Step) -> None:
        nonlocal state, timer, expires
        if step.state is not state:
            expires = step.expires
            if (step.state is None) != (expires is None):
                raise ValueError(f"a new state says when it expires: {step}")
        state = step.state
        timer = step.wake if step.wake is not None else timer
        if step.fired:
            heard.append(Said(number, step.fired))

    for number, arrival in enumerate([*arrivals, Arrival(10_000, 0, Signals())]):
        now += arrival.wait * SECOND
        while arrival.asked and timer is not None and timer <= now:
            timer = None
            take(number, machine.woken(window, state, now))
        if arrival.restart:
            state = machine.restarted(state, expires is not None and now >= expires)
        take(number, machine.step(window, state, now - int(arrival.lag * SECOND), now, arrival.signals))
    return heard


class Oracle:
    """Everything that came in, in its order. `judge` says what an event does, `asked` what is due at a moment, both by all of it."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.grace = 10 * SECOND if window.lateness is None else max(1_000, window.lateness)
        self.arrived: list[Seen] = []
        self.spoken: list[Said] = []
        self.told: set[Seen] = set()

    def said(self, arrivals: Sequence[Arrival]) -> list[Said]:
        now = NOON
        for number, arrival in enumerate([*arrivals, Arrival(10_000, 0, Signals())]):
            now += arrival.wait * SECOND
            while arrival.asked and (fired := self.asked(now)):
                self.spoken.append(Said(number, fired))
            at = min(now - int(arrival.lag * SECOND), now + AHEAD)
            lateness = WEEK if self.window.lateness is None else self.window.lateness
            if at >= now - lateness:
                before = self.counted()
                self.arrived.append(Seen(number, at, now, arrival.signals))
                after = self.counted()
                fired = self.judge(after[-1], before, after) if len(after) > len(before) else None
                if fired:
                    self.spoken.append(Said(number, fired))
        return self.spoken

    def counted(self) -> list[Seen]:
        """What matters to this window and was not four windows behind the newest when it came in."""
        kept: list[Seen] = []
        for seen in self.arrived:
            newest = max((each.at for each in kept), default=seen.at)
            if self.matters(seen) and not self.behind(newest, seen.at):
                kept.append(seen)
        return kept

    def matters(self, seen: Seen) -> bool:
        return seen.signals.after or seen.signals.then or seen.signals.expect

    def behind(self, newest: int, at: int) -> bool:
        return newest - at > 4 * self.window.within

    def judge(self, new: Seen, before: list[Seen], after: list[Seen]) -> Fired | None:
        return None

    def asked(self, now: int) -> Fired | None:
        return None


class ThresholdOracle(Oracle):
    """Windows are four quarters in a row, wherever they begin."""

    @property
    def quarter(self) -> int:
        return -(-self.window.within // 4)

    def matters(self, seen: Seen) -> bool:
        return seen.signals.counts

    def behind(self, newest: int, at: int) -> bool:
        return newest // self.quarter - at // self.quarter >= 16

    def inside(self, start: int, events: list[Seen]) -> list[Seen]:
        return [seen for seen in events if start * self.quarter <= seen.at < (start + 4) * self.quarter]

    def size(self, events: list[Seen]) -> int:
        return len({repr(seen.signals.value) for seen in events}) if self.window.distinct else len(events)

    def hot(self, events: list[Seen]) -> set[int]:
        starts = {seen.at // self.quarter - back for seen in events for back in range(4)}
        return {start for start in starts if self.size(self.inside(start, events)) >= (self.window.count or 0)}

    def judge(self, new: Seen, before: list[Seen], after: list[Seen]) -> Fired | None:
        mine = range(new.at // self.quarter - 3, new.at // self.quarter + 1)
        was, hot = self.hot(before), sorted(self.hot(after) & set(mine))
        if not hot or any(abs(start - other) <= 4 for start in mine for other in was):
            return None
        counted = self.inside(hot[0], after)
        since = min(seen.at for seen in counted)
        values = sorted({seen.signals.value for seen in counted}) if self.window.distinct else None
        return Fired(self.size(counted), since, values)


class SequenceOracle(Oracle):
    """An A is complete when any other event is a B at most `within` later."""

    def completed(self, events: list[Seen]) -> set[Seen]:
        firsts = [seen for seen in events if seen.signals.after]
        thens = [seen for seen in events if seen.signals.then]
        return {
            first
            for first in firsts
            if any(first.at <= then.at <= first.at + self.window.within and then is not first for then in thens)
        }

    def judge(self, new: Seen, before: list[Seen], after: list[Seen]) -> Fired | None:
        fresh = self.completed(after) - self.completed(before)
        return Fired(len(fresh), min(seen.at for seen in fresh)) if fresh else None


class AbsenceOracle(Oracle):
    """An A is open until any other event is a B in time, or until it has been told."""

    def due(self, seen: Seen) -> int:
        return max(seen.at + self.window.within, seen.ingested) + self.grace

    def asked(self, now: int) -> Fired | None:
        events = self.counted()
        within = self.window.within
        open_ = [
            first
            for first in events
            if first.signals.after
            and first not in self.told
            and not any(
                first.at <= then.at <= first.at + within and then is not first for then in events if then.signals.expect
            )
        ]
        due = [first for first in open_ if self.due(first) <= now]
        if not due:
            return None
        edge = min(first.at for first in due) + within
        over = {first for first in open_ if first.at <= edge}
        self.told |= over
        return Fired(len(over), min(first.at for first in over))


class HeartbeatOracle(AbsenceOracle):
    """The newest B that was current when it came in is told once nothing newer followed it in time."""

    def matters(self, seen: Seen) -> bool:
        return seen.signals.expect

    def behind(self, newest: int, at: int) -> bool:
        return False

    def asked(self, now: int) -> Fired | None:
        newest, armed = 0, None
        for seen in self.counted():
            if seen.at > newest:
                newest = seen.at
                if seen.at + self.window.within + self.grace > seen.ingested:
                    armed = seen
        if armed is None or armed in self.told or armed.at + self.window.within + self.grace > now:
            return None
        self.told.add(armed)
        return Fired(1, newest)


WITHIN = st.sampled_from([8 * SECOND, 40 * SECOND, 40 * SECOND + 3])
LATENESS = st.sampled_from([None, 0, 3 * SECOND, 30 * SECOND, 400 * SECOND])
WAITS = st.sampled_from([0, 0, 1, 1, 2, 4, 8, 10, 18, 40, 50, 500])
LAGS = st.sampled_from([0, 0, 0, 0, 1, 2, 4, 8, 10, 20, 30, 39.9, 40, 80, 160, 161, 300, -2, -5, -9])


def arrivals(signals: st.SearchStrategy[Signals]) -> st.SearchStrategy[list[Arrival]]:
    often = st.sampled_from([True, True, True, False])
    return st.lists(st.builds(Arrival, WAITS, LAGS, signals, often, st.booleans()), max_size=40)


def window(**keys: Any) -> Window:
    """A rule's window, durations in microseconds."""
    return Window.model_validate(keys, context=STORED)


def made(**keys: Any) -> st.SearchStrategy[Window]:
    """Windows of a kind, of several lengths and latenesses."""
    given = {name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in keys.items()}
    return st.builds(window, within=WITHIN, lateness=LATENESS, **given)
