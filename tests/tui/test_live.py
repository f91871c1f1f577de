"""What happens now: the stream goes along, stands still and loses nothing; figures are those of the command line; trouble stands out."""

from __future__ import annotations

import json
import re

import pytest

from eventctl.cli.status import held
from eventctl.cli.unfinished import Unfinished
from eventctl.dag.open_events import WAITING_MAX
from eventctl.store import CursorRow
from eventctl.times import HOUR, MINUTE, SECOND
from eventctl.totals import BOXES, Totals
from eventctl.tui.detail.recordview import RecordView
from eventctl.tui.live import fleet, gauges, stream
from eventctl.tui.live.dagview import DagView
from eventctl.tui.live.fleet import Seat
from eventctl.tui.live.rates import ZOOMS, Rates, Speed, ends, speed
from eventctl.tui.live.screen import LiveRoom
from eventctl.tui.live.streampane import StreamPane, StreamRows
from eventctl.tui.look import Cell
from eventctl.tui.rows import RowList
from tests.cli.conftest import NOON
from tests.tui.kit import NARROW, USUAL, WIDE, play, press, settled, shown, typed


def emit(face, count, start=0, **more):
    lines = [
        {"event": "probe.seen", "source": "probe", "id": f"p{start + n}", "payload": {"n": n}, **more} for n in range(count)
    ]
    face("emit", "--ndjson", "-", given="\n".join(map(json.dumps, lines)))


def listed(face, *words):
    return json.loads(face(*words, "--json").stdout)["items"]


def keys(app):
    return [row.key for row in app.screen.query_one(StreamPane).window.rows]


def stream_rows(app):
    return app.screen.query_one(StreamRows)


async def beat(pilot, app):
    """What a beat does when somebody has committed."""
    app.reread()
    await settled(pilot)


def live(face, script, *, size=USUAL):
    async def within(pilot, app):
        await press(pilot, "3")
        assert isinstance(app.screen, LiveRoom)
        return await script(pilot, app)

    return play(face, within, size=size)


# --- the stream ------------------------------------------------------------------------------------------------------------------


def test_the_stream_goes_along_with_the_newest_at_the_bottom(face):
    emit(face, 100)

    async def script(pilot, app):
        assert "e100" == stream_rows(app).key
        emit(face, 3, start=100)
        await beat(pilot, app)
        assert "e103" == stream_rows(app).key
        last = [line for line in shown(app).splitlines() if re.match(r".e\d+ ", line)][-1]
        assert last[1:].split()[0] == "e103"

    live(face, script)


def test_going_up_lets_it_stand_still_and_f_follows_again(face):
    emit(face, 100)

    async def script(pilot, app):
        await press(pilot, "k")
        assert "e99" == stream_rows(app).key
        before = shown(app).splitlines()[5:20]
        emit(face, 30, start=100)
        await beat(pilot, app)
        assert "e99" == stream_rows(app).key
        assert before == shown(app).splitlines()[5:20]
        assert "stands still, 30 newer" in shown(app)
        await press(pilot, "f")
        assert "e130" == stream_rows(app).key
        assert "following" in shown(app)

    live(face, script)


@pytest.mark.parametrize("way", ["pageup", "home", "g", "wheel", "click"])
def test_every_way_up_lets_it_stand_still(face, way):
    emit(face, 300)

    async def script(pilot, app):
        if way == "wheel":
            stream_rows(app).on_mouse_scroll_up()
            await settled(pilot)
        elif way == "click":
            await pilot.click(StreamRows, offset=(5, 5))
            await settled(pilot)
        else:
            await press(pilot, way)
        assert not app.screen.query_one(StreamPane).follow

    live(face, script)


def test_p_pauses_and_loses_nothing(face):
    emit(face, 10)

    async def script(pilot, app):
        await press(pilot, "p")
        emit(face, 150, start=10)
        await beat(pilot, app)
        assert [f"e{n}" for n in range(1, 11)] == keys(app)
        assert "150 newer" in shown(app)
        await press(pilot, "p")
        assert [f"e{n}" for n in range(1, 161)] == keys(app)

    live(face, script)


