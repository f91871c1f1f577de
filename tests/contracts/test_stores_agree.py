"""Both stores, driven by the same verbs, give the same answers, the same errors and the same hash of the fold."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from eventctl.errors import EventctlError
from eventctl.memory_store import MemoryStore
from eventctl.notification import MemberView, Notification
from eventctl.sqlite_store import SqliteStore
from eventctl.store import (
    Advance,
    DecisionRow,
    ExceptionRow,
    InstalledRow,
    Keys,
    LedgerRow,
    Operations,
    OutboxChange,
    StateRow,
    Store,
    TimerRow,
)
from eventctl.suites.rows import NOON_US, asked, notification, owed, record
from eventctl.views import InboxFilter, LogFilter, Order, Trace

# Small ranges: what is wanted are collisions.
SMALL = st.integers(1, 6)
NAMES = st.sampled_from(["a", "b", "c"])
PIPELINES = st.sampled_from(["system", "domain:a", "domain:a.b"])
TYPES = st.sampled_from(["build.failed", "build.done", "deploy.eu.done", "deploy"])
PATTERNS = st.sampled_from(["**", "build.*", "deploy.**", "*.done", "deploy"])
STATES = st.sampled_from(["dropped", "quarantined", "waiting", "behind", "retry", "dead"])
MOMENTS = st.integers(0, 40).map(lambda second: NOON_US + second * 1_000_000)
MAYBE_MOMENT = st.none() | MOMENTS
BODIES = st.binary(max_size=4)

RECORDS = st.builds(
    record,
    st.integers(1, 30),
    source=NAMES,
    kind=st.sampled_from(["event", "move", "timer", "answer"]),
    type=TYPES,
    at=MOMENTS,
    entity=st.none() | NAMES,
    caused_by=st.none() | SMALL,
    body=BODIES,
)
EXCEPTIONS = st.builds(
    ExceptionRow,
    PIPELINES,
    SMALL,
    STATES,
    SMALL,
    NAMES,
    st.sampled_from(["duplicate of e1", "duplicate of e2", "why"]),
    SMALL,
    MAYBE_MOMENT,
)
NOTIFICATIONS = st.builds(
    notification,
    SMALL,
    life_key=NAMES,
    level=st.integers(0, 3),
    type=TYPES,
    title=st.sampled_from(["Ähnlich", "ÄHNLICH", "build 1%", "Build_2", ""]),
    actionable=st.booleans(),
    agent_state=st.sampled_from(["none", "claimed", "resolved"]),
    archived_at=st.none() | MOMENTS,
    domain=NAMES,
    entity=st.sampled_from([None, "", "a", "b"]),
    seq=SMALL,
    updated_at=MOMENTS,
    due=MAYBE_MOMENT,
    ver=st.integers(1, 3),
    watched=st.none() | BODIES,
)
OUTBOX = st.builds(owed, st.integers(1, 9).map(str), kind=NAMES, seq=SMALL, pipeline=PIPELINES, next_at=MOMENTS)

DECISION_STATES = st.sampled_from(["held", "window", "approved", "done", "undone"])
DECISIONS = st.builds(
    asked,
    NAMES,
    number=st.sampled_from([0, 0, 0, 4]),
    state=DECISION_STATES,
    kind=NAMES,
    domain=NAMES,
    owner=NAMES,
    seq=SMALL,
    due=MAYBE_MOMENT,
    approved=st.booleans(),
    ver=st.sampled_from([1, 1, 2]),
)
INSTALLED = st.builds(InstalledRow, NAMES, NAMES, NAMES, NAMES, st.booleans(), NAMES, NAMES, NAMES, MOMENTS)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, max_size=3)


ADVANCES = st.builds(Advance, PIPELINES, st.integers(0, 3), st.integers(0, 6), st.integers(0, 1), applied=SMALL)
OPERATIONS = st.builds(
    Operations,
    advance=st.none() | ADVANCES,
    records=some(RECORDS),
    feed=some(st.tuples(SMALL, TYPES, st.sampled_from(["accept", "release"]))),
    exceptions=some(EXCEPTIONS),
    cleared=some(st.tuples(PIPELINES, SMALL)),
    annotations=some(st.tuples(SMALL, NAMES, BODIES)),
    ledger=some(st.builds(LedgerRow, NAMES.map(lambda name: name.encode() * 16), SMALL, MOMENTS)),
    states=some(st.builds(StateRow, NAMES, NAMES, st.none() | BODIES, st.none() | MOMENTS)),
    timers=some(st.builds(TimerRow, PIPELINES, NAMES, MOMENTS, BODIES)),
    timers_cleared=some(st.tuples(PIPELINES, NAMES, MAYBE_MOMENT)),
    opened=st.lists(NOTIFICATIONS, max_size=1),
    changed=st.lists(NOTIFICATIONS, max_size=1),
    purged=st.lists(SMALL, max_size=1),
    touched=some(st.tuples(SMALL, SMALL)),
    member_views=some(st.builds(MemberView, NAMES, SMALL, SMALL, MAYBE_MOMENT)),
    outbox=some(OUTBOX),
    decisions=some(DECISIONS),
    packages=some(st.tuples(NAMES, BODIES)),
    installed=some(INSTALLED),
    uninstalled=some(st.tuples(NAMES, NAMES, NAMES)),
    meta=st.dictionaries(NAMES, NAMES, max_size=1),
)
ALL_KEYS = Keys(
    ledger=[name * 16 for name in (b"a", b"b", b"c")],
    lives=[("builds.build", name) for name in "abc"],
    notifications=list(range(1, 7)),
    states=[(left, right) for left in "abc" for right in "abc"],
    exceptions=[(name, seq) for name in ("system", "domain:a", "domain:a.b") for seq in range(1, 7)],
    records=list(range(1, 60)),
    identities=[(name, f"e{number}") for name in "abc" for number in range(1, 31)],
    annotations=list(range(1, 7)),
    member_views=[(name, number) for name in "abc" for number in range(1, 7)],
    decisions=list("abc"),
    approvals=list("abc"),
    due_before=NOON_US + 20_000_000,
)


class Stores(RuleBasedStateMachine):
    """Two stores that must not be told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="eventctl-stores-")
        self.sqlite = SqliteStore.create(Path(self.folder.name) / "state.db", checkpointer=True, reserve_bytes=0)
        self.memory = MemoryStore()
        self.attempts: list[tuple[str, str, str]] = []

    def teardown(self) -> None:
        self.sqlite.close()
        self.folder.cleanup()

    def both(self, verb: Callable[[Store], Any]) -> Any:
        answers = [outcome(verb, store) for store in (self.memory, self.sqlite)]
        assert answers[0] == answers[1]
        return answers[0]

    @rule(records=st.lists(RECORDS, max_size=5), rejects=some(st.tuples(NAMES, MOMENTS, NAMES, BODIES)))
    def append(self, records: list[Any], rejects: list[Any]) -> None:
        self.both(lambda store: store.append(records, rejects=rejects))

    @rule(operations=OPERATIONS)
    def commit(self, operations: Operations) -> None:
        self.both(lambda store: store.commit(operations))

    @rule(number=SMALL, given=NOTIFICATIONS)
    def change(self, number: int, given: Notification) -> None:
        held = self.memory.views.notification(number)
        if held is not None:
            row = given._replace(id=number, ver=held.ver + 1)
            self.both(lambda store: store.commit(Operations(changed=[row])))

    @rule(number=SMALL, given=DECISIONS)
    def decide(self, number: int, given: DecisionRow) -> None:
        held = self.memory.views.decision(number)
        if held is not None:
            row = given._replace(number=number, call=held.call, ver=held.ver + 1)
            self.both(lambda store: store.commit(Operations(decisions=[row])))

    @rule(pipeline=PIPELINES, expected=st.booleans(), by=st.integers(0, 3), booked=st.integers(0, 3))
    def advance(self, pipeline: str, expected: bool, by: int, booked: int) -> None:
        at = self.memory.cursor(pipeline)
        if at is not None:
            move = Advance(pipeline, at.pos if expected else at.pos + 1, at.pos + by, at.term, waiting=booked)
            self.both(lambda store: store.commit(Operations(advance=move)))

    @rule(pipeline=PIPELINES, at=st.none() | st.integers(0, 3))
    def open_cursor(self, pipeline: str, at: int | None) -> None:
        self.both(lambda store: store.open_cursor(pipeline, at=at))

    @rule()
    def take_over(self) -> None:
        self.both(lambda store: store.take_over())

    @rule(pipeline=PIPELINES)
    def forget_cursor(self, pipeline: str) -> None:
        self.both(lambda store: store.forget_cursor(pipeline))

    @rule(now=MOMENTS, limit=st.integers(0, 3), kinds=st.lists(NAMES, max_size=2))
    def claim(self, now: int, limit: int, kinds: list[str]) -> None:
        memory, sqlite = (store.claim(now, lease=9, limit=limit, kinds=kinds) for store in (self.memory, self.sqlite))
        assert [row._replace(attempt_id="") for row in memory] == [row._replace(attempt_id="") for row in sqlite]
        self.attempts += [(one.id, one.attempt_id, two.attempt_id) for one, two in zip(memory, sqlite, strict=True)]

    @rule(which=st.integers(0, 50), state=st.sampled_from(["done", "retry", "dead", "unknown"]), answered=st.booleans())
    def end_attempt(self, which: int, state: str, answered: bool) -> None:
        if not self.attempts:
            return
        name, in_memory, in_sqlite = self.attempts[which % len(self.attempts)]
        answers = [record(99, kind="answer", source="outbox", id=name)] if answered else []

        def end(store: Store) -> Any:
            attempt = in_memory if store is self.memory else in_sqlite
            return store.commit(Operations(records=answers, outbox_changed=[OutboxChange(name, attempt, state, 7)]))

        self.both(end)

    @rule(pattern=PATTERNS, entity=NAMES, before=st.integers(0, 30), limit=st.integers(0, 5))
    def look_back(self, pattern: str, entity: str, before: int, limit: int) -> None:
        self.both(lambda store: store.history(entity, before=before, limit=limit, pattern=pattern))
        self.both(lambda store: store.read_log(before, limit, kinds=("event", "move")))
        self.both(lambda store: store.read_feed(before, limit))

    @rule(
        want=st.builds(
            InboxFilter,
            types=st.lists(PATTERNS, max_size=2),
            level_min=st.integers(0, 2),
            text=st.sampled_from(["", "BUILD", "ä", "Ä", "%", "_", "1%", "1% build"]),
            order=st.sampled_from(get_args(Order)),
            member=NAMES,
            unseen=st.booleans(),
            hide_snoozed_at=MAYBE_MOMENT,
            since=MAYBE_MOMENT,
            until=MAYBE_MOMENT,
            archived=st.booleans(),
            resolved=st.booleans(),
        ),
        limit=st.integers(1, 3),
    )
    def page_the_inbox(self, want: InboxFilter, limit: int) -> None:
        page = self.both(lambda store: store.views.inbox(want, limit=limit))
        if page.next:
            self.both(lambda store: store.views.inbox(want, limit=limit, after=page.next))
        self.both(lambda store: store.views.inbox_count(want, most=limit))

    @rule(
        want=st.builds(
            LogFilter,
            types=st.lists(PATTERNS, max_size=2),
            kinds=st.lists(st.sampled_from(["event", "move"]), max_size=1),
            sources=st.lists(NAMES, max_size=1),
            entity=st.none() | NAMES,
            since=MAYBE_MOMENT,
            until=MAYBE_MOMENT,
            text=st.sampled_from(["", "build", "DEPLOY eu", "a"]),
        ),
        limit=st.integers(0, 4),
        before=st.none() | st.integers(0, 30),
        above=st.integers(0, 9),
    )
    def read_the_log(self, want: LogFilter, limit: int, before: int | None, above: int) -> None:
        self.both(lambda store: store.views.log(want, limit=limit, before=before, above=above))

    @rule(seq=SMALL, limit=st.integers(1, 4), states=st.lists(STATES, max_size=2), now=MOMENTS)
    def read_the_rest(self, seq: int, limit: int, states: list[str], now: int) -> None:
        self.both(lambda store: traced(store, seq))
        self.both(lambda store: store.views.exceptions(states=states, limit=limit, before=seq))
        self.both(lambda store: store.exceptions_of("domain:a", states))
        self.both(lambda store: store.due_retries("domain:a", now, limit=limit))
        self.both(lambda store: store.due_timers(now, limit=limit))
        self.both(lambda store: store.due_decisions(now, limit=limit))
        self.both(lambda store: store.views.decisions_about(seq))
        self.both(lambda store: store.package("a"))
        self.both(lambda store: [row._replace(attempt_id="") for row in store.overdue(now, limit=limit)])
        self.both(lambda store: store.views.life(seq, limit=limit))
        self.both(lambda store: store.views.member_views(seq))
        self.both(lambda store: store.views.find("e1"))
        self.both(lambda store: store.views.types_seen(limit=limit))
        self.both(lambda store: store.views.types_seen(limit=limit, since=now))
        self.both(lambda store: store.views.type_names(limit=limit))
        self.both(lambda store: store.views.sources(limit=limit))
        self.both(lambda store: store.views.rate(now, 7_000_000))
        self.both(lambda store: store.views.rejects(limit=limit, before=seq))
        self.both(lambda store: [row.id for row in store.views.outbox(states=states, limit=limit, after=str(seq))])

    @rule(states=st.lists(DECISION_STATES, max_size=2), whose=st.lists(NAMES, max_size=2), after=st.none() | SMALL, limit=SMALL)
    def page_the_decisions(self, states: list[str], whose: list[str], after: int | None, limit: int) -> None:
        self.both(lambda store: store.views.decisions(states, domains=whose, owners=whose[:1], after=after, limit=limit))

    @invariant()
    def nothing_tells_them_apart(self) -> None:
        self.both(lambda store: store.snapshot(ALL_KEYS))
        self.both(lambda store: store.cursors())
        self.both(lambda store: store.views.cursors())
        self.both(lambda store: store.next_due())
        self.both(lambda store: store.installed())
        self.both(lambda store: store.views.counts())
        self.both(lambda store: store.views.projection_hash())


def traced(store: Store, seq: int) -> Trace | None:
    """The trace, but for attempt ids, which each store makes up."""
    trace = store.views.trace(seq)
    if trace is not None:
        trace.outbox = [row._replace(attempt_id="") for row in trace.outbox]
    return trace


def outcome(verb: Callable[[Store], Any], store: Store) -> Any:
    try:
        return verb(store)
    except EventctlError as error:
        return type(error), str(error)


TestStores = Stores.TestCase
# Without shrinking, which for a machine of this size takes minutes: add it when a failure is hard to read.
TestStores.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, phases=[Phase.reuse, Phase.generate], report_multiple_bugs=False
)
