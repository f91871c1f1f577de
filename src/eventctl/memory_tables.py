"""The tables of the in-memory store, and what one commit does to them.

A commit applies operation after operation, as SQLite does, and notes how to undo each; a precondition that fails undoes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Generic, TypeVar

from eventctl.errors import Conflict
from eventctl.notification import MemberView, Notification
from eventctl.store import (
    REJECTS_MAX,
    Advance,
    Appended,
    Committed,
    CursorRow,
    DecisionRow,
    ExceptionRow,
    FeedRow,
    InstalledRow,
    Keys,
    LedgerRow,
    LogRow,
    Operations,
    OutboxChange,
    OutboxRow,
    Record,
    Reject,
    TimerRow,
    Unit,
)

K = TypeVar("K")
V = TypeVar("V")

DECISION_LAST = "decision.last"
"""The fact that holds the highest number of a decision; SQLite keeps its own."""

Journal = list[Callable[[], object]]


class Table(Generic[K, V]):
    """Rows by key. Every change notes its reverse in the journal."""

    def __init__(self, journal: Journal) -> None:
        self.rows: dict[K, V] = {}
        self._journal = journal

    def put(self, key: K, row: V) -> None:
        if key in self.rows:
            self._journal.append(partial(self.rows.__setitem__, key, self.rows[key]))
        else:
            self._journal.append(partial(self.rows.__delitem__, key))
        self.rows[key] = row

    def drop(self, key: K) -> None:
        if key in self.rows:
            self._journal.append(partial(self.rows.__setitem__, key, self.rows.pop(key)))

    def pick(self, keys: Sequence[K]) -> dict[K, V]:
        return {key: self.rows[key] for key in keys if key in self.rows}


class Tables:
    """Everything that the store keeps. Reading is free; writing goes through `transaction`."""

    def __init__(self) -> None:
        self._journal: Journal = []
        self.commits = 0
        self.log: Table[int, LogRow] = Table(self._journal)
        self.identities: Table[tuple[str, str], int] = Table(self._journal)
        self.entities: Table[str, tuple[int, ...]] = Table(self._journal)
        self.feed: Table[int, FeedRow] = Table(self._journal)
        self.cursors: Table[str, CursorRow] = Table(self._journal)
        self.origins: Table[str, int] = Table(self._journal)
        self.exceptions: Table[tuple[str, int], ExceptionRow] = Table(self._journal)
        self.annotations: Table[int, dict[str, bytes]] = Table(self._journal)
        self.ledger: Table[bytes, LedgerRow] = Table(self._journal)
        self.states: Table[tuple[str, str], bytes] = Table(self._journal)
        self.timers: Table[tuple[str, str], TimerRow] = Table(self._journal)
        self.notifications: Table[int, Notification] = Table(self._journal)
        self.lives: Table[tuple[str, str], tuple[int, ...]] = Table(self._journal)
        self.touched: Table[tuple[int, int], None] = Table(self._journal)
        self.member_views: Table[tuple[str, int], MemberView] = Table(self._journal)
        self.outbox: Table[str, OutboxRow] = Table(self._journal)
        self.rejects: Table[int, Reject] = Table(self._journal)
        self.decisions: Table[int, DecisionRow] = Table(self._journal)
        self.asked: Table[str, int] = Table(self._journal)
        self.packages: Table[str, bytes] = Table(self._journal)
        self.installed: Table[tuple[str, str, str], InstalledRow] = Table(self._journal)
        self.units: Table[str, Unit] = Table(self._journal)
        self.meta: Table[str, str] = Table(self._journal)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        self._journal.clear()
        try:
            yield
        except BaseException:
            for undo in reversed(self._journal):
                undo()
            raise
        else:
            self.commits += 1
        finally:
            self._journal.clear()

    def next_seq(self) -> int:
        """The number of the next record."""
        return len(self.log.rows) + 1

    def next_pos(self) -> int:
        """The next position of the feed."""
        return len(self.feed.rows) + 1

    def append(self, records: Sequence[Record]) -> list[Appended]:
        return [self._append(record) for record in records]

    def _append(self, record: Record) -> Appended:
        known = self.identities.rows.get((record.source, record.id))
        if known is not None:
            return Appended(known, True)
        seq = self.next_seq()
        self.log.put(seq, LogRow(seq, *record))
        self.identities.put((record.source, record.id), seq)
        if record.entity is not None:
            self.entities.put(record.entity, (*self.entities.rows.get(record.entity, ()), seq))
        return Appended(seq, False)

    def reject(self, rejects: Sequence[tuple[str, int, str, bytes]]) -> None:
        for row in rejects:
            number = max(self.rejects.rows, default=0) + 1
            self.rejects.put(number, Reject(number, *row))
            self.rejects.drop(number - REJECTS_MAX)

    def commit(self, operations: Operations) -> Committed:
        """Write all of it, inside the caller's transaction, in the order of `Operations`."""
        if operations.advance is not None:
            self._advance(operations.advance)
        appended = self.append(operations.records)
        self._book(operations)
        for row in operations.ledger:
            self._enter(row)
        self._remember(operations)
        self._notify(operations, appended)
        for view in operations.member_views:
            self.member_views.put((view.member, view.notification), view)
        self._snooze(operations)
        self._owe(operations, appended)
        self.reject(operations.rejects)
        self._decide(operations.decisions)
        self._install(operations)
        for unit in operations.units:
            self.units.put(unit.path, unit)
        for name, text in operations.meta.items():
            self.meta.put(name, text)
        return Committed([row.seq for row in appended], sum(row.duplicate for row in appended))

    def _advance(self, to: Advance) -> None:
        row = self.cursors.rows.get(to.pipeline)
        if row is None or (row.pos, row.term) != (to.expected, to.term):
            raise Conflict(f"the cursor has moved, or another runner has taken over (expected {to.expected} under term {to.term})",
                           where=to.pipeline)  # fmt: skip
        moved = CursorRow(
            row.pipeline, to.pos, row.term, row.applied + to.applied, row.dropped + to.dropped,
            row.quarantined + to.quarantined, row.dead + to.dead, row.waiting + to.waiting,
        )  # fmt: skip
        self.cursors.put(to.pipeline, moved)

    def _book(self, operations: Operations) -> None:
        for row in operations.feed:
            pos = self.next_pos()
            self.feed.put(pos, FeedRow(pos, *row))
        for exception in operations.exceptions:
            self.exceptions.put((exception.pipeline, exception.seq), exception)
        for key in operations.cleared:
            self.exceptions.drop(key)
        for seq, slot, value in operations.annotations:
            self.annotations.put(seq, {**self.annotations.rows.get(seq, {}), slot: value})

    def _enter(self, row: LedgerRow) -> None:
        held = self.ledger.rows.get(row.key)
        if held is not None and held.seq != row.seq:
            record = self.log.rows.get(row.seq)
            if record is None or held.expires > record.at:
                raise Conflict("an occurrence was already in the ledger")
        self.ledger.put(row.key, row)

    def _remember(self, operations: Operations) -> None:
        for state in operations.states:
            if state.value is not None:
                self.states.put((state.cartridge, state.key), state.value)
        for state in operations.states:
            if state.value is None:
                self.states.drop((state.cartridge, state.key))
        for timer in operations.timers:
            self.timers.put((timer.owner, timer.key), timer)
        for owner, key, due in operations.timers_cleared:
            held = self.timers.rows.get((owner, key))
            if held is not None and due in (None, held.due):
                self.timers.drop((owner, key))

    def _notify(self, operations: Operations, appended: list[Appended]) -> None:
        for row in operations.changed:
            held = self.notifications.rows.get(row.id)
            if held is None or held.ver != row.ver - 1:
                raise Conflict("a notification has changed since it was read")
            self._place(row, "another notification of that life is open")
        for row in operations.opened:
            if row.id in self.notifications.rows:
                raise Conflict("a notification of that life or number is already open")
            self._place(row, "a notification of that life or number is already open")
        if operations.purged:
            self.meta.put("notification.last", str(self.notification_last()))
        for number in operations.purged:
            self._purge(number)
        for number, seq in operations.touched:
            self.touched.put((number, appended[0].seq if seq == -1 and appended else seq), None)

    def _snooze(self, operations: Operations) -> None:
        for member, number, until, by in operations.snoozes:
            view = self.member_views.rows.get((member, number)) or MemberView(member, number, 0)
            if (view.snooze_until or 0) < until:
                self.member_views.put((member, number), view._replace(snooze_until=until, snoozed_by=by))
        for view in [view for view in self.member_views.rows.values() if view.snoozed_by in operations.unsnoozed]:
            self.member_views.put((view.member, view.notification), view._replace(snooze_until=None, snoozed_by=None))

    def _place(self, row: Notification, otherwise: str) -> None:
        held = self.notifications.rows.get(row.id)
        if held is not None and (held.life, held.life_key) != (row.life, row.life_key):
            self._leave_life(held)
        others = self.lives.rows.get((row.life, row.life_key), ())
        if is_open(row) and any(number != row.id and is_open(self.notifications.rows[number]) for number in others):
            raise Conflict(otherwise)
        self.notifications.put(row.id, row)
        if row.id not in others:
            self.lives.put((row.life, row.life_key), (*others, row.id))

    def _leave_life(self, row: Notification) -> None:
        key = (row.life, row.life_key)
        self.lives.put(key, tuple(number for number in self.lives.rows[key] if number != row.id))

    def _purge(self, number: int) -> None:
        row = self.notifications.rows.get(number)
        if row is not None:
            self._leave_life(row)
            self.notifications.drop(number)
        for key in [key for key in self.touched.rows if key[0] == number]:
            self.touched.drop(key)
        for view in [key for key in self.member_views.rows if key[1] == number]:
            self.member_views.drop(view)

    def _owe(self, operations: Operations, appended: list[Appended]) -> None:
        for row in operations.outbox:
            if row.id not in self.outbox.rows:
                self.outbox.put(row.id, row)
        records = zip(operations.records, appended, strict=True)
        answers = {record.id: at.seq for record, at in records if record.kind == "answer"}
        for change in operations.outbox_changed:
            self._end_attempt(change, answers.get(change.id))

    def _end_attempt(self, change: OutboxChange, answer_seq: int | None) -> None:
        row = self.outbox.rows.get(change.id)
        if row is None or row.attempt_id != change.attempt_id or row.state == "done":
            raise Conflict("an attempt is no longer the current one")
        answer = row.answer_seq if answer_seq is None else answer_seq
        self.outbox.put(row.id, row._replace(state=change.state, next_at=change.next_at, lease=None, answer_seq=answer))

    def _decide(self, decisions: Sequence[DecisionRow]) -> None:
        for row in decisions:
            if row.ver == 1 and row.call not in self.asked.rows:
                number = row.number or int(self.meta.rows.get(DECISION_LAST, "0")) + 1
                if number in self.decisions.rows:
                    raise Conflict("another decision has this number")
                self.meta.put(DECISION_LAST, str(max(number, int(self.meta.rows.get(DECISION_LAST, "0")))))
                self.decisions.put(number, row._replace(number=number))
                self.asked.put(row.call, number)
        for row in decisions:
            held = self.decisions.rows.get(row.number)
            if row.ver > 1 and (held is None or (held.call, held.ver) != (row.call, row.ver - 1)):
                raise Conflict("a decision has changed since it was read")
            if row.ver > 1:
                self.decisions.put(row.number, row)

    def _install(self, operations: Operations) -> None:
        for digest, body in operations.packages:
            self.packages.put(digest, body)
        for row in operations.installed:
            for other in list(self.installed.rows.values()) if row.active else ():
                if other.active and (other.place, other.id) == (row.place, row.id):
                    self.installed.put((other.place, other.id, other.digest), other._replace(active=False))
            self.installed.put((row.place, row.id, row.digest), row)
        for key in operations.uninstalled:
            self.installed.drop(key)

    def approvals(self, kinds: Sequence[str]) -> dict[str, int]:
        """By kind, what a person approved and nobody has undone or is undoing."""
        rows = self.decisions.rows.values()
        counts = Counter(row.kind for row in rows if row.approved and row.state not in ("undoing", "undone"))
        return {kind: counts[kind] for kind in kinds if counts[kind]}

    def notification_last(self) -> int:
        return max(max(self.notifications.rows, default=0), int(self.meta.rows.get("notification.last", "0")))


def is_open(row: Notification) -> bool:
    """Whether it holds its life: neither resolved nor archived."""
    return row.agent_state != "resolved" and row.archived_at is None


def is_silenced(row: Notification, keys: Keys) -> bool:
    before = keys.silenced_before
    if row.silenced_by is None or row.silenced_until is None:
        return False
    return (before is not None and row.silenced_until <= before) or row.silenced_by == keys.silenced_by


def is_due(row: Notification, before: int | None) -> bool:
    return before is not None and row.due is not None and row.due <= before
