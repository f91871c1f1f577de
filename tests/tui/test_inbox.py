"""The inbox: every key comes to what the command line comes to, is taken back, and is about the row it was pressed for."""

from __future__ import annotations

import json

import pytest
from textual.events import Key

from eventctl.times import DAY
from eventctl.tui.detail.screen import DetailRoom
from eventctl.tui.dialogs import Form
from eventctl.tui.inbox.beside import Beside
from eventctl.tui.inbox.listing import KEPT_MAX
from eventctl.tui.inbox.screen import InboxRoom
from tests.tui.inboxkit import emit, event, keys, listed, room, rows, told, twin
from tests.tui.kit import NARROW, USUAL, WIDE, play, press, settled, shown, typed

CLAIMED = [("inbox", "claim", "n5")]
STARTED = [*CLAIMED, ("inbox", "start", "n5")]
RESOLVED = [("inbox", "resolve", "n5", "-m", "by hand")]

MOVES = {
    "seen": ([], "s", [("inbox", "seen", "n5")]),
    "unseen": ([("inbox", "seen", "n5")], "S", [("inbox", "unseen", "n5")]),
    "claim": ([], "c", CLAIMED),
    "claim again": (CLAIMED, "c", CLAIMED),
    "work": ([], "w", STARTED),
    "work on what one has": (CLAIMED, "w", [("inbox", "start", "n5")]),
    "give back": (STARTED, "f", [("inbox", "release", "n5")]),
    "give back and say why": (CLAIMED, "F =lunch enter", [("inbox", "release", "n5", "-m", "lunch")]),
    "resolve": ([], "r =fixed enter", [("inbox", "resolve", "n5", "-m", "fixed")]),
    "resolve with nothing to say": ([], "r enter", [("inbox", "resolve", "n5")]),
    "resolve with a link": (
        CLAIMED, "r =fixed tab =http enter", [("inbox", "resolve", "n5", "-m", "fixed", "--link", "http")]
    ),
    "reopen": (RESOLVED, "R", [("inbox", "reopen", "n5")]),
    "snooze": ([], "z enter", [("inbox", "snooze", "n5", "--for", "1h")]),
    "snooze for a week": ([], "z down down down down enter", [("inbox", "snooze", "n5", "--for", "1w")]),
    "snooze as long as one likes": ([], "z tab =90m enter", [("inbox", "snooze", "n5", "--for", "90m")]),
    "end a snooze": ([("inbox", "snooze", "n5")], "Z", [("inbox", "unsnooze", "n5")]),
    "archive": ([], "e", [("inbox", "archive", "n5")]),
    "bring back": ([("inbox", "archive", "n5")], "E", [("inbox", "unarchive", "n5")]),
}  # fmt: skip
"""What was done before, the keys, and the same in words. A word with = is typed."""


@pytest.fixture
def desk(furnished):
    return furnished


async def hit(pilot, strokes):
    """Press keys, and type what stands behind a =."""
    for stroke in strokes.split():
        await (typed(pilot, stroke[1:]) if stroke[0] == "=" else press(pilot, stroke))


async def on(pilot, app, key, words="archived snoozed"):
    """Show everything, and put the cursor on a row."""
    room(app)._want(words)
    await settled(pilot)
    room(app).rows.point(key)
    await settled(pilot)


def said(face, *words):
    for each in words:
        face(*each)


STANDS = ("number", "state", "agent", "archived_at", "seen", "snoozed_until", "resolution", "lease_until")


def standing(face):
    return [[row[name] for name in STANDS] for row in sorted(rows(face), key=lambda row: row["number"])]


@pytest.mark.parametrize("move", MOVES)
def test_a_key_does_what_the_command_line_does_and_u_takes_it_back(desk, tmp_path, move):
    before, strokes, words = MOVES[move]
    said(desk, *before)
    stood = standing(desk)
    other = twin(desk, tmp_path)

    async def script(pilot, app):
        await on(pilot, app, "n5")
        await hit(pilot, strokes)
        then = rows(desk)
        assert rows(other) != then
        said(other, *words)
        assert rows(other) == then
        await press(pilot, "u")
        assert "taken back" in told(app)[-1]

    play(desk, script)
    assert stood == standing(desk)


def test_a_snooze_until_tomorrow_ends_at_nine(desk):
    async def script(pilot, app):
        await on(pilot, app, "n5")
        await hit(pilot, "z down down enter")

    play(desk, script)
    assert "2026-11-21T09:00:00.000000Z" == next(row["snoozed_until"] for row in rows(desk) if row["number"] == 5)


