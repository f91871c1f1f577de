"""Text from strangers reaches no screen as it came: 10,000 strings in, and whatever is printed about them is letters and line ends.

What counts as hostile is decided here by Unicode's categories, not by the list that `safe_text` uses.
"""

from __future__ import annotations

import io
import json
import random
import unicodedata
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace

import pytest
from click.testing import CliRunner

from eventctl.cli import cli
from eventctl.cli.render import Screen
from eventctl.cli.session import Session
from eventctl.cli.why import show
from eventctl.cli.wiring import catalog_of
from eventctl.declared import Declared
from eventctl.why import of_notification, of_record
from eventctl.whyspoke import Rules

COUNT = 10_000
PIECES = [
    *(chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))),
    "\x1b[31m", "\x1b[2J", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\", "\x9b31m", "\x90q\x9c", "\x1bc", "\r\n", "\n\n", "\t",
    "\u202e", "\u2066", "\u200b", "\u200d", "\u2028", "\u2029", "\ufeff", "\u00ad", "\u061c", "\U000e0041", "\ufff9", "\U0001d173",
    "[red]x[/red]", "[/]", "{0.__class__}", "{description}", "%s%n", "$(reboot)", "`id`", "../../etc/passwd", "';--", "\\x1b[31m",
    "e\u0301\u0301\u0301", "漢字", "👩‍👩‍👧", "é", "ordinary words", "x" * 300, '"', "\\", "<script>",
]  # fmt: skip


def hostile(seed: int, count: int) -> list[str]:
    """Strings of a few pieces each; every control character and every pair of pieces turns up many times."""
    choose = random.Random(seed)
    return ["".join(choose.choices(PIECES, k=choose.randint(1, 6))) for _ in range(count)]


def unsafe(text: str) -> set[str]:
    """What a terminal might obey, or would not show."""
    return {letter for letter in text if letter != "\n" and unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


def clean(printed: bytes | str) -> None:
    assert set() == unsafe(printed.decode() if isinstance(printed, bytes) else printed)


def envelope(number: int, text: str) -> dict:
    """An event with the text wherever an event takes text; every third opens a notification with it in the title."""
    return {
        "event": ("job.failed", "notice.raised", "stranger.spoke")[number % 3],
        "source": text[:200] or "s",
        "id": f"{number} {text}"[:256],
        "entity": text[:512] or None,
        "description": text,
        "payload": {"job": text, "run": text, "key": f"{number}{text}", "title": text, "nested": [{"deep": text}]},
        text or "x": text,
    }


@pytest.fixture(scope="module")
def strings():
    return hostile(7, COUNT)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return Session(workspace=str(tmp_path_factory.mktemp("hostile")), member="ada", env={})


@pytest.fixture(scope="module")
def ask(session):
    """Run a command, hold everything it printed against the rule, and give it back."""

    def run(*words: str, given: str | None = None, codes: tuple[int, ...] = (0,)) -> str:
        result = CliRunner(catch_exceptions=False).invoke(cli, list(words), input=given, obj=replace(session))
        clean(result.stdout_bytes)
        clean(result.stderr_bytes)
        assert result.exit_code in codes, result.output
        return result.stdout

    return run


@pytest.fixture(scope="module")
def workspace(ask, strings):
    """All of it emitted and worked on."""
    ask("init")
    lines = [json.dumps(envelope(number, text)) for number, text in enumerate(strings)]
    raw = [text for text in strings[:500] if "\n" not in text]
    ask("emit", "--ndjson", "-", given="\n".join([*lines, *raw]), codes=(1,))
    ask("run", "--until-idle")


def test_the_rule_catches_a_printer_that_prints_what_it_is_given(strings):
    caught = 0
    for text in strings:
        printed = io.StringIO()
        with redirect_stdout(printed):
            print(text)
        if unsafe(printed.getvalue()):
            caught += 1
            with pytest.raises(AssertionError):
                clean(printed.getvalue())
    assert caught > COUNT / 2
    assert {chr(code) for code in (*range(10), *range(11, 32), *range(0x7F, 0xA0))} <= unsafe("".join(strings))


def test_everything_that_may_go_in_went_in(workspace, ask):
    counts = json.loads(ask("status", "--json"))
    assert counts["log"]["records"] > COUNT * 0.9
    assert counts["notifications"]["open"] > COUNT / 5
    assert 0 == counts["unaccounted"]


@pytest.mark.parametrize(
    "words",
    [
        ["log", "show", "-n", str(COUNT)],
        ["log", "show", "-n", str(COUNT), "--json"],
        ["inbox", "list", "-n", "1000"],
        ["inbox", "list", "-n", "1000", "--json"],
        ["rejects", "list", "-n", "1000"],
        ["rejects", "list", "-n", "1000", "--json"],
        ["events", "list", "--seen"],
        ["quarantine", "list"],
        ["dead-letter", "list"],
        ["log", "replay", "e1", "e500"],
    ],
    ids=" ".join,
)
def test_a_list_of_it_is_clean(workspace, ask, words):
    assert ask(*words) or words[0] in ("quarantine", "dead-letter")


def test_each_one_explained_is_clean(workspace, session):
    declared = Declared.of(catalog_of(session))
    out, err = io.StringIO(), io.StringIO()
    with session.reading() as store, redirect_stdout(out), redirect_stderr(err):
        screen, rules = Screen(session), Rules(store.units, lambda: catalog_of(session))
        for seq in range(1, store.tail("log") + 1):
            trace = store.views.trace(seq)
            show(screen, of_record(store.views, trace, declared, rules, now=session.now(), running=False))
        for item in store.views.inbox(_everything(), limit=1_000).items:
            show(screen, of_notification(store.views, item.notification, declared, rules, now=session.now()))
    clean(out.getvalue())
    clean(err.getvalue())
    assert out.getvalue().count("Where it came from") > COUNT * 0.9


def _everything():
    from eventctl.views import InboxFilter

    return InboxFilter(archived=True)


def test_single_screens_are_clean(workspace, ask):
    for number in range(1, 400, 7):
        ask("log", "show", f"e{number}")
        ask("inbox", "show", f"n{number}")
        ask("rejects", "show", f"r{number}", codes=(0, 3))
    for number in range(1, 60, 3):
        ask("why", f"n{number}")
        ask("why", f"e{number}", "--json")


def test_hostile_words_on_the_command_line_are_answered_clean(workspace, ask, strings):
    codes = (0, 1, 2, 3, 4, 69, 78)
    for text in strings[:150]:
        ask("why", "--", text, codes=codes)
        ask("inbox", "show", "--", text, codes=codes)
        ask("emit", text, "--source", text, "--payload", text, codes=codes)
        ask("emit", "a.b", "--source", text or "s", "--description", text, "--id", text or "i", codes=codes)
        ask("inbox", "list", "--text", text, "--entity", text, "--after", text, codes=codes)
        ask("log", "show", "--type", text, "--since", text, codes=codes)
        ask(text.replace("-", "x") or "x", codes=codes)
        ask("-w", text.replace("\0", "") or "x", "status", codes=(*codes, 74))


def test_moves_say_what_they_moved_clean(workspace, ask, strings):
    ask("inbox", "claim", "n1", "n2")
    for number, text in enumerate(strings[:60], start=3):
        ask("inbox", "resolve", f"n{number}", "-m", text, "--agent", text.strip() or "x", codes=(0, 1, 2, 5))
        ask("why", f"n{number}")
