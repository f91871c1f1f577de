"""A notification, whole: every part is shown, stays where it is while things change, and does what the command line does."""

from __future__ import annotations

import json
import shutil

import pytest
from textual.widgets import Input, Static

from eventctl import client
from eventctl.rows import OutboxRow
from eventctl.store import Operations
from eventctl.times import MINUTE
from eventctl.tui.detail.affordances import Affordances, OfferButton
from eventctl.tui.detail.history import History, Owed
from eventctl.tui.detail.pane import IN_HEAD, Detail
from eventctl.tui.detail.payloadtree import PAGE, PayloadTree
from eventctl.tui.detail.recordview import RecordView
from eventctl.tui.detail.screen import DetailRoom
from eventctl.tui.detail.sections import Section
from eventctl.tui.detail.whyview import WhyView
from eventctl.tui.dialogs import Form
from eventctl.tui.rows import RowList
from eventctl.workspace import at
from tests.cli.conftest import Face
from tests.cli.test_act import kiosk
from tests.tui.kit import NARROW, USUAL, WIDE, play, press, settled, shown, typed

__all__ = ["kiosk"]

SIZES = (NARROW, USUAL, WIDE)
HOSTILE = "[red]x[/] [@click=app.quit]y[/] \x1b[31m\u202e {z} \\["


async def opened(pilot, app, number=1, **more):
    """The room of a notification, in front."""
    room = DetailRoom(number, **more)
    app.push_screen(room)
    await settled(pilot)
    return room


async def reread(pilot, app):
    """What happens when somebody has committed something."""
    app.reread()
    await settled(pilot)


def told(app) -> list[str]:
    return [note.message for note in app._notifications]


def committed(face, **operations):
    """Something that is written while the dashboard looks."""
    with client.short(at(face.root)) as store:
        store.commit(Operations(**operations))


def sent(face, **envelope):
    """An event as its sender wrote it, a minute later, worked on."""
    face.later(MINUTE)
    said = {"event": "domain.kiosk.till.stuck", "source": "till", "payload": {"till": 7}, **envelope}
    face("emit", "--ndjson", "-", given=json.dumps(said))
    face("run", "--until-idle")


def effect(number, state, **more):
    return OutboxRow(f"{number:032}", "call", "pager", "domain:kiosk", 1, b"{}", state=state, attempt=number, **more)


def plain(face, *words):
    """What the command line prints as JSON, without ids that nobody chose."""

    def cleaned(value):
        if isinstance(value, dict):
            return {name: cleaned(each) for name, each in value.items() if name not in ("id", "call", "result")}
        return [cleaned(each) for each in value] if isinstance(value, list) else value

    return cleaned(json.loads(face(*words, "--json").stdout))


def state(face):
    """All that taking an action changes, once it was worked on."""
    face("run", "--until-idle")
    records = plain(face, "log", "show")
    return plain(face, "inbox", "show", "n1"), plain(face, "decisions", "list", "--all"), records


def copied(face, tmp_path, name):
    """The same workspace again, at the same time."""
    shutil.copytree(face.root, tmp_path / name)
    return Face(tmp_path / name, face.env, face.now)


# --- what is shown ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_what_it_says_what_it_offers_and_its_payload_are_shown(kiosk, size):
    sent(kiosk, description="The drawer does not open.", payload={"till": 7, "drawer": {"coins": [1, 2]}})
    kiosk("inbox", "claim", "n1", "--agent", "bot")
    committed(kiosk, annotations=[(2, "weather", b'{"rain":true}')])

    async def script(pilot, app):
        room = await opened(pilot, app)
        fields = str(room.query_one("#fields").render())
        for line in kiosk("inbox", "show", "n1").stdout.splitlines()[1:]:
            if not line:
                break
            assert line.strip() in fields or line.split()[0] in IN_HEAD
        assert "ends in 30m" in fields
        head = str(room.query_one("#head").render()).splitlines()
        assert ["Till 7", "The drawer does not open."] == [head[0], head[2]]
        assert "bot has it" in head[1]
        tree = room.query_one("#payload", PayloadTree)
        assert {"till": 7, "drawer": {"coins": [1, 2]}} == tree.root.data.value
        assert {"weather": {"rain": True}} == room.query_one("#notes", PayloadTree).root.data.value
        assert ["restart"] == [button.offer.name for button in room.query(OfferButton)]
        assert "Till 7" in shown(app)

    play(kiosk, script, size=size)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_history_has_the_steps_and_words_of_the_command_line_and_a_row_opens_its_record(kiosk, size):
    kiosk("inbox", "claim", "n1", "--agent", "bot")
    kiosk("inbox", "release", "n1", "--agent", "bot", "-m", "no key")

    async def script(pilot, app):
        room = await opened(pilot, app)
        await press(pilot, "h")
        rows = room.query_one(History)
        assert rows.has_focus
        lines = kiosk("inbox", "show", "n1").stdout.split("\n\n")[1].splitlines()[1:]
        assert len(lines) == rows.loaded
        screen = shown(app)
        assert "bot gave back n1 (no key)" in screen
        await press(pilot, "enter")
        assert isinstance(app.screen, RecordView)
        assert "domain.kiosk.till.stuck" in str(app.screen.query_one("#head").render())
        assert {"till": 7} == app.screen.query_one(PayloadTree).root.data.value["payload"]
        await press(pilot, "escape")
        assert room is app.screen
        assert rows.has_focus

    play(kiosk, script, size=size)


