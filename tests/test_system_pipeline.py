"""The system pipeline: one batch, one plan, one commit; the same result however the log is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventctl import moves
from eventctl.errors import Conflict, Unavailable
from eventctl.lives import DEFAULT_LEASE
from eventctl.memory_store import MemoryStore
from eventctl.store import Advance, Committed, Keys, Operations, Record, Snapshot
from eventctl.system import Item
from eventctl.system.trust import Trust
from eventctl.times import MINUTE, SECOND
from tests.system.kit import ADA, CATALOG, START, World, event

BAD = "shop.bad"


class Fragile(Trust):
    """A trust stage with a bug: it meets one type and breaks."""

    def __init__(self, *, broken: bool = True) -> None:
        super().__init__()
        self.broken = broken

    def prepare(self, items: Sequence[Item], keys: Keys) -> None:
        super().prepare(items, keys)
        if self.broken and any(item.type == BAD for item in items):
            raise ZeroDivisionError("nobody thought of this\nand it goes on")


def test_every_record_ends_in_exactly_one_bucket():
    world = World(trust=Trust("strict"))
    world.emit("shop.ticket.opened", {"id": 1}, domain="shop")
    world.emit("shop.page.viewed", {"page": "/", "hour": 1}, domain="shop")
    world.emit("shop.page.viewed", {"page": "/", "hour": 1}, domain="shop")
    world.emit("shop.build.passed", principal="http:x")
    world.emit("shop.build.passed", level=7, domain="shop")
    world.run()
    moves.claim(world.store, 1, agent="bob", principal=ADA, now=world.now)
    world.wait(DEFAULT_LEASE + MINUTE)
    assert (4, 2, 1, 0) == world.counts()
    assert 7 == world.store.tail("log")


def test_a_dropped_event_is_seen_by_no_later_stage_and_does_not_enter_the_feed():
    world = World()
    world.emit("shop.score.measured", {"group": "a", "value": 1})
    for _ in range(30):
        world.emit("shop.page.viewed", {"page": "/", "hour": 1})
    world.run()
    assert [] == world.events("system.burst.detected")
    assert [1, 2] == [seq for seq, _, _ in world.feed()]


def test_a_poison_record_is_found_buried_and_named_and_the_others_go_on():
    world = World(trust=Fragile())
    seqs = [world.emit(BAD if n == 77 else "shop.ticket.opened", {"id": n}) for n in range(200)]
    report = world.pipeline.advance(world.store, 500, world.now)
    assert ([seqs[77]], 200) == (report.buried, report.passed)
    dead = world.exception(seqs[77])
    assert ("dead", "trust", "ZeroDivisionError: nobody thought of this", 1) == (
        dead.state, dead.cartridge, dead.reason, dead.attempts,
    )  # fmt: skip
    assert (199, 0, 0, 1) == world.counts()


def test_a_body_that_cannot_be_read_is_a_dead_letter_of_decode():
    world = World()
    world.store.append([Record("event", "s", "1", "shop.bad", b"{", "cli:ada", START)])
    world.tell("shop.build.passed")
    assert ("dead", "decode") == (world.exception(1).state, world.exception(1).cartridge)


def test_a_commit_that_fails_for_one_record_buries_that_one():
    world = World()
    inner = world.store.commit

    def refuse(operations: Operations, *, durable: bool = False) -> Committed:
        if any(kind == BAD for _, kind, _ in operations.feed):
            raise OverflowError("too big for a column")
        return inner(operations, durable=durable)

    world.store.commit = refuse  # type: ignore[method-assign]
    seqs = [world.emit(BAD if n == 5 else "shop.build.passed") for n in range(9)]
    world.run()
    assert "commit" == world.exception(seqs[5]).cartridge
    assert 8 == len(world.feed())


def test_a_dead_letter_is_retried_where_the_retry_stands_and_counted_again_when_it_fails():
    trust = Fragile()
    world = World(trust=trust)
    seq = world.tell(BAD, {"id": 1})
    moves.control(world.store, "dead.retry", seq, principal=ADA, now=world.now)
    world.run()
    assert ("dead", 2) == (world.exception(seq).state, world.exception(seq).attempts)
    assert (1, 0, 0, 1) == world.counts()
    trust.broken = False
    moves.control(world.store, "dead.retry", seq, principal=ADA, now=world.now)
    world.run()
    assert (None, [(seq, BAD, "release")], (3, 0, 0, 0)) == (world.exception(seq), world.feed(), world.counts())


def test_what_is_given_up_is_dropped_with_who_and_why():
    world = World(trust=Fragile())
    seq = world.tell(BAD)
    moves.control(world.store, "dead.discard", seq, principal=ADA, now=world.now)
    world.run()
    assert ("dropped", "discarded by cli:ada: ZeroDivisionError: nobody thought of this") == (
        world.exception(seq).state, world.exception(seq).reason,
    )  # fmt: skip
    assert (1, 1, 0, 0) == world.counts()


def test_a_released_event_passes_trust_once_and_goes_through_the_rest():
    world = World(trust=Trust("strict"))
    held = world.tell("shop.ticket.opened", {"id": 1}, principal="http:x")
    for _ in range(2):
        moves.control(world.store, "quarantine.release", held, principal=ADA, now=world.now)
    world.run()
    assert [(held, "shop.ticket.opened", "release")] == world.feed(), "the second release finds nothing to release"
    assert ([(held, "none")], None) == ([(row.seq, row.agent_state) for row in world.inbox()], world.exception(held))
    assert (3, 0, 0, 0) == world.counts()


def test_a_released_event_may_still_be_a_repeat():
    world = World(trust=Trust("strict"))
    held = world.tell("shop.page.viewed", {"page": "/", "hour": 1}, principal="http:x")
    first = world.tell("shop.page.viewed", {"page": "/", "hour": 1}, domain="shop")
    moves.control(world.store, "quarantine.release", held, principal=ADA, now=world.now)
    world.run()
    assert ("dropped", f"duplicate of e{first}") == (world.exception(held).state, world.exception(held).reason)
    assert (2, 1, 0, 0) == world.counts()


def test_releasing_what_was_held_long_ago_is_no_burst_of_now():
    world = World(trust=Trust("strict"))
    held = [world.tell("made.up", principal="http:x") for _ in range(9)]
    world.now += 60 * MINUTE
    for seq in held:
        moves.control(world.store, "quarantine.release", seq, principal=ADA, now=world.now)
    world.tell("made.up", domain="shop")
    assert [] == world.events("system.burst.detected")


def test_answers_timers_and_control_moves_of_others_are_passed_on_in_order():
    world = World()
    answer = orjson.dumps(
        {"call": "c", "pipeline": "domain:shop", "seq": 1, "name": "log", "ok": True, "result": None, "error": ""}
    )
    timer = orjson.dumps({"owner": "domain:shop/digest", "key": "k", "due": START, "body": {}})
    retry = orjson.dumps({"verb": "dead.retry", "pipeline": "members", "seq": 1})
    world.store.append(
        [
            Record("answer", "outbox", "c", "call.answered", answer, "outbox:log", START),
            Record("timer", "timer", "t", "timer.due", timer, "timer:runner", START),
            Record("move", "move", "m", "dead.retry", retry, "cli:ada", START),
        ]
    )
    world.tell("shop.build.passed")
    assert [
        (1, "domain:shop", "answer"), (2, "domain:shop", "timer"), (3, "members", "retry"), (4, "shop.build.passed", "accept"),
    ] == world.feed()  # fmt: skip
    assert (4, 0, 0, 0) == world.counts()


def test_planning_writes_nothing_and_says_the_same_twice():
    world = World()
    for n in range(40):
        world.emit("shop.deploy.failed", {"slug": "a", "env": "b", "error": n}, entity=f"e/{n % 3}")
    batch = world.pipeline.prepare(world.store.read_log(0, 500), world.store)
    snapshot = world.store.snapshot(batch.keys)
    before = repr(snapshot)
    first = world.pipeline.plan(batch, snapshot, 0, 0)
    second = world.pipeline.plan(batch, snapshot, 0, 0)
    assert (first, before) == (second, repr(snapshot))
    assert ([], 0) == (world.inbox(), world.store.tail("feed"))


def test_a_batch_asks_the_store_in_one_snapshot():
    world = World()
    asked: list[Keys] = []
    inner = world.store.snapshot

    def counting(keys: Keys) -> Snapshot:
        asked.append(keys)
        return inner(keys)

    world.store.snapshot = counting  # type: ignore[method-assign]
    for n in range(50):
        world.emit("shop.ticket.opened", {"id": n}, entity="e")
    world.pipeline.advance(world.store, 500, world.now)
    assert 1 == len(asked)


def test_a_move_between_snapshot_and_commit_makes_the_batch_plan_again():
    world = World()
    world.tell("shop.ticket.opened", {"id": 1})
    world.emit("shop.ticket.noted", {"id": 1, "text": "new"})
    inner = world.store.snapshot

    def interrupted(keys: Keys) -> Snapshot:
        found = inner(keys)
        world.store.snapshot = inner  # type: ignore[method-assign]
        moves.claim(world.store, 1, agent="bob", principal=ADA, now=world.now)
        return found

    world.store.snapshot = interrupted  # type: ignore[method-assign]
    world.run()
    assert ("claimed", "bob", 2) == (world.row(1).agent_state, world.row(1).agent, world.row(1).news)


def test_a_runner_that_was_taken_over_stops_and_writes_nothing():
    world = World()
    world.run()
    old = world.store.take_over()
    world.store.take_over()
    world.emit("shop.build.passed")
    with pytest.raises(Unavailable):
        world.pipeline.advance(world.store, 500, world.now, term=old)
    assert [] == world.feed()


def test_two_runners_of_one_term_never_apply_a_record_twice():
    world = World()
    world.emit("shop.ticket.opened", {"id": 1})
    inner = world.store.commit
    pipeline, twin = world.pipeline, World(world.store).pipeline

    def late(operations: Operations, *, durable: bool = False) -> Committed:
        world.store.commit = inner  # type: ignore[method-assign]
        twin.advance(world.store, 500, world.now)
        return inner(operations, durable=durable)

    world.store.open_cursor("system", at=0)
    world.store.commit = late  # type: ignore[method-assign]
    with pytest.raises(Conflict):
        pipeline.advance(world.store, 500, world.now)
    assert [(1, "shop.ticket.opened", "accept")] == world.feed()


# --- I8: however the log is cut into batches, and wherever a run is thrown away, the same comes out --------------------------------

PAYLOADS = st.fixed_dictionaries(
    {"id": st.integers(1, 3), "slug": st.sampled_from("ab"), "env": st.just("prod"), "group": st.sampled_from("xy"),
     "page": st.just("/")},
    optional={"error": st.sampled_from("pq"), "value": st.integers(1, 2), "hour": st.integers(1, 2), "sha": st.sampled_from("mn")},
)  # fmt: skip
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([*(t for t in CATALOG.types() if t.startswith("shop.")), "made.up", BAD]),
        PAYLOADS,
        st.sampled_from([None, "svc/a", "svc/b", "svc/c"]),
        st.sampled_from(["cli:ada", "http:x"]),
        st.sampled_from([0, 0, 1, 20, 90, 400, 8 * 86_400]),
    ),
    min_size=15,
    max_size=60,
)


def filled(events: list[Any]) -> list[Record]:
    """Records with these pauses between them, in seconds; a pause of days ends in an ageing sweep."""
    records, at = [], START
    for number, (type, payload, entity, principal, pause) in enumerate(events):
        at += pause * SECOND
        if pause > 86_400:
            body = orjson.dumps({"owner": "inbox", "key": "ageing", "due": at, "body": {}})
            records.append(Record("timer", "timer", f"inbox:ageing:{at}", "timer.due", body, "timer:runner", at))
        fields = {"entity": entity} if entity else {}
        records.append(event(type, payload, at=at, principal=principal, id=f"id-{number}", **fields))
    return records


def outcome(store: MemoryStore) -> tuple[object, ...]:
    """Everything that the pipeline decides, with nothing left out but row versions."""
    tables = store.tables
    return (
        store.views.projection_hash(), tables.log.rows, tables.feed.rows, tables.cursors.rows, tables.exceptions.rows,
        tables.annotations.rows, tables.ledger.rows, tables.states.rows, tables.timers.rows,
    )  # fmt: skip


@given(EVENTS, st.lists(st.tuples(st.integers(1, 7), st.booleans()), min_size=1, max_size=80))
@settings(max_examples=60, deadline=None)
def test_batches_and_crashes_change_nothing(events, cuts):
    records = filled(events)
    whole, pieces = MemoryStore(), MemoryStore()
    for store in (whole, pieces):
        store.append(records)
        store.open_cursor("system", at=0)
    World(whole, trust=Fragile()).run(1000)
    runner = World(pieces, trust=Fragile())
    for limit, crash in cuts:
        if crash:
            planned_and_thrown_away(runner, limit)
        else:
            runner.pipeline.advance(pieces, limit, START)
    runner.run(3)
    assert outcome(whole) == outcome(pieces)


def planned_and_thrown_away(runner: World, limit: int) -> None:
    """As far as a run comes before its commit; then it dies, and another takes its place."""
    cursor = runner.store.cursor("system")
    rows = runner.store.read_log(cursor.pos, limit)
    if rows and all(row.kind == "event" and row.type != BAD for row in rows):
        batch = runner.pipeline.prepare(rows, runner.store)
        planned = runner.pipeline.plan(batch, runner.store.snapshot(batch.keys), cursor.pos, cursor.term)
        assert isinstance(planned.advance, Advance)
    runner.pipeline = World(trust=Fragile()).pipeline
