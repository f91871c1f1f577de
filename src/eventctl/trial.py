"""A trial: what a cartridge would have done with what stands in the log, found out by the pipelines that would have done it.

The system pipeline and the pipelines that run the cartridge fold the log again, in a scratch store. The clock follows the moments at
which records came in, and timers come due between them, as they do for a runner that keeps up. Nothing leaves: there is no
outbox, and a call gets the answer that was recorded for it or stays open and is named. What autonomy would have decided about is told too.

A runner that keeps up works off each record before the next one comes. That takes long, so records are worked off in pieces, and
a piece in which something happened that must come before a later record of it is taken back and cut there:

    an event was made that others may take notice of     cut behind what it was made of
    a timer would come due within the piece              cut before that
    a cartridge is to be tried again                     cut behind the event that it failed at

What the cartridge only tells people cannot change what becomes of other records, and cuts nothing.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import orjson

from eventctl import asked
from eventctl.account import Account, Made, Name, Span, Subject, shown
from eventctl.breadcrumb import NoCrumb
from eventctl.catalog import Catalog
from eventctl.context import NOTICE, WITHDRAWN
from eventctl.counterparts import Counterparts
from eventctl.dag.apart import ALL_DAY_S
from eventctl.dag.gate import Gate
from eventctl.dag.run import Invocations, copied
from eventctl.dag_pipeline import DagPipeline
from eventctl.event import Level
from eventctl.modules import Modules
from eventctl.notification import Notification
from eventctl.past import Past
from eventctl.plan import Plan
from eventctl.runner import timer_record
from eventctl.scratch import Scratch
from eventctl.store import LOG_PIPELINE, SHADOW, SHAPED, Keys, LogRow, Operations, OutboxRow, Record, Store
from eventctl.system import correlation
from eventctl.system_pipeline import SystemPipeline

LIMIT = 500
"""Records of a piece, and of a batch: what a runner takes at a time."""


class Trial:
    """One trial over one store's log. `told(count)` hears how many records have been read."""

    def __init__(
        self,
        source: Store,
        span: Span,
        subject: Subject,
        system: SystemPipeline,
        plans: Sequence[Plan],
        catalog: Catalog,
        *,
        modules: Modules | None = None,
        gate: Gate | None = None,
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._span = span
        self._subject = subject
        self._system = system
        self._catalog = catalog
        self._modules = modules or Modules()
        self._gate = gate
        self._ran: dict[str, dict[str, Invocations]] = {plan.pipeline: {} for plan in plans}
        self._names = list(self._ran)
        self._pipelines = self._made_of(plans)
        self._told = told
        self._scratch = Scratch(source, span.first)
        self._scratch.watch = self._watch
        own = {cartridge.rights.name for plan in plans for cartridge in plan} | subject.names
        system.recall(source, self._scratch.origin)  # tables say something else today
        self._past = Past(source, own, self._names, span.first, span.last)
        self._rows: deque[LogRow] = deque()
        self._due: list[tuple[int, str, str]] = []
        self._counterparts = Counterparts(source, self._scratch)
        self._answered: deque[int] = deque()
        self._loud: dict[str, bool] = {}
        self._makers = {f"cartridge:{name}" for name in subject.names}
        self._notes: list[Callable[[Account], None]] = []
        self._timers: list[tuple[int, str, str]] = []
        self._batch = (0, 0)
        self._cut = 0
        self._cutting = False
        self._edge = 0
        self._now = 0
        self._size = LIMIT
        self.account = Account()

    def run(self) -> Account:
        """Fold the span, then let come due what does up to its last moment."""
        scratch, rows = self._scratch, iter(self._past)
        for name in (LOG_PIPELINE, *self._names):
            scratch.open_cursor(name, at=0)
        while True:
            self._read(rows)
            due = self._next_due()
            first = self._rows[0] if self._rows else None
            if due is not None and due <= (max(first.at, self._now) if first else self._now):
                self._wake(due)
            elif first is None or self.account.held:
                break
            elif first.kind != "event":
                self._alone(self._rows.popleft())
            else:
                self._piece(self._take(due))
            self._told(self._past.read - self._span.first + 1 - len(self._rows))
            while self._answered:
                self._alone(self._source.read_log(self._answered.popleft() - 1, 1)[0])
        self._finish()
        return self.account

    def _made_of(self, plans: Sequence[Plan]) -> list[DagPipeline]:
        """The pipelines anew: they remember what is open, and when a piece is taken back, that is another."""
        return [
            DagPipeline(
                plan,
                self._catalog,
                modules=self._modules,
                crumb=NoCrumb(),
                invocations=self._ran[plan.pipeline],
                patience_s=ALL_DAY_S,
                gate=self._gate,
            )
            for plan in plans
        ]

    def _read(self, rows: Iterator[LogRow]) -> None:
        while len(self._rows) < LIMIT and (row := next(rows, None)) is not None:
            self._rows.append(row)
        while self._rows and self._out(self._rows[0]):
            self._past.left.add(self._rows.popleft().seq)

    def _out(self, row: LogRow) -> bool:
        """Whether an event is in already, or follows from one that stays out."""
        if self._scratch.place(row.seq):
            return True
        return row.caused_by in self._past.left and not self._scratch.place(row.caused_by) and row.kind == "event"

    def _take(self, due: int | None) -> list[LogRow]:
        """The next events that can be worked off together."""
        piece: list[LogRow] = []
        rows = self._rows
        while rows and len(piece) < self._size:
            if rows[0].kind != "event" or (due is not None and rows[0].at >= due and piece):
                break
            if piece and self._out(rows[0]):
                break  # what this piece makes may bring it in
            piece.append(rows.popleft())
        return piece

    def _piece(self, piece: list[LogRow]) -> None:
        """Work off events together, or as many as can be."""
        scratch = self._scratch
        mark, now, asked, ran = scratch.mark(), self._now, scratch.asked_history, copied(self._ran)
        plans = [pipeline.plan for pipeline in self._pipelines]
        while True:
            self._begin(piece, mark.seq)
            self._advance()
            kept = self._cut - mark.seq
            remembers = scratch.asked_history and not asked and len(piece) > 1
            if kept >= len(piece) and not remembers:
                break
            asked = scratch.asked_history
            scratch.rewind(mark)
            self._forget()
            self._now, self._ran = now, copied(ran)
            self._pipelines = self._made_of(plans)
            if kept < len(piece):
                kept = max(1, kept)
                self._rows.extendleft(reversed(piece[kept:]))
                piece, self._size = piece[:kept], kept
        self._settle(len(piece))
        self._size = min(LIMIT, 2 * self._size)

    def _begin(self, piece: list[LogRow], after: int) -> None:
        scratch = self._scratch
        scratch.bring(piece)
        self._batch = (after + 1, after + len(piece))
        self._cut, self._cutting = after + len(piece), len(piece) > 1
        self._now = self._edge = max(self._now, *(row.at for row in piece))

    def _advance(self) -> None:
        """Everything moves until nothing does, or until it is known that the piece has to be cut."""
        moved, last = True, self._batch[1]
        while moved and self._cut >= last:
            moved = self._system.advance(self._scratch, LIMIT, self._now).moved
            for pipeline in self._pipelines:
                if self._cut < last:
                    return
                report = pipeline.advance(self._scratch, LIMIT, self._now)
                moved |= report.moved
                self.account.held = self.account.held or report.held

    def _alone(self, row: LogRow) -> None:
        """A record that is no event changes what the next one meets."""
        self._now = self._edge = max(self._now, row.at)
        after = self._scratch.tail("log")
        known, timers = self._counterpart(row)
        self._timers += timers
        self._batch = (after + 1, after + (known is not None))
        self._cut, self._cutting = self._batch[1], False
        if known is not None:
            self._scratch.bring([known])
        self._advance()
        self._settle(1)

    def _counterpart(self, row: LogRow) -> tuple[LogRow | None, list[tuple[int, str, str]]]:
        """A record that is no event, as it is here, and the timers that it has set."""
        if row.kind == "answer":
            return self._counterparts.answer(row), []
        if not row.type.startswith("inbox."):
            return self._counterparts.decision(row), []
        timers = self._counterparts.move(row)
        self.account.moves_lost += timers is None
        return None, [(timer.due, timer.owner, timer.key) for timer in timers or ()]

    def _wake(self, due: int) -> None:
        """Timers come due, in one commit, as a runner does it; a retry comes due by itself."""
        self._now = self._edge = max(self._now, due)
        held = self._scratch.tables.timers.rows
        ready: dict[tuple[str, str], None] = {}
        while self._due and self._due[0][0] <= self._now:
            at, owner, key = heapq.heappop(self._due)
            row = held.get((owner, key))
            if row is not None and row.due == at:
                ready[owner, key] = None
        timers = [held[at] for at in ready]
        after = self._scratch.tail("log")
        self._batch = (after + 1, after + len(timers))
        self._cut, self._cutting = self._batch[1], False
        if timers:
            cleared = [(timer.owner, timer.key, timer.due) for timer in timers]
            records = [timer_record(timer, self._now) for timer in timers]
            self._scratch.commit(Operations(records=records, timers_cleared=list(cleared)))
        self._advance()
        self._settle(0)

    def _next_due(self) -> int | None:
        """When something comes due by itself; what was replaced or cleared meanwhile is passed over."""
        held = self._scratch.tables.timers.rows
        while self._due:
            at, owner, key = self._due[0]
            row = held.get((owner, key))
            if not owner or (row is not None and row.due == at):
                return at
            heapq.heappop(self._due)
        return None

    def _settle(self, records: int) -> None:
        """What was worked off stays."""
        for note in self._notes:
            note(self.account)
        for timer in self._timers:
            heapq.heappush(self._due, timer)
        self._touch()
        self._forget()
        self.account.records += records
        self._scratch.settle(self._now)

    def _forget(self) -> None:
        self._notes, self._timers = [], []

    def _touch(self) -> None:
        tables = self._scratch.tables
        for number, seq in tables.touched.rows:
            row = tables.notifications.rows.get(number)
            if row is not None and self._moment(seq) >= self._span.since:
                self.account.touched.setdefault(self._name(seq), []).append(self._identity(row))

    # --- what pipelines want written -------------------------------------------------------------------------------------------

    def _watch(self, operations: Operations) -> None:
        if operations.advance is None:
            return
        if operations.advance.pipeline == LOG_PIPELINE:
            self._watch_system(operations)
            self._watch_shaping(operations)
        else:
            self._watch_cartridges(operations)
        for timer in operations.timers:
            self._timers.append((timer.due, timer.owner, timer.key))
            self._before(timer.due)

    def _watch_cartridges(self, operations: Operations) -> None:
        owing = asked.owing(operations, self._now)
        if operations.records:
            self._scratch.expected |= self._then(operations.records)
            operations.records = [self._made(record) for record in operations.records]
        for seq, slot, value in operations.annotations:
            if slot in self._subject.slots and self._moment(seq) >= self._span.since:
                self._annotated(seq, slot, value)
        for row in operations.exceptions:
            name = self._name(row.seq)
            if row.state == "retry":
                self._behind(row.seq)
                self._timers.append((row.due or self._now, "", ""))
            if row.state != "behind" and self._moment(row.seq) >= self._span.since:
                self._notes.append(lambda account, name=name, row=row: account.failed(name, row))  # type: ignore[misc]
        for _, seq in operations.cleared:
            name = self._name(seq)
            self._notes.append(lambda account, name=name: account.failures.pop(name, None))  # type: ignore[misc]
        for owed in owing:
            self._owe(owed)
        for asks in operations.decisions:
            if self._moment(asks.seq) >= self._span.since:
                said = (self._name(asks.seq), asked.words(asks))
                self._notes.append(lambda account, asks=asks, said=said: account.asked.update({asks.call: said}))  # type: ignore[misc]

    def _owe(self, row: OutboxRow) -> None:
        """A call: its recorded answer will come in under the number it has here, or it is told that there is none."""
        answer = self._counterparts.call(row)
        if answer is None or answer > self._span.last:
            name, what = self._name(row.seq), row.name
            if self._moment(row.seq) >= self._span.since:
                self._notes.append(lambda account: account.calls.update({row.id: (name, what)}))
        elif answer < (self._rows[0].seq if self._rows else self._past.read + 1):
            self._behind(row.seq)
            self._answered.append(answer)

    def _watch_shaping(self, operations: Operations) -> None:
        """What the rule on trial has said beside events, if it is one that shapes."""
        label = self._subject.label
        for seq, slot, value in operations.annotations if label else ():
            own = value if slot == f"{SHADOW}{label}" else b"[]"
            if slot == SHAPED:
                own = orjson.dumps([said for said in orjson.loads(value) if said.get("rule") == label])
            if own != b"[]" and self._moment(seq) >= self._span.since:
                self._annotated(seq, slot, own)

    def _annotated(self, seq: int, slot: str, value: bytes) -> None:
        name = self._name(seq)
        self._notes.append(lambda account: account.annotated(name, slot, value))

    def _watch_system(self, operations: Operations) -> None:
        """What correlation found counts if it found it then: here it does not know what it had counted before the beginning."""
        then = self._then(operations.records) if operations.records else {}
        kept = []
        for record in operations.records:
            number = then.get((record.source, record.id))
            if record.principal != correlation.PRINCIPAL or (number and not self._scratch.place(number)):
                self._behind(record.caused_by or 0)
                kept.append(self._dated(record, record.at))
        operations.records = kept
        self._scratch.expected |= then

    def _made(self, record: Record) -> Record:
        """A record that a cartridge wants written, as it will be."""
        parent = record.caused_by or 0
        record = self._dated(record, record.at)
        if self._heard(record.type) or self._scratch.asked_history:
            self._behind(parent)
        if record.principal in self._makers and record.at >= self._span.since:
            level = orjson.loads(record.body).get("level")
            told = Made(
                record.type, record.body, record.at, self._name(parent), -1 if level is None else int(Level.parse(level))
            )
            self._notes.append(lambda account: account.made(record.id, told))
        return record

    def _then(self, records: Sequence[Record]) -> dict[tuple[str, str], int]:
        """The numbers in the source of those that were made then too: what they led to stays."""
        found = self._source.snapshot(Keys(identities=[(record.source, record.id) for record in records])).identities
        return {key: row.seq for key, row in found.items() if row.seq <= self._span.last}

    def _dated(self, record: Record, moment: int) -> Record:
        """A record of a piece is made when the one that it is made of comes in, not when the piece is through."""
        parent = record.caused_by or 0
        return record._replace(at=self._moment(parent) if self._batch[0] <= parent <= self._batch[1] else moment)

    def _heard(self, kind: str) -> bool:
        """Whether an event of this type may change what becomes of another record."""
        known = self._loud.get(kind)
        if known is None:
            entry = self._catalog.entry(kind)
            consumed = any(pipeline.plan.route(kind).levels for pipeline in self._pipelines)
            private = kind in (NOTICE, WITHDRAWN) or not (entry.lives or entry.identity)
            known = self._loud[kind] = consumed or entry.failure or not private
        return known

    def _behind(self, seq: int) -> None:
        """The piece ends behind this record, or behind the one of the piece that led to it."""
        while seq > self._batch[1] and (row := self._scratch.made(seq)) is not None:
            seq = row.caused_by or 0
        if self._cutting and self._batch[0] <= seq:
            self._cut = min(self._cut, seq)

    def _before(self, due: int) -> None:
        """The piece ends before this moment."""
        if not self._cutting or due > self._edge:
            return
        rows = self._scratch.tables.log.rows
        for seq in range(self._batch[0] + 1, self._batch[1] + 1):
            if rows[seq].at >= due:
                self._cut = min(self._cut, seq - 1)
                return

    # --- names -----------------------------------------------------------------------------------------------------------------

    def _name(self, seq: int) -> Name:
        number = self._scratch.origin(seq)
        if number:
            return f"e{number}"
        made = self._scratch.made(seq)
        return made.id if made else f"?{seq}"

    def _moment(self, seq: int) -> int:
        """When a record came in."""
        row = self._scratch.tables.log.rows.get(seq) or self._scratch.made(seq)
        if row is None:
            row = self._scratch.snapshot(Keys(records=[seq])).records.get(seq)
        return row.at if row else self._now

    def _identity(self, row: Notification) -> tuple[str, str, Name]:
        return row.life, row.life_key, self._name(row.opened_seq)

    def _finish(self) -> None:
        account, tables = self.account, self._scratch.tables
        of: dict[tuple[str, str, Name], int] = {}
        for touched in account.touched.values():
            for identity in touched:
                of[identity] = of.get(identity, 0) + 1
        for row in tables.notifications.rows.values():
            identity = self._identity(row)
            if row.updated_at >= self._span.since:
                account.notices[identity] = shown(row, self._name(row.opened_seq), of.get(identity, 0))
        for pipeline in self._pipelines:
            for name, ran in pipeline.invocations.items():
                if f"{pipeline.name}/{name}" in self._subject.names:
                    account.runs += ran.calls
                    account.errors += ran.errors
                    account.total_ns += ran.total_ns
                    account.max_ns = max(account.max_ns, ran.max_ns)
