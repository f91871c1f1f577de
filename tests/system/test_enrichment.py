"""Enrichment: what an entity has been through lately."""

from __future__ import annotations

from eventctl.system.enrichment import FAILURES_MAX, OWNER
from eventctl.times import DAY, HOUR, iso
from tests.system.kit import World


def test_only_an_entity_that_failed_is_annotated_and_only_with_what_was_before():
    world = World()
    first = world.tell("shop.build.failed", entity="todo/1")
    at = world.now
    second = world.tell("shop.build.passed", entity="todo/1")
    calm = world.tell("shop.build.passed", entity="todo/2")
    none = world.tell("shop.build.passed")
    said = {"failures_24h": 1, "last_failure": iso(at)}
    assert [None, said, None, None] == [world.annotation(seq, "entity") for seq in (first, second, calm, none)]


def test_failures_of_one_batch_count_like_those_of_many():
    world = World()
    seqs = [world.emit("shop.build.failed", entity="e") for _ in range(3)]
    world.run()
    assert [None, 1, 2] == [(a := world.annotation(seq, "entity")) and a["failures_24h"] for seq in seqs]


def test_a_failure_is_forgotten_after_a_day_and_its_row_goes():
    world = World()
    world.tell("shop.build.failed", entity="e")
    world.now += DAY - HOUR
    assert world.annotation(world.tell("shop.build.passed", entity="e"), "entity") is not None
    world.now += HOUR
    assert world.annotation(world.tell("shop.build.passed", entity="e"), "entity") is None
    assert {} == states(world)


def test_only_failing_entities_have_a_row_and_it_is_bounded():
    world = World()
    for _ in range(FAILURES_MAX + 10):
        world.emit("shop.build.failed", entity="bad")
    world.emit("shop.build.passed", entity="good")
    world.run()
    assert ["bad"] == list(states(world))
    assert FAILURES_MAX == world.annotation(world.tell("shop.build.passed", entity="bad"), "entity")["failures_24h"]


def test_a_duplicate_is_no_further_failure():
    world = World()
    world.emit("shop.build.failed", entity="e", idempotency_key="one")
    world.emit("shop.build.failed", entity="e", idempotency_key="one")
    world.run()
    assert 1 == world.annotation(world.tell("shop.build.passed", entity="e"), "entity")["failures_24h"]


def states(world: World) -> dict[str, bytes]:
    from eventctl.store import Keys

    found = world.store.snapshot(Keys(states=[(OWNER, name) for name in ("e", "bad", "good")])).states
    return {key: value for (_, key), value in found.items()}
