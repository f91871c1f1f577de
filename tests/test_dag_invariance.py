"""However the feed is cut into batches, whenever answers come and wherever the process dies: it comes to the same in the end.

The reference sends one event at a time and lets everything settle before the next. The other run sends the same events and does
whatever the script says in between. Conservation is checked after every step of both. Events without an entity have no order among each other,
so the cartridges here remember nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from eventctl import strikes
from eventctl.breadcrumb import Crumb
from eventctl.errors import TryLater
from eventctl.memory_store import MemoryStore
from eventctl.plan import Plan
from eventctl.store import Committed, Keys, Operations
from tests.flowkit import OUT, PIPELINE, World, cartridge, plan

ENTITIES = ("a", "b", None)
TYPES = ("shop.sold", "shop.returned", "elsewhere.x")


class Died(BaseException):
    """The process is gone; nothing of ours may catch that."""


class Mortal(MemoryStore):
    """A store whose next commit may be the last thing that its process does (`dies`: `before`, `after`), or may find a full disk."""

    dies = ""

    def commit(self, operations: Operations, *, durable: bool = False) -> Committed:
        dies, self.dies = self.dies, ""
        if dies == "before" and operations.advance:
            raise Died
        if dies == "full" and operations.advance:
            raise TryLater("the disk is full")
        committed = super().commit(operations, durable=durable)
        if dies == "after" and operations.advance:
            raise Died
        return committed


def remember(event: Any, context: Any, name: str, value: Any) -> None:
    if event.entity is not None:
        context.state.set(name, value)


async def count(event: Any, context: Any) -> Any:
    number = await context.state.get("n", 0) + 1
    remember(event, context, "n", number)
    context.annotate("x", [number, len(await context.history("shop.**"))])
    return event


async def make(event: Any, context: Any) -> Any:
    for number in range(event.payload["n"] % 3):
        context.emit(OUT, {"number": number})
    return event


async def call(event: Any, context: Any) -> Any:
    said = [await context.call("ask", {"n": event.payload["n"], "turn": turn}) for turn in range(event.payload["n"] % 3)]
    context.annotate("x", said)
    remember(event, context, "last", said)
    return event


async def drop(event: Any, context: Any) -> Any:
    remember(event, context, "seen", event.payload["n"])
    if event.payload["n"] % 4 == 1:
        context.drop("every fourth")
    if event.payload["n"] % 4 == 2:
        context.quarantine("suspicious")
    return event


async def fail(event: Any, context: Any) -> Any:
    remember(event, context, "tried", event.payload["n"])
    if event.payload["n"] % 5 == 3:
        raise ValueError("never")
    return event


async def look(event: Any, context: Any) -> Any:
    context.annotate("x", sorted((await context.annotations()).items()))
    return event


KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "count": count, "make": make, "call": call, "drop": drop, "fail": fail, "look": look,
}  # fmt: skip


@st.composite
def plans(draw: st.DrawFn) -> Callable[[], Plan]:
    chosen = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=5))
    names = [f"{kind}{number}" for number, kind in enumerate(chosen)]
    after = {name: draw(st.lists(st.sampled_from(names[:number]), unique=True)) for number, name in enumerate(names) if number}
    eats = {name: draw(st.sampled_from((["shop.**"], ["shop.sold"], ["**"]))) for name in names}
    skips = {name: draw(st.sampled_from(("retry", "retry", "skip"))) for name in names}

    def made() -> Plan:
        members = []
        for name in names:
            process = KINDS[name[:-1]]
            members.append(cartridge(name, process, eats[name], annotates=["x"], slots_in=f"{name}/", on_error=skips[name]))
        return plan(*members, after=after)

    return made


SENDS = st.tuples(st.just("send"), st.sampled_from(TYPES), st.sampled_from(ENTITIES), st.integers(0, 20))
STEPS = st.tuples(st.just("step"), st.integers(1, 7))
OTHERS = st.sampled_from(
    (("answer", 1), ("answer", 9), ("later",), ("dies", "before"), ("dies", "after"), ("dies", "full"), ("restart",))
)
SCRIPTS = st.lists(SENDS | SENDS | STEPS | OTHERS, max_size=40)


def stepped(world: World, limit: int) -> None:
    try:
        world.step(limit)
    except Died:
        world.restarted()
        world.conserved()
    except TryLater:
        world.conserved()


def settled(world: World) -> World:
    world.store.dies = ""  # type: ignore[attr-defined]  # a Mortal
    for _ in range(500):
        moved = world.step().moved
        if not world.answer() and not moved and not any(state == "retry" for state in world.states().values()):
            return world
        world.later(5)
    raise AssertionError("it does not come to rest")


def end_of(world: World) -> dict[str, Any]:
    """All that may be seen of a pipeline's work, by what does not depend on when it was done."""
    records = {row.seq: row for row in world.store.read_log(0, 100_000)}
    events = [row for row in records.values() if row.kind == "event"]
    owners = [(each.rights.name, key) for each in world.plan for key in ("a", "b", "")]
    exceptions = world.store.exceptions_of(PIPELINE, ("waiting", "behind", "retry", "dead", "dropped", "quarantined", "struck"))
    return {
        "annotations": {row.id: found for row in events if (found := world.annotations(row.seq))},
        "state": {owner: orjson.loads(value) for owner, value in world.store.snapshot(Keys(states=owners)).states.items()},
        "made": sorted((row.type, row.id, records[row.caused_by or 0].id) for row in events if row.caused_by),
        "exceptions": {(records[row.seq].id, row.state, row.cartridge, row.reason) for row in exceptions},
        "notes": world.store.snapshot(Keys(states=[(PIPELINE, f"e{seq}") for seq in records])).states,
        "buckets": [world.cursor()[3 + n] for n in range(1, 5)],
    }


