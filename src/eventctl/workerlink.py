"""A worker's process, seen from the runner: started, spoken to, listened to with suspicion, ended."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from struct import Struct
from typing import IO, Any

import orjson

from eventctl.dag.apart import Hostile
from eventctl.strikes import culprit

FRAME_MAX = 4 << 20
DEPTH_MAX = 32
"""Levels of objects and lists in a message. What goes deeper travels as text: an event's payload may be as deep as an event."""

CHUNK = 1 << 18
CRASH_BYTES_MAX = 64 << 10
PAGE = 4096
ENVIRONMENT = {"LANG": "C.UTF-8", "TZ": "UTC", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""All of it. The numbers are for libraries that would begin with threads, which a worker may not have."""

_LENGTH = Struct(">I")


class WorkerProcess:
    """One process of `eventctl.worker_process`. Nothing here waits, but `end` for a process that was killed.

    Making one raises OSError, and leaves nothing behind, when the system has no room for it.
    """

    def __init__(self, hello: Mapping[str, Any]) -> None:
        self._out = bytearray()
        self._in = bytearray()
        self._closed = False
        with ExitStack() as undoing, ExitStack() as closing:
            self._folder = tempfile.mkdtemp(prefix="eventctl-worker-")
            undoing.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._crash: IO[bytes] = undoing.enter_context(tempfile.TemporaryFile())
            self._socket, theirs = socket.socketpair()
            undoing.enter_context(self._socket)
            closing.enter_context(theirs)
            self._socket.setblocking(False)
            told = closing.enter_context(tempfile.TemporaryFile())
            told.write(orjson.dumps(hello))
            told.seek(0)
            passed = [theirs.fileno(), told.fileno(), self._crash.fileno()]
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "eventctl.worker_process", *map(str, passed), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=passed,
                env=ENVIRONMENT,
                cwd=self._folder,
                process_group=0,  # so that what it starts can be ended with it
            )
            undoing.pop_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def descriptor(self) -> int:
        """What to look at for news."""
        return self._socket.fileno()

    @property
    def writes(self) -> bool:
        """Whether something is left to be said."""
        return bool(self._out)

    def say(self, told: bytes) -> None:
        """Say something, as JSON; what does not go at once goes with the next `flush`."""
        self._out += _LENGTH.pack(len(told)) + told
        self.flush()

    def flush(self) -> None:
        """Send what is left to be said. A worker that is gone shows itself when it is listened to."""
        try:
            while self._out:
                sent = self._socket.send(memoryview(self._out)[:CHUNK])
                del self._out[:sent]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._out.clear()

    def hear(self) -> Iterator[Any]:
        """The messages that have come in whole, parsed. Raises Hostile for what is none."""
        while True:
            yield from self._whole()
            try:
                data = self._socket.recv(CHUNK)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self._closed = True
                return
            self._in += data

    def _whole(self) -> Iterator[Any]:
        while len(self._in) >= 4:
            (size,) = _LENGTH.unpack_from(self._in)
            if size > FRAME_MAX:
                raise Hostile(f"it announced a message of {size:,} bytes; {FRAME_MAX:,} are allowed")
            if len(self._in) < 4 + size:
                return
            body = bytes(memoryview(self._in)[4 : 4 + size])
            del self._in[: 4 + size]
            yield parsed(body)

    def wait(self, seconds: float) -> None:
        """Until there may be news, at most so long."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._out else 0))
        poll.poll(max(0.0, seconds) * 1_000)

    def gone(self) -> int | None:
        """How it ended, an exit code or minus a signal; None while its channel is open. A closed channel is the end of it."""
        if not self._closed:
            return None
        try:
            return self._process.wait(0.05)
        except subprocess.TimeoutExpired:
            return self.end()

    def abort(self) -> None:
        """Have it write down where it is, and end."""
        self._signal(signal.SIGABRT)

    def end(self) -> int:
        """End it and whatever it has started; how it ended."""
        self._signal(signal.SIGKILL)
        status = self._process.wait()
        self._closed = True
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        return status

    def line(self) -> str:
        """The line of foreign code that it was in when it ended; "" when it has not said."""
        try:
            return culprit(os.pread(self._crash.fileno(), CRASH_BYTES_MAX, 0).decode(errors="replace"))
        except ValueError:  # closed
            return ""

    def close(self) -> None:
        """End it, and let go of what it has left."""
        self.end()
        self._crash.close()

    def size(self) -> int:
        """Bytes of memory that it holds, as the system sees it; 0 where nobody says."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE
        except (OSError, IndexError, ValueError):
            return 0

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return


def parsed(body: bytes) -> Any:
    """A message. Raises Hostile for what is not JSON, is not an object, or is nested deeper than anything that is meant."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Hostile("it sent what is not JSON") from None
    if not isinstance(told, dict):
        raise Hostile("it sent what is no message")
    level: list[Any] = [told]
    for _ in range(DEPTH_MAX):
        inner = [list(value.values()) if isinstance(value, dict) else value for value in level]
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        if not level:
            return told
    raise Hostile(f"it sent what is nested deeper than {DEPTH_MAX} levels")
