"""A pipeline of cartridges: a cursor over the feed, and a plan that says which cartridges an event meets.

An event and this pipeline are one unit: what its cartridges want is committed with the cursor when all of them have run, or not at
all. An event that cannot be finished now (an answer is missing, a cartridge raised) is left open and the cursor passes; it is run
again from its top when its answer comes by, or its time. What is open keeps later events of the same entity behind it.

    accept, release    an event: skipped by its type alone where no cartridge wants it, else run
    timer              a cartridge of ours is woken: it alone is run, with an event of type `timer.due`
    answer             a call of ours is answered: the event that asked is run again
    retry              a person decided about an event of ours that was dead or quarantined

The pipelines of a workspace are `domain:<name>`, `workspace` and `members`; each is one of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import orjson

from eventctl.advance import Advanced, Tally, Wait, failure_text, in_halves, standing, undisturbed
from eventctl.catalog import Catalog
from eventctl.dag import leaves
from eventctl.dag.apart import PATIENCE_S, Patience, Thinking
from eventctl.dag.batch import AGAIN, Batch
from eventctl.dag.case import Notes
from eventctl.dag.gate import Gate
from eventctl.dag.open_events import WAITING_MAX, OpenEvents
from eventctl.dag.overlay import Overlay
from eventctl.dag.run import BUDGET_NS, Invocations, Runs
from eventctl.modules import Modules
from eventctl.plan import Plan
from eventctl.store import CursorRow, ExceptionRow, FeedRow, Keys, Operations, Store, Stream
from eventctl.trampoline import Crumb

OPEN_STATES = ("waiting", "behind", "retry", "struck")
LIMIT_MAX = 1 << 20
PACE_MIN = 16
"""Where an event has to be waited for, no more than can be worked off is read: from so many on, twice as many each time all went."""

SWEPT_MAX = 1_000
"""How many waiting events are looked at in one step for answers that the cursor cannot reach."""


class DagPipeline:
    """Folds the feed through the cartridges of one plan. See `eventctl.advance.Pipeline`.

    `crumb` is told where foreign code runs; `invocations` counts by cartridge and may be handed on to the next pipeline at a reload;
    a run of more than `budget_ns` is counted as over its budget. For workers, which `modules` has, one advance waits `patience_s` in all. `gate` says what may act without asking (default: everything).
    """

    stream: Stream = "feed"

    def __init__(
        self,
        plan: Plan,
        catalog: Catalog,
        *,
        modules: Modules,
        crumb: Crumb,
        invocations: dict[str, Invocations] | None = None,
        budget_ns: int = BUDGET_NS,
        gate: Gate | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.invocations: dict[str, Invocations] = {} if invocations is None else invocations
        self._plan = plan
        self._catalog = catalog
        self._modules = modules
        self._crumb = crumb
        self._budget_ns = budget_ns
        self._gate = gate or Gate()
        self._patience_s = patience_s
        self._waits: list[Wait] = []
        self._pace = LIMIT_MAX
        self._open: OpenEvents | None = None
        self._swept = 0

    @property
    def name(self) -> str:
        return self._plan.pipeline

    @property
    def plan(self) -> Plan:
        """The cartridges as they run now: without those that were switched off."""
        return self._plan

    def advance(self, store: Store, limit: int, now: int, *, term: int | None = None) -> Advanced:
        """Move on by at most `limit` positions and runs; see `eventctl.advance.Pipeline`."""
        cursor = standing(store, self.name, term)
        report = Advanced(self.name, cursor.pos)
        if self._still_thinking(report):
            return report
        patience = Patience(self._patience_s)
        attempt = partial(self._attempt, store, report, cursor.term, now, patience)
        bury = partial(self._bury, store, report, cursor.term)
        left = limit
        with undisturbed():
            while left > 0:
                items = self._next(store, cursor, report, now, min(left, self._pace))
                if not items:
                    break
                before = report.passed
                try:
                    in_halves(items, report.pos, attempt, bury)
                except Thinking as thinking:
                    self._waits = report.waits = thinking.waits
                    self._pace = max(PACE_MIN, 2 * (report.passed - before))
                    break
                if len(items) >= self._pace:
                    self._pace *= 2
                left -= len(items)
        return report

    def _still_thinking(self, report: Advanced) -> bool:
        """Whether nothing is new about those that the next event waits for: then nothing is read for it again."""
        apart, waits, self._waits = self._modules.apart, self._waits, []
        if apart is None:
            return False
        apart.tidy()
        if not waits or apart.ready(waits):
            return False
        self._waits = report.waits = waits
        return True

    def _next(self, store: Store, cursor: CursorRow, report: Advanced, now: int, limit: int) -> Sequence[FeedRow]:
        """What to do next: first what is open and can go on, then the feed."""
        waiting = self._opened(store, cursor)
        rows = waiting.struck()[:limit]
        if not rows and waiting.retries:
            rows = store.due_retries(self.name, now, limit=limit)
        rows = rows or waiting.ready(limit)
        if not rows and waiting.full:
            rows = self._answered(store, waiting, limit)
            report.held = "" if rows else f"{len(waiting):,} events wait for answers; {WAITING_MAX:,} may"
            return _again(rows)
        return _again(rows) if rows else store.read_feed(report.pos, limit)

    def _opened(self, store: Store, cursor: CursorRow) -> OpenEvents:
        if self._open is None:
            rows = store.exceptions_of(self.name, OPEN_STATES)
            lanes = leaves.standing(store, self._plan, rows) if self._plan.leaves else None
            self._open = OpenEvents(rows, passed=cursor.pos, lanes=lanes)
        return self._open

    def _answered(self, store: Store, waiting: OpenEvents, limit: int) -> list[ExceptionRow]:
        """Open events whose answer is in the log, though the cursor cannot pass what stands before it in the feed."""
        rows = waiting.waiting()
        first = self._swept % max(1, len(rows))
        self._swept = first + SWEPT_MAX
        rows = rows[first : first + SWEPT_MAX]
        overlay = Overlay(store)
        overlay.fetch(states=[(self.name, f"e{row.seq}") for row in rows])
        waits = {row.seq: Notes.read(overlay.state(self.name, f"e{row.seq}")).waits for row in rows}
        overlay.fetch_answers([call for calls in waits.values() for call in calls])
        return [row for row in rows if any(overlay.known_answer(call) for call in waits[row.seq])][:limit]

    def _attempt(
        self, store: Store, report: Advanced, term: int, now: int, patience: Patience, items: Sequence[FeedRow], expected: int
    ) -> int:
        """Plan these items and commit them. What was planned in memory is forgotten when it is not committed.

        Raises `Thinking` when one of them cannot be taken yet; those before it are committed.
        """
        waiting = self._opened(store, CursorRow(self.name, expected, term))
        before, self._open = self._plan, None
        runs = Runs(before, self._catalog, self._modules, self._crumb, self.invocations, self._budget_ns, self._gate, patience)
        batch = Batch(self.name, runs, waiting, Overlay(store), store, now)
        batch.fetch(items)
        thinking: Thinking | None = None
        for at, item in enumerate(items):
            try:
                batch.take(item)
            except Thinking as found:
                items, thinking = items[:at], found
                break
        if not items and thinking:
            self._open = waiting
            raise thinking
        pos = max((item.pos for item in items), default=0) or expected
        operations = batch.operations(expected, pos, term)
        committed = store.commit(operations)
        self._open, self._plan = waiting, runs.plan
        report.add(operations, committed, passed=sum(item.pos > 0 for item in items))
        report.behind_us = max(report.behind_us, batch.behind_us)
        if thinking:
            raise thinking
        return pos

    def _bury(self, store: Store, report: Advanced, term: int, item: FeedRow, expected: int, *, error: Exception) -> int:
        """Pass an item that the platform itself fails at: its event is dead, by nobody's fault but ours."""
        self._open = None
        out, tally = Operations(), Tally()
        asked = self._asked(store, item)
        known = store.snapshot(Keys(exceptions=[(self.name, item.seq)])).exceptions.get((self.name, item.seq))
        pos = item.pos or expected
        dead = ExceptionRow(self.name, item.seq, "dead", known.pos if known else pos, "", failure_text(error), attempts=1)
        if item.why == AGAIN and known is not None:
            tally.move("waiting", "dead")
            out.exceptions.append(dead)
        elif asked is not None:  # its answer has passed, and no other will come
            tally.count("applied")
            tally.move("waiting", "dead")
            out.exceptions.append(asked._replace(state="dead", reason=failure_text(error), attempts=1, due=None))
        elif item.why in ("answer", "retry") or (known is not None and known.pos <= expected):
            tally.count("applied")
        else:
            tally.count("dead")
            out.exceptions.append(dead)
        out.advance = tally.advance(self.name, expected, pos, term)
        report.add(out, store.commit(out), passed=int(item.pos > 0))
        report.buried.append(item.seq if asked is None else asked.seq)
        return pos

    def _asked(self, store: Store, item: FeedRow) -> ExceptionRow | None:
        """The event of ours that waits for this answer."""
        record = store.snapshot(Keys(records=[item.seq])).records.get(item.seq) if item.why == "answer" else None
        if record is None or item.type != self.name:
            return None
        key = (self.name, int(orjson.loads(record.body)["seq"]))
        row = store.snapshot(Keys(exceptions=[key])).exceptions.get(key)
        return row if row is not None and row.state == "waiting" else None


def _again(rows: Iterable[ExceptionRow]) -> list[FeedRow]:
    """Open events as items: they stand at no position, theirs was passed."""
    return [FeedRow(0, row.seq, "", AGAIN) for row in rows]
