"""Dialogs: what they answer, what they refuse, and that a keyboard is enough and a mouse too."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App

from eventctl.tui.dialogs import Choice, Entry, Field, Form, Tick

NAME = Field("name", "name", hint="how it is called", check=lambda value: "" if value else "it has a name")


def play(form, script, size=(80, 24)):
    """Open the form, let `script` use it, and give what it answered; "" while it is still open."""
    answers = []

    async def main():
        app = App()
        async with app.run_test(size=size) as pilot:
            app.push_screen(form, answers.append)
            await pilot.pause()
            await script(app, pilot)
            await pilot.pause()

    asyncio.run(main())
    return answers[0] if answers else ""


def letters(app):
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


def keys(*names):
    async def script(app, pilot):
        await pilot.press(*names)

    return script


def test_enter_sends_what_was_typed():
    assert {"name": "ab"} == play(Form("New", [NAME]), keys("a", "b", "enter"))


def test_escape_answers_nothing():
    assert play(Form("New", [NAME]), keys("a", "escape")) is None


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_sent():
    async def script(app, pilot):
        await pilot.press("enter")
        assert "✗ it has a name" in letters(app)
        assert isinstance(app.screen, Form)
        await pilot.press("x", "enter")

    assert {"name": "x"} == play(Form("New", [NAME]), script)


def test_the_first_field_that_is_wrong_gets_the_cursor():
    async def script(app, pilot):
        await pilot.press("tab", "enter")
        assert app.screen.query(Entry).first().control.has_focus

    assert "" == play(Form("New", [NAME, Field("more", "more")]), script)


def test_tab_and_the_arrows_go_from_field_to_field():
    fields = [NAME, Field("sort", "sort", "b", choices=("a", "b", ("c", "the third"))), Field("loud", "loud", flag=True)]
    sent = play(Form("New", fields), keys("x", "tab", "down", "tab", "space", "enter"))
    assert {"name": "x", "sort": "c", "loud": True} == sent
    assert {"a": "1", "b": "2"} == play(Form("New", [Field("a", "a"), Field("b", "b")]), keys("down", "2", "up", "1", "enter"))


def test_a_choice_shows_by_a_mark_which_one_it_is():
    async def script(app, pilot):
        await pilot.pause()
        assert "○ a" in letters(app)
        assert "● b" in letters(app)

    play(Form("New", [Field("sort", "sort", "b", choices=("a", "b"))]), script)


def test_a_tick_is_a_mark():
    async def script(app, pilot):
        await pilot.pause()
        assert "✓" not in letters(app)
        await pilot.press("space")
        assert "✓" in letters(app)

    play(Form("New", [Field("loud", "loud", flag=True)]), script)


def test_in_several_lines_enter_is_a_new_line_and_ctrl_enter_sends():
    fields = [Field("text", "text", lines=3)]
    assert {"text": "a\nb"} == play(Form("New", fields), keys("a", "enter", "b", "ctrl+enter"))
    assert {"text": "a"} == play(Form("New", fields), keys("a", "ctrl+s"))


def test_without_fields_it_is_a_question():
    assert {} == play(Form("Sure?", yes="Yes"), keys("enter"))
    assert play(Form("Sure?"), keys("tab", "enter")) is None


def test_a_mouse_is_enough():
    async def script(app, pilot):
        await pilot.click(Choice, offset=(3, 1))
        assert isinstance(app.screen, Form)
        await pilot.click(Tick)
        await pilot.click("#yes")

    fields = [Field("sort", "sort", choices=("a", "b")), Field("loud", "loud", flag=True)]
    assert {"sort": "b", "loud": True} == play(Form("New", fields), script)


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
def test_many_fields_scroll_and_the_ways_out_stay_in_sight(size):
    async def script(app, pilot):
        assert "Cancel" in letters(app)
        for _ in range(19):
            await pilot.press("tab")
        assert "field 19" in letters(app)
        assert "Cancel" in letters(app)

    play(Form("Long", [Field(f"f{at}", f"field {at}") for at in range(20)], said="word " * 100), script, size)


def test_text_of_strangers_is_letters_and_no_markup():
    async def script(app, pilot):
        await pilot.pause()
        assert "[b]title[/b]" in letters(app)
        assert "[@click=app.quit()]x" in letters(app)
        assert "[red]label" in letters(app)
        assert "\x1b" not in letters(app)

    fields = [
        Field("a", "[red]label", choices=("[b]1", "\x1b[31m2")),
        Field("b", "b", hint="[b]hint"),
        Field("c", "c", hint="[/]", flag=True),
    ]
    play(Form("[b]title[/b]", fields, said="[@click=app.quit()]x\x1b[2J", yes="[/b]"), script)


def test_a_mistake_of_the_whole_form_is_said_beside_a_field_too():
    def check(values):
        return {} if values["a"] or values["b"] else {"b": "one of them is needed"}

    async def script(app, pilot):
        await pilot.press("enter")
        assert "✗ one of them is needed" in letters(app)
        await pilot.press("x", "enter")

    assert {"a": "", "b": "x"} == play(Form("New", [Field("a", "a"), Field("b", "b")], check=check), script)
