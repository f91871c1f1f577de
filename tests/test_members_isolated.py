"""Members are isolated from one another: what becomes of one's cartridges is what would become of them were that member alone.

The worlds of the property stand side by side: one where all members live, and one for each of them. The same is done in all, and whenever
they come to rest, also while something is waited for, each member sees in the one what is seen in the other. The shared world is stepped in
any batches, dies and begins anew.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventctl import strikes
from eventctl.breadcrumb import Crumb
from eventctl.contracts import CallFailed
from eventctl.dag import open_events
from eventctl.errors import TryLater
from eventctl.memory_store import MemoryStore
from eventctl.plan import Cartridge, Plan
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Committed, Keys, LogRow, Operations, Record, Store
from eventctl.times import SECOND
from tests.flowkit import World, cartridge, plan
from tests.workerkit import Apart, coded, workers

MEMBERS = "members"
NOTICE = "notice.raised"
EVERY = ("waiting", "behind", "retry", "dead", "dropped", "quarantined", "struck")
OPEN = ("waiting", "behind", "retry")

Process = Callable[[Any, Any], Any]


class Died(BaseException):
    """The process is gone; nothing of ours may catch that."""


class House(World):
    """A world of members' cartridges, named `ada/x`. Commits may be the last thing that a process does (`dies`)."""

    dies = ""

    def __init__(self, made: Plan, store: Store | None = None) -> None:
        super().__init__(made, store=store)
        self._answered: set[str] = set()
        real = self.store.commit

        def commit(operations: Operations, *, durable: bool = False) -> Committed:
            dies, self.dies = (self.dies, "") if operations.advance else ("", self.dies)
            if dies == "before":
                raise Died
            if dies == "full":
                raise TryLater("the disk is full")
            committed = real(operations, durable=durable)
            if dies == "after":
                raise Died
            return committed

        self.store.commit = commit  # type: ignore[method-assign]

    def stepped(self, limit: int) -> bool:
        """One step, which may be the process's last; whether anything may be left to do."""
        try:
            return self.step(limit).moved
        except Died:
            self.restarted()
            self.conserved()
        except TryLater:
            self.conserved()
        return True

    def rest(self, limit: int = 100) -> None:
        """Step until nothing moves."""
        for _ in range(3_000):
            if not self.stepped(limit):
                return
        raise AssertionError("it does not come to rest")

    def reply(self, name: str, *, ok: bool = True) -> int:
        """Everything that a cartridge has asked for is answered: calls by executors, and what is held by a person."""
        calls = {row.id: (row.seq, row.name) for row in self.store.views.outbox(limit=10_000) if by(row.body) == name}
        held = {row.call: (row.seq, row.name) for row in self.store.views.decisions(limit=10_000) if by(row.body) == name}
        owed = {call: about for call, about in (calls | held).items() if call not in self._answered}
        for call, (seq, what) in owed.items():
            body = {
                "call": call,
                "pipeline": MEMBERS,
                "seq": seq,
                "name": what,
                "ok": ok,
                "result": "yes",
                "error": "" if ok else "no",
            }
            record = Record("answer", "outbox", call, "call.answered", orjson.dumps(body), "outbox", self.now, caused_by=seq)
            self.feed(record, MEMBERS, "answer")
        self._answered |= owed.keys()
        return len(owed)

    def records(self) -> dict[int, LogRow]:
        return {row.seq: row for row in self.store.read_log(0, 100_000)}

    def notes(self, seq: int) -> dict[str, Any]:
        found = self.store.snapshot(Keys(states=[(MEMBERS, f"e{seq}")])).states.get((MEMBERS, f"e{seq}"))
        return orjson.loads(found) if found else {}

    def end(self, seq: int, name: str) -> str:
        """What became of an event for one cartridge, also while it is open for others."""
        row, notes = self.exception(seq), self.notes(seq)
        if row is None:
            return ""
        if name in notes.get("left", {}):
            return "retry" if name in notes.get("due", {}) else "waiting" if name in notes.get("asked", {}) else "behind"
        if row.state not in OPEN and name in row.cartridge.split(","):
            return row.state
        return "dead" if name in notes.get("dead", {}) else notes.get("ended", {}).get(name, [""])[0]

    def seen_by(self, name: str) -> dict[str, Any]:
        """All that a member may see of what their cartridge did, by what does not depend on who else lives here."""
        records, owner = self.records(), f"{MEMBERS}/{name}"
        events = [row for row in records.values() if row.kind in ("event", "timer")]
        said = {row.id: self.annotations(row.seq) for row in events}
        states = self.store.snapshot(Keys(states=[(owner, entity) for entity in ("a", "b", "")])).states
        return {
            "ends": {row.id: end for row in events if (end := self.end(row.seq, name))},
            "annotations": {id_: found[name] for id_, found in said.items() if name in found},
            "passed over": {id_: why for id_, found in said.items() if (why := found.get(f"skipped:{MEMBERS}", {}).get(name))},
            "state": {key: orjson.loads(value) for (_, key), value in states.items() if value},
            "notices": sorted(
                (row.id, records[row.caused_by or 0].id) for row in events if row.principal == f"cartridge:{owner}"
            ),
            "failures": sorted(
                (row.type, records[row.caused_by or 0].id, orjson.loads(row.body)["payload"].get("reason", ""))
                for row in events
                if row.type.startswith("cartridge.") and row.entity == owner
            ),
            "asked": sorted(
                (records[row.seq].id, row.name)
                for rows in (self.store.views.outbox(limit=10_000), self.store.views.decisions(limit=10_000))
                for row in rows
                if by(row.body) == name
            ),
        }


