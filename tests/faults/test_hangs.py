"""Nine ways to hang, and four to take the process along: the runner moves again, the culprit is named, no good event is lost.

Each in a real workspace under a real supervisor. The control runs the same runner without one: it must stay stuck, or these tests
would prove nothing.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from eventctl import client
from eventctl.decode import decode, to_record
from eventctl.sqlite_store import SqliteStore
from eventctl.store import ExceptionRow, LogRow
from eventctl.times import now_us
from eventctl.workspace import Paths

pytestmark = pytest.mark.faults

LIMIT_S = 0.5
TRIES = 3
"""A start of the runner is 0.5 s of computing; when the machine's cores are somebody else's just then, it is asked again."""
HANGS = {
    "loop": "while True: pass",
    "swallowing": "while True:\n        try:\n            while True: str(1)\n        except BaseException: continue",
    "sleep": "import time; time.sleep(1e6)",
    "regex": "import re; re.match(r'(a+)+$', 'a' * 64 + 'b')",
    "c-loop": "sum(range(10**11))",
    "bigint": "7 ** (10**9)",
    "pbkdf2": "import hashlib; hashlib.pbkdf2_hmac('sha256', b'x', b'y', 2**31 - 1)",
    "deadlock": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "idle-pipe": "import os; reads, writes = os.pipe(); os.read(reads, 1)",
}
CRASHES = {
    "exit": "import os; os._exit(1)",
    "exit-0": "import os; os._exit(0)",
    "segfault": "import ctypes; ctypes.string_at(0)",
    "abort": "import os; os.abort()",
}
EVENT_TYPES = """\
namespace = "domain.ops"
[types."bad"]
summary = "What the culprit falls over."
[types."good"]
summary = "What everybody else is to get through."
"""
CULPRIT = """\
# /// cartridge
# id = "culprit"
# version = "1.0.0"
# summary = "Falls over."
# consumes = ["domain.ops.bad"]
# ordered = "none"
# [limits]
# time = "500ms"
# ///
async def process(event, context):
    {code}
    return event
"""
COUNTER = """\
# /// cartridge
# id = "counter"
# version = "1.0.0"
# summary = "Counts."
# consumes = ["domain.ops.*"]
# annotates = ["count"]
# ordered = "none"
# ///
async def process(event, context):
    context.annotate("count", 1)
    return event
