"""The system pipeline: the one that reads the log. It judges, deduplicates, correlates and files every event, and feeds the rest.

A batch is read, decoded once, asked about in one snapshot, planned without any effect, and committed with the cursor. Planning is
a pure function of the records and the snapshot, and gives the same result however the log is cut into batches.

    event      the stages, then a position in the feed
    move       of the inbox: applied when it was made, so it only passes; of the quarantine, the dead or a silence: takes effect here
    timer      of the inbox: the projection; of another pipeline: a position in the feed for it
    answer     a position in the feed for the pipeline that asked

Shaping (rules and silences) stands before the projection and takes each event right before it, so that a silence is in force from
its own position on. A control move and a sweep over many notifications each stand alone in their batch: both ask the store something
that only the state right before them can answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import orjson

from eventctl.advance import Advanced, Tally, at_once_or, failure_text, in_halves, standing, undisturbed
from eventctl.catalog import Catalog
from eventctl.moves import DECIDES, INBOX
from eventctl.silences import ENDED, SET
from eventctl.store import LOG_PIPELINE, ExceptionRow, Keys, LogRow, Operations, Snapshot, Store, Stream
from eventctl.system import Item, Prepares, Run, Stage, Verdict, ageing, hushing
from eventctl.system.classification import Classification
from eventctl.system.correlation import Correlation
from eventctl.system.dedup import Dedup
from eventctl.system.due import Due
from eventctl.system.enrichers import Enrichers, Recalled
from eventctl.system.enrichment import Enrichment
from eventctl.system.projection import Projection, ProjectionRun
from eventctl.system.rulings import Rulings
from eventctl.system.shaping import OWNER as SHAPING
from eventctl.system.shaping import Shaping, ShapingRun, Woken
from eventctl.system.trust import Trust

ALONE = tuple(
    f"{INBOX}:{key}:"
    for key in (ageing.KEY, hushing.QUIET, "snooze", *(f"silence:{what}" for what in (*hushing.SWEEPS, "end")))
)
"""Timers that look at many rows at once, or end what events before and after them in a batch may begin."""

RAW_MAX = 16_384
"""Bytes of a rejected event that are kept to look at."""

READ_AT_ONCE = 64
"""Events that are read and decoded before the stages look at them and let most of them go: 64 stay in a processor's cache."""

Position = tuple[int, str, str]
Work = Item | Due | Woken | LogRow | Position | None
HAPPENING = (Due, Woken, LogRow)


class Control(NamedTuple):
    """The exception that a control move is about, and, when it discards, the reason that is to stand there."""

    subject: ExceptionRow
    discarded: str = ""


class Batch:
    """Records that are planned together, decoded once.

    `keys` is what the store is asked, `work` what there is to do in order: an event, a timer of the inbox or of a window, a move of a
    silence, a position of the feed, or None for a record that only passes. `control` is what a control move takes back.
    `stage` is the one at work: after a failure, the one that failed.
    """

    __slots__ = ("at", "control", "items", "keys", "pos", "stage", "work")

    def __init__(self, pos: int = 0, at: int = 0) -> None:
        self.pos = pos
        self.at = at
        self.keys = Keys()
        self.work: list[Work] = []
        self.items: list[Item] = []
        self.control: Control | None = None
        self.stage = "decode"


