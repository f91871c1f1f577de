"""What is held, dead or refused: chosen, understood, let go on, tried again, dropped, alone and by the hundred, as the command line does."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace

import pytest

from eventctl.tui.detail.recordview import RecordView
from eventctl.tui.held import bulk
from eventctl.tui.held import lists as heldlists
from eventctl.tui.held.screen import HeldRoom
from tests.cli.test_quarantine import held
from tests.tui.kit import NARROW, USUAL, WAIT_S, WIDE, play, press, settled, shown, typed

__all__ = ["held"]

HOSTILE = "\x1b]0;owned\x07[@click=app.quit]x[/] \u202e\U000e0041[bold]"


def answer(face, *words, code=0, **env):
    return json.loads(face(*words, "--json", code=code, **env).stdout)


def shorts(face, noun="quarantine"):
    return [item["short"] for item in answer(face, noun, "list", "-n", "1000")["items"]]


def last(face):
    """The newest record, without the id that no other has."""
    record = answer(face, "log", "show", "-n", "1")["items"][0]
    assert "move" == record["kind"]
    return {name: value for name, value in record.items() if name != "id"}


def outcome(face):
    """What became of everything once it is worked off."""
    face("run", "--until-idle")
    facts = answer(face, "status")
    return shorts(face), shorts(face, "dead-letter"), facts["pipelines"], facts["unaccounted"]


def twin(face):
    root = face.root.parent / "twin"
    shutil.copytree(face.root, root, ignore=shutil.ignore_patterns("*.sock", "run.json"))
    return replace(face, root=root)


async def to(pilot, tab="quarantine") -> HeldRoom:
    await press(pilot, "5")
    room = pilot.app.screen
    assert isinstance(room, HeldRoom)
    while room.tab != tab:
        await press(pilot, "right_square_bracket")
    return room


def told(app):
    return [note.message for note in app._notifications]


async def until(pilot, condition):
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await pilot.pause()


def test_what_is_held_is_listed_with_its_reason_in_words_and_shown_whole(held):
    async def script(pilot, app):
        room = await to(pilot)
        text = shown(app)
        for said in (
            "● Quarantine 6", "○ Dead letters 0", "○ Rejects 0", "e6", "big", "it is larger than events of its type are",
            "[trust.anomalies] says what is done with what is too large", "6 listed", "no runner works here", "log",
        ):  # fmt: skip
            assert said in text
        room.rows.point("e1 system")
        await settled(pilot)
        text = shown(app)
        assert "a rule of [trust] names its source (rule: cron-*)" in text
        assert '{ source = "cron-a", channel = "cli", verdict = "accept" }' in text

    play(held, script, size=WIDE)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("source:cron-a", ["e3", "e1"]), ("reason:oversized*", ["e6", "e5"]), ("source:cron-* reason:oversized*", []),
        ("CRON-B", ["e2"]), ("pipeline:system job.begun big", ["e6", "e5"]), ("pipeline:none", []), ("source:cron-[[]x]", ["e4"]),
    ],
)  # fmt: skip
def test_a_line_of_words_chooses_as_the_options_of_the_command_line_do(held, words, expected):
    async def script(pilot, app):
        room = await to(pilot)
        await press(pilot, "slash")
        room.line.value = words
        await press(pilot, "enter")
        assert expected == [key.partition(" ")[0] for key in room._items]
        assert room.rows.has_focus
        assert {"tab": "quarantine", "filter": words} == room.memory()
        await press(pilot, "slash", "escape")
        assert 6 == room.rows.loaded

    play(held, script)


@pytest.mark.parametrize(("key", "verb"), [("l", "release"), ("x", "discard")])
def test_one_that_is_held_is_decided_as_on_the_command_line(held, key, verb):
    other = twin(held)

    async def script(pilot, app):
        room = await to(pilot)
        await press(pilot, "down", key)
        assert f"→ {verb}" in shown(app)
        assert any(f"e5: asked system to {verb} it" in each and "run --until-idle" in each for each in told(app))
        assert "e5 system" == room.rows.key

    play(held, script)
    other("quarantine", verb, "e5")
    assert last(other) == last(held)
    assert outcome(other) == outcome(held)
    assert "e5" not in shorts(held)


def test_bulk_twice_is_said_and_asks_once(held):
    async def script(pilot, app):
        await to(pilot)
        await pilot.press("l", "l")
        await settled(pilot)
        await press(pilot, "x")
        assert 2 == sum("e6 is asked for already: quarantine.release" in each for each in told(app))

    play(held, script)
    assert 1 == answer(held, "status")["pipelines"]["system"]["lag"]


def test_what_others_asked_shows_and_is_not_asked_again(held):
    held("quarantine", "discard", "e6")

    async def script(pilot, app):
        await to(pilot)
        assert "→ discard" in shown(app)
        await press(pilot, "l")
        assert any("e6 is asked for already: quarantine.discard" in each for each in told(app))

    play(held, script)


def test_the_row_under_the_cursor_stays_until_the_cursor_leaves_it(held):
    async def script(pilot, app):
        room = await to(pilot)
        await press(pilot, "down", "x")
        held("run", "--until-idle")
        app.reread()
        await settled(pilot)
        assert "e5 system" == room.rows.key
        assert "✓ decided" in shown(app)
        await press(pilot, "x")
        assert any("e5 is dropped in system, not quarantined" in each for each in told(app))
        await press(pilot, "down")
        app.reread()
        await settled(pilot)
        assert "e5 system" not in room._items
        assert "e4 system" == room.rows.key

    play(held, script)
    assert ["e6", "e4", "e3", "e2", "e1"] == shorts(held)


def test_a_marked_row_that_somebody_takes_out_stays_so_that_no_key_meets_another(held):
    async def script(pilot, app):
        room = await to(pilot)
        await press(pilot, "space")
        held("quarantine", "discard", "e6")
        held("run", "--until-idle")
        app.reread()
        await settled(pilot)
        await press(pilot, "down")
        assert ["e6 system"] == list(room.rows.marks)
        await press(pilot, "l")

    play(held, script)
    held("run", "--until-idle")
    assert ["e5", "e4", "e3", "e2", "e1"] == shorts(held)


def test_several_are_decided_after_they_were_named_and_marks_survive_what_comes(held):
    other = twin(held)

    async def script(pilot, app):
        room = await to(pilot)
        await press(pilot, "space", "down", "space")
        held("emit", "job.begun", "--source", "cron-new", "--id", "late")
        held("run", "--until-idle")
        app.reread()
        await settled(pilot)
        assert ["e6 system", "e4 system"] == list(room.rows.marks)
        await press(pilot, "l")
        text = shown(app)
        for said in ("Release 2?", "e6, e4", "2 in system", "cannot be taken back"):
            assert said in text
        await press(pilot, "escape")
        assert ["e6 system", "e4 system"] == list(room.rows.marks)
        await press(pilot, "l", "enter")
        assert {} == room.rows.marks

    play(held, script)
    other("emit", "job.begun", "--source", "cron-new", "--id", "late")
    other("run", "--until-idle")
    other("quarantine", "release", "e6", "e4")
    assert outcome(other)[0] == outcome(held)[0] == ["e7", "e5", "e3", "e2", "e1"]


def test_everything_that_the_filter_chooses_is_decided_at_once(held):
    other = twin(held)

    async def script(pilot, app):
        room = await to(pilot)
        await press(pilot, "slash")
        room.line.value = "source:cron-*"
        await press(pilot, "enter", "A")
        text = shown(app)
        for said in ("All 4 in quarantine", "what `source:cron-*` chooses", "4 in system", "● release", "cannot be taken back"):
            assert said in text
        await press(pilot, "down", "enter")

    play(held, script)
    other("quarantine", "discard", "--all", "--source", "cron-*")
    assert outcome(other) == outcome(held)
    assert ["e6", "e5"] == shorts(held)


@pytest.fixture
def many(face):
    """Three hundred held events."""
    (face.root / "eventctl.toml").write_text('[trust]\nrules = [{ source = "cron-*", verdict = "quarantine" }]\n')
    lines = [json.dumps({"event": "job.begun", "source": f"cron-{n}", "id": f"c{n}"}) for n in range(300)]
    face("emit", "--ndjson", "-", given="\n".join(lines))
    face("run", "--until-idle")
    return face


def test_three_hundred_are_asked_about_and_none_is_lost(many):
    async def script(pilot, app):
        room = await to(pilot)
        await press(pilot, "G", "G", "asterisk")
        assert 300 == len(room.rows.marks)
        await press(pilot, "l")
        assert "300 in system" in shown(app)
        await press(pilot, "enter")
        await until(pilot, lambda: room._bulk is None)
        await settled(pilot)
        assert any("asked to release 300" in each for each in told(app))

    play(many, script)
    held, dead, _, unaccounted = outcome(many)
    assert ([], [], 0) == (held, dead, unaccounted)


def test_escape_stops_between_two_batches_and_what_was_asked_is_asked(many, monkeypatch):
    monkeypatch.setattr(bulk, "BATCH", 1)

    async def script(pilot, app):
        room = await to(pilot)
        await press(pilot, "A")
        await pilot.press("enter")
        await until(pilot, lambda: room._bulk is not None and room._bulk.done > 0)
        assert "escape stops" in shown(app)
        await pilot.press("escape")
        await settled(pilot)
        assert room._bulk is None
        assert any("stay as they are" in each for each in told(app))

    play(many, script)
    asked = answer(many, "status")["pipelines"]["system"]["lag"]
    assert 0 < asked < 300
    assert 300 - asked == len(outcome(many)[0])


@pytest.mark.parametrize(("key", "verb"), [("r", "retry"), ("x", "discard")])
def test_a_dead_letter_is_decided_as_on_the_command_line(busy, key, verb):
    other = twin(busy)

    async def script(pilot, app):
        room = await to(pilot, "dead")
        text = shown(app)
        for said in (
            "● Dead letters 2",
            "KeyError: 'no figure for reindex'",
            "domain:ops/measure",
            "mend the cartridge",
            "dead",
        ):
            assert said in text
        await press(pilot, key)
        assert f"→ {verb}" in shown(app)
        await press(pilot, key)
        assert any(f"e22 is asked for already: dead.{verb}" in each for each in told(app))
        assert "e22 domain:ops" == room.rows.key

    play(busy, script, size=WIDE)
    other("dead-letter", verb, "e22")
    assert last(other) == last(busy)
    if verb == "discard":  # a retry fails again and waits for a clock that stands still
        assert outcome(other) == outcome(busy)
        assert ["e21"] == shorts(busy, "dead-letter")


def test_rejects_are_shown_raw_and_nothing_is_done_to_them(busy):
    async def script(pilot, app):
        await to(pilot, "rejects")
        text = shown(app)
        for said in ("● Rejects 3", "event must be dotted lower-case parts", "mend it where it comes from"):
            assert said in text
        await press(pilot, "l", "r", "x", "A")
        assert isinstance(app.screen, HeldRoom)
        await press(pilot, "y")
        assert any("it never became an event" in each for each in told(app))
        await press(pilot, "slash")
        await typed(pilot, "json")
        await press(pilot, "enter")
        assert ["r1"] == list(app.screen._rejects)

    play(busy, script, size=WIDE)


def test_why_is_one_key_away_and_tabs_go_round_by_key_and_by_mouse(held):
    async def script(pilot, app):
        room = await to(pilot)
        await press(pilot, "y")
        assert isinstance(app.screen, RecordView)
        await press(pilot, "escape", "left_square_bracket")
        assert "rejects" == room.tab
        await press(pilot, "right_square_bracket", "right_square_bracket")
        assert "dead" == room.tab
        await pilot.click("Chip", offset=(3, 0))
        await settled(pilot)
        assert "quarantine" == room.tab
        assert 6 == room.rows.loaded
        room.jump("e2")
        await settled(pilot)
        assert "e2 system" == room.rows.key

    play(held, script)


def test_an_agent_sees_what_is_held_and_is_told_that_it_may_not_decide(held):
    async def script(pilot, app):
        await to(pilot)
        await press(pilot, "l")
        await press(pilot, "asterisk", "x", "enter")
        assert 2 == sum("helper may not do that: quarantine." in each for each in told(app))

    play(held, script, EVENTCTL_AGENT="helper")
    assert 6 == len(outcome(held)[0])


def test_a_narrow_screen_shows_the_list_or_what_the_cursor_stands_on(held):
    async def script(pilot, app):
        await to(pilot)
        assert "Why it is held" not in shown(app)
        await press(pilot, "enter")
        assert "Why it is held" in shown(app)
        await press(pilot, "l", "escape")
        assert "→ release" in shown(app)

    play(held, script, size=NARROW)


def test_what_strangers_write_is_letters(face):
    (face.root / "eventctl.toml").write_text('[trust]\nrules = [{ source = "*", verdict = "quarantine" }]\n')
    event = {"event": "job.begun", "source": HOSTILE, "id": "h", "payload": {HOSTILE: [HOSTILE]}, "description": HOSTILE}
    face("emit", "--ndjson", "-", given=json.dumps(event))
    face("emit", "--ndjson", "-", given=HOSTILE, code=1)
    face("run", "--until-idle")

    async def script(pilot, app):
        for tab in ("quarantine", "rejects"):
            await to(pilot, tab)
            await press(pilot, "enter")
            text = shown(app)
            assert "[@click=app.quit]x[/]" in text
            assert not set("\x1b\x07\u202e\U000e0041") & set(text)
            await press(pilot, "escape")

    for size in (NARROW, USUAL, WIDE):
        play(face, script, size=size)


def test_memory_of_any_shape_is_survived():
    room = HeldRoom()
    for memory in ({}, {"tab": 3, "filter": []}, {"tab": "none"}, {"tab": ["dead"], "filter": None}):
        room.recall(memory)
        assert {"tab": "quarantine", "filter": ""} == room.memory()
    room.recall({"tab": "dead", "filter": "x"})
    assert {"tab": "dead", "filter": "x"} == room.memory()


def test_only_the_three_names_are_names_and_everything_else_is_a_word():
    want = heldlists.choice("source:a:* http://x Reason:y reason:r* pipeline:p source:b")
    assert ("b", "r*", "p", ("http://x", "reason:y")) == (*want.wanted, want.pipeline, want.words)
