"""Lookup tables: what a row gives, what is refused and with which words, and that a change is taken up."""

from __future__ import annotations

import os
import sqlite3
import time
import tracemalloc
from pathlib import Path

import orjson
import pytest

from eventctl.lookups import ROWS_MAX, VALUE_MAX, Table

HOSTS = "host,team,site\nweb-1,shop,Berlin\nweb-2,shop,Leipzig\n"


def table(root: Path, text: str, key: str = "host", *columns: str) -> Table:
    made = Table(root, text, key, columns)
    made.look()
    return made


def row(made: Table, key: str | int):
    found = made.row(key)
    return None if found is None else orjson.loads(found)


def put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text)


def database(path: Path, *statements: str) -> None:
    path.parent.mkdir(exist_ok=True)
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


MADE = "CREATE TABLE hosts (host TEXT PRIMARY KEY, team TEXT, cores INTEGER, photo BLOB)"
FILLED = "INSERT INTO hosts VALUES ('web-1', 'shop', 8, x'00'), ('7', 'lab', 2, NULL)"


# --- what is found ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "key", "columns", "asked", "found"),
    [
        ("t.csv", HOSTS, "host", (), "web-1", {"team": "shop", "site": "Berlin"}),
        ("t.csv", HOSTS, "host", ("site",), "web-2", {"site": "Leipzig"}),
        ("t.csv", HOSTS, "host", (), "web-9", None),
        ("t.csv", "\ufeffhost;team\nweb-1;a,b\n", "host", (), "web-1", {"team": "a,b"}),
        ("t.csv", 'host,team\nweb-1,"a ""b"""\n\n', "host", (), "web-1", {"team": 'a "b"'}),
        ("t.tsv", "host\tteam\nweb-1\tshop\n", "host", (), "web-1", {"team": "shop"}),
        ("t.csv", "n,team\n7,shop\n", "n", (), 7, {"team": "shop"}),
        ("t.csv", "host,team\nweb-1,first\nweb-1,second\n", "host", (), "web-1", {"team": "first"}),
        ("t.toml", "[web-1]\nteam = 'shop'\ncores = 8\n", "host", (), "web-1", {"team": "shop", "cores": 8}),
        ("t.toml", "[[hosts]]\nhost = 'web-1'\nteam = 'shop'\n", "host", (), "web-1", {"team": "shop"}),
        ("t.toml", "[[hosts]]\nhost = 'web-1'\n[[hosts]]\nhost = 'b'\nteam = 'x'\n", "host", (), "web-1", {"team": None}),
        ("t.toml#b", "[a.web-1]\nteam = 'a'\n[b.web-1]\nteam = 'b'\n", "host", (), "web-1", {"team": "b"}),
    ],
)
def test_a_row_is_found_by_its_key(tmp_path, name, text, key, columns, asked, found):
    put(tmp_path, name.partition("#")[0], text)
    made = table(tmp_path, name, key, *columns)
    assert made.trouble is None
    assert found == row(made, asked)


def test_a_sqlite_table_is_asked_by_key_and_keeps_its_types(tmp_path):
    database(tmp_path / "tables/a.db", MADE, FILLED)
    made = table(tmp_path, "tables/a.db#hosts")
    assert made.trouble is None
    assert {"team": "shop", "cores": 8} == row(made, "web-1"), "bytes are no JSON and are left out"
    assert {"team": "lab", "cores": 2, "photo": None} == row(made, 7)
    assert row(made, "web-9") is None
    assert row(made, 2**70) is None


def test_a_sqlite_table_is_opened_for_reading_only(tmp_path):
    database(tmp_path / "a.db", MADE, FILLED)
    made = table(tmp_path, "a.db#hosts")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        made._rows._db.execute("DELETE FROM hosts")


