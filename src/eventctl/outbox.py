"""Works off what is owed: claim, act on a thread with no transaction open, write the result and the answer in one commit.

`work(now)` never waits. It writes what has ended since the last time, settles attempts whose lease ran out, and starts new ones
as far as there are threads. The first time it settles all that stand there as begun: the runner that began them is gone. An
attempt whose end nobody saw is ambiguous: it is tried again (at least once, the default), or becomes `unknown` when the call says
`"repeat": false`; either way the log says so. With that it has one attempt, whatever comes of it: so it is with every decision, whose
row, event and answer are written in the commit that ends the attempt.

One executor is the outbox itself: `emit` makes an event in that same commit, which no crash comes between. It is never ambiguous.

Threads are daemons, one for each attempt: Python waits for a pool's threads when it ends, and a runner that was told to stop must not
hang for as long as somebody's command does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any, Protocol, runtime_checkable

import orjson

from eventctl import decisions, failpoints
from eventctl.announce import announce
from eventctl.answers import answer_record
from eventctl.context import EMIT
from eventctl.contracts import Answer, Executor, Request
from eventctl.decode import decode, to_record
from eventctl.errors import Conflict, Refused
from eventctl.store import Keys, Operations, OutboxChange, OutboxRow, Record, Store
from eventctl.times import FOREVER, MINUTE, SECOND, iso

THREADS = 16
"""Two calls a second of 5 s each are ten at once, and a thread that waits for a program takes under 0.1 % of a processor. What finds
none free waits its turn, and only the events that asked wait with it."""

DEADLINE = 60 * SECOND
GRACE = 5 * SECOND
LONG_MAX = 32
"""Attempts whose executor may take longer than `DEADLINE` have threads of their own, so many: an agent's half hour holds up no log line."""

ATTEMPTS_MAX = 5
OVERDUE_MAX = 1_000
BACKOFF_MIN = 1 * SECOND
BACKOFF_MAX = 5 * MINUTE
COMMITS_MAX = 3
"""How often the end of an attempt is written when a row changes under it."""


@dataclass(slots=True)
class Worked:
    """What one call of `work` did."""

    started: int = 0
    done: int = 0
    retried: int = 0
    dead: int = 0
    ambiguous: int = 0
    in_flight: int = 0

    @property
    def ended(self) -> int:
        """Attempts whose end was written down."""
        return self.done + self.retried + self.dead + self.ambiguous


@runtime_checkable
class Stoppable(Protocol):
    """An executor that can end its attempts at once and takes no more; what they would have answered is not wanted any more."""

    def stop(self) -> None: ...