"""
SUPERVISOR = """
import os, sys
from pathlib import Path
from eventctl import supervisor
from eventctl.workspace import Paths
sys.exit(supervisor.run(Paths(Path(sys.argv[1])), os.environ, say=lambda line: print(line, file=sys.stderr, flush=True)))
"""


def make(root: Path, code: str) -> Paths:
    cartridges = root / "company" / "domains" / "ops" / "cartridges"
    cartridges.mkdir(parents=True)
    (root / "eventctl.toml").write_text('[workspace]\nname = "hangs"\n')
    (cartridges.parent / "domain.toml").write_text('summary = "Where things hang."\n')
    (cartridges.parent / "event_types.toml").write_text(EVENT_TYPES)
    (cartridges / "culprit.py").write_text(CULPRIT.format(code=code))
    (cartridges / "counter.py").write_text(COUNTER)
    paths = Paths(root.resolve())
    SqliteStore.create(paths.db).close()
    return paths


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[[str], Paths]]:
    processes: list[subprocess.Popen[bytes]] = []

    def start(code: str) -> Paths:
        root = tmp_path / f"workspace-{len(processes)}"
        paths = make(root, code)
        with (root / "said.txt").open("wb") as said:
            processes.append(subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(root)], stderr=said))
        until(lambda: client.ask_status(paths) is not None)
        settled(paths, emit(paths, "good"))
        return paths

    yield start
    for process in processes:
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(15)


def until(true: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


def emit(paths: Paths, name: str) -> int:
    now = now_us()
    envelope = orjson.dumps({"event": f"domain.ops.{name}", "source": "tests"})
    return client.append(paths, [to_record(decode(envelope, now=now), principal="cli:ada", at=now)])[0].seq


def read(paths: Paths) -> SqliteStore:
    return SqliteStore.open(paths.db, role="reader")


def counted(paths: Paths, seq: int) -> bool:
    store = read(paths)
    try:
        trace = store.views.trace(seq)
        return trace is not None and "count" in trace.annotations
    finally:
        store.close()


def settled(paths: Paths, seq: int, seconds: float = 15.0) -> float:
    began = time.monotonic()
    until(lambda: counted(paths, seq), seconds)
    return time.monotonic() - began


def events(paths: Paths, type_: str) -> list[LogRow]:
    store = read(paths)
    try:
        return [row for row in store.read_log(0, 1_000) if row.type == type_]
    finally:
        store.close()


def exceptions(paths: Paths) -> list[ExceptionRow]:
    store = read(paths)
    try:
        return store.views.exceptions(pipeline="domain:ops")
    finally:
        store.close()


@pytest.mark.parametrize("kind", HANGS)
def test_a_hang_costs_its_deadline_and_a_second(supervised: Callable[[str], Paths], kind: str) -> None:
    for _ in range(TRIES):
        paths = supervised(HANGS[kind])
        bad = emit(paths, "bad")
        good = [emit(paths, "good") for _ in range(3)]
        took = settled(paths, good[0])
        for seq in good[1:]:
            settled(paths, seq)
        if took < LIMIT_S + 1.0:
            break
    assert took < LIMIT_S + 1.0
    (struck,) = events(paths, "system.cartridge.struck")
    said = orjson.loads(struck.body)["payload"]
    assert ("culprit", "domain:ops", bad) == (said["cartridge"], said["pipeline"], said["seq"])
    assert "culprit.py:" in said["reason"]
    (dead,) = exceptions(paths)
    assert ("dead", "culprit", bad) == (dead.state, dead.cartridge, dead.seq)
    assert counted(paths, bad)  # its sibling did its work all the same


@pytest.mark.parametrize("kind", CRASHES)
def test_a_crash_is_booked_on_its_cartridge_and_costs_no_deadline(supervised: Callable[[str], Paths], kind: str) -> None:
    for _ in range(TRIES):
        paths = supervised(CRASHES[kind])
        bad = emit(paths, "bad")
        took = settled(paths, emit(paths, "good"))
        if took < 1.5:
            break
    assert took < 1.5
    (struck,) = events(paths, "system.cartridge.struck")
    assert bad == orjson.loads(struck.body)["payload"]["seq"]
    assert [("dead", bad)] == [(row.state, row.seq) for row in exceptions(paths)]


def test_the_second_strike_switches_the_cartridge_off(supervised: Callable[[str], Paths]) -> None:
    paths = supervised(HANGS["loop"])
    for _ in range(2):
        bad = emit(paths, "bad")
        settled(paths, bad)
    assert 1 == len(events(paths, "system.cartridge.disabled"))
    began = time.monotonic()
    settled(paths, emit(paths, "bad"))
    assert time.monotonic() - began < LIMIT_S
    assert 2 == len(events(paths, "system.cartridge.struck"))


def test_a_kill_from_outside_inside_a_cartridge_is_nobodys_fault_twice(supervised: Callable[[str], Paths]) -> None:
    paths = supervised("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    bad = emit(paths, "bad")
    settled(paths, bad, 20)
    status = client.ask_status(paths)
    assert status is not None
    assert (3, 1) == (status["restarts"], status["strikes"])


@pytest.mark.parametrize("kind", ["loop", "sleep"])
def test_without_its_supervisor_the_runner_stays_stuck(tmp_path: Path, kind: str) -> None:
    paths = make(tmp_path, HANGS[kind])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-m", "eventctl.runner_process", str(paths.root), "--nonce", "control"]
        runner = subprocess.Popen(
            [*command, "--nudge", str(theirs.fileno())], pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL, env=os.environ
        )
        try:
            settled(paths, emit(paths, "good"))
            emit(paths, "bad")
            good = emit(paths, "good")
            time.sleep(LIMIT_S + 2.0)
            assert not counted(paths, good)
            assert runner.poll() is None
        finally:
            runner.kill()
            runner.wait()
