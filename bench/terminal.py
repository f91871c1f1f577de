"""A program on a terminal of its own, as a person has it: keys go in, and it is noted when what was painted came out."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

SIZE = (40, 140)
"""Rows and columns."""

PATIENCE_S = 60.0
SILENCE_S = 0.05
"""A screen is painted when nothing has come for so long."""


class Terminal:
    """A process with a pty for its terminal, for a block. Everything that it writes is kept, with the moment it came."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None, *, size: tuple[int, int] = SIZE) -> None:
        self._command = command
        self._env = {**(os.environ if env is None else env), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self._size = size
        self.came: list[tuple[float, bytes]] = []
        """(monotonic seconds, bytes), oldest first."""

    def __enter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *self._size, 0, 0))
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            self._command, stdin=theirs, stdout=theirs, stderr=theirs, env=self._env, start_new_session=True
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        while True:
            try:
                if not select.select([self._ours], [], [], 0.5)[0]:
                    continue
                data = os.read(self._ours, 1 << 16)
            except OSError:  # the other end is closed
                return
            if not data:
                return
            self.came.append((time.monotonic(), data))

    def until(self, wanted: bytes, *, after: int = 0) -> float:
        """The moment at which these bytes had come, looking from chunk `after` on. Raises RuntimeError when they do not."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            text = b""
            for at, data in list(self.came)[after:]:
                text += data
                if wanted in text:
                    return at
            time.sleep(0.005)
        tail = b"".join(data for _, data in self.came)[-2_000:]
        raise RuntimeError(f"{wanted!r} did not come; the last was {tail!r}")

    def paint(self, key: bytes, *, wait_s: float = PATIENCE_S) -> float:
        """Press a key; seconds until the last byte of what it painted had come. Raises RuntimeError when nothing was painted."""
        before, pressed = len(self.came), time.monotonic()
        os.write(self._ours, key)
        while time.monotonic() < pressed + wait_s:
            if len(self.came) > before and time.monotonic() - self.came[-1][0] > SILENCE_S:
                return self.came[-1][0] - pressed
            time.sleep(0.001)
        raise RuntimeError(f"{key!r} painted nothing within {wait_s} s")

    def first(self, key: bytes, *, wait_s: float = PATIENCE_S) -> float:
        """Press a key; seconds until the first byte that came after it. For a screen that is repainted all the time."""
        before, pressed = len(self.came), time.monotonic()
        os.write(self._ours, key)
        while time.monotonic() < pressed + wait_s:
            if len(self.came) > before:
                return self.came[before][0] - pressed
            time.sleep(0.001)
        raise RuntimeError(f"{key!r} painted nothing within {wait_s} s")

    def quiet(self, for_s: float = 0.5) -> None:
        """Wait until nothing has been painted for so long."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self.came and time.monotonic() - self.came[-1][0] > for_s:
                return
            time.sleep(0.02)
        raise RuntimeError("the screen never came to rest")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
