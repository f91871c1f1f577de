"""The first quarter of an hour, command by command as the page shows it, by somebody who has nothing yet."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from eventctl.cli import cli
from eventctl.cli.session import Session

PAGE = Path(__file__).resolve().parents[1] / "docs" / "getting-started.md"
BLOCK = re.compile(r"^```(console|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"^# (\S+\.toml)$", re.MULTILINE)
ENDS = re.compile(r"# ends with (\d+)")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("EVENTCTL_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def played(home, monkeypatch, *, without: str = "") -> list[tuple[str, str]]:
    """Every command of the page with what it said. Files of the page are written where they say that they stand."""
    said, runner = [], CliRunner(catch_exceptions=False)
    for language, text in BLOCK.findall(PAGE.read_text("utf-8")):
        if language == "toml":
            place = PLACE.search(text)
            assert place, "a file of this page says where it stands"
            (home / "work" / place[1]).write_text(text)
            continue
        for line in text.splitlines():
            words = [word.replace("~", str(home)) for word in shlex.split(line, comments=True)]
            if words[:1] == ["cd"]:
                monkeypatch.chdir(words[1])
            if words[:1] != ["eventctl"] or "service" in words or (without and without in line):
                continue
            done = runner.invoke(
                cli, words[1:], obj=Session(env={"HOME": str(home), "PATH": "/usr/bin:/bin", "EVENTCTL_MEMBER": "ada"})
            )
            ends = ENDS.search(line)
            assert (int(ends[1]) if ends else 0) == done.exit_code, f"{line}\n{done.output}"
            said.append((line.partition(" #")[0].strip(), done.stdout))
    return said


def test_every_command_of_the_page_does_what_it_says(home, monkeypatch):
    said = played(home, monkeypatch)
    inboxes = [text for command, text in said if command == "eventctl inbox"]
    assert "backup failed with 3" in inboxes[0]
    assert "Rollout of api: lock timeout" in inboxes[0]
    assert "true" not in inboxes[0]
    assert "No backup: exit code 4" in inboxes[1]
    backtest = next(text for command, text in said if "backtest" in command)
    assert "No backup: exit code 3" in backtest
    assert "bob is a member" in next(text for command, text in said if "--member" in command)


def test_the_notification_that_the_page_takes_is_the_backup(home, monkeypatch):
    said = played(home, monkeypatch)
    assert "backup" in next(text for command, text in said if command.startswith("eventctl why n2"))