def test_what_it_owes_is_shown_with_its_state_its_next_attempt_and_its_error(kiosk):
    owed = [effect(1, "pending"), effect(2, "retry", next_at=kiosk.now + 5 * MINUTE), effect(3, "unknown"), effect(4, "dead")]
    committed(kiosk, outbox=owed)

    async def script(pilot, app):
        room = await opened(pilot, app)
        await press(pilot, "o")
        assert room.query_one(Owed).has_focus
        screen = shown(app)
        for words in ("is owed", "is tried again", "in 5m", "whose end nobody saw", "was given up", "call pager"):
            assert words in screen
        await press(pilot, "enter")
        assert isinstance(app.screen, RecordView)
        assert 1 == app.screen.seq

    play(kiosk, script, size=WIDE)


def test_a_notification_of_a_decision_leads_to_it(kiosk):
    config = kiosk.root / "eventctl.toml"
    config.write_text(config.read_text() + '\n[autonomy.types]\n"domain.kiosk.**" = "L1"\n')
    kiosk("inbox", "act", "n1", "restart", "--agent", "bot")
    kiosk("run", "--until-idle")

    async def script(pilot, app):
        for way in ("a", "enter"):
            room = await opened(pilot, app, 2)
            assert "Decide d1" in shown(app)
            if way == "enter":
                room.query_one("#decide").focus()
            await press(pilot, way)
            assert "decisions" == app.current_mode
            assert "d1" == app.screen.query_one(RowList).key
            await app.action_go("inbox")
            await press(pilot, "escape")
        room = await opened(pilot, app, 1)
        assert "Decide" not in shown(app)
        await press(pilot, "o", "enter")
        assert "decisions" == app.current_mode

    play(kiosk, script)


def test_looking_marks_nothing_as_seen_and_s_does(kiosk):
    async def script(pilot, app):
        await opened(pilot, app)
        assert [] == seen_by()
        await press(pilot, "s")
        assert ["ada"] == seen_by()
        assert "seen by  ada" in shown(app)

    def seen_by():
        members = json.loads(kiosk("inbox", "show", "n1", "--json").stdout)["members"]
        return [name for name, view in members.items() if view["seen"]]

    play(kiosk, script)


def test_n_and_p_go_through_the_list_it_was_opened_from(kiosk):
    sent(kiosk, payload={"till": 8})
    sent(kiosk, payload={"till": 9})

    async def script(pilot, app):
        room = await opened(pilot, app, 1, among=[3, 1, 2])
        seen = [room.number]
        for key in ("n", "n", "p", "p", "p"):
            await press(pilot, key)
            seen.append(room.detail.subject.row.id)
        assert [1, 2, 2, 1, 3, 3] == seen
        assert "1 of 3 · n3 Till 9" in shown(app)
        await press(pilot, "escape")
        assert room is not app.screen

    play(kiosk, script)


# --- acting ----------------------------------------------------------------------------------------------------------------------


async def by_button(pilot, app):
    app.screen.query_one(OfferButton).focus()
    await press(pilot, "enter")
    await typed(pilot, '{"by": "hand"}')
    await press(pilot, "enter")


async def by_key(pilot, app):
    await press(pilot, "x", "tab")
    await typed(pilot, '{"by": "hand"}')
    await press(pilot, "enter")


async def by_mouse(pilot, app):
    await pilot.click(OfferButton)
    await settled(pilot)
    await typed(pilot, '{"by": "hand"}')
    await pilot.click("#yes")
    await settled(pilot)


