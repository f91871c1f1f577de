"""Two of the executors that every workspace has: `command` runs a program, `log` writes a line. `agents` holds the third.

A command is a list of words and never goes through a shell: text from an event stays one word. It gets a small environment, a
deadline, and its own process group, so that the deadline ends its children too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from eventctl.contracts import Answer, Request
from eventctl.programs import Programs
from eventctl.text import safe_text

LINE_MAX = 2_000


class CommandExecutor:
    """`context.call("command", {"argv": ["make", "test"], "cwd": ..., "env": {...}, "input": "...", "timeout": seconds})`.

    It runs in `root`, the workspace, unless `cwd` says otherwise, which counts from there.

    The answer is {"exit": code, "output": tail, "truncated": bool, "seconds": float}: a program that ran and failed has answered.
    A negative code is the signal that ended it. It is not ok when the program could not be started or had to be stopped.
    """

    name = "command"
    acts = True

    def __init__(self, env: Mapping[str, str], root: str | None = None) -> None:
        self._programs = Programs(env, root)

    def execute(self, request: Request) -> Answer:
        wrong = _wrong(request.args, request.deadline_s)
        if wrong:
            return Answer(False, error=wrong)
        args = request.args
        try:
            ended = self._programs.run(
                args["argv"],
                seconds=float(args.get("timeout", request.deadline_s)),
                given=str(args.get("input", "")).encode(),
                cwd=args.get("cwd"),
                env={**args.get("env", {}), "EVENTCTL_CALL": request.id},
            )
        except (OSError, ValueError) as error:
            return Answer(False, error=f"cannot start {args['argv'][0]!r}: {error}")
        output = ended.output.decode(errors="replace")
        if ended.stopped:
            return Answer(False, error=f"{ended.stopped}; it had said: {safe_text(output[-300:], limit=300)}")
        answer = {
            "exit": ended.exit,
            "output": output,
            "truncated": ended.said > len(ended.output),
            "seconds": ended.seconds,
        }
        return Answer(True, result=answer)

    def stop(self) -> None:
        """End all commands that run, with their children, and whatever is started after."""
        self._programs.stop()


class LogExecutor:
    """`context.call("log", {"text": "..."})`: one safe line in the runner's log."""

    name = "log"
    acts = False

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def execute(self, request: Request) -> Answer:
        self._logger.info("%s", safe_text(request.args.get("text", ""), limit=LINE_MAX))
        return Answer(True)


def _wrong(args: Mapping[str, Any], deadline_s: float) -> str:
    """What is wrong with a command's arguments, in a sentence; "" when nothing is."""
    argv, env, timeout = args.get("argv"), args.get("env", {}), args.get("timeout", deadline_s)
    if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
        return "argv is a list of strings with the program first; a command is never a shell string"
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        return "env is an object of strings"
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0:
        return "timeout is a number of seconds above 0"
    if timeout > deadline_s:
        return (
            f"timeout is at most {deadline_s:g} s, not {timeout:g}: what takes longer is started here and reports by an event"
        )
    if not isinstance(args.get("cwd", ""), str) or not isinstance(args.get("input", ""), str):
        return "cwd and input are strings"
    return ""
