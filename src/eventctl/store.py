"""The store: five verbs over plain data, and nothing above this file knows SQL.

    append(records)                T0  durable before it returns; a repeated (source, id) answers with the first one's seq
    read_log, read_feed(after, n)      records of the log, or positions of the feed, in order
    snapshot(keys)                     what a batch needs to know, fetched once
    commit(operations)             T1  everything that a run or a move wants written, or nothing
    claim(now, ...)                T2  outbox rows taken for an attempt, durable before the attempt

Around them stand small questions (`tail`, `history`, `cursor`, `cursors`, `units`, `meta`; what is due: `due_timers`, `due_retries`,
`overdue`, `due_decisions`, `next_due`; what is open: `exceptions_of`; what is `installed`, and its `package`) and the coming and
going of pipelines and runners (`open_cursor`, `forget_cursor`, `take_over`). `views` is what people read.

Times are microseconds since 1970 UTC; a `seq` numbers the log; a `pos` numbers the feed. No verb takes a partition: every position
here is one of partition 0, the only one that these stores have. What leaves the process is a token, which names the log's life and
the partition too: see `eventctl.position`. Two implementations, `sqlite_store` and `memory_store`, pass one contract suite.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, Protocol

import orjson

from eventctl.rows import (
    DECISION_ENDS,
    Appended,
    CursorRow,
    DecisionRow,
    ExceptionRow,
    FeedRow,
    InstalledRow,
    Kind,
    LedgerRow,
    LogRow,
    OutboxChange,
    OutboxRow,
    Record,
    Reject,
    StateRow,
    TimerRow,
    Unit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from eventctl.notification import MemberView, Notification, Snooze
    from eventctl.views import Views

__all__ = [
    "DECISION_ENDS",
    "DUE_MAX",
    "DUPLICATE_OF",
    "LOG_PIPELINE",
    "REJECTS_MAX",
    "SHADOW",
    "SHAPED",
    "Advance",
    "Appended",
    "Committed",
    "CursorRow",
    "DecisionRow",
    "ExceptionRow",
    "FeedRow",
    "InstalledRow",
    "Keys",
    "Kind",
    "LedgerRow",
    "LogRow",
    "Operations",
    "OutboxChange",
    "OutboxRow",
    "Record",
    "Reject",
    "Snapshot",
    "StateRow",
    "Store",
    "Stream",
    "TimerRow",
    "Unit",
    "gone_key",
    "row_hash",
]

Stream = Literal["log", "feed"]

LOG_PIPELINE = "system"
"""The one pipeline that reads the log; every other one reads the feed."""

REJECTS_MAX = 10_000
"""Rejects are kept for people to look at; a flood of them must not fill the disk."""

DUE_MAX = 500
"""How many notifications one ageing sweep looks at, so that its commit stays short; the sweep comes again at once for the rest."""

SHAPED = "shaped"
SHADOW = "shadow:"
"""The slots of what shaping did to an event, and, before a rule's name, of what it would have done out of the shadow."""

DUPLICATE_OF = "duplicate of e"
"""How the reason of a dropped repeat begins; the seq of the first one follows. `Trace.duplicates` finds them by it."""


@dataclass(slots=True)
class Advance:
    """Moves a pipeline's cursor. Precondition: it stands at `expected` under `term`. The counts are added to the row's."""

    pipeline: str
    expected: int
    pos: int
    term: int
    applied: int = 0
    dropped: int = 0
    quarantined: int = 0
    dead: int = 0
    waiting: int = 0