# --- what is refused -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "key", "columns", "about", "words"),
    [
        ("t.csv", HOSTS, "hostt", (), "key", "no column 'hostt' (did you mean 'host'?)"),
        ("t.csv", HOSTS, "host", ("taem",), "columns", "no column 'taem' (did you mean 'team'?)"),
        ("t.csv", "host,team\n", "host", ("taem",), "columns", "no column 'taem'"),
        ("t.csv", "", "host", (), "table", "is empty"),
        ("t.csv", "host,team\na\n", "host", (), "table", "line 2 has 1 values for 2 columns"),
        ("t.csv", 'host,team\na,"b\n', "host", (), "table", "is no CSV in line 2"),
        ("t.csv", "host,host\na,b\n", "host", (), "table", "names the column 'host' twice"),
        ("t.csv", f"host,team\na,{'x' * VALUE_MAX}\n", "host", (), "table", "name the `columns` that matter"),
        ("t.toml", "host = ", "host", (), "table", "is not TOML"),
        ("t.toml", "a = 1\n", "host", (), "table", "is no table of rows"),
        ("t.toml#hots", "[hosts.web-1]\nteam = 'a'\n", "host", (), "table", "no table 'hots' (did you mean 'hosts'?)"),
        ("t.xls", "", "host", (), "table", "is no table"),
    ],
)
def test_a_mistake_is_named_with_its_setting_and_what_was_meant(tmp_path, name, text, key, columns, about, words):
    put(tmp_path, name.partition("#")[0], text)
    trouble = table(tmp_path, name, key, *columns).trouble
    assert about == trouble.key
    assert words in f"{trouble.what} ({trouble.hint})"


def test_a_file_that_is_not_there_is_named_with_the_one_that_was_meant(tmp_path):
    put(tmp_path, "tables/hosts.csv", HOSTS)
    trouble = table(tmp_path, "tables/host.csv").trouble
    assert ("there is no file 'tables/host.csv'", "did you mean 'hosts.csv'?") == (trouble.what, trouble.hint)


@pytest.mark.parametrize("name", ["../out.csv", "/etc/hosts.csv", "link.csv", "linked/out.csv"])
def test_a_table_outside_the_workspace_is_refused_through_links_too(tmp_path, name):
    root = tmp_path / "work"
    put(tmp_path, "out.csv", HOSTS)
    root.mkdir()
    (root / "link.csv").symlink_to(tmp_path / "out.csv")
    (root / "linked").symlink_to(tmp_path)
    made = table(root, name)
    assert "leaves the workspace" in made.trouble.what
    assert made.row("web-1") is None


def test_the_workspace_s_own_database_is_no_table(tmp_path):
    database(tmp_path / ".eventctl/state.db", MADE)
    assert "is hidden" in table(tmp_path, ".eventctl/state.db#hosts").trouble.what


@pytest.mark.parametrize(
    ("text", "key", "about", "words"),
    [
        ("a.db#hots", "host", "table", "did you mean 'hosts'?"),
        ("a.db", "host", "table", "write a.db#<table>"),
        ("a.db#hosts", "team", "key", 'CREATE INDEX hosts_team ON "hosts" ("team")'),
        ("a.db#hosts", "hosst", "key", "did you mean 'host'?"),
        ("no.db#hosts", "host", "table", "is no SQLite file"),
        ("a.db#seen", "host", "table", "has no table 'seen'"),
    ],
)
def test_a_sqlite_table_that_cannot_be_asked_says_why(tmp_path, text, key, about, words):
    database(tmp_path / "a.db", MADE, FILLED, "CREATE VIEW seen AS SELECT * FROM hosts")
    (tmp_path / "no.db").write_text("nothing of the kind, and long enough to be read as a header of some database file " * 20)
    trouble = table(tmp_path, text, key).trouble
    assert about == trouble.key
    assert words in f"{trouble.what} ({trouble.hint})"


