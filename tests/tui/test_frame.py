"""The frame around the screens: the top line, the palette, colours, sizes, and leaving."""

from __future__ import annotations

import asyncio
import threading
from functools import reduce
from itertools import product
from typing import Any

import pytest
from rich.style import Style
from textual.app import App, ComposeResult
from textual.color import Color
from textual.widgets._footer import FooterKey

from eventctl.cli.session import Session
from eventctl.tui.app import SCREENS, Dashboard, Opening
from eventctl.tui.look import TONES, Cell
from eventctl.tui.room import Deed
from eventctl.tui.rows import RowList
from eventctl.tui.running import Standing
from eventctl.tui.themes import OURS
from eventctl.tui.topline import ROOMS, Told, TopLine, number
from tests.tui.kit import NARROW, USUAL, WIDE, play, press, settled, shown, typed

SIZES = [(60, 15), NARROW, USUAL, WIDE]
WAITS: tuple[dict[str, int], ...] = ({}, {"inbox": 3}, {"inbox": 9_999, "decisions": 9_999, "held": 9_999})
READABLE = 4.5
"""What WCAG asks of text, as a ratio of luminances."""


def fail(face, count: int) -> None:
    """So many notifications."""
    for job in range(count):
        face("emit", "job.failed", "--source", "cron", "--payload", f'{{"job": "b{job}"}}')
    face("run", "--until-idle")


def told(app: Dashboard) -> str:
    return " ".join(str(note.message) for note in app._notifications)


def opened(face, opening: Opening, script, **env: str) -> Any:
    """As `play`, opened in a certain way."""

    async def main() -> Any:
        session = Session(workspace=str(face.root), env={**face.env, **env}, now=lambda: face.now)
        app = Dashboard(session, opening)
        async with app.run_test(size=USUAL, notifications=True) as pilot:
            await settled(pilot)
            return await script(pilot, app)

    return asyncio.run(main())


# --- colours ---------------------------------------------------------------------------------------------------------------------


def luminance(colour: Color) -> float:
    def linear(part: int) -> float:
        share = part / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(colour.r) + 0.7152 * linear(colour.g) + 0.0722 * linear(colour.b)


def contrast(one: Color, other: Color) -> float:
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_is_what_the_standard_says():
    assert 21 == round(contrast(Color.parse("#000"), Color.parse("#fff")), 2)
    assert 4.54 == round(contrast(Color.parse("#767676"), Color.parse("#fff")), 2)


@pytest.mark.parametrize("theme", [theme.name for theme in OURS])
@pytest.mark.parametrize("focused", [True, False], ids=["focused", "elsewhere"])
def test_every_tone_can_be_read_on_every_ground_of_a_list(face, theme, focused):
    async def look(pilot, app) -> None:
        app.theme = theme
        rows = app.screen.query_one(RowList)
        app.screen.set_focus(rows if focused else None)
        await settled(pilot)
        pale = []
        for ground in ("", "cursor", "marked", "group", "head"):
            style = rows.rich_style + (
                rows.get_component_rich_style(f"rows--{ground}", partial=True) if ground else Style.null()
            )
            for tone in TONES:
                seen = style + rows._tone(tone)
                ratio = contrast(Color(*seen.color.triplet), Color(*seen.bgcolor.triplet))
                pale += [f"{tone or 'text'} on {ground or 'background'}: {ratio:.2f}"] if ratio < READABLE else []
        assert [] == pale

    play(face, look)


@pytest.mark.parametrize("theme", OURS, ids=lambda theme: theme.name)
def test_every_tone_can_be_read_on_the_grounds_of_the_frame(theme):
    names = [tone.partition(" ")[0].removeprefix("$") for tone in TONES.values() if tone.startswith("$")]
    inks = {**{name: theme.variables[name] for name in names}, "foreground": theme.foreground}
    grounds = {"background": theme.background, "surface": theme.surface, "panel": theme.panel}
    pale = [
        f"{ink} on {ground}"
        for ink, colour in inks.items()
        for ground, behind in grounds.items()
        if contrast(Color.parse(colour), Color.parse(behind)) < READABLE
    ]
    assert [] == pale


def test_t_turns_from_dark_to_light_and_back(face):
    async def look(pilot, app) -> None:
        assert "eventctl-dark" == app.theme
        await press(pilot, "t")
        assert "eventctl-light" == app.theme
        await press(pilot, "t")
        assert "eventctl-dark" == app.theme

    play(face, look)


def test_no_colour_is_painted_where_nobody_wants_any(face):
    def painted(app: Dashboard) -> set[str]:
        found = set()
        for strip in app.screen._compositor.render_strips():
            seen = reduce(lambda strip, each: strip.apply_filter(each, Color(0, 0, 0)), app.get_line_filters(), strip)
            found |= {segment.style.color.triplet.hex for segment in seen if segment.style and segment.style.color}
        return found

    async def look(pilot, app) -> list[str]:
        return sorted(painted(app))

    def grey(colour: str) -> bool:
        return colour[1:3] == colour[3:5] == colour[5:7]

    assert all(map(grey, play(face, look, NO_COLOR="1")))
    assert not all(map(grey, play(face, look)))


