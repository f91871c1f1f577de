"""A pipeline of cartridges over a store in memory, and the hand of whoever stands around it: senders, executors, people, timers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from eventctl.advance import Advanced
from eventctl.catalog import Catalog, EventType
from eventctl.context import Rights
from eventctl.dag.run import BUDGET_NS
from eventctl.dag_pipeline import DagPipeline
from eventctl.graph import Node, build
from eventctl.memory_store import MemoryStore
from eventctl.modules import Code, Modules
from eventctl.plan import Cartridge, Plan
from eventctl.runner import timer_record
from eventctl.store import CursorRow, ExceptionRow, Keys, LogRow, Operations, OutboxChange, OutboxRow, Record, Store
from eventctl.times import SECOND

PIPELINE = "domain:shop"
OUT = "domain.shop.made"
CATALOG = Catalog([EventType(name, declared=True) for name in (OUT, "domain.shop.loop", "notice.raised")])


class Crumbs:
    """A breadcrumb that remembers where it was told to be."""

    def __init__(self) -> None:
        self.here: tuple[str, str, int] | None = None
        self.limits: list[float | None] = []
        self.visits: list[tuple[str, str, int]] = []

    def enter(self, pipeline: str, cartridge: str, seq: int, limit_s: float | None = None) -> None:
        self.here = (pipeline, cartridge, seq)
        self.visits.append(self.here)
        self.limits.append(limit_s)

    def leave(self) -> None:
        self.here = None


def cartridge(name: str, process: Any, consumes: Sequence[str] = ("shop.**",), **more: Any) -> Cartridge:
    """A cartridge with every right that a test may want."""
    rights = Rights(
        more.pop("pipeline", PIPELINE),
        name,
        emits=tuple(more.pop("emits", ("domain.shop.*",))),
        annotates=tuple(more.pop("annotates", (name,))),
        calls=tuple(more.pop("calls", ("ask", "tell"))),
        audiences=tuple(more.pop("audiences", ("workspace", "member:*"))),
    )
    return Cartridge(rights, tuple(consumes), Code(process=process), unit=more.pop("unit", f"cartridges/{name}.py"), **more)


def plan(*cartridges: Cartridge, after: dict[str, Sequence[str]] | None = None, pipeline: str = PIPELINE) -> Plan:
    nodes = [
        Node(each.id, each.unit, each.consumes, (), tuple((after or {}).get(each.id, ())), each.requires) for each in cartridges
    ]
    graph, problems = build(nodes)
    assert [] == problems
    return Plan(pipeline, cartridges, graph)


class World:
    """One pipeline, its store, a clock that stands still, and everybody around."""

    def __init__(
        self, plan: Plan, *, store: Store | None = None, catalog: Catalog = CATALOG, budget_ns: int = BUDGET_NS
    ) -> None:
        self.budget_ns = budget_ns
        self.store = store or MemoryStore()
        self.crumbs = Crumbs()
        self.plan = plan
        self.catalog = catalog
        self.now = 1_000 * SECOND
        self.pipeline = self.restarted()
        self.store.open_cursor(plan.pipeline, at=0)
        self._sent = 0

    def restarted(self) -> DagPipeline:
        """The pipeline as a new process has it."""
        self.pipeline = DagPipeline(self.plan, self.catalog, modules=Modules(), crumb=self.crumbs, budget_ns=self.budget_ns)
        return self.pipeline

    def send(self, kind: str = "shop.sold", entity: str | None = "e", /, **payload: Any) -> int:
        """An event that the system pipeline has let through; its seq."""
        self._sent += 1
        about = {
            "id": f"s{self._sent}",
            "event": kind,
            "source": "till",
            "timestamp": "2026-11-20T10:00:00Z",
            "payload": payload,
        }
        if entity is not None:
            about["entity"] = entity
        record = Record("event", "till", f"s{self._sent}", kind, orjson.dumps(about), "cli:ada", self.now, entity)
        return self.feed(record, kind, "accept")

    def feed(self, record: Record, kind: str, why: str) -> int:
        seq = self.store.append([record])[0].seq
        self.store.commit(Operations(feed=[(seq, kind, why)]))
        return seq

    def step(self, limit: int = 100) -> Advanced:
        report = self.pipeline.advance(self.store, limit, self.now)
        self.conserved()
        return report

    def later(self, seconds: float) -> World:
        self.now += int(seconds * SECOND)
        return self

    def answer(self, *, ok: bool = True, result: Any = "yes", limit: int = 100) -> int:
        """Every owed call is answered; how many there were."""
        owed = self.owed(limit)
        for row in owed:
            body = {"call": row.id, "pipeline": row.pipeline, "seq": row.seq, "name": row.name, "ok": ok, "result": result}
            body["error"] = "" if ok else "it would not"
            record = Record(
                "answer",
                "outbox",
                row.id,
                "call.answered",
                orjson.dumps(body),
                f"outbox:{row.name}",
                self.now,
                caused_by=row.seq,
            )
            self.feed(record, row.pipeline, "answer")
            state = "done" if ok else "dead"
            self.store.commit(Operations(outbox_changed=[OutboxChange(row.id, row.attempt_id, state)]))
        return len(owed)

    def owed(self, limit: int = 100) -> list[OutboxRow]:
        """Calls that nobody has answered, taken for another attempt."""
        lost = self.store.overdue(self.now, limit=limit)
        self.store.commit(Operations(outbox_changed=[OutboxChange(row.id, row.attempt_id, "retry", self.now) for row in lost]))
        return self.store.claim(self.now, lease=SECOND, limit=limit)

    def decide(self, verb: str, seq: int) -> None:
        """A person decides about a dead or quarantined event."""
        body = orjson.dumps({"verb": verb, "pipeline": self.plan.pipeline, "seq": seq})
        self._sent += 1
        self.feed(Record("move", "move", f"m{self._sent}", verb, body, "cli:ada", self.now), self.plan.pipeline, "retry")

    def fire(self) -> int:
        """Every due timer becomes a record; how many there were."""
        due = self.store.due_timers(self.now, limit=100)
        for timer in due:
            self.store.commit(Operations(timers_cleared=[(timer.owner, timer.key, timer.due)]))
            self.feed(timer_record(timer, self.now), timer.owner.partition("/")[0], "timer")
        return len(due)

    def cursor(self) -> CursorRow:
        cursor = self.store.cursor(self.plan.pipeline)
        assert cursor is not None
        return cursor

    def exception(self, seq: int) -> ExceptionRow | None:
        name = self.plan.pipeline
        return self.store.snapshot(Keys(exceptions=[(name, seq)])).exceptions.get((name, seq))

    def states(self) -> dict[int, str]:
        """What is said about events, by seq."""
        every = ("waiting", "behind", "retry", "dead", "dropped", "quarantined", "struck")
        return {row.seq: row.state for row in self.store.exceptions_of(self.plan.pipeline, every)}

    def annotations(self, seq: int) -> dict[str, Any]:
        found = self.store.snapshot(Keys(annotations=[seq])).annotations.get(seq, {})
        return {slot: orjson.loads(value) for slot, value in found.items()}

    def state(self, name: str, key: str = "e") -> dict[str, Any]:
        owner = (f"{self.plan.pipeline}/{name}", key)
        value = self.store.snapshot(Keys(states=[owner])).states.get(owner)
        return orjson.loads(value) if value else {}

    def made(self, kind: str = OUT) -> list[LogRow]:
        """The events of a type that cartridges have made."""
        return [row for row in self.store.read_log(0, 100_000) if row.type == kind]

    def conserved(self) -> None:
        """Every position up to the cursor is in one bucket, and the buckets are what the exceptions say."""
        cursor = self.cursor()
        buckets = cursor.applied + cursor.dropped + cursor.quarantined + cursor.dead + cursor.waiting
        assert cursor.pos == buckets
        states = list(self.states().values())
        struck = self.store.exceptions_of(self.plan.pipeline, ("struck",))
        booked = sum(row.pos <= cursor.pos for row in struck)  # one that the cursor has not passed is in no bucket yet
        assert cursor.waiting == booked + sum(state in ("waiting", "behind", "retry") for state in states)
        for bucket in ("dropped", "quarantined", "dead"):
            assert getattr(cursor, bucket) == states.count(bucket), bucket
