"""The power goes: of what the real processes wrote, only what they synced is certain. Nothing acknowledged may be lost.

200 cuts by default, `EVENTCTL_CUTS=1000` for more. The control never syncs and must lose something.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import eventctl
from tests.faults import scene
from tests.faults.powercut import Op, build_recorder, image, read_trace, recording_env

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

CUTS = int(os.environ.get("EVENTCTL_CUTS", "200"))
RECORDED_S = 6.0


@dataclass
class Recording:
    """A run as the kernel saw it: the files at its beginning and every call since."""

    root: Path
    base: Path
    ops: list[Op]


def record(tmp_path: Path, **env: str) -> Recording:
    """Let producers, supervisor and runner work for a while; the last producer is killed, the supervisor stops in good order."""
    root = scene.make_workspace(tmp_path / "ws")
    base = tmp_path / "base"
    shutil.copytree(root / ".eventctl", base)
    trace = tmp_path / "trace"
    trace.touch()
    recorded = recording_env(build_recorder(tmp_path), root / ".eventctl", trace) | env
    supervisor = scene.supervisor(root, **recorded)
    producers = [scene.producer(root, tmp_path / "unused", seed) for seed in range(2)]
    supervisor.start()
    time.sleep(1)
    for producer in producers:
        producer.env = recorded
        producer.start()
    time.sleep(RECORDED_S)
    for producer in producers:
        producer.kill()
    supervisor.kill(signal.SIGTERM)
    return Recording(root, base, read_trace(trace))


@dataclass
class Cuts:
    """What became of all the cuts."""

    made: int = 0
    unreadable: int = 0
    losing: int = 0
    lost_most: int = 0
    inconsistent: int = 0


def cut(recording: Recording, tmp_path: Path, cuts: int, *, resume: bool) -> Cuts:
    """Play the power cut at `cuts` points; with `resume`, let the workspace go on from there and ask the oracle."""
    result = Cuts()
    first = next(k for k, op in enumerate(recording.ops) if op.op == "a")
    for number in range(cuts):
        rng = random.Random(number)
        at = rng.randrange(first, len(recording.ops))
        disk = tmp_path / "disk"
        shutil.rmtree(disk, ignore_errors=True)
        shutil.copytree(recording.root, disk, ignore=shutil.ignore_patterns(".eventctl"))
        image(recording.base, recording.ops[:at], rng, disk / ".eventctl")
        promised = {op.data.decode() for op in recording.ops[:at] if op.op == "a"}
        result.made += 1
        try:
            with sqlite3.connect(scene.database(disk)) as db:
                ids = {row[0] for row in db.execute("SELECT id FROM log")}
                whole = db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        except sqlite3.DatabaseError:
            result.unreadable += 1
            continue
        lost = len(promised - ids)
        result.losing += lost > 0
        result.lost_most = max(result.lost_most, lost)
        result.unreadable += not whole
        if resume and whole:
            result.inconsistent += bool(resumed(disk, promised))
    return result


def resumed(disk: Path, promised: set[str]) -> list[str]:
    """What the oracle holds against a workspace that woke up on this disk and worked everything off."""
    with eventctl.open(disk) as workspace:
        workspace.run_until_idle()
    return scene.judge(disk, promised).faults


def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    recording = record(tmp_path)
    result = cut(recording, tmp_path, CUTS, resume=True)
    acknowledged = sum(op.op == "a" for op in recording.ops)
    print(f"\n{acknowledged} acknowledged, {len(recording.ops)} calls recorded: {result}")
    assert acknowledged > 100
    assert Cuts(made=CUTS) == result


def test_the_same_cuts_catch_a_store_that_never_syncs(tmp_path: Path) -> None:
    recording = record(tmp_path, PYTHONPATH=str(scene.HERE / "controls"), EVENTCTL_CONTROL="never-sync")
    result = cut(recording, tmp_path, CUTS, resume=False)
    print(f"\nnever-sync: {result}")
    assert result.losing > CUTS // 10
