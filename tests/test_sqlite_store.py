"""What only the SQLite store promises: who may write and how, what reaches the disk, and what a failing disk comes out as."""

import multiprocessing
import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventctl.errors import Conflict, StorageFailed, TryLater
from eventctl.sqlite_connection import Connection, Role, set_aside, take_lock
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Keys, LedgerRow, Operations
from eventctl.suites.rows import advance, notification, owed, record

ROLES: tuple[Role, ...] = ("runner", "appender", "short", "reader")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "state.db"
    SqliteStore.create(path, reserve_bytes=0).close()
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.open(path, checkpointer=True)
    yield store
    store.close()


def pragma(store: SqliteStore, name: str) -> object:
    return store.connection.db.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.mark.parametrize("role", ROLES)
def test_every_connection_is_opened_with_the_settings_that_keep_the_file_safe(path: Path, role: Role) -> None:
    store = SqliteStore.open(path, role=role)
    assert "wal" == pragma(store, "journal_mode")
    assert 5000 == pragma(store, "busy_timeout")
    assert 0 == pragma(store, "trusted_schema")
    assert 0 == pragma(store, "mmap_size")
    assert 0 == pragma(store, "wal_autocheckpoint")
    assert 2 == pragma(store, "auto_vacuum")
    assert (1 if role == "runner" else 2) == pragma(store, "synchronous")
    assert (role == "reader") == pragma(store, "query_only")
    store.close()


def test_only_the_checkpointer_checkpoints_by_itself(path: Path) -> None:
    store = SqliteStore.open(path, role="appender", checkpointer=True)
    assert pragma(store, "wal_autocheckpoint")
    store.close()


def test_a_reader_can_write_nothing(path: Path) -> None:
    reader = SqliteStore.open(path, role="reader")
    with pytest.raises(StorageFailed):
        reader.append([record(1)])
    reader.close()


def test_a_reader_sees_what_is_committed_and_nothing_else(store: SqliteStore, path: Path) -> None:
    reader = SqliteStore.open(path, role="reader")
    with store.connection.transaction() as db:
        db.execute("INSERT INTO meta VALUES ('k', 'v')")
        assert reader.meta("k") is None
    assert "v" == reader.meta("k")
    reader.close()


class Statements(list[str]):
    """The statements of a connection, as SQLite ran them."""

    def of(self, beginning: str) -> list[str]:
        return [statement for statement in self if statement.startswith(beginning)]


@pytest.fixture
def ran(store: SqliteStore) -> Statements:
    ran = Statements()
    store.connection.db.set_trace_callback(ran.append)
    return ran


FULL, NORMAL = "PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL"


def test_a_runners_plain_commit_does_not_sync(store: SqliteStore, ran: Statements) -> None:
    store.commit(Operations(feed=[(1, "a", "accept")]))
    assert [] == ran.of("PRAGMA synchronous")


def test_what_somebody_hears_ok_about_is_synced_and_the_runner_is_fast_again_after(store: SqliteStore, ran: Statements) -> None:
    store.commit(Operations(outbox=[owed("a")]), durable=True)
    store.append([record(1)])
    store.claim(9, lease=9, limit=9)
    order = [statement for statement in ran if statement in (FULL, NORMAL, "BEGIN IMMEDIATE", "COMMIT")]
    assert [FULL, "BEGIN IMMEDIATE", "COMMIT", NORMAL] * 3 == order


def test_a_runner_is_fast_again_after_a_refused_durable_commit(store: SqliteStore) -> None:
    with pytest.raises(Conflict):
        store.commit(advance("nobody", 0, 1), durable=True)
    assert 1 == pragma(store, "synchronous")


def test_an_idle_claim_takes_no_lock_and_syncs_nothing(store: SqliteStore, ran: Statements) -> None:
    assert [] == store.claim(9, lease=9, limit=9)
    assert [] == [statement for statement in ran if not statement.startswith("SELECT")]


def test_twenty_processes_append_through_the_short_role_and_lose_nothing(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_emit, args=(path, number)) for number in range(20)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [0] * 20 == [process.exitcode for process in processes]
    reader = SqliteStore.open(path, role="reader")
    assert 60 == reader.tail("log")
    reader.close()


def _emit(path: Path, number: int) -> None:
    for turn in range(3):
        store = SqliteStore.open(path, role="short")
        assert not store.append([record(number * 10 + turn)])[0].duplicate
        store.close()


def test_a_short_connection_holds_the_writers_lock_until_it_closes(path: Path) -> None:
    store = SqliteStore.open(path, role="short")
    with pytest.raises(TryLater):
        take_lock(path.with_name("writer.lock"), wait_s=0.02)
    store.close()
    os.close(take_lock(path.with_name("writer.lock"), wait_s=0))