@dataclass(slots=True)
class Operations:
    """Everything that one commit writes, in this order; any precondition that fails raises `Conflict` and writes nothing.

    `changed` holds whole rows, with `ver` already raised; the precondition is that the stored row has `ver - 1`. It is written
    before `opened`, which may open a life again that a change has just settled. `touched` is (notification, seq), where the seq -1
    means the first of `records`. `opened` carries ids that the planner chose above `Snapshot.notification_last`. `ledger` keys
    that are already held by a live row of another seq are a conflict; live is judged at the moment (`at`) of the new row's
    record. `timers_cleared` is (owner, key, due): with a due, only if it is still due then.
    `snoozes` keep a longer snooze that is there; `unsnoozed` ends all that these silences or rules made.
    `decisions` with `ver` 1 are new, and one whose `call` is there already changes nothing; after them come the others, which carry a
    raised `ver` as `changed` does.
    `packages` are (digest, body), kept once, the newest; `installed` rows replace those of the same (place, id, digest), and an active one makes
    the others of its (place, id) inactive; `uninstalled` are (place, id, digest), gone for good.
    `exceptions` replace, `cleared` removes (pipeline, seq); `feed` is (seq, type, why), `annotations` (seq, slot, value),
    `rejects` (channel, at, reason, raw).
    """

    advance: Advance | None = None
    records: list[Record] = field(default_factory=list)
    feed: list[tuple[int, str, str]] = field(default_factory=list)
    exceptions: list[ExceptionRow] = field(default_factory=list)
    cleared: list[tuple[str, int]] = field(default_factory=list)
    annotations: list[tuple[int, str, bytes]] = field(default_factory=list)
    ledger: list[LedgerRow] = field(default_factory=list)
    states: list[StateRow] = field(default_factory=list)
    timers: list[TimerRow] = field(default_factory=list)
    timers_cleared: list[tuple[str, str, int | None]] = field(default_factory=list)
    changed: list[Notification] = field(default_factory=list)
    opened: list[Notification] = field(default_factory=list)
    purged: list[int] = field(default_factory=list)
    touched: list[tuple[int, int]] = field(default_factory=list)
    member_views: list[MemberView] = field(default_factory=list)
    snoozes: list[Snooze] = field(default_factory=list)
    unsnoozed: list[str] = field(default_factory=list)
    outbox: list[OutboxRow] = field(default_factory=list)
    outbox_changed: list[OutboxChange] = field(default_factory=list)
    rejects: list[tuple[str, int, str, bytes]] = field(default_factory=list)
    decisions: list[DecisionRow] = field(default_factory=list)
    packages: list[tuple[str, bytes]] = field(default_factory=list)
    installed: list[InstalledRow] = field(default_factory=list)
    uninstalled: list[tuple[str, str, str]] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Committed:
    """What a commit gave: the seqs of its `records`, in their order, and how many of them were there already."""

    seqs: list[int]
    duplicates: int = 0


@dataclass(slots=True)
class Keys:
    """What a batch wants to know. Every field is a plain list; an empty one costs nothing."""

    ledger: list[bytes] = field(default_factory=list)
    lives: list[tuple[str, str]] = field(default_factory=list)
    notifications: list[int] = field(default_factory=list)
    states: list[tuple[str, str]] = field(default_factory=list)
    exceptions: list[tuple[str, int]] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    identities: list[tuple[str, str]] = field(default_factory=list)
    annotations: list[int] = field(default_factory=list)
    member_views: list[tuple[str, int]] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    approvals: list[str] = field(default_factory=list)
    due_before: int | None = None
    silenced_before: int | None = None
    silenced_by: str | None = None


@dataclass(slots=True)
class Snapshot:
    """The answers to `Keys`; what is absent has no entry. Ledger rows are given as they are, expired or not.

    `lives` gives for (life, key) the open notification, or else the newest one that is not archived (so that `reopens` can find
    it). `identities` gives the record of a (source, id). `decisions` are by call; `approvals` count, by kind, the decisions that a
    person approved and nobody has undone or is undoing; `decision_last` is the highest number that one ever had, 0 where no decision was
    asked for. `due` are the notifications with `due` at or before `Keys.due_before`, by
    (due, id), at most `DUE_MAX`; none without it. `silenced` are those with `silenced_until` at or before `Keys.silenced_before`, or
    else with that `Keys.silenced_by`, by id, at most `DUE_MAX`.
    """

    ledger: dict[bytes, LedgerRow]
    lives: dict[tuple[str, str], Notification]
    notifications: dict[int, Notification]
    states: dict[tuple[str, str], bytes]
    exceptions: dict[tuple[str, int], ExceptionRow]
    records: dict[int, LogRow]
    identities: dict[tuple[str, str], LogRow]
    annotations: dict[int, dict[str, bytes]]
    member_views: dict[tuple[str, int], MemberView]
    notification_last: int
    decisions: dict[str, DecisionRow] = field(default_factory=dict)
    approvals: dict[str, int] = field(default_factory=dict)
    decision_last: int = 0
    due: list[Notification] = field(default_factory=list)
    silenced: list[Notification] = field(default_factory=list)