def test_who_stands_still_reads_on_by_going_down(face):
    emit(face, 60)

    async def script(pilot, app):
        await press(pilot, "p")
        emit(face, 500, start=60)
        await beat(pilot, app)
        for _ in range(40):
            await press(pilot, "pagedown")
        assert "e560" == stream_rows(app).key
        assert [f"e{n}" for n in range(1, 561)] == keys(app)

    live(face, script)


def test_going_back_pages_as_far_as_the_beginning_and_memory_is_bounded(face):
    emit(face, 3_000)

    async def script(pilot, app):
        for _ in range(40):
            if "e1" in keys(app):
                break
            await press(pilot, "home")
        assert "e1" == keys(app)[0]
        assert stream.ROWS_MAX == len(keys(app))
        assert [f"e{n}" for n in range(1, 2_001)] == keys(app)
        await press(pilot, "f")
        assert "e3000" == stream_rows(app).key

    live(face, script)


def test_what_comes_too_fast_is_counted_exactly_and_can_be_looked_at(face):
    emit(face, 20)

    async def script(pilot, app):
        emit(face, 5_000, start=20)
        await beat(pilot, app)
        pane = app.screen.query_one(StreamPane)
        gap = next(line for line in pane.window.lines if line.row.key.startswith("…"))
        assert (21, 4_820) == (gap.first, gap.last)
        assert 4_800 == pane.window.skipped
        assert [*(f"e{n}" for n in range(1, 21)), "…21", *(f"e{n}" for n in range(4_821, 5_021))] == keys(app)
        assert "4,800 too fast to be shown" in shown(app)
        await press(pilot, "p")
        stream_rows(app).point("…21")
        await settled(pilot)
        assert "… 4,800 more" in shown(app)
        await press(pilot, "enter")
        assert "e4820" == stream_rows(app).key
        shown_now = keys(app)
        assert [f"e{n}" for n in range(4_621, 4_621 + len(shown_now))] == shown_now
        assert not pane.follow

    live(face, script)


def test_every_record_is_shown_or_counted_whatever_the_speed(face):
    emit(face, 5)

    async def script(pilot, app):
        sent = 5
        for count in (1, 199, 200, 201, 0, 1_000, 450):
            if count:
                emit(face, count, start=sent)
            sent += count
            await beat(pilot, app)
            lines = app.screen.query_one(StreamPane).window.lines
            assert list(range(1, sent + 1)) == [n for line in lines for n in range(line.first, line.last + 1)]

    live(face, script)


def test_the_rows_in_memory_stay_bounded_while_it_goes_along(face):
    emit(face, 1, start=9_999)

    async def script(pilot, app):
        for start in range(0, 2_400, 150):
            emit(face, 150, start=start)
            await beat(pilot, app)
        assert [f"e{n}" for n in range(402, 2_402)] == keys(app)

    live(face, script)


# --- its filter ------------------------------------------------------------------------------------------------------------------

ASKED = [
    ("type:domain.ops.*", ("--type", "domain.ops.*")),
    ("kind:move kind:answer", ("--kind", "move", "--kind", "answer")),
    ("source:prometheus", ("--source", "prometheus")),
    ("since:30m", ("--since", "30m")),
    ("until:2h type:job.*", ("--until", "2h", "--type", "job.*")),
    ("--source eventctl --type=decision.**", ("--source", "eventctl", "--type", "decision.**")),
]


@pytest.mark.parametrize(("words", "flags"), ASKED)
def test_a_filter_shows_what_log_show_shows_with_the_same_flags(busy, words, flags):
    wanted = [item["short"] for item in listed(busy, "log", "show", "-n", "500", *flags)]
    assert wanted

    async def script(pilot, app):
        await press(pilot, "slash")
        await typed(pilot, words)
        await press(pilot, "enter")
        assert wanted == keys(app)
        assert f"/ {words}" in shown(app)

    live(busy, script)


