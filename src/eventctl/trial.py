"""A trial: what a cartridge would have done with what stands in the log, found out by the pipelines that would have done it.

The system pipeline and the pipelines that run the cartridge fold the log again, in a scratch store. The clock follows the moments at
which records came in, and timers come due between them, as they do for a runner that keeps up. Nothing leaves: there is no
outbox, and a call gets the answer that was recorded for it or stays open and is named.

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
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from typing import NamedTuple

import orjson

from eventctl import moves
from eventctl.account import Account, Made, Name, shown
from eventctl.breadcrumb import NoCrumb
from eventctl.catalog import Catalog
from eventctl.context import CALLS_MAX, NOTICE, WITHDRAWN
from eventctl.dag.run import Invocations
from eventctl.dag_pipeline import DagPipeline
from eventctl.errors import Conflict, NotFound
from eventctl.event import Level
from eventctl.ids import outbox_id
from eventctl.modules import Modules
from eventctl.moves import DECIDES
from eventctl.past import Past
from eventctl.plan import Plan
from eventctl.runner import timer_record
from eventctl.scratch import Scratch
from eventctl.store import LOG_PIPELINE, Keys, LogRow, Notification, Operations, OutboxRow, Record, Store
from eventctl.system import correlation
from eventctl.system_pipeline import SystemPipeline

LIMIT = 500
"""Records of a piece, and of a batch: what a runner takes at a time."""

CALLS_AGAIN = 3
"""Rounds of a call whose answers are looked for: the first, and retries by people."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The cartridge on trial. `names` are its instances (`domain:marketing/ad-spend`), `slots` where it annotates."""

    names: frozenset[str] = frozenset()
    slots: frozenset[str] = frozenset()


