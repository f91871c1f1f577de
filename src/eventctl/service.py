"""Has the machine's own service manager run a workspace: install, look, remove. Linux: systemd, of this user; macOS: launchd.

What is run for that goes through `Ask`, a function that runs a command and says how it ended.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from eventctl import servicefile, workspace
from eventctl.errors import Conflict, EventctlError, NotFound, Unavailable
from eventctl.servicefile import Job
from eventctl.workspace import Paths

ASK_S = 60


class Said(NamedTuple):
    """How a command ended, and its last words: of both its streams."""

    code: int
    text: str


Ask = Callable[[Sequence[str]], Said]


class State(NamedTuple):
    """How a service stands. `running` and `at_boot` as the manager says; `detail` is its own word for it."""

    name: str
    file: Path
    installed: bool
    running: bool = False
    at_boot: bool = False
    detail: str = ""
    pid: int = 0


class Manager(Protocol):
    """A service manager."""

    def text(self, job: Job) -> str:
        """What would be written."""

    def file(self, job: Job) -> Path:
        """Where it goes."""

    def require(self) -> None:
        """Raises `Unavailable`, with what to do, when nothing answers."""

    def start(self, job: Job) -> None:
        """Take the file in, start it, and start it again after a reboot."""

    def stop(self, job: Job) -> None:
        """Stop it, for good."""

    def gone(self, job: Job) -> None:
        """The file is not there any more."""

    def state(self, job: Job) -> State:
        """How it stands."""

    def advice(self) -> str:
        """What keeps it from running without a login, and what to do about it; or nothing."""


def ask(command: Sequence[str]) -> Said:
    """Run it; 127 when there is no such program."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ASK_S, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return Said(127, f"there is no {command[0]}")
    except subprocess.TimeoutExpired:
        return Said(124, f"{command[0]} gave no answer within {ASK_S} s")
    return Said(done.returncode, (done.stdout + done.stderr).strip())


def job(paths: Paths, env: Mapping[str, str]) -> Job:
    """What is to be kept running. `env` is asked for PATH and HOME."""
    usual = "/usr/local/bin:/usr/bin:/bin"
    return Job(paths.root, sys.executable, env.get("PATH") or usual, Path(env.get("HOME", "~")).expanduser())


def manager(env: Mapping[str, str], asking: Ask = ask, platform: str = sys.platform) -> Manager:
    """This machine's."""
    return Launchd(env, asking) if platform == "darwin" else Systemd(env, asking)


def install(here: Manager, paths: Paths, wanted: Job, *, replace: bool = False) -> bool:
    """Write and start it; whether anything had to be written. `replace` is for a file that was edited.

    Raises `Unavailable` without a manager, `Conflict` for a file that is not ours to write, or while another runner works here.
    """
    text, file = here.text(wanted), here.file(wanted)
    here.require()
    was = file.read_text() if file.is_file() else ""
    _ours(file, was, replace=replace)
    if workspace.held(paths) and not here.state(wanted).running:
        raise Conflict(
            "a runner works on this workspace already", where=str(paths.root), hint="end it first: `eventctl status` names it"
        )
    if was != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{file.name}.new")
        aside.write_text(text)
        aside.replace(file)
        if was:
            here.stop(wanted)
    here.start(wanted)
    return was != text


def remove(here: Manager, wanted: Job) -> None:
    """Stop it and take its file away. Raises `NotFound`, and `Conflict` for a file that is not what we wrote."""
    file = here.file(wanted)
    if not file.is_file():
        raise NotFound("no service is installed for this workspace", where=str(wanted.root))
    _ours(file, file.read_text(), replace=False)
    here.require()
    here.stop(wanted)
    file.unlink()
    here.gone(wanted)


def _ours(file: Path, text: str, *, replace: bool) -> None:
    found = servicefile.judged(text) if text else "ours"
    if found == "foreign":
        raise Conflict("somebody else wrote this file", where=str(file), hint="move it away")
    if found == "edited" and not replace:
        raise Conflict(
            "this file has been edited",
            where=str(file),
            hint="`eventctl service install --replace` writes it anew, and `remove` takes away that",
        )