def test_an_entity_is_filtered_as_log_show_does(busy):
    entity = next(item["entity"] for item in listed(busy, "log", "show", "-n", "500") if item["entity"])
    wanted = [item["short"] for item in listed(busy, "log", "show", "-n", "500", "--entity", entity)]

    async def script(pilot, app):
        app.screen.query_one(StreamPane).filter(f"entity:{entity}")
        await settled(pilot)
        assert wanted == keys(app)

    live(busy, script)


def test_words_are_looked_for_and_a_filter_goes_along(face):
    emit(face, 300)

    async def script(pilot, app):
        await press(pilot, "slash")
        await typed(pilot, "needle")
        await press(pilot, "enter")
        assert [] == keys(app)
        assert "Nothing in the log fits." in shown(app)
        emit(face, 1, start=300, description="a needle in it")
        emit(face, 50, start=301)
        await beat(pilot, app)
        assert ["e301"] == keys(app)
        await press(pilot, "slash", "escape")
        assert "e351" == keys(app)[-1]

    live(face, script)


def test_what_a_filter_had_no_time_to_look_at_is_counted(face):
    emit(face, 10)

    async def script(pilot, app):
        app.screen.query_one(StreamPane).filter("source:probe")
        await settled(pilot)
        emit(face, 6_000, start=10)
        await beat(pilot, app)
        lines = app.screen.query_one(StreamPane).window.lines
        assert list(range(1, 6_011)) == [n for line in lines for n in range(line.first, line.last + 1)]
        assert 5_800 == app.screen.query_one(StreamPane).window.skipped

    live(face, script)


def test_a_wrong_filter_is_named_and_what_was_shown_stays(face):
    emit(face, 10)

    async def script(pilot, app):
        await press(pilot, "slash")
        await typed(pilot, "kind:nonsense")
        await press(pilot, "enter")
        assert "✗ kind: 'nonsense' is none of event, move, timer, answer" in shown(app)
        assert 10 == len(keys(app))

    live(face, script, size=WIDE)


def test_enter_opens_a_record_whole_and_y_explains_it(face):
    emit(face, 3)

    async def script(pilot, app):
        await press(pilot, "enter")
        assert isinstance(app.screen, RecordView)
        assert 3 == app.screen.seq
        await press(pilot, "escape", "k", "y")
        assert isinstance(app.screen, RecordView)
        assert 2 == app.screen.seq

    live(face, script)


# --- rates -----------------------------------------------------------------------------------------------------------------------


def test_rates_are_those_of_what_was_planted(face):
    for second, count in ((0, 10), (1, 20), (2, 30), (3, 40), (4, 50)):
        face.now = NOON + second * SECOND
        emit(face, count, start=1_000 * second)
    face.now = NOON + 5 * SECOND

    async def script(pilot, app):
        rates = app.screen.known.rates
        assert 30.0 == rates.now(face.now)
        assert [10, 20, 30, 40, 50] == rates.steps(ZOOMS[0], face.now)[-5:]
        assert [0, 30] == rates.steps(ZOOMS[1], face.now)[-2:]
        assert "30 events/s" in shown(app)
        assert "0 to 50/s in 2m" in shown(app)
        await press(pilot, "minus", "minus")
        assert "in 1h" in shown(app)
        await press(pilot, "plus")
        assert "0 to 30/s in 10m" in shown(app)
        face.now += 5 * SECOND
        emit(face, 5, start=9_000)
        face.now += SECOND
        await beat(pilot, app)
        assert 1.0 == rates.now(face.now)

    live(face, script)


def test_an_event_that_is_committed_late_is_counted_in_its_second():
    rates = Rates()
    rates.take(NOON - HOUR, [(NOON - SECOND, 4)], NOON)
    since = rates.wanted(NOON + SECOND)
    assert since <= NOON - SECOND
    rates.take(since, [(NOON - SECOND, 9), (NOON, 2)], NOON + SECOND)
    assert [9, 2] == rates.steps(ZOOMS[0], NOON + SECOND)[-2:]


