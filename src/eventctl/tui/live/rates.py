"""How fast events come in: counted by second, an hour back, with a line that shows it and says its ends in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Sparkline, Static

from eventctl.store import Store
from eventctl.times import HOUR, MINUTE, SECOND, format_duration
from eventctl.tui.look import Cell, line
from eventctl.views import LogFilter

NOW_S = 5
"""`now` is the mean of so many whole seconds."""

LATE = 2 * SECOND
"""An event is stamped before it is committed: so long afterwards a second may still grow."""

KEPT = HOUR + MINUTE
"""An hour of whole steps needs a little more than an hour."""

BACKLOG_MAX = 2_000_000
"""Records that one look counts at most, on a connection of its own: 0.8 s. Where more came in an hour, it begins later."""


class Zoom(NamedTuple):
    """How far back the line goes, and how long one of its steps is, in microseconds."""

    span: int
    step: int


ZOOMS = (Zoom(2 * MINUTE, SECOND), Zoom(10 * MINUTE, 5 * SECOND), Zoom(HOUR, 30 * SECOND))


class Rates:
    """Events by the second in which they came in. `since` is where counting begins, 0 before anything was counted."""

    def __init__(self) -> None:
        self.since = 0
        self._counts: dict[int, int] = {}
        self._read_to = 0

    def wanted(self, now: int) -> int:
        """From when on to count anew: the last seconds, or all of the hour when that was never looked at or is long ago."""
        hour = _floor(now - KEPT)
        return max(hour, self._read_to - LATE) if self._read_to else hour

    @property
    def fresh(self) -> bool:
        """Whether nothing was counted yet."""
        return not self._read_to

    def take(self, since: int, counts: Sequence[tuple[int, int]], now: int) -> None:
        """Take up what `count` gave for all seconds from `since` on."""
        hour = _floor(now - KEPT)
        joined = self._read_to and since <= self._read_to
        kept = {second: count for second, count in self._counts.items() if hour <= second < since} if joined else {}
        self._counts = {**kept, **dict(counts)}
        self.since = max(self.since if joined else since, hour)
        self._read_to = _floor(now)

    def now(self, now: int) -> float:
        """Events a second, over the last whole seconds."""
        end = _floor(now)
        return sum(self._counts.get(end - n * SECOND, 0) for n in range(1, NOW_S + 1)) / NOW_S

    def steps(self, zoom: Zoom, now: int) -> list[float]:
        """Events a second in each whole step of the span that is known, oldest first."""
        end = now // zoom.step * zoom.step
        begin = max(end - zoom.span, -(-self.since // zoom.step) * zoom.step)
        sums = dict.fromkeys(range(begin, end, zoom.step), 0)
        for second, count in self._counts.items():
            at = second // zoom.step * zoom.step
            if at in sums:
                sums[at] += count
        return [count * SECOND / zoom.step for count in sums.values()]


def count(store: Store, since: int, now: int) -> tuple[int, list[tuple[int, int]]]:
    """Events by second, and from when on: later than `since` where more came in than one look may count."""
    begin = since
    while begin < now and _records(store, begin) > BACKLOG_MAX:
        begin = _floor(begin + max(SECOND, (now - begin) // 2))
    return begin, store.views.rate(begin, SECOND)


def _records(store: Store, since: int) -> int:
    before = store.views.log(LogFilter(until=since), limit=1)
    return store.tail("log") - (before[0].seq if before else 0)


def _floor(us: int) -> int:
    return us // SECOND * SECOND


class RateLine(Horizontal):
    """One line: events a second now, the line, and what its lowest and highest points are."""

    DEFAULT_CSS = """
    RateLine { height: 1; background: $surface; padding: 0 1; }
    RateLine > #rate-now { width: 16; height: 1; }
    RateLine > #rate-ends { width: 26; height: 1; text-align: right; }
    RateLine > Sparkline { width: 1fr; margin: 0 1; }
    RateLine > Sparkline > .sparkline--max-color { color: $text-accent; }
    RateLine > Sparkline > .sparkline--min-color { color: $text-muted; }
    """

    def compose(self) -> ComposeResult:
        """The number, the line, its ends."""
        yield Static("", id="rate-now", markup=False)
        yield Sparkline([], id="rate-line")
        yield Static("", id="rate-ends", markup=False)

    def show(self, rates: Rates, zoom: Zoom, now: int) -> None:
        """Say and draw how it stands."""
        if rates.fresh:
            self.query_one("#rate-now", Static).update(line(Cell("counting…", "muted")), layout=False)
            return
        steps = rates.steps(zoom, now)
        self.query_one("#rate-now", Static).update(line(Cell(f"{speed(rates.now(now))} events/s", "strong")), layout=False)
        self.query_one(Sparkline).data = steps
        self.query_one("#rate-ends", Static).update(line(Cell(ends(steps, zoom), "muted")), layout=False)


def ends(steps: Sequence[float], zoom: Zoom) -> str:
    """What the line shows, in words: how far back it goes, its lowest and its highest point."""
    if not steps:
        return "nothing to draw yet"
    back = format_duration(len(steps) * zoom.step)
    return f"{speed(min(steps))} to {speed(max(steps))}/s in {back}"


def speed(per_second: float) -> str:
    """A rate as people read it: `0`, `0.4`, `12`, `9,870`."""
    return f"{per_second:,.1f}" if 0 < per_second < 9.95 else f"{per_second:,.0f}"


class Speed:
    """How fast counters go up, smoothed over `smooth_s` seconds; nothing is known of one before it was read twice."""

    def __init__(self, smooth_s: float = 5.0) -> None:
        self._smooth_s = smooth_s
        self._last: dict[str, int] = {}
        self._rates: dict[str, float] = {}
        self._at = 0

    def take(self, counts: Mapping[str, int], now: int) -> None:
        """Take up where the counters stand now. A counter that went down began anew."""
        seconds = (now - self._at) / SECOND if self._at else 0.0
        if self._at and seconds <= 0:
            return
        weight = seconds / (seconds + self._smooth_s / 2)
        for name, value in counts.items():
            if name in self._last and seconds:
                rate = max(0, value - self._last[name]) / seconds
                before = self._rates.get(name)
                smooth = rate if before is None else before + (rate - before) * weight
                self._rates[name] = 0.0 if rate == 0 and smooth < 0.05 else smooth
        self._last, self._at = dict(counts), now
        self._rates = {name: rate for name, rate in self._rates.items() if name in counts}

    def of(self, name: str) -> float | None:
        """Counts a second; None while that is not known."""
        return self._rates.get(name)

    @property
    def moving(self) -> bool:
        """Whether one of them goes up."""
        return any(self._rates.values())