def by(body: bytes) -> str:
    name: str = orjson.loads(body)["cartridge"]
    return name


def house(processes: dict[str, Process], *, store: Store | None = None, **more: Any) -> House:
    return House(members(processes, **more), store)


def members(processes: dict[str, Process], **more: Any) -> Plan:
    return plan(*(leaf(name, process, **more) for name, process in processes.items()), pipeline=MEMBERS)


def leaf(name: str, process: Process, **more: Any) -> Cartridge:
    member, _, slot = name.partition("/")
    given_ = {
        "pipeline": MEMBERS,
        "annotates": [slot],
        "slots_in": f"{member}/",
        "audiences": [f"member:{member}"],
        "calls": ("ask", "log"),
    }
    return cartridge(name, process, **given_ | more)


@contextmanager
def stores(kind: str) -> Iterator[Store]:
    if kind == "memory":
        yield MemoryStore()
        return
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore.create(Path(folder) / "eventctl.db", reserve_bytes=0)
        try:
            yield store
        finally:
            store.close()


# --- what members' cartridges do ---------------------------------------------------------------------------------------------------------------


def notify(event: Any, context: Any) -> None:
    context.notify(f"about {event.id}", payload={"key": event.id})


async def count(event: Any, context: Any, where: dict[str, House]) -> Any:
    if event.entity is not None:
        seen = [*await context.state.get("seen", []), event.id]
        context.state.set("seen", seen if context.settings["ordered"] else sorted(seen))
    context.annotate(context.settings["name"].partition("/")[2], [event.id, sorted(await context.annotations())])
    notify(event, context)
    return event


async def drop(event: Any, context: Any, where: dict[str, House]) -> Any:
    await count(event, context, where)
    if event.payload.get("n", 0) % 3 == 1:
        context.drop("every third")
    return event


async def hold(event: Any, context: Any, where: dict[str, House]) -> Any:
    await count(event, context, where)
    if event.payload.get("n", 0) % 3 == 1:
        context.quarantine("suspicious")
    return event


async def fail(event: Any, context: Any, where: dict[str, House]) -> Any:
    """Raises n times, as far as anybody knows: what a process did that died is not known."""
    attempts = where["here"].notes(event.seq).get("attempts", {})
    await count(event, context, where)
    if attempts.get(context.settings["name"], 0) < event.payload.get("n", 0) % 5 - 1:
        raise ValueError("boom")
    return event


async def call(event: Any, context: Any, where: dict[str, House]) -> Any:
    for turn in range(event.payload.get("n", 0) % 3):
        try:
            await context.call("log", {"turn": turn})
        except CallFailed:
            context.emit("domain.shop.made", {"failed": turn})
    return await count(event, context, where)


async def act(event: Any, context: Any, where: dict[str, House]) -> Any:
    """A member's call that acts is held for the member."""
    if event.payload.get("n", 0) % 2:
        await context.call("ask", {"n": event.payload["n"]})  # raises when it is denied
    return await count(event, context, where)