def test_seconds_that_were_never_counted_are_not_drawn_as_zero():
    rates = Rates()
    rates.take(NOON - 10 * SECOND, [(NOON - SECOND, 4)], NOON)
    assert [0] * 9 + [4] == rates.steps(ZOOMS[0], NOON)
    rates.take(NOON + 20 * MINUTE, [], NOON + 21 * MINUTE)
    assert 60 == len(rates.steps(ZOOMS[0], NOON + 21 * MINUTE))
    assert "0 to 0/s in 1m" == ends(rates.steps(ZOOMS[0], NOON + 21 * MINUTE), ZOOMS[0])


def test_a_speed_is_known_from_the_second_look_on_and_comes_down_to_nothing():
    paces = Speed()
    paces.take({"system": 100}, NOON)
    assert None is paces.of("system")
    paces.take({"system": 600}, NOON + SECOND)
    assert 500 == paces.of("system")
    for n in range(2, 60):
        paces.take({"system": 600}, NOON + n * SECOND)
    assert 0 == paces.of("system")
    assert not paces.moving


def test_a_speed_in_figures():
    assert ["0", "0.4", "12", "9,870"] == [speed(number) for number in (0, 0.4, 12.3, 9870)]


# --- pipelines and cartridges ----------------------------------------------------------------------------------------------------


def figures(app, id_):
    """The texts of the cells of a list, by key and column."""
    rows = app.screen.query_one(id_, RowList)
    titles = [column.title for column in rows._columns]
    return {row.key: dict(zip(titles, (cell.text for cell in row.cells), strict=True)) for row in rows._rows}


def test_the_table_of_pipelines_is_that_of_status(busy):
    told = json.loads(busy("status", "--json").stdout)["pipelines"]

    async def script(pilot, app):
        await press(pilot, "v")
        table = figures(app, "#pipeline-rows")
        wanted = {
            name: {"at": f"{of['cursor']:,}", "behind": f"{of['lag']:,}"}
            | {state: f"{of[state]:,}" for state in ("waiting", "quarantined", "dead", "dropped")}
            for name, of in told.items()
        }
        assert wanted == {name: {title: row[title] for title in wanted[name]} for name, row in table.items()}
        assert "runner: none" in shown(app)

    live(busy, script)


def test_throughput_is_what_the_positions_went_on_by(face):
    emit(face, 10)
    face("run", "--until-idle")

    async def script(pilot, app):
        emit(face, 100, start=10)
        face("run", "--until-idle")
        face.now += 2 * SECOND
        await beat(pilot, app)
        assert "50" == figures(app, "#pipeline-rows")["system"]["per s"]

    live(face, script)


def test_what_holds_a_pipeline_up_is_said_in_the_words_of_status():
    cursor = CursorRow("domain:ops", 40, 1, applied=30, waiting=WAITING_MAX)
    left = [Unfinished("domain:ops", {"waiting": 2, "behind": 1, "retry": 0, "struck": 0}, 7, NOON - HOUR, None)]
    (stopped,) = gauges.rows([(cursor, 5)], left, Speed(), NOON)
    (going,) = gauges.rows([(cursor._replace(waiting=3), 5)], left, Speed(), NOON)
    assert f"! {held(cursor, 5)}" == stopped.cells[-1].text
    assert "takes nothing new" in stopped.cells[-1].text
    assert left[0].words(NOON) == going.cells[-1].text
    assert ["domain:ops", held(cursor, 5), left[0].words(NOON)] == gauges.more("domain:ops", [(cursor, 5)], left, NOON)


def test_the_table_of_cartridges_is_that_of_cartridge_list(busy):
    items = listed(busy, "cartridge", "list")

    async def script(pilot, app):
        table = figures(app, "#cartridge-rows")
        counted = {item["path"]: item["counts"] for item in items}
        assert set(counted) <= set(table)
        for path, counts in counted.items():
            calls, errors = (counts["calls"], counts["errors"]) if counts else (0, 0)
            assert (f"{calls:,}", f"{errors:,}") == (table[path]["calls"], table[path]["errors"])
            if counts and calls:
                assert counts["p95_ms"] == pytest.approx(float(table[path]["p95"].removesuffix(" ms")), rel=0.01, abs=0.001)
        assert any(counts and counts["calls"] for counts in counted.values())

    live(busy, script)


