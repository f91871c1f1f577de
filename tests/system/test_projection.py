"""Projection: lives become notifications."""

from __future__ import annotations

import orjson
import pytest

from eventctl import moves
from eventctl.lives import DEFAULT_LEASE
from eventctl.store import DUE_MAX
from eventctl.times import DAY, HOUR, MINUTE
from tests.system.kit import ADA, World, catalog

API = {"slug": "api", "env": "prod"}


@pytest.fixture
def world() -> World:
    return World()


def history(world: World, number: int) -> list[int]:
    return [row.seq for row in world.store.views.life(number)]


def test_a_life_is_one_row_with_its_history(world):
    seqs = [
        world.tell("shop.deploy.started", {**API, "sha": "a"}, entity="svc/api"),
        world.tell("shop.deploy.failed", {**API, "error": "x"}),
        world.tell("shop.deploy.done", API),
    ]
    [row] = world.inbox()
    assert ("Deploy api to prod", "shop.deploy.done", seqs[-1], seqs[0]) == (row.title, row.type, row.seq, row.opened_seq)
    assert (3, "svc/api", "resolved", seqs) == (row.level, row.entity, row.agent_state, history(world, row.id))


def test_the_row_shows_the_highest_level_and_the_newest_type(world):
    world.tell("shop.deploy.started", {**API, "sha": "a"})
    assert 2 == world.row(1).level
    world.tell("shop.deploy.failed", API)
    assert (3, "shop.deploy.failed") == (world.row(1).level, world.row(1).type)
    world.tell("shop.deploy.failed", API, level=0)
    assert 3 == world.row(1).level


def test_keys_are_typed_and_a_number_is_found_again(world):
    world.tell("shop.ticket.opened", {"id": 42})
    world.tell("shop.ticket.opened", {"id": "42"})
    world.tell("shop.ticket.closed", {"id": 42})
    assert [("[42]", "resolved"), ('["42"]', "none")] == [(row.life_key, row.agent_state) for row in world.inbox()]


def test_two_families_that_share_a_key_do_not_resolve_each_other(world):
    world.tell("shop.ticket.opened", {"id": 7})
    world.tell("shop.asset.done", {"id": 7})
    assert ["none"] == [row.agent_state for row in world.inbox()]


def test_an_update_without_an_open_row_opens_one(world):
    world.tell("shop.ticket.noted", {"id": 1, "text": "late"})
    assert [("none", 1)] == [(row.agent_state, row.news) for row in world.inbox()]


def test_a_resolution_is_kept_with_its_moment_and_without_an_open_row_nothing_happens(world):
    nothing = world.tell("shop.deploy.done", API)
    assert ([], None) == (world.inbox(), world.exception(nothing))
    world.tell("shop.deploy.started", {**API, "sha": "a"})
    world.tell("shop.deploy.done", {**API, "took": 3})
    row = world.row(1)
    assert ("resolved", world.now, {**API, "took": 3}) == (row.agent_state, row.resolved_at, orjson.loads(row.resolution))
    world.tell("shop.deploy.done", API)
    assert 2 == len(history(world, 1)), "an end of what has ended is no part of it"


def test_opening_after_the_end_is_a_new_notification_and_reopening_the_old_one(world):
    for type in ("opened", "closed", "opened", "closed", "reopened"):
        world.tell(f"shop.ticket.{type}", {"id": 1}, description=type)
    first, second = world.inbox()
    assert ("resolved", "none") == (first.agent_state, second.agent_state)
    assert (None, None, "reopened") == (second.resolved_at, second.resolution, second.title)


def test_reopening_passes_over_what_is_archived_and_opens_where_nothing_was(world):
    world.tell("shop.ticket.reopened", {"id": 1})
    world.tell("shop.ticket.closed", {"id": 1})
    moves.archive(world.store, 1, principal=ADA, now=world.now)
    world.tell("shop.ticket.reopened", {"id": 1})
    assert [(1, "resolved"), (2, "none")] == [(row.id, row.agent_state) for row in world.inbox(archived=True)]


def test_only_a_change_of_a_meaningful_field_is_news(world):
    world.tell("shop.deploy.started", {**API, "sha": "a"})
    news = [1]
    for payload in (
        {"error": "x"},
        {"error": "x"},
        {"error": "x", "attempt": 2},
        {"error": "y"},
        {"attempt": 3},
        {"error": "y"},
    ):
        world.tell("shop.deploy.failed", {**API, **payload})
        news.append(world.row(1).news)
    assert [1, 2, 2, 2, 3, 3, 3] == news


