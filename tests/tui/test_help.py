"""The help is made from the bindings: whatever key there is, it stands there."""

from __future__ import annotations

import inspect

import pytest
from textual.binding import Binding

from eventctl.tui.app import SCREENS, Dashboard
from eventctl.tui.keys import ours, said, sections
from eventctl.tui.room import Room
from tests.tui.kit import NARROW, WIDE, play, press, shown, typed


def own(kind: type, app: Dashboard) -> set[tuple[str, str]]:
    """Every key that a class hears, with what it says about it."""
    return {(app.get_key_display(binding), binding.description) for binding in Binding.make_bindings(vars(kind)["BINDINGS"])}


@pytest.mark.parametrize("mode", list(SCREENS))
def test_every_key_of_every_screen_and_widget_is_in_the_help_of_every_screen(face, mode):
    async def look(pilot, app) -> None:
        await press(pilot, str(1 + list(SCREENS).index(mode)))
        found = sections(app.screen, app.get_key_display)
        told = {(key, each.does) for section in found for each in section.keys for key in each.keys.split(" ")}
        wanted = set().union(*(own(kind, app) for kind in ours()))
        assert set() == {(key, does) for key, does in wanted if does} - told
        assert said(type(app.screen)) == found[0].title

    play(face, look)


def test_every_key_says_what_it_does():
    silent = [
        f"{kind.__name__}: {binding.key}"
        for kind in ours()
        for binding in Binding.make_bindings(vars(kind)["BINDINGS"])
        if not binding.description
    ]
    assert [] == silent


def test_every_screen_and_widget_that_hears_keys_says_what_it_is():
    assert [] == [kind.__name__ for kind in ours() if not inspect.getdoc(kind)]


def test_no_key_of_a_screen_is_a_key_that_means_something_everywhere():
    everywhere = {binding.key for binding in Binding.make_bindings(Dashboard.BINDINGS)}
    taken = {
        f"{kind.__name__}: {binding.key}"
        for kind in ours()
        if issubclass(kind, Room)
        for binding in Binding.make_bindings(vars(kind)["BINDINGS"])
        if binding.key in everywhere
    }
    assert set() == taken


@pytest.mark.parametrize("size", [(60, 15), NARROW, WIDE], ids=str)
def test_help_is_there_in_every_size_and_goes_away(face, size):
    async def look(pilot, app) -> None:
        await press(pilot, "question_mark")
        assert "Type to find" in shown(app)
        await press(pilot, "pagedown", "down", "up", "pageup", "escape")
        assert "Type to find" not in shown(app)

    play(face, look, size=size)


def test_help_is_found_by_typing(face):
    async def look(pilot, app) -> None:
        await press(pilot, "question_mark")
        await typed(pilot, "mark all")
        assert "Mark all that is loaded" in shown(app)
        assert "Go to Health" not in shown(app)
        await typed(pilot, "xyzzy")
        assert "Nothing fits." in shown(app)

    play(face, look)


def test_help_tells_the_words_of_the_filter(face):
    async def look(pilot, app) -> None:
        await press(pilot, "question_mark")
        await typed(pilot, "words of the filter")
        assert "since:" in shown(app)
        assert "where:" in shown(app)

    play(face, look)