def test_one_that_is_switched_off_and_one_that_fails_stand_at_the_top_by_word(busy):
    async def script(pilot, app):
        await press(pilot, "v", "v")
        text = shown(app)
        top = text[text.index("Wants a look") : text.index("All others")]
        assert "✗ switched off  odd-probes" in top
        assert "! failing" in top
        assert "measure" in top
        assert re.search(r"! \d+ want a look", text)
        assert re.search(r"● Cartridges \d", text)
        assert "no field 'answer'" in text

    live(busy, script)


SHAPING = """
id       = "quiet"
summary  = "Keeps it down."
consumes = ["probe.**"]
when     = "payload.amount > 10.0"
[set]
level = "infrastructure"
"""


def test_a_suspended_rule_stands_at_the_top_by_word(face):
    (face.root / "eventctl.toml").write_text('[members.ada]\nrole = "admin"\n[enable]\nquiet = {}\n', "utf-8")
    (face.root / "cartridges").mkdir(exist_ok=True)
    (face.root / "cartridges" / "quiet.toml").write_text(SHAPING, "utf-8")
    emit(face, 12)
    face("run", "--until-idle")

    async def script(pilot, app):
        await press(pilot, "v", "v")
        text = shown(app)
        assert "⊘ suspended     quiet" in text
        assert text.index("Wants a look") < text.index("⊘ suspended")
        await press(pilot, "v")
        assert "⊘ suspended" in shown(app)

    live(face, script)


def totals(calls=100, errors=0, ns=1_000, box=0):
    boxes = [0] * BOXES
    boxes[box] = calls
    return Totals(calls=calls, errors=errors, total_ns=ns * calls, max_ns=ns, boxes=tuple(boxes))


def test_slow_is_one_that_takes_more_than_its_budget_in_the_runners_own_process():
    active = fleet.Standing(fleet.ACTIVE, fleet.STATES[fleet.ACTIVE])
    worker = fleet.Standing(fleet.WORKER, fleet.STATES[fleet.WORKER])
    slow = totals(ns=40_000_000, box=13)
    assert Cell("◷ slow", "warn") == fleet.standing(Seat("a.py", "a", active, True), slow, None, 5_000_000).cell
    assert "⧉ in a worker" == fleet.standing(Seat("a.py", "a", worker, False), slow, None, 5_000_000).cell.text
    assert "● active" == fleet.standing(Seat("a.py", "a", active, True), totals(), None, 5_000_000).cell.text


def test_failing_is_one_in_twenty_or_any_that_happens_now():
    active = fleet.Standing(fleet.ACTIVE, fleet.STATES[fleet.ACTIVE])
    seat = Seat("a.py", "a", active, True)
    words = [
        fleet.standing(seat, totals(errors=errors), now, 5_000_000).cell.text
        for errors, now in ((4, None), (5, None), (1, 0.0), (1, 0.2))
    ]
    assert ["● active", "! failing", "● active", "! failing"] == words


def test_o_sorts_cartridges_and_what_wants_a_look_stays_at_the_top(busy):
    async def script(pilot, app):
        await press(pilot, "v", "v", "o")
        rows = app.screen.query_one("#cartridge-rows", RowList)._rows
        others = [int(row.cells[2].text) for row in rows if row.group == "All others"]
        assert sorted(others, reverse=True) == others
        assert "Wants a look" == rows[0].group
        assert "by calls" in shown(app)

    live(busy, script)


# --- the graph, the room ---------------------------------------------------------------------------------------------------------


def test_the_graph_has_counts_in_its_boxes_and_goes_from_pipeline_to_pipeline(busy):
    async def script(pilot, app):
        await press(pilot, "v", "v", "v")
        assert "! failing  6 errors" in shown(app)
        assert "14 runs" in shown(app)
        assert "domain:ops" in shown(app)
        await press(pilot, "right_square_bracket")
        assert "domain:sales" in shown(app)
        await press(pilot, "left_square_bracket", "left_square_bracket")
        assert "Graph  domain:ops" not in shown(app)

    live(busy, script)


