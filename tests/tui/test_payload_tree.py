"""A JSON value as a tree: built as far as somebody looks, whole where they look, and never anything but letters."""

from __future__ import annotations

import asyncio

from rich.style import Style
from textual.app import App, ComposeResult

from eventctl.tui.detail.payloadtree import PAGE, UNFOLDED, PayloadTree

HOSTILE = ["[red]x[/red]", "[@click=app.quit]x[/]", "[/]", "\x1b[31m", "a\nb", "\u202eabc", "[", "\\[", "{x}", "$text", "\x00"]


class Lone(App[None]):
    def compose(self) -> ComposeResult:
        yield PayloadTree()

    @property
    def tree(self) -> PayloadTree:
        return self.query_one(PayloadTree)

    def labels(self) -> list[str]:
        nodes = [self.tree.get_node_at_line(line) for line in range(self.tree.last_line + 1)]
        return [self.tree.render_label(node, Style.null(), Style.null()).plain[2:] for node in nodes]


def play(script, size=(100, 60)):
    async def main():
        app = Lone()
        async with app.run_test(size=size) as pilot:
            await script(app, pilot)

    asyncio.run(main())


def deep(levels):
    value: object = "bottom"
    for level in range(levels):
        value = {f"level{level}": value}
    return value


def test_ten_thousand_keys_and_sixty_levels_are_opened_a_page_and_a_level_at_a_time():
    async def script(app, pilot):
        app.tree.show({f"key{at}": deep(60) for at in range(10_000)})
        await pilot.pause()
        assert PAGE + 1 == app.tree.nodes
        assert "… 9,900 more" == app.labels()[-1]
        app.tree.focus()
        await pilot.press("right")
        await pilot.pause()
        assert PAGE + 2 == app.tree.nodes
        node = app.tree.root.children[0]
        for _ in range(59):
            node = node.children[0].expand()
            await pilot.pause()
        assert PAGE + 61 == app.tree.nodes
        assert 'level0  "bottom"' in app.labels()

    play(script)


def test_more_is_added_below_what_there_is_and_the_cursor_stands_on_the_first_of_it():
    async def script(app, pilot):
        app.tree.show(list(range(250)))
        app.tree.focus()
        await pilot.press("end", "enter")
        await pilot.pause()
        assert 2 * PAGE + 1 == app.tree.nodes
        assert ("100  100", "… 50 more") == (app.labels()[app.tree.cursor_line], app.labels()[-1])
        await pilot.press("end", "enter")
        await pilot.pause()
        assert (250, "249  249") == (app.tree.nodes, app.labels()[-1])

    play(script)


def test_a_long_text_is_cut_beside_its_key_and_whole_below_it():
    async def script(app, pilot):
        text = "word " * 100 + "\nsecond line"
        app.tree.show({"said": text})
        await pilot.pause()
        assert 1 == len(app.labels())
        assert app.labels()[0].endswith('…"')
        app.tree.focus()
        await pilot.press("enter")
        await pilot.pause()
        below = [app.tree.root.children[0].children[at].data.key for at in range(7)]
        assert text == "".join(below[:6]) + "\n" + below[6]

    play(script, size=(140, 30))


def test_small_values_are_open_from_the_start_and_large_ones_are_not():
    async def script(app, pilot):
        app.tree.show({"small": {"a": 1, "b": {"c": True}}, "large": list(range(UNFOLDED + 1)), "none": None, "text": "7"})
        await pilot.pause()
        assert ["small  {2}", "a  1", "b  {1}", "c  true", "large  [25]", "none  null", 'text  "7"'] == app.labels()

    play(script)


def test_what_is_open_and_where_the_cursor_stands_stay_when_the_value_changes():
    async def script(app, pilot):
        app.tree.show({"a": list(range(30)), "b": list(range(30)), "c": 1})
        app.tree.focus()
        await pilot.press("down", "enter", "down", "down")
        await pilot.pause()
        assert "1  1" == app.labels()[app.tree.cursor_line]
        app.tree.show({"new": 0, "a": list(range(30)), "b": [7, 8], "c": 2})
        await pilot.pause()
        assert ["new  0", "a  [30]", "b  [2]", "0  7", "1  8", "c  2"] == app.labels()
        assert "1  8" == app.labels()[app.tree.cursor_line]
        app.tree.show({"b": [7, 8], "c": 2}, anew=True)
        await pilot.pause()
        assert ["b  [2]", "0  7", "1  8", "c  2"] == app.labels()

    play(script)


def test_a_click_opens_and_closes():
    async def script(app, pilot):
        app.tree.show({"a": list(range(30))})
        await pilot.pause()
        await pilot.click(PayloadTree, offset=(3, 0))
        await pilot.pause()
        assert 31 == app.tree.nodes
        assert app.tree.root.children[0].is_expanded
        await pilot.click(PayloadTree, offset=(3, 0))
        await pilot.pause()
        assert app.tree.root.children[0].is_collapsed

    play(script)


def test_keys_and_values_are_letters():
    async def script(app, pilot):
        for text in HOSTILE:
            app.tree.show({text: text, "list": [text, {text: [text]}]}, anew=True)
            await pilot.pause()
            shown = [app.tree.render_line(y).text for y in range(app.tree.last_line + 1)]
            assert all(line.isprintable() for line in shown)
            if text.isprintable():
                assert f'{text}  "{text}"' == app.labels()[0]
            await pilot.click(PayloadTree, offset=(4, 0))
            await pilot.pause()
            assert app.is_running

    play(script)
