"""Text from strangers is letters on every screen of the dashboard: 10,000 strings are shown, and none acts, links or reaches the terminal.

What counts as hostile is decided by Unicode's categories, not by the list that `safe_text` uses; what the real program writes is held
against what it writes over a workspace of good words.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import time

import pytest
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import App
from textual.binding import Binding
from textual.content import Content
from textual.widgets import Button, Input, Static

from eventctl.sqlite_store import SqliteStore
from eventctl.tui.look import Cell
from eventctl.tui.room import Room
from eventctl.tui.rows import Column, Row, RowList
from tests.cli.conftest import CLEAN, NOON, Face
from tests.tui import hostile
from tests.tui.kit import NARROW, USUAL, play, press, settled
from tests.tui.ptykit import WAIT_S, Terminal

pytestmark = pytest.mark.timeout(300)  # a machine that does other things besides takes its time over 10,000 rows

ROOMS = ("1", "2", "3", "4", "5", "6")
SAMPLE = 500
HUGE = (160, 210)
"""A screen that shows as many rows as are read at once."""
PASTED = 8
LEAVES = frozenset({"q", "ctrl+c", "ctrl+q", "ctrl+z"})
"""Keys that end or suspend the program."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return folder, {**CLEAN, "HOME": str(folder), "TZ": "UTC", "EVENTCTL_MEMBER": "ada"}


@pytest.fixture(scope="module")
def evil(home):
    """All of them."""
    folder, env = home
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eventctl.starter.SHIPPED", ())
        return hostile.make(folder / "evil", env, hostile.COUNT)


@pytest.fixture(scope="module")
def sample(home):
    """Some of them."""
    folder, env = home
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eventctl.starter.SHIPPED", ())
        return hostile.make(folder / "sample", env, SAMPLE)


@pytest.fixture
def some(sample, tmp_path):
    """A copy, to do things to."""
    shutil.copytree(sample.root, tmp_path / "sample")
    return Face(tmp_path / "sample", sample.env, NOON)


def moves(face):
    """How many moves stand in the log."""
    store = SqliteStore.open(face.root / ".eventctl/state.db", role="reader")
    try:
        return len(store.read_log(0, 1_000_000, kinds=("move",)))
    finally:
        store.close()


def fresh(face, script, **more):
    """Play it from where everybody begins."""
    (face.root / ".eventctl/dashboard.json").unlink(missing_ok=True)
    return play(face, script, **more)


def strips(app):
    return app.screen._compositor.render_strips()


def fine(app):
    """Nothing on this screen is more than letters."""
    assert [] == hostile.wrong(strips(app)), f"in {app.screen!r}"


def letters(app):
    return "\n".join(strip.text for strip in strips(app))


def test_all_of_them_are_shown_in_the_inbox_and_nothing_happens(evil, monkeypatch):
    monkeypatch.setattr("eventctl.tui.app.AGEING_BEATS", 1_000_000)  # nothing is read anew because time passes
    before, shown = moves(evil), set()

    async def script(pilot, app):
        open_ = (await app.desk.read(lambda store: store.views.counts())).notifications_open
        rows, before = app.screen.query_one(RowList), ""
        while rows.key != before:
            fine(app)
            shown.update(re.findall(r"\bn\d+\b", letters(app)))
            before = rows.key
            await press(pilot, "pagedown")
        assert isinstance(app.screen, Room)
        return open_

    open_ = fresh(evil, script, size=HUGE)
    assert open_ > hostile.COUNT * 0.9
    assert len(shown) > open_ * 0.99
    assert before == moves(evil)


@pytest.mark.parametrize("size", [NARROW, USUAL], ids=["80x24", "120x40"])
def test_every_room_and_what_opens_in_it_shows_letters_alone(sample, size):
    before = moves(sample)

    async def script(pilot, app):
        for room in ROOMS:
            await press(pilot, room)
            fine(app)
            for key in ("enter", "pagedown", "escape", "G", "enter", "escape"):
                await press(pilot, key)
                fine(app)
            while len(app.screen_stack) > 1:
                app.pop_screen()
                await settled(pilot)

    fresh(sample, script, size=size)
    assert before == moves(sample)


