"""A pipeline's order drawn: what it looks like, that every line can be followed, that nothing lies over anything else, and its keys."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from eventctl.graph import Graph, Node, build
from eventctl.tui.live.boxes import BOX_WIDTH, CELLS_MAX, Plot, plot
from eventctl.tui.live.dagview import DagView, Inside
from eventctl.tui.look import Cell

ARMS = {
    "│": "ud", "─": "lr", "┌": "dr", "┐": "dl", "└": "ur", "┘": "ul", "├": "udr", "┤": "udl", "┬": "dlr", "┴": "ulr", "┼": "udlr"
}  # fmt: skip
STEP = {"u": (0, -1), "d": (0, 1), "l": (-1, 0), "r": (1, 0)}
BACK = {"u": "d", "d": "u", "l": "r", "r": "l"}

SHAPES = {
    "chain": {"a": [], "b": ["a"], "c": ["b"]},
    "diamond": {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]},
    "fan-out": {"a": [], "b": ["a"], "c": ["a"], "d": ["a"]},
    "two roots": {"a": [], "b": [], "c": ["a", "b"]},
    "skip-level edge": {"a": [], "b": ["a"], "c": ["a", "b"]},
    "one": {"a": []},
}


def graph(before: dict[str, list[str]]) -> Graph:
    made, problems = build([Node(name, "", after=tuple(earlier)) for name, earlier in before.items()])
    assert [] == problems
    return made


def plotted(made: Graph) -> Plot:
    found = plot(made)
    assert found is not None
    return found


def named(picture: Plot) -> list[str]:
    """The rows with each box's name in its first line."""
    rows = [list(row) for row in picture.rows]
    for box in picture.boxes.values():
        rows[box.y + 1][box.x + 2 : box.x + 2 + len(box.name)] = box.name
    return ["".join(row).rstrip() for row in rows]


def reached(picture: Plot, name: str) -> set[str]:
    """The boxes that one comes to by following the lines out of a box, as an eye does: straight on where two cross."""
    box = picture.boxes[name]
    if picture.rows[box.out][box.x + box.width - 1] != "├":
        return set()
    found, seen, todo = set(), set(), [(box.x + box.width, box.out, "r")]
    while todo:
        x, y, way = place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        glyph = picture.rows[y][x]
        if glyph == "▶":
            target = picture.at(x + 1, y)
            assert target is not None, f"an arrow into nothing at {x}, {y}"
            found.add(target.name)
            continue
        assert BACK[way] in ARMS[glyph], f"the line breaks at {x}, {y}"
        ways = way if glyph == "┼" else ARMS[glyph].replace(BACK[way], "")
        todo += [(x + STEP[on][0], y + STEP[on][1], on) for on in ways]
    return found


def followed(picture: Plot) -> set[tuple[str, str]]:
    return {(name, target) for name in picture.boxes for target in reached(picture, name)}


def edges(made: Graph) -> set[tuple[str, str]]:
    return {(earlier, name) for name, all_earlier in made.before.items() for earlier in all_earlier}


def overlaps(picture: Plot) -> list[tuple[str, str]]:
    boxes = list(picture.boxes.values())
    return [
        (one.name, other.name)
        for at, one in enumerate(boxes)
        for other in boxes[at + 1 :]
        if one.x < other.x + other.width and other.x < one.x + one.width and one.y < other.y + other.height and other.y < one.y + one.height
    ]  # fmt: skip