# --- the top line ----------------------------------------------------------------------------------------------------------------


class Alone(App[None]):
    """Nothing but a top line."""

    def compose(self) -> ComposeResult:
        yield TopLine()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_all_tabs_and_the_runner_stand_on_the_top_line_in_every_size(size):
    async def main() -> None:
        app = Alone()
        async with app.run_test(size=size) as pilot:
            for state, waits in product(("running", "none", "restarting", "disk_full"), WAITS):
                runner = Standing(state, restarts=2, strikes=1).cell()
                app.query_one(TopLine).show("inbox", waits, Told(runner, Cell("desk", "strong"), Cell("ada", "muted")))
                await pilot.pause()
                first = shown(app).splitlines()[0]
                places = [first.find(f" {key} {names[2][:3]}") for key, names in enumerate(ROOMS.values(), 1)]
                assert sorted(places) == places
                assert -1 not in places
                assert runner.text[0] in first
                assert [] == [count for count in waits.values() if not {number(count), number(count, 1_000)} & said(first)]

    def said(text: str) -> set[str]:
        return {f" {word}" for word in text.split()}

    asyncio.run(main())


def test_a_wide_terminal_says_where_and_who(face):
    async def look(pilot, app) -> None:
        first = shown(app).splitlines()[0]
        assert first.rstrip().endswith("○ no runner  desk  ada")
        assert "2 Decisions" in first

    play(face, look, size=USUAL)


def test_names_are_shortened_before_the_runner_is_left_out():
    whole = Told(Cell("● running, 2 restarts"), Cell("desk"), Cell("ada"))
    assert ["● running, 2 restarts  desk  ada", "● running, 2 restarts", "●"] == [way.plain for way in whole.ways()]


def test_large_numbers_are_short():
    assert ["", " 84", " 9,999", " 12k", " 1,200k"] == [number(waits) for waits in (0, 84, 9_999, 12_345, 1_200_000)]


def test_a_click_on_a_tab_goes_there(face):
    async def look(pilot, app) -> None:
        await pilot.click("#tab-health")
        await settled(pilot)
        assert "health" == app.current_mode

    play(face, look)


@pytest.mark.parametrize("mode", list(SCREENS))
def test_every_screen_opens_by_its_key(face, mode):
    async def look(pilot, app) -> None:
        await press(pilot, str(1 + list(SCREENS).index(mode)))
        assert mode == app.current_mode
        assert mode == app.front.MODE

    play(face, look, size=NARROW)


# --- sizes -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(SCREENS))
def test_no_size_breaks_a_screen_and_one_that_is_too_small_is_said(face, mode):
    fail(face, 2)

    async def look(pilot, app) -> None:
        await press(pilot, str(1 + list(SCREENS).index(mode)))
        for width, height in ((60, 15), (59, 15), (60, 14), (20, 5), (1, 1), (300, 100), (80, 24)):
            await pilot.resize_terminal(width, height)
            await settled(pilot)
            assert (width < 60 or height < 15) == app.screen.has_class("-cramped")
            if (width, height) == (59, 15):
                assert "too small" in shown(app)
        assert "too small" not in shown(app)

    play(face, look)


def test_between_small_and_usual_it_says_that_not_everything_is_shown(face):
    async def look(pilot, app) -> str:
        return told(app)

    assert "from 80 x 24 on everything is shown" in play(face, look, size=(60, 15))
    assert "everything is shown" not in play(face, look, size=NARROW)


# --- the palette -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "there"),
    [("go to health", "health"), ("Go to Live", "live")],
)
def test_the_palette_goes_to_screens(face, words, there):
    async def look(pilot, app) -> None:
        await press(pilot, "ctrl+p")
        await typed(pilot, words)
        await press(pilot, "enter")
        assert there == app.current_mode

    play(face, look)


def test_the_palette_offers_what_the_keys_of_the_screen_do(face):
    async def look(pilot, app) -> None:
        await press(pilot, "6", "ctrl+p")
        await typed(pilot, "Sort sources")
        await press(pilot, "enter")
        assert "silent longest" in shown(app)

    play(face, look)


def test_the_palette_changes_colours(face):
    async def look(pilot, app) -> None:
        await press(pilot, "ctrl+p")
        await typed(pilot, "Theme nord")
        await press(pilot, "enter")
        assert "nord" == app.theme

    play(face, look)


def test_a_number_in_the_palette_opens_what_it_names(face):
    fail(face, 2)

    async def look(pilot, app) -> None:
        for words, wanted in (("n2", "DetailRoom"), ("e1", "RecordView")):
            await press(pilot, "ctrl+p")
            await typed(pilot, words)
            await press(pilot, "enter")
            assert wanted == type(app.screen).__name__
            await press(pilot, "escape")
        await press(pilot, "ctrl+p")
        await typed(pilot, "d7")
        await press(pilot, "enter")
        assert "decisions" == app.current_mode

    play(face, look)


