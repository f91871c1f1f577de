"""The runner that the dashboard starts, the one that it finds, and every way in which a dashboard ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from eventctl import client
from eventctl.cli.session import Session
from eventctl.cli.who import principal
from eventctl.errors import NotPermitted, Unavailable
from eventctl.tui.running import LOG, Runner, Standing
from eventctl.workspace import Paths
from tests.tui.ptykit import Terminal

WAIT_S = 30.0


def runner_of(face, **more) -> Runner:
    session = Session(workspace=str(face.root), env=face.env, now=lambda: face.now, **more)
    return Runner(session, session.paths(), principal(session))


def until(runner: Runner, wanted) -> Standing:
    """Look until it is so."""
    deadline = time.monotonic() + WAIT_S
    while not wanted(standing := runner.look()):
        assert time.monotonic() < deadline, standing
        time.sleep(0.02)
    return standing


def said(runner: Runner) -> list[str]:
    told: list[str] = []
    runner.end(told.append)
    return told


@contextmanager
def ended(runner: Runner):
    try:
        yield runner
    finally:
        runner.end(lambda _: None)


def pid(face) -> int | None:
    told = client.ask_status(Paths(face.root))
    return None if told is None else int(told["pid"])


def stop(face) -> None:
    """End whatever runs there."""
    deadline = time.monotonic() + WAIT_S
    while (there := pid(face)) is not None:
        assert time.monotonic() < deadline
        os.kill(there, signal.SIGTERM)
        time.sleep(0.05)


def test_nobody_works_until_a_runner_is_started_and_it_is_ended_with_the_dashboard(face):
    runner = runner_of(face)
    assert Standing("none") == runner.look()
    runner.start()
    assert until(runner, lambda standing: standing.state == "running").ours
    said(runner)
    assert Standing("none") == until(runner, lambda standing: not standing.there)
    assert pid(face) is None


def test_a_second_start_starts_nothing(face):
    with ended(runner_of(face)) as runner:
        runner.start()
        until(runner, lambda standing: standing.state == "running")
        first = pid(face)
        runner.start()
        assert first == pid(face)


def test_a_runner_that_was_there_is_left_alone(face):
    with ended(runner_of(face)) as host:
        host.start()
        until(host, lambda standing: standing.state == "running")
        guest = runner_of(face)
        assert not guest.look().ours
        assert [] == said(guest)
        assert "running" == host.look().state


def test_of_two_that_start_at_once_one_is_the_others_guest(face):
    with ended(runner_of(face)) as host, ended(runner_of(face)) as guest:
        host.start()
        until(host, lambda standing: standing.state == "running")
        guest.start()
        standing = until(guest, lambda standing: standing.state == "running" and not standing.ours)
        assert "" == standing.said


def test_what_a_runner_said_that_could_not_begin_is_told_once_it_is_gone(face):
    runner = runner_of(face)
    (face.root / "eventctl.toml").write_text("[trust\n")
    runner.start()
    standing = until(runner, lambda standing: not standing.there)
    assert standing.said.startswith("the runner ended with 78: error: not TOML")
    assert "eventctl config check" in standing.said


def test_its_words_are_kept_private_and_begin_anew_at_each_start(face):
    log = face.root / ".eventctl" / LOG
    log.write_text("of yesterday")
    with ended(runner_of(face)) as runner:
        runner.start()
        until(runner, lambda standing: standing.state == "running")
        assert "yesterday" not in log.read_text()
        assert "working on" in log.read_text()
    log.unlink()
    with ended(runner_of(face)) as runner:
        runner.start()
        until(runner, lambda standing: standing.state == "running")
        assert 0o600 == log.stat().st_mode & 0o777


def test_who_may_not_operate_starts_nothing(face):
    runner = runner_of(face, agent="codex")
    with pytest.raises(NotPermitted, match="operate"):
        runner.start()
    assert Standing("none") == runner.look()


def test_a_log_that_is_a_link_elsewhere_starts_nothing(face, tmp_path):
    (face.root / ".eventctl" / LOG).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match="no runner can be started"):
        runner_of(face).start()
    assert not (tmp_path / "elsewhere").exists()


def test_a_runner_that_dies_is_not_started_again_by_itself(face):
    runner = runner_of(face)
    runner.start()
    until(runner, lambda standing: standing.state == "running")
    os.kill(pid(face), signal.SIGKILL)
    standing = until(runner, lambda standing: not standing.there)
    assert standing.said.startswith("the runner ended with -9")
    assert standing == runner.look()


def slow(runner: Runner, seconds: float) -> subprocess.Popen[bytes]:
    """In the place of the child, one that takes its time over ending."""
    script = f"import signal, sys, time; signal.signal(15, lambda *_: (time.sleep({seconds}), sys.exit())); print(flush=True); signal.pause()"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.readline()
    child.stdout.close()
    runner._child = child
    return child


def test_who_waits_for_the_runner_to_finish_is_told(face):
    runner = runner_of(face)
    child = slow(runner, 1.0)
    assert ["finishing what is on its way…"] == said(runner)
    assert 0 == child.poll()


def test_an_interrupt_ends_the_waiting_and_not_the_runner(face):
    runner = runner_of(face)
    child, told = slow(runner, 2.0), []

    def interrupted(sentence: str) -> None:
        told.append(sentence)
        if len(told) == 1:
            raise KeyboardInterrupt

    runner.end(interrupted)
    assert "not waiting for it: the runner finishes and ends by itself" == told[-1]
    assert child.poll() is None
    assert 0 == child.wait(WAIT_S)


def test_standing_is_told_by_glyph_and_words():
    assert "● running" == Standing("running").cell().text
    assert ("● running, 2 restarts, 1 strike", "warn") == Standing("running", restarts=2, strikes=1).cell()
    assert ("⚠ disk full", "bad") == Standing("disk_full").cell()
    assert "○ no runner" == Standing("none").cell().text
    assert "? unheard_of" == Standing("unheard_of").cell().text


# --- a real terminal -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["q", "ctrl+c twice", "SIGTERM", "SIGHUP"])
def test_a_dashboard_that_is_left_puts_the_terminal_back_and_ends_its_runner(face, how):
    with Terminal(["-w", str(face.root), "dashboard", "--room", "health"], face.env) as terminal:
        terminal.until("● running".encode())
        if how.startswith("SIG"):
            terminal.child.send_signal(signal.Signals[how])
        elif how == "q":
            terminal.press(b"q")
        else:
            terminal.press(b"\x03")
            terminal.until(b"again to quit")
            terminal.press(b"\x03")
        assert 0 == terminal.ended()
        assert terminal.restored
    assert pid(face) is None


def test_closing_the_terminal_ends_dashboard_and_runner_in_good_order(face):
    with Terminal(["-w", str(face.root), "dashboard", "--room", "health"], face.env) as terminal:
        terminal.until("● running".encode())
        terminal.close()
        assert 0 == terminal.ended()
    assert pid(face) is None
    assert b'"health"' in (face.root / ".eventctl/dashboard.json").read_bytes()


def test_a_killed_dashboard_leaves_a_runner_that_the_next_one_finds_and_leaves_alone(face):
    try:
        with Terminal(["-w", str(face.root), "dashboard"], face.env) as terminal:
            terminal.until("● running".encode())
            first = pid(face)
            terminal.child.kill()
            terminal.ended()
        assert first == pid(face)
        with Terminal(["-w", str(face.root), "dashboard"], face.env) as terminal:
            terminal.until("● running".encode())
            terminal.press(b"q")
            assert 0 == terminal.ended()
        assert first == pid(face)
    finally:
        stop(face)


def test_no_run_starts_nobody(face):
    with Terminal(["-w", str(face.root), "dashboard", "--no-run"], face.env) as terminal:
        terminal.until("○ no runner".encode())
        terminal.press(b"q")
        assert 0 == terminal.ended()
    assert not (face.root / ".eventctl" / LOG).exists()