def test_a_name_with_quotes_in_it_is_a_name(tmp_path):
    database(
        tmp_path / "a.db", 'CREATE TABLE "a""b" ("x""y" TEXT PRIMARY KEY, v TEXT)', "INSERT INTO \"a\"\"b\" VALUES ('k', 'v')"
    )
    made = table(tmp_path, 'a.db#a"b', 'x"y')
    assert {"v": "v"} == row(made, "k")


def test_too_many_rows_are_refused_and_not_read_to_the_end(tmp_path):
    put(tmp_path, "t.csv", "host,team\n" + "a,b\n" * (ROWS_MAX + 1))
    assert f"more than {ROWS_MAX:,} rows" in table(tmp_path, "t.csv").trouble.what


def test_a_table_is_kept_in_little_more_than_its_file(tmp_path):
    put(tmp_path, "t.csv", "host,team\n" + "".join(f"web-{number},team-{number}\n" for number in range(5_000)))
    tracemalloc.start()
    made = table(tmp_path, "t.csv")
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert {"team": "team-7"} == row(made, "web-7")
    assert kept < 400 * 5_000


# --- what changes ----------------------------------------------------------------------------------------------------------------


def later(path: Path) -> None:
    """As if the file had been written a moment later than it was: two writes within one tick of the clock look alike."""
    now = time.time_ns() + 1_000_000_000
    os.utime(path, ns=(now, now))


def test_a_change_of_the_file_is_taken_up_and_nothing_else_reads_it_again(tmp_path):
    put(tmp_path, "t.csv", HOSTS)
    made = table(tmp_path, "t.csv")
    rows = made._rows
    assert (False, rows) == (made.look(), made._rows)
    put(tmp_path, "t.csv", HOSTS.replace("Berlin", "Hamburg"))
    later(tmp_path / "t.csv")
    assert not made.look()
    assert {"team": "shop", "site": "Hamburg"} == row(made, "web-1")


def test_a_table_that_breaks_keeps_its_rows_says_so_once_and_may_be_mended(tmp_path):
    put(tmp_path, "t.csv", HOSTS)
    made = table(tmp_path, "t.csv")
    (tmp_path / "t.csv").unlink()
    assert [True, False] == [made.look(), made.look()]
    assert "there is no file" in made.trouble.what
    assert {"team": "shop", "site": "Berlin"} == row(made, "web-1")
    put(tmp_path, "t.csv", "host,team\nweb-1,lab\n")
    assert not made.look()
    assert (None, {"team": "lab"}) == (made.trouble, row(made, "web-1"))


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_what_is_written_into_a_database_is_seen_by_the_next_batch(tmp_path, journal):
    path = tmp_path / "a.db"
    database(path, f"PRAGMA journal_mode={journal}", MADE, FILLED)
    made = table(tmp_path, "a.db#hosts")
    assert "shop" == row(made, "web-1")["team"]
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("UPDATE hosts SET team = 'lab' WHERE host = 'web-1'")
    assert not made.look()
    assert "lab" == row(made, "web-1")["team"]
    writer.close()


def test_a_database_whose_table_is_gone_says_so(tmp_path):
    path = tmp_path / "a.db"
    database(path, MADE, FILLED)
    made = table(tmp_path, "a.db#hosts")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("ALTER TABLE hosts RENAME TO machines")
    assert [True, False] == [made.look(), made.look()]
    assert "has no table 'hosts'" in made.trouble.what
    writer.execute("ALTER TABLE machines RENAME TO hosts")
    later(path)
    assert (False, None) == (made.look(), made.trouble)
    assert "shop" == row(made, "web-1")["team"]
    writer.close()


def test_a_database_that_is_locked_leaves_the_event_without_a_row(tmp_path):
    path = tmp_path / "a.db"
    database(path, MADE, FILLED)
    made = table(tmp_path, "a.db#hosts")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    assert made.row("web-1") is None
    assert not made.look(), "busy is no trouble"
    writer.execute("COMMIT")
    assert "shop" == row(made, "web-1")["team"]
    writer.close()
