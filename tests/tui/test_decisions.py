"""The decisions: who may decide sees what waits first, decides it once, and comes to the same as the command line."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace

import pytest

from eventctl.times import HOUR, MINUTE, SECOND
from eventctl.tui.decisions.screen import DecisionsRoom
from eventctl.tui.dialogs import Form
from tests.cli.test_decisions import MEMBERS, RULE, TYPES
from tests.tui.kit import NARROW, WIDE, play, press, settled, shown, typed

HOSTILE = "\x1b]0;owned\x07[@click=app.quit]x[/] \u202e\U000e0041[bold]"


def answer(face, *words, code=0, **env):
    return json.loads(face(*words, "--json", code=code, **env).stdout)


def states(face):
    return {item["short"]: item["state"] for item in answer(face, "decisions", "list", "--all", "-n", "1000")["items"]}


@pytest.fixture
def desk(face):
    """A domain whose rule asks a person about every failure."""
    folder = face.root / "company/domains/ops"
    (folder / "cartridges").mkdir(parents=True)
    (folder / "domain.toml").write_text('summary = "Operations."\n')
    (folder / "event_types.toml").write_text(TYPES)
    (folder / "cartridges/rollback.toml").write_text(RULE)
    (face.root / "eventctl.toml").write_text(f'[autonomy]\ndefault = "L1"\n{MEMBERS}')
    face.now = time.time_ns() // 1_000
    face("run", "--until-idle")
    return face


def ask(face, *slugs):
    for slug in slugs:
        face("emit", "domain.ops.failed", "--source", "ci", "--payload", json.dumps({"slug": slug}))
    face("run", "--until-idle")
    return face


def level(face, name):
    """Let the rule act at another level from now on."""
    text = (face.root / "eventctl.toml").read_text()
    rest = text.partition("[members.ada]")[2]
    (face.root / "eventctl.toml").write_text(f'[autonomy]\ndefault = "{name}"\nafter = 0\n[members.ada]{rest}')


@pytest.fixture
def asked(desk):
    return ask(desk, "api", "web")


@pytest.fixture
def acted(desk):
    """One that L2 has just let act, with an undo, and one that waits out its window without one."""
    level(desk, "L2")
    ask(desk, "api")
    rule = desk.root / "company/domains/ops/cartridges/rollback.toml"
    rule.write_text(rule.read_text().partition("undo ")[0])
    return ask(desk, "web")


def twin(face):
    """A copy of the workspace, at the same time."""
    root = face.root.parent / "twin"
    shutil.copytree(face.root, root, ignore=shutil.ignore_patterns("*.sock", "run.json"))
    return replace(face, root=root)


def plainly(face, number):
    """A decision without what two runs of one move cannot share."""
    shown = answer(face, "decisions", "show", number)
    return {name: value for name, value in shown.items() if name not in ("about", "answer")}


async def to(pilot, number=None) -> DecisionsRoom:
    await press(pilot, "2")
    room = pilot.app.screen
    assert isinstance(room, DecisionsRoom)
    if number is not None:
        room.jump(f"d{number}")
        await settled(pilot)
    return room


def groups(room):
    found: dict[str, list[str]] = {}
    for key, group in room.rows.places:
        found.setdefault(group, []).append(key)
    return found


def test_what_waits_for_me_comes_first_and_is_shown_whole(asked):
    async def script(pilot, app):
        asked.now += MINUTE
        room = await to(pilot)
        assert {"Waits for you": ["d1", "d2"]} == groups(room)
        text = shown(app)
        for said in (
            "◆ waits for you", "23:59:", "Roll api back", "run  sh -c 'echo rolled back $1'", "echo forward again",
            "eventctl.toml: autonomy.default", "0 times by a person", "nothing was decided in 30 days", "2 wait for you",
        ):  # fmt: skip
            assert said in text

    play(asked, script, size=WIDE)


def test_an_approval_by_a_key_is_the_approval_of_the_command_line(asked):
    other = twin(asked)

    async def script(pilot, app):
        room = await to(pilot, 1)
        await press(pilot, "a")
        assert "d1" == room.rows.key, "the row stays under the cursor"
        assert "◐ on its way" in shown(app)

    play(asked, script)
    other("decisions", "approve", "d1")
    assert plainly(other, "d1") == plainly(asked, "d1")
    for face in (asked, other):
        face("run", "--until-idle")
    assert {"d1": "done", "d2": "held"} == states(asked) == states(other)


def test_a_second_press_says_that_it_is_decided_and_decides_nothing_else(asked):
    async def script(pilot, app):
        await to(pilot, 1)
        await pilot.press("a", "a")
        await settled(pilot)
        await press(pilot, "a")
        assert 2 == sum("d1 is on its way" in note.message for note in app._notifications)

    play(asked, script)
    assert {"d1": "approved", "d2": "held"} == states(asked)


def test_a_no_asks_for_its_reason_and_says_it_as_the_command_line_does(asked):
    other = twin(asked)

    async def script(pilot, app):
        await to(pilot, 2)
        await press(pilot, "d")
        assert isinstance(app.screen, Form)
        await typed(pilot, "not now")
        await press(pilot, "enter")

    play(asked, script)
    other("decisions", "deny", "d2", "-m", "not now")
    assert plainly(other, "d2") == plainly(asked, "d2")
    assert "denied" == states(asked)["d2"]


def test_a_form_that_is_left_decides_nothing(asked):
    async def script(pilot, app):
        await to(pilot, 1)
        await press(pilot, "d", "escape")
        await press(pilot, "asterisk", "a", "escape")

    play(asked, script)
    assert {"d1": "held", "d2": "held"} == states(asked)


def test_several_are_decided_after_each_was_named(asked):
    async def script(pilot, app):
        room = await to(pilot, 1)
        await press(pilot, "space", "space", "a")
        text = shown(app)
        assert "Approve 2 decisions?" in text
        assert "d1  Roll api back" in text
        assert "d2  Roll web back" in text
        assert "cannot be taken back" in text
        await press(pilot, "enter")
        assert {} == room.rows.marks

    play(asked, script)
    assert {"d1": "approved", "d2": "approved"} == states(asked)


def test_what_cannot_be_decided_is_left_out_and_said(asked):
    asked("decisions", "approve", "d1")

    async def script(pilot, app):
        room = await to(pilot, 1)
        room.jump("d2")
        await settled(pilot)
        await press(pilot, "asterisk", "d")
        text = shown(app)
        assert "Deny d2?" in text
        assert "left out: d1 is on its way" in " ".join(text.split())
        await press(pilot, "enter")

    play(asked, script)
    assert {"d1": "approved", "d2": "denied"} == states(asked)


def test_what_people_made_of_the_like_is_shown_with_how_it_ended(asked):
    asked("decisions", "approve", "d1")
    asked("run", "--until-idle")

    async def script(pilot, app):
        await to(pilot, 2)
        text = " ".join(shown(app).replace("│", " ").split())
        assert "1 time by a person" in text
        assert "its cartridge: 1 of 1 approved in 30 days" in text
        assert "d1 Roll api back: done, by ada" in text

    play(asked, script, size=WIDE)


def test_what_acted_stands_out_with_its_time_and_is_taken_back(acted):
    other = twin(acted)

    async def script(pilot, app):
        room = await to(pilot)
        assert {"Acts, or has acted: can be taken back": ["d1", "d2"]} == groups(room)
        text = shown(app)
        assert "↶ done, undo?" in text
        assert "◷ acts by itself" in text
        assert "2 can be taken back" in text
        room.jump("d1")
        await settled(pilot)
        await press(pilot, "z", "down", "z")

    play(acted, script)
    other("decisions", "undo", "d1", "d2")
    for number in ("d1", "d2"):
        assert plainly(other, number) == plainly(acted, number)
    assert {"d1": "undoing", "d2": "undone"} == states(acted)


def test_time_runs_down_without_reading_and_what_is_over_says_so(asked):
    async def script(pilot, app):
        room = await to(pilot, 1)
        due = room._by[1].due
        asked.now = due - 2 * MINUTE
        room.tick()
        await pilot.pause()
        assert "2:00" in shown(app)
        asked.now += 30 * SECOND
        room.tick()
        await pilot.pause()
        assert "1:30" in shown(app)
        asked.now = due + HOUR
        room.tick()
        await pilot.pause()
        assert "⌛ expired" in shown(app)
        assert "d1" == room.rows.key
        await press(pilot, "a")
        assert any("d1 expired at" in note.message for note in app._notifications)

    play(asked, script)
    assert {"d1": "held", "d2": "held"} == states(asked)


@pytest.mark.parametrize(("who", "group", "after"), [("bob", "Waits for you", "approved"), ("eve", "Waits for others", "held")])
def test_a_member_decides_for_their_domains_and_is_told_why_not_for_others(asked, who, group, after):
    async def script(pilot, app):
        room = await to(pilot)
        assert {group: ["d1", "d2"]} == groups(room)
        await press(pilot, "a")
        told = [note.message for note in app._notifications]
        assert (after == "held") == any("eve may not approve d1" in each and "has ops in `domains`" in each for each in told)
        await press(pilot, "h")

    play(asked, script, EVENTCTL_MEMBER=who)
    assert {"d1": after, "d2": "held"} == states(asked)


def test_what_has_ended_shows_when_it_is_asked_for(asked):
    asked("decisions", "deny", "d1")

    async def script(pilot, app):
        room = await to(pilot)
        assert {"Waits for you": ["d2"]} == groups(room)
        await press(pilot, "h")
        assert {"Waits for you": ["d2"], "Ended": ["d1"]} == groups(room)
        assert "✗ denied" in shown(app)
        await press(pilot, "h")
        assert {"Waits for you": ["d2"]} == groups(room)
        assert {"chip": "waiting"} == room.memory()
        await pilot.click(".chip", offset=(3, 0))
        await settled(pilot)
        assert "waiting" == room.chip

    play(asked, script)


def test_pointing_at_one_that_has_ended_shows_it(asked):
    asked("decisions", "deny", "d1")

    async def script(pilot, app):
        room = await to(pilot, 1)
        assert ("d1", "all") == (room.rows.key, room.chip)
        room.jump("d99")
        await settled(pilot)
        assert any("there is no d99" in note.message for note in app._notifications)

    play(asked, script)


def test_the_row_under_the_cursor_stays_there_while_others_decide(asked):
    ask(asked, "db")

    async def script(pilot, app):
        room = await to(pilot, 2)
        await press(pilot, "h", "h")
        assert "waiting" == room.chip
        room.rows.point("d2")
        await press(pilot, "J", "k")
        asked("decisions", "deny", "d2")
        app.reread()
        await settled(pilot)
        assert "d2" == room.rows.key
        assert ["d2"] == list(room.rows.marks)
        assert {"Waits for you": ["d1", "d2", "d3"]} == groups(room)
        await press(pilot, "down")
        room.rows.unmark()
        app.reread()
        await settled(pilot)
        assert {"Waits for you": ["d1", "d3"]} == groups(room)

    play(asked, script)


def test_a_marked_row_that_others_decide_stays_so_that_a_yes_meets_no_other(asked):
    async def script(pilot, app):
        await to(pilot, 1)
        await press(pilot, "space")
        asked("decisions", "deny", "d1")
        app.reread()
        await settled(pilot)
        await press(pilot, "down", "down")
        app.reread()
        await settled(pilot)
        await press(pilot, "a")

    play(asked, script)
    assert {"d1": "denied", "d2": "held"} == states(asked)


def test_a_narrow_screen_shows_the_list_or_the_decision(asked):
    async def script(pilot, app):
        await to(pilot, 1)
        assert "echo rolled back" not in shown(app)
        assert "Roll api back" in shown(app)
        await press(pilot, "enter")
        assert "echo rolled back" in shown(app)
        await press(pilot, "a", "escape")
        assert "◐ on its way" in shown(app)

    play(asked, script, size=NARROW)
    assert "approved" == states(asked)["d1"]


def test_the_event_is_one_key_away(asked):
    async def script(pilot, app):
        await to(pilot, 1)
        await press(pilot, "e")
        assert not isinstance(app.screen, DecisionsRoom)
        await press(pilot, "escape")
        assert isinstance(app.screen, DecisionsRoom)

    play(asked, script)


def test_what_strangers_write_is_letters(desk):
    ask(desk, HOSTILE)

    async def script(pilot, app):
        await to(pilot, 1)
        await press(pilot, "d")
        assert "[@click=app.quit]x[/]" in shown(app)
        await press(pilot, "escape")
        text = shown(app)
        assert "[bold]" in text
        assert not set("\x1b\x07\u202e\U000e0041") & set(text)

    play(desk, script, size=WIDE)


PACKAGE = """# /// cartridge
# id = "greeter"
# summary = "Greets."
# version = "1"
# consumes = ["domain.ops.failed"]
# annotates = ["greeter"]
# ///


