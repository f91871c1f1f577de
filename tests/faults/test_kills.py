"""kill -9 at random moments and at every named failpoint: nothing acknowledged is lost, nothing is applied twice.

200 kills by default, `EVENTCTL_KILLS=1000` for more. Each control breaks the store in one known way and must be caught by the very
same storm.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eventctl import failpoints
from tests.faults import scene
from tests.faults.scene import Findings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

KILLS = int(os.environ.get("EVENTCTL_KILLS", "200"))
CONTROL_KILLS = 60
CONTROLS = {"PYTHONPATH": str(scene.HERE / "controls")}


def storm(root: Path, kills: int, seed: int, env: dict[str, str]) -> Findings:
    """Kill producer, supervisor and runner in turn, at random moments, while all three work; then let it settle and judge."""
    rng = random.Random(seed)
    acks = root / "acks.txt"
    supervisor = scene.supervisor(root, **env)
    producers = [scene.producer(root, acks, seed * 10 + n) for n in range(2)]
    actors = [supervisor, *producers]
    for actor in actors:
        actor.start()
    time.sleep(1)
    done = 0
    try:
        while done < kills:
            time.sleep(rng.uniform(0.01, 0.35))
            whom = rng.choice(["runner", "runner", "runner", "supervisor", "producer"])
            if whom == "runner":
                runners = scene.children(supervisor.process.pid) if supervisor.process else []
                for pid in runners:
                    os.kill(pid, signal.SIGKILL)
                done += bool(runners)
            else:
                actor = supervisor if whom == "supervisor" else rng.choice(producers)
                actor.kill()
                actor.start()
                done += 1
            for actor in actors:
                if not actor.alive():
                    actor.start()
    finally:
        for producer in producers:
            producer.kill()
        stop(supervisor)
    scene.settle(root, timeout_s=300)
    return scene.judge(root, scene.read_acks(acks))


def stop(supervisor: scene.Actor) -> None:
    if supervisor.alive():
        supervisor.kill(signal.SIGTERM)
    assert supervisor.process is not None


def test_random_kills_lose_nothing_and_apply_nothing_twice(tmp_path: Path, record_property: object) -> None:
    root = scene.make_workspace(tmp_path / "ws")
    found = storm(root, KILLS, seed=1, env={})
    print(f"\n{KILLS} kills: {found.acknowledged} acknowledged, {found.recorded} recorded, {len(found.faults)} faults")
    assert [] == found.faults
    assert found.acknowledged > 10 * KILLS**0.5
    assert rebuilt(root)


@pytest.mark.parametrize("control", ["cursor-before", "cursor-after"])
def test_the_storm_catches_a_cursor_that_is_not_committed_with_its_effects(tmp_path: Path, control: str) -> None:
    for seed in range(3):
        root = scene.make_workspace(tmp_path / f"ws{seed}")
        found = storm(root, CONTROL_KILLS, seed, {**CONTROLS, "EVENTCTL_CONTROL": control})
        if found.faults:
            print(f"\n{control}: caught with {len(found.faults)} faults, such as {found.faults[0]}")
            return
    pytest.fail(f"{3 * CONTROL_KILLS} kills did not catch {control}")


def rebuilt(root: Path) -> bool:
    """Whether folding the log again gives the same projection."""
    done = subprocess.run([*scene.EVENTCTL, "-w", str(root), "verify", "--rebuild"], capture_output=True, text=True)
    print(done.stdout[-400:], done.stderr[-400:])
    return done.returncode == 0


ACTIONS = ("kill", "raise", "sleep:0.3")
ELSEWHERE = ("decision.", "lifecycle.", "promote.")
"""The points of what decides, and of what is installed and promoted: `test_decision_kills` and `test_lifecycle_kills` walk these."""


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("point", [point for point in failpoints.POINTS if not point.startswith(ELSEWHERE)])
def test_every_failpoint_is_reached_and_survived(tmp_path: Path, point: str, action: str) -> None:
    root = scene.make_workspace(tmp_path / "ws")
    seen, acks = tmp_path / "seen", tmp_path / "acks.txt"
    env = {"EVENTCTL_FAILPOINT": f"{point}={action}", "EVENTCTL_FAILPOINT_SEEN": str(seen)}
    exercise = [sys.executable, str(scene.HERE / "exercise.py"), str(root), str(acks)]
    for _ in range(3):  # the first run meets the fault, the others finish what it left
        subprocess.run(exercise, env=os.environ | env, capture_output=True, timeout=60)
        env = {}
    assert [point] == seen.read_text().split()
    scene.settle(root)
    found = scene.judge(root, scene.read_acks(acks))
    assert [] == found.faults
    assert found.acknowledged > 0
    assert rebuilt(root)