def test_muting_is_a_silence_like_the_row(desk, tmp_path):
    other = twin(desk, tmp_path)

    async def script(pilot, app):
        await on(pilot, app, "n5")
        await press(pilot, "m")
        assert "deployment.failed" in shown(app)
        await hit(pilot, "tab tab tab tab tab =moving tab down enter")
        assert "is quiet" in told(app)[-1]

    play(desk, script)
    other("silence", "add", "--type", "deployment.failed", "--entity", "eventctl://service/api", "--source", "cron",
          "--for", "1d", "--reason", "moving")  # fmt: skip
    assert silences(other) == silences(desk)
    assert 1 == len(silences(desk))


def test_muting_for_oneself_is_taken_back(desk):
    async def script(pilot, app):
        await on(pilot, app, "n5")
        await hit(pilot, "m tab tab tab tab tab =moving enter")
        assert ["ada"] == [each["for"] for each in silences(desk)]
        await press(pilot, "u")

    play(desk, script)
    assert [] == silences(desk)


def test_muting_several_begins_with_what_they_have_in_common(desk):
    async def script(pilot, app):
        await on(pilot, app, "n5")
        await press(pilot, "asterisk", "m")
        values = [entry.value for entry in app.screen.query("Entry")]
        assert ["", "", "cron", ""] == values[:4]
        await press(pilot, "escape")

    play(desk, script)


def test_a_silence_about_nothing_and_without_a_reason_is_not_sent(desk):
    async def script(pilot, app):
        await on(pilot, app, "n5")
        await press(pilot, "m", "enter")
        assert "a reason has 1 to" in shown(app)
        for _ in range(5):
            await press(pilot, "ctrl+u", "up")
        await hit(pilot, "ctrl+u down ctrl+u down ctrl+u down ctrl+u down ctrl+u =1d down =x enter")
        assert "a silence is about something" in shown(app)
        assert isinstance(app.screen, Form)

    play(desk, script)
    assert [] == silences(desk)


def silences(face):
    return json.loads(face("silence", "list", "--json").stdout)["items"]


def test_resolving_asks_for_what_the_event_asks_for(desk):
    async def script(pilot, app):
        await on(pilot, app, "n6")
        await press(pilot, "r", "enter")
        for name in ("cause *", "minutes", "again *", "hosts"):
            assert name in shown(app)
        assert "✗ this is needed" in shown(app)
        await hit(pilot, "=disk tab =some ctrl+s")
        assert "✗ this is a whole number" in shown(app)
        await hit(pilot, "ctrl+u =15 tab down tab =web-1 ctrl+s")

    play(desk, script)
    settled_as = {"summary": "", "cause": "disk", "minutes": 15, "again": False, "hosts": ["web-1"]}
    assert settled_as == next(row["resolution"] for row in rows(desk) if row["number"] == 6)


def test_several_that_ask_for_different_things_are_not_settled_together(desk):
    async def script(pilot, app):
        await on(pilot, app, "n6")
        await press(pilot, "asterisk", "r")
        assert "ask for different resolutions" in shown(app)
        await typed(pilot, "same")
        await press(pilot, "escape")
        assert isinstance(app.screen, InboxRoom)

    before = rows(desk)

    play(desk, script)
    assert before == rows(desk)


def test_letters_for_a_form_that_is_not_there_yet_move_nothing(desk):
    async def script(pilot, app):
        await on(pilot, app, "n5")
        for letter in "rsce":
            app.screen.post_message(Key(letter, letter))
        await settled(pilot)
        await press(pilot, "escape")
        assert isinstance(app.screen, InboxRoom)

    before = rows(desk)
    play(desk, script)
    assert before == rows(desk)


def test_those_that_are_marked_are_moved_together_and_taken_back_together(desk):
    before = rows(desk)

    async def script(pilot, app):
        await on(pilot, app, "n4")
        await press(pilot, "space", "space", "space")
        marked = room(app).rows.chosen
        assert 3 == len(marked)
        assert "3 marked" in shown(app)
        await hit(pilot, "r =same enter")
        assert "3 resolved" == told(app)[-1]
        assert set(marked) == {row["short"] for row in rows(desk) if row["state"] == "resolved"}
        assert "marked" not in shown(app)
        await press(pilot, "u")
        assert "3 resolved: taken back" == told(app)[-1]

    play(desk, script)
    assert [row["state"] for row in before] == [row["state"] for row in rows(desk)]


