"""Silences: kept and counted, back when they end, and the same however the log is read."""

from __future__ import annotations

from typing import Any

import pytest

from eventctl import moves, silences
from eventctl.errors import Conflict, NotFound, NotPermitted, UsageError
from eventctl.memory_store import MemoryStore
from eventctl.principal import Principal
from eventctl.rebuild import rebuild
from eventctl.silences import Silence
from eventctl.times import DAY, HOUR, MINUTE
from tests.system.kit import ADA, START, World

BOB = Principal.parse("cli:bob", "member")
FAILED = "shop.deploy.failed"
API = {"slug": "api", "env": "prod"}


def hush(world: World, for_: int = HOUR, *, who: Principal = ADA, **about: Any) -> int:
    """Set a silence of everything, or of what is said; its number."""
    wanted = Silence(0, "", 0, world.now + for_, reason="work on it", **(about or {"type": "**"}))
    number = silences.add(world.store, wanted, principal=who, now=world.now).number
    world.run()
    return number


def test_what_opens_under_a_silence_is_kept_out_of_sight_and_is_no_news():
    world = World()
    number = hush(world)
    world.tell(FAILED, {**API, "error": "x"})
    row = world.row(1)
    assert (f"s{number}", START + HOUR, 0) == (row.silenced_by, row.silenced_until, row.news)
    assert [] == world.inbox(hide_silenced_at=world.now)
    assert [1] == [each.id for each in world.inbox(silenced_at=world.now)]
    assert 1 == silences.standing(world.store)[number].kept


def test_still_burning_when_the_silence_is_over_it_is_back_and_is_news():
    world = World()
    hush(world)
    world.tell(FAILED, API)
    world.wait(HOUR + MINUTE)
    row = world.row(1)
    assert (None, None, 1) == (row.silenced_by, row.silenced_until, row.news)
    assert world.now == row.updated_at


def test_what_was_there_before_is_hidden_when_it_changes_and_a_silence_fits():
    world = World()
    world.tell(FAILED, {**API, "error": "a"})
    hush(world, type="shop.deploy.*")
    assert world.row(1).silenced_by is None
    world.tell(FAILED, {**API, "error": "b"})
    assert (1, "s2") == (world.row(1).news, world.row(1).silenced_by)


def test_a_resolving_event_passes_through():
    world = World()
    hush(world)
    world.tell(FAILED, API)
    world.tell("shop.deploy.done", API)
    assert ("resolved", None) == (world.row(1).agent_state, world.row(1).silenced_by)
    world.wait(2 * HOUR)
    assert ("resolved", 0) == (world.row(1).agent_state, world.row(1).news)


def test_a_silence_that_is_ended_gives_back_at_once_what_it_keeps():
    world = World()
    number = hush(world)
    world.tell(FAILED, API)
    silences.end(world.store, number, principal=ADA, now=world.now)
    world.run()
    world.wait(0)
    assert (None, 1) == (world.row(1).silenced_by, world.row(1).news)
    assert {} == silences.standing(world.store)
    assert ("ada", 1) == (silences.ended(world.store)[number].ended_by, silences.ended(world.store)[number].kept)


@pytest.mark.parametrize(
    "other",
    [
        {"type": "shop.**"},
        {"source": "te*"},
        {"entity": "svc/a"},
        {"domain": "shop"},
        {"when": "payload.env == 'prod' && annotations.size() >= 0"},
    ],
)
def test_what_another_silence_is_about_stays_quiet_when_one_is_over_by_time_or_by_hand(other):
    world = World()
    short = hush(world, 2 * HOUR, type="shop.deploy.*")
    longer = hush(world, 4 * HOUR, **other)
    world.tell(FAILED, API, entity="svc/a", domain="shop")
    assert f"s{longer}" == world.row(1).silenced_by
    silences.end(world.store, longer, principal=ADA, now=world.now)
    world.run()
    world.wait(0)
    assert (f"s{short}", START + 2 * HOUR, 0) == (world.row(1).silenced_by, world.row(1).silenced_until, world.row(1).news)
    until = world.now + 3 * HOUR
    last = hush(world, 3 * HOUR, **other)
    world.wait(2 * HOUR + MINUTE)
    assert (f"s{last}", until, 0) == (world.row(1).silenced_by, world.row(1).silenced_until, world.row(1).news)
    target = MemoryStore()
    assert rebuild(world.store, target, World().pipeline, batch=1).same
    world.wait(HOUR)
    assert (None, None, 1) == (world.row(1).silenced_by, world.row(1).silenced_until, world.row(1).news)