async def wake(event: Any, context: Any, where: dict[str, House]) -> Any:
    if event.event != "timer.due":
        context.timer("soon", timedelta(seconds=5), {"of": event.id})
    return await count(event, context, where)


KINDS: dict[str, Any] = {each.__name__: each for each in (count, drop, hold, fail, call, act, wake)}
NAMES = ("ada/one", "bob/two", "ada/three", "cyd/four")


class Town:
    """One house for all, and one for each."""

    def __init__(self, kinds: list[tuple[str, bool, str]], store: Store, *, leaves: bool = True) -> None:
        self.names = NAMES[: len(kinds)]
        self._where: dict[str, dict[str, House]] = {}
        made = [(name, *kind) for name, kind in zip(self.names, kinds, strict=True)]
        self.shared = self._house(made, store)
        self.alone = {each[0]: self._house([each], MemoryStore()) for each in made}
        if not leaves:
            self.shared.plan.leaves = False
            self.shared.restarted()

    def _house(self, made: list[tuple[str, str, bool, str]], store: Store) -> House:
        where: dict[str, House] = {}

        def process(kind: str) -> Process:
            return lambda event, context: KINDS[kind](event, context, where)

        cartridges = [
            leaf(
                name,
                process(kind),
                ordered=ordered,
                on_error=on_error,
                settings={"name": name, "ordered": ordered},
                consumes=["shop.**"],
            )
            for name, kind, ordered, on_error in made
        ]
        where["here"] = House(plan(*cartridges, pipeline=MEMBERS), store)
        return where["here"]

    @property
    def houses(self) -> list[House]:
        return [self.shared, *self.alone.values()]

    def compare(self, limit: int) -> None:
        self.shared.rest(limit)
        self.shared.dies = ""
        for name, other in self.alone.items():
            other.rest()
            assert other.seen_by(name) == self.shared.seen_by(name)

    def do(self, verb: str, *args: Any) -> None:
        if verb == "send":
            for each in self.houses:
                each.send(args[0], args[1], n=args[2])
        elif verb == "step":
            self.shared.stepped(args[0])
        elif verb == "dies":
            self.shared.dies = args[0]
        elif verb == "restart":
            self.shared.restarted()
        else:
            self._settled(verb, *args)
            self.compare(args[-1])

    def _settled(self, verb: str, *args: Any) -> None:
        """What has to find all of them at the same place."""
        self.compare(args[-1])
        if verb == "answer":
            name = self.names[args[0] % len(self.names)]
            assert self.alone[name].reply(name, ok=args[1]) == self.shared.reply(name, ok=args[1])
        elif verb == "later":
            for each in self.houses:
                each.later(args[0]).fire()
        elif verb == "decide":
            self._decide(args[0], f"s{args[1]}", args[-1])

    def _decide(self, verbs: tuple[str, str], about: str, limit: int) -> None:
        """People decide about an event once nobody is open at it: first what is held, then what is dead."""
        seqs = [next((row.seq for row in each.records().values() if row.id == about), 0) for each in self.houses]
        if self.shared.states().get(seqs[0]) in OPEN:
            return
        for verb in verbs:
            for each, seq in zip(self.houses, seqs, strict=True):
                each.decide(verb, seq)
            self.compare(limit)
            if self.shared.states().get(seqs[0]) in OPEN:
                return

    def finish(self) -> None:
        for _ in range(60):
            self.compare(100)
            asked = [each.reply(name) for name in self.names for each in (self.shared, self.alone[name])]
            if not any(asked) and not set(self.shared.states().values()) & set(OPEN):
                break
            for each in self.houses:
                each.later(11).fire()
        assert not set(self.shared.states().values()) & {*OPEN, "struck"}
        assert 0 == self.shared.cursor().waiting


LIMITS = st.sampled_from((1, 2, 5, 100))
SENDS = st.tuples(
    st.just("send"),
    st.sampled_from(("shop.sold", "shop.sold", "elsewhere.x")),
    st.sampled_from(("a", "a", "b", None)),
    st.integers(0, 9),
)
DECIDES = st.sampled_from(
    (("quarantine.release", "dead.retry"), ("quarantine.discard", "dead.retry"), ("quarantine.release", "dead.discard"))
)
VERBS = st.one_of(
    SENDS,
    SENDS,
    st.tuples(st.just("step"), LIMITS),
    st.sampled_from((("dies", "before"), ("dies", "after"), ("dies", "full"), ("restart",))),
    st.tuples(st.just("answer"), st.integers(0, 3), st.booleans(), LIMITS),
    st.tuples(st.just("answer"), st.integers(0, 3), st.just(True), LIMITS),
    st.tuples(st.just("later"), st.sampled_from((1, 6, 11)), LIMITS),
    st.tuples(st.just("decide"), DECIDES, st.integers(1, 9), LIMITS),
)
WHO = st.lists(
    st.tuples(
        st.sampled_from(sorted(KINDS)), st.sampled_from((True, True, False)), st.sampled_from(("retry", "retry", "skip"))
    ),
    min_size=2,
    max_size=4,
)


