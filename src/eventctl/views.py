"""What people read: inbox, log, trace, counts. Read-only, paged by key, each call one short read.

Nothing here decides anything; every list is newest or most urgent first and takes `after`, the last item of the page before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from eventctl.notification import MemberView, Notification
from eventctl.store import CursorRow, DecisionRow, ExceptionRow, FeedRow, LogRow, OutboxRow, Reject

Order = Literal["level", "domain", "age", "oldest", "entity"]
"""How an inbox is sorted. `level`: open before resolved before archived, then by level, then the newest change first. `age`: the
newest change first, `oldest`: the oldest first. `domain` and `entity`: by name, what has none last, and within a name as `level`."""


@dataclass(frozen=True, slots=True)
class InboxFilter:
    """Which notifications, in which order. Empty means any.

    `types` and `domains` are dotted patterns; times are microseconds since 1970 UTC.
    `member` is whose eyes: it adds their seen and snoozed state, and `unseen` or `hide_snoozed` need it. `states` are of the
    agent axis (none, claimed, in_progress, resolved). Archived ones show only when asked for. `hide_silenced_at` leaves out what is
    silenced then, `silenced_at` everything else. Every word of `text` is in the title or somewhere in the newest event, whose names
    of fields count too; A to Z are the same as a to z.

    `level` walks an index and costs what a page costs. The other orders look at all that is open (100,000 rows: 0.2 s), or with
    `resolved` or `archived` at those too; and a word that is nowhere is looked for everywhere (0.5 s).
    """

    types: Sequence[str] = ()
    domains: Sequence[str] = ()
    level_min: int = 0
    states: Sequence[str] = ()
    entity: str | None = None
    audience: Sequence[str] = ()
    since: int | None = None
    until: int | None = None
    text: str = ""
    member: str = ""
    unseen: bool = False
    hide_snoozed_at: int | None = None
    hide_silenced_at: int | None = None
    silenced_at: int | None = None
    archived: bool = False
    resolved: bool = True
    order: Order = "level"


class InboxItem(NamedTuple):
    """A notification with one member's side of it; `seen` is whether they have seen its newest news."""

    notification: Notification
    seen: bool
    snooze_until: int | None


class InboxPage(NamedTuple):
    """A page, and the token for the next one ("" at the end)."""

    items: list[InboxItem]
    next: str


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which records. `types` are dotted patterns; `sources` exact; times are microseconds since 1970 UTC.

    Every word of `text` is in the record's body, its type or its source; A to Z are the same as a to z.
    """

    types: Sequence[str] = ()
    kinds: Sequence[str] = ()
    sources: Sequence[str] = ()
    entity: str | None = None
    since: int | None = None
    until: int | None = None
    text: str = ""


@dataclass(slots=True)
class Trace:
    """All that the store knows about one record: where it came from, what was done with it, what came of it.

    `parents` goes up to the root, nearest first; `children` are the records caused by this one (capped at 100);
    `duplicates` are the records that were dropped as repeats of this one.
    """

    record: LogRow
    parents: list[LogRow] = field(default_factory=list)
    children: list[LogRow] = field(default_factory=list)
    exceptions: list[ExceptionRow] = field(default_factory=list)
    annotations: dict[str, bytes] = field(default_factory=dict)
    feed: list[FeedRow] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    outbox: list[OutboxRow] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    duplicates_count: int = 0


class Counts(NamedTuple):
    """Numbers of the whole workspace; `unaccounted` is conservation and must be 0."""

    log_records: int
    log_tail: int
    feed_tail: int
    notifications_open: int
    notifications_unclaimed: int
    outbox_owed: int
    outbox_dead: int
    outbox_unknown: int
    rejects: int
    unaccounted: int
    decisions_held: int = 0


class TypeSeen(NamedTuple):
    """An event type in the log: how many, and the seqs of the newest and the oldest of them."""

    type: str
    events: int
    newest: int
    oldest: int


class SourceSeen(NamedTuple):
    """A source that was heard: how many records came from it, and the seq of the newest."""

    source: str
    events: int
    newest: int


class Views(Protocol):
    """The reads behind every command and screen."""

    def version(self) -> int:
        """A number that is another one after anybody has committed. Costs microseconds; numbers of two connections cannot be compared."""

    def inbox(self, want: InboxFilter, *, limit: int = 50, after: str = "") -> InboxPage:
        """A page in the filter's order. `after` is the token that a page of the same order ended with."""

    def inbox_count(self, want: InboxFilter, *, most: int = 1_000) -> int:
        """How many fit, counted up to `most`."""

    def notification(self, number: int) -> Notification | None: ...

    def life(self, number: int, *, limit: int = 200) -> list[LogRow]:
        """The events and moves of a notification's life, oldest first."""

    def member_views(self, number: int) -> list[MemberView]: ...

    def record(self, seq: int) -> LogRow | None: ...

    def find(self, text: str) -> list[LogRow]:
        """Records whose id is, or begins with, this text (at most 10)."""

    def log(self, want: LogFilter, *, limit: int = 50, before: int | None = None, above: int = 0) -> list[LogRow]:
        """Newest first, below `before` and above `above`.

        Whatever the filter has an index for (type, entity, time) is found at once. For a text or a source the records are read one
        after the other until `limit` fit, 0.4 us for each: 0.5 s for a word that none of a million has. Who must not wait walks in
        spans, which end where they were told to: `before=n, above=n - 5_000` is 2 ms.
        """

    def trace(self, seq: int) -> Trace | None: ...

    def exceptions(
        self, *, states: Sequence[str] = (), pipeline: str = "", limit: int = 50, before: int | None = None
    ) -> list[ExceptionRow]:
        """Newest first, by seq below `before`."""

    def rejects(self, *, limit: int = 50, before: int | None = None) -> list[Reject]: ...

    def outbox(self, *, states: Sequence[str] = (), limit: int = 50, after: str = "") -> list[OutboxRow]: ...

    def decisions(
        self,
        states: Sequence[str] = (),
        *,
        domains: Sequence[str] = (),
        owners: Sequence[str] = (),
        after: int | None = None,
        limit: int = 50,
    ) -> list[DecisionRow]:
        """Newest first, with numbers below `after`; with `domains` or `owners`, those that are one of these domains' or owners'."""

    def decision(self, number: int) -> DecisionRow | None: ...

    def decisions_about(self, seq: int) -> list[DecisionRow]:
        """What was asked about this record, in the order of asking."""

    def cursors(self) -> list[tuple[CursorRow, int]]:
        """Every pipeline with its lag in positions."""

    def types_seen(self, *, limit: int = 200, since: int | None = None, only: str = "") -> list[TypeSeen]:
        """Event types in the log, most frequent first, or `only` that one. Counts from the first record that came `since` then."""

    def type_names(self, *, limit: int = 10_000) -> list[str]:
        """The names of the event types in the log, sorted. Costs a look for each name and not for each record."""

    def sources(self, *, limit: int = 200) -> list[SourceSeen]:
        """Who was heard, most recently first.

        A source whose newest record is a move, a timer or an answer is the platform's own and left out.
        Walks an index from end to end: 0.6 s for a million records.
        """

    def rate(self, since: int, step: int) -> list[tuple[int, int]]:
        """Events ingested from `since` on, as (start of the step, how many), in order; steps without any are left out.

        Microseconds; steps begin at multiples of `step`. Costs 0.4 us for each of these records. Raises `UsageError` for no step.
        """

    def counts(self) -> Counts: ...

    def projection_hash(self) -> str:
        """SHA-256 over what the system pipeline folds: notifications, their lives, member views. The same log gives the same hash."""