class Outbox:
    """The effects of one workspace. `wake` is called, from a worker's thread, when an attempt has ended."""

    def __init__(
        self,
        store: Store,
        executors: Mapping[str, Executor],
        *,
        wake: Callable[[], None],
        threads: int = THREADS,
        jitter: Callable[[], float],
    ) -> None:
        self._store = store
        self._executors = executors
        self._wake = wake
        self._threads = threads
        self._jitter = jitter
        self._flying: dict[str, tuple[OutboxRow, Future[Answer]]] = {}
        self._until: dict[str, int] = {}
        self._lease = GRACE + max([DEADLINE, *map(deadline_of, executors.values())])
        self._begun = False
        self._closing = Lock()
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Attempts that are on their way."""
        return len(self._flying)

    def work(self, now: int, *, start: bool = True) -> Worked:
        """Collect what ended, settle what nobody saw the end of, start what is due (unless `start` is False)."""
        worked = Worked()
        self._collect(now, worked)
        unseen = [*self._store.overdue(now if self._begun else FOREVER, limit=OVERDUE_MAX), *self._late(now)]
        for row in {row.attempt_id: row for row in unseen}.values():
            self._until.pop(row.attempt_id, None)
            self._settle(row, now, worked)
        self._begun = True
        long = sum(deadline_of(self._executors.get(row.name)) > DEADLINE for row, _ in self._flying.values())
        free = min(self._threads - (len(self._flying) - long), self._threads + LONG_MAX - len(self._flying))
        if start and free > 0:
            for row in self._store.claim(now, lease=self._lease, limit=free):
                failpoints.reach("t2.after_claim")
                if row.name == EMIT:
                    self._emit(row, now, worked)
                else:
                    self._until[row.attempt_id] = now + deadline_of(self._executors.get(row.name)) + GRACE
                    self._start(row)
                worked.started += 1
        worked.in_flight = len(self._flying)
        return worked

    def close(self) -> None:
        """Give up what is on its way, without waiting: commands are ended, other attempts end with the process.

        Nothing is written about them. To the next runner they are attempts whose end nobody saw.
        """
        with self._closing:
            self._closed = True
        for executor in self._executors.values():
            if isinstance(executor, Stoppable):
                executor.stop()

    def _start(self, row: OutboxRow) -> None:
        future: Future[Answer] = Future()
        self._flying[row.attempt_id] = (row, future)
        Thread(target=self._fly, args=(row, future), name=f"outbox-{row.name}", daemon=True).start()

    def _fly(self, row: OutboxRow, future: Future[Answer]) -> None:
        """One attempt, on its thread. Nobody is woken once the outbox is closed: what `wake` writes to is gone by then."""
        try:
            future.set_result(_attempt(self._executors.get(row.name), row))
        except BaseException as error:  # noqa: BLE001 - what is no `Exception` ends the runner, not this thread
            future.set_exception(error)
        with self._closing:
            if not self._closed:
                self._wake()

    def _collect(self, now: int, worked: Worked) -> None:
        for attempt_id, (row, future) in list(self._flying.items()):
            if future.done():
                self._write(row, future.result(), now, worked)
                del self._flying[attempt_id]
                self._until.pop(attempt_id, None)

    def _late(self, now: int) -> list[OutboxRow]:
        """Attempts that are past their own executor's time, while the lease is as long as the slowest one's."""
        over = [self._flying[attempt_id] for attempt_id, until in self._until.items() if until <= now]
        return [row for row, future in over if not future.done()]

    def _write(self, row: OutboxRow, answer: Answer, now: int, worked: Worked) -> None:
        """One commit: the row's new state and, when it is the last word, the answer record."""
        failpoints.reach("t3.before_commit")
        if not answer.ok and answer.again and _repeats(row) and row.attempt < ATTEMPTS_MAX:
            at = now + self._backoff(row.attempt, answer.after_s)
            self._commit(Operations(outbox_changed=[OutboxChange(row.id, row.attempt_id, "retry", at)]))
            worked.retried += 1
            return
        worked.done += answer.ok
        worked.dead += not answer.ok
        self._end(row, answer, "done" if answer.ok else "dead", now)

    def _emit(self, row: OutboxRow, now: int, worked: Worked) -> None:
        """Make the event that a row asks for, in the commit that says so."""
        failpoints.reach("t3.before_commit")
        record = wished_event(row, now)
        made = isinstance(record, Record)
        answer = Answer(True, {"id": record.id}) if isinstance(record, Record) else Answer(False, error=record)
        worked.done += made
        worked.dead += not made
        self._end(row, answer, "done" if made else "dead", now, [record] if isinstance(record, Record) else [])

    def _settle(self, row: OutboxRow, now: int, worked: Worked) -> None:
        """An attempt whose lease is over: its end may have been seen by the world, never by us."""
        if row.name == EMIT:  # its commit did not come about, and nothing else of it is anywhere
            worked.retried += 1
            self._commit(Operations(outbox_changed=[OutboxChange(row.id, row.attempt_id, "retry", now)]))
            return
        worked.ambiguous += 1
        if row.kind == decisions.KIND:
            self._end(row, Answer(False, error=decisions.CUT_OFF), "unknown", now)
            return
        repeat = _repeats(row)
        facts = {"call": row.id, "name": row.name, "attempt": row.attempt, "seq": row.seq, "repeated": repeat}
        told = announce("system.call.ambiguous", facts, now=now, by="outbox", entity=row.name, caused_by=row.seq)
        if repeat and row.attempt < ATTEMPTS_MAX:
            change = OutboxChange(row.id, row.attempt_id, "retry", now)
            self._commit(Operations(records=[told], outbox_changed=[change]))
        else:
            self._end(row, Answer(False, error=decisions.CUT_OFF), "unknown", now, [told])

    def _end(self, row: OutboxRow, answer: Answer, state: str, now: int, more: Sequence[Record] = ()) -> None:
        """Nothing more is tried: the row, the answer, and of a decision its row and its event, in one commit."""
        for _ in range(COMMITS_MAX):
            out = ending(self._store, row, answer, now, unseen=state == "unknown")
            out.outbox_changed.append(OutboxChange(row.id, row.attempt_id, state))
            out.records += more
            if self._commit(out) or row.kind != decisions.KIND:
                return

    def _commit(self, operations: Operations) -> bool:
        try:
            self._store.commit(operations)
        except Conflict:  # the attempt was settled meanwhile: its row has moved on, and this end of it counts for nothing
            logging.getLogger("eventctl.outbox").info("an attempt ended after it had been given up")
            return False
        return True

    def _backoff(self, attempt: int, after_s: float | None) -> int:
        """1 s, 2 s, 4 s ... 5 min, up to half of it more; what the other side asked for counts when it is longer."""
        wait = min(BACKOFF_MAX, BACKOFF_MIN * 2 ** (attempt - 1))
        return max(int(wait * (1 + self._jitter() / 2)), int(min(after_s or 0, 3600) * SECOND))