def process(event, context):
    context.annotate("greeter", "hello")
    return event
"""


def test_an_install_is_shown_as_it_was_asked_for_before_it_is_approved_and_is_done_at_once(desk):
    source = desk.root.parent / "greeter.py"
    source.write_text(PACKAGE)
    desk("cartridge", "install", str(source), "--ask", "--yes", EVENTCTL_MEMBER="bob")
    other = twin(desk)

    async def script(pilot, app):
        await to(pilot, 1)
        await press(pilot, "a")
        text = shown(app)
        for said in ("Approve d1?", "install greeter 1", "guardian", "there now  nothing", "cannot be taken back"):
            assert said in text
        await press(pilot, "enter")
        assert "✔ done" in shown(app)

    play(desk, script)
    other("decisions", "approve", "d1")
    assert "done" == states(desk)["d1"]
    assert plainly(other, "d1") == plainly(desk, "d1")
    assert answer(other, "cartridge", "list", "--versions") == answer(desk, "cartridge", "list", "--versions")


def test_an_install_is_an_admins(desk):
    source = desk.root.parent / "greeter.py"
    source.write_text(PACKAGE)
    desk("cartridge", "install", str(source), "--ask", "--yes", EVENTCTL_MEMBER="bob")

    async def script(pilot, app):
        room = await to(pilot)
        assert {"Waits for others": ["d1"]} == groups(room)
        await press(pilot, "a")
        assert any("bob may not approve d1" in note.message for note in app._notifications)

    play(desk, script, EVENTCTL_MEMBER="bob")
    assert {"d1": "held"} == states(desk)


def test_memory_of_any_shape_is_survived():
    room = DecisionsRoom()
    for memory in ({}, {"chip": 3}, {"chip": "none"}, {"chip": ["open"]}):
        room.recall(memory)
        assert "open" == room.chip
    room.recall({"chip": "all"})
    assert "all" == room.chip