@pytest.mark.parametrize("words", ["n99", "e99"])
def test_a_number_that_is_not_there_is_said(face, words):
    async def look(pilot, app) -> None:
        await press(pilot, "ctrl+p")
        await typed(pilot, words)
        await press(pilot, "enter")
        assert f"there is no {words}" in told(app)

    play(face, look)


def test_the_palette_starts_a_runner_and_stops_it(face):
    async def until(app, wanted) -> None:
        async with asyncio.timeout(30):
            while not wanted(app.standing):
                await app._see()
                await asyncio.sleep(0.02)

    async def look(pilot, app) -> None:
        await press(pilot, "ctrl+p")
        await typed(pilot, "Start the runner")
        await press(pilot, "enter")
        await until(app, lambda standing: standing.state == "running")
        await settled(pilot)
        assert "● running" in shown(app)
        await press(pilot, "ctrl+p")
        await typed(pilot, "Stop the runner")
        await press(pilot, "enter")
        await until(app, lambda standing: not standing.there)

    play(face, look)


# --- somebody who works ----------------------------------------------------------------------------------------------------------


def test_a_runner_that_is_gone_is_said_once(face):
    async def look(pilot, app) -> None:
        app.standing = Standing("running")
        await app._see()
        await app._see()
        assert 1 == told(app).count("the runner is gone")

    play(face, look)


def test_who_may_start_none_is_told_and_goes_on_looking(face):
    async def look(pilot, app) -> None:
        await settled(pilot)
        assert "may not do that: operate" in told(app)
        assert not app.standing.there

    opened(face, Opening(run=True), look, EVENTCTL_AGENT="codex")


# --- opening and leaving ---------------------------------------------------------------------------------------------------------


def test_words_of_the_command_line_are_what_the_inbox_is_asked_for(face):
    fail(face, 3)

    async def look(pilot, app) -> None:
        assert "inbox" == app.current_mode
        assert "Job b1" in shown(app)
        assert "Job b2" not in shown(app)

    opened(face, Opening(words="b1"), look)


def test_room_and_theme_of_the_command_line_go_before_what_is_remembered(face):
    async def look(pilot, app) -> None:
        assert ("live", "nord") == (app.current_mode, app.theme)

    opened(face, Opening(room="live", theme="nord"), look)


def test_only_the_screen_in_front_is_made(face):
    async def look(pilot, app) -> None:
        assert ["inbox"] == [mode for mode, stack in app._screen_stacks.items() if stack]

    play(face, look)


def test_leaving_waits_for_the_moves_that_are_on_their_way(face):
    fail(face, 1)
    go_on, done = threading.Event(), []

    def move(store) -> Deed:
        assert go_on.wait(20)
        done.append(store.views.counts().notifications_open)
        return Deed("done")

    async def look(pilot, app) -> None:
        app.make(move)
        await pilot.press("q")
        await pilot.press("q")
        assert app.is_running
        assert [] == done
        go_on.set()
        async with asyncio.timeout(20):
            while not app._exit:
                await pilot.pause()
        assert [1] == done

    play(face, look)


def test_one_ctrl_c_asks_and_two_leave(face):
    async def look(pilot, app) -> None:
        await press(pilot, "ctrl+c")
        assert "ctrl+c again to quit" in told(app)
        assert not app._leaving
        await pilot.press("ctrl+c")
        assert app._leaving

    play(face, look)


# --- the line at the bottom -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(60, 15), NARROW, WIDE])
def test_help_and_quit_stand_on_every_screen_and_no_key_is_cut(face, size):
    async def script(pilot, app):
        for key in "123456":
            await press(pilot, key)
            keys = [key for key in app.screen.query(FooterKey) if key.display]
            assert {"help", "quit"} <= {key.action for key in keys}, app.current_mode
            assert all(key.region.width and key.region.right <= size[0] for key in keys), app.current_mode
            assert all(key.region.width >= len(key.key_display) + len(key.description) for key in keys), app.current_mode

    play(face, script, size=size)


def test_a_wider_terminal_shows_more_keys(face):
    async def script(pilot, app):
        few = sum(key.display for key in app.screen.query(FooterKey))
        await pilot.resize_terminal(*WIDE)
        await settled(pilot)
        assert few < sum(key.display for key in app.screen.query(FooterKey))

    play(face, script, size=NARROW)


def test_what_is_told_takes_a_line_and_covers_neither_note_nor_keys(face):
    async def script(pilot, app):
        app.tell("one thing")
        app.tell("another thing")
        await settled(pilot)
        lines = shown(app).split("\n")
        first, second = (next(at for at, line in enumerate(lines) if words in line) for words in ("one thing", "another thing"))
        assert first + 1 == second == len(lines) - 3

    play(face, script, size=NARROW)
