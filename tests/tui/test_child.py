"""A call of the command line as a child: its answer, how far it is, what it says when it fails, and that giving it up leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from eventctl.cli.session import Session
from eventctl.errors import EventctlError
from eventctl.tui.cartridges.child import Child, Ended
from eventctl.tui.desk import Desk

WAIT_S = 20.0


@pytest.fixture
def desk(face):
    made = Desk(Session(workspace=str(face.root), env=face.env, now=lambda: face.now))
    yield made
    made.close()


def scripted(desk, code):
    """A child that runs this code instead of the command line."""
    child = Child(desk, [])
    child.command = [sys.executable, "-c", code]
    return child


def heard(child):
    told = []
    return asyncio.run(child.run(lambda read, of: told.append((read, of)))), told


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_answers_what_the_command_line_prints(desk, face):
    ended, _ = heard(Child(desk, ["cartridge", "list"]))
    assert [] == ended.answer("the list")["items"]
    assert 0 == ended.code


def test_it_is_whoever_is_at_the_desk(desk):
    assert ["--as", "ada"] == Child(desk, ["status"]).command[6:8]


def test_an_error_keeps_its_what_where_and_hint(desk):
    ended, _ = heard(Child(desk, ["cartridge", "test", "/nowhere/at/all.py"]))
    with pytest.raises(EventctlError) as wrong:
        ended.answer("the test")
    assert "it has no examples" == wrong.value.what
    assert "/nowhere/at/all.py" == wrong.value.where


def test_lines_of_progress_are_heard_and_the_rest_is_kept(desk):
    code = 'import sys; sys.stderr.write(\'{"read": 1, "of": 2}\\nwatch out\\n{"read": 2, "of": 2}\\n\'); print(\'{}\')'
    ended, told = heard(scripted(desk, code))
    assert [(1, 2), (2, 2)] == told
    assert Ended(0, {}, "watch out\n") == ended


def test_one_that_dies_says_what_it_said_last(desk):
    code = "import os, sys; sys.stderr.write('first\\nthe disk is gone\\n'); sys.stderr.flush(); os.kill(os.getpid(), 9)"
    ended, _ = heard(scripted(desk, code))
    with pytest.raises(EventctlError, match="the trial was killed by signal 9: the disk is gone"):
        ended.answer("the trial")


def test_one_that_cannot_be_started_is_an_error_to_act_on(desk):
    child = Child(desk, [])
    child.command = ["/nowhere/python"]
    with pytest.raises(EventctlError, match="cannot be started"):
        heard(child)


@pytest.mark.parametrize("deaf", [False, True], ids=["it_listens", "it_is_deaf_to_an_interrupt"])
def test_given_up_it_ends_with_all_that_it_started(desk, tmp_path, deaf):
    ignoring = "signal.signal(signal.SIGINT, signal.SIG_IGN)" if deaf else ""
    file = tmp_path / "pid"
    inner = f"import time, signal; {ignoring}; time.sleep(600)"
    code = (
        f"import pathlib, signal, subprocess, sys, time\n{ignoring}\n"
        f"child = subprocess.Popen([sys.executable, '-c', {inner!r}])\n"
        f"pathlib.Path({str(file)!r}).write_text(str(child.pid)); print('x', file=sys.stderr, flush=True); time.sleep(600)"
    )
    child = scripted(desk, code)

    async def main():
        running = asyncio.create_task(child.run(lambda _read, _of: None))
        async with asyncio.timeout(WAIT_S):
            await until(lambda: file.exists() and file.read_text())
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            await until(lambda: gone(int(file.read_text())))

    asyncio.run(main())
    assert not alive(child.pid)


async def until(holds):
    """Wait for something that another process does, and tells nobody."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def gone(pid):
    """Whether it has ended; one that nobody has asked about yet has too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return not alive(pid)


def test_a_signal_that_ends_it_is_no_answer(desk):
    ended = Ended(-signal.SIGTERM, {"items": []}, "")
    with pytest.raises(EventctlError, match="signal 15"):
        ended.answer("the list")