def deadline_of(executor: Executor | None) -> int:
    """How long an attempt of it may take, in microseconds: what its `deadline_s` says, or else `DEADLINE`."""
    return int(getattr(executor, "deadline_s", DEADLINE / SECOND) * SECOND)


def _attempt(executor: Executor | None, row: OutboxRow) -> Answer:
    """One attempt, on a thread. The boundary to foreign code: whatever it raises becomes an answer."""
    if executor is None:
        return Answer(False, error=f"there is no executor {row.name!r}")
    request = Request(row.id, row.name, _args(row), row.attempt, deadline_of(executor) / SECOND, row.seq)
    try:
        answer = executor.execute(request)
    except Exception as error:  # noqa: BLE001 - a plugin's executor may raise anything, and the loop must live
        return Answer(False, error=f"{type(error).__name__}: {error}", again=True)
    failpoints.reach("send.after")
    return answer


def _args(row: OutboxRow) -> Mapping[str, Any]:
    body: dict[str, Any] = orjson.loads(row.body)
    args: Mapping[str, Any] = body.get("args", body)
    return args


def _repeats(row: OutboxRow) -> bool:
    """Whether it may be tried more than once."""
    return row.kind != decisions.KIND and orjson.loads(row.body).get("repeat", True) is not False


def ending(store: Store, row: OutboxRow, answer: Answer, now: int, *, unseen: bool = False) -> Operations:
    """What the end of a row's last attempt writes beside the row: the answer, and what becomes of its decision."""
    if row.kind == decisions.KIND:
        call = decisions.call_of(row)
        held = store.snapshot(Keys(decisions=[call])).decisions.get(call)
        if held is not None and held.state in ("approved", "undoing"):
            return decisions.answered(held, answer, now, unseen=unseen)
    return Operations(records=[answer_record(row.id, row.pipeline, row.seq, row.name, answer, now)])


def wished_event(row: OutboxRow, now: int) -> Record | str:
    """The event that a row of `emit` asks for, as of now; or why there is none."""
    wished = orjson.loads(row.body).get("emit")
    if not isinstance(wished, dict):
        return "there is no event in it"
    try:
        decoded = decode(orjson.dumps({**wished, "timestamp": iso(now)}), now=now, trusted_chain=True)
    except Refused as refused:
        return str(refused)
    return to_record(decoded, principal=f"cartridge:{wished['source']}", at=now, caused_by=row.seq)
