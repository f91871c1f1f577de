"""A real terminal: tmux, driven by keys as a person types them, read as a person sees it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

TMUX = shutil.which("tmux")
WAIT_S = 40.0


class Tmux:
    """One window of a tmux server of its own, for a block."""

    def __init__(self, folder: Path, env: Mapping[str, str], *, size: tuple[int, int] = (120, 36)) -> None:
        assert TMUX, "tmux is needed: apt-get install tmux"
        self._socket = str(folder / "tmux.sock")
        self._env = {**env, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "PS1": "$ "}
        self._size = size
        self._folder = folder
        self._ran = 0

    def __enter__(self) -> Self:
        wide, high = self._size
        shell = ["bash", "--norc", "--noprofile"]
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(wide), "-y", str(high), "-c", str(self._folder), *shell)
        self._tmux("set-option", "-g", "default-terminal", "tmux-256color")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([TMUX or "tmux", "-S", self._socket, "kill-server"], capture_output=True)

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            [TMUX or "tmux", "-S", self._socket, *words], env=self._env, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout

    def text(self) -> str:
        """What stands on the screen."""
        return self._tmux("capture-pane", "-p")

    def type(self, text: str) -> None:
        """Type letters."""
        self._tmux("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names: Enter, Escape, Down, C-c."""
        self._tmux("send-keys", *keys)

    def until(self, wanted: str, *, gone: bool = False) -> str:
        """Wait until a text stands on the screen (or no longer does), and give the screen."""
        deadline = time.monotonic() + WAIT_S
        while (wanted in (seen := self.text())) == gone:
            assert time.monotonic() < deadline, f"{wanted!r} {'still stands' if gone else 'never came'}:\n{seen}"
            time.sleep(0.05)
        return seen

    def run(self, command: str, *, asks: bool = False) -> str:
        """Run a command in the shell, and give what stands on the screen when it has ended with 0. What it `asks` is answered by Enter."""
        self._ran += 1
        self.type(f"clear; {command}; echo ended-{self._ran}-$?")
        self.press("Enter")
        while asks and f"ended-{self._ran}-0" not in (seen := self.text()):
            if seen.rstrip().endswith("]:"):
                self.press("Enter")
            time.sleep(0.2)
        return self.until(f"ended-{self._ran}-0")


def environment(home: Path) -> dict[str, str]:
    """An environment of somebody who has nothing yet."""
    return {"HOME": str(home), "PATH": os.environ["PATH"], "EVENTCTL_MEMBER": "ada", "SHELL": "/bin/bash"}
