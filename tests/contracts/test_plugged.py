"""The suites for who writes executors, enrichers and cartridges: ours pass them, and one that breaks a promise does not."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from random import random
from typing import Any

import pytest

from eventctl.contracts import Answer
from eventctl.event import Event
from eventctl.executors import CommandExecutor, LogExecutor
from eventctl.suites.cartridges import CartridgeSuite
from eventctl.suites.enrichers import EnricherSuite
from eventctl.suites.executors import ExecutorSuite
from eventctl.testing import make_event


class TestCommand(ExecutorSuite):
    args = {"argv": ["true"]}
    acts = True

    @pytest.fixture
    def executor(self):
        return CommandExecutor(dict(os.environ))


class TestLog(ExecutorSuite):
    args = {"text": "hello"}
    wrong = None
    acts = False

    @pytest.fixture
    def executor(self):
        return LogExecutor(logging.getLogger("test"))


class Doors:
    name = "door"
    consumes = ("door.*",)

    def enrich(self, events):
        return [{"floor": 3} if event.payload.get("door") == "d3" else None for event in events]


OPENED = (make_event("door.opened", {"door": "d3"}), make_event("door.opened", {"door": "d9"}))


class TestDoors(EnricherSuite):
    events = OPENED

    @pytest.fixture
    def enricher(self):
        return Doors()


async def honest(event, context):
    count = await context.state.get("count", 0) + 1
    context.state.set("count", count)
    context.annotate("count", count)
    return event


class TestHonest(CartridgeSuite):
    cartridge = honest
    events = (make_event(), make_event(number=2))
    given = {"manifest": {"annotates": ["count"]}}


def fails(suite: Any, test: str, *args: Any) -> bool:
    try:
        getattr(suite, test)(*args)
    except (AssertionError, Exception):  # noqa: BLE001 - whatever breaks it, it is broken
        return True
    return False


CRIMES: dict[str, Any] = {}


def crime(test):
    def note(function):
        CRIMES[function.__name__] = (test, function)
        return function

    return note


@crime("test_it_loads_and_runs_without_an_error")
async def raises(event, context):
    raise ValueError(event.event)


@crime("test_it_awaits_nothing_but_what_its_context_gives")
async def sleeps(event, context):
    import asyncio

    await asyncio.sleep(1)


@crime("test_the_same_events_come_to_the_same")
async def throws_dice(event, context):
    context.annotate("count", random())
    return event


SEEN: list[str] = []


@crime("test_a_run_that_is_repeated_after_a_crash_comes_to_the_same")
async def remembers_outside_of_its_state(event, context):
    if event.id in SEEN:
        context.annotate("count", "again")
    SEEN.append(event.id)
    return event


@crime("test_it_leaves_its_event_as_it_was")
async def scribbles(event, context):
    event.payload["seen"] = True
    return event


@pytest.mark.parametrize("name", CRIMES)
def test_a_cartridge_that_breaks_a_promise_does_not_pass_the_test_of_it(name):
    test, function = CRIMES[name]
    suite = type("Suite", (CartridgeSuite,), {"cartridge": function, "events": OPENED[:1], "given": TestHonest.given})()
    SEEN.clear()
    assert fails(suite, test)


def test_events_that_a_cartridge_does_not_consume_are_no_test_of_it():
    suite = CartridgeSuite()
    suite.cartridge = Path(__file__).resolve().parents[2] / "cartridges" / "threshold.toml"
    suite.events = ()
    assert fails(suite, "test_its_events_are_some_that_it_consumes")


class BadExecutor:
    name = "Bad Name"
    acts = "maybe"

    def __init__(self):
        self.asked = 0

    def execute(self, request):
        self.asked += 1
        request.args["x"] = self.asked
        return Answer(self.asked % 2 == 1, result={"a": (1, 2)}, error="" if self.asked % 2 else "two\nlines", again=True)


@pytest.mark.parametrize("test", [name for name in vars(ExecutorSuite) if name.startswith("test_")])
def test_an_executor_that_breaks_every_promise_passes_no_test(test):
    suite = type("Suite", (ExecutorSuite,), {"args": {"a": 1}})()
    assert fails(suite, test, BadExecutor())


class BadEnricher:
    name = "Bad Name"
    consumes = ("window.*",)

    def __init__(self):
        self.asked = 0

    def enrich(self, events):
        self.asked += 1
        for event in events:
            event.payload["asked"] = self.asked
        return [{"first": (self.asked, "x" * 9_000)}]


@pytest.mark.parametrize("test", [name for name in vars(EnricherSuite) if name.startswith("test_")])
def test_an_enricher_that_breaks_every_promise_passes_no_test(test):
    suite = EnricherSuite()
    suite.events = [Event(event.body) for event in OPENED]
    assert fails(suite, test, BadEnricher())