PICTURES = {
    "chain": """
╭──────────────────────────╮      ╭──────────────────────────╮      ╭──────────────────────────╮
│ a                        ├──┐   │ b                        ├──┐   │ c                        │
│                          │  └──▶│                          │  └──▶│                          │
│                          │      │                          │      │                          │
╰──────────────────────────╯      ╰──────────────────────────╯      ╰──────────────────────────╯
""",
    "diamond": """
╭──────────────────────────╮      ╭──────────────────────────╮      ╭──────────────────────────╮
│ a                        ├──┐   │ b                        ├──┐   │ d                        │
│                          │  ├──▶│                          │  └──▶│                          │
│                          │  │   │                          │      │                          │
╰──────────────────────────╯  │   ╰──────────────────────────╯  ┌──▶│                          │
                              │                                 │   ╰──────────────────────────╯
                              │   ╭──────────────────────────╮  │
                              │   │ c                        ├──┘
                              └──▶│                          │
                                  │                          │
                                  ╰──────────────────────────╯
""",
    "fan-out": """
╭──────────────────────────╮      ╭──────────────────────────╮
│ a                        ├──┐   │ b                        │
│                          │  ├──▶│                          │
│                          │  │   │                          │
╰──────────────────────────╯  │   ╰──────────────────────────╯
                              │
                              │   ╭──────────────────────────╮
                              │   │ c                        │
                              ├──▶│                          │
                              │   │                          │
                              │   ╰──────────────────────────╯
                              │
                              │   ╭──────────────────────────╮
                              │   │ d                        │
                              └──▶│                          │
                                  │                          │
                                  ╰──────────────────────────╯
""",
    "two roots": """
╭──────────────────────────╮      ╭──────────────────────────╮
│ a                        ├──┐   │ c                        │
│                          │  └──▶│                          │
│                          │      │                          │
╰──────────────────────────╯  ┌──▶│                          │
                              │   ╰──────────────────────────╯
╭──────────────────────────╮  │
│ b                        ├──┘
│                          │
│                          │
╰──────────────────────────╯
""",
    "skip-level edge": """
╭──────────────────────────╮      ╭──────────────────────────╮      ╭──────────────────────────╮
│ a                        ├──┐   │ b                        ├──┐   │ c                        │
│                          │  ├──▶│                          │  └──▶│                          │
│                          │  │   │                          │      │                          │
╰──────────────────────────╯  │   ╰──────────────────────────╯  ┌──▶│                          │
                              │                                 │   ╰──────────────────────────╯
                              │                                 │
                              │                                 │
                              └─────────────────────────────────┘
""",
    "one": """
╭──────────────────────────╮
│ a                        │
│                          │
│                          │
╰──────────────────────────╯
""",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_order_is_drawn_as_boxes_and_lines(shape):
    assert PICTURES[shape].strip("\n") == "\n".join(named(plotted(graph(SHAPES[shape])))).rstrip("\n")


def test_no_order_is_an_empty_picture():
    assert Plot() == plot(Graph())


def test_the_same_order_is_the_same_picture():
    made = graph({f"c{n}": [f"c{m}" for m in range(max(0, n - 3), n)] for n in range(30)})
    assert plot(made) == plot(graph({name: list(before) for name, before in made.before.items()}))


@st.composite
def orders(draw):
    size = draw(st.integers(1, 14))
    return {
        f"c{n}": [f"c{m}" for m in draw(st.lists(st.integers(0, n - 1), max_size=4, unique=True))] if n else []
        for n in range(size)
    }


@settings(max_examples=300, deadline=None)
@given(orders())
def test_every_edge_can_be_followed_in_the_drawing_and_nothing_else_can(before):
    made = graph(before)
    picture = plotted(made)
    assert edges(made) == followed(picture)
    assert [] == overlaps(picture)


def test_two_hundred_cartridges_are_drawn_and_every_edge_of_them_can_be_followed():
    dice = random.Random(7)
    names = [f"c{n}" for n in range(200)]
    made = graph({n: dice.sample(names[max(0, at - 60) : at], min(at, dice.randint(0, 3))) for at, n in enumerate(names)})
    picture = plotted(made)
    assert 200 == len(picture.boxes)
    assert edges(made) == followed(picture)
    assert [] == overlaps(picture)
    assert picture.width * len(picture.rows) <= CELLS_MAX


def test_two_hundred_cartridges_that_nobody_orders_stand_below_each_other():
    picture = plotted(graph({f"c{n}": [] for n in range(200)}))
    assert BOX_WIDTH == picture.width
    assert [] == overlaps(picture)


def test_a_picture_that_would_not_end_is_not_begun():
    names = [f"c{n}" for n in range(200)]
    assert None is plot(graph({name: names[:at] for at, name in enumerate(names)}))  # 19,900 edges


def test_a_name_that_stands_twice_is_drawn_once():
    picture = plotted(Graph((("a", "a", "b"),), {"a": (), "b": ()}))
    assert ["a", "b"] == list(picture.boxes)
    assert [] == overlaps(picture)


class Lone(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.chosen: list[str] = []

    def compose(self) -> ComposeResult:
        yield DagView()

    def on_dag_view_chosen(self, message: DagView.Chosen) -> None:
        self.chosen.append(message.name)


def play(script, size=(120, 30)):
    async def main():
        app = Lone()
        async with app.run_test(size=size) as pilot:
            app.query_one(DagView).focus()
            await pilot.pause()
            await script(pilot, app, app.query_one(DagView))

    asyncio.run(main())


def letters(view: DagView) -> str:
    return "\n".join(view.render_line(y).text.rstrip() for y in range(view.size.height)).rstrip()


def shown_in(made: Graph, view: DagView) -> None:
    inside = {name: Inside(Cell(name), Cell("12 runs"), Cell("● active", "good")) for name in made.before}
    view.show(plot(made), inside, ["in words", *made.before], [Cell("✗ switched off: z")])


def test_keys_go_from_box_to_box_and_enter_chooses():
    async def script(pilot, app, view):
        shown_in(graph(SHAPES["diamond"]), view)
        assert "a" == view.name_here
        await pilot.press("right", "j", "enter")
        assert "c" == view.name_here
        await pilot.press("l", "enter", "left", "k", "enter", "g", "enter", "G", "enter")
        assert ["c", "d", "b", "a", "d"] == app.chosen

    play(script)


def test_a_click_goes_to_a_box_and_a_second_one_chooses_it():
    async def script(pilot, app, view):
        shown_in(graph(SHAPES["diamond"]), view)
        await pilot.pause()
        await pilot.click(DagView, offset=(40, 8))
        assert "c" == view.name_here
        assert [] == app.chosen
        await pilot.click(DagView, offset=(40, 2), times=2)
        await pilot.pause()
        assert ["b"] == app.chosen

    play(script)


def test_a_picture_larger_than_the_screen_is_scrolled_to_the_box_under_the_cursor():
    async def script(pilot, app, view):
        shown_in(graph({f"c{n}": [f"c{n - 1}"] if n else [] for n in range(40)}), view)
        await pilot.pause()
        assert "c39" not in letters(view)
        await pilot.press("G")
        await pilot.pause()
        assert "│ c39 " in letters(view)
        assert "c1 " not in letters(view)

    play(script)


def test_what_is_on_the_screen_is_the_same_wherever_it_is_scrolled_to():
    async def script(pilot, app, view):
        made = graph({f"c{n}": [f"c{m}" for m in (n - 1, n - 3) if m >= 0] for n in range(12)})
        shown_in(made, view)
        await pilot.pause()
        whole = [view.render_line(y).text for y in range(view.size.height)]
        for x in (1, 7, 27, 28, 33, 50):
            view.scroll_to(x=x, animate=False, immediate=True)
            for y, row in enumerate(whole):
                assert row[x:] == view.render_line(y).text[: len(row) - x]

    play(script)


def test_where_there_is_no_room_the_order_is_said_in_words():
    async def script(pilot, app, view):
        shown_in(graph(SHAPES["chain"]), view)
        await pilot.pause()
        assert "in words\na\nb\nc" == letters(view)

    play(script, size=(40, 12))


def test_what_is_switched_off_stands_below():
    async def script(pilot, app, view):
        shown_in(graph(SHAPES["one"]), view)
        assert letters(view).endswith("✗ switched off: z")

    play(script)


def test_wide_letters_and_long_names_stay_inside_their_box():
    async def script(pilot, app, view):
        made = graph({"a": [], "b": ["a"]})
        inside = {"a": Inside(Cell("漢" * 40), Cell("x" * 99)), "b": Inside(Cell("[red]b[/]"))}
        view.show(plot(made), inside, [])
        await pilot.pause()
        rows = [view.render_line(y) for y in range(5)]
        assert {120} == {row.cell_length for row in rows}
        assert "[red]b[/]" in rows[1].text
        assert [True] * 3 == [row.crop(27, 28).text in "│├" for row in rows[1:4]]

    play(script)