class SystemPipeline:
    """Folds the log. Keeps nothing between batches but judgements that it would come to again."""

    name = LOG_PIPELINE
    stream: Stream = "log"

    def __init__(
        self,
        catalog: Catalog,
        trust: Trust | None = None,
        correlation: Correlation | None = None,
        *,
        rules: Rulings | None = None,
        enrichers: Enrichers | None = None,
    ) -> None:
        self._catalog = catalog
        self._shaping = Shaping(rules)
        self._projection = Projection(catalog)
        self._stages: tuple[Stage, ...] = (
            trust or Trust(), Dedup(), Enrichment(), *([enrichers] if enrichers is not None else ()),
            correlation or Correlation(), Classification(),
        )  # fmt: skip
        self._preparing = self._prepares()
        self._batch = Batch()

    @property
    def rules(self) -> Rulings:
        """The shaping rules."""
        return self._shaping.rules

    def recall(self, source: Store, origin: Callable[[int], int] = int) -> None:
        """Ask no table and no plugin from now on, but annotate what `source` has annotated: for whoever folds its log again.

        `origin` gives an event's number there.
        """
        kept = [stage for stage in self._stages if not isinstance(stage, Enrichers | Recalled)]
        self._stages = (*kept[:3], Recalled(source, origin), *kept[3:])
        self._preparing = self._prepares()

    def _prepares(self) -> list[tuple[str, Callable[[Sequence[Item], Keys], None]]]:
        found: list[Prepares] = [stage for stage in (*self._stages, self._projection) if isinstance(stage, Prepares)]
        if len(self._shaping.rules):
            found.append(self._shaping)
        return [(stage.name, stage.prepare) for stage in found]

    def advance(self, store: Store, limit: int, now: int, *, term: int | None = None, until: int | None = None) -> Advanced:
        """Move on by at most `limit` records, and not past `until`; see `eventctl.advance.Pipeline`."""
        cursor = standing(store, self.name, term)
        report = Advanced(self.name, cursor.pos)
        end = cursor.pos + limit if until is None else min(cursor.pos + limit, until)
        with undisturbed():
            whole = partial(self._whole, store, report, cursor.term, end)
            carefully = partial(self._carefully, store, report, cursor.term, end)
            at = at_once_or(whole, carefully, cursor.pos)
        if at:
            report.behind_us = max(0, now - at)
        return report

    def _whole(self, store: Store, report: Advanced, term: int, end: int, expected: int) -> int:
        """Read, plan and commit a batch that ends at `end` at the latest. Returns when its last record came in, 0 for none."""
        batch = self._batch = Batch(expected)
        for rows in _pieces(store, expected, end):
            self._decode(batch, rows, store)
        if batch.pos > expected:
            self._ask(batch)
            self._commit(batch, store, report, term, expected)
        return batch.at

    def _carefully(self, store: Store, report: Advanced, term: int, end: int, expected: int) -> int:
        """The same batch, cut in halves wherever it raises: its records are held, so that each can be planned again."""
        rows = [row for piece in _pieces(store, expected, end) for row in piece]
        attempt = partial(self._attempt, store, report, term)
        in_halves(rows, expected, attempt, partial(self._bury, store, report, term))
        return rows[-1].at

    def _attempt(self, store: Store, report: Advanced, term: int, rows: Sequence[LogRow], expected: int) -> int:
        self._commit(self.prepare(rows, store), store, report, term, expected)
        return rows[-1].seq

    def _commit(self, batch: Batch, store: Store, report: Advanced, term: int, expected: int) -> None:
        operations = self.plan(batch, self.read(batch, store), expected, term)
        batch.stage = "commit"
        report.add(operations, store.commit(operations), passed=len(batch.work))
        self._batch = Batch()

    def prepare(self, rows: Sequence[LogRow], store: Store) -> Batch:
        """Decode the records and gather what planning must know. The store is asked about the subject of a control move only."""
        batch = self._batch = Batch()
        for start in range(0, len(rows), READ_AT_ONCE):
            self._decode(batch, rows[start : start + READ_AT_ONCE], store)
        self._ask(batch)
        return batch

    def _ask(self, batch: Batch) -> None:
        """Ask for what every batch must know, and for each thing once."""
        keys = batch.keys
        self._shaping.ask(keys)
        keys.states[:] = dict.fromkeys(keys.states)
        keys.lives[:] = dict.fromkeys(keys.lives)

    def read(self, batch: Batch, store: Store) -> Snapshot:
        """What a batch must know: what it asks for, then the groups and the newest events of the notifications that it found."""
        snapshot = store.snapshot(batch.keys)
        groups = hushing.groups(snapshot)
        if groups:
            snapshot.notifications.update(store.snapshot(Keys(notifications=groups)).notifications)
        newest = hushing.newest(snapshot)
        if newest:
            told = store.snapshot(Keys(records=newest, annotations=newest))
            snapshot.records.update(told.records)
            snapshot.annotations.update(told.annotations)
        return snapshot

    def _decode(self, batch: Batch, rows: Sequence[LogRow], store: Store) -> None:
        entry, batch.stage = self._catalog.entry, "decode"
        work = [Item(row, entry(row.type)) if row.kind == "event" else self._decode_other(batch, row, store) for row in rows]
        items = [each for each in work if type(each) is Item]
        for batch.stage, prepare in self._preparing:
            prepare(items, batch.keys)
        for item in items:
            item.let_go()
        batch.work += work
        batch.items += items
        batch.pos, batch.at = rows[-1].seq, rows[-1].at

    def _decode_other(self, batch: Batch, row: LogRow, store: Store) -> Work:
        if row.kind == "move":
            return self._prepare_move(batch, row, store)
        if row.kind == "timer":
            return self._prepare_timer(batch, row)
        return row.seq, str(orjson.loads(row.body)["pipeline"]), "answer"

    def _prepare_move(self, batch: Batch, row: LogRow, store: Store) -> Item | LogRow | Position | None:
        if row.type in (SET, ENDED):
            self._shaping.prepare_move(batch.keys)
            return row
        if row.type not in DECIDES:
            return None
        body = orjson.loads(row.body)
        if body["pipeline"] != self.name:
            return row.seq, str(body["pipeline"]), "retry"
        seq = int(body["seq"])
        found = store.snapshot(Keys(exceptions=[(self.name, seq)], records=[seq]))
        subject, record = found.exceptions.get((self.name, seq)), found.records.get(seq)
        if subject is None or record is None or subject.state != DECIDES[row.type]:
            return None  # somebody was first
        if row.type.endswith(".discard"):
            batch.control = Control(subject, f"discarded by {row.principal}: {subject.reason}")
            return None
        if record.kind != "event":
            return None
        batch.control = Control(subject)
        item = Item(record, self._catalog.entry(record.type))
        item.why, item.moment, item.trusted = "release", row.at, row.type == "quarantine.release"
        return item

    def _prepare_timer(self, batch: Batch, row: LogRow) -> Due | Woken | Position:
        body = orjson.loads(row.body)
        owner: str = body["owner"]
        if owner == SHAPING:
            woken = Woken(row, body)
            self._shaping.prepare_woken(woken, batch.keys)
            return woken
        if owner != INBOX:
            return row.seq, owner.partition("/")[0], "timer"
        due = Due(row.seq, row.at, body["key"], body["due"])
        self._projection.prepare_due(due, batch.keys)
        if due.what == "silence":
            self._shaping.prepare_move(batch.keys)
        return due

    def plan(self, batch: Batch, snapshot: Snapshot, expected: int, term: int) -> Operations:
        """Everything that these records come to. Pure: writes nothing but what it returns."""
        out, tally = Operations(), Tally()
        projection = self._projection.begin(snapshot, out)
        runs = [stage.begin(snapshot, out) for stage in self._stages]
        lively = [item for item in batch.items if not item.plain]
        over: set[int] = set()
        for run in runs:
            batch.stage = run.name
            self._judge(run, batch.items if run.every else lively, over, out, tally)
        shaping = self._shaping.begin(snapshot, out)
        awake = shaping.awake or any(type(work) is LogRow for work in batch.work)
        batch.stage, feed, applied = self._projection.name, out.feed.append, 0
        for work in batch.work:
            if type(work) is Item:
                if work.seq in over:
                    continue
                if not work.plain:
                    if awake:
                        batch.stage = shaping.name
                        shaping.judge(work)
                        batch.stage = self._projection.name
                    projection.project(work)
                    if awake:
                        shaping.settle(work)
                feed((work.seq, work.type, work.why))
            elif isinstance(work, HAPPENING):
                self._happen(work, projection, shaping)
            elif work is not None:
                feed(work)
            applied += 1
        shaping.end()
        for run in runs:
            run.end()
        projection.end()
        tally.count("applied", applied)
        if batch.control is not None:
            self._settle(batch.control, out, tally)
        out.advance = tally.advance(self.name, expected, batch.pos, term)
        return out

    def _happen(self, work: Due | Woken | LogRow, projection: ProjectionRun, shaping: ShapingRun) -> None:
        """What is no event and takes effect here: a timer of the inbox or of a window, a move of a silence."""
        if isinstance(work, Woken):
            shaping.wake(work)
        elif isinstance(work, Due):
            if work.what == "silence":
                shaping.fire(work)
            projection.fire(work, shaping.still)
        else:
            shaping.said(work)

    def _judge(self, run: Run, items: list[Item], over: set[int], out: Operations, tally: Tally) -> None:
        """Take all events that are not over through one stage. `over` gets the seqs of those that end in it."""
        if over:
            items = [item for item in items if item.seq not in over]
        for item, verdict in run.judge(items):
            over.add(item.seq)
            tally.count(self._end(item, run.name, verdict, out))

    def _end(self, item: Item, stage: str, verdict: Verdict, out: Operations) -> str:
        """Write down that an event ends here; returns the state it ends in."""
        state, reason = verdict
        if state == "rejected":
            out.rejects.append((item.principal.partition(":")[0], item.at, reason, item.body[:RAW_MAX]))
            state = "dropped"
        out.exceptions.append(ExceptionRow(self.name, item.seq, state, item.seq, stage, reason, entity=item.entity))
        return state

    def _settle(self, control: Control, out: Operations, tally: Tally) -> None:
        """A record leaves the state that it was counted in; the loop has counted where it went, and here comes its move."""
        subject = control.subject
        tally.count(subject.state, -1)
        if control.discarded:
            tally.count("dropped")
            out.exceptions.append(subject._replace(state="dropped", reason=control.discarded, due=None))
            return
        tally.count("applied")
        if not out.exceptions:
            out.cleared.append((self.name, subject.seq))

    def _bury(self, store: Store, report: Advanced, term: int, row: LogRow, expected: int, *, error: Exception) -> int:
        """Pass a record that failed alone, as a dead letter. A retry that failed counts on its subject."""
        out, tally, control = Operations(), Tally(), self._batch.control
        stage, reason = self._batch.stage, failure_text(error)
        if control is not None:
            tally.count("applied")
            tally.move(control.subject.state, "dead")
            dead = control.subject._replace(state="dead", cartridge=stage, reason=reason, attempts=control.subject.attempts + 1)
        else:
            tally.count("dead")
            dead = ExceptionRow(self.name, row.seq, "dead", row.seq, stage, reason, attempts=1, entity=row.entity)
        out.exceptions.append(dead)
        out.advance = tally.advance(self.name, expected, row.seq, term)
        report.add(out, store.commit(out), passed=1)
        report.buried.append(dead.seq)
        return row.seq


def _pieces(store: Store, after: int, end: int) -> Iterator[list[LogRow]]:
    """The records after `after` and up to `end` that may be planned together: up to one that must stand alone, or that one."""
    begin = after
    while after < end:
        rows = store.read_log(after, min(READ_AT_ONCE, end - after))
        stop = next((index for index, row in enumerate(rows) if row.seq > end or (row.kind != "event" and _alone(row))), None)
        if stop == 0 and after == begin and rows[0].seq <= end:
            stop = 1
        if rows[:stop]:
            yield rows[:stop]
        if stop is not None or len(rows) < READ_AT_ONCE:
            return
        after = rows[-1].seq


def _alone(row: LogRow) -> bool:
    if row.kind == "move":
        return row.type in DECIDES or row.type == ENDED
    return row.kind == "timer" and row.id.startswith(ALONE)