@pytest.mark.parametrize("room", ROOMS)
def test_every_key_of_a_room_leaves_letters_alone_on_the_screen(some, room):
    """What is asked, told and done about them is said in their words too."""

    async def script(pilot, app):
        await press(pilot, room, "j")
        fine(app)
        pressed, mode = 0, app.current_mode
        for key in sorted({key for screen in (app.front, app) for key in keys(screen)} - LEAVES):
            await pilot.press(key)
            await settled(pilot)
            fine(app)
            pressed += 1
            if len(app.screen_stack) > 1 or isinstance(app.focused, Input):
                await press(pilot, "escape")
                fine(app)
            while len(app.screen_stack) > 1:
                app.pop_screen()
                await settled(pilot)
            if app.current_mode != mode or isinstance(app.focused, Input):
                await app.run_action(f"go('{mode}')")
                app.front.query(RowList).first().focus()
        return pressed

    assert fresh(some, script) > 15


def keys(node):
    """The keys that mean something on a screen, and on the widget that has the focus there."""
    return [key for key, _ in node._bindings] + (
        [key for key, _ in node.focused._bindings] if getattr(node, "focused", None) else []
    )


def test_what_a_person_pastes_is_letters_as_well(sample):
    before = moves(sample)

    async def script(pilot, app):
        arrived = 0
        for opening in (("1", "slash"), ("ctrl+p",)):
            for text in ["a\x1b[2Jb", "a\x9bb\u202ec", *hostile.strings(31, PASTED)]:
                await press(pilot, *opening)
                app.post_message(events.Paste(text))
                await settled(pilot)
                fine(app)
                arrived += app.screen.query(Input).first().value != ""
                await press(pilot, *(["enter"] if opening[0] == "1" else []), "escape")
                fine(app)
        return arrived

    assert fresh(sample, script) > PASTED
    assert before == moves(sample)


def test_a_click_on_a_strangers_words_goes_to_their_row_and_nowhere_else(sample):
    before = moves(sample)

    async def script(pilot, app):
        rows = app.screen.query_one(RowList)
        clicked = 0
        for line in range(1, rows.size.height - 1, 3):
            for column in range(2 + line % 5, rows.size.width - 3, 19):
                await pilot.click(RowList, offset=(column, line))
            await settled(pilot)
            assert len(app.screen_stack) == 1
            assert isinstance(app.screen, Room)
            assert "inbox" == app.current_mode
            clicked += rows.key in letters(app).splitlines()[rows.region.y + line]
        return clicked

    assert fresh(sample, script) > 8
    assert before == moves(sample)


def test_a_click_on_what_a_notification_says_does_nothing(sample):
    before = moves(sample)

    async def script(pilot, app):
        await press(pilot, "j", "j", "enter")
        clicked, here = 0, app.screen
        for widget in [each for each in here.query("*") if isinstance(each, Static) and not isinstance(each, Button)]:
            if (
                widget.region.height
                and widget.region.y > 1
                and widget.region.bottom < app.size.height - 1
                and not widget.children
            ):
                for column in range(0, widget.region.width, 7):
                    await pilot.click(offset=(widget.region.x + column, widget.region.y))
                    clicked += 1
                await settled(pilot)
                fine(app)
        return clicked

    assert fresh(sample, script, size=USUAL) > 5
    assert before == moves(sample)


# --- what the real program writes to a real terminal -------------------------------------------------------------------------------

SEQUENCE = re.compile(
    r"\x1b\[(?P<params>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~])|\x1b\](?P<osc>\d*)[^\x07\x1b]*(?:\x07|\x1b\\)|\x1b(?P<other>.)|(?P<alone>[\x00-\x1a\x1c-\x1f\x7f-\x9f])",
    re.DOTALL,
)
WALK = (
    b"jj",
    b"\r",
    b"\x1b[6~",
    b"\x1b",
    b"2",
    b"j",
    b"3",
    b"4",
    b"jjj",
    b"5",
    b"\r",
    b"\x1b",
    b"6",
    b"1",
    b"?",
    b"\x1b",
    b"/a\x1b[200~\x1b]52;c;aGk=\x07\x9b2J\x1b[201~",
    b"\x1b",
)
"""Keys through all rooms, and a text that is pasted."""
QUIET_S = 0.5