class Span(NamedTuple):
    """Which part of the log: `first` to `last` is folded, and what comes of records at `since` (microseconds) or later told."""

    first: int
    last: int
    since: int = 0


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
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._span = span
        self._subject = subject
        self._system = system
        self._catalog = catalog
        self._modules = modules or Modules()
        self._ran: dict[str, dict[str, Invocations]] = {plan.pipeline: {} for plan in plans}
        self._names = list(self._ran)
        self._pipelines = self._made_of(plans)
        self._told = told
        self._scratch = Scratch(source, span.first)
        self._scratch.watch = self._watch
        self._past = Past(source, subject.names, self._names, span.first, span.last)
        self._rows: deque[LogRow] = deque()
        self._due: list[tuple[int, str, str]] = []
        self._calls: dict[str, tuple[str, int]] = {}
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
            DagPipeline(plan, self._catalog, modules=self._modules, crumb=NoCrumb(), invocations=self._ran[plan.pipeline])
            for plan in plans
        ]

    def _read(self, rows: Iterator[LogRow]) -> None:
        while len(self._rows) < LIMIT and (row := next(rows, None)) is not None:
            self._rows.append(row)
        while self._rows and self._scratch.place(self._rows[0].seq):
            self._rows.popleft()

    def _take(self, due: int | None) -> list[LogRow]:
        """The next events that can be worked off together."""
        piece: list[LogRow] = []
        rows = self._rows
        while rows and len(piece) < self._size:
            if rows[0].kind != "event" or (due is not None and rows[0].at >= due and piece):
                break
            row = rows.popleft()
            if not self._scratch.place(row.seq):
                piece.append(row)
        return piece

    def _piece(self, piece: list[LogRow]) -> None:
        """Work off events together, or as many as can be."""
        scratch = self._scratch
        mark, now, asked = scratch.mark(), self._now, scratch.asked_history
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
            self._now = now
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
        known = self._translated(row)
        self._batch = (after + 1, after + (known is not None))
        self._cut, self._cutting = self._batch[1], False
        if known is not None:
            self._scratch.bring([known])
        self._advance()
        self._settle(1)

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
            operations.records = [row for record in operations.records if (row := self._found(record)) is not None]
        else:
            self._watch_cartridges(operations)
        for timer in operations.timers:
            if self._fires(timer.owner):
                self._timers.append((timer.due, timer.owner, timer.key))
                self._before(timer.due)

    def _watch_cartridges(self, operations: Operations) -> None:
        operations.records = [made for record in operations.records if (made := self._made(record)) is not None]
        for seq, slot, value in operations.annotations:
            if (slot in self._subject.slots or slot.startswith("shadow:")) and self._moment(seq) >= self._span.since:
                name = self._name(seq)
                self._notes.append(lambda account, name=name, slot=slot, value=value: account.annotated(name, slot, value))  # type: ignore[misc]  # mypy: defaults of a lambda
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
        for owed in operations.outbox:
            self._owe(owed)

    def _found(self, record: Record) -> Record | None:
        """What correlation found: only what it found then. Here it may not know what it had counted before the trial began."""
        return record if record.principal != correlation.PRINCIPAL else self._early(record)

    def _early(self, record: Record) -> Record | None:
        """A record that is made again and stands in the log comes in now, as it stands there; None when there is none, or it is in."""
        stored = self._source.snapshot(Keys(identities=[(record.source, record.id)])).identities.get((record.source, record.id))
        if stored is None or self._scratch.place(stored.seq) or stored.seq > self._span.last:
            return None
        self._behind(record.caused_by or 0)
        self._scratch.expected[record.source, record.id] = stored.seq
        return self._dated(Record(*stored[1:])._replace(caused_by=record.caused_by), record.at)

    def _made(self, record: Record) -> Record | None:
        """A record that a cartridge wants written: as it will be, or None for one that is in already."""
        parent = record.caused_by or 0
        mine = record.principal in self._makers or record.entity in self._subject.names
        if not mine and self._source.snapshot(Keys(identities=[(record.source, record.id)])).identities:
            return self._early(record)
        record = self._dated(record, record.at)
        if self._heard(record.type) or not mine or self._scratch.asked_history:
            self._behind(parent)
        if record.principal in self._makers and record.at >= self._span.since:
            level = orjson.loads(record.body).get("level")
            told = Made(record.type, record.body, record.at, self._name(parent), -1 if level is None else int(Level.parse(level)))
            self._notes.append(lambda account: account.made(record.id, told))
        return record

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

    def _fires(self, owner: str) -> bool:
        """Whether this timer comes due in the trial: all but those of other cartridges, which stand in the log."""
        return owner in self._subject.names or owner.partition("/")[0] not in self._names

    # --- calls -----------------------------------------------------------------------------------------------------------------

    def _owe(self, row: OutboxRow) -> None:
        """A call: its recorded answer will come in under the number it has here, or it is told that there is none."""
        number = self._scratch.origin(row.seq)
        stored = self._stored_call(row, number) if number else None
        known = self._source.snapshot(Keys(identities=[("outbox", stored)])).identities if stored else {}
        answer = next(iter(known.values()), None)
        if stored is not None and answer is not None and answer.seq <= self._span.last:
            self._calls[stored] = (row.id, row.seq)
            if answer.seq <= self._rows_read():
                self._behind(row.seq)
                self._answered.append(answer.seq)
        else:
            name, what = self._name(row.seq), row.name
            if self._moment(row.seq) >= self._span.since:
                self._notes.append(lambda account: account.calls.update({row.id: (name, what)}))

    def _stored_call(self, row: OutboxRow, number: int) -> str | None:
        """The id that this call had when it was made for the record's number in the log."""
        body = orjson.loads(row.body)
        fingerprint = sha256(orjson.dumps(body["args"])).hexdigest()[:16]
        for again, at in product(range(CALLS_AGAIN), range(CALLS_MAX)):
            target = f"{at}:{fingerprint}:{again}"
            if outbox_id(row.seq, row.pipeline, body["cartridge"], row.name, target) == row.id:
                return outbox_id(number, row.pipeline, body["cartridge"], row.name, target)
        return None

    def _rows_read(self) -> int:
        """The number of the last record of the log that has come in."""
        return self._rows[0].seq - 1 if self._rows else self._past.read

    # --- records that are no events --------------------------------------------------------------------------------------------

    def _translated(self, row: LogRow) -> LogRow | None:
        """A timer, answer or move as it is here; None for one that has nothing to be about."""
        if row.kind == "timer":
            return row
        body = orjson.loads(row.body)
        if row.kind == "answer":
            known = self._calls.pop(body["call"], None)
            if known is None:
                return None
            body |= {"call": known[0], "seq": known[1]}
            return row._replace(id=known[0], body=orjson.dumps(body))
        if row.type in DECIDES:
            place = self._scratch.place(int(body["seq"]))
            return row._replace(body=orjson.dumps({**body, "seq": place})) if place else None
        self._move(row, body)
        return None

    def _move(self, row: LogRow, body: dict[str, object]) -> None:
        """A move of the inbox takes effect at once, as it did."""
        number = self._number(int(str(body.get("notification", 0))))
        if number is None:
            self.account.moves_lost += 1
            return
        cursor = self._scratch.cursor(LOG_PIPELINE)
        said = {**body, "notification": number, "saw": cursor.pos if cursor else 0}
        try:
            out = moves.apply(said, moves.read(self._scratch, said), -1, row.at)
            out.records.append(Record("move", row.source, row.id, row.type, orjson.dumps(said), row.principal, row.at))
            self._scratch.commit(out)
        except (Conflict, NotFound):
            self.account.moves_lost += 1
            return
        for timer in out.timers:
            self._timers.append((timer.due, timer.owner, timer.key))

    def _number(self, stored: int) -> int | None:
        """The notification here that is number `stored` in the workspace."""
        was = self._source.snapshot(Keys(notifications=[stored])).notifications.get(stored)
        if was is None:
            return None
        opener = self._source.snapshot(Keys(records=[was.opened_seq])).records.get(was.opened_seq)
        rows = self._scratch.tables.notifications.rows
        here = [rows[number] for number in self._scratch.tables.lives.rows.get((was.life, was.life_key), ())]
        for row in here:
            made = self._scratch.made(row.opened_seq)
            if self._scratch.origin(row.opened_seq) == was.opened_seq or (made and opener and made.id == opener.id):
                return row.id
        return None

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
