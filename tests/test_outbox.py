"""The outbox: claim, act, write down; never waiting, never silent about an end that nobody saw."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from eventctl.contracts import Answer, Request
from eventctl.executors import CommandExecutor
from eventctl.memory_store import MemoryStore
from eventctl.outbox import ATTEMPTS_MAX, DEADLINE, GRACE, Outbox, Worked
from eventctl.sqlite_store import SqliteStore
from eventctl.store import LogRow, Operations, OutboxRow, Record, Store
from eventctl.times import SECOND

LEASE = DEADLINE + GRACE

NOW = 1_800_000_000_000_000


class Echo:
    """An executor that answers what a test tells it to."""

    name = "echo"

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[Answer | Exception] = []
        self.gate = threading.Event()
        self.gate.set()

    def execute(self, request: Request) -> Answer:
        self.requests.append(request)
        assert self.gate.wait(10)
        answer = self.answers.pop(0) if self.answers else Answer(True, result=request.args)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = (
        SqliteStore.create(tmp_path / "s" / "state.db", reserve_bytes=0) if request.param == "sqlite" else MemoryStore()
    )
    made.append([Record("event", "tests", "e1", "job.completed", b"{}", "cli:ada", NOW)])
    yield made
    made.close()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def outbox(store: Store, echo: Echo) -> Iterator[Outbox]:
    made = Outbox(store, {"echo": echo}, wake=lambda: None, jitter=lambda: 0.0)
    yield made
    echo.gate.set()
    made.close()


def owe(store: Store, id_: str = "a" * 32, name: str = "echo", **body: object) -> None:
    row = OutboxRow(id_, "call", name, "domain:ops", 1, orjson.dumps({"args": {"x": 1}, **body}))
    store.commit(Operations(outbox=[row]))


def work(outbox: Outbox, now: int = NOW) -> Worked:
    """Start what is due, wait for it to end, write it down; the counts of both."""
    first = outbox.work(now)
    until(lambda: all(future.done() for _, future in outbox._flying.values()), "the attempts to end")
    second = outbox.work(now, start=False)
    second.started, second.ambiguous = first.started, first.ambiguous
    return second


def records(store: Store, kind: str) -> list[LogRow]:
    return [row for row in store.read_log(0, 100) if row.kind == kind]


def row(store: Store, id_: str = "a" * 32) -> OutboxRow:
    return next(row for row in store.views.outbox() if row.id == id_)


def test_an_answer_is_a_record_in_the_commit_that_ends_the_row(store: Store, outbox: Outbox) -> None:
    owe(store)
    worked = work(outbox)
    assert (1, 1, 0) == (worked.started, worked.done, worked.in_flight)
    (answer,) = records(store, "answer")
    assert ("outbox", "a" * 32, "call.answered", "outbox:echo", 1) == (
        answer.source, answer.id, answer.type, answer.principal, answer.caused_by,
    )  # fmt: skip
    said = orjson.loads(answer.body)
    assert {
        "call": "a" * 32, "pipeline": "domain:ops", "seq": 1, "name": "echo", "ok": True, "result": {"x": 1}, "error": "",
    } == said  # fmt: skip
    assert ("done", answer.seq) == (row(store).state, row(store).answer_seq)


def test_every_attempt_carries_the_same_id(store: Store, outbox: Outbox, echo: Echo) -> None:
    echo.answers = [Answer(False, error="busy", again=True)]
    owe(store)
    work(outbox)
    work(outbox, NOW + 2 * SECOND)
    assert [("a" * 32, 1), ("a" * 32, 2)] == [(request.id, request.attempt) for request in echo.requests]


def test_a_failure_that_may_pass_is_tried_again_later(store: Store, outbox: Outbox, echo: Echo) -> None:
    echo.answers = [Answer(False, error="busy", again=True)]
    owe(store)
    assert 1 == work(outbox).retried
    assert ("retry", NOW + SECOND) == (row(store).state, row(store).next_at)
    assert 0 == work(outbox, NOW + SECOND - 1).started
    assert 1 == work(outbox, NOW + SECOND).done


def test_the_other_side_says_how_long_to_wait(store: Store, outbox: Outbox, echo: Echo) -> None:
    echo.answers = [Answer(False, error="429", again=True, after_s=90)]
    owe(store)
    work(outbox)
    assert NOW + 90 * SECOND == row(store).next_at


def test_a_failure_that_will_not_pass_is_dead_at_once_and_answered(store: Store, outbox: Outbox, echo: Echo) -> None:
    echo.answers = [Answer(False, error="no such chat")]
    owe(store)
    assert 1 == work(outbox).dead
    (answer,) = records(store, "answer")
    assert (False, "no such chat") == (orjson.loads(answer.body)["ok"], orjson.loads(answer.body)["error"])
    assert "dead" == row(store).state


def test_attempts_have_an_end(store: Store, outbox: Outbox, echo: Echo) -> None:
    echo.answers = [RuntimeError("boom")] * 99
    owe(store)
    now = NOW
    for _ in range(ATTEMPTS_MAX):
        work(outbox, now)
        now += 600 * SECOND
    assert ("dead", ATTEMPTS_MAX) == (row(store).state, row(store).attempt)
    assert "RuntimeError: boom" == orjson.loads(records(store, "answer")[0].body)["error"]
    assert 0 == work(outbox, now).started


def test_an_executor_that_is_not_there_is_an_answer(store: Store, outbox: Outbox) -> None:
    owe(store, name="teleport")
    assert 1 == work(outbox).dead
    assert "teleport" in orjson.loads(records(store, "answer")[0].body)["error"]


def test_an_answer_that_is_too_large_is_a_failure(store: Store, outbox: Outbox, echo: Echo) -> None:
    echo.answers = [Answer(True, result="x" * 300_000)]
    owe(store)
    work(outbox)
    said = orjson.loads(records(store, "answer")[0].body)
    assert not said["ok"]
    assert "bytes" in said["error"]


def test_work_does_not_wait_for_an_attempt(store: Store, outbox: Outbox, echo: Echo) -> None:
    echo.gate.clear()  # the attempt cannot end before the last line: a `work` that waited for it would never return
    owe(store)
    assert 1 == outbox.work(NOW).in_flight
    assert 1 == outbox.work(NOW).in_flight
    assert [] == records(store, "answer")
    echo.gate.set()


def test_the_end_of_an_attempt_wakes_the_runner(store: Store, echo: Echo) -> None:
    woken = threading.Event()
    outbox = Outbox(store, {"echo": echo}, wake=woken.set, jitter=lambda: 0.0)
    owe(store)
    outbox.work(NOW)
    assert woken.wait(5)
    outbox.close()


def test_no_more_is_claimed_than_there_are_threads(store: Store, echo: Echo) -> None:
    outbox = Outbox(store, {"echo": echo}, wake=lambda: None, threads=2, jitter=lambda: 0.0)
    echo.gate.clear()
    for number in range(5):
        owe(store, f"{number:032d}")
    assert 2 == outbox.work(NOW).started
    assert 0 == outbox.work(NOW).started
    echo.gate.set()
    outbox.close()


def test_closing_ends_a_command_and_its_children_and_writes_nothing(store: Store, tmp_path: Path) -> None:
    woken: list[int] = []
    outbox = Outbox(
        store, {"command": CommandExecutor({"PATH": os.environ["PATH"]})}, wake=lambda: woken.append(1), jitter=float
    )
    owe(store, name="command", args={"argv": ["sh", "-c", f"sleep 50 & echo $! > {tmp_path}/pid; wait"]})
    outbox.work(NOW)
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "the command to start")
    child = int((tmp_path / "pid").read_text())
    outbox.close()
    until(lambda: gone(child), "the command's child to end")
    (future,) = [future for _, future in outbox._flying.values()]
    until(future.done, "the attempt to end")
    assert ([], [], "sending") == (woken, records(store, "answer"), row(store).state)
    again = Outbox(store, {"command": CommandExecutor({})}, wake=lambda: None, jitter=float)
    assert 1 == again.work(NOW).ambiguous  # the next runner tells it, and tries again
    again.close()


def test_a_command_after_the_close_is_ended_too() -> None:
    executor = CommandExecutor({"PATH": os.environ["PATH"]})
    executor.stop()
    answer = executor.execute(Request("a" * 32, "command", {"argv": ["sleep", "50"]}, 1, 60.0))
    assert -signal.SIGKILL == answer.result["exit"]


STUCK = """
import sys, threading
from pathlib import Path
from eventctl.outbox import Outbox
from eventctl.sqlite_store import SqliteStore

