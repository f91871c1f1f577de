"""The supervisor, as a real process with a real runner: it stays, it watches, it starts again, it lets go cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from eventctl import client, starter
from eventctl.decode import decode, to_record
from eventctl.sqlite_store import SqliteStore
from eventctl.store import LogRow, Record
from eventctl.times import now_us
from eventctl.workspace import Paths

UNTIL_S = 30.0
RUN = """
import os, sys
from pathlib import Path
from eventctl import supervisor
from eventctl.errors import EventctlError
from eventctl.workspace import Paths
say = lambda line: print(line, file=sys.stderr, flush=True)
try:
    sys.exit(supervisor.run(Paths(Path(sys.argv[1])), os.environ, say=say))
except EventctlError as error:
    say(str(error))
    sys.exit(error.exit_code)
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    starter.make(tmp_path, name="tests", member="ada")
    return Paths(tmp_path.resolve())


@contextmanager
def supervised(paths: Paths, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor that answers; whatever is left of it at the end is killed."""
    process = start(paths, **env)
    try:
        until(lambda: status(paths) is not None, "the supervisor to answer", process)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def start(paths: Paths, **env: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", RUN, str(paths.root)]
    with said_in(paths).open("ab") as said:
        return subprocess.Popen(command, env=os.environ | env, stderr=said)


def said_in(paths: Paths) -> Path:
    return paths.root / "said.txt"


def until(true: Callable[[], Any], what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait for `what`: long enough for the slowest machine, for nothing here is about speed."""
    deadline = time.monotonic() + UNTIL_S
    while not true():
        assert time.monotonic() < deadline, f"waited {UNTIL_S:g} s for {what}"
        assert process is None or process.poll() is None, f"the supervisor ended before {what}"
        time.sleep(0.01)


def status(paths: Paths) -> dict[str, Any] | None:
    return client.ask_status(paths)


def runner(paths: Paths) -> int:
    found = status(paths)
    return int(found["runner"] or 0) if found else 0


def emit(paths: Paths, number: int = 1) -> int:
    now = now_us()
    envelope = {"event": "job.completed", "source": "tests", "payload": {"name": "build"}}
    records = [to_record(decode(orjson.dumps(envelope), now=now), principal="cli:ada", at=now) for _ in range(number)]
    return client.append(paths, records)[-1].seq


def applied(paths: Paths) -> int:
    store = SqliteStore.open(paths.db, role="reader")
    try:
        cursor = store.cursor("system")
        return cursor.pos if cursor else 0
    finally:
        store.close()


def log(paths: Paths, type_: str) -> list[LogRow]:
    store = SqliteStore.open(paths.db, role="reader")
    try:
        return [row for row in store.read_log(0, 10_000) if row.type == type_]
    finally:
        store.close()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


def test_what_is_emitted_is_worked_off_at_once(paths: Paths) -> None:
    with supervised(paths) as process:
        seq = emit(paths)
        until(lambda: applied(paths) >= seq, "the event to be worked off", process)


def test_sigterm_ends_both_with_0_and_leaves_nothing(paths: Paths) -> None:
    with supervised(paths) as process:
        until(lambda: runner(paths), "a runner")
        pid = runner(paths)
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(UNTIL_S)
        assert gone(pid)
    assert not paths.run.exists()
    assert not paths.socket({}).exists()


def test_the_end_of_the_terminal_is_a_normal_end(paths: Paths) -> None:
    with supervised(paths) as process:
        until(lambda: runner(paths), "a runner")
        pid = runner(paths)
        process.send_signal(signal.SIGHUP)
        assert 0 == process.wait(UNTIL_S)
        assert gone(pid)


def test_ctrl_c_is_a_normal_end(paths: Paths) -> None:
    with supervised(paths) as process:
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(UNTIL_S)


def test_a_second_run_is_told_who_holds_the_workspace(paths: Paths) -> None:
    with supervised(paths) as process:
        second = start(paths)
        assert 69 == second.wait(UNTIL_S)
        assert f"pid {process.pid}" in said_in(paths).read_text()


def test_a_killed_runner_is_back_at_once_and_nobody_is_struck(paths: Paths) -> None:
    with supervised(paths) as process:
        until(lambda: runner(paths), "a runner", process)
        first = runner(paths)
        os.kill(first, signal.SIGKILL)
        seq = emit(paths)
        until(lambda: applied(paths) >= seq, "the event to be worked off", process)
        until(lambda: runner(paths) not in (0, first), "another runner", process)
        found = status(paths)
        assert found is not None
        assert (1, 0) == (found["restarts"], found["strikes"])
        until(lambda: log(paths, "system.runner.crashed"), "the crash to be told", process)
        assert "SIGKILL" in orjson.loads(log(paths, "system.runner.crashed")[0].body)["payload"]["reason"]
        until(lambda: log(paths, "system.runner.started"), "the start to be told", process)


def test_a_killed_supervisor_leaves_a_runner_that_ends_by_itself(paths: Paths) -> None:
    with supervised(paths) as process:
        until(lambda: runner(paths), "a runner", process)
        pid = runner(paths)
        process.kill()
        process.wait()
        until(lambda: gone(pid), "the runner to end")
        assert 1 == emit(paths)  # the leftover socket is gone around


def test_a_supervisor_replaces_what_a_killed_one_left(paths: Paths) -> None:
    with supervised(paths) as process:
        until(lambda: runner(paths), "a runner", process)
        leftover = runner(paths)
        os.kill(leftover, signal.SIGSTOP)  # it cannot notice that it is alone
        process.kill()
        process.wait()
    assert paths.run.exists()
    with supervised(paths) as process:
        until(lambda: runner(paths), "a runner", process)
        until(lambda: gone(leftover), "the leftover runner to be ended", process)
        seq = emit(paths)
        until(lambda: applied(paths) >= seq, "the event to be worked off", process)


def test_a_stranger_with_the_runners_number_is_left_alone(paths: Paths) -> None:
    stranger = subprocess.Popen(["sleep", "30"])
    try:
        info = {"pid": 1, "runner": stranger.pid, "nonce": "0123456789abcdef" * 2, "socket": str(paths.socket({}))}
        paths.run.write_bytes(orjson.dumps(info))
        with supervised(paths):
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_emitters_lose_nothing_while_supervisors_come_and_go(paths: Paths) -> None:
    acknowledged = []
    with client.Appender(paths) as appender:
        for number in range(3):
            with supervised(paths) as process:
                for _ in range(20):
                    row = Record("event", "t", f"{number}-{len(acknowledged)}", "job.completed", _body(), "cli:ada", now_us())
                    appender.append([row])
                    acknowledged.append(row.id)
                process.kill()
                process.wait()
    assert acknowledged == [row.id for row in log(paths, "job.completed")]


def _body() -> bytes:
    return decode(orjson.dumps({"event": "job.completed", "source": "t", "payload": {"name": "x"}}), now=now_us()).body


def test_a_workspace_that_cannot_run_ends_with_its_code(paths: Paths) -> None:
    import sqlite3

    with sqlite3.connect(paths.db) as db:
        db.execute("PRAGMA user_version = 9999")
    db.close()
    assert 78 == start(paths).wait(UNTIL_S)
    assert "newer" in said_in(paths).read_text()


def test_the_supervisor_loads_neither_cartridges_nor_pydantic() -> None:
    code = "import sys, eventctl.supervisor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert set() == loaded & {"pydantic", "asyncio", "rich", "click", "eventctl.trampoline", "eventctl.app", "eventctl.catalog"}
