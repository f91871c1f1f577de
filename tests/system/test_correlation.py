"""Correlation: bursts, cascades, entities that keep failing; in event time, once per bucket, and never about itself."""

from __future__ import annotations

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from eventctl.announce import announce
from eventctl.store import Keys, Record
from eventctl.system.correlation import (
    BURST,
    CASCADE,
    DEGRADED,
    ENTITIES_MAX,
    KEY,
    LATENESS,
    OWNER,
    TYPES_MAX,
    Counts,
    Names,
)
from eventctl.times import DAY, MINUTE, SECOND, iso
from tests.system.kit import START, World, payloads

BUCKET = 5 * MINUTE


def burst(world: World, count: int, *, start: int, type: str = "shop.build.passed") -> None:
    for i in range(count):
        world.emit(type, timestamp=iso(start + i * SECOND))
    world.run()


def test_one_below_the_threshold_is_nothing_and_one_more_is_exactly_one_burst():
    world = World()
    burst(world, 9, start=START)
    assert [] == world.events(BURST)
    burst(world, 20, start=START + 10 * SECOND)
    assert [{"event_type": "shop.build.passed", "count": 10, "window_start": iso(START)}] == payloads(world.events(BURST))


def test_a_persons_ten_reloads_are_no_burst():
    world = World()
    told = [announce("system.reload.done", {}, now=START + i * SECOND, by="runner", entity="reload") for i in range(20)]
    world.store.append(told)
    world.now += MINUTE
    world.run()
    assert [] == world.events(BURST)


def test_a_burst_that_goes_on_is_told_once_and_again_only_after_a_calm_bucket():
    world = World()
    world.now += 60 * MINUTE
    told = []
    for bucket, count in enumerate((12, 12, 12, 2, 12, 3, 9, 12)):
        burst(world, count, start=START + bucket * BUCKET)
        told.append(len(world.events(BURST)))
    assert [1, 1, 1, 1, 2, 2, 2, 3] == told


def test_a_calm_day_that_is_read_in_a_minute_is_no_burst():
    world = World()
    for minute in range(0, 24 * 60, 2):
        world.emit("shop.build.passed", timestamp=iso(START - DAY + minute * MINUTE), at=START)
    world.run()
    assert [] == world.events(BURST)


def test_a_timestamp_ahead_of_ingestion_is_held_to_it_and_history_is_not_counted():
    world = World()
    for year in range(10):
        world.emit("shop.build.passed", timestamp=f"{2031 + year}-01-01T00:00:00Z", at=START)
    for year in range(10):
        world.emit("shop.build.failed", timestamp=f"{2001 + year}-01-01T00:00:00Z", at=START)
    world.run()
    starts = [payload["window_start"] for payload in payloads(world.events(BURST))]
    assert [iso(START)] == starts


def test_what_is_just_not_too_late_still_counts():
    world = World()
    for _ in range(10):
        world.emit("shop.build.passed", timestamp=iso(START - LATENESS), at=START)
        world.emit("shop.build.failed", timestamp=iso(START - LATENESS - MINUTE), at=START)
    world.run()
    assert ["shop.build.passed"] == [payload["event_type"] for payload in payloads(world.events(BURST))]


def test_what_correlation_says_is_neither_counted_nor_examined():
    world = World()
    for n in range(12):
        burst(world, 10, start=START, type=f"made.up{n}")
    assert 12 == len(world.events(BURST))
    assert BURST not in [payload["event_type"] for payload in payloads(world.events(BURST))]


def test_the_loop_guard_goes_by_cause_and_never_by_name():
    world = World()
    for _ in range(10):
        world.emit("made.up", source="eventctl:correlation")
    world.run()
    assert 1 == len(world.events(BURST)), "a borrowed name hides nothing"
    for _ in range(20):
        world.emit("made.upon", principal="cartridge:shop/x", hops=1)
    world.run()
    assert 1 == len(world.events(BURST))


def test_a_derived_event_says_what_caused_it_and_comes_out_the_same_again():
    world, twin = World(), World()
    burst(world, 10, start=START)
    twin.store.append([Record(*row[1:]) for row in world.store.read_log(0, 10)])
    twin.run(limit=3)
    [found], [again] = world.events(BURST), twin.events(BURST)
    assert (found.id, found.body) == (again.id, again.body)
    assert ("cartridge:system/correlation", "eventctl:correlation", 10, 1) == (
        found.principal, found.source, found.caused_by, found.hops,
    )  # fmt: skip
    assert world.store.views.record(10).id == orjson.loads(found.body)["caused_by"]


def test_three_failures_in_different_places_are_a_cascade_with_their_names():
    world = World()
    for name in ("worker/1", "worker/1", "worker/2", "worker/3", "worker/4"):
        world.tell("shop.build.failed", entity=name)
    [found] = payloads(world.events(CASCADE))
    assert {"failure_count": 3, "entities": ["worker/1", "worker/2", "worker/3"], "window_start": iso(START)} == found
    assert [] == world.events(DEGRADED)


def test_three_failures_of_one_entity_degrade_it_once():
    world = World()
    for type in ("shop.build.failed", "shop.deploy.failed", "shop.build.failed", "shop.build.failed"):
        world.tell(type, entity="svc/a")
    [found] = world.events(DEGRADED)
    assert {"entity": "svc/a", "failure_count": 3, "window_start": iso(START)} == orjson.loads(found.body)["payload"]
    assert ("svc/a", []) == (found.entity, world.events(CASCADE))
    assert ["svc/a keeps failing: 3 times"] == [row.title for row in world.inbox()]


def test_windows_are_one_bounded_row_and_old_ones_go():
    world = World()
    for n in range(TYPES_MAX + ENTITIES_MAX):
        world.emit(f"made.up.t{n}", at=START)
        world.emit("shop.build.failed", entity=f"f/{n}", at=START)
    world.run()
    windows = orjson.loads(world.store.snapshot(Keys(states=[(OWNER, KEY)])).states[OWNER, KEY])
    assert (TYPES_MAX, ENTITIES_MAX) == (len(windows["types"]), len(windows["entities"]))
    world.now += 20 * MINUTE
    world.tell("made.up.new", entity="e/new")
    windows = orjson.loads(world.store.snapshot(Keys(states=[(OWNER, KEY)])).states[OWNER, KEY])
    assert ["made.up.new"] == list(windows["types"])


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from("abcd")), max_size=60), st.integers(1, 4))
@settings(max_examples=200)
def test_no_bucket_speaks_twice_and_no_two_in_a_row(steps, threshold):
    counts, names = Counts({}, threshold, 10), Names([0, [], [], 0], threshold)
    spoken: dict[str, list[int]] = {"counts": [], "names": []}
    for bucket, name in steps:
        if counts.reached("key", bucket):
            spoken["counts"].append(bucket)
        if names.reached(name, bucket):
            spoken["names"].append(bucket)
    for buckets in spoken.values():
        assert len(set(buckets)) == len(buckets)
        assert not any(bucket + 1 in buckets for bucket in buckets)
