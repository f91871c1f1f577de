"""What the Health room finds wrong, what it shows, and that it reads no oftener than it may."""

from __future__ import annotations

import pytest

from eventctl.cli.session import Session
from eventctl.memory_store import MemoryStore
from eventctl.store import OutboxRow, Record
from eventctl.times import DAY, HOUR, MINUTE
from eventctl.tui.health import heard
from eventctl.tui.health.screen import HealthRoom
from eventctl.tui.health.vitals import effects, moving, written
from eventctl.tui.rows import RowList
from eventctl.workspace import Paths
from tests.cli.conftest import NOON
from tests.tui.kit import NARROW, USUAL, WIDE, play, press, shown


def busy(face) -> None:
    """A source that speaks each minute, one that spoke once, and a day on which nobody says anything."""
    for minute in range(12):
        face("emit", "job.failed", "--source", "cron", "--payload", f'{{"job": "b{minute}"}}')
        face.later(MINUTE)
    face("emit", "job.failed", "--source", "laptop", "--payload", '{"job": "once"}')
    face("run", "--until-idle")


def ask(face, read):
    with Session(workspace=str(face.root), env=face.env, now=lambda: face.now).reading() as store:
        return read(store)


def facts(vitals) -> dict[str, dict[str, str]]:
    return {card.title: {fact.name: fact.is_.text for fact in card.facts} for card in vitals.cards}


def test_a_fresh_workspace_has_nothing_wrong(face):
    vitals = ask(face, lambda store: moving(store, Paths(face.root), face.now))
    assert () == vitals.troubles
    assert "✔ 0" == facts(vitals)["Accounts"]["unaccounted"]
    assert "nothing" == facts(vitals)["Effects owed"]["owed"]


def test_the_log_is_told_by_its_first_and_last_record(face):
    busy(face)
    face.later(HOUR)
    told = facts(ask(face, lambda store: moving(store, Paths(face.root), face.now)))["Log"]
    assert "13" == told["records"]
    assert ("e1, 1h ago", "e13, 1h ago") == (told["first"], told["last"])


def test_what_the_files_say_is_told_by_card(face):
    session = Session(workspace=str(face.root), env=face.env, now=lambda: face.now)
    told = facts(ask(face, lambda store: written(session, store)))
    assert {"Retention", "Members", "Autonomy"} == set(told)
    assert "admin" == told["Members"]["ada"]
    assert "90d" == told["Retention"]["events stay"]
    assert "L3" == told["Autonomy"]["everything else"]


def test_a_mistake_in_the_settings_is_what_is_wrong(face):
    (face.root / "eventctl.toml").write_text('[members.ada]\nrole = "admin"\n[retention]\nevents = "soon"\n')
    session = Session(workspace=str(face.root), env=face.env, now=lambda: face.now)
    (trouble,) = ask(face, lambda store: written(session, store)).troubles
    assert ("warn", "settings", "eventctl config check") == (trouble.state, trouble.name, trouble.hint)
    (face.root / "eventctl.toml").write_text("[members\n")
    (trouble,) = ask(face, lambda store: written(session, store)).troubles
    assert "fail" == trouble.state


def test_work_that_nobody_does_is_wrong(face):
    busy(face)
    face("emit", "job.failed", "--source", "cron", "--payload", '{"job": "late"}')
    (trouble,) = ask(face, lambda store: moving(store, Paths(face.root), face.now)).troubles
    assert ("runner", "nobody works on 1 position of pipelines") == (trouble.name, trouble.said)


def test_files_that_others_may_read_are_wrong(face):
    face("run", "--until-idle")
    (face.root / ".eventctl/state.db").chmod(0o644)
    (trouble,) = ask(face, lambda store: moving(store, Paths(face.root), face.now)).troubles
    assert "private" == trouble.name
    assert trouble.said.startswith("others may read state.db")
    assert trouble.hint.startswith("chmod -R go= ")


def test_effects_are_told_by_executor_and_state_with_the_oldest_and_the_next_try():
    store = MemoryStore()
    store.append(
        [Record("event", "tests", f"e{hours}", "job.failed", b"{}", "cli:ada", NOON - hours * HOUR) for hours in (4, 3, 2)]
    )
    owed = [
        OutboxRow("1", "call", "pager", "system", 1, b"{}", state="retry", next_at=NOON + 2 * MINUTE),
        OutboxRow("2", "call", "pager", "system", 2, b"{}", state="retry", next_at=NOON + MINUTE),
        OutboxRow("3", "call", "pager", "system", 3, b"{}", state="unknown"),
        OutboxRow("4", "call", "log", "system", 3, b"{}"),
    ]
    assert (
        ("log", "1 pending, oldest 2h", ""),
        ("pager", "⚠ 2 retry, oldest 4h, next try in 1m", "warn"),
        ("pager", "⚠ 1 nobody saw the end of, oldest 2h", "warn"),
    ) == tuple((fact.name, *fact.is_) for fact in effects(store, owed, NOON).facts)