@dataclass(frozen=True, slots=True)
class Systemd:
    """systemd, the manager of this user."""

    env: Mapping[str, str]
    ask: Ask

    def text(self, job: Job) -> str:
        return servicefile.systemd_unit(job)

    def file(self, job: Job) -> Path:
        config = self.env.get("XDG_CONFIG_HOME")
        return (Path(config) if config else job.home / ".config") / "systemd" / "user" / f"{job.name}.service"

    def require(self) -> None:
        said = self.ask(["systemctl", "--user", "show-environment"])
        if said.code == 0:
            return
        if said.code == 127:
            raise Unavailable("this machine has no systemd", hint=_instead())
        raise Unavailable(
            f"no systemd of this user answers: {said.text.splitlines()[0] if said.text else said.code}", hint=_bus()
        )

    def start(self, job: Job) -> None:
        self._do("daemon-reload")
        self._do("enable", "--now", f"{job.name}.service")

    def stop(self, job: Job) -> None:
        self._do("disable", "--now", f"{job.name}.service")

    def gone(self, job: Job) -> None:
        self._do("daemon-reload")
        self.ask(["systemctl", "--user", "reset-failed", f"{job.name}.service"])  # says no when it had not failed

    def state(self, job: Job) -> State:
        wanted = "ActiveState,SubState,UnitFileState,MainPID,ExecMainStatus"
        said = self.ask(["systemctl", "--user", "show", f"{job.name}.service", f"--property={wanted}"])
        facts = dict(line.partition("=")[::2] for line in said.text.splitlines()) if said.code == 0 else {}
        file, active = self.file(job), facts.get("ActiveState", "")
        detail = f"{active} ({facts.get('SubState', '')})" if active else "no systemd of this user answers"
        if facts.get("ExecMainStatus", "0") != "0":
            detail += f", exit code {facts['ExecMainStatus']}"
        pid = facts.get("MainPID", "0")
        running = active in ("active", "activating", "reloading")
        enabled = facts.get("UnitFileState") == "enabled"
        return State(job.name, file, file.is_file(), running, enabled, detail, int(pid) if pid.isdigit() else 0)

    def advice(self) -> str:
        said = self.ask(["loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value"])
        return "" if said.text == "yes" else "it starts when you log in; `loginctl enable-linger` has it start with the machine"

    def _do(self, *words: str) -> None:
        said = self.ask(["systemctl", "--user", *words])
        if said.code:
            hint = "`journalctl --user -n 20` may say more"
            raise EventctlError(f"systemctl --user {' '.join(words)} failed: {said.text or said.code}", hint=hint)


@dataclass(frozen=True, slots=True)
class Launchd:
    """launchd, the agents of this user."""

    env: Mapping[str, str]
    ask: Ask

    def text(self, job: Job) -> str:
        return servicefile.launchd_agent(job)

    def file(self, job: Job) -> Path:
        return job.home / "Library" / "LaunchAgents" / f"{job.name}.plist"

    def require(self) -> None:
        said = self.ask(["launchctl", "print", self._domain()])
        if said.code:
            raise Unavailable("no launchd of this user answers", hint="log in at the screen once; ssh alone has none")

    def start(self, job: Job) -> None:
        if not self.state(job).detail:
            self._do("bootstrap", self._domain(), str(self.file(job)))
        self._do("enable", f"{self._domain()}/{job.name}")

    def stop(self, job: Job) -> None:
        if self.state(job).detail:
            self._do("bootout", f"{self._domain()}/{job.name}")

    def gone(self, job: Job) -> None:
        return

    def state(self, job: Job) -> State:
        said = self.ask(["launchctl", "print", f"{self._domain()}/{job.name}"])
        facts = dict(line.strip().partition(" = ")[::2] for line in said.text.splitlines()) if said.code == 0 else {}
        file, pid = self.file(job), facts.get("pid", "0")
        detail = facts.get("state", "loaded") if facts else ""
        return State(job.name, file, file.is_file(), detail == "running", bool(facts), detail, int(pid) if pid.isdigit() else 0)

    def advice(self) -> str:
        return ""

    def _domain(self) -> str:
        return f"gui/{os.getuid()}"

    def _do(self, *words: str) -> None:
        said = self.ask(["launchctl", *words])
        if said.code:
            raise EventctlError(
                f"launchctl {' '.join(words)} failed: {said.text or said.code}", hint="`log show --last 5m` may say more"
            )


def _instead() -> str:
    if _wsl():
        return "WSL has one after `systemd=true` under [boot] in /etc/wsl.conf and `wsl --shutdown`"
    if _container():
        return "in a container let its command be `eventctl run`, and have the container started again"
    return "have `eventctl run` started by what starts programs here; `eventctl service install --print` shows what systemd would do"


def _bus() -> str:
    if _container() or _wsl():
        return _instead()
    return "log in as this user and not by su or sudo; over ssh `loginctl enable-linger` starts one"


def _wsl() -> bool:
    version = Path("/proc/version")
    return version.exists() and "microsoft" in version.read_text().lower()


def _container() -> bool:
    return Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or shutil.which("systemctl") is None
