"""Runs programs for executors: a list of words, never a shell, each in a process group of its own, so that its end is its children's too.

What a program says is read all the time and its tail kept. It is over when it ends, whoever still holds its output open.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import IO, NamedTuple

TAIL_BYTES = 64 * 1024
LOOK_S = 0.1
"""How often the program is looked after while it says nothing."""

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
"""What a program sees of our environment; secrets stay here."""

Watch = Callable[[], str]


class Ended(NamedTuple):
    """How a program ended. `exit` is its code, negative for a signal; `stopped` says why it was ended from here, "" when it was not.

    `output` is the tail of all that it said in `said` bytes, `answer` the tail of its standard output alone.
    """

    exit: int
    stopped: str
    output: bytes
    answer: bytes
    said: int
    seconds: float

    @property
    def words(self) -> str:
        """Its end in words."""
        if self.stopped:
            return self.stopped
        return f"ended by signal {-self.exit}" if self.exit < 0 else f"ended with exit code {self.exit}"


class Programs:
    """The programs of one executor."""

    def __init__(self, env: Mapping[str, str], root: str | None = None) -> None:
        self._env = {name: env[name] for name in ENVIRONMENT if name in env}
        self._root = root
        self._lock = Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(
        self,
        argv: Sequence[str],
        *,
        seconds: float,
        given: bytes = b"",
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        watch: Watch | None = None,
    ) -> Ended:
        """Run it to its end, or for so many seconds, or until `watch` says why not: it is asked about every 100 ms.

        `cwd` counts from the root, which is where it runs by default. Raises OSError or ValueError when it cannot be started.
        """
        began = time.monotonic()
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(self._root, cwd or "") if self._root else cwd,
            env={**self._env, **(env or {})},
            start_new_session=True,
        )
        with self._lock:
            self._running.add(process)
            if self._stopped:
                kill_group(process)
        reading = _Reading(process, given)
        try:
            stopped = reading.until(began + seconds, watch)
        finally:
            with self._lock:
                self._running.discard(process)
            reading.close()
        why = f"stopped after {seconds:g} s" if stopped == _LATE else stopped
        tails = bytes(reading.output), bytes(reading.answer)
        return Ended(process.returncode, why, *tails, reading.said, round(time.monotonic() - began, 3))

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """End all programs that run, with their children, and whatever is started after."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                kill_group(process)


_LATE = "late"


class _Reading:
    """Feeds a program and reads what it says."""

    def __init__(self, process: subprocess.Popen[bytes], given: bytes) -> None:
        self._process = process
        self._given = given
        self._selector = selectors.DefaultSelector()
        self.output, self.answer, self.said = bytearray(), bytearray(), 0
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_WRITE if pipe is process.stdin else selectors.EVENT_READ)

    def until(self, deadline: float, watch: Watch | None) -> str:
        """Go on until it has ended, and say why it must be ended otherwise."""
        while not self._over():
            left = deadline - time.monotonic()
            if left <= 0:
                return _LATE
            if watch and (why := watch()):
                return why
            self._take(min(left, LOOK_S))
        while self._take(0.0):  # what it said last may still stand in the pipes
            continue
        return ""

    def close(self) -> None:
        """End whatever is left of the process group, reap the process, close the pipes."""
        kill_group(self._process)
        self._process.wait()
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()

    def _over(self) -> bool:
        """Whether it has ended. Where that can be seen without reaping it, its number stays its own until its group has been ended."""
        if not hasattr(os, "waitid"):  # macOS, before Python 3.13
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _take(self, wait_s: float) -> bool:
        """What can be written and read within this time; whether anything was read."""
        read = False
        if not self._selector.get_map():
            time.sleep(wait_s)
            return False
        for key, _ in self._selector.select(wait_s):
            if key.fileobj is self._process.stdin:
                self._write(self._process.stdin)
                continue
            data = os.read(key.fd, 65536)
            if not data:
                self._selector.unregister(key.fileobj)
                continue
            read = True
            self.said += len(data)
            self.output += data
            del self.output[:-TAIL_BYTES]
            if key.fileobj is self._process.stdout:
                self.answer += data
                del self.answer[:-TAIL_BYTES]
        return read

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            self._given = self._given[os.write(pipe.fileno(), self._given[:65536]) :]
        except BrokenPipeError:  # it does not want to hear more, which is its right
            self._given = b""
        if not self._given:
            self._selector.unregister(pipe)
            pipe.close()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process with all of its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
        pass
