"""The runner's process, seen from its supervisor: started, nudged, stopped, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from eventctl.workspace import Paths

ABORT_S = 0.3
"""How long a dying runner may take over its traceback. It was measured at a few milliseconds."""

CRASH_BYTES_MAX = 64 * 1024


class RunnerChild:
    """One process of `eventctl.runner_process`. `channel` is our end of its nudge; it reads as closed when the process is gone."""

    def __init__(self, paths: Paths, nonce: str, env: Mapping[str, str]) -> None:
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        self._crash = paths.crash
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "eventctl.runner_process", str(paths.root), "--nonce", nonce,
                    "--nudge", str(theirs.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=dict(env),
                process_group=0,  # Ctrl-C in a terminal reaches the supervisor alone, which lets the runner finish
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        return self._process.poll()

    def nudge(self) -> None:
        """Say that there is something new. A full pipe says so already, and a dead runner finds it when it starts again."""
        try:
            self.channel.send(b"\0")
        except OSError:
            return

    def lives(self) -> bool:
        """Whether its end of the channel is still open. Whatever it says there is read and forgotten."""
        try:
            return bool(self.channel.recv(4096))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def abort(self) -> int:
        """End it now, with a traceback in the crash file; returns how it ended."""
        self._process.send_signal(signal.SIGABRT)
        try:
            return self._process.wait(ABORT_S)
        except subprocess.TimeoutExpired:
            return self.kill()

    def ask_to_stop(self) -> None:
        """Let it finish what it is doing."""
        self._process.terminate()

    def kill(self) -> int:
        """End it without a word."""
        self._process.kill()
        return self._process.wait()

    def crash(self) -> str:
        """The traceback it left; "" when it left none."""
        try:
            with self._crash.open("rb") as file:
                return file.read(CRASH_BYTES_MAX).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def close(self) -> None:
        """Let go of the nudge; a runner that still lives ends by itself."""
        self.channel.close()


def end_leftover(pid: int, nonce: str) -> bool:
    """Kill the runner of a supervisor that died. The nonce in its command line says that it is the one, and not a stranger."""
    if pid <= 1 or len(nonce) < 16 or nonce not in _command_line(pid):
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _command_line(pid: int) -> str:
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return ""
    return subprocess.run(["/bin/ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
