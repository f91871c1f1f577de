"""The filter: it gives what the flags of the command line give, while it is typed, and mistakes leave the list as it is."""

from __future__ import annotations

import asyncio

import pytest

from eventctl import inboxquery
from eventctl.tui.inbox.filterbar import FilterBar, Line, Words
from tests.tui.inboxkit import emit, event, filtered, keys, room, rows, titles
from tests.tui.kit import NARROW, USUAL, WIDE, play, press, settled, shown, typed

ASKED = {
    "level:workflow": ["--level", "workflow"],
    "type:job.* type:deployment.*": ["--type", "job.*", "--type", "deployment.*"],
    "--type deployment.* --order age": ["--type", "deployment.*", "--order", "age"],
    "state:claimed state:resolved": ["--state", "claimed", "--state", "resolved"],
    "unseen": ["--unseen"],
    "resolved": ["--resolved"],
    "archived snoozed": ["--archived", "--snoozed"],
    "silenced": ["--silenced"],
    "others": ["--others"],
    "since:3h": ["--since", "3h"],
    "until:3h order:oldest": ["--until", "3h", "--order", "oldest"],
    "entity:eventctl://service/api": ["--entity", "eventctl://service/api"],
    "timeout api": ["--text", "timeout", "--text", "api"],
    '"exit code"': ["--text", "exit code"],
    "where payload.exit_code > 2": ["--where", "payload.exit_code > 2"],
    'type:job.* where payload.job == "sweep"': ["--type", "job.*", "--where", 'payload.job == "sweep"'],
    "order:entity": ["--order", "entity"],
    "nothing-has-this-word": ["--text", "nothing-has-this-word"],
}


@pytest.fixture
def desk(furnished):
    made = furnished
    for words in (("resolve", "n1"), ("archive", "n2"), ("snooze", "n3"), ("seen", "n4"), ("claim", "n5")):
        made("inbox", *words)
    return made


def test_a_filter_gives_what_the_flags_give(desk):
    async def script(pilot, app):
        found = {}
        for words in ASKED:
            await press(pilot, "slash")
            app.screen.query_one(Line).value = words
            await press(pilot, "enter")
            assert room(app).rows.has_focus
            found[words] = keys(app)
        return found

    assert {words: titles(desk, *flags) for words, flags in ASKED.items()} == play(desk, script)


def test_what_is_typed_is_read_without_enter(desk):
    async def script(pilot, app):
        await press(pilot, "slash")
        await typed(pilot, "type:deployment.*")
        while ["n5"] != keys(app):
            await pilot.pause(0.01)
        assert app.screen.query_one(Line).has_focus

    play(desk, script)


def test_a_mistake_is_said_in_the_bar_and_what_was_found_stays(desk):
    async def script(pilot, app):
        await filtered(pilot, "type:job.*")
        good = keys(app)
        await press(pilot, "slash")
        for wrong, why in ((" level:none", "no level"), (" tpye:x", "did you mean type:"), (" since:then", "neither an age")):
            app.screen.query_one(Line).value = f"type:job.*{wrong}"
            await press(pilot, "enter")
            assert why in shown(app)
            assert good == keys(app)
            assert app.screen.query_one(Line).has_focus
        assert [] == list(app._notifications)

    play(desk, script, size=WIDE)


@pytest.mark.parametrize("size", [NARROW, USUAL])
def test_a_wrong_condition_is_said_in_the_bar_too(desk, size):
    async def script(pilot, app):
        good = keys(app)
        await filtered(pilot, "where payload.x ===")
        assert "✗" in shown(app)
        assert good == keys(app)
        assert "" == room(app).words

    play(desk, script, size=size)


def test_escape_leaves_the_filter_off(desk):
    async def script(pilot, app):
        everything = keys(app)
        await filtered(pilot, "type:deployment.*")
        assert ["n5"] == keys(app)
        assert "/ type:deployment.*" in shown(app)
        await press(pilot, "slash", "escape")
        assert everything == keys(app)
        assert room(app).rows.has_focus
        assert not app.screen.query_one(FilterBar).has_class("-open")
        await filtered(pilot, "type:deployment.*")
        await press(pilot, "space", "escape")
        assert [] == list(room(app).rows.marks)
        assert ["n5"] == keys(app)
        await press(pilot, "escape")
        assert everything == keys(app)

    play(desk, script)


