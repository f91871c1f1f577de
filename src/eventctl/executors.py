"""The two executors that every workspace has: `command` runs a program, `log` writes a line.

A command is a list of words and never goes through a shell: text from an event stays one word. It gets a small environment, a
deadline, and its own process group, so that the deadline ends its children too.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from threading import Lock
from typing import Any

from eventctl.contracts import Answer, Request
from eventctl.text import safe_text

TAIL_BYTES = 64 * 1024
LINE_MAX = 2_000
ENVIRONMENT = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "SHELL",
    "TERM",
    "XDG_RUNTIME_DIR",
)
"""What a command sees of our environment; secrets stay here."""


class CommandExecutor:
    """`context.call("command", {"argv": ["make", "test"], "cwd": ..., "env": {...}, "input": "...", "timeout": seconds})`.

    The answer is {"exit": code, "output": tail, "truncated": bool, "seconds": float}: a program that ran and failed has answered.
    A negative code is the signal that ended it. It is not ok when the program could not be started or had to be stopped.
    """

    name = "command"

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = {name: env[name] for name in ENVIRONMENT if name in env}
        self._lock = Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def execute(self, request: Request) -> Answer:
        wrong = _wrong(request.args, request.deadline_s)
        if wrong:
            return Answer(False, error=wrong)
        args = request.args
        seconds = float(args.get("timeout", request.deadline_s))
        try:
            process = subprocess.Popen(
                args["argv"],
                stdin=subprocess.PIPE if args.get("input") else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=args.get("cwd"),
                env={**self._env, **args.get("env", {}), "EVENTCTL_CALL": request.id},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Answer(False, error=f"cannot start {args['argv'][0]!r}: {error}")
        with self._lock:
            self._running.add(process)
            if self._stopped:
                _kill_group(process)
        try:
            return _watched(process, str(args.get("input", "")).encode(), seconds)
        finally:
            with self._lock:
                self._running.discard(process)

    def stop(self) -> None:
        """End all commands that run, with their children, and whatever is started after."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill_group(process)


class LogExecutor:
    """`context.call("log", {"text": "..."})`: one safe line in the runner's log."""

    name = "log"

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


def _watched(process: subprocess.Popen[bytes], given: bytes, seconds: float) -> Answer:
    """Feed and read the process until it ends or the time is over."""
    began = time.monotonic()
    tail, total = _read_tail(process, given, began + seconds)
    try:
        process.wait(max(0.0, began + seconds - time.monotonic()))
    except subprocess.TimeoutExpired:
        stopped = True
    else:
        stopped = False
    _end_group(process)
    output = tail.decode(errors="replace")
    if stopped:
        return Answer(False, error=f"stopped after {seconds:g} s; it had said: {safe_text(output[-300:], limit=300)}")
    answer = {
        "exit": process.returncode,
        "output": output,
        "truncated": total > len(tail),
        "seconds": round(time.monotonic() - began, 3),
    }
    return Answer(True, result=answer)


def _read_tail(process: subprocess.Popen[bytes], given: bytes, deadline: float) -> tuple[bytes, int]:
    """The last `TAIL_BYTES` of what it says until it closes its output or the deadline, and how many bytes it said."""
    tail, total = bytearray(), 0
    with selectors.DefaultSelector() as selector:
        if process.stdout:
            os.set_blocking(process.stdout.fileno(), False)
            selector.register(process.stdout, selectors.EVENT_READ)
        if process.stdin:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while process.stdout and not process.stdout.closed:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            for key, _ in selector.select(left):
                if key.fileobj is process.stdin:
                    given = _write(key.fd, given)
                    if not given:
                        selector.unregister(process.stdin)
                        process.stdin.close()
                    continue
                data = os.read(key.fd, 65536)
                if not data:
                    return bytes(tail), total
                total += len(data)
                tail += data
                del tail[:-TAIL_BYTES]
    return bytes(tail), total


def _write(descriptor: int, given: bytes) -> bytes:
    try:
        return given[os.write(descriptor, given[:65536]) :]
    except BrokenPipeError:  # it does not want to hear more, which is its right
        return b""


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
        pass


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Stop whatever is left of the process group, reap the process, close the pipes."""
    _kill_group(process)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
