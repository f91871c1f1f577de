"""The rows that a store keeps, as plain data. Times are microseconds since 1970 UTC; whoever uses a store takes them from `store`."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["event", "move", "timer", "answer"]


class Record(NamedTuple):
    """What `append` takes. `caused_by` is the seq of the record in this log that led to it."""

    kind: Kind
    source: str
    id: str
    type: str
    body: bytes
    principal: str
    at: int
    entity: str | None = None
    caused_by: int | None = None
    hops: int = 0


class Appended(NamedTuple):
    """Where a record stands. `duplicate` says that it stood there before this call."""

    seq: int
    duplicate: bool


class LogRow(NamedTuple):
    """A record as the log gives it back."""

    seq: int
    kind: Kind
    source: str
    id: str
    type: str
    body: bytes
    principal: str
    at: int
    entity: str | None
    caused_by: int | None
    hops: int


class FeedRow(NamedTuple):
    """A position of the feed.

    `why` is `accept` or `release` for an event, whose `type` stands here so that a pipeline can pass what it has no cartridge
    for without reading it. `answer`, `timer` and `retry` are for one pipeline only, which `type` names; `seq` is then the
    record that says so.
    """

    pos: int
    seq: int
    type: str
    why: str


class ExceptionRow(NamedTuple):
    """What a pipeline did with a record when it was not plainly applied.

    state: `dropped`, `quarantined`, `waiting` (for an answer), `behind` (an earlier event of its entity), `retry` (due then),
    `dead`, `struck` (its cartridge hung or killed the process: the next run leaves that cartridge out).
    `pos` is where it stands in that pipeline's stream, `cartridge` and `reason` say who and why.
    """

    pipeline: str
    seq: int
    state: str
    pos: int
    cartridge: str
    reason: str
    attempts: int = 0
    due: int | None = None
    entity: str | None = None


class LedgerRow(NamedTuple):
    """An occurrence that was seen: `key` is 16 bytes. Precondition on write: the key is absent or expired at `at`."""

    key: bytes
    seq: int
    expires: int


class StateRow(NamedTuple):
    """A cartridge's memory under one key, as JSON; `value` None removes it.

    From `expires` on (microseconds; None: never) it makes no difference to anybody: retention deletes it at some time after, and
    until then it is read like any other.
    """

    cartridge: str
    key: str
    value: bytes | None
    expires: int | None = None


class TimerRow(NamedTuple):
    """A durable due time. `owner` is a pipeline, or `<pipeline>/<cartridge>`; (owner, key) is unique, a later set replaces."""

    owner: str
    key: str
    due: int
    body: bytes = b"{}"


class OutboxRow(NamedTuple):
    """An effect that is owed. `id` is a hash of what it answers to, so planning it twice owes it once.

    state: `pending`, `sending`, `retry`, `done`, `dead`, `unknown` (an attempt whose end nobody saw).
    `name` is the executor, `pipeline` and `seq` the event that owes it, `group_key` what may be folded together.
    """

    id: str
    kind: str
    name: str
    pipeline: str
    seq: int
    body: bytes
    group_key: str = ""
    state: str = "pending"
    attempt: int = 0
    attempt_id: str = ""
    lease: int | None = None
    next_at: int = 0
    answer_seq: int | None = None


class OutboxChange(NamedTuple):
    """How an attempt ended. Precondition: the row's last attempt is `attempt_id` and it is not done.

    Its lease is cleared. When the same commit appends the answer (a record of kind `answer` whose id is the row's), the row keeps
    that record's number as `answer_seq`.
    """

    id: str
    attempt_id: str
    state: str
    next_at: int = 0


class Reject(NamedTuple):
    """What never became an event: the raw bytes (capped) and the reason."""

    id: int
    channel: str
    at: int
    reason: str
    raw: bytes


class Unit(NamedTuple):
    """A file that people write, as last read: the cache that makes a rescan cheap, and where strikes are booked.

    state: `active`, `disabled` (with `reason`).
    """

    path: str
    mtime: int
    size: int
    inode: int
    hash: str
    manifest: bytes
    state: str = "active"
    reason: str = ""
    strikes: int = 0


DECISION_ENDS = ("done", "undone", "denied", "expired", "failed", "unknown")
"""The states that a decision ends in; `done` can still be undone until it is due."""


class DecisionRow(NamedTuple):
    """Something that may act, and what autonomy made of it. Its machine is `decisions`; `number` 0 asks the store for the next one.

    state: `held` (for a person, expires at `due`), `window` (acts by itself at `due` unless it is undone), `approved` (its outbox row is
    owed), `done` (until `due`, when it has one, it can be undone), `undoing`, and the ends `undone`, `denied`, `expired`, `failed`,
    `unknown` (an attempt whose end nobody saw).
    `call` is unique: planning it twice asks once. `kind` is what approvals are counted by, `name` the executor, `domain` and `owner`
    (a member) say whose it is, `pipeline` and `seq` the event that it is about. `decided_by` is a principal, "" where nobody was asked;
    `approved` that a person said yes. `body` is JSON: what is to be done, the evidence, the result.
    """

    number: int
    call: str
    state: str
    kind: str
    name: str
    pipeline: str
    seq: int
    domain: str
    owner: str
    asked_at: int
    due: int | None = None
    decided_by: str = ""
    decided_at: int | None = None
    approved: bool = False
    ver: int = 1
    body: bytes = b"{}"


class InstalledRow(NamedTuple):
    """A version of an installed cartridge. `place` is `library`, `domain:<name>` or `member:<name>`; of one id there at most one is active.

    `digest` names its files (`Operations.packages`), `runs` is `worker`, or `in-process` once an admin trusted this digest.
    `decision` is the number of the decision that let it in.
    """

    place: str
    id: str
    version: str
    digest: str
    active: bool
    runs: str
    origin: str
    by: str
    at: int
    decision: int = 0


class CursorRow(NamedTuple):
    """How far a pipeline has come, and what became of everything up to there."""

    pipeline: str
    pos: int
    term: int
    applied: int = 0
    dropped: int = 0
    quarantined: int = 0
    dead: int = 0
    waiting: int = 0
