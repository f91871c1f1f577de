"""Views stay short reads: what a page costs does not grow with what stands behind it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eventctl.audit import audit
from eventctl.sqlite_store import SqliteStore
from eventctl.sqlite_tally import Tally, misbooked
from eventctl.store import ExceptionRow, Operations
from eventctl.suites.rows import NOON_US, advance, notification, owed, record
from eventctl.views import InboxFilter, LogFilter

STEP = 10
"""SQLite instructions per tick of the counter."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.create(tmp_path / "state" / "state.db", checkpointer=True, reserve_bytes=0)
    yield store
    store.close()


def work(store: SqliteStore, read: Callable[[], object]) -> int:
    """How many ticks of SQLite's machine a read takes: the same on every computer, unlike time."""
    ticks = 0

    def tick() -> int:
        nonlocal ticks
        ticks += 1
        return 0

    read()  # compiles the statement
    store.connection.db.set_progress_handler(tick, STEP)
    read()
    store.connection.db.set_progress_handler(None, 0)
    return ticks


def fill(store: SqliteStore, first: int, count: int) -> None:
    """As many records, and half as many of each of the other things."""
    for start in range(first, first + count, 1000):
        numbers = range(start, start + 1000)
        store.append([record(n, type=f"build.t{n % 20}", entity=f"e{n}", caused_by=n // 2 or None) for n in numbers])
        half = numbers[::2]
        opened = [
            notification(n, level=n % 4, updated_at=NOON_US + n * 7919 % 10_000, agent_state="resolved" if n % 3 else "none")
            for n in half
        ]
        store.commit(
            Operations(
                feed=[(n, "build.t1", "accept") for n in numbers],
                opened=opened,
                touched=[(n, n) for n in half],
                outbox=[owed(f"o{n}", seq=n, state="done" if n % 8 else "dead") for n in half],
                exceptions=[
                    ExceptionRow("system", n, "dropped" if n % 8 else "dead", n, "dedup", f"duplicate of e{n - 1}")
                    for n in half
                ],
            )
        )


READS: dict[str, Callable[[SqliteStore], object]] = {
    "first page of the inbox": lambda store: store.views.inbox(InboxFilter()),
    "a later page": lambda store: store.views.inbox(InboxFilter(), after=store.views.inbox(InboxFilter(), limit=300).next),
    "a member's page": lambda store: store.views.inbox(InboxFilter(member="ada", unseen=True)),
    "open ones only": lambda store: store.views.inbox(InboxFilter(resolved=False)),
    "how many fit, up to a bound": lambda store: store.views.inbox_count(InboxFilter(), most=100),
    "version": lambda store: store.views.version(),
    "tail of the log": lambda store: store.views.log(LogFilter()),
    "older log": lambda store: store.views.log(LogFilter(), before=500),
    "log of a type": lambda store: store.views.log(LogFilter(types=["build.t3"])),
    "log of many types": lambda store: store.views.log(LogFilter(types=["build.*"])),
    "log of an entity": lambda store: store.views.log(LogFilter(entity="e77")),
    "a span of the log for a text": lambda store: store.views.log(LogFilter(text="nowhere"), before=900, above=400),
    "rate of the newest": lambda store: store.views.rate(NOON_US + store.tail("log") * 1_000_000 - 99_000_000, 1_000_000),
    "trace": lambda store: store.views.trace(500),
    "life": lambda store: store.views.life(500),
    "find": lambda store: store.views.find("e77"),
    "exceptions": lambda store: store.views.exceptions(),
    "dead letters": lambda store: store.views.exceptions(states=("dead", "quarantined")),
    "rejects": lambda store: store.views.rejects(),
    "outbox": lambda store: store.views.outbox(),
    "cursors": lambda store: store.views.cursors(),
    "history": lambda store: store.history("e77", before=999, limit=50),
    "due timers": lambda store: store.due_timers(9, limit=9),
    "next due": lambda store: store.next_due(),
    "claim": lambda store: store.claim(9, lease=9, limit=9),
    "overdue": lambda store: store.overdue(9, limit=9),
    "retries": lambda store: store.due_retries("system", 9, limit=9),
    "what waits": lambda store: store.exceptions_of("system", ("waiting", "behind")),
}


def test_no_page_costs_more_when_ten_times_as_much_stands_behind_it(store: SqliteStore) -> None:
    fill(store, 1, 2000)
    before = {name: work(store, lambda read=read: read(store)) for name, read in READS.items()}  # type: ignore[misc]
    fill(store, 2001, 18_000)
    after = {name: work(store, lambda read=read: read(store)) for name, read in READS.items()}  # type: ignore[misc]
    grown = {name: (before[name], after[name]) for name in READS if after[name] > 1.2 * before[name] + 5}
    assert {} == grown


def test_the_counter_of_work_sees_a_scan(store: SqliteStore) -> None:
    fill(store, 1, 2000)
    scan = work(store, lambda: store.views.inbox(InboxFilter(text="nowhere")))
    assert scan > 10 * work(store, lambda: store.views.inbox(InboxFilter(), limit=5))


def test_the_version_tells_what_another_connection_has_committed(store: SqliteStore) -> None:
    reader = SqliteStore.open(store.connection.path, role="reader")
    before = reader.views.version()
    assert before == reader.views.version()
    store.append([record(1)])
    assert before != reader.views.version()
    assert 1 == reader.tail("log")
    after = reader.views.version()
    store.append([record(1)])  # a repeat, which writes nothing
    assert after == reader.views.version()
    reader.close()


def test_conservation_is_counted_from_where_the_last_look_ended(store: SqliteStore) -> None:
    fill(store, 1, 2000)
    store.open_cursor("system", at=0)
    store.open_cursor("domain:a", at=0)
    store.commit(advance("system", 0, 2000, applied=2000))
    store.commit(advance("domain:a", 0, 2000, applied=2000))
    fresh = SqliteStore.open(store.connection.path)
    first = work(fresh, lambda: Tally().balance(fresh.connection.db))
    fresh.close()
    tally = Tally()
    assert first > 10 * work(store, lambda: tally.balance(store.connection.db))
    store.append([record(9001)])
    assert (2001, 0) == tally.balance(store.connection.db)


def test_a_row_that_got_lost_is_unaccounted(store: SqliteStore) -> None:
    store.append([record(n) for n in range(1, 11)])
    store.open_cursor("system", at=0)
    store.commit(advance("system", 0, 10, applied=10))
    assert 0 == store.views.counts().unaccounted
    store.connection.db.execute("DELETE FROM log WHERE seq = 4")
    fresh = SqliteStore.open(store.connection.path, role="reader")
    assert 1 == fresh.views.counts().unaccounted
    fresh.close()


@pytest.mark.parametrize(
    ("bucket", "state", "pos", "wrong"),
    [
        ("applied", "struck", 11, ""),
        ("waiting", "struck", 3, ""),
        ("waiting", "behind", 3, ""),
        ("dead", "dead", 3, ""),
        ("dropped", "dropped", 3, ""),
        ("applied", "struck", 3, "domain:a: waiting is 0, and there are 1"),
        ("waiting", "dead", 3, "domain:a: dead is 0, and there are 1; domain:a: waiting is 1, and there are 0"),
        ("dead", "quarantined", 3, "domain:a: quarantined is 0, and there are 1; domain:a: dead is 1, and there are 0"),
        ("applied", "dropped", 3, "domain:a: dropped is 0, and there are 1"),
    ],
)
def test_each_bucket_is_recounted_from_the_exceptions(
    store: SqliteStore, bucket: str, state: str, pos: int, wrong: str
) -> None:
    store.append([record(n) for n in range(1, 11)])
    store.commit(Operations(feed=[(n, "build.t1", "accept") for n in range(1, 11)]))
    store.open_cursor("domain:a", at=0)
    counted = {"applied": 9} | {bucket: 1 + 9 * (bucket == "applied")}
    store.commit(advance("domain:a", 0, 10, **counted))
    store.commit(Operations(exceptions=[ExceptionRow("domain:a", 3, state, pos, "hangs", "")]))
    assert wrong == "; ".join(misbooked(store.connection.db))


def test_what_an_earlier_cursor_has_dropped_is_not_counted_on_a_later_one(store: SqliteStore) -> None:
    store.append([record(n) for n in range(1, 11)])
    store.commit(Operations(feed=[(n, "build.t1", "accept") for n in range(1, 11)]))
    store.open_cursor("domain:a", at=0)
    store.commit(advance("domain:a", 0, 10, applied=9, dropped=1))
    store.commit(Operations(exceptions=[ExceptionRow("domain:a", 10, "dropped", 10, "filter", "")]))
    store.forget_cursor("domain:a")
    store.open_cursor("domain:a")
    assert [] == misbooked(store.connection.db)


def test_a_bucket_below_zero_is_named(store: SqliteStore) -> None:
    store.append([record(n) for n in range(1, 11)])
    store.commit(Operations(feed=[(n, "build.t1", "accept") for n in range(1, 11)]))
    store.open_cursor("domain:a", at=0)
    store.commit(advance("domain:a", 0, 10, applied=11, waiting=-1))
    accounts = audit(store)[-1]
    assert ("accounts", False) == (accounts.name, accounts.ok)
    assert "domain:a: waiting is -1, and there are 0" in accounts.said


def test_what_retention_has_trimmed_is_accounted_for(store: SqliteStore) -> None:
    store.append([record(n) for n in range(1, 11)])
    store.open_cursor("system", at=0)
    store.open_cursor("domain:a")
    store.commit(advance("system", 0, 10, applied=10))
    db = store.connection.db
    assert (10, 0) == (store.views.counts().log_records, store.views.counts().unaccounted)
    db.execute("DELETE FROM log WHERE seq <= 6")
    db.execute("INSERT INTO meta VALUES ('trimmed.log', '6')")
    assert (4, 10, 0) == (store.views.counts().log_records, store.views.counts().log_tail, store.views.counts().unaccounted)


def test_a_cursor_ahead_of_its_stream_does_not_spoil_the_count(store: SqliteStore) -> None:
    store.open_cursor("domain:a", at=3)
    assert 3 == store.views.counts().unaccounted
    store.commit(Operations(feed=[(n, "a", "accept") for n in range(1, 6)]))
    assert 0 == store.views.counts().unaccounted
