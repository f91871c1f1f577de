"""The engine, step by step: timers, pipelines, outbox, clock, fence, and a disk without room."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from eventctl import runner
from eventctl.advance import Advanced, Tally, standing
from eventctl.contracts import Answer, Request
from eventctl.errors import TryLater, Unavailable
from eventctl.memory_store import MemoryStore
from eventctl.outbox import Outbox
from eventctl.runner import Engine, MachineClock, StepReport, Wake
from eventctl.sqlite_store import SqliteStore
from eventctl.store import LogRow, Operations, OutboxRow, Record, Store, Stream, TimerRow
from eventctl.times import SECOND

NOW = 1_800_000_000_000_000


@dataclass
class SetClock:
    """Both times stand still until a test moves them."""

    wall: int = NOW
    steady: float = 1_000.0

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def pass_by(self, seconds: float) -> None:
        self.wall += int(seconds * SECOND)
        self.steady += seconds


class Follower:
    """A pipeline that passes everything; the one that reads the log feeds the other."""

    def __init__(self, name: str, stream: Stream) -> None:
        self.name = name
        self.stream: Stream = stream
        self.seen: list[int] = []
        self.failure: Exception | None = None

    def advance(self, store: Store, limit: int, now: int, *, term: int | None = None) -> Advanced:
        if self.failure:
            raise self.failure
        cursor = standing(store, self.name, term)
        report = Advanced(self.name, cursor.pos)
        log = store.read_log(cursor.pos, limit) if self.stream == "log" else []
        rows = [(row.seq, row.seq) for row in log]
        if self.stream == "feed":
            rows = [(row.pos, row.seq) for row in store.read_feed(cursor.pos, limit)]
        if rows:
            tally = Tally()
            tally.count("applied", len(rows))
            operations = Operations(feed=[(row.seq, row.type, "accept") for row in log])
            operations.advance = tally.advance(self.name, cursor.pos, rows[-1][0], cursor.term)
            report.add(operations, store.commit(operations), passed=len(rows))
            self.seen += [seq for _, seq in rows]
        return report


class Slow:
    """An executor that takes its time."""

    name = "slow"

    def __init__(self) -> None:
        self.gate = threading.Event()

    def execute(self, request: Request) -> Answer:
        assert self.gate.wait(10)
        return Answer(True, result=request.args)


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = (
        SqliteStore.create(tmp_path / "s" / "state.db", reserve_bytes=0) if request.param == "sqlite" else MemoryStore()
    )
    yield made
    made.close()


@pytest.fixture
def wake() -> Iterator[Wake]:
    made = Wake()
    yield made
    made.close()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.gate.set()


@pytest.fixture
def engine(store: Store, wake: Wake, clock: SetClock, slow: Slow) -> Iterator[Engine]:
    outbox = Outbox(store, {"slow": slow}, wake=wake.wake, jitter=lambda: 0.0)
    made = Engine(store, [Follower("system", "log"), Follower("domain:ops", "feed")], outbox, clock=clock, wake=wake, limit=10)
    yield made
    slow.gate.set()
    outbox.close()


def emit(store: Store, number: int = 1) -> None:
    store.append([Record("event", "tests", os.urandom(8).hex(), "job.completed", b"{}", "cli:ada", NOW) for _ in range(number)])


def events(store: Store, type: str) -> list[LogRow]:
    return [row for row in store.read_log(0, 1_000) if row.type == type]


def seen(engine: Engine, name: str) -> list[int]:
    return next(pipeline.seen for pipeline in engine.pipelines if isinstance(pipeline, Follower) and pipeline.name == name)


def test_an_idle_step_moves_nothing(engine: Engine) -> None:
    report = engine.step()
    assert not report.busy
    assert report.blocked is None


def test_one_step_takes_an_event_through_every_pipeline(store: Store, engine: Engine) -> None:
    emit(store, 3)
    report = engine.step()
    assert report.busy
    assert 6 == report.passed
    assert [1, 2, 3] == seen(engine, "domain:ops")


def test_what_was_emitted_before_the_first_run_reaches_new_pipelines(store: Store, wake: Wake, clock: SetClock) -> None:
    emit(store, 2)
    pipelines = [Follower("system", "log"), Follower("domain:ops", "feed")]
    made = Engine(store, pipelines, Outbox(store, {}, wake=wake.wake, jitter=lambda: 0.0), clock=clock, wake=wake)
    assert made.run_until_idle()
    assert [1, 2] == pipelines[1].seen


def test_a_long_log_is_worked_off_in_batches(store: Store, engine: Engine) -> None:
    emit(store, 35)
    assert 10 == engine.step().pipelines["system"].passed
    assert engine.run_until_idle()
    assert list(range(1, 36)) == seen(engine, "domain:ops")


class Costly(Follower):
    """A pipeline whose every batch takes a second."""

    def __init__(self, name: str, stream: Stream, clock: SetClock) -> None:
        super().__init__(name, stream)
        self.clock = clock
        self.batches = 0

    def advance(self, store: Store, limit: int, now: int, *, term: int | None = None) -> Advanced:
        report = super().advance(store, limit, now, term=term)
        self.clock.pass_by(1 if report.passed else 0)
        self.batches += report.passed > 0
        return report


def test_busy_neighbours_leave_the_system_most_of_the_time(store: Store, wake: Wake, clock: SetClock) -> None:
    emit(store, 400)
    system, *others = pipelines = [Costly("system", "log", clock), *(Costly(f"domain:{n}", "feed", clock) for n in range(4))]
    made = Engine(store, pipelines, Outbox(store, {}, wake=wake.wake, jitter=lambda: 0.0), clock=clock, wake=wake, limit=10)
    began = clock.steady
    while system.batches < 40:
        made.step()
    turns = [pipeline.batches for pipeline in others]
    assert 0.75 <= 40 / (clock.steady - began)
    assert 2 <= min(turns) <= max(turns) <= 3
    assert made.run_until_idle()
    assert [list(range(1, 401))] * 5 == [pipeline.seen for pipeline in pipelines]


def test_a_due_timer_becomes_one_record_and_is_gone(store: Store, engine: Engine, clock: SetClock) -> None:
    store.commit(Operations(timers=[TimerRow("domain:ops/x", "later", NOW + 5 * SECOND, b'{"n":1}')]))
    assert 0 == engine.step().timers
    clock.pass_by(5)
    assert 1 == engine.step().timers
    assert 0 == engine.step().timers
    (fired,) = [row for row in store.read_log(0, 10) if row.kind == "timer"]
    assert ("timer", "timer.due", "timer:runner") == (fired.source, fired.type, fired.principal)
    assert {"owner": "domain:ops/x", "key": "later", "due": NOW + 5 * SECOND, "body": {"n": 1}} == orjson.loads(fired.body)


def test_a_timer_that_was_set_again_does_not_go_with_the_old_one(store: Store, engine: Engine, clock: SetClock) -> None:
    store.commit(Operations(timers=[TimerRow("o", "k", NOW)]))
    store.commit(Operations(timers=[TimerRow("o", "k", NOW + 60 * SECOND)]))
    assert 0 == engine.step().timers
    clock.pass_by(60)
    assert 1 == engine.step().timers


@pytest.mark.parametrize(("seconds", "way"), [(3600, "forward"), (-3600, "back")])
def test_a_clock_that_jumps_is_told_once(store: Store, engine: Engine, clock: SetClock, seconds: int, way: str) -> None:
    clock.wall += seconds * SECOND
    engine.step()
    engine.step()
    (told,) = events(store, "system.clock.jumped")
    body = orjson.loads(told.body)
    assert float(seconds) == body["payload"]["seconds"]
    assert way in body["description"]


def test_a_clock_that_drifts_a_little_is_no_news(store: Store, engine: Engine, clock: SetClock) -> None:
    for _ in range(10):
        clock.pass_by(60)
        clock.wall += SECOND // 10
        engine.step()
    assert [] == events(store, "system.clock.jumped")


def test_a_second_runner_fences_the_first(store: Store, engine: Engine, wake: Wake, clock: SetClock) -> None:
    emit(store)
    Engine(store, [Follower("system", "log")], Outbox(store, {}, wake=wake.wake, jitter=lambda: 0.0), clock=clock, wake=wake)
    with pytest.raises(Unavailable, match="taken this workspace over"):
        engine.step()
    assert [] == seen(engine, "domain:ops")


def test_a_full_disk_blocks_a_step_and_ends_nothing(store: Store, engine: Engine) -> None:
    emit(store)
    follower = engine.pipelines[0]
    assert isinstance(follower, Follower)
    follower.failure = TryLater("the disk is full; nothing was written", hint="make room")
    assert follower.failure is engine.step().blocked
    with pytest.raises(TryLater, match="the disk is full") as raised:
        engine.run_until_idle()
    assert "make room" == raised.value.hint
    follower.failure = None
    assert engine.step().blocked is None
    assert [1] == seen(engine, "domain:ops")


def owe(store: Store) -> None:
    emit(store)
    store.commit(Operations(outbox=[OutboxRow("a" * 32, "call", "slow", "domain:ops", 1, b'{"args":{}}')]))


def test_until_idle_waits_for_an_attempt_on_its_way(store: Store, engine: Engine, slow: Slow) -> None:
    owe(store)
    timer = threading.Timer(0.2, slow.gate.set)
    timer.start()
    assert engine.run_until_idle()
    timer.join()
    assert 1 == len(events(store, "call.answered"))
    assert 0 == store.views.counts().outbox_owed


def test_until_idle_gives_up_when_patience_ends(store: Store, engine: Engine, clock: SetClock) -> None:
    owe(store)
    assert not engine.run_until_idle(each=lambda _: clock.pass_by(1), patience_s=3)


def test_the_loop_ends_when_its_supervisor_is_gone(engine: Engine) -> None:
    ours, theirs = os.pipe()
    os.close(theirs)
    engine.loop(ours)  # returns
    os.close(ours)


def test_a_nudge_wakes_the_loop_before_its_poll(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "POLL_S", 3600.0)  # nothing but a nudge wakes it
    store = SqliteStore.create(tmp_path / "s" / "state.db", reserve_bytes=0)
    wake = Wake()
    follower = Follower("system", "log")
    engine = Engine(store, [follower], Outbox(store, {}, wake=wake.wake, jitter=lambda: 0.0), clock=MachineClock(), wake=wake)
    nudged, nudges = os.pipe()

    def produce() -> None:
        other = SqliteStore.open(tmp_path / "s" / "state.db", role="appender")
        deadline = time.monotonic() + 30
        for expected in range(1, 6):
            emit(other)
            os.write(nudges, b"\0")
            while len(follower.seen) < expected and time.monotonic() < deadline:
                time.sleep(0.001)
        other.close()
        engine.stop()

    producer = threading.Thread(target=produce)
    producer.start()
    engine.loop(nudged)
    producer.join()
    for descriptor in (nudged, nudges):
        os.close(descriptor)
    wake.close()
    store.close()
    assert [1, 2, 3, 4, 5] == follower.seen


def test_a_stopped_loop_waits_for_attempts_and_starts_none(store: Store, engine: Engine, slow: Slow) -> None:
    owe(store)
    nudged, nudges = os.pipe()
    releasers: list[threading.Timer] = []

    def stop(report: StepReport) -> None:
        if report.outbox.in_flight:
            store.commit(Operations(outbox=[OutboxRow("b" * 32, "call", "slow", "domain:ops", 1, b'{"args":{}}')]))
            engine.stop()
            releasers.append(threading.Timer(0.1, slow.gate.set))  # while it drains: before that it would prove less
            releasers[0].start()

    engine.loop(nudged, each=stop)
    releasers[0].join()
    for descriptor in (nudged, nudges):
        os.close(descriptor)
    assert ["a" * 32] == [row.id for row in events(store, "call.answered")]
    assert {"a" * 32: "done", "b" * 32: "pending"} == {row.id: row.state for row in store.views.outbox()}