def test_one_that_somebody_holds_stops_no_other(desk):
    desk("inbox", "claim", "n2", "--agent", "builder")

    async def script(pilot, app):
        await on(pilot, app, "n1")
        await press(pilot, "asterisk", "c")
        assert told(app)[-1].startswith("5 yours; n2 is claimed by builder until")
        desk("inbox", "release", "n3")
        await press(pilot, "u")
        assert "4 yours: taken back; n3 has changed since" == told(app)[-1]

    play(desk, script)
    assert {"n2": "builder"} == {row["short"]: row["agent"] for row in rows(desk) if row["agent"]}


def test_a_refusal_says_what_to_do_next(desk):
    desk("inbox", "claim", "n5", "--agent", "builder")

    async def script(pilot, app):
        await on(pilot, app, "n5")
        await press(pilot, "w")
        assert "n5 is claimed by builder" in told(app)[-1]
        await press(pilot, "u")
        assert "nothing to take back" == told(app)[-1]

    play(desk, script)


def test_a_row_that_jumps_before_the_key_is_the_one_that_is_moved(desk):
    async def script(pilot, app):
        await on(pilot, app, "n3", words="")
        top = keys(app)[0]
        emit(
            desk,
            *(event(desk, "deployment.failed", f"new-{n}", {"slug": f"s{n}", "sha": "b", "reason": "x"}) for n in range(8)),
        )
        emit(desk, event(desk, "job.failed", "again", {"job": "reindex", "exit_code": 9}))
        app.reread()
        await settled(pilot)
        assert top != keys(app)[0]
        await press(pilot, "c")

    play(desk, script)
    assert {"n3": "ada"} == {row["short"]: row["agent"] for row in rows(desk) if row["agent"]}


def test_a_row_that_somebody_takes_out_stays_under_the_cursor_until_it_is_left(desk):
    async def script(pilot, app):
        await on(pilot, app, "n3", words="")
        desk("inbox", "resolve", "n3", "--agent", "builder")
        app.reread()
        await settled(pilot)
        assert "n3" == room(app).rows.key
        assert "resolved" in next(row.cells[4].text for row in listed(app) if row.key == "n3")
        await press(pilot, "c")
        assert "n3 is resolved" in told(app)[-1]
        await press(pilot, "down", "ctrl+r")
        assert "n3" not in keys(app)

    play(desk, script)
    assert [] == [row["short"] for row in rows(desk) if row["agent"] == "ada"]


def test_marked_rows_that_somebody_takes_out_stay_so_that_no_key_meets_the_row_under_the_cursor(desk):
    async def script(pilot, app):
        await on(pilot, app, "n2", words="")
        await press(pilot, "space")
        await on(pilot, app, "n4", words="")
        await press(pilot, "space")
        await on(pilot, app, "n5", words="")
        before = keys(app)
        for number in ("n2", "n4"):
            desk("inbox", "archive", number)
        app.reread()
        await settled(pilot)
        assert before == keys(app)
        assert ["n2", "n4"] == list(room(app).rows.marks)
        await press(pilot, "e")
        assert "n2 is archived" in told(app)[-1]
        await press(pilot, "ctrl+r")
        assert not {"n2", "n4"} & set(keys(app))

    play(desk, script)
    assert {"n2", "n4"} == {row["short"] for row in rows(desk) if row["archived_at"]}


def test_a_row_that_one_has_moved_out_makes_room_for_the_next(desk):
    async def script(pilot, app):
        order = keys(app)
        await press(pilot, "e")
        assert order[1:] == keys(app)
        assert order[1] == room(app).rows.key
        await press(pilot, "e")
        assert order[2:] == keys(app)

    play(desk, script)


def test_news_that_was_not_shown_is_not_marked_as_seen(desk):
    async def script(pilot, app):
        await on(pilot, app, "n1", words="")
        picked = room(app).picked()
        emit(desk, event(desk, "job.failed", "job-1b", {"job": "backup", "exit_code": 77}))
        room(app).picked = lambda: picked
        await press(pilot, "s")

    play(desk, script)
    shown_then = next(row for row in rows(desk) if row["short"] == "n1")
    assert not shown_then["seen"]


