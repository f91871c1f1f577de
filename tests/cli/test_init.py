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


@pytest.fixture
def four(tmp_path, monkeypatch):
    """Two domains that are shipped."""
    root = tmp_path / "shipped"
    for name in ("marketing", "customer-relations"):
        (root / "company/domains" / name).mkdir(parents=True)
        (root / "company/domains" / name / "domain.toml").write_text(f'summary = "About {name}: and more."\n')
    monkeypatch.setattr(starter, "SHIPPED", ("company",))
    monkeypatch.setattr(starter, "content", lambda: root)
    return root


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr("eventctl.cli.init._terminal", lambda: True)


def started(env, *words, given=""):
    return CliRunner().invoke(cli, ["init", *words], obj=Session(env=env), input=given)


def test_on_a_terminal_enter_takes_the_default_of_every_question(tmp_path, env, four, terminal, snapshot):
    done = started(env, str(tmp_path / "asked"), "--name", "test", given="\n\n\n\n\n")
    snapshot(done.stdout)
    started(env, str(tmp_path / "unasked"), "--name", "test", "--yes")
    texts = [(tmp_path / name / "eventctl.toml").read_text() for name in ("asked", "unasked")]
    assert texts[0] == texts[1]


def test_a_wrong_answer_is_asked_again_and_says_why(tmp_path, env, four, terminal, snapshot):
    given = "marketng\nmarketing finance\nAda!\nada\nbob:boss\nbob:member:marketing\n\nL9\nL2\n"
    done = started(env, str(tmp_path / "asked"), "--name", "test", given=given)
    snapshot(done.stdout + done.stderr)
    assert 0 == done.exit_code
    snapshot((tmp_path / "asked" / "eventctl.toml").read_text(), "settings")


def test_what_flags_say_is_not_asked_about(tmp_path, env, four, terminal):
    words = ["--domain", "marketing", "--member", "bob", "--level", "L2"]
    done = started(env, str(tmp_path / "asked"), *words)
    assert 0 == done.exit_code
    assert "[" not in done.stdout
    assert ["ada", "bob"] == sorted(path.name for path in (tmp_path / "asked/personal").iterdir())


def test_a_dialogue_that_is_broken_off_has_written_nothing(tmp_path, env, four, terminal):
    done = started(env, str(tmp_path / "asked"), given="marketing\nada\n")
    assert 130 == done.exit_code
    assert not (tmp_path / "asked").exists()


def test_a_workspace_that_is_there_is_asked_nothing(tmp_path, env, four, terminal):
    started(env, str(tmp_path / "there"), "--yes")
    done = started(env, str(tmp_path / "there"))
    assert (0, "This workspace is complete") == (done.exit_code, done.stdout[:26])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--member", "bob:boss"], "a role is admin or member"),
        (["--level", "L7"], "a level is L1, L2 or L3"),
        (["--domain", "../x"], "lower-case letters"),
        (["--domain", "marketng"], "did you mean marketing"),
        (["--member", "bob", "--member", "bob:admin"], "said twice about bob"),
        (["--level", "L1", "--level", "L2"], "said twice"),
    ],
)
def test_flags_that_make_no_sense_are_wrong_usage_and_nothing_is_written(tmp_path, env, four, words, said):
    done = started(env, str(tmp_path / "new"), *words)
    assert 2 == done.exit_code
    assert said in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "words", [["--member", "eve"], ["--domain", "finance"], ["--level", "L1"], ["--level", "finance=L1"]], ids=" ".join
)
def test_what_flags_add_to_a_workspace_is_an_admins_to_add(tmp_path, env, four, words):
    root = tmp_path / "work"
    started(env, str(root), "--member", "ada:admin", "--member", "bob", "--level", "L2")
    before = (root / "eventctl.toml").read_bytes()
    assert 5 == started({**env, "EVENTCTL_MEMBER": "bob"}, str(root), *words).exit_code
    assert before == (root / "eventctl.toml").read_bytes()
    assert not (root / "company/domains/finance").exists()


def test_a_second_run_adds_what_flags_name_and_says_what_it_left_alone(tmp_path, env, four, snapshot):
    root = tmp_path / "work"
    started(env, str(root), "--domain", "marketing")
    done = started(
        env, str(root), "--domain", "customer-relations", "--member", "ada:member", "--member", "eve", "--level", "L1"
    )
    snapshot(done.stdout + done.stderr)
    again = started(env, str(root), "--domain", "customer-relations", "--member", "eve", "--json")
    assert ([], [], []) == tuple(json.loads(again.stdout)[name] for name in ("added", "settings", "kept"))


def test_who_added_something_stands_in_the_log_and_a_run_that_adds_nothing_says_nothing(tmp_path, env, four):
    root = tmp_path / "work"
    started(env, str(root), "--domain", "marketing")
    started(env, str(root), "--domain", "finance", "--member", "eve", "--level", "finance=L1")

    def records():
        done = CliRunner().invoke(cli, ["-w", str(root), "log", "show", "--json"], obj=Session(env=env))
        return [(row["type"], row["principal"]) for row in json.loads(done.stdout)["items"]]

    expected = [("autonomy.set", "cli:ada"), ("workspace.change", "cli:ada"), ("workspace.change", "cli:ada")]
    assert expected == sorted(records())
    started(env, str(root), "--domain", "finance", "--member", "eve", "--level", "finance=L1")
    assert expected == sorted(records())
