"""Whether somebody works on the workspace, and the `eventctl run` that the dashboard starts when nobody does.

What a dashboard has started it ends when it is left; what it found it leaves alone. The child stands in a session of its own: neither
ctrl-c nor the end of the terminal reaches it, so it outlives a dashboard that is killed, and the next one finds it. A second
dashboard over the same workspace is only a guest of that child: it says `no runner` when the first one is left, and can start one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from eventctl import client, workspace
from eventctl.cli.session import Session
from eventctl.cli.who import require
from eventctl.errors import Unavailable
from eventctl.principal import Principal
from eventctl.supervisor import DRAIN_S
from eventctl.tui.look import Cell
from eventctl.workspace import Paths

LOG = "dashboard-run.log"
"""What the child says, in the folder of the workspace's state. Each start begins it anew."""

TAIL_BYTES = 4_096
QUIET_S = 0.4
"""An end that comes as soon as this needs no words."""

GRACE_S = 5.0
"""What a runner may take over ending once it has drained."""

HELD = 69
"""How `eventctl run` ends when another one was there first."""


class Standing(NamedTuple):
    """How things stand, and whether this dashboard started what is there.

    `running`, `restarting` and `disk_full` are what the runner says of itself; `starting` and `stopping` are ours; `busy` is a process
    that holds the workspace and answers nobody (`run --until-idle`, a restore); `none`. `said` is why the one that we started is gone.
    """

    state: str
    ours: bool = False
    restarts: int = 0
    strikes: int = 0
    said: str = ""

    @property
    def there(self) -> bool:
        """Whether somebody works, or will in a moment."""
        return self.state != "none"

    def cell(self) -> Cell:
        """As glyph, words and colour."""
        glyph, words, tone = _WORDS.get(self.state, ("?", self.state, "warn"))
        falls = [f"{number:,} {name}{'' if number == 1 else 's'}" for number, name in self._falls() if number]
        return Cell(", ".join([f"{glyph} {words}", *falls]), "warn" if falls and tone == "good" else tone)

    def _falls(self) -> tuple[tuple[int, str], ...]:
        return (self.restarts, "restart"), (self.strikes, "strike")


_WORDS = {
    "running": ("●", "running", "good"), "starting": ("◌", "starting", "accent"), "stopping": ("◌", "finishing", "accent"),
    "restarting": ("◌", "restarting", "warn"), "disk_full": ("⚠", "disk full", "bad"), "busy": ("◍", "held by a process", "warn"),
    "none": ("○", "no runner", "warn"),
}  # fmt: skip


class Runner:
    """The runner of one workspace, seen from a dashboard. Every call may take a second: none belongs on the thread that paints."""

    def __init__(self, session: Session, paths: Paths, who: Principal) -> None:
        self._session = session
        self._paths = paths
        self._who = who
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = False
        self._said = ""

    @property
    def log(self) -> Path:
        """Where the child's words go."""
        return self._paths.state_dir / LOG

    def look(self) -> Standing:
        """How things stand now. Raises `OSError` when even that cannot be seen."""
        code = None if self._child is None else self._child.poll()
        if code is not None:
            self._ended(code)
        told = client.ask_status(self._paths)
        if told is not None:
            ours = self._child is not None and self._child.pid == told.get("pid")
            state = "stopping" if ours and self._asked else str(told.get("state"))
            return Standing(state, ours, int(told.get("restarts") or 0), int(told.get("strikes") or 0))
        if self._child is not None:
            return Standing("stopping" if self._asked else "starting", True)
        if workspace.held(self._paths):
            return Standing("busy")
        return Standing("none", said=self._said)

    def start(self) -> None:
        """Start one, if ours is not there. Raises `NotPermitted`, and `Unavailable` when no process can be started."""
        require(self._who, "operate")
        if self._child is not None and self._child.poll() is None:
            return
        self._asked, self._said = False, ""
        env = dict(self._session.env)
        if self._session.no_plugins:
            env["EVENTCTL_NO_PLUGINS"] = "1"
        asks = ["--agent" if self._session.agent else "--as", self._who.subject]
        words = [sys.executable, "-m", "eventctl", "-w", str(self._paths.root), *asks, "run"]
        try:
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                self._child = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True
                )
            finally:
                os.close(log)
        except OSError as error:
            raise Unavailable(
                f"no runner can be started: {error.strerror or error}", where=str(error.filename or "")
            ) from error

    def ask_to_stop(self) -> bool:
        """Tell the one that we started to finish; whether there is one."""
        if self._child is None or self._child.poll() is not None:
            return False
        self._asked = True
        self._child.terminate()
        return True

    def end(self, say: Callable[[str], None]) -> None:
        """Wait for the one that we started, which is told to finish: ten seconds for what it is doing, then it gives up by itself.

        An interrupt ends the waiting and not the runner.
        """
        if not self.ask_to_stop() or self._child is None:
            return
        try:
            if not _over(self._child, QUIET_S):
                say("finishing what is on its way…")
                if not _over(self._child, DRAIN_S + GRACE_S):
                    say(f"the runner (pid {self._child.pid}) is still finishing; it ends by itself")
        except KeyboardInterrupt:
            say("not waiting for it: the runner finishes and ends by itself")

    def _ended(self, code: int) -> None:
        self._child = None
        if self._asked:
            self._said = ""
        elif code == HELD and client.ask_status(self._paths) is not None:
            self._said = ""  # somebody else was faster: we are guests of theirs
        else:
            self._said = f"the runner ended with {code}: {self._last_words()}" if code else "the runner was stopped"

    def _last_words(self) -> str:
        """The last error in the log with what stands under it, else its last line."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        except OSError as error:
            return f"what it said cannot be read ({error.strerror})"
        errors = [number for number, line in enumerate(lines) if line.startswith("error:")]
        return " · ".join(lines[errors[-1] :] if errors else lines[-1:]) or "it said nothing"


def _over(child: subprocess.Popen[bytes], within_s: float) -> bool:
    try:
        child.wait(within_s)
    except subprocess.TimeoutExpired:
        return False
    return True
