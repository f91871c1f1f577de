"""What makes a machine run a workspace after a reboot, as text: a systemd user unit, a launchd agent. Writes nothing.

Both name the interpreter that made them and the workspace by their full paths, so that neither depends on a shell's start-up files.
The first line (in a plist: a key of ours) carries a hash of the rest: what we wrote can be told from what a person has changed.
"""

from __future__ import annotations

import plistlib
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal
from xml.parsers.expat import ExpatError

from eventctl.errors import UsageError

Written = Literal["ours", "edited", "foreign"]

NO_RESTART = (69, 78)
"""Exit codes that another start would only repeat: somebody else runs the workspace; the settings are mistaken."""

STOP_S = 30
"""A supervisor gives its runner 10 s, and the runner what is on its way 9 s."""

_HEAD = "# Written by `eventctl service install`"
_MARK = re.compile(re.escape(_HEAD) + r" \(([0-9a-f]{16})\)\.[^\n]*\n")
_PLAIN = re.compile(r"[A-Za-z0-9_./@:+-]+")
_KEY = "EventctlWrote"


@dataclass(frozen=True, slots=True)
class Job:
    """A workspace to be kept running. `python` is the interpreter, `path` where commands are found (the variable PATH)."""

    root: Path
    python: str
    path: str
    home: Path

    @property
    def name(self) -> str:
        """Unique on this account: two folders of one name differ in their hash."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.root.name.lower()).strip("-")[:32] or "workspace"
        return f"eventctl-{slug}-{sha256(bytes(self.root)).hexdigest()[:8]}"

    @property
    def command(self) -> tuple[str, ...]:
        return (self.python, "-m", "eventctl", "run", "-w", str(self.root))


def systemd_unit(job: Job) -> str:
    """The text of a user unit. Raises `UsageError` for a path that no unit can name."""
    rest = f"""\
# Your own additions: `systemctl --user edit {job.name}`. `eventctl service remove` takes it away.
[Unit]
Description=eventctl run in {_percent(_line(str(job.root)))}
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
ExecStart={" ".join(map(_argument, job.command))}
WorkingDirectory={_percent(_line(str(job.root)))}
Environment={_word(f"PATH={job.path}")}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus={" ".join(map(str, NO_RESTART))}
KillMode=mixed
TimeoutStopSec={STOP_S}
# Commands and agents that it starts need your files and the network, so neither is taken away. What is: new rights (sudo), memory
# dumps of what it holds, and the scheduler's real-time classes.
NoNewPrivileges=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
LimitCORE=0

[Install]
WantedBy=default.target
"""
    return f"{_HEAD} ({_hash(rest)}). A new install writes it again.\n{rest}"


def launchd_agent(job: Job) -> str:
    """The text of a launch agent. launchd cannot tell one failure from another, so it tries again once a minute."""
    log = str(job.home / "Library" / "Logs" / f"{job.name}.log")
    agent = {
        "Label": job.name,
        "ProgramArguments": list(job.command),
        "WorkingDirectory": str(job.root),
        "EnvironmentVariables": {"PATH": job.path},
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 60,
        "ExitTimeOut": STOP_S,
        "ProcessType": "Background",
        "StandardOutPath": log,
        "StandardErrorPath": log,
        "HardResourceLimits": {"Core": 0},
    }
    return _plist({**agent, _KEY: _hash(_plist(agent))})


def judged(text: str) -> Written:
    """Whether a file is what we wrote, what we wrote and a person has changed, or somebody else's."""
    mark = _MARK.match(text)
    if mark is not None:
        return "ours" if mark[1] == _hash(text[mark.end() :]) else "edited"
    try:
        agent = plistlib.loads(text.encode())
    except (plistlib.InvalidFileException, ExpatError, ValueError):
        return "edited" if _HEAD in text or _KEY in text else "foreign"
    if not isinstance(agent, dict) or _KEY not in agent:
        return "foreign"
    said = agent.pop(_KEY)
    return "ours" if said == _hash(_plist(agent)) else "edited"


def _plist(agent: dict[str, object]) -> str:
    return plistlib.dumps(agent, sort_keys=False).decode()


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _line(text: str) -> str:
    if not text.isprintable():
        raise UsageError("no service can name a path with such letters in it", where=repr(text), hint="move the workspace")
    return text


def _percent(text: str) -> str:
    """A `%` begins a specifier of systemd."""
    return text.replace("%", "%%")


def _word(text: str) -> str:
    escaped = _percent(_line(text)).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _argument(text: str) -> str:
    """A word of a command line, where `$` would be a variable."""
    return text if _PLAIN.fullmatch(text) else _word(text).replace("$", "$$")
