"""`exec`: the command runs as it would have run; what is recorded is said afterwards."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from eventctl.cli.execute import Tail, default_name


def run(face, *words, **more):
    command = [sys.executable, "-m", "eventctl", "-w", str(face.root), "exec", *words]
    return subprocess.run(command, env=face.env, capture_output=True, check=False, timeout=30, **more)


def jobs(face):
    rows = json.loads(face("log", "show", "--json", "--type", "job.*").stdout)["items"]
    return [(row["type"], row["body"]["payload"]) for row in rows]


def test_a_command_that_succeeds_is_recorded_with_what_it_took(face):
    done = run(face, "--", "sh", "-c", "echo out; echo err >&2")
    assert (0, b"out\n", b"err\n") == (done.returncode, done.stdout, done.stderr)
    (started, began), (ended, result) = jobs(face)
    assert ("job.started", "job.succeeded") == (started, ended)
    assert began["run"] == result["run"]
    assert {"sh": 0}.get(result["job"], 0) == result["exit_code"]
    assert {"duration_s", "user_s", "system_s", "memory_bytes"} <= set(result)
    assert {"out", "err"} == set(result["output"].split("\n"))


def test_the_commands_exit_code_is_ours(face):
    assert 7 == run(face, "--name", "nightly", "--", "sh", "-c", "exit 7").returncode
    type_, result = jobs(face)[-1]
    assert ("job.failed", "nightly", 7) == (type_, result["job"], result["exit_code"])


def test_a_command_that_was_killed_names_the_signal(face):
    assert 128 + 9 == run(face, "--", "sh", "-c", "kill -9 $$").returncode
    assert "SIGKILL" == jobs(face)[-1][1]["signal"]


def test_a_command_that_is_not_there_has_failed_too(face):
    done = run(face, "--", "no-such-program-here")
    assert 127 == done.returncode
    assert b"no-such-program-here" in done.stderr
    assert ["job.started", "job.failed"] == [type_ for type_, _ in jobs(face)]


def test_options_behind_the_command_are_the_commands(face):
    assert b"-w --json\n" == run(face, "echo", "-w", "--json").stdout


def test_input_reaches_the_command(face):
    assert b"hello" == run(face, "cat", input=b"hello").stdout


def test_without_a_workspace_the_command_runs_all_the_same(tmp_path, env):
    words = [sys.executable, "-m", "eventctl", "exec", "--", "sh", "-c", "echo out; exit 3"]
    done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (3, "out\n") == (done.returncode, done.stdout)
    assert 2 == done.stderr.count("was not recorded")


def test_output_that_is_no_text_is_passed_on_whole_and_recorded_as_text(face):
    noise = bytes(range(256)) * 600
    assert noise == run(face, "cat", input=noise).stdout
    assert "␀" in jobs(face)[-1][1]["output"]


def test_a_process_that_is_left_behind_is_not_waited_for(face):
    began = time.monotonic()
    assert 0 == run(face, "--", "sh", "-c", "sleep 60 & echo done").returncode
    assert time.monotonic() - began < 45


def test_a_signal_is_passed_on_and_the_record_still_made(face):
    words = [
        sys.executable,
        "-m",
        "eventctl",
        "-w",
        str(face.root),
        "exec",
        "--",
        "sh",
        "-c",
        "trap 'exit 5' TERM; echo up; sleep 20 & wait",
    ]
    with subprocess.Popen(words, env=face.env, stdout=subprocess.PIPE) as child:
        assert b"up\n" == child.stdout.readline()
        child.send_signal(signal.SIGTERM)
        assert 5 == child.wait(timeout=20)
    assert ("job.failed", 5) == (jobs(face)[-1][0], jobs(face)[-1][1]["exit_code"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_an_interrupt_that_was_sent_to_us_alone_is_passed_on_once(face, number):
    script = f"trap 'n=$((n+1))' {number.value}; echo up; while [ -z \"$n\" ]; do sleep 0.1; done; sleep 0.5; exit $((40+n))"
    words = [sys.executable, "-m", "eventctl", "-w", str(face.root), "exec", "--", "sh", "-c", script]
    with subprocess.Popen(words, env=face.env, stdout=subprocess.PIPE) as child:
        assert b"up\n" == child.stdout.readline()
        child.send_signal(number)
        assert 41 == child.wait(timeout=20)
    assert ("job.failed", 41) == (jobs(face)[-1][0], jobs(face)[-1][1]["exit_code"])


def test_the_quit_key_of_a_terminal_ends_the_command_and_is_recorded(face):
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "eventctl", "-w", str(face.root), "exec", "--", "sh", "-c", "ulimit -c 0; echo up; sleep 20"]
    in_front = "import os, sys, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", in_front, *words]
    with subprocess.Popen(command, env=face.env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as child:
        os.close(theirs)
        assert b"up" in os.read(ours, 1000)
        os.write(ours, b"\x1c")
        assert 128 + signal.SIGQUIT == child.wait(timeout=20)
    os.close(ours)
    assert ("job.failed", "SIGQUIT") == (jobs(face)[-1][0], jobs(face)[-1][1]["signal"])


def test_on_a_terminal_the_command_has_a_terminal(face):
    ours, theirs = pty.openpty()
    words = [
        sys.executable,
        "-m",
        "eventctl",
        "-w",
        str(face.root),
        "exec",
        "--",
        sys.executable,
        "-c",
        "import os; print(os.isatty(1))",
    ]
    with subprocess.Popen(words, env=face.env, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        assert 0 == child.wait(timeout=20)
    assert b"True" in os.read(ours, 1000)
    os.close(ours)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("make", "test"), "make test"),
        (("/usr/bin/pytest", "-q"), "pytest"),
        (("./backup.sh", "/srv"), "backup.sh"),
        (("npm", "run-script"), "npm run-script"),
    ],
)
def test_a_job_is_named_for_its_program_and_its_first_word(command, name):
    assert name == default_name(command)


def test_a_tail_keeps_the_end_and_no_more_than_its_size():
    tail = Tail(100)
    for number in range(1000):
        tail.add(b"line %d\n" % number)
    assert "line 998\nline 999" == tail.last(2)
    assert len(tail._kept) <= 500
