"""The README's tour, typed into a real terminal by somebody who has nothing yet, and then the dashboard over what it made."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tui.tmux import TMUX, Tmux, environment

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(r"^```(console|toml|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"^# (\S+\.toml)$", re.MULTILINE)
LEFT_OUT = {
    "eventctl cartridge install": "no folder of a stranger is at hand; tests/cli/test_lifecycle.py installs some",
    "eventctl decisions approve": "nothing has asked by then; tests/tui/test_decisions.py approves",
    "eventctl service install": "it would stay on this machine; tests/test_service.py installs one in a home of its own",
    "eventctl dashboard": "what this walk ends with",
}
"""Commands of the tour that are not typed here, and why."""

pytestmark = [
    pytest.mark.skipif(TMUX is None and not os.environ.get("CI"), reason="tmux is not installed"),
    pytest.mark.timeout(240),
]


def commands() -> list[str]:
    """The tour's commands in order; files that it shows are written where they say."""
    tour = README.read_text("utf-8").partition("## A tour")[2].partition("\n## ")[0]
    said: list[str] = []
    for language, text in BLOCK.findall(tour):
        if language == "toml":
            place = PLACE.search(text)
            assert place, "a file of the tour says where it stands"
            said.append(f"cat > ~/work/{place[1]} <<'END'\n{text}END")
        elif language == "console":
            lines = (line.partition(" #")[0].strip() for line in text.splitlines())
            said += [line for line in lines if line]
    return said


@pytest.fixture
def home(tmp_path) -> Path:
    """A home with a repository of one's own in it, that has a test."""
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "Makefile").write_text("test:\n\t@echo all well\n")
    git = ["git", "-C", str(repository), "-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "A test"], check=True)
    return tmp_path


@pytest.fixture
def terminal(home):
    folder = Path(sys.executable).parent
    env = environment(home)
    with Tmux(home, {**env, "PATH": f"{folder}:{env['PATH']}"}) as window:
        window.run("cd ~/repository")
        yield window


def told(home: Path, *words: str) -> list[dict[str, object]]:
    """What the command line says of the workspace, as JSON."""
    command = [sys.executable, "-m", "eventctl", "-w", str(home / "work"), *words, "--json"]
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True, check=True)
    items: list[dict[str, object]] = json.loads(done.stdout)["items"]
    return items


def test_the_tour_works_as_it_is_written_and_the_dashboard_shows_what_it_made(home, terminal):
    typed = [line for line in commands() if not line.startswith(tuple(LEFT_OUT))]
    assert len(typed) > 12
    for line in typed:
        if line.startswith("cat > "):
            name, text = line.split("\n", 1)
            place = home / "work" / name.split("~/work/")[1].split(" ")[0]
            place.write_text(text.removesuffix("END"))
            continue
        terminal.run(line.replace("git .", "git ~/repository"), asks=line.startswith("eventctl init"))
    terminal.run('eventctl emit job.failed --source nas --payload \'{"job":"backup"}\'')

    terminal.run("cd ~/work")
    terminal.type("eventctl dashboard")
    terminal.press("Enter")
    seen = terminal.until("backup")
    assert "1 Inbox" in seen
    assert "● running" in terminal.until("● running")

    terminal.press("/")
    terminal.until("words to look for")
    terminal.type("backup")
    terminal.until("1 fit")
    terminal.press("Enter")
    terminal.press("c")
    terminal.until("has it")
    terminal.press("u")
    terminal.until("○ open")
    terminal.press("r")
    terminal.until("summary")
    terminal.type("the disk was full")
    terminal.press("Enter")
    terminal.until("resolved")

    terminal.press("?")
    terminal.until("Give back")
    terminal.press("Escape")
    terminal.until("Give back", gone=True)
    for key, wanted in {
        "2": "waiting",
        "3": "Stream",
        "4": "deploy-tracker",
        "5": "Quarantine",
        "6": "Retention",
        "1": "fit",
    }.items():
        terminal.press(key)
        terminal.until(wanted)
    terminal.press("q")
    terminal.until("1 Inbox", gone=True)
    after = terminal.run("eventctl status")
    assert re.search(r"runner\s+none", after), "the runner that the dashboard started ends with it"
    settled = [item for item in told(home, "inbox", "list", "--resolved", "--text", "backup") if item["state"] == "resolved"]
    assert ["the disk was full"] == [item["resolution"]["summary"] for item in settled]


@pytest.mark.parametrize("left_out", LEFT_OUT)
def test_what_is_left_out_of_the_walk_stands_in_the_tour(left_out):
    assert any(line.startswith(left_out) for line in commands())
