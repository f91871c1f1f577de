"""A trial says exactly what would have been.

A random history is lived twice, with a cartridge and without it; a trial of the cartridge over the second log must come to what
the first one shows: the events it made, what it annotated, every notification as it stood at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventctl.account import Account
from eventctl.plan import Cartridge, Plan
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import MINUTE, SECOND
from eventctl.trial import Span, Subject, Trial
from tests.flowkit import PIPELINE, cartridge, plan
from tests.trialkit import CATALOG, Life, foretold, lived

NAME = f"{PIPELINE}/tried"
ALERT, TALLIED = "domain.shop.alert", "domain.shop.tallied"


async def plain(event: Any, context: Any) -> Any:
    """Tells people, and takes it back."""
    n = event.payload.get("n", 0)
    context.annotate("tried", n)
    if n > 6:
        context.notify(f"{event.entity}: {n}", payload={"key": event.entity})
    elif n == 0:
        context.notify("over", withdraw=True, payload={"key": event.entity})
    return event if n != 5 else None


async def waits(event: Any, context: Any) -> Any:
    """Remembers, and speaks when nothing came for a while."""
    if event.event == "timer.due":
        seen = await context.state.get("seen", 0)
        context.annotate("tried", seen)
        context.notify(f"nothing from {event.entity} after {seen}", payload={"key": event.entity})
        if seen > 2:
            context.emit(ALERT, {"thing": event.entity, "n": seen})
        context.state.set("seen", None)
        return event
    seen = await context.state.get("seen", 0) + 1
    context.state.set("seen", seen)
    context.timer("quiet", timedelta(seconds=30 * (1 + event.payload["n"] % 3)))
    return event


async def echoes(event: Any, context: Any) -> Any:
    """Makes events that it hears itself, and that change what others lead to."""
    if event.event == ALERT:
        context.state.set("alerts", await context.state.get("alerts", 0) + 1)
    elif event.payload["n"] % 3 == 0:
        context.emit(ALERT, {"thing": event.entity, "n": 100 + event.payload["n"]})
    context.annotate("tried", await context.state.get("alerts", 0))
    return event


async def remembers(event: Any, context: Any) -> Any:
    """Reads history, in which its own events stand."""
    before = await context.history("domain.shop.**")
    context.annotate("tried", [each.payload["n"] for each in before][:5])
    if event.event != TALLIED and len(before) % 4 == 3:
        context.emit(TALLIED, {"n": len(before), "thing": event.entity})
    return event


async def fails(event: Any, context: Any) -> Any:
    """Raises for some, and is tried again."""
    count = await context.state.get("count", 0) + 1
    context.state.set("count", count)
    context.annotate("tried", count)
    if event.payload["n"] == 3:
        raise ValueError("three")
    return event


async def other(event: Any, context: Any) -> Any:
    """Somebody else of the same pipeline, whose events stand in the log and whose timers came due."""
    if event.event == "timer.due":
        context.emit(TALLIED, {"n": 1, "thing": event.entity})
    elif event.payload["n"] % 4 == 1:
        context.emit(ALERT, {"thing": event.entity, "n": 50})
        context.timer("later", timedelta(seconds=45))
    return event


KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "plain": plain, "waits": waits, "echoes": echoes, "remembers": remembers, "fails": fails,
}  # fmt: skip
EVENTS = ("domain.shop.sold", "domain.shop.broken", "domain.shop.mended")


def tried(kind: str) -> Cartridge:
    eats = (*EVENTS, ALERT) if kind == "echoes" else (*EVENTS, TALLIED) if kind == "remembers" else EVENTS
    return cartridge("tried", KINDS[kind], eats, annotates=("tried",), emits=("domain.shop.*",))


def others() -> Cartridge:
    return cartridge("other", other, EVENTS, emits=("domain.shop.*",), annotates=())


THINGS = st.sampled_from(("a", "b"))
SENDS = st.tuples(
    st.just("send"), st.sampled_from(("sold", "sold", "broken", "mended")), THINGS, st.integers(0, 8), st.sampled_from((0, 0, 90))
)
WAITS = st.tuples(st.just("wait"), st.sampled_from((0, 1, 5, 20, 40, 61, 700, 4000)))
MOVES = st.tuples(st.just("move"), st.sampled_from(("claim", "resolve", "archive", "seen", "snooze")), THINGS)
SCRIPTS = st.lists(SENDS | SENDS | WAITS | MOVES | st.just(("restart",)), max_size=30)


def live(script: list[tuple[Any, ...]], *plans: Plan) -> list[Life]:
    """Lives with these plans through which the same things happen. What people do they do in the first, and then in the others."""
    lives = [Life(plan) for plan in plans]
    for verb, *args in [*script, ("wait", 1), ("send", "sold", "a", 2, 0)]:
        opener = ""
        for number, life in enumerate(lives):
            if verb == "send":
                kind, thing, n, late = args
                life.send(kind, thing, n, late=late * SECOND)
                life.settle()
            elif verb == "wait":
                life.wait(args[0] * SECOND)
            elif verb == "move" and (not number or opener):
                opener = life.move(*args, opener) or opener
            elif verb == "restart":
                life.restart()
    return lives


def trial(stored: Life, plan: Plan, **more: Any) -> Account:
    span = Span(1, stored.store.tail("log"))
    return Trial(stored.store, span, Subject(frozenset({NAME}), frozenset({"tried"})), SystemPipeline(CATALOG), [plan], CATALOG, **more).run()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(script=SCRIPTS)
def test_a_trial_comes_to_what_a_life_with_the_cartridge_came_to(kind: str, script: list[tuple[Any, ...]]) -> None:
    there = plan(others(), tried(kind))
    without, with_it = live(script, plan(others()), there)
    assert lived(with_it, NAME, "tried") == foretold(trial(without, there), without, "tried")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(script=SCRIPTS)
def test_over_a_log_where_it_ran_a_trial_leaves_out_what_it_led_to(kind: str, script: list[tuple[Any, ...]]) -> None:
    there = plan(others(), tried(kind))
    (life,) = live(script, there)
    assert lived(life, NAME, "tried") == foretold(trial(life, there), life, "tried")
