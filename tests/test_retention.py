"""Retention, snapshots and backups on a real database."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import orjson
import pytest

from eventctl import catalog, moves
from eventctl.audit import audit
from eventctl.backup import back_up, inspect, restore
from eventctl.decode import decode, to_record
from eventctl.errors import Conflict, Misconfigured, StorageFailed
from eventctl.migrations import MIGRATIONS, upgrade
from eventctl.notification import Notification
from eventctl.principal import ROLES, Principal
from eventctl.rebuild import rebuild
from eventctl.retention import DECISIONS, HOLD, Keep, Retention
from eventctl.snapshots import Snapshots
from eventctl.sqlite_store import SqliteStore
from eventctl.store import (
    DECISION_ENDS,
    Advance,
    ExceptionRow,
    InstalledRow,
    Keys,
    LedgerRow,
    Operations,
    OutboxRow,
    Record,
    StateRow,
    gone_key,
)
from eventctl.suites.rows import asked
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import DAY

NOW = 1_800_000_000_000_000
OLD = NOW - 100 * DAY
INSTALLED = InstalledRow("library", "a", "1.0", "d1", True, "worker", "folder", "cli:ada", OLD)
ORDERS = {
    "namespace": "shop",
    "lives": {"order": {"key": ["order"], "title": "Order {order}"}},
    "types": {
        "placed": {"summary": "An order came in.", "level": "workflow", "lives": {"order": "opens"}},
        "noise": {"summary": "Nothing that shows."},
    },
}


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore.create(tmp_path / "state" / "state.db", role="runner", checkpointer=True, reserve_bytes=0)


def fill(store: SqliteStore, count: int, *, at: int = OLD, body: bytes = b"x" * 400) -> None:
    """`count` events, all read and fed on by the system pipeline."""
    start = store.tail("log")
    store.append([Record("event", "s", f"id-{start + n}", "a.b", body, "cli:x", at + n) for n in range(count)])
    store.open_cursor("system", at=0)
    tail = store.tail("log")
    feed = [(seq, "a.b", "accept") for seq in range(start + 1, tail + 1)]
    store.commit(Operations(advance=Advance("system", start, tail, 0, applied=count), feed=feed))


def expired(pipeline: str, reason: str, now: int) -> Record:
    return Record("event", "tests", f"expired-{pipeline}", "expired", reason.encode(), "system:tests", now, pipeline)


def trim(
    store: SqliteStore, live: frozenset[str] = frozenset({"system"}), *, now: int = NOW, size: int | None = None
) -> Retention:
    retention = Retention(store, Keep(90 * DAY, size), live, expired)
    while retention.work(now):
        pass
    return retention


def notification(number: int, seq: int) -> Notification:
    return Notification(number, "l", f"[{number}]", "workspace", 2, "", "a.b", None, "t", False, seq, seq, OLD, OLD)


def test_old_records_go_and_the_disk_gets_its_room_back(store: SqliteStore) -> None:
    fill(store, 20_000)
    fill(store, 10, at=NOW)
    store.checkpoint()
    before = store.connection.path.stat().st_size
    trim(store)
    store.checkpoint()
    assert 10 == store.views.counts().log_records
    assert 0 == store.views.counts().unaccounted
    assert store.connection.path.stat().st_size < before / 4


def test_the_newest_record_and_position_stay_so_that_no_number_is_given_twice(store: SqliteStore) -> None:
    fill(store, 50)
    trim(store)
    assert [50] == [row.seq for row in store.read_log(0, 100)]
    assert [50] == [row.pos for row in store.read_feed(0, 100)]
    fill(store, 1, at=NOW)
    assert 51 == store.tail("log")


def test_what_is_still_shown_held_or_owed_keeps_its_record(store: SqliteStore) -> None:
    fill(store, 100)
    store.commit(
        Operations(
            opened=[notification(1, 10)],
            touched=[(1, 10)],
            exceptions=[
                ExceptionRow("system", 20, "quarantined", 20, "trust", "odd"),
                ExceptionRow("system", 30, "dropped", 30, "d", "r"),
            ],
            outbox=[OutboxRow("o", "call", "log", "system", 40, b"{}")],
        )
    )
    trim(store)
    assert [10, 20, 40, 100] == [row.seq for row in store.read_log(0, 100)]


def test_a_record_that_was_kept_goes_once_nothing_points_at_it(store: SqliteStore) -> None:
    fill(store, 100)
    store.commit(Operations(opened=[notification(1, 10)], touched=[(1, 10)]))
    trim(store)
    store.commit(Operations(purged=[1]))
    trim(store, now=NOW + DAY)
    assert [100] == [row.seq for row in store.read_log(0, 100)]


def test_a_pipeline_that_is_behind_holds_what_it_has_not_read(store: SqliteStore) -> None:
    fill(store, 100)
    store.open_cursor("domain:x", at=60)
    trim(store, frozenset({"system", "domain:x"}))
    assert list(range(61, 101)) == [row.seq for row in store.read_log(0, 100)]


def test_a_pipeline_that_nobody_runs_lets_go_after_seven_days_and_is_named(store: SqliteStore) -> None:
    fill(store, 100)
    store.open_cursor("domain:x", at=60)
    trim(store)
    assert store.cursor("domain:x") is not None
    trim(store, now=NOW + HOLD + 1)
    assert store.cursor("domain:x") is None
    told = store.read_log(100, 10)
    assert [("domain:x", b"nobody has run it for 7d")] == [(row.entity, row.body) for row in told]
    assert store.meta(gone_key("domain:x")) is None


def test_a_pipeline_that_cannot_be_told_of_keeps_its_place(store: SqliteStore) -> None:
    fill(store, 100)
    store.open_cursor("domain:x", at=60)
    trim(store)
    held = store.cursor("domain:x")
    with pytest.raises(sqlite3.IntegrityError):
        store.forget_cursor("domain:x", told=[expired("domain:x", "r", NOW)._replace(type=None)])  # type: ignore[arg-type]
    assert held == store.cursor("domain:x")


def test_a_file_over_its_size_loses_its_oldest_records_first(store: SqliteStore) -> None:
    fill(store, 5_000, at=NOW)
    trim(store, size=1 << 20)
    left = [row.seq for row in store.read_log(0, 10_000)]
    assert left == list(range(left[0], 5_001))
    assert 500 < len(left) < 4_000


def test_an_expired_occurrence_leaves_the_ledger(store: SqliteStore) -> None:
    fill(store, 2)
    store.commit(Operations(ledger=[LedgerRow(b"a" * 16, 1, NOW - 1), LedgerRow(b"b" * 16, 2, NOW + 1)]))
    trim(store)
    with sqlite3.connect(store.connection.path) as db:
        assert [(b"b" * 16,)] == db.execute("SELECT key FROM ledger").fetchall()


def test_state_goes_when_it_has_expired_and_other_state_stays(store: SqliteStore) -> None:
    fill(store, 2)
    rows = [StateRow("c", "over", b"1", NOW), StateRow("c", "later", b"2", NOW + 1), StateRow("c", "never", b"3")]
    store.commit(Operations(states=[*rows, StateRow("c", "renewed", b"4", NOW)]))
    store.commit(Operations(states=[StateRow("c", "renewed", b"5")]))
    asked = Keys(states=[("c", key) for key in ("over", "later", "never", "renewed")])
    assert 4 == len(store.snapshot(asked).states)
    trim(store)
    assert {("c", "later"): b"2", ("c", "never"): b"3", ("c", "renewed"): b"5"} == store.snapshot(asked).states


def test_a_snapshot_is_taken_before_the_first_record_goes_and_carries_the_projection(
    store: SqliteStore, tmp_path: Path
) -> None:
    fill(store, 100)
    store.commit(Operations(opened=[notification(1, 10)], touched=[(1, 10)]))
    expected = store.views.projection_hash()
    trim(store)
    newest = Snapshots(store).newest()
    assert newest is not None
    assert (100, 100, expected) == (newest.pos, newest.tail, newest.projection)
    other = SqliteStore.create(tmp_path / "other" / "state.db", reserve_bytes=0)
    Snapshots(other).load(newest, store.connection.path)
    assert [100] == [row.seq for row in other.read_log(10, 100)]
    assert expected == other.views.projection_hash()


def test_what_is_left_of_a_trimmed_log_still_rebuilds_to_the_same_inbox(store: SqliteStore, tmp_path: Path) -> None:
    pipeline = SystemPipeline(catalog.load([("test", ORDERS)])[0])
    orders(store, pipeline, range(100), at=OLD)
    moves.claim(store, 3, agent="bob", principal=Principal("cli", "ada", ROLES["admin"]), now=OLD + 500)
    trim(store)
    assert 0 < int(store.meta("trimmed.log") or 0)
    orders(store, pipeline, range(90, 130), at=NOW)
    newest = Snapshots(store).newest()
    assert newest is not None
    other = SqliteStore.create(tmp_path / "other" / "state.db", reserve_bytes=0)
    Snapshots(other).load(newest, store.connection.path)
    rebuilt = rebuild(store, other, pipeline, after=newest.tail)
    assert rebuilt.same
    assert 130 == other.views.counts().notifications_open


def orders(store: SqliteStore, pipeline: SystemPipeline, numbers: range, *, at: int) -> None:
    """One event for each number, folded."""
    bodies = [orjson.dumps({"event": "shop.placed", "source": "s", "payload": {"order": n}}) for n in numbers]
    noise = [orjson.dumps({"event": "shop.noise", "source": "s", "payload": {"order": n}}) for n in numbers]
    records = [to_record(decode(body, now=at + n), principal="cli:x", at=at + n) for n, body in enumerate(bodies + noise)]
    store.append(records)
    while pipeline.advance(store, 50, at).moved:
        pass


def test_only_the_two_newest_snapshots_are_kept_and_half_of_one_is_passed_over(store: SqliteStore) -> None:
    snapshots = Snapshots(store)
    for _ in range(3):
        fill(store, 10)
        snapshots.take(NOW)
    files = sorted(snapshots.folder.iterdir())
    assert ["00000000000000000020.db", "00000000000000000030.db"] == [file.name for file in files]
    files[-1].write_bytes(files[-1].read_bytes()[:2048])
    newest = snapshots.newest()
    assert newest is not None
    assert 20 == newest.pos


def test_a_backup_is_whole_private_and_taken_beside_a_writer(store: SqliteStore, tmp_path: Path) -> None:
    fill(store, 100)
    store.connection.db.execute("BEGIN IMMEDIATE")
    copied = back_up(store.connection.path, tmp_path / "backup.db")
    store.connection.db.execute("ROLLBACK")
    assert 100 == copied.tail
    assert 0o600 == stat.S_IMODE(copied.path.stat().st_mode)
    with pytest.raises(Conflict, match="already"):
        back_up(store.connection.path, tmp_path / "backup.db")


def test_a_restore_begins_a_new_life_and_knows_not_what_was_sent(store: SqliteStore, tmp_path: Path) -> None:
    fill(store, 100)
    store.commit(Operations(outbox=[OutboxRow("o", "call", "log", "system", 40, b"{}")]))
    epoch, path = store.epoch, store.connection.path
    back_up(path, tmp_path / "backup.db")
    fill(store, 100)
    store.close()
    restored = restore(tmp_path / "backup.db", path, NOW)
    assert (100, 1) == (restored.tail, restored.unknown)
    again = SqliteStore.open(path)
    assert epoch != again.epoch
    assert ["unknown"] == [row.state for row in again.views.outbox()]
    assert 200 == inspect(path.with_name(f"state.db.before-{NOW}")).tail


def test_a_restore_does_nothing_twice_that_may_have_been_done_and_goes_on_waiting_for_people(
    store: SqliteStore, tmp_path: Path
) -> None:
    fill(store, 10)
    states = ("held", "window", "approved", "undoing", "done", "denied")
    decisions = [asked(state, state=state, due=NOW + 9, seq=4) for state in states]
    owed = [OutboxRow("approved", "decision", "command", "domain:builds", 4, b"{}")]
    store.commit(Operations(decisions=decisions, outbox=owed, packages=[("d1", b"x")], installed=[INSTALLED]))
    path = store.connection.path
    back_up(path, tmp_path / "backup.db")
    store.close()
    assert 1 == restore(tmp_path / "backup.db", path, NOW).unknown
    again = SqliteStore.open(path)
    found = again.snapshot(Keys(decisions=list(states))).decisions
    assert {
        "held": ("held", NOW + 9, 1), "window": ("held", None, 2), "approved": ("unknown", None, 2), "undoing": ("unknown", None, 2),
        "done": ("done", NOW + 9, 1), "denied": ("denied", NOW + 9, 1),
    } == {call: (row.state, row.due, row.ver) for call, row in found.items()}  # fmt: skip
    assert ([INSTALLED], b"x") == (again.installed(), again.package("d1"))
    assert [] == [found.said for found in audit(again) if not found.ok]


def test_a_backup_from_before_there_were_decisions_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, path = tmp_path / "old.db", tmp_path / "state" / "state.db"
    old.touch()
    upgrade(old, MIGRATIONS[:1])
    path.parent.mkdir()
    restore(old, path, NOW)
    again = SqliteStore.open(path)
    again.commit(Operations(decisions=[asked("a")]))
    assert [1] == [row.number for row in again.views.decisions()]


def test_a_decision_that_has_ended_goes_after_a_year_and_an_open_one_keeps_its_event(store: SqliteStore) -> None:
    fill(store, 100)
    rows = [asked("open", seq=10), asked("window", state="window", seq=11), asked("approved", state="approved", seq=12)]
    rows += [asked(end, state=end, seq=13) for end in DECISION_ENDS]
    store.commit(Operations(decisions=[row._replace(asked_at=NOW - DECISIONS) for row in rows]))
    trim(store)
    assert [10, 11, 12, 100] == [row.seq for row in store.read_log(0, 100)]
    assert len(rows) == len(store.views.decisions())
    trim(store, now=NOW + 1)
    assert ["approved", "window", "open"] == [row.call for row in store.views.decisions()]
    store.commit(Operations(decisions=[asked("later")]))
    assert 10 == store.views.decisions()[0].number


def test_a_package_goes_once_nothing_names_it(store: SqliteStore) -> None:
    fill(store, 1)
    waiting = asked("a", seq=0, body=b'{"digest":"d2"}')
    ended = asked("b", seq=0, state="denied", body=b'{"digest":"d3"}')
    packages = [(digest, b"x") for digest in ("d1", "d2", "d3", "d4")]
    store.commit(Operations(packages=packages, installed=[INSTALLED], decisions=[waiting, ended]))
    trim(store)
    assert ["d1", "d2"] == [digest for digest, _ in packages if store.package(digest)]
    store.commit(Operations(uninstalled=[("library", "a", "d1")]))
    trim(store)
    assert ["d2"] == [digest for digest, _ in packages if store.package(digest)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Operations(decisions=[asked("a", state="approved")]), "d1 may act and owes nothing"),
        (Operations(decisions=[asked("a")], outbox=[OutboxRow("a", "decision", "c", "p", 1, b"{}")]), "d1 acts without leave"),
        (Operations(exceptions=[ExceptionRow("p", 1, "waiting", 1, "c", "r")]), "e1 waits in p for nothing"),
        (Operations(installed=[INSTALLED]), "a in library has lost its files"),
    ],
)
def test_a_decision_without_its_other_half_is_found(store: SqliteStore, wrong: Operations, said: str) -> None:
    fill(store, 2)
    store.commit(wrong)
    assert [said] == [found.said for found in audit(store) if found.name == "decisions"]


def test_an_event_that_waits_for_a_person_is_accounted_for(store: SqliteStore) -> None:
    fill(store, 2)
    waits = ExceptionRow("p", 1, "waiting", 1, "c", "r")
    store.commit(Operations(exceptions=[waits], decisions=[asked("a", seq=1, pipeline="p")]))
    assert ["1 decisions: what was allowed is owed, and nothing else"] == [
        one.said for one in audit(store) if one.name == "decisions"
    ]


def test_a_damaged_or_foreign_file_is_not_restored_and_nothing_changes(store: SqliteStore, tmp_path: Path) -> None:
    fill(store, 2_000)
    path = store.connection.path
    copied = back_up(path, tmp_path / "backup.db")
    torn = bytearray(copied.path.read_bytes())
    torn[40_000:60_000] = bytes(20_000)
    (tmp_path / "torn.db").write_bytes(torn)
    (tmp_path / "note.txt").write_text("hello " * 1000)
    before = path.read_bytes()
    for name in ("torn.db", "note.txt"):
        with pytest.raises((Misconfigured, StorageFailed)):
            restore(tmp_path / name, path, NOW)
    assert before == path.read_bytes()