def test_backups_are_named_by_the_newest(face):
    face("backup")
    (backup,) = (face.root / ".eventctl/backups").iterdir()
    told = facts(ask(face, lambda store: moving(store, Paths(face.root), face.now)))
    assert f"1, the newest {backup.stem}" == told["Disk"]["backups here"]


def test_a_source_that_pauses_much_longer_than_usual_is_silent_and_one_that_spoke_once_is_not(face):
    busy(face)
    sources = {each.name: each for each in ask(face, lambda store: heard.heard_in(store, face.now))}
    assert (12, 1) == (sources["cron"].events, sources["laptop"].events)
    assert not sources["cron"].silent
    face.later(DAY)
    sources = {each.name: each for each in ask(face, lambda store: heard.heard_in(store, face.now))}
    assert not sources["laptop"].silent
    assert round(12 * DAY / (DAY + 12 * MINUTE), 3) == round(sources["cron"].daily, 3)


def test_silence_is_measured_by_the_age_of_the_log(face):
    for _ in range(20):
        face("emit", "job.failed", "--source", "cron", "--payload", '{"job": "b"}')
        face.later(HOUR)
    assert not any(each.silent for each in ask(face, lambda store: heard.heard_in(store, face.now)))
    face.later(10 * HOUR)
    assert [True] == [each.silent for each in ask(face, lambda store: heard.heard_in(store, face.now))]


def test_an_empty_log_was_said_by_nobody(face):
    assert [] == ask(face, lambda store: heard.heard_in(store, face.now))


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("who spoke last", ["b", "c", "a"]),
        ("who has been silent longest", ["a", "c", "b"]),
        ("who says most", ["c", "a", "b"]),
        ("name", ["a", "b", "c"]),
    ],
)
def test_sources_are_sorted_as_is_asked(order, names):
    sources = [
        heard.Heard(name, events, newest, 0, 1.0, False) for name, events, newest in (("a", 5, 1), ("b", 1, 9), ("c", 7, 5))
    ]
    assert names == [row.cells[-1].text for row in heard.rows(sources, order, 0)]


@pytest.mark.parametrize("size", [(60, 15), NARROW, USUAL, WIDE], ids=str)
def test_health_is_readable_in_every_size(face, size):
    busy(face)

    async def look(pilot, app) -> None:
        await press(pilot, "6")
        assert "Nothing is wrong" in shown(app)
        assert "Accounts" in shown(app)
        assert 2 == app.screen.query_one("#sources", RowList).loaded

    play(face, look, size=size)


@pytest.mark.parametrize(("size", "columns"), [(NARROW, 2), ((60, 24), 1), (WIDE, 3)], ids=str)
def test_cards_stand_in_as_many_columns_as_there_is_room_for(face, size, columns):
    async def look(pilot, app) -> None:
        await press(pilot, "6")
        grid = app.screen.query_one("#grid")
        assert columns == len({box.region.x for box in grid.children})

    play(face, look, size=size)


def test_what_is_wrong_is_shown_with_what_to_do_next(face):
    busy(face)
    (face.root / ".eventctl/state.db").chmod(0o644)

    async def look(pilot, app) -> None:
        await press(pilot, "6")
        assert "⚠ look at  private  others may read state.db" in shown(app)
        assert "→ chmod -R go=" in shown(app)

    play(face, look, size=WIDE)


def test_it_reads_no_oftener_than_every_five_seconds_unless_somebody_asks(face):
    async def look(pilot, app) -> None:
        await press(pilot, "6")
        room = app.screen
        assert isinstance(room, HealthRoom)
        face("emit", "job.failed", "--source", "cron", "--payload", '{"job": "b"}')
        await room.reload()
        assert 0 == app.screen.query_one("#sources", RowList).loaded
        await press(pilot, "ctrl+r")
        assert 1 == app.screen.query_one("#sources", RowList).loaded

    play(face, look)


def test_a_hostile_source_is_only_letters(face):
    face("emit", "job.failed", "--source", "[red]cron[/] \x1b[31m", "--payload", '{"job": "b"}')

    async def look(pilot, app) -> None:
        await press(pilot, "6")
        assert "[red]cron[/]" in shown(app)
        assert "\x1b" not in shown(app)

    play(face, look, size=WIDE)