class Store(Protocol):
    """What a workspace keeps its memory in. Not safe to share between threads; each thread opens its own."""

    @property
    def epoch(self) -> str:
        """Names the life of this log; a restore takes a new one. See `eventctl.position`."""

    @property
    def views(self) -> Views:
        """What people read."""

    def append(self, records: Sequence[Record], *, rejects: Sequence[tuple[str, int, str, bytes]] = ()) -> list[Appended]:
        """Make records durable (fsync) in one transaction; all or none. `rejects` are (channel, at, reason, raw)."""

    def filling(self) -> AbstractContextManager[None]:
        """For a block that appends a whole log: a store that nobody keeps may make it cheap."""

    def read_log(self, after: int, limit: int, *, kinds: Sequence[Kind] = ()) -> list[LogRow]:
        """Records with seq > after, in order; only of `kinds` if any are named."""

    def read_feed(self, after: int, limit: int) -> list[FeedRow]:
        """Positions > after, in order."""

    def tail(self, stream: Stream) -> int:
        """The last position of a stream; 0 when it is empty."""

    def snapshot(self, keys: Keys) -> Snapshot:
        """What a batch needs to know, as of now."""

    def history(self, entity: str, *, before: int, limit: int, pattern: str = "**") -> list[LogRow]:
        """Events of an entity with seq < before, newest first, whose type fits the dotted pattern."""

    def commit(self, operations: Operations, *, durable: bool = False) -> Committed:
        """Write all of it or raise `Conflict`. `durable` fsyncs before it returns: for whatever somebody hears "ok" about."""

    def claim(self, now: int, *, lease: int, limit: int, kinds: Sequence[str] = ()) -> list[OutboxRow]:
        """Take due outbox rows for an attempt, durable before it returns: attempt + 1, a fresh attempt_id, lease = now + lease."""

    def overdue(self, now: int, *, limit: int) -> list[OutboxRow]:
        """Rows in `sending` whose lease is over: attempts whose end nobody saw."""

    def due_decisions(self, now: int, *, limit: int) -> list[DecisionRow]:
        """Decisions in `held` or `window` with due <= now, soonest first."""

    def installed(self) -> list[InstalledRow]:
        """Every version of every installed cartridge, by place, id and time."""

    def package(self, digest: str) -> bytes | None:
        """The body of a package; None when it is not here."""

    def due_timers(self, now: int, *, limit: int) -> list[TimerRow]:
        """Timers with due <= now, soonest first."""

    def due_retries(self, pipeline: str, now: int, *, limit: int) -> list[ExceptionRow]:
        """Exceptions of this pipeline in `retry` with due <= now, in stream order."""

    def exceptions_of(self, pipeline: str, states: Sequence[str]) -> list[ExceptionRow]:
        """Exceptions of this pipeline in these states, in stream order (what is waiting or behind is bounded by design)."""

    def next_due(self) -> int | None:
        """The soonest moment at which a timer, a retry, an outbox row, a lease on one, or an open decision is due; None for none."""

    def cursor(self, pipeline: str) -> CursorRow | None:
        """Where a pipeline stands."""

    def cursors(self) -> list[CursorRow]:
        """Where every pipeline stands."""

    def open_cursor(self, pipeline: str, *, at: int | None = None) -> CursorRow:
        """The pipeline's cursor, made at `at` (default: the tail of its stream) when it has none."""

    def take_over(self) -> int:
        """Fence every other runner: raises the term of all cursors by one and returns it."""

    def forget_cursor(self, pipeline: str, *, told: Sequence[Record] = ()) -> None:
        """Drop a cursor and what is outstanding under it: exceptions but for drops, its timers, outbox rows not yet attempted.

        Decisions stay, and what they owe: who was asked may still answer, and a yes is still done.
        `told` are the records that say so; they come in the same commit.
        """

    def units(self) -> dict[str, Unit]:
        """The files that people write, as last read, by path."""

    def meta(self, key: str) -> str | None:
        """A fact about the workspace."""

    def close(self) -> None:
        """Let go. Nothing is lost by not calling it."""


def gone_key(pipeline: str) -> str:
    """The fact that says since when nobody runs a pipeline (microseconds); it goes with the pipeline's cursor."""
    return f"gone.{pipeline}"


def row_hash(record: Record) -> bytes:
    """SHA-256 over the body and, before it, the other fields as a compact JSON array in their order: what `verify` compares."""
    kind, source, name, event, body, principal, at, entity, caused_by, hops = record
    return sha256(orjson.dumps((kind, source, name, event, principal, at, entity, caused_by, hops)) + body).digest()
