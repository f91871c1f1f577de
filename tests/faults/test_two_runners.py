"""Two runners on one workspace: the one that was taken over commits nothing more, wherever it was stopped.

Each round freezes a busy runner at a random moment, lets another take over and work, and thaws the first. The control leaves out
the comparison of the cursor (read, then begin) and must be caught by the same rounds.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import orjson
import pytest

from eventctl import client, decode
from eventctl.times import now_us
from eventctl.workspace import Paths
from tests.faults import scene
from tests.faults.scene import Actor, Findings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

ROUNDS = int(os.environ.get("EVENTCTL_TAKEOVERS", "15"))
BACKLOG = 600
FENCED = 69
SMALL_BATCHES = "[runner]\nbatch = 10\n"


def rounds(root: Path, number: int, env: dict[str, str]) -> tuple[Findings, list[int | None]]:
    """Freeze, take over, thaw, `number` times; the findings afterwards and how each frozen runner ended."""
    config = root / "eventctl.toml"
    config.write_text(config.read_text() + SMALL_BATCHES)
    rng = random.Random(7)
    endings: list[int | None] = []
    told = set[str]()
    term = scene.term(root)
    current = start(root, env)
    taken_over(root, term)
    for _ in range(number):
        told |= emit(root)
        time.sleep(rng.uniform(0.0, 0.25))
        assert current.process is not None
        current.process.send_signal(signal.SIGSTOP)
        term = scene.term(root)
        successor = start(root, env)
        time.sleep(1.0)
        current.process.send_signal(signal.SIGCONT)  # it may hold the write lock: then the successor has waited for it
        taken_over(root, term)
        try:
            endings.append(current.process.wait(20))
        finally:
            current.kill()
        current = successor
    scene.wait_until_idle(root)
    current.kill()
    return scene.judge(root, told), endings


def start(root: Path, env: dict[str, str]) -> Actor:
    actor = Actor([sys.executable, str(scene.HERE / "runner_alone.py"), str(root)], env)
    actor.start()
    return actor


def taken_over(root: Path, term: int, timeout_s: float = 20) -> None:
    """Until a newer runner than that of `term` has taken its fence."""
    deadline = time.monotonic() + timeout_s
    while scene.term(root) <= term:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def emit(root: Path) -> set[str]:
    """A backlog that keeps a runner busy for longer than a round."""
    now = now_us()
    bodies = [
        orjson.dumps({"event": "domain.faults.tick", "source": "test", "entity": f"thing/{n % 7}", "payload": {"n": n}})
        for n in range(BACKLOG)
    ]
    records = [decode.to_record(decode.decode(body, now=now), principal="socket:test", at=now) for body in bodies]
    client.append(Paths(root), records)
    return {record.id for record in records}


def test_a_runner_that_was_taken_over_commits_nothing_more_and_ends(tmp_path: Path) -> None:
    found, endings = rounds(scene.make_workspace(tmp_path / "ws"), ROUNDS, {})
    print(f"\n{ROUNDS} takeovers: {found.recorded} recorded, endings {endings}")
    assert [] == found.faults
    assert [FENCED] * ROUNDS == endings


def test_the_same_rounds_catch_a_cursor_that_is_read_and_then_set(tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(scene.HERE / "controls"), "EVENTCTL_CONTROL": "read-then-begin"}
    found, _ = rounds(scene.make_workspace(tmp_path / "ws"), ROUNDS, env)
    print(f"\nread-then-begin: {len(found.faults)} faults, such as {found.faults[:1]}")
    assert found.faults