@pytest.mark.parametrize("way", [by_button, by_key, by_mouse])
@pytest.mark.parametrize("who", ["ada", "bot"])
def test_an_action_does_what_inbox_act_does(kiosk, tmp_path, way, who):
    config = kiosk.root / "eventctl.toml"
    config.write_text(config.read_text() + '\n[autonomy.types]\n"domain.kiosk.**" = "L1"\n')
    agent = {"EVENTCTL_AGENT": "bot"} if who == "bot" else {}
    other = copied(kiosk, tmp_path, "other")
    other("inbox", "act", "n1", "restart", "--payload", '{"by": "hand"}', **agent)

    async def script(pilot, app):
        await opened(pilot, app)
        await way(pilot, app)
        return told(app)

    said = play(kiosk, script, size=WIDE, **agent)
    assert ["n1  restart: done (e3), d1" if who == "ada" else "n1  restart: waits for a person, d1"] == said
    assert state(other) == state(kiosk)


def test_an_action_that_is_on_its_way_is_not_taken_again(kiosk):
    async def script(pilot, app):
        await opened(pilot, app)
        with client.short(at(kiosk.root)):  # nobody else writes for as long as this is held
            for _ in range(2):
                await pilot.press("x")
                await pilot.pause()
                app.screen.action_send()
                await pilot.pause()
            assert ["n1  restart: is on its way already"] == told(app)
        await settled(pilot)
        return told(app)

    said = play(kiosk, script)
    assert {"n1  restart: is on its way already", "n1  restart: done (e3), d1"} == set(said)
    assert 1 == len(plain(kiosk, "decisions", "list", "--all")["items"])


def test_an_action_of_an_event_that_was_not_seen_is_not_taken(kiosk):
    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "x")
        sent(kiosk)
        await press(pilot, "enter")
        return told(app)

    (said,) = play(kiosk, script)
    assert said.startswith("n1 has changed since you looked: its newest event is e2")
    assert [] == plain(kiosk, "decisions", "list", "--all")["items"]


def test_what_was_taken_before_stands_beside_the_button_and_in_the_question(kiosk):
    kiosk("inbox", "act", "n1", "restart")

    async def script(pilot, app):
        room = await opened(pilot, app)
        assert "ada took it now: d1 is done" in " ".join(shown(app).split())
        room.query_one(Affordances).ask(room.query_one(Affordances).offers[0])
        await settled(pilot)
        assert isinstance(app.screen, Form)
        assert "ada took it now: d1 is done" in shown(app)

    play(kiosk, script, size=WIDE)


def test_a_payload_that_is_no_object_is_said_in_the_form(kiosk):
    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "x", "tab")
        await typed(pilot, "[1]")
        await press(pilot, "enter")
        assert isinstance(app.screen, Form)
        assert "the payload is a JSON object" in shown(app)
        app.screen.query_one(Input).value = '{"till": "x"}'
        await press(pilot, "enter")
        return told(app)

    (said,) = play(kiosk, script)
    assert "till is string, declared integer" in said


# --- while things change ---------------------------------------------------------------------------------------------------------


def test_what_changes_meanwhile_moves_neither_the_eye_nor_the_focus(kiosk):
    sent(kiosk, payload={"till": 7, "items": list(range(60)), "more": list(range(40))})

    async def script(pilot, app):
        room = await opened(pilot, app)
        tree = room.query_one("#payload", PayloadTree)
        tree.focus()
        await press(pilot, "down", "right", *["down"] * 30)
        scroll, line = room.detail.scroll_offset.y, tree.cursor_line
        assert scroll > 0
        sent(kiosk, payload={"till": 7, "items": list(range(60)), "more": [1]})
        kiosk("inbox", "claim", "n1", "--agent", "bot")
        await reread(pilot, app)
        assert "bot has it" in str(room.query_one("#head").render())
        assert {"till": 7, "items": list(range(60)), "more": [1]} == tree.root.data.value
        assert (scroll, line, True) == (room.detail.scroll_offset.y, tree.cursor_line, tree.has_focus)
        assert tree.root.children[1].is_expanded

    play(kiosk, script)


def test_a_button_keeps_the_focus_when_other_actions_come(kiosk):
    async def script(pilot, app):
        room = await opened(pilot, app)
        before = room.query_one(OfferButton)
        before.focus()
        kiosk("inbox", "claim", "n1")
        await reread(pilot, app)
        assert before is app.focused
        sent(kiosk, actions={"call": {"description": "Call somebody", "produces": "domain.kiosk.till.restarted"}})
        await reread(pilot, app)
        assert ["restart", "call"] == [button.offer.name for button in room.query(OfferButton)]
        assert "restart" == app.focused.offer.name

    play(kiosk, script)