class Stuck:
    name = "echo"
    def execute(self, request):
        threading.Event().wait()

store = SqliteStore.open(Path(sys.argv[1]), role="runner")
outbox = Outbox(store, {"echo": Stuck()}, wake=lambda: None, jitter=float)
assert 1 == outbox.work(int(sys.argv[2])).started
outbox.close()
"""


def test_an_attempt_that_never_ends_does_not_keep_the_process(tmp_path: Path) -> None:
    path = tmp_path / "s" / "state.db"
    store = SqliteStore.create(path, reserve_bytes=0)
    store.append([Record("event", "tests", "e1", "job.completed", b"{}", "cli:ada", NOW)])
    owe(store)
    store.close()
    done = subprocess.run([sys.executable, "-c", STUCK, str(path), str(NOW)], timeout=60, capture_output=True, text=True)
    assert (0, "") == (done.returncode, done.stderr)


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, f"waited 30 s for {what}"
        time.sleep(0.005)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("began", [True, False])
def test_an_end_that_nobody_saw_is_told_and_tried_again(store: Store, outbox: Outbox, began: bool) -> None:
    if began:
        outbox.work(NOW)
    owe(store)
    store.claim(NOW, lease=LEASE, limit=1)
    if began:
        assert 0 == work(outbox, NOW + LEASE - 1).ambiguous
        assert 1 == work(outbox, NOW + LEASE).ambiguous
    else:  # by a runner that is gone: nobody waits for its lease
        assert 1 == work(outbox, NOW).ambiguous
    (told,) = [found for found in records(store, "event") if found.type == "system.call.ambiguous"]
    assert orjson.loads(told.body)["payload"]["repeated"]
    assert 1 == len(records(store, "answer"))
    assert ("done", 2) == (row(store).state, row(store).attempt)


def test_a_call_that_must_not_be_repeated_becomes_unknown(store: Store, outbox: Outbox, echo: Echo) -> None:
    owe(store, repeat=False)
    store.claim(NOW, lease=LEASE, limit=1)
    work(outbox, NOW + LEASE)
    assert [] == echo.requests
    assert "unknown" == row(store).state
    assert not orjson.loads(records(store, "answer")[0].body)["ok"]


class Slow(Echo):
    """One whose attempts may take ten minutes."""

    name = "slow"
    deadline_s = 600.0


def test_an_executor_has_the_time_that_it_says_and_others_have_no_more_for_it(store: Store, echo: Echo) -> None:
    slow = Slow()
    slow.gate.clear()
    echo.gate.clear()
    outbox = Outbox(store, {"echo": echo, "slow": slow}, wake=lambda: None, jitter=lambda: 0.0)
    owe(store)
    owe(store, "b" * 32, "slow")
    outbox.work(NOW)
    assert 0 == outbox.work(NOW + LEASE - 1).ambiguous
    assert 1 == outbox.work(NOW + LEASE).ambiguous, "echo had 60 s"
    assert [600.0, 1] == [slow.requests[0].deadline_s, slow.requests[0].seq]
    assert 1 == outbox.work(NOW + 604 * SECOND, start=False).ambiguous, "echo once more; slow has its time still"
    assert 1 == outbox.work(NOW + 605 * SECOND, start=False).ambiguous
    for each in (slow, echo):
        each.gate.set()
    outbox.close()


def test_slow_attempts_leave_the_threads_of_quick_ones_alone(store: Store, echo: Echo) -> None:
    slow = Slow()
    slow.gate.clear()
    outbox = Outbox(store, {"echo": echo, "slow": slow}, wake=lambda: None, threads=2, jitter=lambda: 0.0)
    for n in range(3):
        owe(store, f"{n}" * 32, "slow")
        outbox.work(NOW)
    owe(store)
    outbox.work(NOW)
    assert 4 == outbox.in_flight
    slow.gate.set()
    outbox.close()


def test_a_late_end_of_a_given_up_attempt_counts_for_nothing(store: Store, outbox: Outbox, echo: Echo) -> None:
    echo.gate.clear()
    owe(store)
    outbox.work(NOW)
    outbox.work(NOW + LEASE)  # the lease is over: told, and started again beside the first
    echo.gate.set()
    work(outbox, NOW + LEASE)
    assert 1 == len(records(store, "answer"))
    assert "done" == row(store).state
