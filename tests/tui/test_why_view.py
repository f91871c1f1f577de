"""Why, in the dashboard: the sentences of the command line, wrapped to the screen, folded by hand, and a rule asked again."""

from __future__ import annotations

import json

from textual.widgets import OptionList, Static

from eventctl.cli.render import local
from eventctl.cli.why import ask, explain
from eventctl.tui.detail.recordview import RecordView
from eventctl.tui.detail.screen import DetailRoom
from eventctl.tui.detail.sections import Heading, Section
from eventctl.tui.detail.whyview import WhyView
from eventctl.tui.inbox.screen import InboxRoom
from tests.cli.test_act import kiosk
from tests.cli.test_why_rules import shop, sold
from tests.tui.kit import NARROW, WIDE, play, press, settled, shown

__all__ = ["kiosk", "shop"]


async def opened(pilot, app, number=1):
    """A notification explained, in front."""
    app.push_screen(DetailRoom(number, why=True))
    await settled(pilot)
    return app.screen.query_one(WhyView)


def lines(view) -> list[tuple[str, list[str]]]:
    """The headings, and the sentences under each."""
    return [(each.title, str(each.query_one(".inside", Static).render()).splitlines()) for each in view.query(Section)]


def sentences(told) -> list[tuple[str, list[str]]]:
    return [(part.heading, list(part.lines)) for part in told.parts]


def test_its_sentences_are_those_of_why(kiosk):
    kiosk("inbox", "claim", "n1", "--agent", "bot")
    told = json.loads(kiosk("why", "n1", "--json").stdout)["sentences"]

    async def script(pilot, app):
        view = await opened(pilot, app)
        assert [(part["about"], part["lines"]) for part in told] == lines(view)
        assert "next:  eventctl why e1  eventctl inbox show n1" in shown(app)

    play(kiosk, script)


def test_a_record_is_explained_in_the_words_of_the_command_line(shop):
    sold(shop)
    second = sold(shop)

    async def script(pilot, app):
        with app.desk.session.reading() as store:
            told = explain(app.desk.session, store, second, local)
        app.push_screen(RecordView(int(second[1:]), why=True))
        await settled(pilot)
        assert sentences(told) == lines(app.screen.query_one(WhyView))
        assert "Rules that matched" in [heading for heading, _ in sentences(told)]
        await press(pilot, "y")
        assert "body" == app.screen.query_one("ContentSwitcher").current

    play(shop, script)


def test_a_rule_can_be_chosen_and_asked_again(shop):
    second = sold(shop)

    async def script(pilot, app):
        with app.desk.session.reading() as store:
            told = ask(app.desk.session, store, second, "spend", local)
        app.push_screen(RecordView(int(second[1:])))
        await settled(pilot)
        await press(pilot, "Y")
        offered = [str(each.prompt) for each in app.screen.query_one(OptionList).options]
        assert ["busy", "calm", "spend", "tryout"] == [each.partition(" ")[2] for each in offered[1:]]
        await press(pilot, *["down"] * 3, "enter")
        view = app.screen.query_one(WhyView)
        assert "spend" == view.rule
        assert sentences(told) == lines(view)
        await press(pilot, "y")
        assert "" == view.rule
        assert "Where it came from" == lines(view)[0][0]

    play(shop, script)


def test_sentences_are_broken_at_the_width_and_nothing_is_lost(kiosk):
    async def script(pilot, app):
        view = await opened(pilot, app)
        long = max((line for _, told in lines(view) for line in told), key=len)
        assert len(long) > app.size.width
        screen = shown(app)
        assert long not in screen
        assert all(word in screen for word in long.split())

    play(kiosk, script, size=NARROW)


def test_a_part_that_was_folded_stays_so_when_something_changes(kiosk):
    async def script(pilot, app):
        view = await opened(pilot, app)
        first = view.query(Section).first()
        await pilot.click(first.query_one(Heading))
        await settled(pilot)
        assert first.folded
        assert "It stands for the life" not in shown(app)
        kiosk("inbox", "claim", "n1", "--agent", "bot")
        app.reread()
        await settled(pilot)
        assert "bot claimed n1" in shown(app)
        assert view.query(Section).first().folded
        kiosk("inbox", "snooze", "n1")
        app.reread()
        await settled(pilot)
        assert ["Why it is there"] == [each.title for each in view.query(Section) if each.folded]

    play(kiosk, script, size=WIDE)


def test_it_is_asked_again_only_when_something_has_changed(kiosk):
    async def script(pilot, app):
        view = await opened(pilot, app)
        before = view.told
        app.reread()
        await settled(pilot)
        assert before is view.told
        await press(pilot, "ctrl+r")
        assert before is not view.told

    play(kiosk, script)


def test_what_there_is_no_more_is_said_in_its_place(kiosk):
    async def script(pilot, app):
        view = await opened(pilot, app)
        view.ask("e99")
        await settled(pilot)
        assert "there is no record e99" in shown(app)
        assert [] == lines(view)

    play(kiosk, script)


def test_who_leaves_while_it_is_asked_is_left_alone(kiosk):
    async def script(pilot, app):
        for key in ("y", "Y"):
            app.push_screen(DetailRoom(1))
            await pilot.pause()
            await pilot.press(key, "escape")
        await settled(pilot)
        assert isinstance(app.screen, InboxRoom)
        assert app.is_running

    play(kiosk, script)


def test_a_workspace_without_rules_says_so(kiosk):
    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "Y")
        assert "there is no rule in this workspace" in [note.message for note in app._notifications]

    play(kiosk, script)


def test_strangers_text_is_letters_here_too(kiosk):
    hostile = "[red]x[/] [@click=app.quit]y[/] \x1b[31m"
    event = {"event": "domain.kiosk.till.stuck", "source": hostile, "description": hostile, "payload": {"till": 7}}
    kiosk("emit", "--ndjson", "-", given=json.dumps(event))
    kiosk("run", "--until-idle")

    async def script(pilot, app):
        await opened(pilot, app)
        screen = shown(app)
        assert "[red]x[/] [@click=app.quit]y[/]" in screen
        assert all(line.isprintable() for line in screen.splitlines())
        for y in range(app.size.height - 2):
            await pilot.click(offset=(app.size.width // 2 + 8, y))
        await settled(pilot)
        assert app.is_running

    play(kiosk, script, size=WIDE)