def test_a_silence_that_is_about_something_else_or_of_a_member_keeps_nothing_that_is_back():
    world = World()
    number = hush(world, HOUR)
    hush(world, 2 * HOUR, type="shop.ticket.*")
    hush(world, 2 * HOUR, when="payload.missing == 1")
    world.tell(FAILED, API)
    hush(world, 2 * HOUR, who=BOB, member="bob", type="**")
    silences.end(world.store, number, principal=ADA, now=world.now)
    world.run()
    world.wait(0)
    assert (None, 1) == (world.row(1).silenced_by, world.row(1).news)


@pytest.mark.parametrize(
    ("about", "kept"),
    [
        ({"type": "shop.deploy.*"}, True),
        ({"type": "shop.ticket.*"}, False),
        ({"source": "te*"}, True),
        ({"source": "ci/*"}, False),
        ({"entity": "svc/a"}, True),
        ({"entity": "svc/b"}, False),
        ({"domain": "shop"}, True),
        ({"domain": "other"}, False),
        ({"when": "payload.env == 'prod' && level >= 3"}, True),
        ({"when": "payload.env == 'test'"}, False),
        ({"type": "shop.**", "entity": "svc/b"}, False),
    ],
)
def test_a_silence_is_about_what_it_says_all_of_it(about, kept):
    world = World()
    hush(world, **about)
    world.tell(FAILED, API, entity="svc/a", domain="shop")
    assert kept is (world.row(1).silenced_by is not None)


def test_an_event_that_nothing_silences_brings_its_notification_back():
    world = World()
    hush(world, type="shop.ticket.noted")
    world.tell("shop.ticket.noted", {"id": 1, "text": "u"}, description="t")
    assert world.row(1).silenced_by is not None
    world.tell("shop.ticket.opened", {"id": 1}, description="t")
    assert (None, 1) == (world.row(1).silenced_by, world.row(1).news)


def test_a_members_silence_touches_their_view_only_and_keeps_what_they_have_seen():
    world = World()
    number = hush(world, who=BOB, member="bob", type="**")
    world.tell(FAILED, {**API, "error": "a"})
    moves.seen(world.store, 1, member="bob", principal=BOB, now=world.now)
    world.tell(FAILED, {**API, "error": "b"})
    (view,) = world.store.views.member_views(1)
    assert (None, 2) == (world.row(1).silenced_by, world.row(1).news)
    assert (1, START + HOUR, f"s{number}") == (view.seen, view.snooze_until, view.snoozed_by)
    silences.end(world.store, number, principal=BOB, now=world.now)
    world.run()
    (view,) = world.store.views.member_views(1)
    assert (1, None, None) == (view.seen, view.snooze_until, view.snoozed_by)


def test_an_expression_that_has_no_answer_silences_nothing_and_is_counted():
    world = World()
    number = hush(world, when="payload.error == 'x'")
    world.tell(FAILED, API)
    held = silences.standing(world.store)[number]
    assert (None, 1) == (world.row(1).silenced_by, held.errors)
    assert held.error


def test_a_maintenance_window_is_on_at_its_hours_only():
    world = World()  # a Friday, 10:00 UTC
    wanted = Silence(0, "", 0, world.now + 60 * DAY, type="**", every=("Fri 12:00-14:00",), reason="patching")
    silences.add(world.store, wanted, principal=ADA, now=world.now)
    world.tell(FAILED, API)
    assert world.row(1).silenced_by is None
    world.now = START + 2 * HOUR
    world.tell(FAILED, {**API, "env": "test"})
    assert START + 4 * HOUR == world.row(2).silenced_until
    world.wait(2 * HOUR)
    assert (None, 1) == (world.row(2).silenced_by, world.row(2).news)


