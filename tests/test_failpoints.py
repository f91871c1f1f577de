"""Failpoints: named, armed by a setting, free when they are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eventctl import failpoints
from eventctl.failpoints import FailpointReached, armed, parse, reach


def test_an_unarmed_point_does_nothing() -> None:
    for point in failpoints.POINTS:
        reach(point)


def test_a_setting_names_point_action_visit_and_seconds() -> None:
    arms = parse("t0.after_commit=kill@3, send.after=sleep:0.2")
    assert ["t0.after_commit", "send.after"] == list(arms)
    assert ("kill", 3) == (arms["t0.after_commit"].action, arms["t0.after_commit"].visits)
    assert ("sleep", 0.2) == (arms["send.after"].action, arms["send.after"].seconds)


@pytest.mark.parametrize("setting", ["t9.never=kill", "t0.after_commit=explode", "t0.after_commit", "t0.after_commit=kill@x"])
def test_a_setting_that_names_nothing_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(setting)


def test_a_raise_comes_at_its_visit_and_once() -> None:
    with armed("t1.before_commit=raise@2"):
        reach("t1.before_commit")
        reach("t1.after_commit")
        with pytest.raises(FailpointReached, match=r"t1\.before_commit"):
            reach("t1.before_commit")
        reach("t1.before_commit")


def test_a_raise_passes_the_plugin_boundary() -> None:
    assert not issubclass(FailpointReached, Exception)


def test_arming_ends_with_its_block() -> None:
    with armed("t1.before_commit=raise"):
        pass
    reach("t1.before_commit")


def test_a_kill_is_a_kill_and_leaves_a_note(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    env = {**os.environ, "EVENTCTL_FAILPOINT": "send.after=kill", "EVENTCTL_FAILPOINT_SEEN": str(seen)}
    done = subprocess.run(
        [sys.executable, "-c", "from eventctl.failpoints import reach; reach('send.after')"], env=env, check=False
    )
    assert -signal.SIGKILL == done.returncode
    assert "send.after\n" == seen.read_text()
