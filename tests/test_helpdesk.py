"""`helpdesk/`: what a stranger may write into carries nobody's authority, leads nowhere else and is never run."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import eventctl
from eventctl import helpdesk, starter
from eventctl.errors import NotFound, NotPermitted
from eventctl.helpdesk import LOOKED_AT_MAX, NAMED_MAX, lies_in, opened, strays
from eventctl.principal import ROLES, Principal
from tests.cli.conftest import Face
from tests.cli.conftest import env as env  # noqa: PLC0414 - a fixture of the command line's tests
from tests.cli.conftest import face as face  # noqa: PLC0414

ADA = Principal("cli", "ada", ROLES["producer"])
LINE = json.dumps({"event": "job.failed", "source": "desk", "payload": {"job": "backup", "run": "1"}}) + "\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "work" / "helpdesk" / "mails").mkdir(parents=True)
    (tmp_path / "work" / "helpdesk" / "x.ndjson").write_text(LINE)
    (tmp_path / "outside.ndjson").write_text(LINE)
    return tmp_path / "work"


@pytest.mark.parametrize("name", ["helpdesk/x.ndjson", "helpdesk/mails/../x.ndjson", "./helpdesk/mails/gone.ndjson"])
def test_a_file_that_lies_there_is_nobodys_word(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(root)
    assert "file:helpdesk" == str(helpdesk.speaker(ADA, root, Path(name)))
    assert "file:helpdesk" == str(helpdesk.speaker(ADA, root, root / name))


@pytest.mark.parametrize(
    "name", ["eventctl.toml", "helpdesk.ndjson", "helpdesks/x.ndjson", "../outside.ndjson", "helpdesk/../x"]
)
def test_a_file_elsewhere_is_the_word_of_who_reads_it_in(root: Path, name: str) -> None:
    assert ADA == helpdesk.speaker(ADA, root, root / name)


def test_a_link_from_elsewhere_into_it_changes_nothing_about_who_speaks(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.ndjson").symlink_to(root / "helpdesk" / "x.ndjson")
    assert "file:helpdesk" == str(helpdesk.speaker(ADA, root, tmp_path / "mine.ndjson"))
    with opened(root, tmp_path / "mine.ndjson") as stream:
        assert LINE.encode() == stream.read()


def test_a_helpdesk_that_is_a_link_itself_is_the_owners_choice(root: Path, tmp_path: Path) -> None:
    (root / "helpdesk").rename(tmp_path / "disk")
    (root / "helpdesk").symlink_to(tmp_path / "disk")
    assert lies_in(root, root / "helpdesk" / "x.ndjson")
    with opened(root, root / "helpdesk" / "x.ndjson") as stream:
        assert LINE.encode() == stream.read()


@pytest.mark.parametrize("link", ["helpdesk/out.ndjson", "helpdesk/mails/out.ndjson"])
def test_a_link_out_of_it_is_not_followed(root: Path, tmp_path: Path, link: str) -> None:
    (root / link).symlink_to(tmp_path / "outside.ndjson")
    with pytest.raises(NotPermitted, match="link"):
        opened(root, root / link)


def test_a_folder_that_is_a_link_out_of_it_is_not_followed(root: Path, tmp_path: Path) -> None:
    (root / "helpdesk" / "away").symlink_to(tmp_path)
    assert "file:helpdesk" == str(helpdesk.speaker(ADA, root, root / "helpdesk" / "away" / "outside.ndjson"))
    with pytest.raises(NotPermitted, match="link"):
        opened(root, root / "helpdesk" / "away" / "outside.ndjson")


def test_a_pipe_or_a_folder_there_is_refused_and_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "helpdesk" / "pipe")
    for name in ("helpdesk/pipe", "helpdesk/mails", "helpdesk"):
        with pytest.raises(NotPermitted, match="regular"):
            opened(root, root / name)


def test_what_is_not_there_is_not_found(root: Path) -> None:
    with pytest.raises(NotFound):
        opened(root, root / "helpdesk" / "gone.ndjson")


def test_an_agent_gets_no_further_by_the_detour(root: Path) -> None:
    agent = Principal("cli", "builder", ROLES["agent"])
    assert ROLES["agent"] == helpdesk.speaker(agent, root, root / "helpdesk" / "x.ndjson").grants


def test_what_comes_in_from_there_is_held_until_somebody_has_looked(face: Face) -> None:
    (face.root / "helpdesk").mkdir()
    (face.root / "helpdesk" / "x.ndjson").write_text(LINE)
    face("emit", "--ndjson", str(face.root / "helpdesk" / "x.ndjson"))
    face("emit", "--ndjson", "-", given=LINE.replace("backup", "sweep"))
    face("run", "--until-idle")
    rows = json.loads(face("log", "show", "--type", "job.*", "--json").stdout)["items"]
    assert {"file:helpdesk", "cli:ada"} == {row["principal"] for row in rows}
    held = json.loads(face("quarantine", "list", "--json").stdout)["items"]
    assert ["unknown_source"] == [row["reason"] for row in held]


def test_a_rule_makes_a_source_of_that_channel_known(face: Face) -> None:
    (face.root / "helpdesk").mkdir()
    (face.root / "helpdesk" / "x.ndjson").write_text(LINE)
    config = face.root / "eventctl.toml"
    rule = '[trust]\nrules = [{ source = "desk", channel = "file", verdict = "accept" }]\n'
    config.write_text(config.read_text().partition("[trust]")[0] + rule)
    face("emit", "--ndjson", str(face.root / "helpdesk" / "x.ndjson"))
    face("run", "--until-idle")
    assert [] == json.loads(face("quarantine", "list", "--json").stdout)["items"]


def test_a_payload_from_there_is_nobodys_word_either(face: Face) -> None:
    (face.root / "helpdesk").mkdir()
    (face.root / "helpdesk" / "p.json").write_text('{"job": "x", "run": "2"}')
    face("emit", "job.failed", "--source", "desk", "--payload", f"@{face.root}/helpdesk/p.json")
    rows = json.loads(face("log", "show", "--json").stdout)["items"]
    assert ["file:helpdesk"] == [row["principal"] for row in rows]


def test_a_link_out_of_it_ends_the_command_with_5_and_nothing_is_in_the_log(face: Face, tmp_path: Path) -> None:
    (face.root / "helpdesk").mkdir()
    (tmp_path / "secret.ndjson").write_text(LINE)
    (face.root / "helpdesk" / "x.ndjson").symlink_to(tmp_path / "secret.ndjson")
    face("emit", "--ndjson", str(face.root / "helpdesk" / "x.ndjson"), code=5)
    assert [] == json.loads(face("log", "show", "--json").stdout)["items"]


CARTRIDGE = '# /// cartridge\n# id = "evil"\n# summary = "s"\n# consumes = ["**"]\n# ///\nasync def process(event, context):\n    open("{mark}", "w")\n    return event\n'


def test_a_cartridge_that_lies_there_is_named_and_never_run(tmp_path: Path) -> None:
    root = starter.make(tmp_path / "work", name="work", member="ada").root
    mark = tmp_path / "ran"
    folder = root / "helpdesk" / "cartridges"
    folder.mkdir(parents=True)
    (folder / "evil.py").write_text(CARTRIDGE.format(mark=mark))
    with eventctl.open(root, env={}, no_plugins=True) as here:
        here.emit("job.failed", "cron", {"job": "a", "run": "1"})
        here.run_until_idle()
        named = [problem for problem in here.problems if "helpdesk" in problem.where]
    assert [("helpdesk/cartridges/evil.py", True)] == [(problem.where, problem.warning) for problem in named]
    assert not mark.exists()


def test_a_folder_of_cartridges_that_leads_there_is_left_out(tmp_path: Path) -> None:
    root = starter.make(tmp_path / "work", name="work", member="ada").root
    mark = tmp_path / "ran"
    (root / "helpdesk" / "cartridges").mkdir(parents=True)
    (root / "helpdesk" / "cartridges" / "evil.py").write_text(CARTRIDGE.format(mark=mark))
    (root / "personal" / "eve").mkdir()
    (root / "personal" / "eve" / "cartridges").symlink_to(root / "helpdesk" / "cartridges")
    with eventctl.open(root, env={}, no_plugins=True) as here:
        here.emit("job.failed", "cron", {"job": "a", "run": "1"})
        here.run_until_idle()
        assert "personal/eve/cartridges" in [problem.where for problem in here.problems if not problem.warning]
    assert not mark.exists()


def test_many_files_there_are_neither_all_named_nor_all_looked_at(root: Path) -> None:
    for number in range(NAMED_MAX + 3):
        (root / "helpdesk" / f"{number}.py").write_text("")
    assert NAMED_MAX + 1 == len(strays(root))


@pytest.mark.parametrize("name", ["{}.txt", "{}/x.txt"])
def test_no_more_than_so_many_entries_are_looked_at(root: Path, name: str) -> None:
    (root / "helpdesk" / "zz").mkdir()
    (root / "helpdesk" / "zz" / "late.py").write_text("")
    assert ["helpdesk/zz/late.py"] == [problem.where for problem in strays(root)]
    for number in range(LOOKED_AT_MAX):
        stray = root / "helpdesk" / name.format(f"{number:04}")
        stray.parent.mkdir(exist_ok=True)
        stray.touch()
    assert [] == strays(root)


def test_folders_within_each_other_have_an_end(root: Path) -> None:
    at = os.open(root / "helpdesk", os.O_RDONLY)
    for _ in range(LOOKED_AT_MAX + 200):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("late.py", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    try:
        assert [] == strays(root)
    finally:  # pytest would fall over it
        subprocess.run(["rm", "-rf", root / "helpdesk" / "d"], check=True)


def test_the_helpdesk_of_a_new_workspace_says_what_it_is_for(tmp_path: Path) -> None:
    root = starter.make(tmp_path / "work", name="work", member="ada").root
    assert "file:helpdesk" in (root / "helpdesk" / "README.md").read_text()
    assert [] == strays(root)
