"""Dedup: is this the same occurrence again?"""

from __future__ import annotations

from eventctl.times import HOUR, MINUTE
from tests.system.kit import World

PAGE = {"page": "/", "hour": 10}


def test_a_repeat_is_dropped_and_names_the_first_one():
    world = World()
    first = world.tell("shop.page.viewed", PAGE)
    again = world.tell("shop.page.viewed", PAGE)
    held = world.exception(again)
    assert ("dropped", "dedup", f"duplicate of e{first}") == (held.state, held.cartridge, held.reason)
    assert [(first, "shop.page.viewed", "accept")] == world.feed()
    assert (1, 1, 0, 0) == world.counts()


def test_repeats_inside_a_batch_are_found():
    world = World()
    seqs = [world.emit("shop.page.viewed", PAGE) for _ in range(3)]
    world.run()
    assert [None, *[f"duplicate of e{seqs[0]}"] * 2] == [(e := world.exception(seq)) and e.reason for seq in seqs]


def test_a_repeat_after_the_window_is_a_new_occurrence():
    world = World()
    world.tell("shop.page.viewed", PAGE)
    world.now += HOUR
    late = world.tell("shop.page.viewed", PAGE)
    assert world.exception(late) is None
    assert f"duplicate of e{late}" == world.exception(world.tell("shop.page.viewed", PAGE)).reason


def test_a_window_that_ends_inside_a_batch_counts_too():
    world = World()
    seqs = []
    for _ in range(4):
        seqs.append(world.emit("shop.page.viewed", PAGE))
        world.now += 40 * MINUTE
    world.run()
    assert [None, "dropped", None, "dropped"] == [(e := world.exception(seq)) and e.state for seq in seqs]


def test_the_window_counts_in_ingestion_time_whatever_the_event_says():
    world = World()
    world.tell("shop.page.viewed", PAGE, timestamp="2020-01-01T00:00:00Z")
    again = world.tell("shop.page.viewed", PAGE, timestamp="2026-11-19T00:00:00Z")
    assert "dropped" == world.exception(again).state


def test_a_missing_identity_field_collides_with_nothing_and_is_said():
    world = World()
    seqs = [world.tell("shop.page.viewed", {"page": "/"}) for _ in range(2)]
    assert [None, None] == [world.exception(seq) for seq in seqs]
    assert {"missing_key_field": "hour"} == world.annotation(seqs[1], "dedup")


def test_a_senders_own_key_counts_for_that_sender_and_type():
    world = World()
    world.tell("shop.build.passed", idempotency_key="k")
    assert "dropped" == world.exception(world.tell("shop.build.passed", idempotency_key="k")).state
    assert world.exception(world.tell("shop.build.passed", idempotency_key="k", principal="socket:bob")) is None
    assert world.exception(world.tell("shop.other", idempotency_key="k")) is None


def test_a_stranger_cannot_take_an_occurrence_from_those_who_are_known():
    world = World()
    world.tell("shop.page.viewed", PAGE, principal="http:stranger")
    assert world.exception(world.tell("shop.page.viewed", PAGE)) is None
    assert "dropped" == world.exception(world.tell("shop.page.viewed", PAGE, principal="http:stranger")).state


def test_an_accumulating_repeat_reaches_the_projection():
    world = World()
    first = world.tell("shop.score.measured", {"group": "a", "value": 1})
    again = world.tell("shop.score.measured", {"group": "a", "value": 2})
    assert world.exception(again) is None
    assert {"repeat_of": first} == world.annotation(again, "dedup")
    assert [(2, again)] == [(row.news, row.seq) for row in world.inbox()]


def test_a_type_that_nobody_declared_has_no_occurrences():
    world = World()
    seqs = [world.tell("some.thing", {"a": 1}) for _ in range(2)]
    assert [None, None] == [world.exception(seq) for seq in seqs]