def lived(kind: str, who: list[tuple[str, bool, str]], script: list[tuple[Any, ...]], *, leaves: bool = True) -> None:
    with stores(kind) as store:
        town = Town(who, store, leaves=leaves)
        for verb, *args in script:
            town.do(verb, *args)
        town.finish()


@settings(max_examples=250, deadline=None)
@given(WHO, st.lists(VERBS, max_size=30))
def test_a_member_sees_what_they_would_see_alone(who: list[tuple[str, bool, str]], script: list[tuple[Any, ...]]) -> None:
    lived("memory", who, script)


@settings(max_examples=25, deadline=None)
@given(WHO, st.lists(VERBS, max_size=25))
def test_a_member_sees_what_they_would_see_alone_also_on_disk(
    who: list[tuple[str, bool, str]], script: list[tuple[Any, ...]]
) -> None:
    lived("disk", who, script)


SHARED_FATES: dict[str, tuple[list[tuple[str, bool, str]], list[tuple[Any, ...]]]] = {
    "one who waits": ([("call", True, "retry"), ("count", True, "retry")], [("send", "shop.sold", "a", 1), ("restart",)]),
    "one who raises": ([("fail", True, "retry"), ("count", True, "retry")], [("send", "shop.sold", "a", 2), ("restart",)]),
    "one who is held": ([("act", True, "retry"), ("count", False, "retry")], [("send", "shop.sold", None, 1), ("restart",)]),
    "one who drops what another fails at": (
        [("drop", True, "retry"), ("fail", True, "retry")],
        [("send", "shop.sold", "a", 4), ("later", 1, 100), ("later", 11, 100)],
    ),
}


@pytest.mark.parametrize("fate", SHARED_FATES)
def test_a_shared_fate_is_seen(fate: str) -> None:
    who, script = SHARED_FATES[fate]
    lived("memory", who, script)
    with pytest.raises(AssertionError, match="ends"):
        lived("memory", who, script, leaves=False)


# --- in plain sentences --------------------------------------------------------------------------------------------------------------------------


def tell(event: Any, context: Any) -> Any:
    notify(event, context)
    return event


async def slow(event: Any, context: Any) -> Any:
    if event.payload.get("slow"):
        await context.call("log", {})
    notify(event, context)
    return event


async def risky(event: Any, context: Any) -> Any:
    if event.payload.get("risky"):
        await context.call("ask", {})
    notify(event, context)
    return event


async def never(event: Any, context: Any) -> Any:
    raise ValueError("boom")


def raising(times: int) -> Process:
    """A cartridge that fails so many times, then tells."""
    tries = iter(range(times))

    async def process(event: Any, context: Any) -> Any:
        if next(tries, None) is not None:
            raise ValueError("boom")
        notify(event, context)
        return event

    return process


def broken(*_: Any) -> None:
    raise ZeroDivisionError("ours")


async def refuse(event: Any, context: Any) -> Any:
    context.drop("not mine")
    return event


async def suspect(event: Any, context: Any) -> Any:
    context.quarantine("suspicious")
    notify(event, context)
    return event


def told(world: House, name: str) -> list[str]:
    """The events that a cartridge has told its member of, in the order of telling."""
    records = world.records()
    return [records[row.caused_by or 0].id for row in world.made(NOTICE) if row.principal == f"cartridge:{MEMBERS}/{name}"]


