"""The store in this process's memory: the same verbs, preconditions and errors as `sqlite_store`, for tests and dry runs."""

from __future__ import annotations

import os
from contextlib import nullcontext
from operator import itemgetter
from typing import TYPE_CHECKING

from eventctl.memory_tables import DECISION_LAST, Tables, is_due, is_open, is_silenced
from eventctl.notification import Notification
from eventctl.patterns import matches
from eventctl.store import (
    DUE_MAX,
    LOG_PIPELINE,
    Appended,
    Committed,
    CursorRow,
    DecisionRow,
    ExceptionRow,
    FeedRow,
    InstalledRow,
    Keys,
    Kind,
    LogRow,
    Operations,
    OutboxRow,
    Record,
    Snapshot,
    Stream,
    TimerRow,
    Unit,
    gone_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from eventctl.memory_views import MemoryViews


class MemoryStore:
    """A whole workspace in one object, which is every role at once."""

    def __init__(self, tables: Tables | None = None) -> None:
        self.tables = Tables() if tables is None else tables
        self.epoch = os.urandom(8).hex()
        self.tables.meta.rows["epoch"] = self.epoch

    @property
    def views(self) -> MemoryViews:
        from eventctl.memory_views import MemoryViews

        return MemoryViews(self.tables)

    def append(self, records: Sequence[Record], *, rejects: Sequence[tuple[str, int, str, bytes]] = ()) -> list[Appended]:
        with self.tables.transaction():
            appended = self.tables.append(records)
            self.tables.reject(rejects)
        return appended

    def filling(self) -> AbstractContextManager[None]:
        return nullcontext()

    def read_log(self, after: int, limit: int, *, kinds: Sequence[Kind] = ()) -> list[LogRow]:
        log = self.tables.log.rows
        found: list[LogRow] = []
        for seq in range(max(after, 0) + 1, len(log) + 1):
            if len(found) == limit:
                break
            if not kinds or log[seq].kind in kinds:
                found.append(log[seq])
        return found

    def read_feed(self, after: int, limit: int) -> list[FeedRow]:
        feed = self.tables.feed.rows
        first = max(after, 0) + 1
        return [feed[pos] for pos in range(first, min(first + limit, len(feed) + 1))]

    def tail(self, stream: Stream) -> int:
        return len(self.tables.log.rows if stream == "log" else self.tables.feed.rows)

    def snapshot(self, keys: Keys) -> Snapshot:
        tables = self.tables
        lives = {key: found for key in keys.lives if (found := self._life(key)) is not None}
        rows = tables.notifications.rows.values()
        due = [row for row in rows if is_due(row, keys.due_before)] if keys.due_before is not None else []
        asked = keys.silenced_before is not None or keys.silenced_by is not None
        silenced = [row for row in rows if is_silenced(row, keys)] if asked else []
        return Snapshot(
            ledger=tables.ledger.pick(keys.ledger),
            lives=lives,
            notifications=tables.notifications.pick(keys.notifications),
            states=tables.states.pick(keys.states),
            exceptions=tables.exceptions.pick(keys.exceptions),
            records=tables.log.pick(keys.records),
            identities={
                key: tables.log.rows[tables.identities.rows[key]] for key in keys.identities if key in tables.identities.rows
            },
            annotations={seq: dict(slots) for seq, slots in tables.annotations.pick(keys.annotations).items()},
            member_views=tables.member_views.pick(keys.member_views),
            notification_last=tables.notification_last(),
            decisions={
                call: tables.decisions.rows[tables.asked.rows[call]] for call in keys.decisions if call in tables.asked.rows
            },
            approvals=tables.approvals(keys.approvals),
            decision_last=int(tables.meta.rows.get(DECISION_LAST, "0")) if keys.decisions else 0,
            silenced=sorted(silenced, key=itemgetter(0))[:DUE_MAX],
            due=sorted(due, key=lambda row: (row.due or 0, row.id))[:DUE_MAX],
        )

    def history(self, entity: str, *, before: int, limit: int, pattern: str = "**") -> list[LogRow]:
        found: list[LogRow] = []
        for seq in reversed(self.tables.entities.rows.get(entity, ())):
            row = self.tables.log.rows[seq]
            if len(found) == limit:
                break
            if seq < before and row.kind == "event" and matches(pattern, row.type):
                found.append(row)
        return found

    def commit(self, operations: Operations, *, durable: bool = False) -> Committed:
        with self.tables.transaction():
            return self.tables.commit(operations)

    def claim(self, now: int, *, lease: int, limit: int, kinds: Sequence[str] = ()) -> list[OutboxRow]:
        due = [
            row
            for row in self.tables.outbox.rows.values()
            if row.state in ("pending", "retry") and row.next_at <= now and (not kinds or row.kind in kinds)
        ]
        due.sort(key=lambda row: (row.next_at, row.kind))
        taken = [
            row._replace(state="sending", attempt=row.attempt + 1, attempt_id=os.urandom(8).hex(), lease=now + lease)
            for row in due[:limit]
        ]
        with self.tables.transaction():
            for row in taken:
                self.tables.outbox.put(row.id, row)
        return taken

    def overdue(self, now: int, *, limit: int) -> list[OutboxRow]:
        late = [row for row in self.tables.outbox.rows.values() if row.state == "sending" and (row.lease or 0) <= now]
        return sorted(late, key=lambda row: row.lease or 0)[:limit]

    def due_decisions(self, now: int, *, limit: int) -> list[DecisionRow]:
        rows = self.tables.decisions.rows.values()
        due = [(row.due, row) for row in rows if row.state in ("held", "window") and row.due is not None and row.due <= now]
        return [row for _, row in sorted(due)][:limit]

    def installed(self) -> list[InstalledRow]:
        return sorted(self.tables.installed.rows.values(), key=lambda row: (row.place, row.id, row.at, row.digest))

    def package(self, digest: str) -> bytes | None:
        return self.tables.packages.rows.get(digest)

    def due_timers(self, now: int, *, limit: int) -> list[TimerRow]:
        due = [row for row in self.tables.timers.rows.values() if row.due <= now]
        return sorted(due, key=lambda row: (row.due, row.owner, row.key))[:limit]

    def due_retries(self, pipeline: str, now: int, *, limit: int) -> list[ExceptionRow]:
        return [row for row in self.exceptions_of(pipeline, ("retry",)) if row.due is not None and row.due <= now][:limit]

    def exceptions_of(self, pipeline: str, states: Sequence[str]) -> list[ExceptionRow]:
        rows = self.tables.exceptions.rows.values()
        found = [row for row in rows if row.pipeline == pipeline and row.state in states]
        return sorted(found, key=lambda row: (row.pos, row.seq))

    def next_due(self) -> int | None:
        tables = self.tables
        moments: list[int | None] = [row.due for row in tables.timers.rows.values()]
        moments += [row.due for row in tables.exceptions.rows.values() if row.state == "retry"]
        moments += [row.next_at for row in tables.outbox.rows.values() if row.state in ("pending", "retry")]
        moments += [row.lease for row in tables.outbox.rows.values() if row.state == "sending"]
        moments += [row.due for row in tables.decisions.rows.values() if row.state in ("held", "window")]
        return min((moment for moment in moments if moment is not None), default=None)

    def cursor(self, pipeline: str) -> CursorRow | None:
        return self.tables.cursors.rows.get(pipeline)

    def cursors(self) -> list[CursorRow]:
        return [row for _, row in sorted(self.tables.cursors.rows.items())]

    def open_cursor(self, pipeline: str, *, at: int | None = None) -> CursorRow:
        found = self.cursor(pipeline)
        if found is not None:
            return found
        start = self.tail("log" if pipeline == LOG_PIPELINE else "feed") if at is None else at
        made = CursorRow(pipeline, start, int(self.meta("term") or 0))
        with self.tables.transaction():
            self.tables.cursors.put(pipeline, made)
            self.tables.origins.put(pipeline, start)
        return made

    def take_over(self) -> int:
        term = int(self.meta("term") or 0) + 1
        with self.tables.transaction():
            self.tables.meta.put("term", str(term))
            for row in self.cursors():
                self.tables.cursors.put(row.pipeline, row._replace(term=term))
        return term

    def forget_cursor(self, pipeline: str, *, told: Sequence[Record] = ()) -> None:
        tables = self.tables
        with tables.transaction():
            tables.append(told)
            tables.meta.drop(gone_key(pipeline))
            tables.cursors.drop(pipeline)
            tables.origins.drop(pipeline)
            for at, exception in list(tables.exceptions.rows.items()):
                if exception.pipeline == pipeline and exception.state != "dropped":
                    tables.exceptions.drop(at)
            for key in list(tables.timers.rows):
                if key[0] == pipeline or key[0].startswith(f"{pipeline}/"):
                    tables.timers.drop(key)
            for row in list(tables.outbox.rows.values()):
                if row.pipeline == pipeline and row.kind != "decision" and row.state in ("pending", "retry"):
                    tables.outbox.drop(row.id)

    def units(self) -> dict[str, Unit]:
        return dict(sorted(self.tables.units.rows.items()))

    def meta(self, key: str) -> str | None:
        return self.tables.meta.rows.get(key)

    def close(self) -> None:
        """Nothing to let go of: it lives as long as somebody holds it."""

    def _life(self, key: tuple[str, str]) -> Notification | None:
        rows = [self.tables.notifications.rows[number] for number in self.tables.lives.rows.get(key, ())]
        shown = [row for row in rows if row.archived_at is None]
        return next((row for row in shown if is_open(row)), max(shown, key=lambda row: row.id, default=None))