@settings(max_examples=200, deadline=None)
@given(plans(), SCRIPTS)
def test_batches_late_answers_and_crashes_change_nothing(made: Callable[[], Plan], script: list[tuple[Any, ...]]) -> None:
    reference, world = World(made()), World(made(), store=Mortal())
    for verb, *args in script:
        if verb == "send":
            kind, entity, n = args
            reference.send(kind, entity, n=n)
            settled(reference)
            world.send(kind, entity, n=n)
        elif verb == "step":
            stepped(world, args[0])
        elif verb == "answer":
            world.answer(limit=args[0])
        elif verb == "later":
            world.later(3)
        elif verb == "dies":
            world.store.dies = args[0]  # type: ignore[attr-defined]  # a Mortal
        else:
            world.restarted()
    assert end_of(settled(reference)) == end_of(settled(world))


FALLS = st.one_of(
    st.tuples(st.just("strike"), st.integers(0, 9), st.integers(0, 4)),
    st.tuples(st.just("off"), st.integers(0, 4)),
    st.tuples(st.just("decide"), st.sampled_from(("dead.retry", "dead.discard", "quarantine.release")), st.integers(0, 9)),
    st.sampled_from((("on",), ("restart",))),
)


def struck(world: World, every: Plan, at: int, who: int) -> None:
    """The runner falls at an event that is open or ahead, inside one of its cartridges; the supervisor books it, and another begins."""
    done = {seq for seq, state in world.states().items() if state in ("dead", "dropped", "quarantined")}
    passed = world.cursor().pos
    opened = world.states().keys() - done
    feed = [
        row.seq for row in world.store.read_feed(0, 1_000) if row.why == "accept" and (row.pos > passed or row.seq in opened)
    ]
    if feed:
        names = [each.id for each in every]
        crumb = Crumb(PIPELINE, names[who % len(names)], feed[at % len(feed)], 0.0, 5.0)
        strikes.book(world.store, crumb, "hung", "", world.now)
    world.restarted()


@settings(max_examples=200, deadline=None)
@given(plans(), st.lists(SENDS | SENDS | STEPS | OTHERS | FALLS | FALLS, max_size=40))
def test_strikes_and_cartridges_that_are_switched_off_leave_every_event_in_its_bucket(
    made: Callable[[], Plan], script: list[tuple[Any, ...]]
) -> None:
    every = made()
    names = [each.id for each in every]
    world = World(made(), store=Mortal())
    for verb, *args in script:
        if verb == "send":
            kind, entity, n = args
            world.send(kind, entity, n=n)
        elif verb == "step":
            stepped(world, args[0])
        elif verb == "answer":
            world.answer(limit=args[0])
        elif verb == "later":
            world.later(3)
        elif verb == "dies":
            world.store.dies = args[0]  # type: ignore[attr-defined]  # a Mortal
        elif verb == "strike":
            struck(world, every, *args)
        elif verb == "decide":
            said = sorted(world.states())
            world.decide(args[0], said[args[1] % len(said)] if said else 1)
        else:
            if verb != "restart":
                world.plan = every.without({names[args[0] % len(names)]}) if verb == "off" else every
            world.restarted()
    world.restarted()
    settled(world)
    assert not {"struck", "behind", "retry"} & set(world.states().values())
    assert 0 == world.cursor().waiting
