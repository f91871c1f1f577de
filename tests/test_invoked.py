"""Counts of what cartridges did: told once a minute when any ran, never about themselves, and not round and round."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from eventctl.catalog import Catalog, load, shipped_parts
from eventctl.dag.run import INVOKED
from eventctl.dag_pipeline import DagPipeline
from eventctl.memory_store import MemoryStore
from eventctl.modules import Modules
from eventctl.outbox import Outbox
from eventctl.plan import Plan
from eventctl.runner import Engine, Wake
from eventctl.store import LogRow, Record
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import SECOND, iso
from tests.flowkit import CATALOG, OUT, Crumbs, cartridge, plan

NOW = 1_800_000_000_000_000
UNBOUNDED = 10**12
"""What is counted here is no matter of how busy the machine is."""

SHIPPED: Catalog = load([("eventctl", part) for part in shipped_parts()])[0]


class SetClock:
    """Both times stand still until a test moves them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> int:
        return NOW + int(self.seconds * SECOND)

    def monotonic(self) -> float:
        return 1_000.0 + self.seconds


class World:
    """An engine over a store in memory, with one pipeline of cartridges."""

    def __init__(self, plan: Plan, wake: Wake) -> None:
        self.store, self.clock = MemoryStore(), SetClock()
        pipelines = [
            SystemPipeline(SHIPPED),
            DagPipeline(plan, CATALOG, modules=Modules(), crumb=Crumbs(), budget_ns=UNBOUNDED),
        ]
        outbox = Outbox(self.store, {}, wake=wake.wake, jitter=float)
        self.engine = Engine(self.store, pipelines, outbox, clock=self.clock, wake=wake)

    def send(self, number: int = 1) -> None:
        body = {"event": "shop.sold", "source": "till", "timestamp": iso(NOW), "payload": {}}
        for _ in range(number):
            id_ = f"s{self.store.tail('log')}"
            about = orjson.dumps({**body, "id": id_})
            self.store.append([Record("event", "till", id_, "shop.sold", about, "cli:ada", self.clock.now())])

    def minute(self) -> list[LogRow]:
        """Let a minute pass, work until idle; what was told."""
        before = self.store.tail("log")
        self.clock.seconds += 61
        assert self.engine.run_until_idle()
        return [row for row in self.store.read_log(before, 100) if row.type == INVOKED]


@pytest.fixture
def wake() -> Iterator[Wake]:
    made = Wake()
    yield made
    made.close()


def go_on(event: Any, context: Any) -> Any:
    return event


def takes_its_time(event: Any, context: Any) -> Any:
    time.sleep(0.001)
    return event


def fails(event: Any, context: Any) -> Any:
    raise ValueError("no")


def echoes(event: Any, context: Any) -> Any:
    context.emit(OUT, {})
    return event


def test_runs_are_told_once_a_minute_in_one_event_for_each_cartridge(wake: Wake) -> None:
    world = World(plan(cartridge("good", takes_its_time), cartridge("bad", fails, on_error="skip")), wake)
    world.send(3)
    world.engine.step()
    assert INVOKED not in {row.type for row in world.store.read_log(0, 100)}
    told = world.minute()
    assert ["good", "bad"] == [orjson.loads(row.body)["payload"]["cartridge"] for row in told]
    good, bad = (orjson.loads(row.body)["payload"] for row in told)
    assert (3, 0, 0) == (good["calls"], good["errors"], good["over_budget"])
    assert (3, 3) == (bad["calls"], bad["errors"])
    assert 1 <= good["max_ms"] <= good["total_ms"]
    assert iso(NOW) == good["since"]
    assert {("system:runner", 1)} == {(row.principal, row.hops) for row in told}


def test_nothing_is_told_when_nothing_ran(wake: Wake) -> None:
    world = World(plan(cartridge("good", go_on)), wake)
    assert [] == world.minute()
    world.send()
    assert 1 == len(world.minute() + world.minute())
    assert [] == world.minute()
    assert not world.engine.step().busy


def test_hearing_of_it_is_not_counted(wake: Wake) -> None:
    heard: list[str] = []

    def hears(event: Any, context: Any) -> Any:
        heard.append(event.type)
        return event

    world = World(plan(cartridge("hears", hears, ["**"])), wake)
    world.send()
    world.engine.step()
    assert 1 == len(world.minute())
    assert ["shop.sold", INVOKED] == heard
    assert [] == world.minute()


def test_a_cartridge_that_answers_to_being_counted_comes_to_an_end(wake: Wake) -> None:
    world = World(plan(cartridge("echoes", echoes, ["shop.sold", INVOKED]), cartridge("hears", go_on, [OUT])), wake)
    world.send()
    hops = [row.hops for _ in range(20) for row in world.minute()]
    assert hops
    assert hops == sorted(hops)
    assert 8 >= hops[-1]
    assert [] == world.minute()


def test_what_is_told_is_a_declared_type_of_the_lowest_level() -> None:
    entry = SHIPPED.entry(INVOKED)
    assert (True, 0, "local") == (entry.declared, entry.level, entry.visibility)
