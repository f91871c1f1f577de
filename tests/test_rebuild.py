"""Rebuild: the log alone gives the same notifications, whatever happened in whatever order."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventctl import moves
from eventctl.errors import Conflict, EventctlError, NotFound
from eventctl.memory_store import MemoryStore
from eventctl.rebuild import Rebuilt, rebuild
from eventctl.store import Keys, Record, Store
from eventctl.system.trust import Trust
from eventctl.times import DAY, HOUR, MINUTE
from tests.system.kit import ADA, CATALOG, World, sqlite

SHOP = [type for type in CATALOG.types() if type.startswith("shop.")]
AGENTS, MEMBERS = ("bob", "eve"), ("ada", "cyd")
PAYLOAD = st.fixed_dictionaries(
    {"id": st.integers(1, 2), "slug": st.just("api"), "env": st.just("prod"), "group": st.just("x"), "page": st.just("/")},
    optional={"error": st.sampled_from("pq"), "value": st.integers(1, 2), "text": st.sampled_from("uv"), "hour": st.just(1)},
)
NUMBER = st.integers(0, 99)
EMIT = st.tuples(
    st.just("emit"),
    st.sampled_from(SHOP),
    PAYLOAD,
    st.sampled_from([None, "svc/a"]),
    st.sampled_from(["cli:ada", "cli:ada", "http:x"]),
)
MOVE = st.one_of(
    st.tuples(st.sampled_from(["claim", "start", "release", "resolve", "reopen"]), NUMBER, st.sampled_from(AGENTS)),
    st.tuples(st.sampled_from(["archive", "unarchive"]), NUMBER),
    st.tuples(st.sampled_from(["seen", "unseen", "snooze", "unsnooze"]), NUMBER, st.sampled_from(MEMBERS)),
)
CONTROL = st.tuples(st.just("control"), st.sampled_from(["release", "discard"]), st.integers(0, 5))
RUN = st.tuples(st.just("run"), st.sampled_from([1, 2, 5, 500]))
TIME = st.tuples(st.just("wait"), st.sampled_from([MINUTE, 16 * MINUTE, HOUR, DAY, 8 * DAY, 40 * DAY]))
STEP = st.one_of(EMIT, EMIT, EMIT, MOVE, MOVE, MOVE, RUN, RUN, TIME, st.just(("fire",)), st.just(("crash",)), CONTROL)
HISTORY = st.lists(STEP, min_size=40, max_size=90)
"""A longest list makes hypothesis draw long ones: below forty steps, hardly a notification comes to be moved."""


def live(world: World, history: list[Any]) -> None:
    """Let all this happen, with the runner as far behind as the history has it."""
    for what, *how in history:
        world.now += 1
        if what == "emit":
            type, payload, entity, principal = how
            world.emit(type, payload, principal=principal, domain="shop", **({"entity": entity} if entity else {}))
        elif what == "run":
            world.pipeline.advance(world.store, how[0], world.now)
        elif what == "wait":
            world.now += how[0]
        elif what == "fire":
            world.fire()
        elif what == "crash":
            crash(world)
        elif what == "control":
            control(world, *how)
        else:
            move(world, what, *how)


def crash(world: World) -> None:
    """The runner dies between plan and commit, and another takes its place."""
    cursor = world.store.cursor("system")
    rows = world.store.read_log(cursor.pos if cursor else 0, 3, kinds=("event",))
    if rows:
        batch = world.pipeline.prepare(rows, world.store)
        world.pipeline.plan(batch, world.store.snapshot(batch.keys), cursor.pos if cursor else 0, 0)
    world.pipeline = World(trust=Trust("strict")).pipeline


def control(world: World, verb: str, which: int) -> None:
    held = world.store.exceptions_of("system", ["quarantined"])
    if held:
        seq = held[which % len(held)].seq
        moves.control(world.store, f"quarantine.{verb}", seq, principal=ADA, now=world.now)


def move(world: World, verb: str, which: int, who: str = "") -> None:
    number = 1 + which % (world.store.snapshot(Keys()).notification_last or 1)
    given: dict[str, Any] = {"principal": ADA, "now": world.now}
    if who:
        given["agent" if who in AGENTS else "member"] = who
    if verb == "snooze":
        given["until"] = world.now + HOUR
    try:
        getattr(moves, verb)(world.store, number, **given)
    except (Conflict, NotFound):
        pass


def again(source: Store, target: Store, **how: Any) -> Rebuilt:
    return rebuild(source, target, World(trust=Trust("strict")).pipeline, **how)


@given(HISTORY, st.sampled_from([1, 3, 500]))
@settings(max_examples=60, deadline=None)
def test_any_history_in_memory_is_rebuilt_to_the_same_hash(history, batch):
    world = World(trust=Trust("strict"))
    live(world, history)
    assert again(world.store, MemoryStore(), batch=batch).same
    world.run()
    assert again(world.store, MemoryStore(), batch=batch).same


@given(HISTORY, st.sampled_from([1, 3, 500]))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_history_in_sqlite_is_rebuilt_to_the_same_hash_in_either_store(history, batch):
    with tempfile.TemporaryDirectory() as folder:
        store, target = sqlite(Path(folder) / "a"), sqlite(Path(folder) / "b")
        world = World(store, trust=Trust("strict"))
        live(world, history)
        assert again(store, target, batch=batch).same
        assert again(store, MemoryStore(), batch=batch).same
        store.close()
        target.close()


@given(HISTORY, HISTORY)
@settings(max_examples=30, deadline=None)
def test_a_rebuild_goes_on_from_a_state_of_any_moment(before, since):
    world = World(trust=Trust("strict"))
    live(world, before)
    earlier = deepcopy(world.store)
    live(world, since)
    assert again(world.store, earlier, after=earlier.tail("log")).same


def lagging() -> World:
    """A person resolves what they see while the runner has not yet read the event that came in before."""
    world = World()
    world.tell("shop.ticket.opened", {"id": 1})
    world.emit("shop.ticket.noted", {"id": 1, "text": "one more thing"})
    moves.resolve(world.store, 1, agent="ada", principal=ADA, now=world.now)
    world.run()
    return world


def test_a_move_is_applied_where_it_was_made_and_not_where_its_record_stands():
    world = lagging()
    assert ["resolved", "none"] == [row.agent_state for row in world.inbox()]
    assert again(world.store, MemoryStore()).same


def test_moves_at_their_own_position_would_be_noticed():
    """The negative control: without `saw` the same history comes out as something else."""
    assert not again(lagging().store, MemoryStore(), place=lambda row: row.seq).same


def test_a_lease_that_ended_behind_a_lagging_runner_is_rebuilt():
    world = World()
    world.tell("shop.ticket.opened", {"id": 1})
    moves.claim(world.store, 1, agent="bob", principal=ADA, now=world.now)
    world.now += moves.DEFAULT_LEASE
    world.fire()
    moves.claim(world.store, 1, agent="eve", principal=ADA, now=world.now)
    world.run()
    assert "eve" == world.row(1).agent
    assert again(world.store, MemoryStore()).same


def test_what_correlation_derived_is_found_again_and_not_made_twice():
    world = World()
    for _ in range(12):
        world.emit("made.up")
    world.run(5)
    target = MemoryStore()
    assert again(world.store, target).same
    assert world.store.read_log(0, 99) == target.read_log(0, 99)


def test_timers_that_fired_are_not_set_again():
    world = World()
    world.tell("shop.ticket.opened", {"id": 1})
    moves.snooze(world.store, 1, member="ada", until=world.now + HOUR, principal=ADA, now=world.now)
    world.wait(3 * HOUR, steps=3)
    target = MemoryStore()
    assert again(world.store, target).same
    assert world.store.due_timers(2**62, limit=9) == target.due_timers(2**62, limit=9)


def test_a_rebuild_wants_an_empty_store_and_a_whole_log():
    world = World()
    world.tell("shop.build.passed")
    with pytest.raises(Conflict, match="empty"):
        again(world.store, world.store)
    with pytest.raises(Conflict, match="does not end at e7"):
        again(world.store, MemoryStore(), after=7)


def test_a_move_that_fits_nothing_is_named():
    world = World()
    body = b'{"verb":"claim","notification":7,"agent":"bob","lease_due":1,"saw":0}'
    world.store.append([Record("move", "move", "m", "inbox.claim", body, "cli:ada", world.now)])
    world.run()
    with pytest.raises(EventctlError, match=r"e1 \(inbox.claim\) does not fit what the log gives: there is no n7"):
        again(world.store, MemoryStore())
