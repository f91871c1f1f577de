"""`init`: a workspace that can be made again without touching anyone's work."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from eventctl import starter
from eventctl.cli import cli
from eventctl.cli.session import Session


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Content that a test may change between two runs."""
    root = tmp_path / "shipped"
    for name, text in {
        "company/a.toml": "a1",
        "company/b.toml": "b1",
        "personal/.hidden": "x",
        "company/__pycache__/c": "x",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(starter, "SHIPPED", ("company", "personal"))
    monkeypatch.setattr(starter, "content", lambda: root)
    return root


def test_a_new_workspace_says_what_it_is_and_what_to_do_next(face, tmp_path, shipped, snapshot):
    snapshot(face("init", str(tmp_path / "other"), "--name", "test").stdout)


def test_a_second_run_adds_what_is_new_and_keeps_what_was_edited_or_removed(face, tmp_path, shipped, snapshot):
    other = tmp_path / "other"
    face("init", str(other))
    (other / "company/a.toml").write_text("mine")
    (shipped / "company/a.toml").write_text("a2")
    (shipped / "company/b.toml").write_text("b2")
    (shipped / "company/new.toml").write_text("n1")
    (shipped / "personal/gone.toml").write_text("g1")
    face("init", str(other))
    (other / "personal/gone.toml").unlink()
    result = face("init", str(other))
    snapshot(result.stdout)
    texts = {name: (other / "company" / name).read_text() for name in ("a.toml", "b.toml", "new.toml")}
    assert {"a.toml": "mine", "b.toml": "b2", "new.toml": "n1"} == texts
    assert not (other / "personal/gone.toml").exists()


def test_settings_are_never_written_twice(face):
    config = face.root / "eventctl.toml"
    config.write_text(config.read_text() + "# mine\n")
    before = config.read_text()
    answer = json.loads(face("init", "--json").stdout)
    assert before == config.read_text()
    assert False is answer["created"]


def test_the_state_is_private(face):
    state = face.root / ".eventctl"
    assert 0o700 == state.stat().st_mode & 0o777
    assert {0o600} == {file.stat().st_mode & 0o777 for file in state.iterdir()}


def test_the_users_own_workspace_serves_every_directory(face, tmp_path, env, monkeypatch):
    face.runner.invoke(cli, ["init", "--user"], obj=Session(env=env))
    monkeypatch.chdir(tmp_path)
    result = face.runner.invoke(cli, ["emit", "a.b", "--source", "s"], obj=Session(env=env))
    assert "e1\n" == result.stdout


@pytest.mark.parametrize(
    ("text", "expected"), [("Ada Lovelace", "ada-lovelace"), ("ada", "ada"), ("x\u202e\x1b[31m", "x-31m"), ("漢", "")]
)
def test_names_become_keys_that_can_be_typed(text, expected):
    assert expected == starter.identifier(text)


def test_the_way_into_a_folder_with_a_blank_can_be_pasted(tmp_path, env):
    told = CliRunner().invoke(cli, ["init", str(tmp_path / "my work")], obj=Session(env=env)).stdout
    assert f"cd '{tmp_path}/my work'" in told
