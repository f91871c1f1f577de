"""A workspace of its own for every test, a clock that stands still, and snapshots as files.

`EVENTCTL_UPDATE_SNAPSHOTS=1 pytest tests/cli` writes what it sees into `snapshots/` instead of comparing: read the diff.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eventctl.cli import cli
from eventctl.cli.session import Session
from eventctl.times import HOUR, parse_iso

SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = bool(os.environ.get("EVENTCTL_UPDATE_SNAPSHOTS"))
NOON = parse_iso("2026-11-20T12:00:00Z")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("EVENTCTL_", "NO_COLOR", "FORCE_COLOR"))}


@dataclass
class Face:
    """The command line over one workspace, called in this process. `now` is the time it believes."""

    root: Path
    env: dict[str, str]
    now: int = NOON
    runner: CliRunner = field(default_factory=lambda: CliRunner(catch_exceptions=False))

    def __call__(self, *words: str, given: bytes | str | None = None, code: int = 0, **env: str) -> Result:
        result = self.ask(*words, given=given, **env)
        assert code == result.exit_code, result.output
        return result

    def ask(self, *words: str, given: bytes | str | None = None, **env: str) -> Result:
        session = Session(env={**self.env, **env}, now=lambda: self.now)
        return self.runner.invoke(cli, ["-w", str(self.root), *words], input=given, obj=session)

    def later(self, us: int = HOUR) -> None:
        self.now += us


@pytest.fixture
def env(tmp_path, monkeypatch) -> dict[str, str]:
    """An environment that says nothing, with a home of its own; times are shown in UTC."""
    home = tmp_path / "home"
    home.mkdir()
    given = {**CLEAN, "HOME": str(home), "TZ": "UTC", "EVENTCTL_MEMBER": "ada"}
    for name in set(os.environ) - set(given):
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("eventctl.starter.SHIPPED", ())
    return given


@pytest.fixture
def face(tmp_path, env) -> Face:
    """A fresh workspace whose admin is ada."""
    made = Face(tmp_path / "desk", env)
    made("init", "--name", "test")
    return made


@pytest.fixture
def snapshot(request, tmp_path):
    """Compare text with the file named for the test (and `name`); paths and new ids are put in plain words first."""

    def check(text: str, name: str = "") -> None:
        shown = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "<new id>", text)
        shown = shown.replace(str(tmp_path), "<tmp>")
        file = SNAPSHOTS / f"{request.node.originalname.removeprefix('test_')}{name and '.' + name}.txt"
        if UPDATE:
            file.parent.mkdir(exist_ok=True)
            file.write_text(shown, "utf-8")
        assert file.read_text("utf-8") == shown

    return check