@pytest.mark.parametrize("process", [slow, risky])
def test_what_one_member_waits_for_delays_nobody_else(process: Process) -> None:
    world = house({"ada/asks": process, "bob/tells": tell})
    first, second = world.send(slow=True, risky=True), world.send()
    world.step()
    assert ([], ["s1", "s2"]) == (told(world, "ada/asks"), told(world, "bob/tells"))
    assert {first: "waiting", second: "behind"} == world.states()
    world.later(3_600)
    world.rest()
    world.reply("ada/asks")
    world.rest()
    assert (["s1", "s2"], ["s1", "s2"]) == (told(world, "ada/asks"), told(world, "bob/tells"))
    assert {} == world.states()
    assert 2 == world.pipeline.invocations["bob/tells"].calls


def test_another_entity_is_not_behind() -> None:
    world = house({"ada/asks": slow})
    world.send("shop.sold", "a", slow=True)
    world.send("shop.sold", "b")
    world.step()
    assert ["s2"] == told(world, "ada/asks")


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("restarts", [False, True])
def test_each_cartridge_meets_the_events_of_an_entity_in_order(limit: int, *, restarts: bool) -> None:
    world = house({"ada/asks": slow, "bob/asks": slow, "cyd/tells": tell})
    for number in range(6):
        world.send(slow=number % 2 == 0)
        world.step(limit)
    every = [f"s{number}" for number in range(1, 7)]
    world.rest(limit)
    for turn, name in enumerate(("bob/asks", "bob/asks", "ada/asks", "bob/asks", "ada/asks", "ada/asks")):
        assert every == told(world, "cyd/tells")
        if restarts:
            world.restarted()
        assert 1 == world.reply(name), turn
        world.rest(limit)
        for who in ("ada/asks", "bob/asks"):
            assert every[: len(told(world, who))] == told(world, who)
    assert every == told(world, "ada/asks") == told(world, "bob/asks")
    assert {} == world.states()


def test_one_without_an_order_overtakes_itself_and_one_with_an_order_does_not() -> None:
    world = House(plan(leaf("ada/free", slow, ordered=False), leaf("bob/strict", slow), pipeline=MEMBERS))
    world.send(slow=True)
    world.send()
    world.step()
    assert (["s2"], []) == (told(world, "ada/free"), told(world, "bob/strict"))


def test_an_answer_runs_nobody_but_who_asked() -> None:
    world = house({"ada/asks": slow, "bob/asks": slow, "cyd/fails": never})
    world.send(slow=True)
    world.step()
    world.reply("bob/asks")
    world.step()
    runs = {name: counts.calls for name, counts in world.pipeline.invocations.items()}
    assert {"ada/asks": 1, "bob/asks": 2, "cyd/fails": 1} == runs
    assert ["s1"] == told(world, "bob/asks")


def test_what_is_open_for_several_is_said_of_each() -> None:
    world = house({"ada/asks": slow, "bob/fails": never})
    seq = world.send(slow=True)
    world.step()
    row = world.exception(seq)
    assert row is not None
    assert ("retry", "bob/fails", "ValueError: boom; open too: ada/asks: for log") == (row.state, row.cartridge, row.reason)


def test_who_drops_and_who_holds_ends_the_event_for_nobody_else() -> None:
    world = house({"ada/drops": refuse, "bob/holds": suspect, "cyd/asks": slow, "dan/tells": tell})
    seq = world.send(slow=True)
    world.step()
    assert {seq: "waiting"} == world.states()
    world.reply("cyd/asks")
    world.step()
    assert (["s1"], ["s1"]) == (told(world, "cyd/asks"), told(world, "dan/tells"))
    row = world.exception(seq)
    assert row is not None
    assert ("quarantined", "bob/holds", "suspicious; dropped: ada/drops: not mine") == (row.state, row.cartridge, row.reason)
    world.decide("quarantine.release", seq)
    world.step()
    assert ["s1"] == told(world, "bob/holds")
    assert {seq: "dropped"} == world.states()
    assert [1, 1] == [world.pipeline.invocations[name].calls for name in ("ada/drops", "dan/tells")]


def failing(*names: str, others: dict[str, Process]) -> tuple[House, int]:
    world = house(dict.fromkeys(names, never) | others)
    seq = world.send()
    for _ in range(3):
        world.rest()
        world.later(11)
    return world, seq


def test_a_dead_letter_is_found_and_tried_again_though_another_drops_the_event() -> None:
    world, seq = failing("ada/fails", others={"bob/drops": refuse})
    row = world.exception(seq)
    assert row is not None
    assert ("dead", "ada/fails", 3) == (row.state, row.cartridge, row.attempts)
    world.decide("dead.retry", seq)
    world.rest()
    assert 4 == world.pipeline.invocations["ada/fails"].calls
    assert 1 == world.pipeline.invocations["bob/drops"].calls


