"""Where a cartridge runs makes no difference: the same one over the same events leaves the same store behind, here and in a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eventctl.memory_store import MemoryStore
from eventctl.sqlite_store import SqliteStore
from eventctl.workers import Workers
from tests.flowkit import OUT, plan
from tests.workerkit import Apart, coded

DOES = """
from datetime import datetime, timedelta, timezone
async def process(event, context):
    if event.type == "timer.due":
        context.annotate("does", ["woken", event.payload["key"], event.payload["body"]])
        return event
    seen = []
    for verb, *args in event.payload.get("do", []):
        try:
            if verb == "get": seen.append(await context.state.get(args[0], "none"))
            elif verb == "set": context.state.set(*args)
            elif verb == "annotate": context.annotate(*args)
            elif verb == "emit": context.emit(args[0], args[1], **args[2])
            elif verb == "notify": context.notify(args[0], **args[1])
            elif verb == "timer": context.timer(args[0], timedelta(seconds=args[1]), args[2])
            elif verb == "call": seen.append(await context.call(*args))
            elif verb == "decide": seen.append((await context.decide(*args, summary="may it?", undo=("tell", {}))).outcome)
            elif verb == "propose": context.propose(*args, summary="it should")
            elif verb == "history": seen.append([each.payload.get("n") for each in await context.history(limit=args[0])])
            elif verb == "annotations": seen.append(sorted(await context.annotations()))
            elif verb == "drop": context.drop(args[0])
            elif verb == "quarantine": context.quarantine(args[0])
            elif verb == "raise": raise ValueError(args[0])
            elif verb == "return": return {"none": None, "text": "x", "again": event}[args[0]]
            elif verb == "odd": context.annotate("does", datetime(2026, 1, 2, tzinfo=timezone.utc) if args[0] else object())
            elif verb == "foreign": await __import__("asyncio").sleep(1)
        except Exception as error:
            if verb == "raise" or event.payload.get("strict"): raise
            seen.append(f"{type(error).__name__}: {error}")
    if seen: context.annotate("seen", seen)
    return event
"""
SECOND = """
async def process(event, context):
    context.annotate("second", sorted((await context.annotations()).items()))
    return event
"""
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["a", "b", "ü"])
TABLES = st.dictionaries(st.text(max_size=3), JSON, max_size=3)
TYPES = st.sampled_from([OUT, "domain.shop.loop", "domain.shop.unknown", "shop.sold", "notice.raised"])
FIELDS = st.sampled_from([{}, {"level": 2}, {"entity": "other"}, {"id": "x"}, {"level": "no"}, {"description": "said"}])
OPTIONS = st.sampled_from(
    [
        {},
        {"level": "business"},
        {"level": "no"},
        {"audience": "member:ada"},
        {"audience": "nobody"},
        {"key": "k", "text": "t"},
        {"withdraw": True},
    ]
)
DEEP: object = 1
for _ in range(60):
    DEEP = [DEEP]
VERBS = st.one_of(
    st.tuples(st.just("get"), NAMES),
    st.tuples(st.just("set"), NAMES, JSON),
    st.tuples(st.just("annotate"), st.sampled_from(["does", "seen", "other"]), JSON),
    st.tuples(st.just("emit"), TYPES, TABLES, FIELDS),
    st.tuples(st.just("notify"), st.text(max_size=5), OPTIONS),
    st.tuples(st.just("timer"), NAMES, st.sampled_from([0, 1, 60]), TABLES),
    st.tuples(st.just("call"), st.sampled_from(["ask", "tell", "other"]), TABLES),
    st.tuples(st.just("decide"), st.sampled_from(["do", "NO"]), st.sampled_from(["ask", "other"]), TABLES),
    st.tuples(st.just("propose"), st.just("do"), st.sampled_from(["ask", "other"]), TABLES),
    st.tuples(st.just("history"), st.sampled_from([0, 1, 100])),
    st.tuples(st.just("annotations")),
    st.tuples(st.just("drop"), st.text(max_size=3)),
    st.tuples(st.just("quarantine"), st.text(max_size=3)),
    st.tuples(st.just("raise"), st.text(max_size=5)),
    st.tuples(st.just("return"), st.sampled_from(["none", "text", "again"])),
    st.tuples(st.just("odd"), st.booleans()),
    st.tuples(st.just("foreign")),
)
PROGRAMS = st.lists(st.tuples(st.booleans(), st.lists(VERBS, max_size=6)), min_size=1, max_size=3)
STATES = ("waiting", "behind", "retry", "dead", "dropped", "quarantined", "struck")


@pytest.fixture(scope="module")
def made() -> Iterator[Workers]:
    workers = Workers(limit_s=20)
    yield workers
    workers.close()


def left_behind(made: Workers, kind: str, runs: str, programs: list) -> dict[str, object]:
    """What a store holds when these events have been worked off, answered, tried again, and woken."""
    with TemporaryDirectory() as folder:
        store = MemoryStore() if kind == "memory" else SqliteStore.create(Path(folder) / "state.db")
        first = coded("does", DOES, runs=runs, consumes=("shop.**", "timer.due"), annotates=("does", "seen"))
        second = coded("second", SECOND, runs=runs)
        world = Apart(plan(first, second, after={"second": ["does"]}), made, store=store)
        seqs = [world.send(do=program, strict=strict, n=n) for n, (strict, program) in enumerate(programs)]
        for ok in (True, False, True, True):
            world.settle()
            world.answer(ok=ok, result={"n": 1})
            world.settle()
            world.later(90)
            world.fire()
        world.settle()
        seen = {
            "exceptions": sorted(store.exceptions_of(world.plan.pipeline, STATES)),
            "annotations": [world.annotations(seq) for seq in seqs],
            "state": world.state("does"),
            "log": list(store.read_log(0, 10_000)),
            "timers": store.due_timers(1 << 62, limit=100),
            "outbox": [
                row._replace(attempt_id="") for row in store.views.outbox(states=("pending", "done", "dead"), limit=100)
            ],
            "decisions": store.views.decisions(limit=100),
            "cursor": world.cursor(),
        }
        if kind != "memory":
            store.close()
        return seen


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_cartridge_leaves_the_same_behind_wherever_it_runs(made, kind):
    @settings(max_examples=120 if kind == "memory" else 30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(programs=PROGRAMS)
    @example(programs=[(True, [("annotate", "does", DEEP), ("emit", OUT, {"deep": DEEP}, {})])])
    @example(programs=[(False, [("set", "a", 1), ("get", "a"), ("call", "ask", {"deep": DEEP}), ("get", "a")])])
    @example(programs=[(False, [("emit", OUT, {}, {})] * 3 + [("drop", "x")]), (False, [("raise", "y")])])
    @example(programs=[(False, [("decide", "do", "ask", {"a": 1}), ("propose", "do", "ask", {"b": [1]})])])
    def same(programs):
        assert left_behind(made, kind, "in-process", programs) == left_behind(made, kind, "worker", programs)

    same()


def test_the_comparison_sees_a_difference(made):
    programs = [(False, [("annotate", "does", 1), ("emit", OUT, {}, {})])]
    here = left_behind(made, "memory", "in-process", programs)
    there = left_behind(made, "memory", "worker", [(False, [("annotate", "does", 2), ("emit", OUT, {"a": 1}, {})])])
    assert {"annotations", "log"} <= {name for name in here if here[name] != there[name]}
    assert [{"does": 1}] == [{name: beside[name] for name in ("does",)} for beside in here["annotations"]]
