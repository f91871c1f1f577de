"""Works off what is owed: claim, act on a thread with no transaction open, write the result and the answer in one commit.

`work(now)` never waits. It writes what has ended since the last time, settles attempts whose lease ran out, and starts new ones
as far as there are threads. The first time it settles all that stand there as begun: the runner that began them is gone. An
attempt whose end nobody saw is ambiguous: it is tried again (at least once, the default), or becomes `unknown` when the call says
`"repeat": false`; either way the log says so.

Threads are daemons, one for each attempt: Python waits for a pool's threads when it ends, and a runner that was told to stop must not
hang for as long as somebody's command does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any, Protocol, runtime_checkable

import orjson

from eventctl import failpoints
from eventctl.announce import announce
from eventctl.contracts import Answer, Executor, Request
from eventctl.errors import Conflict
from eventctl.store import Operations, OutboxChange, OutboxRow, Record, Store
from eventctl.text import safe_text
from eventctl.times import FOREVER, MINUTE, SECOND

THREADS = 8
DEADLINE = 60 * SECOND
GRACE = 5 * SECOND
LEASE = DEADLINE + GRACE
LONG_MAX = 32
"""Attempts whose executor may take longer than `DEADLINE` have threads of their own, so many: an agent's half hour holds up no log line."""

ATTEMPTS_MAX = 5
OVERDUE_MAX = 1_000
BACKOFF_MIN = 1 * SECOND
BACKOFF_MAX = 5 * MINUTE
ANSWER_BYTES_MAX = 256 * 1024


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
        for row in self._store.overdue(now if self._begun else FOREVER, limit=OVERDUE_MAX):
            self._settle(row, now, worked)
        self._begun = True
        long = sum(deadline_of(self._executors.get(row.name)) > DEADLINE for row, _ in self._flying.values())
        free = min(self._threads - (len(self._flying) - long), self._threads + LONG_MAX - len(self._flying))
        if start and free > 0:
            for row in self._store.claim(now, lease=self._lease, limit=free):
                failpoints.reach("t2.after_claim")
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

    def _write(self, row: OutboxRow, answer: Answer, now: int, worked: Worked) -> None:
        """One commit: the row's new state and, when it is the last word, the answer record."""
        failpoints.reach("t3.before_commit")
        if not answer.ok and answer.again and row.attempt < ATTEMPTS_MAX:
            at = now + self._backoff(row.attempt, answer.after_s)
            operations = Operations(outbox_changed=[OutboxChange(row.id, row.attempt_id, "retry", at)])
            worked.retried += 1
        else:
            state = "done" if answer.ok else "dead"
            operations = Operations(
                records=[answer_record(row, answer, now)], outbox_changed=[OutboxChange(row.id, row.attempt_id, state)]
            )
            worked.done += answer.ok
            worked.dead += not answer.ok
        self._commit(operations)

    def _settle(self, row: OutboxRow, now: int, worked: Worked) -> None:
        """An attempt whose lease is over: its end may have been seen by the world, never by us."""
        worked.ambiguous += 1
        repeat = orjson.loads(row.body).get("repeat", True) is not False
        facts = {"call": row.id, "name": row.name, "attempt": row.attempt, "seq": row.seq, "repeated": repeat}
        told = announce("system.call.ambiguous", facts, now=now, by="outbox", entity=row.name, caused_by=row.seq)
        if repeat and row.attempt < ATTEMPTS_MAX:
            change, records = OutboxChange(row.id, row.attempt_id, "retry", now), [told]
        else:
            answer = Answer(False, error="the attempt was cut off; whether it took place is not known")
            change, records = OutboxChange(row.id, row.attempt_id, "unknown"), [told, answer_record(row, answer, now)]
        self._commit(Operations(records=records, outbox_changed=[change]))

    def _commit(self, operations: Operations) -> None:
        try:
            self._store.commit(operations)
        except Conflict:  # the attempt was settled meanwhile: its row has moved on, and this end of it counts for nothing
            logging.getLogger("eventctl.outbox").info("an attempt ended after it had been given up")

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


def answer_record(row: OutboxRow, answer: Answer, now: int) -> Record:
    """What the log says about how a call ended."""
    error = safe_text(answer.error, limit=500)
    body = _answer_body(row, answer.ok, answer.result if answer.ok else None, error)
    if len(body) > ANSWER_BYTES_MAX:
        body = _answer_body(row, False, None, f"the answer has {len(body)} bytes; {ANSWER_BYTES_MAX} are taken")
    return Record("answer", "outbox", row.id, "call.answered", body, f"outbox:{row.name}", now, caused_by=row.seq)


def _answer_body(row: OutboxRow, ok: bool, result: Any, error: str) -> bytes:
    return orjson.dumps(
        {
            "call": row.id, "pipeline": row.pipeline, "seq": row.seq, "name": row.name,
            "ok": ok, "result": result, "error": error,
        }
    )  # fmt: skip