@pytest.mark.parametrize(
    ("about", "until", "why", "after"),
    [
        ({}, 20 * DAY, "has been on for 7 days", 7 * DAY),
        ({"every": ("12:00-13:00",)}, 20 * DAY, "ends within 7 days", 13 * DAY),
        ({}, 40 * DAY, "has kept nothing quiet for 30 days", 30 * DAY),
    ],
)
def test_a_forgotten_silence_reminds_once_in_the_inbox(about, until, why, after):
    world = World()
    number = hush(world, until, type="shop.**", **about)
    world.wait(after + MINUTE)
    world.wait(MINUTE)
    told = [row for row in world.inbox() if row.type == "system.silence.forgotten"]
    assert 1 == len(told)
    assert why in told[0].title
    world.wait(until)
    assert "resolved" == world.row(told[0].id).agent_state
    assert number not in silences.standing(world.store)


def test_the_reminder_of_a_silence_of_everything_is_not_silenced_by_it():
    world = World()
    hush(world, 20 * DAY)
    world.wait(8 * DAY)
    assert [None] == [row.silenced_by for row in world.inbox() if row.type == "system.silence.forgotten"]


def test_one_that_keeps_something_quiet_every_week_is_not_idle():
    world = World()
    hush(world, 60 * DAY, type="shop.**")
    for slug in "abcde":
        world.wait(6 * DAY)
        world.tell(FAILED, {**API, "slug": slug})
    world.wait(2 * DAY)
    assert not [row for row in world.inbox() if "nothing quiet" in row.title]


def test_only_an_admin_silences_the_workspace_and_only_the_member_their_own_view():
    world = World()
    with pytest.raises(NotPermitted, match="for the whole workspace"):
        hush(world, who=BOB, type="**")
    with pytest.raises(NotPermitted, match="for eve"):
        hush(world, who=BOB, member="eve", type="**")
    number = hush(world, type="**")
    with pytest.raises(NotPermitted):
        silences.end(world.store, number, principal=BOB, now=world.now)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"type": "no pattern"}, "pattern"),
        ({"type": "**", "reason": " "}, "reason"),
        ({"type": "**", "until": START}, "ends in the future"),
        ({"type": "**", "until": START + 400 * DAY}, "ends in the future"),
        ({"when": "payload.x +"}, "when"),
        ({"type": "**", "every": ("Mon 10-11",)}, "time of the week"),
        ({"type": "**", "timezone": "Mars"}, "time zone"),
        ({}, "about something"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(wrong, said):
    world = World()
    wanted = Silence(0, "", 0, START + HOUR, reason="r")._replace(**wrong)
    with pytest.raises(UsageError, match=said):
        silences.add(world.store, wanted, principal=ADA, now=world.now)


def test_one_that_is_over_or_never_was_cannot_be_ended():
    world = World()
    number = hush(world)
    world.wait(2 * HOUR)
    with pytest.raises(Conflict, match="over already"):
        silences.end(world.store, number, principal=ADA, now=world.now)
    with pytest.raises(NotFound, match="no silence s99"):
        silences.end(world.store, 99, principal=ADA, now=world.now)


def test_before_the_pipeline_comes_to_it_a_silence_is_listed_and_can_be_ended():
    world = World()
    wanted = Silence(0, "", 0, world.now + HOUR, type="**", reason="r")
    number = silences.add(world.store, wanted, principal=ADA, now=world.now).number
    assert [number] == list(silences.standing(world.store))
    silences.end(world.store, number, principal=ADA, now=world.now)
    assert [] == list(silences.standing(world.store))


def test_a_rebuild_gives_the_same_silences_and_what_they_kept():
    world = World()
    hush(world, type="shop.**")
    world.tell(FAILED, API)
    world.wait(30 * MINUTE)
    world.tell("shop.ticket.opened", {"id": 1})
    world.wait(HOUR)
    target = MemoryStore()
    assert rebuild(world.store, target, World().pipeline, batch=1).same
    assert silences.ended(world.store) == silences.ended(target)
    assert world.store.due_timers(2**62, limit=99) == target.due_timers(2**62, limit=99)


def test_where_nothing_is_silenced_a_batch_writes_nothing_about_it():
    world = World()
    world.tell(FAILED, API)
    cursor = world.store.cursor("system")
    world.emit("shop.ticket.opened", {"id": 1})
    batch = world.pipeline.prepare(world.store.read_log(cursor.pos if cursor else 0, 9), world.store)
    out = world.pipeline.plan(batch, world.pipeline.read(batch, world.store), cursor.pos if cursor else 0, 0)
    assert [] == [row for row in out.states if row.cartridge.startswith(("system/sh", "system/si"))]
    assert ([], []) == (out.snoozes, out.unsnoozed)
