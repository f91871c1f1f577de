"""A trial says exactly what would have been.

A random history is lived twice, with a cartridge and without it; a trial of the cartridge over the second log must come to what
the first one shows: the events it made, what it annotated, every notification as it stood at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from textwrap import dedent
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventctl import manifest
from eventctl.account import Account, Span, Subject
from eventctl.contracts import Answer, Request
from eventctl.past import Past
from eventctl.plan import Cartridge, Plan
from eventctl.ruling import process_of
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import SECOND
from eventctl.trial import Trial
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


RULES = {
    "rule": """
        when = "payload.n > 4"
        [notify]
        title = "{payload.thing} {payload.n}"
        level = "business"
        """,
    "threshold": """
        when = "event != 'domain.shop.mended'"
        [window]
        kind = "threshold"
        count = 3
        within = "2m"
        [emit]
        event = "domain.shop.alert"
        payload = { thing = "{entity}", n = 7 }
        """,
    "absence": """
        [window]
        kind = "absence"
        after = "event == 'domain.shop.broken'"
        expect = "event == 'domain.shop.mended'"
        within = "1m"
        [notify]
        title = "{entity} is still broken"
        """,
    "sequence": """
        [window]
        kind = "sequence"
        after = "event == 'domain.shop.broken'"
        then = "event == 'domain.shop.sold'"
        within = "3m"
        lateness = "1m"
        [annotate]
        slot = "tried"
        value = "{payload.n}"
        """,
}

KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "plain": plain, "waits": waits, "echoes": echoes, "remembers": remembers, "fails": fails,
}  # fmt: skip
EVENTS = ("domain.shop.sold", "domain.shop.broken", "domain.shop.mended")


def tried(kind: str) -> Cartridge:
    if kind in RULES:
        text = f'id = "tried"\nsummary = "Tried."\nconsumes = {orjson.dumps(EVENTS).decode()}\n{dedent(RULES[kind])}'
        read = manifest.read_rule(text)
        assert read.rule is not None
        return cartridge("tried", process_of(read.rule, read), EVENTS, annotates=read.annotates, emits=read.emits, key=read.key)
    eats = (*EVENTS, ALERT) if kind == "echoes" else (*EVENTS, TALLIED) if kind == "remembers" else EVENTS
    return cartridge("tried", KINDS[kind], eats, annotates=("tried",), emits=("domain.shop.*",))


def others() -> Cartridge:
    return cartridge("other", other, EVENTS, emits=("domain.shop.*",), annotates=())


THINGS = st.sampled_from(("a", "b"))
SENDS = st.tuples(
    st.just("send"),
    st.sampled_from(("sold", "sold", "broken", "mended")),
    THINGS,
    st.integers(0, 8),
    st.sampled_from((0, 0, 90)),
)
WAITS = st.tuples(st.just("wait"), st.sampled_from((0, 1, 5, 20, 40, 61, 700, 4000)))
MOVES = st.tuples(st.just("move"), st.sampled_from(("claim", "resolve", "reopen", "archive", "seen", "snooze")), THINGS)
SCRIPTS = st.lists(SENDS | SENDS | WAITS | MOVES | st.just(("restart",)), max_size=30)


def live(script: list[tuple[Any, ...]], *plans: Plan) -> list[Life]:
    """Lives with these plans through which the same things happen. What people do they do in the first, and then in the others."""
    lives = [Life(plan) for plan in plans]
    for verb, *args in [*script, ("wait", 1), ("send", "sold", "a", 2, 0)]:
        opener = ""
        for number, life in enumerate(lives):
            if verb in ("send", "burst"):
                kind, thing, n, late = args
                life.send(kind, thing, n, late=late * SECOND)
                if verb == "send":
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
    return Trial(
        stored.store, span, Subject(frozenset({NAME}), frozenset({"tried"})), SystemPipeline(CATALOG), [plan], CATALOG, **more
    ).run()


@pytest.mark.parametrize("kind", [*KINDS, *RULES])
@settings(max_examples=30, deadline=None)
@given(script=SCRIPTS)
def test_a_trial_comes_to_what_a_life_with_the_cartridge_came_to(kind: str, script: list[tuple[Any, ...]]) -> None:
    there = plan(others(), tried(kind))
    without, with_it = live(script, plan(others()), there)
    assert lived(with_it, NAME, "tried") == foretold(trial(without, there), without, "tried")


@pytest.mark.parametrize("kind", [*KINDS, *RULES])
@settings(max_examples=30, deadline=None)
@given(script=SCRIPTS)
def test_over_a_log_where_it_ran_a_trial_leaves_out_what_it_led_to(kind: str, script: list[tuple[Any, ...]]) -> None:
    there = plan(others(), tried(kind))
    (life,) = live(script, there)
    assert lived(life, NAME, "tried") == foretold(trial(life, there), life, "tried")


@pytest.mark.parametrize("kind", ["plain", "rule", "absence", "sequence"])
@settings(max_examples=30, deadline=None)
@given(script=st.lists(SENDS | SENDS.map(lambda sent: ("burst", *sent[1:])) | WAITS | st.just(("restart",)), max_size=30))
def test_what_only_tells_is_foretold_also_of_events_that_were_worked_off_together(
    kind: str, script: list[tuple[Any, ...]]
) -> None:
    without, with_it = live(script, plan(), plan(tried(kind)))
    assert lived(with_it, NAME, "tried") == foretold(trial(without, plan(tried(kind))), without, "tried")


async def asks(event: Any, context: Any) -> Any:
    """Asks twice, and remembers what it was told."""
    said = [await context.call("ask", {"n": event.payload["n"], "turn": turn}) for turn in range(2)]
    context.annotate("tried", said)
    return event


class Oracle:
    """An executor that knows."""

    name = "ask"

    def execute(self, request: Request) -> Answer:
        return Answer(True, f"{request.args['n']}-{request.args['turn']}")


def test_a_call_gets_the_answer_that_was_recorded_for_it_and_one_without_an_answer_is_named() -> None:
    there = plan(cartridge("tried", asks, EVENTS, annotates=("tried",), calls=("ask",)))
    life = Life(there, executors=[Oracle()])
    for n in (1, 2):
        life.send("sold", "a", n)
        life.until_answered()
    life.hands.at += SECOND
    life.send("sold", "b", 3)
    life.settle(start=False)
    account = trial(life, there)
    assert {"s1": ["1-0", "1-1"], "s2": ["2-0", "2-1"]} == foretold(account, life, "tried")["annotations"]
    assert [("ask",)] == [(name,) for _, name in account.calls.values()]


SCRIPT: list[tuple[Any, ...]] = [
    ("send", "sold", "a", 3, 0), ("wait", 5), ("send", "broken", "a", 1, 0), ("wait", 700), ("send", "sold", "b", 4, 0), ("wait", 61),
    ("send", "mended", "a", 7, 0), ("wait", 5), ("send", "broken", "a", 8, 0), ("wait", 700),
]  # fmt: skip


class ByTheWall(Trial):
    """A trial whose timers come due when somebody looks at a clock, which is when the log has been read."""

    def _next_due(self) -> int | None:
        return None if self._rows else super()._next_due()


def test_a_trial_by_the_clock_on_the_wall_is_caught() -> None:
    there = plan(others(), tried("waits"))
    without, with_it = live(SCRIPT, plan(others()), there)
    subject = Subject(frozenset({NAME}), frozenset({"tried"}))
    span = Span(1, without.store.tail("log"))
    wrong = ByTheWall(without.store, span, subject, SystemPipeline(CATALOG), [there], CATALOG).run()
    right = trial(without, there)
    assert lived(with_it, NAME, "tried") == foretold(right, without, "tried")
    assert lived(with_it, NAME, "tried") != foretold(wrong, without, "tried")


@settings(max_examples=25, deadline=None)
@given(script=st.lists(SENDS | WAITS, max_size=30))
def test_over_a_log_where_another_version_ran_a_trial_leaves_out_what_that_one_led_to(script: list[tuple[Any, ...]]) -> None:
    there = plan(others(), tried("waits"))
    older, newer = live(script, plan(others(), tried("echoes")), there)
    assert lived(newer, NAME, "tried") == foretold(trial(older, there), older, "tried")


def test_a_trial_that_takes_the_cartridges_own_events_for_the_worlds_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    there = plan(others(), tried("waits"))
    older, newer = live(SCRIPT, plan(others(), tried("echoes")), there)
    assert lived(newer, NAME, "tried") == foretold(trial(older, there), older, "tried")
    monkeypatch.setattr(Past, "remade", lambda _self, _row: False)
    assert lived(newer, NAME, "tried") != foretold(trial(older, there), older, "tried")


def test_what_came_before_the_beginning_warms_up_and_is_not_told() -> None:
    there = plan(tried("threshold"))
    script = [("send", "sold", "a", 1, 0), ("send", "sold", "a", 2, 0), ("wait", 60), ("send", "sold", "a", 3, 0)]
    (without,) = live(script, plan())
    third = without.log()[2]
    subject = Subject(frozenset({NAME}), frozenset({"tried"}))
    span = Span(1, without.store.tail("log"), third.at)
    account = Trial(without.store, span, subject, SystemPipeline(CATALOG), [there], CATALOG).run()
    assert ["e3"] == [made.event for made in account.events.values()]


def test_a_trial_keeps_no_record_that_it_has_worked_off() -> None:
    life = Life(plan())
    for n in range(2_000):
        life.hands.at += SECOND
        life.send("sold", f"t{n % 50}", n)
    life.settle()
    there = Trial(
        life.store, Span(1, 2_000), Subject(frozenset({NAME})), SystemPipeline(CATALOG), [plan(tried("rule"))], CATALOG
    )
    there.run()
    tables = there._scratch.tables
    assert [0, 0, 0] == [len(table.rows) for table in (tables.log, tables.feed, tables.annotations)]