def test_a_short_connection_that_fails_to_open_lets_go_of_the_lock(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(StorageFailed):
        SqliteStore.open(path, role="short")
    os.close(take_lock(path.with_name("writer.lock"), wait_s=0))


def test_a_long_lived_connection_leaves_the_writers_lock_to_others(store: SqliteStore, path: Path) -> None:
    os.close(take_lock(path.with_name("writer.lock"), wait_s=0))


def test_a_database_that_stays_locked_is_a_passing_state(store: SqliteStore, path: Path) -> None:
    other = Connection(path, "appender")
    store.connection.db.execute("PRAGMA busy_timeout=10")
    with other.transaction() as db:
        db.execute("INSERT INTO meta VALUES ('k', 'v')")
        with pytest.raises(TryLater):
            store.append([record(1)])
    assert not store.append([record(1)])[0].duplicate
    other.close()


def test_two_claimers_never_get_the_same_row(path: Path, store: SqliteStore) -> None:
    store.commit(Operations(outbox=[owed(str(number)) for number in range(200)]))
    taken: list[str] = []

    def work() -> None:
        mine = SqliteStore.open(path)
        while rows := mine.claim(9, lease=99, limit=3):
            taken.extend(row.id for row in rows)
        mine.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (200, 200) == (len(taken), len(set(taken)))


def test_two_runners_apply_each_record_once(path: Path, store: SqliteStore) -> None:
    store.append([record(number) for number in range(300)])
    store.open_cursor("system", at=0)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_fold, args=(path, 300)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [0, 0] == [process.exitcode for process in processes]
    assert list(range(1, 301)) == [row.seq for row in store.read_feed(0, 999)]
    assert 0 == store.views.counts().unaccounted


def _fold(path: Path, until: int) -> None:
    store = SqliteStore.open(path)
    while (at := store.open_cursor("system").pos) < until:
        rows = store.read_log(at, 7)
        operations = advance("system", at, at + len(rows), applied=len(rows))
        operations.feed = [(row.seq, row.type, "accept") for row in rows]
        try:
            store.commit(operations)
        except Conflict:
            continue
    store.close()


def test_a_checkpoint_empties_a_long_wal(store: SqliteStore) -> None:
    store.connection.db.execute("PRAGMA wal_autocheckpoint=0")
    store.append([record(number, body=b"x" * 10_000) for number in range(1000)])
    assert store.connection.wal_bytes() > 8 << 20
    assert 0 == store.checkpoint()


def test_a_damaged_database_is_named_and_points_to_the_doctor(path: Path) -> None:
    store = SqliteStore.open(path, checkpointer=True)
    store.append([record(number) for number in range(500)])
    store.close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xa5" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(StorageFailed) as caught:
        SqliteStore.open(path).read_log(0, 999)
    assert "doctor" in caught.value.hint


def test_a_failed_precondition_of_ours_is_told_from_a_bug(store: SqliteStore) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        store.append([record(1, principal=None)])
    assert 0 == store.tail("log")


def test_an_unencodable_record_writes_nothing(store: SqliteStore) -> None:
    with pytest.raises((UnicodeEncodeError, TypeError)):
        store.append([record(1), record(2, type="\ud800")])
    assert 0 == store.tail("log")
    assert 1 == store.append([record(1)])[0].seq


def test_the_reserve_is_set_aside_once_and_given_back_once(tmp_path: Path) -> None:
    store = SqliteStore.create(tmp_path / "state" / "state.db", reserve_bytes=1 << 20)
    reserve = tmp_path / "state" / "reserve"
    assert 1 << 20 == reserve.stat().st_size
    assert store.connection.make_room()
    assert not reserve.exists()
    assert not store.connection.make_room()
    assert store.restore_reserve()
    assert 8 << 20 == reserve.stat().st_size
    store.close()


def test_a_disk_without_room_for_twice_the_reserve_keeps_none(path: Path) -> None:
    assert not set_aside(path, 1 << 60)
    assert not path.with_name("reserve").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    mount = tmp_path / "disk"
    mount.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)], check=False, capture_output=True
    ).returncode:
        pytest.skip("this machine lets nobody mount")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def fill(store: SqliteStore, first: int) -> int:
    """Append until the disk is full; how many were acknowledged."""
    for number in range(first, first + 9999):
        try:
            store.append([record(number, body=b"x" * 20_000)])
        except TryLater:
            return number - first
    raise AssertionError("the disk was never full")


def test_a_full_disk_loses_nothing_that_was_acknowledged_and_resumes_in_place(small_disk: Path) -> None:
    path = small_disk / "state" / "state.db"
    store = SqliteStore.create(path, role="appender", checkpointer=True, reserve_bytes=1 << 20)
    acknowledged = fill(store, 0)
    assert acknowledged == store.tail("log")
    assert not path.with_name("reserve").exists()
    # The reserve is what lets the store say that the disk is full, and retention work.
    store.commit(Operations(records=[record(10_000)], meta={"disk": "full"}))
    acknowledged += 1 + fill(store, 20_000)
    assert acknowledged == store.tail("log")
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    assert acknowledged + 1 == store.append([record(30_000)])[0].seq
    assert store.restore_reserve()
    assert "ok" == pragma(store, "integrity_check")
    store.close()


def test_a_full_disk_leaves_readers_alone(small_disk: Path) -> None:
    path = small_disk / "state" / "state.db"
    store = SqliteStore.create(path, role="appender", checkpointer=True, reserve_bytes=0)
    acknowledged = fill(store, 0)
    reader = SqliteStore.open(path, role="reader")
    assert acknowledged == len(reader.read_log(0, 9999))
    reader.close()
    store.close()


def test_a_commit_that_does_not_fit_leaves_nothing_of_itself(small_disk: Path) -> None:
    store = SqliteStore.create(small_disk / "state" / "state.db", reserve_bytes=0, checkpointer=True)
    store.open_cursor("system", at=0)
    operations = advance("system", 0, 5, applied=5)
    operations.opened = [notification(1, title="t" * 1000)]
    operations.ledger = [LedgerRow(b"k" * 16, 1, 2)]
    operations.annotations = [(1, "big", b"x" * (8 << 20))]
    with pytest.raises(TryLater):
        store.commit(operations)
    snapshot = store.snapshot(Keys(notifications=[1], ledger=[b"k" * 16], annotations=[1]))
    assert ({}, {}, {}) == (snapshot.notifications, snapshot.ledger, snapshot.annotations)
    assert 0 == store.open_cursor("system").pos
    store.close()