def test_a_box_goes_to_its_cartridge(busy):
    async def script(pilot, app):
        await press(pilot, "v", "v", "v")
        app.screen.query_one(DagView).point("measure")
        await settled(pilot)
        await press(pilot, "enter")
        assert "cartridges" == app.current_mode
        assert app.screen.query_one(RowList).key.endswith("/measure.py")

    live(busy, script)


def test_enter_on_a_pipeline_draws_its_order(busy):
    async def script(pilot, app):
        await press(pilot, "v")
        app.screen.query_one("#pipeline-rows", RowList).point("domain:sales")
        await press(pilot, "enter")
        assert "Graph  domain:sales" in shown(app)

    live(busy, script)


@pytest.mark.parametrize("size", [(60, 15), NARROW, USUAL, WIDE, (250, 60)])
def test_every_view_fits_every_size(busy, size):
    async def script(pilot, app):
        for _ in range(4):
            await press(pilot, "v")
            assert max(map(len, shown(app).splitlines())) <= size[0]
        if size[0] >= 160:
            for word in ("Stream", "Pipelines", "Cartridges", "Graph", "switched off", "! failing", "e124"):
                assert word in shown(app)

    live(busy, script, size=size)


def test_side_by_side_v_gives_the_keys_to_the_next_view(busy):
    async def script(pilot, app):
        assert isinstance(app.focused, StreamRows)
        await press(pilot, "v")
        assert "pipeline-rows" == app.focused.id
        await press(pilot, "v", "v")
        assert isinstance(app.focused, DagView)
        await pilot.click(StreamRows, offset=(5, 3))
        await press(pilot, "v")
        assert "pipeline-rows" == app.focused.id

    live(busy, script, size=WIDE)


def test_what_it_remembers_is_taken_up_again(busy):
    async def first(pilot, app):
        await press(pilot, "slash")
        await typed(pilot, "kind:move")
        await press(pilot, "enter", "v", "v", "o", "minus")
        return app.screen.memory()

    memory = live(busy, first)
    assert ("cartridges", "kind:move", "calls", 1) == tuple(memory[name] for name in ("view", "filter", "order", "zoom"))
    room = LiveRoom()
    room.recall(memory)
    assert memory == room.memory()


@pytest.mark.parametrize(
    "memory",
    [{"view": 7, "filter": None, "order": [], "zoom": "x", "pipeline": {}}, {"view": "x", "zoom": 99}, {"filter": "kind:x"}],
)
def test_what_makes_no_sense_is_not_taken_up(busy, memory):
    async def script(pilot, app):
        room = LiveRoom()
        room.recall(memory)
        await app.push_screen(room)
        await settled(pilot)
        assert "stream" == room.view
        assert "e124" in shown(app)

    live(busy, script)


HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "[bold]x[/bold]",
    "[@click=app.quit]q[/]",
    "\u202eevil",
    "a\nb\tc",
    "\x9b2J",
    "{x}",
    "漢字" * 50,
    "\\[x]",
]


def test_text_of_strangers_only_stands_there(face):
    for number, text in enumerate(HOSTILE):
        emit(face, 1, start=number, source=f"s{number}", description=text)

    async def script(pilot, app):
        text = shown(app)
        assert not any(sign in text for sign in "\x1b\x9b\u202e")
        for plain in ("[bold]x[/bold]", "[@click=app.quit]q[/]", "{x}", "␛[31mred"):
            assert plain in text
        for number in range(len(HOSTILE)):
            await pilot.click(StreamRows, offset=(60, 1 + number))
        await settled(pilot)
        assert app.is_running
        await press(pilot, "slash")
        app.screen.query_one(StreamPane).filter('"[bold]x[/bold]"')
        await settled(pilot)
        assert ["e2"] == keys(app)
        app.screen.query_one(StreamPane).filter("kind:[red]")
        await settled(pilot)
        assert "'[red]' is none of" in shown(app)

    live(face, script, size=WIDE)


def test_who_leaves_while_it_is_read_is_left_alone(busy):
    async def script(pilot, app):
        await pilot.press("3")
        app.reread()
        app.exit()
        await pilot.pause()

    play(busy, script)
