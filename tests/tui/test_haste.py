"""Keys that come faster than the screen: typed ahead, pressed twice, or in a burst."""

from __future__ import annotations

import random

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from eventctl.tui.app import Dashboard
from tests.tui.inboxkit import room, rows, told
from tests.tui.kit import play, press, settled


def hurl(app: Dashboard, *keys: str) -> None:
    """Press keys all at once, as a terminal sends what was typed while nobody listened."""
    for key in keys:
        letter = key if len(key) == 1 else None
        app.post_message(events.Key(_character_to_key(key) if letter else key, letter))


def states(face) -> dict[str, tuple[str, bool]]:
    """How each notification stands: what is worked on, and whether it is put away."""
    return {row["short"]: (row["state"], row["archived_at"] is not None) for row in rows(face)}


def test_letters_that_are_typed_ahead_of_a_form_move_nothing_below_it(furnished):
    before = states(furnished)

    async def script(pilot: Pilot[int], app: Dashboard) -> None:
        for _ in range(4):
            hurl(app, "r", *"ceecfeeew" * 4)
            await settled(pilot)
            while len(app.screen_stack) > 1:
                await press(pilot, "escape")

    play(furnished, script)
    assert before == states(furnished)


@pytest.mark.parametrize("keys", [("enter", "enter"), ("tab", "tab", "tab", "enter", "enter", "enter")])
def test_a_form_that_is_answered_twice_is_answered_once(furnished, keys):
    async def script(pilot: Pilot[int], app: Dashboard) -> None:
        await press(pilot, "enter", "z")
        detail = app.screen_stack[-2]
        await press(pilot, "tab")
        hurl(app, *keys)
        await settled(pilot)
        assert detail is app.screen
        assert 1 == len(told(app))

    play(furnished, script)


def test_what_was_just_pressed_is_what_is_taken_back_however_fast(furnished):
    async def script(pilot: Pilot[int], app: Dashboard) -> None:
        first = room(app).rows.key
        await press(pilot, "s", "j")
        hurl(app, "e", "u")
        await settled(pilot)
        views = {row["short"]: row for row in rows(furnished)}
        assert views[first]["seen"]
        assert not any(row["archived_at"] for row in views.values())
        assert "archived: taken back" in told(app)[-1]

    play(furnished, script)


def test_of_two_undos_at_once_the_second_has_nothing_to_take_back(furnished):
    async def script(pilot: Pilot[int], app: Dashboard) -> None:
        hurl(app, "e", "u", "u")
        await settled(pilot)
        assert "nothing to take back" == told(app)[-1]

    play(furnished, script)
    assert {("none", False)} == set(states(furnished).values())


KEYS = (
    *"jkgGnohdyscwfFrRzZmeE123456ut?/ *",
    "enter",
    "escape",
    "escape",
    "escape",
    "tab",
    "space",
    "ctrl+r",
    "down",
    "pageup",
    "backspace",
)


@pytest.mark.parametrize("seed", range(1))
def test_two_hundred_keys_at_once_break_nothing(busy, seed):
    chance = random.Random(seed)

    async def script(pilot: Pilot[int], app: Dashboard) -> None:
        for _ in range(4):
            hurl(app, *chance.choices(KEYS, k=50))
            await settled(pilot)
        assert app.is_running

    play(busy, script)
    assert 0 == busy("verify").exit_code