def test_true_is_not_one_when_values_are_compared(world):
    world.tell("shop.ticket.noted", {"id": 1, "text": True})
    world.tell("shop.ticket.noted", {"id": 1, "text": 1})
    world.tell("shop.ticket.noted", {"id": 1, "text": "x" * 5000})
    world.tell("shop.ticket.noted", {"id": 1, "text": "x" * 5000})
    assert (3, True) == (world.row(1).news, len(world.row(1).watched) < 100)


def test_a_seen_row_is_news_again_after_a_change_and_not_after_a_quiet_field(world):
    world.tell("shop.deploy.failed", {**API, "error": "x"})
    moves.seen(world.store, 1, member="ada", principal=ADA, now=world.now)
    assert [] == world.inbox(member="ada", unseen=True)
    world.tell("shop.deploy.failed", {**API, "error": "x", "attempt": 2})
    assert [] == world.inbox(member="ada", unseen=True)
    world.tell("shop.deploy.failed", {**API, "error": "y"})
    assert [1] == [row.id for row in world.inbox(member="ada", unseen=True)]


def test_a_raised_level_is_news(world):
    world.tell("shop.ticket.opened", {"id": 1})
    world.tell("shop.ticket.noted", {"id": 1}, level=3)
    assert (2, 3) == (world.row(1).news, world.row(1).level)


def test_an_accumulating_repeat_never_opens_a_second_row(world):
    world.tell("shop.score.measured", {"group": "a", "value": 1})
    moves.resolve(world.store, 1, agent="ada", principal=ADA, now=world.now)
    world.tell("shop.score.measured", {"group": "a", "value": 2})
    assert [1] == [row.id for row in world.inbox()]


def test_a_payload_without_the_key_is_filed_and_said(world):
    seq = world.tell("shop.deploy.started", {"slug": "api", "sha": "a"})
    assert ([], {"life": "shop.deploy", "missing_key_field": "env"}) == (world.inbox(), world.annotation(seq, "projection"))


def test_a_title_stands_when_a_later_event_cannot_fill_it(world):
    world.tell("shop.ticket.opened", {"id": 1}, description="Printer on fire")
    world.tell("shop.ticket.noted", {"id": 1, "text": "a"})
    assert "Printer on fire" == world.row(1).title
    world.tell("shop.ticket.noted", {"id": 1, "text": "b"}, description="Printer \x1b[31mout")
    assert "\x1b" not in world.row(1).title
    assert "out" in world.row(1).title


def test_a_claimed_row_that_an_event_resolves_has_no_lease_left(world):
    world.tell("shop.deploy.started", {**API, "sha": "a"})
    moves.claim(world.store, 1, agent="bob", principal=ADA, now=world.now)
    world.tell("shop.deploy.done", API)
    assert ("resolved", None, "bob") == (world.row(1).agent_state, world.row(1).lease_due, world.row(1).agent)
    world.wait(20 * MINUTE)
    assert "resolved" == world.row(1).agent_state
    assert [] == [timer for timer in world.store.due_timers(2**62, limit=9) if timer.key.startswith("lease")]


def test_one_batch_may_open_resolve_and_open_again(world):
    world.tell("shop.ticket.opened", {"id": 1})
    for type in ("closed", "opened", "noted", "closed", "opened"):
        world.emit(f"shop.ticket.{type}", {"id": 1})
    world.run()
    assert [(1, "resolved"), (2, "resolved"), (3, "none")] == [(row.id, row.agent_state) for row in world.inbox()]


def test_a_lease_that_ends_gives_the_row_back(world):
    world.tell("shop.ticket.opened", {"id": 1})
    moves.claim(world.store, 1, agent="bob", principal=ADA, now=world.now)
    world.wait(DEFAULT_LEASE - MINUTE)
    assert "claimed" == world.row(1).agent_state
    world.wait(2 * MINUTE)
    assert ("none", None, 1) == (world.row(1).agent_state, world.row(1).agent, world.row(1).lease_token)


def test_a_renewed_lease_outlives_the_timer_of_the_first(world):
    world.tell("shop.ticket.opened", {"id": 1})
    moves.claim(world.store, 1, agent="bob", principal=ADA, now=world.now)
    world.now += DEFAULT_LEASE
    world.fire()
    moves.claim(world.store, 1, agent="bob", principal=ADA, now=world.now - MINUTE)
    world.run()
    assert "claimed" == world.row(1).agent_state


def test_a_snooze_ends_by_itself(world):
    world.tell("shop.ticket.opened", {"id": 1})
    moves.snooze(world.store, 1, member="ada", until=world.now + HOUR, principal=ADA, now=world.now)
    assert world.store.views.member_views(1)[0].snooze_until is not None
    world.wait(HOUR)
    assert world.store.views.member_views(1)[0].snooze_until is None


