"""A rehearsal: the real pipelines over a store that nobody keeps, with a clock that goes where it is told and no way out.

Records come in one after the other and are worked off before the next; what comes due does so at its moment. A call gets the answer
that it was given for it, or stays open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from eventctl import decisions
from eventctl.breadcrumb import NoCrumb
from eventctl.catalog import Catalog
from eventctl.context import EMIT
from eventctl.contracts import Answer
from eventctl.dag.apart import ALL_DAY_S
from eventctl.dag.gate import Gate
from eventctl.dag_pipeline import DagPipeline
from eventctl.memory_store import MemoryStore
from eventctl.modules import Modules
from eventctl.outbox import ending, wished_event
from eventctl.plan import Plan
from eventctl.runner import timer_record
from eventctl.store import LOG_PIPELINE, DecisionRow, ExceptionRow, LogRow, Operations, OutboxChange, OutboxRow, Record
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import HOUR

LIMIT = 500
ENDED = ("dropped", "quarantined", "waiting", "behind", "retry", "dead", "struck")


class Ending(NamedTuple):
    """What became of one record in one pipeline."""

    pipeline: str
    state: str
    cartridge: str = ""
    reason: str = ""


class Rehearsal:
    """The system pipeline and those of `plans` over `store`; `answers` are results of calls by the executor's name."""

    def __init__(
        self,
        store: MemoryStore,
        system: SystemPipeline,
        plans: Sequence[Plan],
        catalog: Catalog,
        modules: Modules,
        *,
        answers: Mapping[str, Any] | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.store = store
        self.now = 0
        self._system = system
        self._answers = dict(answers or {})
        self._pipelines = [
            DagPipeline(plan, catalog, modules=modules, crumb=NoCrumb(), patience_s=ALL_DAY_S, gate=gate) for plan in plans
        ]
        self.names = [LOG_PIPELINE, *(plan.pipeline for plan in plans)]
        for name in self.names:
            if store.cursor(name) is None:
                store.open_cursor(name, at=store.tail("log" if name == LOG_PIPELINE else "feed"))

    def bring(self, record: Record) -> int:
        """A record comes in, after everything that was due before it; its number."""
        self.wait(record.at)
        seq = self.store.append([record])[0].seq
        self.settle()
        return seq

    def wait(self, until: int) -> None:
        """Time goes by up to a moment (microseconds)."""
        while (due := self._due()) is not None and due <= until:
            self.now = max(due, self.now)
            self._fire()
            self.settle()
        self.now = max(self.now, until)

    def settle(self) -> None:
        """Work off what there is to do now."""
        moved = True
        while moved:
            moved = self._system.advance(self.store, LIMIT, self.now).moved
            for pipeline in self._pipelines:
                moved |= pipeline.advance(self.store, LIMIT, self.now).moved
            moved |= self._answer()
            moved |= bool(decisions.settle(self.store, self.now))

    def endings(self, seq: int) -> list[Ending]:
        """What became of a record, in the order of the pipelines; those that it never came to are left out."""
        found = {row.pipeline: row for row in self._exceptions(seq)}
        if (held := found.get(LOG_PIPELINE)) is not None:
            return [_ending(held)]
        return [_ending(found[name]) if name in found else Ending(name, "applied") for name in self.names]

    def made(self, after: int) -> list[LogRow]:
        """The records after a number that pipelines have made: events, and timers that came due."""
        return [
            row for row in self.store.read_log(after, 1 << 20) if row.kind == "event" and row.principal.startswith("cartridge:")
        ]

    def failures(self) -> list[ExceptionRow]:
        """Events at which a cartridge failed."""
        return [row for name in self.names for row in self.store.exceptions_of(name, ("dead", "retry"))]

    def calls(self) -> list[tuple[str, dict[str, Any], int]]:
        """The calls that nobody has answered: the executor's name, the arguments, and the number of the event."""
        rows = self.store.views.outbox(states=("pending",), limit=1_000)
        return [
            (row.name, orjson.loads(row.body).get("args", {}), row.seq) for row in reversed(rows) if row.kind != decisions.KIND
        ]

    def decisions(self) -> list[DecisionRow]:
        """What wanted to act, in the order of asking: proposals, decisions, and calls that autonomy holds."""
        return self.store.views.decisions(limit=1_000)[::-1]

    def _exceptions(self, seq: int) -> list[ExceptionRow]:
        return [row for name in self.names for row in self.store.exceptions_of(name, ENDED) if row.seq == seq]

    def _due(self) -> int | None:
        moments = [timer.due for timer in self.store.due_timers(1 << 62, limit=1)]
        moments += [row.due for row in self.store.due_decisions(1 << 62, limit=1) if row.due is not None]
        again = (row for name in self.names for row in self.store.due_retries(name, 1 << 62, limit=LIMIT))
        moments += [row.due for row in again if row.due is not None]
        return min(moments, default=None)

    def _fire(self) -> None:
        due = self.store.due_timers(self.now, limit=LIMIT)
        if due:
            cleared: list[tuple[str, str, int | None]] = [(timer.owner, timer.key, timer.due) for timer in due]
            self.store.commit(Operations(records=[timer_record(timer, self.now) for timer in due], timers_cleared=cleared))

    def _answer(self) -> bool:
        """Give the answers that there are to the calls that are owed."""
        told = False
        for row in self.store.claim(self.now, lease=HOUR, limit=LIMIT):
            made = wished_event(row, self.now) if row.name == EMIT else None
            answer = _made(made) if made is not None else self.answer_to(row)
            state = "pending" if answer is None else "done" if answer.ok else "dead"
            out = Operations() if answer is None else ending(self.store, row, answer, self.now)
            if isinstance(made, Record):
                out.records.insert(0, made)
            out.outbox_changed.append(OutboxChange(row.id, row.attempt_id, state, 1 << 62))
            self.store.commit(out)
            told |= answer is not None
        return told

    def answer_to(self, row: OutboxRow) -> Answer | None:
        """What an executor says to a call that is owed; None when nobody says anything."""
        return Answer(True, self._answers[row.name]) if row.name in self._answers else None


def _made(record: Record | str) -> Answer:
    return Answer(True, {"id": record.id}) if isinstance(record, Record) else Answer(False, error=record)


def _ending(row: ExceptionRow) -> Ending:
    return Ending(row.pipeline, row.state, row.cartridge, row.reason)
