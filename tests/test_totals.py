"""Totals of what cartridges did: they outlive restarts and reloads, and at a round number somebody is told, once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl import totals
from eventctl.dag_pipeline import DagPipeline
from eventctl.invoked import PROMOTABLE, Counting
from eventctl.memory_store import MemoryStore
from eventctl.modules import Modules
from eventctl.outbox import Outbox
from eventctl.plan import Plan
from eventctl.runner import Engine, Wake
from eventctl.store import Record
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import iso
from eventctl.totals import BOX_NS, BOXES, NOTHING, Totals, box
from eventctl.views import InboxFilter
from tests.flowkit import CATALOG, Crumbs, cartridge, plan
from tests.test_invoked import NOW, SHIPPED, SetClock, fails, go_on

UNIT = "company/domains/shop/cartridges/good.py"


@pytest.fixture
def wake() -> Iterator[Wake]:
    made = Wake()
    yield made
    made.close()


def engine_on(store: MemoryStore, running: Plan, wake: Wake, clock: SetClock, *, after: int = 0) -> Engine:
    pipelines = [SystemPipeline(SHIPPED), DagPipeline(running, CATALOG, modules=Modules(), crumb=Crumbs())]
    outbox = Outbox(store, {}, wake=wake.wake, jitter=float)
    return Engine(store, pipelines, outbox, clock=clock, wake=wake, counting=Counting(after))


def send(store: MemoryStore, number: int = 1) -> None:
    for _ in range(number):
        id_ = f"s{store.tail('log')}"
        body = {"event": "shop.sold", "source": "till", "timestamp": iso(NOW), "payload": {}, "id": id_}
        store.append([Record("event", "till", id_, "shop.sold", orjson.dumps(body), "cli:ada", NOW)])


def suggested(store: MemoryStore) -> list[dict[str, Any]]:
    return [orjson.loads(row.body) for row in store.read_log(0, 1_000) if row.type == PROMOTABLE]


def total(store: MemoryStore, running: Plan, name: str) -> Totals:
    return totals.read(store, [(running.pipeline, name)]).get((running.pipeline, name), NOTHING)


def in_unit(unit: str, **more: Any) -> Plan:
    return plan(cartridge("good", go_on, unit=unit, **more))


def test_totals_outlive_the_engine_that_counted_them(wake: Wake) -> None:
    store, clock, running = MemoryStore(), SetClock(), plan(cartridge("good", go_on), cartridge("bad", fails, on_error="skip"))
    engine_on(store, running, wake, clock).step()
    for count in (3, 2):
        send(store, count)
        assert engine_on(store, running, wake, clock).run_until_idle()
        clock.seconds += 10
    good, bad = total(store, running, "good"), total(store, running, "bad")
    assert (5, 0, 5) == (good.calls, good.errors, sum(good.boxes))
    assert (5, 5) == (bad.calls, bad.errors)
    assert (NOW, NOW + 10_000_000) == (good.since, good.last)


def test_no_run_is_added_twice_however_often_counts_are_saved_and_told(wake: Wake) -> None:
    store, clock, running = MemoryStore(), SetClock(), plan(cartridge("good", go_on))
    engine = engine_on(store, running, wake, clock)
    sent = 0
    for number in range(6):
        send(store, number)
        sent += number
        assert engine.run_until_idle()
        clock.seconds += 25  # every third time they are told as well
    assert sent == total(store, running, "good").calls


def test_what_was_not_counted_has_no_row_and_nothing_is_written_for_it(wake: Wake) -> None:
    store, clock, running = MemoryStore(), SetClock(), plan(cartridge("good", go_on))
    assert engine_on(store, running, wake, clock).run_until_idle()
    assert {} == totals.read(store, [(running.pipeline, "good")])


@pytest.mark.parametrize(("runs", "times"), [(4, 0), (5, 1), (6, 1)])
def test_one_is_suggested_at_the_number_and_past_it_not_before(wake: Wake, runs: int, times: int) -> None:
    store, clock, running = MemoryStore(), SetClock(), in_unit(UNIT)
    engine = engine_on(store, running, wake, clock, after=5)
    engine.step()
    send(store, runs)
    assert engine.run_until_idle()
    assert times == len(suggested(store))


def test_it_is_suggested_once_over_restarts_and_says_how_to(wake: Wake) -> None:
    store, clock, running = MemoryStore(), SetClock(), in_unit(UNIT)
    for _ in range(4):
        engine = engine_on(store, running, wake, clock, after=5)
        engine.step()
        send(store, 4)
        assert engine.run_until_idle()
    (told,) = suggested(store)
    assert told["description"].endswith("has run 8 times without an error: `eventctl cartridge promote good --to library`")
    assert 1 == sum(item.notification.type == PROMOTABLE for item in store.views.inbox(InboxFilter()).items)


@pytest.mark.parametrize("unit", ["cartridges/good.py", "plugin:shop/good", "installed:library/good", ""])
def test_what_is_in_the_library_is_not_suggested(wake: Wake, unit: str) -> None:
    store, clock = MemoryStore(), SetClock()
    engine = engine_on(store, in_unit(unit), wake, clock, after=1)
    engine.step()
    send(store, 3)
    assert engine.run_until_idle()
    assert [] == suggested(store)


def test_after_nought_runs_nothing_is_suggested_ever(wake: Wake) -> None:
    store, clock = MemoryStore(), SetClock()
    engine = engine_on(store, in_unit(UNIT), wake, clock, after=0)
    engine.step()
    send(store, 3)
    assert engine.run_until_idle()
    assert [] == suggested(store)


def test_errors_are_named_where_there_were_any(wake: Wake) -> None:
    store, clock = MemoryStore(), SetClock()
    running = plan(cartridge("bad", fails, unit="personal/ada/cartridges/bad.py", on_error="skip"))
    engine = engine_on(store, running, wake, clock, after=2)
    engine.step()
    send(store, 2)
    assert engine.run_until_idle()
    assert "with 2 errors" in suggested(store)[0]["description"]


@given(st.lists(st.integers(0, 100_000_000_000), min_size=1, max_size=200))
def test_the_95th_percentile_is_right_to_within_its_box(times: list[int]) -> None:
    boxes = [0] * BOXES
    for ns in times:
        boxes[box(ns)] += 1
    ran = Totals(len(times), 0, sum(times), max(times), boxes=tuple(boxes))
    exact = sorted(times)[max(0, -(-95 * len(times) // 100) - 1)]
    low = BOX_NS * 2 ** (box(exact) - 1) if box(exact) else 0
    high = BOX_NS * 2 ** box(exact) if box(exact) < BOXES - 1 else max(times)
    assert low <= ran.p95_ns <= high or ran.p95_ns == max(times)
    assert ran.p95_ns <= max(times)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 10**9)), max_size=8))
def test_parts_add_up_to_the_whole_and_survive_being_kept(parts: list[tuple[int, int]]) -> None:
    several = [
        Totals(calls, 0, ns, ns, since=ns, last=ns, boxes=tuple(calls if n == box(ns) else 0 for n in range(BOXES)))
        for calls, ns in parts
    ]
    whole = totals.together(several)
    assert sum(calls for calls, _ in parts) == whole.calls == sum(whole.boxes)
    assert min((ns for _, ns in parts), default=0) == whole.since
    assert max((ns for _, ns in parts), default=0) == whole.last == whole.max_ns
    kept = totals.row("p", "c", whole)
    assert kept.value is not None
    assert [*whole._asdict()] == [*orjson.loads(kept.value)]
