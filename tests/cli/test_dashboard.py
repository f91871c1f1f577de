"""When the dashboard opens, and when it does not."""

from __future__ import annotations

import pytest

from eventctl.cli.dashboard import ROOMS
from eventctl.tui.app import SCREENS
from eventctl.tui.topline import ROOMS as TITLES
from tests.tui.ptykit import Terminal


def test_without_a_terminal_it_says_which_command_prints(face):
    result = face("dashboard", code=2)
    assert "the dashboard needs a terminal" in result.stderr
    assert "`eventctl inbox` prints what wants attention" in result.stderr


def test_a_bare_call_without_a_terminal_is_the_help(face):
    result = face(code=2)
    assert "Usage: " in result.stderr
    assert "" == result.stdout


def test_its_screens_are_the_dashboards_screens():
    assert ROOMS == tuple(SCREENS) == tuple(TITLES)


def test_a_bare_call_on_a_terminal_in_a_workspace_opens_it(face):
    with Terminal([], face.env, cwd=str(face.root)) as terminal:
        terminal.until(b"1 Inbox")
        terminal.press(b"q")
        assert 0 == terminal.ended()
        assert terminal.restored


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"TERM": ""}, {"CI": "1"}], ids=str)
def test_a_bare_call_on_a_terminal_that_cannot_show_it_is_the_help(face, env):
    with Terminal([], {**face.env, **env}, cwd=str(face.root), as_it_is=True) as terminal:
        terminal.until(b"Usage: ")
        assert 2 == terminal.ended()


def test_a_bare_call_outside_a_workspace_is_the_help(face, tmp_path):
    with Terminal([], face.env, cwd=str(tmp_path)) as terminal:
        terminal.until(b"Usage: ")
        assert 2 == terminal.ended()


def test_a_bare_call_in_a_workspace_without_a_store_is_the_help(face):
    (face.root / ".eventctl/state.db").unlink()
    with Terminal([], face.env, cwd=str(face.root)) as terminal:
        terminal.until(b"Usage: ")
        assert 2 == terminal.ended()


def test_words_preset_the_filter_and_nobody_is_started_with_no_run(face):
    for job in ("alpha", "beta"):
        face("emit", "job.failed", "--source", "cron", "--payload", f'{{"job": "{job}"}}')
    face("run", "--until-idle")
    with Terminal(["-w", str(face.root), "dashboard", "--no-run", "alpha"], face.env) as terminal:
        terminal.until(b"Job alpha")
        assert b"Job beta" not in terminal.said
        terminal.press(b"q")
        assert 0 == terminal.ended()
        assert b"Job beta" not in terminal.said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["dashboard", "--room", "attic"], 2, b"attic"),
        (["--as", "nobody", "dashboard"], 2, b"no member of this workspace"),
        (["dashboard", "--theme", "attic"], 2, b"there is no theme"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_opened_is_said_on_the_usual_screen(face, words, code, said):
    with Terminal(["-w", str(face.root), *words], face.env) as terminal:
        terminal.until(said)
        assert code == terminal.ended()
        assert b"\x1b[?1049h" not in terminal.said