def test_an_agent_claims_and_settles_and_is_told_what_it_has_not(desk):
    async def script(pilot, app):
        assert "unseen" not in shown(app).splitlines()[-2]
        for key in ("s", "S", "z", "Z"):
            await press(pilot, key)
            assert "an agent has no seen and unseen" in told(app)[-1]
        await press(pilot, "m")
        assert "an agent keeps nothing quiet" in told(app)[-1]
        await on(pilot, app, "n5", words="")
        await press(pilot, "w")
        await hit(pilot, "r =done enter")

    play(desk, script, EVENTCTL_AGENT="builder")
    assert [("resolved", "builder")] == [(row["state"], row["agent"]) for row in rows(desk) if row["agent"]]


# --- looking -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["level", "domain", "age", "oldest", "entity"])
def test_the_orders_are_those_of_the_command_line(busy, order):
    async def script(pilot, app):
        await press(pilot, "o")
        for _ in range(["level", "domain", "age", "oldest", "entity"].index(order)):
            await press(pilot, "o")
        await press(pilot, "enter")
        return keys(app), [row.group for row in listed(app)]

    found, groups = play(busy, script)
    expected = json.loads(busy("inbox", "list", "--json", "-n", "200", "--order", order).stdout)["items"]
    assert [item["short"] for item in expected] == found
    heads = {
        "level": lambda item: item["level_name"],
        "domain": lambda item: item["domain"] or "no domain",
        "entity": lambda item: item["entity"] or "about nothing in particular",
        "age": lambda item: "today" if item["updated_at"] >= "2026-11-20" else "yesterday",
        "oldest": lambda item: "today" if item["updated_at"] >= "2026-11-20" else "yesterday",
    }
    assert [heads[order](item) for item in expected] == groups


def test_headers_come_and_go_and_it_is_said(desk):
    async def script(pilot, app):
        assert any(row.group for row in listed(app))
        await press(pilot, "h")
        assert not any(row.group for row in listed(app))
        assert "no headers" in shown(app)
        await press(pilot, "h")
        assert any(row.group for row in listed(app))

    play(desk, script)


def test_both_sides_of_a_row_are_seen_at_a_glance(desk):
    said(desk, ("inbox", "seen", "n5"), ("inbox", "claim", "n4", "--agent", "builder"))

    async def script(pilot, app):
        lines = {row.key: row.cells for row in listed(app)}
        assert " " == lines["n5"][0].text
        assert "●" == lines["n4"][0].text
        assert "○ open" == lines["n5"][4].text
        assert "◐ builder has it" == lines["n4"][4].text

    play(desk, script)


def test_n_goes_to_the_next_unseen_and_round(desk):
    async def script(pilot, app):
        order = keys(app)
        said(desk, *(("inbox", "seen", key) for key in order if key not in (order[2], order[4])))
        await press(pilot, "ctrl+r", "n")
        assert order[2] == room(app).rows.key
        await press(pilot, "n")
        assert order[4] == room(app).rows.key
        await press(pilot, "n")
        assert order[2] == room(app).rows.key
        await press(pilot, "s", "n", "s", "n")
        assert "nothing here is unseen" == told(app)[-1]

    play(desk, script)


def test_the_line_below_says_how_many_and_what_is_hidden(desk):
    said(desk, ("inbox", "resolve", "n1"), ("inbox", "snooze", "n2"), ("inbox", "seen", "n3"))

    async def script(pilot, app):
        line = shown(app).splitlines()[-2]
        assert "4 open, 3 unseen · by level · 1 resolved not shown (/resolved); 1 snoozed not shown (/snoozed)" in line

    play(desk, script, size=WIDE)


def test_an_empty_inbox_says_what_to_do(face):
    async def script(pilot, app):
        assert "Nothing wants attention. `eventctl exec -- make test` records how a command went." in shown(app)
        face("emit", "job.failed", "--source", "cron", "--payload", '{"job": "backup"}')
        app.reread()
        await settled(pilot)
        assert "1 event is not worked on yet: ctrl+p, Start the runner." in shown(app)

    play(face, script)


def test_enter_opens_and_y_says_why(desk):
    async def script(pilot, app):
        await on(pilot, app, "n5")
        for key in ("enter", "y"):
            await press(pilot, key)
            assert isinstance(app.screen, DetailRoom)
            assert 5 == app.screen.number
            await press(pilot, "escape")
            assert "n5" == room(app).rows.key

    play(desk, script)