def test_what_is_discarded_for_one_is_a_dead_letter_for_another_still() -> None:
    world, seq = failing("ada/fails", others={"bob/holds": suspect})
    world.decide("quarantine.discard", seq)
    world.rest()
    row = world.exception(seq)
    assert row is not None
    assert ("dead", "ada/fails") == (row.state, row.cartridge)
    world.decide("dead.discard", seq)
    world.rest()
    assert {seq: "dropped"} == world.states()
    assert {} == world.notes(seq)


def test_nobody_has_recovered_who_has_a_dead_letter_where_another_still_waits() -> None:
    asks_once = house({"ada/fails": never, "bob/asks": slow})
    first, second = asks_once.send("shop.sold", "a"), asks_once.send("shop.sold", "b", slow=True)
    for _ in range(3):
        asks_once.rest()
        asks_once.later(11)
    assert {first: "dead", second: "waiting"} == asks_once.states()
    asks_once.decide("dead.discard", first)
    asks_once.rest()
    assert [] == asks_once.made("cartridge.recovered")
    asks_once.reply("bob/asks")
    asks_once.rest()
    assert {first: "dropped", second: "dead"} == asks_once.states()
    asks_once.decide("dead.discard", second)
    asks_once.rest()
    assert 1 == len(asks_once.made("cartridge.recovered"))


def test_a_strike_at_an_event_that_is_open_leaves_out_who_was_struck_and_runs_nobody_again() -> None:
    world = house({"ada/hangs": slow, "bob/asks": slow, "cyd/tells": tell})
    first, second = world.send(slow=True), world.send()
    world.step()
    world.reply("ada/hangs")
    strikes.book(world.store, Crumb(MEMBERS, "ada/hangs", first, 0.0, 5.0), "hung", "", world.now)
    world.restarted()
    world.rest()
    assert {first: "waiting", second: "behind"} == world.states()
    assert (["s2"], [], ["s1", "s2"]) == tuple(told(world, name) for name in ("ada/hangs", "bob/asks", "cyd/tells"))
    world.reply("bob/asks")
    world.rest()
    assert {first: "dead"} == world.states()
    assert ["s1", "s2"] == told(world, "cyd/tells")
    assert world.pipeline.invocations.keys() == {"ada/hangs", "bob/asks"}


HANGS = "async def process(event, context):\n    while True:\n        pass\n"


def test_a_worker_that_hangs_holds_the_others_no_longer_than_its_deadline() -> None:
    hangs = coded("ada/hangs", HANGS, pipeline=MEMBERS, limit_s=0.5)
    with workers() as found:
        world = Apart(plan(hangs, leaf("bob/tells", tell), pipeline=MEMBERS), found)
        first = world.send()
        world.settle()
        assert {first: "dead"} == world.states()
        assert 1 == len(world.made(NOTICE))


def test_what_was_left_open_when_all_shared_a_fate_goes_on_for_all() -> None:
    world = house({"ada/asks": slow, "bob/tells": tell})
    world.plan.leaves = False
    world.restarted()
    first, second = world.send(slow=True), world.send()
    world.step()
    assert ([], {first: "waiting", second: "behind"}) == (told(world, "bob/tells"), world.states())
    world.plan.leaves = True
    world.restarted()
    world.send()
    world.rest()
    assert [] == told(world, "bob/tells")
    world.reply("ada/asks")
    world.rest()
    every = ["s1", "s2", "s3"]
    assert (every, every, {}) == (told(world, "ada/asks"), told(world, "bob/tells"), world.states())


def test_where_the_platform_fails_a_second_chance_runs_those_who_were_open(monkeypatch: pytest.MonkeyPatch) -> None:
    from eventctl.dag import effects

    world = house({"ada/fails": raising(1), "bob/tells": tell})
    seq = world.send()
    world.step()
    with monkeypatch.context() as patched:
        patched.setattr(effects, "write", broken)
        world.later(1)
        assert [seq] == world.step().buried
    world.decide("dead.retry", seq)
    world.rest()
    assert (["s1"], ["s1"], {}) == (told(world, "ada/fails"), told(world, "bob/tells"), world.states())
    assert 1 == world.pipeline.invocations["bob/tells"].calls


