"""The two executors that every workspace has."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

import pytest

from eventctl.contracts import Answer, Request
from eventctl.executors import CommandExecutor, LogExecutor
from eventctl.programs import TAIL_BYTES


def run(deadline_s: float = 10.0, around: dict[str, str] | None = None, **args: Any) -> Answer:
    surroundings = {"PATH": os.environ["PATH"], **(around or {})}
    return CommandExecutor(surroundings).execute(Request("c" * 32, "command", args, 1, deadline_s))


def test_a_command_answers_with_its_exit_and_its_output() -> None:
    answer = run(argv=["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert answer.ok
    assert (3, False) == (answer.result["exit"], answer.result["truncated"])
    assert "out\nerr\n" == answer.result["output"]


def test_text_from_an_event_stays_one_word() -> None:
    hostile = "; touch /tmp/pwned $(id) `id` | cat\n'\""
    assert hostile == run(argv=["printf", "%s", hostile]).result["output"]


def test_a_shell_string_is_refused() -> None:
    answer = run(argv="echo hello")
    assert not answer.ok
    assert not answer.again
    assert "never a shell string" in answer.error


@pytest.mark.parametrize(
    "args", [{}, {"argv": []}, {"argv": [1]}, {"argv": ["x"], "timeout": 0}, {"argv": ["x"], "timeout": True},
             {"argv": ["x"], "env": {"A": 1}}, {"argv": ["x"], "cwd": 5}, {"argv": ["x"], "input": 5}]
)  # fmt: skip
def test_arguments_of_another_shape_are_refused_in_a_sentence(args: dict[str, Any]) -> None:
    answer = run(**args)
    assert (False, False) == (answer.ok, answer.again)
    assert " is " in answer.error or " are " in answer.error


def test_a_program_that_is_not_there_is_an_answer() -> None:
    answer = run(argv=["no-such-program-here"])
    assert (False, False) == (answer.ok, answer.again)
    assert "no-such-program-here" in answer.error


def test_secrets_of_the_environment_stay_here() -> None:
    answer = run(argv=["env"], around={"GITHUB_TOKEN": "s3cret", "LANG": "C"})
    assert "s3cret" not in answer.result["output"]
    assert "LANG=C" in answer.result["output"]
    assert "EVENTCTL_CALL=" + "c" * 32 in answer.result["output"]


def test_what_a_call_gives_reaches_the_command() -> None:
    answer = run(argv=["sh", "-c", "cat; echo $GREETING; pwd"], env={"GREETING": "hello"}, input="in\n", cwd="/")
    assert "in\nhello\n/\n" == answer.result["output"]


def test_a_timeout_that_is_longer_than_there_is_time_is_refused() -> None:
    answer = run(deadline_s=60, argv=["true"], timeout=120)
    assert (False, False) == (answer.ok, answer.again)
    assert "timeout is at most 60 s, not 120" in answer.error


def test_the_deadline_ends_the_whole_family() -> None:
    began = time.monotonic()
    answer = run(deadline_s=0.4, argv=["sh", "-c", "echo started; sleep 60 & sleep 60"])
    assert time.monotonic() - began < 30
    assert (False, False) == (answer.ok, answer.again)
    assert "stopped after 0.4 s" in answer.error
    assert "started" in answer.error


def test_a_child_that_keeps_the_pipe_open_does_not_outlive_the_deadline() -> None:
    began = time.monotonic()
    answer = run(deadline_s=0.4, argv=["sh", "-c", "sleep 60 & exit 0"])
    assert time.monotonic() - began < 30
    assert answer.ok


def test_the_tail_of_much_output_is_kept() -> None:
    answer = run(argv=["sh", "-c", "yes | head -c 300000; printf END"])
    assert answer.result["truncated"]
    assert TAIL_BYTES == len(answer.result["output"])
    assert answer.result["output"].endswith("END")


def test_input_that_nobody_reads_is_no_error() -> None:
    assert 0 == run(argv=["true"], input="x" * 1_000_000).result["exit"]


def test_a_signal_is_a_negative_exit() -> None:
    assert -9 == run(argv=["sh", "-c", "kill -9 $$"]).result["exit"]


def test_log_writes_one_safe_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    executor = LogExecutor(logging.getLogger("eventctl.log"))
    assert executor.execute(Request("i", "log", {"text": "a\x1b[31m\nb"}, 1, 1)).ok
    (line,) = caplog.messages
    assert "\x1b" not in line
    assert "\n" not in line
