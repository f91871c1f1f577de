"""The one list: where its cursor stands, what it marks, what it asks for."""

from __future__ import annotations

import asyncio

from textual.app import App, ComposeResult

from eventctl.tui.look import Cell
from eventctl.tui.rows import Column, Row, RowList

COLUMNS = (Column("id", 5), Column("title", 0))


class Lone(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.wanted = 0
        self.chosen: list[str] = []

    def compose(self) -> ComposeResult:
        yield RowList(COLUMNS)

    @property
    def rows(self) -> RowList:
        return self.query_one(RowList)

    def on_row_list_wanted(self) -> None:
        self.wanted += 1

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        self.chosen.append(message.rows.key)


def rows(*numbers: int, group: str = "") -> list[Row]:
    return [Row(f"n{number}", (Cell(f"n{number}"), Cell(f"title {number}")), group) for number in numbers]


def play(script, size=(40, 12)):
    async def main():
        app = Lone()
        async with app.run_test(size=size) as pilot:
            await script(app, pilot)

    asyncio.run(main())


def test_the_cursor_stays_with_its_row_when_the_order_changes():
    async def script(app, pilot):
        app.rows.fill(rows(1, 2, 3, 4))
        await pilot.press("down", "down")
        assert "n3" == app.rows.key
        app.rows.fill(rows(9, 8, 3, 1, 2))
        assert "n3" == app.rows.key
        app.rows.fill(rows(9, 8, 1))
        assert "n1" == app.rows.key

    play(script)


def test_a_row_that_moves_stays_at_the_height_where_the_eye_is():
    async def script(app, pilot):
        app.rows.fill(rows(*range(100)))
        await pilot.press("pagedown", "pagedown", "down", "down")
        height = app.rows.place - app.rows.scroll_offset.y
        app.rows.fill(rows(*range(1000, 1030), *range(100)))
        assert height == app.rows.place - app.rows.scroll_offset.y

    play(script)


def test_other_words_in_the_same_rows_move_nothing_also_where_the_cursor_is_out_of_sight():
    async def script(app, pilot):
        app.rows.fill(rows(*range(100)))
        await pilot.pause()
        app.rows.scroll_to(y=50, animate=False, immediate=True)
        app.rows.fill([row._replace(cells=(Cell("x"), Cell("other"))) for row in rows(*range(100))])
        await pilot.pause()
        assert ("n0", 50) == (app.rows.key, app.rows.scroll_offset.y)
        assert "other" in app.rows.render_line(1).text

    play(script)


def test_the_cursor_is_in_sight_also_when_there_is_less_room():
    async def script(app, pilot):
        app.rows.fill(rows(*range(100)))
        await pilot.press("pagedown")
        await pilot.resize_terminal(40, 5)
        await pilot.pause()
        assert app.rows.scroll_offset.y <= app.rows.place < app.rows.scroll_offset.y + 4

    play(script)


def test_headers_are_no_rows_for_the_cursor():
    async def script(app, pilot):
        app.rows.fill([*rows(1, 2, group="today"), *rows(3, group="yesterday")])
        assert "n1" == app.rows.key
        await pilot.press("down", "down")
        assert "n3" == app.rows.key
        await pilot.press("up")
        assert "n2" == app.rows.key
        await pilot.press("home")
        assert "n1" == app.rows.key

    play(script)


def test_a_move_is_about_what_is_marked_and_else_about_the_row_under_the_cursor():
    async def script(app, pilot):
        app.rows.fill(rows(1, 2, 3))
        assert ["n1"] == app.rows.chosen
        await pilot.press("space", "space")
        assert ["n1", "n2"] == app.rows.chosen
        app.rows.fill(rows(2, 3))
        assert ["n2"] == app.rows.chosen
        await pilot.press("asterisk")
        assert ["n2", "n3"] == app.rows.chosen
        await pilot.press("asterisk")
        assert ["n3"] == app.rows.chosen

    play(script)


def test_pages_are_wanted_before_the_end_and_once():
    async def script(app, pilot):
        app.rows.fill(rows(*range(200)), more=True)
        await pilot.pause()
        assert 0 == app.wanted
        await pilot.press("end", "up", "end")
        await pilot.pause()
        assert 1 == app.wanted
        app.rows.extend(rows(199, *range(200, 220)))
        assert 220 == app.rows.loaded

    play(script)


def test_a_click_goes_there_and_a_second_one_opens():
    async def script(app, pilot):
        app.rows.fill(rows(1, 2, 3))
        await pilot.pause()
        await pilot.click(RowList, offset=(3, 3))
        assert "n3" == app.rows.key
        assert [] == app.chosen
        await pilot.click(RowList, offset=(3, 2), times=2)
        await pilot.pause()
        assert ["n2"] == app.chosen
        await pilot.click(RowList, offset=(3, 9))
        assert "n2" == app.rows.key

    play(script)


SNUG = (Column("id", 7, snug=True), Column("state", 20, snug=True), Column("title", 0))


class Tight(Lone):
    def compose(self) -> ComposeResult:
        yield RowList(SNUG, empty="Nothing.")


def lines(app) -> list[str]:
    return [app.rows.render_line(y).text.rstrip() for y in range(app.rows.size.height)]


def tight(script, size):
    async def main():
        app = Tight()
        async with app.run_test(size=size) as pilot:
            await script(app, pilot)

    asyncio.run(main())


def row(number: int, state: str, title: str) -> Row:
    return Row(f"n{number}", (Cell(f"n{number}"), Cell(state), Cell(title)))


def test_what_a_snug_column_does_not_need_the_title_has():
    async def script(app, pilot):
        app.rows.fill([row(1, "open", "a title of thirty-two characters")])
        assert " n1 open  a title of thirty-two characters" == lines(app)[1].replace("▸", " ")

    tight(script, (44, 6))


def test_a_snug_column_grows_to_its_share_and_never_shrinks():
    async def script(app, pilot):
        app.rows.fill([row(1, "claude-code-of-somebody has it", "t")])
        assert "▸n1 claude-code-of… t" == lines(app)[1]
        app.rows.fill([row(1, "open", "t")])
        assert "▸n1 open            t" == lines(app)[1]

    tight(script, (60, 6))


def test_a_list_says_that_it_is_empty_only_when_it_was_read():
    async def script(app, pilot):
        assert not any("Nothing." in line for line in lines(app))
        app.rows.fill([])
        assert any("Nothing." in line for line in lines(app))

    tight(script, (60, 6))
