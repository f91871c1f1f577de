"""What is written is what is there: commands, settings, keys and hooks; TOML that parses; pages that are up to date."""

from __future__ import annotations

import inspect
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

import eventctl
from eventctl import hookspecs, manifest, starter
from eventctl.cli import COMMANDS
from eventctl.contracts import Context, State
from tools import reference

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"(?:^|[`|&]\s*|\$ |bin/)eventctl ((?:-w \S+ )?[a-z][^\n`|#&]*)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(page.read_text("utf-8")) if found == language]


def typed(page: Path) -> list[list[str]]:
    """What the page tells people to type, as words after `eventctl`."""
    text = page.read_text("utf-8").replace(" COMMAND", "")
    return [shlex.split(line.strip(), comments=True) for line in TYPED.findall(text)]


@pytest.mark.parametrize("page", reference.PAGES)
def test_a_generated_page_is_up_to_date(page):
    assert reference.PAGES[page]() == (ROOT / "docs" / page).read_text("utf-8"), "run `python -m tools.reference`"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_documented(name):
    assert f"### `eventctl {name}`" in (ROOT / "docs/cli.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_tells_people_to_type_exists(page):
    for given in typed(page):
        words = given[2:] if given[:1] == ["-w"] else given
        command = reference.load(words[0]) if words[0] in COMMANDS else None
        assert command is not None, f"{page.name}: eventctl {' '.join(words)}"
        if isinstance(command, click.Group) and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in command.commands, f"{page.name}: eventctl {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_toml_in_a_page_can_be_read(page):
    for text in blocks(page, "toml"):
        tomllib.loads(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_cartridge_in_a_page_has_a_manifest_that_can_be_read(page, tmp_path):
    for number, text in enumerate(text for text in blocks(page, "python") if "# /// cartridge" in text):
        file = tmp_path / f"{number}.py"
        file.write_text(text)
        manifest.load(file)


@pytest.mark.parametrize("page", ["README.md", "docs/cartridges.md"])
def test_the_cartridge_of_a_page_does_what_it_says_when_it_is_pasted(page, tmp_path):
    text = next(text for text in blocks(ROOT / page, "python") if "# /// cartridge" in text)
    root = starter.make(tmp_path / "work", name="work", member="ada").root
    (root / "company/domains/marketing/cartridges/slow-jobs.py").write_text(text)
    with eventctl.open(root) as here:
        assert [] == here.problems
        here.emit("job.succeeded", "cron", {"job": "backup", "duration_s": 1200.0})
        here.emit("job.succeeded", "cron", {"job": "sweep", "duration_s": 3.0})
        here.run_until_idle()
        assert ["backup took 1200 s"] == [item.notification.title for item in here.inbox.list().items]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_links_to_files_that_are_there(page):
    targets = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    assert [] == [link for link in targets if not (page.parent / link).exists()]


def test_every_hook_is_documented_with_a_sentence():
    page = (ROOT / "docs/plugins.md").read_text("utf-8")
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("eventctl_")}
    assert len(hooks) >= 4
    for name, hook in hooks.items():
        assert inspect.getdoc(hook)
        assert f"`{name}" in page


def test_everything_that_a_context_gives_is_documented():
    page = (ROOT / "docs/cartridges.md").read_text("utf-8")
    given = [name for name in vars(Context) if not name.startswith("_")]
    given += [f"state.{name}" for name in vars(State) if not name.startswith("_")]
    assert [] == [name for name in given if f"context.{name}" not in page]


def test_every_key_of_the_files_that_people_write_has_a_sentence():
    page = (ROOT / "docs/settings.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 70
    assert [] == [row for row in rows if row.split("|")[-2].strip() == ""]


def test_the_readme_begins_with_the_two_commands_that_the_ci_runs():
    page = (ROOT / "README.md").read_text("utf-8")
    demo = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/eventctl demo"
    tests = ".venv/bin/pip install nox && .venv/bin/nox"
    assert 0 < page.index(demo) < page.index(tests) < 2_000


@pytest.mark.parametrize(
    ("key", "default"), [("autonomy.default", "`L3`"), ("autonomy.types", ""), ("trust.strictness", "`standard`")]
)
def test_the_page_of_settings_shows_what_holds_where_nothing_is_written(key: str, default: str) -> None:
    row = next(line for line in reference.settings_page().splitlines() if line.startswith(f"| `{key}` |"))
    assert default == row.split(" | ")[2].strip()
