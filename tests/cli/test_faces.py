"""The command line as a whole: help, errors, colours, short ids."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from eventctl.cli import COMMANDS, cli
from eventctl.cli.render import Screen, cut, fit, width
from eventctl.cli.session import Session
from eventctl.cli.shortid import parse


def commands(command=cli, path=(), ctx=None):
    """Every command with its path, groups included."""
    ctx = ctx or click.Context(cli)
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            yield from commands(command.get_command(ctx, name), (*path, name), ctx)


ALL = [pytest.param(path, command, id=" ".join(path) or "eventctl") for path, command in commands()]
LEAVES = [parameter for parameter in ALL if not isinstance(parameter.values[1], click.Group)]


def test_the_first_screen(face, snapshot):
    snapshot(face("--help").stdout)


def test_without_a_command_it_helps_and_fails(face):
    result = face(code=2)
    assert "Usage: eventctl" in result.stderr
    assert "" == result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_first_screen_says_of_a_command_what_the_command_says(name):
    command = cli.get_command(click.Context(cli), name)
    summary = COMMANDS[name][1]
    assert summary in (command.short_help, (command.help or "").split("\n")[0]) or isinstance(command, click.Group)
    assert summary.endswith(".")


@pytest.mark.parametrize(("path", "command"), ALL)
def test_every_command_helps(face, path, command):
    assert "Usage:" in face(*path, "--help").stdout


@pytest.mark.parametrize(("path", "command"), LEAVES)
def test_every_verb_shows_an_example_of_itself(path, command):
    assert f"eventctl {' '.join(path)}" in command.help


@pytest.mark.parametrize(("path", "command"), LEAVES)
def test_every_option_says_what_it_is_for(path, command):
    silent = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
    assert [] == silent


@pytest.mark.parametrize(
    "words",
    [
        ["inbx"],
        ["inbox", "lst"],
        ["emit", "--sorce", "x"],
        ["inbox", "list", "--level", "high"],
        ["log", "show", "--since", "soon"],
    ],
    ids=" ".join,
)
def test_wrong_words_are_answered_with_what_was_meant(face, snapshot, words):
    result = face(*words, code=2)
    snapshot(result.stderr, "-".join(word.strip("-") for word in words))


def test_an_error_is_json_where_the_answer_would_have_been(face):
    result = face("why", "e99", "--json", code=3)
    assert "" == result.stdout
    assert {"code": 3, "message": "there is no record e99"}.items() <= json.loads(result.stderr)["error"].items()


def test_a_bug_keeps_its_traceback(face, monkeypatch):
    monkeypatch.setattr("eventctl.cli.session.Session.paths", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        face("status")


def test_a_handled_error_shows_its_traceback_when_asked(face):
    with pytest.raises(Exception, match="no record"):
        face("--debug", "why", "e99")


def test_ctrl_c_is_quiet(face, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("eventctl.cli.session.Session.paths", interrupted)
    assert "\n" == face("status", code=130).stderr


def test_shared_options_may_stand_anywhere(face, tmp_path):
    assert "nowhere" in face("status", "-w", str(tmp_path / "nowhere"), code=3).stderr


@pytest.mark.parametrize(
    ("color", "env", "tty", "wanted"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colour_follows_the_flag_then_the_environment_then_the_terminal(color, env, tty, wanted):
    class Stream:
        def isatty(self):
            return tty

    assert wanted == Session(env=env, color=color).wants_color(Stream())


def test_columns_line_up_whatever_the_letters_are_wide(capsys):
    screen = Screen(Session(env={}))
    screen.table(("id", "title"), [["e1", "naïve"], ["漢字", "x"], ["e100", "y"]])
    assert ["id    title", "e1    naïve", "漢字  x", "e100  y"] == capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("漢字", 4), ("e\u0301", 1), ("", 0)])
def test_width_counts_columns(text, columns):
    assert columns == width(text)


@pytest.mark.parametrize(
    ("widths", "columns", "fixed", "expected"),
    [
        ([4, 30, 50], None, (), [4, 30, 50]),
        ([4, 30, 50], 120, (), [4, 30, 50]),
        ([4, 30, 50], 80, (), [4, 30, 42]),
        ([4, 30, 50], 60, (), [4, 26, 26]),
        ([4, 30, 50], 60, (1,), [4, 30, 22]),
        ([30, 30, 30], 40, (), [14, 14, 14]),
    ],
)
def test_the_widest_columns_give_way_until_a_row_fits(widths, columns, fixed, expected):
    assert expected == fit(widths, columns, fixed)


def test_cutting_ends_in_an_ellipsis_and_fits():
    assert "漢…" == cut("漢字漢字", 4)
    assert "abc" == cut("abc", 3)


@pytest.mark.parametrize(
    ("text", "expected"), [("e42", ("e", 42)), ("N7", ("n", 7)), ("42", ("", 42)), ("x1", None), ("e", None)]
)
def test_short_ids_are_a_letter_and_a_number(text, expected):
    assert expected == parse(text)


def test_the_beginning_of_a_long_id_names_its_record(face):
    face("emit", "a.b", "--source", "s", "--id", "deadbeef-1")
    face("emit", "a.b", "--source", "s", "--id", "deadbeef-2")
    assert "deadbeef-1" in face("log", "show", "deadbeef-1").stdout
    assert "could be 2 records" in face("log", "show", "deadb", code=2).stderr
    assert "no record" in face("log", "show", "dea", code=3).stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script(face, shell):
    assert "_EVENTCTL_COMPLETE" in face("completion", shell).stdout


def offered(env, shell, *words):
    """What the shell is given for the last of these words."""
    typed = {"_EVENTCTL_COMPLETE": f"{shell}_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", "from eventctl.cli import main; main()"], env={**env, **typed}, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert "" == done.stderr
    return [line for line in done.stdout.splitlines() if line]


def test_completion_knows_the_commands(env):
    assert ["plain,init", "plain,inbox"] == offered(env, "bash", "eventctl", "in")


def test_completion_offers_what_stands_in_the_workspace_with_words_that_tell_it(face):
    face("emit", "job.failed", "--source", "cron", "--description", "disk\nfull", "--payload", '{"job": "backup"}')
    face("emit", "system.burst.detected", "--source", "me", "--id", "2")
    face("run", "--until-idle")
    here = ("eventctl", "-w", str(face.root))
    assert ["plain", "n1", "disk␤full"] == offered(face.env, "zsh", *here, "inbox", "claim", "n")
    assert ["plain", "e1", "job.failed disk␤full"] == offered(face.env, "zsh", *here, "log", "show", "e1")
    assert ["plain,n1", "plain,e2", "plain,e1"] == offered(face.env, "bash", *here, "why", "")
    assert ["plain,e2"] == offered(face.env, "bash", *here, "quarantine", "release", "")


@pytest.mark.parametrize("verb", ["install", "remove", "rollback", "trust", "new"])
def test_places_are_offered_where_a_cartridge_is_put(face, verb):
    face("domain", "add", "shop")
    here = ("eventctl", "-w", str(face.root), "cartridge", verb, "x")
    assert ["plain,shop"] == offered(face.env, "bash", *here, "--domain", "")
    assert ["plain,ada"] == offered(face.env, "bash", *here, "--member", "")


def test_where_nothing_can_be_read_completion_is_silent(env, tmp_path):
    assert [] == offered(env, "bash", "eventctl", "-w", str(tmp_path / "nowhere"), "why", "")
