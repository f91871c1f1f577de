"""The engine: `step()` does everything that is due once, and never waits for the world.

    timers that are due -> records          one commit per owner's timers, cleared with it
    system pipeline                         the log after its cursor
    every other pipeline                    the feed after its cursor; while the system is behind, for a share of its time
    counters                                once a minute, how often cartridges ran, if any did
    decisions                               what nobody approved expires, what nobody took back may act
    outbox                                  results written, attempts started

`loop` calls it whenever there is news: a nudge from an appender, an attempt that ended, a timer, and at the latest after 250 ms.
`run_until_idle` calls it until nothing is owed. Tests call it by hand.
"""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import orjson

from eventctl import decisions, failpoints
from eventctl.advance import Advanced, Pipeline, Wait, standing
from eventctl.announce import announce
from eventctl.errors import Conflict, TryLater
from eventctl.invoked import Counting
from eventctl.outbox import Outbox, Worked
from eventctl.store import Operations, Record, Store, Stream, TimerRow
from eventctl.times import SECOND, format_duration

if TYPE_CHECKING:
    from eventctl.reload import Reload

LIMIT = 500
"""Positions of the feed per batch: past this, a longer batch gained under 3 % and held the write lock longer."""

LOG_BATCHES = 4
"""The system pipeline takes so many times as much at once. Its keys of occurrences are random, so a commit writes nearly every page
of the ledger, whatever is in it: on a calm machine an event took 19.8 us in batches of 500, 19.1 of 1,000, 17.4 of 2,000, and no
less of 4,000; on one with a load of 4 the difference was lost in the noise."""

NEIGHBOURS = 0.25
"""While the system pipeline is behind, the others together get this much of the time that it takes. So it keeps 80 % of its
throughput whatever they do, and what comes in a burst is in the inbox before domains have worked through it."""

TIMERS_MAX = 500
POLL_S = 0.25
BLOCKED_S = 1.0
REST_S = 5.0
JUMP = 5 * SECOND
DRAIN_S = 9.0
"""How long a runner that was asked to stop waits for attempts on their way; its supervisor waits 10 s."""

log = logging.getLogger("eventctl.runner")


@dataclass(slots=True)
class StepReport:
    """What one step did. `told` are the counts of cartridges that it wrote; `settled` decisions that came due; `blocked` is why it could not go on (a full disk)."""

    timers: int = 0
    pipelines: dict[str, Advanced] = field(default_factory=dict)
    outbox: Worked = field(default_factory=Worked)
    reloaded: bool = False
    told: int = 0
    settled: int = 0
    kept: bool = False
    blocked: TryLater | None = None

    @property
    def busy(self) -> bool:
        """Whether anything moved: then another step may find more."""
        moved = any(pipeline.moved for pipeline in self.pipelines.values())
        return bool(
            self.timers
            or moved
            or self.reloaded
            or self.told
            or self.settled
            or self.kept
            or self.outbox.started
            or self.outbox.ended
        )

    @property
    def waits(self) -> list[Wait]:
        """Whom pipelines wait for, elsewhere: there is something to do when one of them has news."""
        return [wait for pipeline in self.pipelines.values() for wait in pipeline.waits]

    @property
    def passed(self) -> int:
        """Positions that pipelines moved over."""
        return sum(pipeline.passed for pipeline in self.pipelines.values())


class Clock(Protocol):
    """Two times: the wall's in microseconds since 1970 UTC, and one in seconds that never jumps."""

    def now(self) -> int: ...

    def monotonic(self) -> float: ...


class MachineClock:
    """This machine's."""

    def now(self) -> int:
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        return time.monotonic()


class Wake:
    """A pipe that a loop sleeps on. `wake` may be called from any thread, and from a signal handler."""

    def __init__(self) -> None:
        self.reads, self._writes = os.pipe()
        os.set_blocking(self.reads, False)
        os.set_blocking(self._writes, False)

    def wake(self) -> None:
        try:
            os.write(self._writes, b"\0")
        except BlockingIOError:  # full of wakes that nobody has heard yet
            return

    def close(self) -> None:
        os.close(self.reads)
        os.close(self._writes)


