"""The database file: made once, upgraded in one step, refused when it is newer."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlite_utils import Database

from eventctl import migrations
from eventctl.errors import Conflict, Misconfigured, NotFound, TryLater
from eventctl.migrations import MIGRATIONS, upgrade, version_of
from eventctl.sqlite_store import SqliteStore
from eventctl.suites.rows import record

CURRENT = len(MIGRATIONS)


def add_column(db: Database) -> None:
    db.conn.execute("ALTER TABLE unit ADD COLUMN note TEXT")


def rewrite_log(db: Database) -> None:
    db.conn.execute("CREATE TABLE log_copy AS SELECT * FROM log")
    db.conn.execute("UPDATE log SET principal = 'upgraded'")


def fail(db: Database) -> None:
    db.conn.execute("CREATE TABLE half (x)")
    raise ZeroDivisionError


NEXT = (*MIGRATIONS, add_column, rewrite_log)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "state.db"
    SqliteStore.create(path, reserve_bytes=0).close()
    return path


def look(path: Path, statement: str) -> object:
    db = sqlite3.connect(path)
    try:
        return db.execute(statement).fetchone()[0]
    finally:
        db.close()


def test_a_new_file_has_seen_every_migration_and_is_named_as_ours(path: Path) -> None:
    assert CURRENT == look(path, "PRAGMA user_version")
    assert migrations.APPLICATION_ID == look(path, "PRAGMA application_id")
    assert CURRENT == look(path, "SELECT count(*) FROM _sqlite_migrations")


def test_a_file_is_private_in_a_private_folder(path: Path) -> None:
    assert 0o600 == path.stat().st_mode & 0o777
    assert 0o700 == path.parent.stat().st_mode & 0o777


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    SqliteStore.create(tmp_path / "state.db", reserve_bytes=0).close()
    assert 0o755 == tmp_path.stat().st_mode & 0o777


def test_creating_over_a_file_is_a_conflict(path: Path) -> None:
    with pytest.raises(Conflict):
        SqliteStore.create(path)


def test_opening_what_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        SqliteStore.open(tmp_path / "state.db")
    assert "eventctl init" in caught.value.hint
    assert not (tmp_path / "state.db").exists()


def test_every_table_says_who_writes_it_and_how_it_gives_disk_back(path: Path) -> None:
    db = sqlite3.connect(path)
    tables = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '*sqlite_*'").fetchall()
    db.close()
    assert len(tables) > 10
    assert [] == [name for name, sql in tables if "Writer" not in sql]


def test_an_older_file_is_upgraded_when_it_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = SqliteStore.open(path)
    before.append([record(1)])
    before.close()
    upgrade(path, NEXT)
    assert CURRENT + 2 == look(path, "PRAGMA user_version")
    assert "upgraded" == look(path, "SELECT principal FROM log")


@pytest.mark.parametrize("role", ["runner", "appender", "short", "reader"])
def test_a_newer_file_is_refused_by_every_role(path: Path, role: str) -> None:
    upgrade(path, NEXT)
    with pytest.raises(Misconfigured) as caught:
        SqliteStore.open(path, role=role)  # type: ignore[arg-type]
    assert "newer eventctl" in str(caught.value)


def test_a_store_that_is_open_writes_no_more_once_its_file_is_newer(path: Path) -> None:
    store = SqliteStore.open(path)
    upgrade(path, NEXT)
    with pytest.raises(Misconfigured):
        store.append([record(1)])
    store.close()
    assert 0 == look(path, "SELECT count(*) FROM log")


def test_while_another_process_upgrades_the_file_cannot_be_opened(path: Path) -> None:
    with migrations._only_upgrader(path), pytest.raises(TryLater) as caught:
        upgrade(path, NEXT)
    assert "being upgraded" in str(caught.value)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(Misconfigured):
        SqliteStore.open(path)
    assert 1 == look(path, "SELECT count(*) FROM sqlite_master")


def test_a_file_whose_making_was_cut_short_is_finished_by_the_next_open(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.touch(mode=0o600)
    store = SqliteStore.open(path)
    store.append([record(1)])
    store.close()
    assert 2 == look(path, "PRAGMA auto_vacuum")


def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        upgrade(path, (*MIGRATIONS, add_column, fail))
    assert CURRENT == look(path, "PRAGMA user_version")
    assert 0 == look(path, "SELECT count(*) FROM pragma_table_info('unit') WHERE name = 'note'")
    upgrade(path, NEXT)
    assert CURRENT + 2 == look(path, "PRAGMA user_version")


def die(db: Database) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("steps", [(die,), (add_column, die), (add_column, rewrite_log, die)], ids=len)
def test_an_upgrade_that_is_killed_has_not_happened(path: Path, steps: tuple[Callable[[Database], None], ...]) -> None:
    store = SqliteStore.open(path)
    store.append([record(n, body=b"x" * 2000) for n in range(2000)])  # more than a page cache: the log is rewritten on disk
    process = multiprocessing.get_context("fork").Process(target=upgrade, args=(path, (*MIGRATIONS, *steps)))
    process.start()
    process.join()
    store.close()
    assert -signal.SIGKILL == process.exitcode
    assert CURRENT == look(path, "PRAGMA user_version")
    assert 0 == look(path, "SELECT count(*) FROM sqlite_master WHERE name = 'log_copy'")
    assert 0 == look(path, "SELECT count(*) FROM log WHERE principal = 'upgraded'")
    assert "ok" == look(path, "PRAGMA integrity_check")
    upgrade(path, NEXT)
    assert CURRENT + 2 == look(path, "PRAGMA user_version")
    assert 2000 == look(path, "SELECT count(*) FROM log WHERE principal = 'upgraded'")


def test_opening_a_current_file_imports_nothing_heavy(path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from eventctl.sqlite_store import SqliteStore
SqliteStore.open(Path({str(path)!r}), role="short").close()
print([name for name in ("sqlite_utils", "pydantic", "asyncio", "rich") if name in sys.modules])
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == answer.stdout.strip()


def test_the_version_is_the_number_of_migrations(path: Path) -> None:
    db = sqlite3.connect(path)
    assert CURRENT == version_of(db)
    db.close()
