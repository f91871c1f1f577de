"""A terminal of the system's own, without a program between: what is written to it, what it is like, and its end."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from typing import Any, Self

WAIT_S = 30.0
UNWANTED = ("CI", "TERM")
"""What the machine says of itself and not of this terminal."""

IN_FRONT = "import os, sys, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
RESTORED = (b"\x1b[?1049l", b"\x1b[?25h")
"""The usual screen instead of the other one, and a cursor."""


class Terminal:
    """`eventctl` with these words in front of a terminal, for a block. `said` is all that it has written."""

    def __init__(
        self,
        words: list[str],
        env: Mapping[str, str],
        *,
        size: tuple[int, int] = (80, 24),
        cwd: str | None = None,
        as_it_is: bool = False,
    ) -> None:
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self._before = self.settings()
        self.said = b""
        command = [sys.executable, "-c", IN_FRONT, sys.executable, "-m", "eventctl", *words]
        given = {"TERM": "xterm-256color", **{name: value for name, value in env.items() if as_it_is or name not in UNWANTED}}
        self.child = subprocess.Popen(
            command, env=given, cwd=cwd, stdin=self._theirs, stdout=self._theirs, stderr=self._theirs, start_new_session=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        self.child.wait()
        self.close()

    def close(self) -> None:
        """Close the terminal, as a window is closed."""
        for handle in (self._theirs, self._ours):
            if handle >= 0:
                os.close(handle)
        self._ours = self._theirs = -1

    def press(self, keys: bytes) -> None:
        """Send these bytes, as keys do."""
        os.write(self._ours, keys)

    def until(self, wanted: bytes) -> None:
        """Wait until this was written since the last waiting."""
        deadline = time.monotonic() + WAIT_S
        while wanted not in self.said:
            assert time.monotonic() < deadline, f"{wanted!r} never came: {self.said[-2000:]!r}"
            self._read()
        self.said = self.said.partition(wanted)[2]

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + WAIT_S
        while self.child.poll() is None:
            assert time.monotonic() < deadline, f"it does not end: {self.said[-2000:]!r}"
            self._read()
        self._read()
        return int(self.child.returncode)

    def settings(self) -> list[Any]:
        """How the terminal is set up."""
        return termios.tcgetattr(self._theirs)

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was, and its screen and cursor are back."""
        return self.settings() == self._before and all(sequence in self.said for sequence in RESTORED)

    def _read(self) -> None:
        if self._ours < 0:
            time.sleep(0.02)
        elif select.select([self._ours], [], [], 0.05)[0]:
            self.said += os.read(self._ours, 1 << 16)