def kinds(written):
    """What a terminal was told beyond letters: the kinds of sequences, colours and places left out."""
    text, found = written.decode("utf-8", "surrogateescape"), set()
    for each in SEQUENCE.finditer(text):
        if each["final"]:
            params = "" if each["final"] in "mHABCDGKXf" else each["params"]
            found.add(f"CSI {params}{each['between']}{each['final']}")
        else:
            found.add(
                f"OSC {each['osc']}"
                if each["osc"] is not None
                else f"ESC {each['other']}"
                if each["other"]
                else f"{each['alone']!r}"
            )
    return found | {repr(letter) for letter in hostile.unsafe(SEQUENCE.sub("", text))}


def written(face):
    """All that the program writes to a terminal on its way through its rooms."""
    (face.root / ".eventctl/dashboard.json").unlink(missing_ok=True)
    with Terminal(
        ["-w", str(face.root), "dashboard", "--no-run"], {**face.env, "COLORTERM": "truecolor"}, size=USUAL
    ) as terminal:
        said = calm(terminal, until=b"Inbox")
        for keys in WALK:
            terminal.press(keys)
            said = calm(terminal)
        terminal.press(b"q")
        terminal.ended()
        return said + terminal.said[len(said) :]


def calm(terminal, until=b""):
    """Read until nothing comes any more; all that has come."""
    quiet = time.monotonic()
    while until not in terminal.said or time.monotonic() - quiet < QUIET_S:
        before = len(terminal.said)
        terminal._read()
        quiet = time.monotonic() if len(terminal.said) > before else quiet
        assert time.monotonic() - quiet < WAIT_S, terminal.said[-500:]
    return terminal.said


def test_a_real_terminal_is_told_nothing_that_it_is_not_told_over_good_words(sample, busy):
    good, evil = kinds(written(busy)), kinds(written(sample))
    assert {"CSI m", "CSI ?1049h"} <= good
    assert set() == evil - good
    assert set() == evil & {"OSC 8", "OSC 52", "OSC 0", "OSC 2", "ESC P", "ESC _", "ESC ^", "ESC X", "ESC c"}


@pytest.mark.parametrize(
    "text", ["\x1b]52;c;aGk=\x07", "\x1b]8;;http://x\x1b\\", "\x1b[2J", "\x9b31m", "\x1b]0;title\x07", "\u202e", "\x1bc"]
)
def test_a_sequence_among_letters_is_seen(text):
    letters_alone = "\x1b[1;31mall \x1b[3;4Hwell"
    assert {"CSI m", "CSI H"} == kinds(letters_alone.encode())
    assert 1 == len(kinds((letters_alone + text + "x").encode()) - {"CSI m", "CSI H"})


# --- the controls: what these tests look for is found where it is ------------------------------------------------------------------


def drawn(widget):
    """What is wrong with a widget alone on a screen."""

    class Lone(App[None]):
        BINDINGS = [Binding("q", "quit", "Quit")]

        def compose(self):
            yield widget

    async def main():
        app = Lone()
        async with app.run_test(size=(60, 5)) as pilot:
            await pilot.pause()
            return hostile.wrong(strips(app))

    return asyncio.run(main())


def test_a_widget_that_takes_markup_is_caught():
    assert "a click that acts" in drawn(Static("[@click=app.quit]x[/]"))[0]
    assert "a link" in drawn(Static('[link="https://evil.example"]x[/link]'))[0]
    assert [] == drawn(Static('[@click=app.quit]x[/] [link="https://evil.example"]x[/link]', markup=False))


def test_a_widget_that_paints_what_it_is_given_is_caught():
    def listed(text):
        rows = RowList((Column("title", 0),))
        rows.call_after_refresh(rows.fill, [Row("n1", (Cell(text),))])
        return rows

    assert "letters that a terminal obeys" in drawn(listed("a\x1b[2Jb"))[0]
    assert "letters that a terminal obeys" in drawn(listed("a\u202eb"))[0]
    assert [] == drawn(listed("ab"))


def test_a_link_by_style_is_caught():
    assert "a link" in drawn(Static(Content.from_rich_text(Text("x", Style(link="https://e.example")))))[0]