def test_what_was_resolved_is_archived_and_then_purged(world):
    world.tell("shop.ticket.opened", {"id": 1})
    world.tell("shop.ticket.closed", {"id": 1})
    world.wait(6 * DAY, steps=24)
    assert [1] == [row.id for row in world.inbox()]
    world.wait(2 * DAY, steps=48)
    assert ([], [1]) == (world.inbox(), [row.id for row in world.inbox(archived=True)])
    world.wait(91 * DAY, steps=91)
    assert [] == world.inbox(archived=True)


def test_what_asks_for_nothing_goes_and_what_asks_stays(world):
    world.tell("shop.tip.given", {"id": 1})
    world.tell("shop.ticket.opened", {"id": 1})
    world.wait(7 * DAY + HOUR, steps=20)
    assert [2] == [row.id for row in world.inbox()]


def test_a_row_in_somebodys_hands_does_not_age_and_ages_again_when_it_is_given_back(world):
    world.tell("shop.tip.given", {"id": 1})
    moves.claim(world.store, 1, agent="bob", principal=ADA, now=world.now, lease=20 * DAY)
    world.wait(10 * DAY, steps=20)
    assert "claimed" == world.row(1).agent_state
    moves.release(world.store, 1, agent="bob", principal=ADA, now=world.now)
    world.wait(6 * DAY, steps=12)
    assert [1] == [row.id for row in world.inbox()]
    world.wait(2 * DAY, steps=12)
    assert [] == world.inbox()


def test_a_stated_end_comes_by_itself(world):
    world.tell("shop.tip.short", {"id": 1})
    world.wait(HOUR)
    assert "none" == world.row(1).agent_state
    world.wait(2 * HOUR, steps=2)
    assert ("resolved", {"terminal_when": "2h elapsed"}) == (world.row(1).agent_state, orjson.loads(world.row(1).resolution))


def test_what_a_move_settled_is_aged_by_the_catalog(world):
    world.tell("shop.ticket.opened", {"id": 1})
    moves.resolve(world.store, 1, agent="ada", principal=ADA, now=world.now)
    world.wait(6 * DAY, steps=12)
    assert [1] == [row.id for row in world.inbox()]
    world.wait(2 * DAY, steps=12)
    assert [] == world.inbox()


def test_a_sweep_that_meets_its_cap_comes_again_at_once(world):
    for number in range(2 * DUE_MAX):
        world.emit("shop.tip.given", {"id": number})
    world.run()
    world.now += 8 * DAY
    left = []
    for _ in range(3):
        world.fire()
        world.run()
        left.append(world.store.views.counts().notifications_open)
        world.now += 1
    # One more than the tips: so many are a burst, whose notification comes to its end here too.
    assert [DUE_MAX + 1, 1, 0] == left


def test_the_audience_is_what_the_type_declares(world):
    world.tell(
        "notice.raised", {"by": "x", "key": "k", "title": "Hello", "audience": "member:ada"}, principal="cartridge:shop/x"
    )
    assert ["member:ada"] == [row.audience for row in world.inbox()]


def test_a_withdrawn_notice_is_resolved(world):
    for type_ in ("notice.raised", "notice.withdrawn"):
        world.tell(type_, {"by": "x", "key": "k", "title": "Hello"}, principal="cartridge:shop/x")
    assert ["resolved"] == [row.agent_state for row in world.inbox()]


DOOR = {
    "namespace": "house",
    "lives": {"door": {"key": ["door"], "title": "Door {door}"}},
    "types": {
        "door.opened": {
            "summary": "s", "lives": {"door": "opens"}, "silent": ["by"], "terminal_when": "event left",
            "payload": {"door": "str", "by": "str", "wide": "bool"},
        },
        "left": {"summary": "s", "payload": {"door": "str"}},
    },
}  # fmt: skip


def test_where_only_silent_fields_are_named_the_others_are_news():
    world = World(types=catalog(DOOR))
    for by, wide in (("ada", False), ("bob", False), ("bob", True)):
        world.tell("house.door.opened", {"door": "front", "by": by, "wide": wide})
    world.tell("house.door.opened", {"door": "back", "by": "ada", "wide": False})
    world.tell("house.door.opened", {"door": "back", "by": "bob", "wide": False})
    (front, back) = world.inbox()
    assert 1 == front.news - back.news


def test_an_event_that_an_end_waits_for_resolves_the_life_with_its_key():
    world = World(types=catalog(DOOR))
    for door in ("front", "back"):
        world.tell("house.door.opened", {"door": door, "by": "ada", "wide": False})
    world.tell("house.left", {"door": "back"})
    assert ["none", "resolved"] == [row.agent_state for row in world.inbox(resolved=True)]
