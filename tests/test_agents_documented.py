"""What docs/agents.md shows works when it is pasted."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

import eventctl
from eventctl import starter
from eventctl.cli import cli
from eventctl.principal import ROLES, Principal, allowed
from eventctl.settings import Settings

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "agents.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"^# (\S+\.(?:toml|py))$", re.MULTILINE)
BOT = Principal("cli", "bot", ROLES["agent"])


def files() -> dict[str, str]:
    """The files of the page, by where they say that they stand."""
    return {place[1]: text for _, text in BLOCK.findall(PAGE) if (place := PLACE.search(text))}


def commands() -> list[str]:
    return [line for kind, text in BLOCK.findall(PAGE) if kind == "sh" for line in text.splitlines()]


def test_the_agent_of_the_page_does_its_work_when_a_rule_asks_for_it(tmp_path: Path) -> None:
    starter.make(tmp_path, name="pages", member="ada")
    config = tmp_path / "eventctl.toml"
    written = files()
    config.write_text(config.read_text() + "\n" + written.pop("eventctl.toml") + "\n[enable]\nmend-jobs = {}\n")
    for place, text in written.items():
        (tmp_path / place).write_text(text)
    with eventctl.open(tmp_path, no_plugins=True) as ws:
        assert [] == [str(problem) for problem in ws.problems if "mend" in str(problem)]
        ws.emit("job.failed", "cron", {"job": "backup", "exit_code": 3})
        assert ws.run_until_idle()
        row = ws.views.notification(1)
        assert row
        assert ("resolved", "mender", b'{"summary":"started backup again"}') == (row.agent_state, row.agent, row.resolution)


@pytest.mark.parametrize("text", [text for kind, text in BLOCK.findall(PAGE) if kind == "toml" and "[agents." in text])
def test_every_agent_of_the_page_can_be_configured(text: str) -> None:
    [agent] = Settings.model_validate(tomllib.loads(text)).agents.values()
    assert all(isinstance(word, str) for word in agent.command)


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_page_can_be_said(line: str) -> None:
    words = shlex.split(line)
    assert "eventctl" == words[0]
    command = cli
    while words := words[1:]:
        found = getattr(command, "get_command", lambda *_: None)(None, words[0])
        if found is None:
            break
        command = found
    command.make_context(command.name, words)


@pytest.mark.parametrize("verb", ["inbox.seen", "inbox.snooze", "inbox.archive", "silence.set", "decisions.approve", "decisions.deny",
                                  "decisions.undo", "cartridge.install", "autonomy.set", "operate"])  # fmt: skip
def test_what_an_agent_may_not(verb: str) -> None:
    assert not allowed(BOT, verb, "bot")


def test_an_agent_emits_in_its_own_family() -> None:
    assert (True, False) == (allowed(BOT, "emit", "agent.said"), allowed(BOT, "emit", "deployment.triggered"))