def test_a_section_that_was_folded_stays_folded(kiosk):
    async def script(pilot, app):
        room = await opened(pilot, app)
        section = room.query_one("#payload-section", Section)
        section.query_one("Heading").focus()
        await press(pilot, "enter")
        sent(kiosk)
        await reread(pilot, app)
        assert section.folded
        await pilot.click(section.query_one("Heading"))
        await settled(pilot)
        assert not section.folded

    play(kiosk, script)


def test_a_notification_that_is_purged_while_one_looks_says_so_and_takes_no_key(kiosk):
    async def script(pilot, app):
        room = await opened(pilot, app)
        assert "Till 7" in shown(app)
        committed(kiosk, purged=[1])
        await reread(pilot, app)
        assert "n1 is gone: it was purged while you looked." in shown(app)
        assert [] == room.picked()
        await press(pilot, "x", "e", "y")
        assert ["it offers nothing to do", "there is nothing here to do that with"] == told(app)
        assert app.is_running

    play(kiosk, script)


def test_a_number_that_names_nothing_says_so(kiosk):
    async def script(pilot, app):
        await opened(pilot, app, 99)
        assert "There is no notification n99." in shown(app)

    play(kiosk, script)


# --- the pane --------------------------------------------------------------------------------------------------------------------


def test_a_pane_shows_the_one_that_it_was_told_last_with_its_history(kiosk):
    sent(kiosk, payload={"till": 8})

    async def script(pilot, app):
        pane = Detail()
        pane.styles.width = 60
        await app.screen.mount(pane)
        for number in (2, 1, 2, 1):
            pane.show(number)
        await settled(pilot)
        assert 1 == pane.subject.row.id
        assert "n1" in str(pane.query_one("#head").render())
        assert 1 == pane.query_one(History).loaded
        pane.show(None)
        await settled(pilot)
        assert "Nothing is chosen." == str(pane.query_one("#head").render())
        assert not pane.query_one("#fields").display

    play(kiosk, script, size=WIDE)


# --- strangers -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=str)
def test_strangers_text_is_letters_wherever_it_stands_and_does_nothing(kiosk, size):
    sent(
        kiosk, source=HOSTILE, entity=HOSTILE, description=HOSTILE, payload={"till": 7, HOSTILE: HOSTILE, "list": [{HOSTILE: HOSTILE}]},
        actions={HOSTILE: {"description": HOSTILE, "produces": "domain.kiosk.till.restarted"}},
    )  # fmt: skip
    kiosk("inbox", "claim", "n1", "--agent", HOSTILE.replace("\x1b", ""))
    kiosk("inbox", "release", "n1", "--agent", HOSTILE.replace("\x1b", ""), "-m", HOSTILE)

    async def script(pilot, app):
        room = await opened(pilot, app)
        for key in ("h", "o", "y"):
            await press(pilot, key)
            harmless(app)
        assert "[red]x[/]" in str(room.query_one("#head").render())
        await press(pilot, "h", "enter")
        harmless(app)
        await press(pilot, "y")
        harmless(app)
        await press(pilot, "escape", "x")
        harmless(app)
        await press(pilot, "escape")
        button = room.query(OfferButton).last()
        assert HOSTILE == button.offer.name
        button.focus()
        await press(pilot, "enter", "enter")
        harmless(app)
        for y in range(app.size.height):
            await pilot.click(offset=(6, y))
            await settled(pilot)
            if app.screen is not room:
                await press(pilot, "escape")
            if app.screen is not room:
                break
        assert app.is_running

    def harmless(app):
        assert all(line.isprintable() for line in shown(app).splitlines())

    play(kiosk, script, size=size)


def test_ten_thousand_fields_open_as_a_page(kiosk):
    sent(kiosk, payload={"till": 7, **{f"k{at}": at for at in range(10_000)}})

    async def script(pilot, app):
        room = await opened(pilot, app)
        assert PAGE + 1 == room.query_one("#payload", PayloadTree).nodes

    play(kiosk, script)


# --- why -------------------------------------------------------------------------------------------------------------------------


def test_why_can_be_what_is_opened(kiosk):
    async def script(pilot, app):
        room = await opened(pilot, app, why=True)
        assert "why" == room.tab
        assert room.query_one(WhyView).told is not None
        assert "Why it is there" in shown(app)

    play(kiosk, script)


def test_what_the_head_says_no_field_says_again(kiosk):
    async def script(pilot, app):
        room = await opened(pilot, app)
        names = [line.split()[0] for line in str(room.query_one("#fields", Static).content).splitlines()]
        assert "life" in names
        assert not {"id", "level", "state"} & {*names}

    play(kiosk, script)