class Engine:
    """The runner of one workspace: a store of its own, the system pipeline first in `pipelines`, an outbox.

    Taking the runner's place fences every other one: a pipeline that finds another term raises `Unavailable`. `chore` is given the
    time when nothing else is to be done, and says whether it wants to go on (retention, a slice at a time).
    """

    def __init__(
        self,
        store: Store,
        pipelines: Sequence[Pipeline],
        outbox: Outbox,
        *,
        clock: Clock,
        wake: Wake,
        reload: Reload | None = None,
        limit: int = LIMIT,
        log_limit: int | None = None,
        counting: Counting | None = None,
    ) -> None:
        self.store = store
        self.pipelines = list(pipelines)
        self.outbox = outbox
        self._clock = clock
        self._wake = wake
        self._reload = reload
        self.chore: Callable[[int], bool] | None = None
        self._limits: dict[Stream, int] = {"log": log_limit or limit, "feed": limit}
        self._term = store.take_over()
        self._open_cursors()
        self._offset = self._wall_offset()
        self._turn = 0
        self._counting = counting or Counting()
        self._counting.begin(clock.now(), clock.monotonic())
        self._credit_s = 0.0
        self._stopping = False

    def step(self) -> StepReport:
        """Everything that is due, once. Raises `Unavailable` when another runner took over, `StorageFailed` on an I/O error."""
        report = StepReport()
        try:
            self._watch_clock()
            report.reloaded = self._reloaded()
            report.timers = self._fire_timers()
            self._advance_all(report)
            report.told = self._counting.work(self.store, self.pipelines, self._clock.now(), self._clock.monotonic())
            report.settled = decisions.settle(self.store, self._clock.now())
            report.outbox = self.outbox.work(self._clock.now(), start=not self._stopping)
            if self.chore and not report.busy:
                report.kept = self.chore(self._clock.now())
        except TryLater as blocked:
            report.blocked = blocked
        return report

    def run_until_idle(self, *, patience_s: float = 30.0, each: Callable[[StepReport], None] | None = None) -> bool:
        """Step until nothing is owed; False when retries or attempts were still owed after `patience_s` without news.

        `each` sees every report. Raises `TryLater` when the store does not take what there is to write.
        """
        quiet_since = self._clock.monotonic()
        while True:
            report = self.step()
            if each:
                each(report)
            if report.blocked:
                raise report.blocked
            if report.busy:
                quiet_since = self._clock.monotonic()
                continue
            idle = not report.waits and not self._owed()
            if idle or self._clock.monotonic() - quiet_since > patience_s:
                if self._save_counts() and idle:
                    continue
                return idle
            self._sleep([self._wake.reads], report.waits)

    def loop(self, nudged: int, *, each: Callable[[StepReport], None] | None = None) -> None:
        """Step until `stop` is called or `nudged`, a descriptor that says there is news, is closed at its other end.

        Then lets attempts on their way end, for at most 9 s, and returns.
        """
        blocked = ""
        while not self._stopping:
            report = self.step()
            if each:
                each(report)
            said = " - ".join(filter(None, (str(report.blocked), report.blocked.hint))) if report.blocked else ""
            if said != blocked:
                blocked = said
                log.warning("%s", f"waiting: {said}" if said else "going on")
            news = [nudged, self._wake.reads]
            if report.blocked:
                attached = self._sleep_s(news, BLOCKED_S)
            else:
                attached = report.busy or self._rest(news, report.waits, report.pipelines[self.pipelines[0].name].pos)
            if not attached:
                break
        self._drain()

    def stop(self) -> None:
        """End the loop after the step it is in. For a signal handler."""
        self._stopping = True
        self._wake.wake()

    def _drain(self) -> None:
        self._stopping = True
        deadline = self._clock.monotonic() + DRAIN_S
        while self.outbox.in_flight and self._clock.monotonic() < deadline:
            self.outbox.work(self._clock.now(), start=False)
            if self.outbox.in_flight:
                self._sleep_s([self._wake.reads], POLL_S)
        self._save_counts()

    def _open_cursors(self) -> None:
        """Before anything moves: a new pipeline starts at the tail as it is now, not behind what the next batch adds to it."""
        for pipeline in self.pipelines:
            standing(self.store, pipeline.name, self._term)

    def _advance_all(self, report: StepReport) -> None:
        """The system pipeline, then all others; while it is behind, those whose turn it is, until their time is used up."""
        system, others = self.pipelines[0], self.pipelines[1:]
        took_s = self._advance(system, report)
        if report.pipelines[system.name].passed < self._limits["log"]:
            self._credit_s = 0.0
            for pipeline in others:
                self._advance(pipeline, report)
            return
        self._credit_s = min(self._credit_s, 0.0) + NEIGHBOURS * took_s
        for _ in others:
            if self._credit_s < 0:
                break
            self._turn = (self._turn + 1) % len(others)
            self._credit_s -= self._advance(others[self._turn], report)

    def _advance(self, pipeline: Pipeline, report: StepReport) -> float:
        """A batch of one pipeline; the seconds that it took."""
        began = self._clock.monotonic()
        try:
            limit = self._limits[pipeline.stream]
            report.pipelines[pipeline.name] = pipeline.advance(self.store, limit, self._clock.now(), term=self._term)
        except Conflict:
            standing(self.store, pipeline.name, self._term)  # another runner took over while this one was stopped in a batch
            raise
        return self._clock.monotonic() - began

    def _fire_timers(self) -> int:
        """Turn due timers into records: the timer goes and its record comes in one commit, so it fires once."""
        now = self._clock.now()
        due = self.store.due_timers(now, limit=TIMERS_MAX)
        if not due:
            return 0
        failpoints.reach("timer.before_commit")
        self.store.commit(
            Operations(
                records=[timer_record(timer, now) for timer in due],
                timers_cleared=[(timer.owner, timer.key, timer.due) for timer in due],
            )
        )
        return len(due)

    def _save_counts(self) -> int:
        """Before this engine comes to rest, or its pipelines go: what ran is added to the totals, and told when its time comes.

        Gives how many records that took.
        """
        with suppress(TryLater):
            return self._counting.save(self.store, self.pipelines, self._clock.now())
        return 0

    def _reloaded(self) -> bool:
        """Put new pipelines in the place of the old ones when files have changed and they load; say so either way."""
        if self._reload is None:
            return False
        change = self._reload.take(self.store)
        if change is None:
            return False
        if change.pipelines is not None:
            self._save_counts()
            self.pipelines = list(change.pipelines)
            self._open_cursors()
        self.store.commit(Operations(records=[change.told]))
        return change.pipelines is not None

    def _watch_clock(self) -> None:
        """A wall clock that jumped by more than 5 s against the monotonic one is an event: leases and windows felt it."""
        offset = self._wall_offset()
        jump = offset - self._offset
        if abs(jump) <= JUMP:
            return
        self._offset = offset
        way = "forward" if jump > 0 else "back"
        said = f"the clock jumped {way} by {format_duration(abs(jump))}"
        now = self._clock.now()
        facts = {"seconds": round(jump / SECOND, 3)}
        self.store.commit(Operations(records=[announce("system.clock.jumped", facts, now=now, by="runner", description=said)]))

    def _wall_offset(self) -> int:
        return self._clock.now() - int(self._clock.monotonic() * SECOND)

    def _owed(self) -> bool:
        """Whether something will still move by itself: an attempt on its way or due again, a retry."""
        if self.outbox.in_flight or self.store.views.counts().outbox_owed:
            return True
        return any(self.store.exceptions_of(pipeline.name, ("retry",)) for pipeline in self.pipelines)

    def _rest(self, descriptors: list[int], waits: Sequence[Wait], passed: int) -> bool:
        """Sleep until there is something to do, at most 5 s; False when a descriptor was closed at its other end.

        What is waited for elsewhere is only looked at: who waits reads it.

        A poll looks at the log's tail (what a lost nudge left there) against what the system pipeline `passed`, and at what is due;
        a whole step costs ten times as much.
        """
        until = min([self._clock.monotonic() + REST_S, *(_own_time(self._clock, wait) for wait in waits)])
        while self._clock.monotonic() < until:
            due = self.store.next_due()
            wait_s = POLL_S if due is None else min(POLL_S, max(0.0, (due - self._clock.now()) / SECOND))
            ready = _ready(descriptors, min(wait_s, until - self._clock.monotonic()), waits)
            if ready:
                return ready.isdisjoint(descriptors) or self._sleep_s(descriptors, 0.0)
            if wait_s < POLL_S or self.store.tail("log") > passed:
                break
        return True

    def _sleep(self, descriptors: list[int], waits: Sequence[Wait]) -> bool:
        """Until there is news, something is due, or 250 ms are over; False when a descriptor was closed at its other end."""
        due = self.store.next_due()
        wait_s = POLL_S if due is None else min(POLL_S, max(0.0, (due - self._clock.now()) / SECOND))
        for wait in waits:
            wait_s = min(wait_s, max(0.0, wait.until - time.monotonic()))
        ready = _ready(descriptors, wait_s, waits)
        return ready.isdisjoint(descriptors) or self._sleep_s(descriptors, 0.0)

    def _sleep_s(self, descriptors: list[int], wait_s: float) -> bool:
        try:
            open_ends = [os.read(descriptor, 4096) != b"" for descriptor in _ready(descriptors, wait_s)]
        except ConnectionResetError:
            return False
        return all(open_ends)


def _ready(descriptors: list[int], wait_s: float, waits: Sequence[Wait] = ()) -> set[int]:
    """Those with news; `select` would take none above 1,023, and a program that opens a workspace may have more."""
    poll = select.poll()
    for wait in waits:
        if wait.descriptor >= 0:
            poll.register(wait.descriptor, select.POLLIN | (select.POLLOUT if wait.writes else 0))
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(max(0.0, wait_s) * 1_000)}


def _own_time(clock: Clock, wait: Wait) -> float:
    """The end of a wait by this clock: workers go by the machine's, and a test has another."""
    return clock.monotonic() + wait.until - time.monotonic()


def timer_record(timer: TimerRow, now: int) -> Record:
    """The record of a timer that came due; its id makes a second one of the same due time a repeat."""
    body = {"owner": timer.owner, "key": timer.key, "due": timer.due, "body": orjson.loads(timer.body)}
    id_ = f"{timer.owner}:{timer.key}:{timer.due}"
    return Record("timer", "timer", id_, "timer.due", orjson.dumps(body), "timer:runner", now)