def test_in_a_terminal_that_is_made_wider_what_the_cursor_stands_on_comes_beside_it(desk):
    async def script(pilot, app):
        assert not app.screen.query_one(Beside).display
        await pilot.resize_terminal(*WIDE)
        await settled(pilot)
        assert int(room(app).rows.key[1:]) == app.screen.query_one(Beside).number

    play(desk, script, size=NARROW)


def test_beside_the_list_stands_what_the_cursor_stands_on(desk):
    async def script(pilot, app):
        beside = app.screen.query_one(Beside)
        assert beside.display
        for key in keys(app)[1:3]:
            await press(pilot, "down")
            while beside.number != int(key[1:]):
                await pilot.pause(0.01)
        width = beside.size.width
        await press(pilot, "less_than_sign")
        assert width < beside.size.width
        await press(pilot, "d")
        assert not beside.display

    play(desk, script, size=WIDE)


def test_without_room_for_it_that_is_said(desk):
    async def script(pilot, app):
        assert not app.screen.query_one(Beside).display
        await press(pilot, "d")
        assert "from 140 columns" in told(app)[-1]

    play(desk, script, size=NARROW)


def test_a_long_list_is_read_page_by_page_and_then_stands_still(face):
    face.now -= DAY
    many = [event(face, "job.failed", f"job-{n}", {"job": f"job{n:04}", "exit_code": 1}) for n in range(KEPT_MAX + 300)]
    emit(face, *many)
    face.now += DAY

    async def script(pilot, app):
        assert 200 == room(app).rows.loaded
        while room(app).rows.loaded <= KEPT_MAX:
            await press(pilot, "G")
        order = keys(app)
        assert len(set(order)) == len(order)
        await press(pilot, "h", "h")
        assert order == keys(app)
        assert "1,000 or more open" in shown(app)
        under = room(app).rows.key
        await press(pilot, "e")
        assert order == keys(app)
        assert "▪ archived" == next(row.cells[4].text for row in listed(app) if row.key == under)
        assert "it has changed since: ctrl+r reads anew" in shown(app)
        await press(pilot, "ctrl+r")
        assert room(app).rows.loaded < KEPT_MAX
        assert "changed since" not in shown(app)

    play(face, script)


def test_what_was_there_is_there_at_the_next_start(desk):
    async def script(pilot, app):
        await on(pilot, app, "n3", words="type:job.*")
        await press(pilot, "h", "o", "o", "enter")
        await press(pilot, "d", "less_than_sign")
        room(app).rows.point("n3")
        return room(app).memory()

    memory = play(desk, script, size=WIDE)
    again = InboxRoom()
    again.recall(json.loads(json.dumps(memory)))

    async def next_start(pilot, app):
        await app.push_screen(again)
        await settled(pilot)
        assert "n3" == again.rows.key
        return again.memory()

    assert memory == play(desk, next_start, size=WIDE)
    assert ("type:job.*", "domain", False, False) == tuple(memory[name] for name in ("filter", "order", "headers", "side"))


@pytest.mark.parametrize(
    "memory",
    [
        {"filter": 7, "recent": "x", "order": [], "headers": None, "key": {}, "side": 3, "side_width": "wide"},
        {"filter": "nonsense:::where (", "recent": [1, "a", None], "key": "n999", "side_width": 10**9},
        {"filter": "level:none", "order": "no order", "side_width": -5},
        {"filter": "where payload.x ==", "key": "not a key"},
    ],
)  # fmt: skip
def test_what_is_remembered_may_be_of_any_shape(desk, memory):
    async def script(pilot, app):
        again = InboxRoom()
        again.recall(memory)
        await app.push_screen(again)
        await settled(pilot)
        app.reread()
        await settled(pilot)
        assert 6 == again.rows.loaded or again.words

    play(desk, script)


@pytest.mark.parametrize("size", [NARROW, USUAL, WIDE, (40, 10), (300, 80)])
def test_no_size_is_too_small_or_too_large(busy, size):
    async def script(pilot, app):
        for strokes in ("m escape", "r escape", "z escape", "o escape", "slash escape", "h d h"):
            await hit(pilot, strokes)

    play(busy, script, size=size)


def test_the_lease_is_that_of_the_settings(desk):
    (desk.root / "eventctl.toml").write_text('[inbox]\nlease = "3h"\n')

    async def script(pilot, app):
        await on(pilot, app, "n5")
        await press(pilot, "c")

    play(desk, script)
    until = next(row["lease_until"] for row in rows(desk) if row["number"] == 5)
    assert f"2026-11-20T{12 + 4 + 3}:01" == until[:16]
