"""kill -9 while decisions are made, taken, performed and taken back: each acts at most once, and none is left in between.

Walks every failpoint of the way, several visits each, and then kills at random. EVENTCTL_KILLS sets how many of those (default 200, of
which a quarter is made here). Each control breaks the machine in one known way and must be caught by the very same runs.
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

from tests.faults import scene
from tests.faults.deciding import Findings, Stage, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

KILLS = int(os.environ.get("EVENTCTL_KILLS", "200")) // 4
CYCLES = 6
CONTROLS = {"PYTHONPATH": str(scene.HERE / "controls")}
RUNNERS = (
    "t1.before_commit",
    "t1.after_commit",
    "t2.after_claim",
    "send.after",
    "t3.before_commit",
    "decision.before_commit",
)
PEOPLE = ("decision.before_commit", "move.before_commit", "move.after_commit")


AGENT_RULE = """\
id = "ask-slow"
version = "1.0.0"
summary = "Lets an agent look after jobs."
consumes = ["job.failed"]
[propose]
action = "mend"
summary = "Mend it"
agent = "slow"
instructions = "Mend it."
"""


def walked(stage: Stage, point: str, env: dict[str, str], *, people: bool = False) -> Findings:
    """Kill whoever comes to the point, every other time one visit later; let others go on; settle and judge."""
    seen = stage.root.parent / "points.txt"
    for visit in range(1, CYCLES + 1):
        nth = (visit + 1) // 2  # few decisions come due in one run, and the third of them is the last that is there for sure
        armed = {"EVENTCTL_FAILPOINT": f"{point}=kill@{nth}", "EVENTCTL_FAILPOINT_SEEN": str(seen)}
        stage.send()
        stage.run(**env, **({} if people else armed))
        stage.people(**env, **(armed if people else {}))
        time.sleep(1.1)  # so that some windows are over before the runner comes again
        stage.run(**env, **({} if people else armed))
    stage.settle(**env)
    reached = seen.read_text().split() if seen.exists() else []
    assert len(reached) >= CYCLES // 2, f"{point} was reached {len(reached)} times"
    return judge(stage)


@pytest.mark.parametrize("point", RUNNERS)
def test_a_runner_that_dies_there_acts_at_most_once_and_leaves_nothing_in_between(tmp_path: Path, point: str) -> None:
    found = walked(Stage.make(tmp_path), point, {})
    print(f"\n{point}: {dict(found.states)}")
    assert [] == found.faults
    assert {"done", "expired", "denied"} <= found.states.keys()


@pytest.mark.parametrize("point", PEOPLE)
def test_a_person_who_is_cut_off_there_has_decided_or_not(tmp_path: Path, point: str) -> None:
    found = walked(Stage.make(tmp_path), point, {}, people=True)
    print(f"\n{point}: {dict(found.states)}")
    assert [] == found.faults


def test_random_kills_act_at_most_once_and_leave_nothing_in_between(tmp_path: Path) -> None:
    stage = Stage.make(tmp_path)
    storm(stage, KILLS, {})
    found = judge(stage)
    print(f"\n{KILLS} kills, {stage.sent} decisions: {dict(found.states)}")
    assert [] == found.faults
    assert "done" in found.states


def storm(stage: Stage, kills: int, env: dict[str, str]) -> None:
    """Kill the runner at random moments while events come and people decide."""
    rng = random.Random(7)
    supervisor = scene.supervisor(stage.root, **env)
    supervisor.start()
    done = 0
    try:
        while done < kills:
            if done % 4 == 0:
                stage.send()
            if done % 3 == 0:
                stage.people(**env)
            time.sleep(rng.uniform(0.1, 1.2))
            runners = scene.children(supervisor.process.pid) if supervisor.process else []
            for pid in runners:
                os.kill(pid, signal.SIGKILL)
            done += bool(runners)
            if not runners or rng.random() < 0.3:  # a supervisor waits longer each time; another one begins at once
                supervisor.kill()
            if not supervisor.alive():
                supervisor.start()
                time.sleep(0.3)
    finally:
        if supervisor.alive():
            supervisor.kill(signal.SIGTERM)
    stage.settle(timeout_s=120, **env)


def test_a_yes_that_comes_after_the_time_was_over_is_a_no(tmp_path: Path) -> None:
    assert [] == late(Stage.make(tmp_path), {})


def late(stage: Stage, env: dict[str, str]) -> list[str]:
    """People who thought for so long, with the row in their hand, that a runner let it expire meanwhile."""
    stage.send(2)
    stage.run(**env)
    command = [sys.executable, str(scene.HERE / "people.py"), str(stage.root), str(stage.acks)]
    slow = {"EVENTCTL_FAILPOINT": "decision.before_commit=sleep:5"}
    people = subprocess.Popen(command, env=os.environ | env | slow, stderr=subprocess.DEVNULL)
    stage.settle(**env)
    assert 0 == people.wait(30)
    stage.settle(**env)
    return judge(stage).faults


def test_an_agent_whose_runner_died_is_not_started_again(tmp_path: Path) -> None:
    """Its decision says that nobody knows, and its claim ends soon."""
    stage = Stage.make(tmp_path)
    ran = tmp_path / "ran.txt"
    agent = f'[agents.slow]\ncommand = ["sh", "-c", "echo begun >> {ran}; sleep 3"]\n'
    stage.add(agent, AGENT_RULE)
    subprocess.run(
        [
            *scene.EVENTCTL,
            "-w",
            str(stage.root),
            "emit",
            "job.failed",
            "--source",
            "x",
            "--payload",
            '{"job": "a", "exit_code": 1}',
        ],
        check=True,
    )
    runner = subprocess.Popen([*scene.EVENTCTL, "-w", str(stage.root), "run", "--until-idle"], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while not ran.exists() and time.monotonic() < until:
        time.sleep(0.05)
    runner.kill()
    runner.wait(30)
    stage.settle()
    assert ["begun"] == ran.read_text().split()
    with stage.database() as db:
        assert [("unknown",)] == db.execute("SELECT state FROM decision").fetchall()
        [(lease, agent_name)] = db.execute("SELECT lease_due, agent FROM notification WHERE life LIKE 'job%'").fetchall()
    assert "slow" == agent_name
    assert lease < (time.time() + 301) * 1e6


@pytest.mark.parametrize(
    ("control", "point", "said"),
    [
        ("decision-repeats", "send.after", "it acted 2 times"),
        ("decision-repeats", "t3.before_commit", "it acted 2 times"),
        ("emit-apart", "t3.before_commit", "it acted 2 times"),
    ],
)
def test_the_walk_catches_a_machine_that_is_broken(tmp_path: Path, control: str, point: str, said: str) -> None:
    found = walked(Stage.make(tmp_path), point, {**CONTROLS, "EVENTCTL_CONTROL": control})
    print(f"\n{control}: caught with {len(found.faults)} faults, such as {next(iter(found.faults), 'none')}")
    assert [fault for fault in found.faults if said in fault]


def test_a_late_yes_catches_decisions_without_their_precondition(tmp_path: Path) -> None:
    faults = late(Stage.make(tmp_path), {**CONTROLS, "EVENTCTL_CONTROL": "decision-unfenced"})
    print(f"\ndecision-unfenced: caught with {len(faults)} faults, such as {next(iter(faults), 'none')}")
    assert faults