def test_who_was_passed_over_in_several_runs_is_named_together() -> None:
    async def asks_and_fails(event: Any, context: Any) -> Any:
        await context.call("log", {})
        raise ValueError("late")

    world = House(
        plan(leaf("ada/asks", asks_and_fails, on_error="skip"), leaf("bob/fails", never, on_error="skip"), pipeline=MEMBERS)
    )
    seq = world.send()
    world.step()
    world.reply("ada/asks")
    world.step()
    said = {"ada/asks": "ValueError: late", "bob/fails": "ValueError: boom"}
    assert (said, {}) == (world.annotations(seq)[f"skipped:{MEMBERS}"], world.states())


def test_who_was_passed_over_is_named_also_where_another_has_a_dead_letter() -> None:
    world = House(
        plan(leaf("ada/fails", never, on_error="disable"), leaf("bob/fails", never, on_error="skip"), pipeline=MEMBERS)
    )
    seq = world.send()
    world.rest()
    assert ({seq: "dead"}, {"bob/fails": "ValueError: boom"}) == (world.states(), world.annotations(seq)[f"skipped:{MEMBERS}"])


def test_a_strike_against_one_that_is_done_leaves_the_others_where_they_were() -> None:
    world = house({"ada/asks": slow, "bob/tells": tell})
    seq = world.send(slow=True)
    world.step()
    strikes.book(world.store, Crumb(MEMBERS, "bob/tells", seq, 0.0, 5.0), "hung", "", world.now)
    world.restarted()
    world.rest()
    assert {seq: "waiting"} == world.states()
    world.reply("ada/asks")
    world.rest()
    assert (["s1"], ["s1"], {seq: "dead"}) == (told(world, "ada/asks"), told(world, "bob/tells"), world.states())


def test_one_that_went_holds_nothing_open() -> None:
    world = house({"ada/asks": slow, "bob/tells": tell})
    world.send(slow=True)
    world.send()
    world.step()
    world.plan = world.plan.without({"ada/asks"})
    world.restarted()
    world.reply("ada/asks")
    world.rest()
    assert ({}, ["s1", "s2"]) == (world.states(), told(world, "bob/tells"))


def test_the_bound_on_what_is_open_counts_events_and_is_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_events, "WAITING_MAX", 5)
    world = house({"ada/asks": slow, "bob/asks": slow, "cyd/tells": tell})
    for number in range(20):
        world.send("shop.sold", f"e{number}", slow=True)
    for _ in range(4):
        report = world.step(2)
    assert "6 events wait for answers" in report.held
    for _ in range(60):
        world.reply("bob/asks")
        world.reply("ada/asks")
        world.step(2)
    assert ({}, 20, 20) == (world.states(), len(told(world, "ada/asks")), len(told(world, "cyd/tells")))


def test_only_members_are_alone_and_only_while_nobody_comes_after_anybody() -> None:
    pair = [leaf("ada/one", tell), leaf("bob/two", tell)]
    assert plan(*pair, pipeline=MEMBERS).leaves
    assert plan(*pair, pipeline=MEMBERS).without({"ada/one"}).leaves
    assert not plan(*pair, after={"bob/two": ["ada/one"]}, pipeline=MEMBERS).leaves
    assert not plan(cartridge("one", tell), cartridge("two", tell)).leaves


def test_the_time_of_a_second_attempt_is_each_ones_own() -> None:
    world = house({"ada/fails": never, "bob/asks": slow})
    first = world.send(slow=True)
    world.step()
    due = world.now + SECOND
    assert due == ((row := world.exception(first)) and row.due)
    world.reply("bob/asks")
    world.step()
    assert (due, ["s1"]) == ((row := world.exception(first)) and row.due, told(world, "bob/asks"))
    world.later(1).step()
    assert 2 == world.pipeline.invocations["ada/fails"].calls


def test_a_run_that_asks_for_something_else_each_time_is_given_up() -> None:
    numbers = iter(range(100))

    async def fickle(event: Any, context: Any) -> Any:
        await context.call("log", {"n": next(numbers)})
        return event

    world = house({"ada/fickle": fickle, "bob/asks": slow})
    seq = world.send(slow=True)
    world.step()
    world.reply("bob/asks")
    world.rest()
    world.reply("ada/fickle")
    world.rest()
    assert "is not the one that it made before" in (((row := world.exception(seq)) and row.reason) or "")