def test_keys_of_the_list_are_letters_while_a_filter_is_typed(desk):
    async def script(pilot, app):
        await press(pilot, "slash")
        await typed(pilot, "secure q 1")
        assert "secure q 1" == app.screen.query_one(Line).value
        assert app.is_running

    play(desk, script)
    assert ["n4"] == [row["short"] for row in rows(desk) if row["seen"]]


def test_up_brings_back_the_filters_of_before(desk):
    async def script(pilot, app):
        await filtered(pilot, "api")
        await press(pilot, "escape")
        await filtered(pilot, "unseen")
        await press(pilot, "slash", "up")
        line = app.screen.query_one(Line)
        assert "unseen" == line.value
        await press(pilot, "up")
        assert "api" == line.value
        await press(pilot, "up", "down", "down")
        assert "" == line.value
        assert ["unseen", "api"] == room(app).memory()["recent"]

    play(desk, script)


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("lev", "level:"),
        ("level:w", "level:workflow"),
        ("api state:in", "api state:in_progress"),
        ("uns", "unseen"),
        ("wh", "where "),
        ("type:dep", "type:deployment.failed"),
        ("", None),
        ("zzz", None),
        ("level:workflow", None),
        ('where payload.x == "le', None),
        ("text:'le", None),
    ],
)
def test_words_and_their_values_are_completed(line, completed):
    words = Words(lambda: {"type": ["deployment.failed", "job.failed"]})
    assert completed == asyncio.run(words.get_suggestion(line))


def test_tab_takes_what_is_suggested(desk):
    async def script(pilot, app):
        await press(pilot, "slash")
        await typed(pilot, "type:dep")
        line = app.screen.query_one(Line)
        while not line._suggestion:
            await pilot.pause(0.01)
        await press(pilot, "tab")
        assert "type:deployment.failed" == line.value
        assert line.has_focus

    play(desk, script)


def test_a_condition_looks_further_and_says_how_far(face, monkeypatch):
    monkeypatch.setattr(inboxquery, "LOOK_MAX", 100)
    monkeypatch.setitem(inboxquery.page.__kwdefaults__, "look", 100)
    emit(face, *(event(face, "job.failed", f"job-{n}", {"job": f"job{n:03}", "exit_code": n}) for n in range(450)))

    async def script(pilot, app):
        await filtered(pilot, "where payload.exit_code >= 440")
        assert 10 == len(keys(app))
        assert "10 found, looked at 451" in shown(app)  # there is one about the burst, too
        face("inbox", "seen", keys(app)[0])
        app.reread()
        await settled(pilot)
        assert "it has changed since: ctrl+r reads anew" in shown(app)
        await press(pilot, "ctrl+r")
        assert "it has changed since" not in shown(app)

    play(face, script)


def test_a_filter_with_signs_of_strangers_is_letters(desk):
    async def script(pilot, app):
        await press(pilot, "slash")
        app.screen.query_one(Line).value = "[b]x[/b] [@click=app.quit]"
        await press(pilot, "enter")
        assert [] == keys(app)
        assert "Nothing here fits. Escape leaves the filter off." in shown(app)
        assert "[b]x[/b]" in shown(app)

    play(desk, script)


def test_a_filter_holds_while_events_come(desk):
    async def script(pilot, app):
        await filtered(pilot, "type:deployment.*")
        emit(
            desk,
            event(desk, "deployment.failed", "dep-9", {"slug": "web", "sha": "a", "reason": "x"}),
            event(desk, "job.failed", "j9", {"job": "x"}),
        )
        app.reread()
        await settled(pilot)
        assert ["n5", "n7"] == sorted(keys(app))

    play(desk, script)


def test_a_verb_right_after_enter_moves_nothing_of_the_list_before(desk):
    async def hurried(pilot, app):
        before = await app.desk.read(lambda store: store.tail("log"))
        for key in ("slash", "d", "e", "enter", "e"):
            app.simulate_key(key)
        await settled(pilot)
        return await app.desk.read(lambda store: store.tail("log")) - before

    assert 0 == play(desk, hurried)


def test_a_mistake_has_the_room_that_the_filter_leaves(desk):
    async def script(pilot, app):
        await press(pilot, "slash")
        await typed(pilot, "level:bogus")
        await press(pilot, "enter")
        assert "✗ level: 'bogus' is no level: one of infrastructure" in shown(app)
        await press(pilot, "escape", "slash")
        await typed(pilot, "deploy")
        assert "deploy" == app.screen.query_one(Line).value
        assert app.screen.query_one(Line).size.width > NARROW[0] // 2

    play(desk, script, size=NARROW)
