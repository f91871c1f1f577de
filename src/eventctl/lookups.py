"""Lookup tables: CSV, TOML and SQLite files in the workspace, by key. What they hold is outside the log and changes as it likes.

A CSV or TOML file is read whole into an index of at most `ROWS_MAX` rows, and again when it has changed; a SQLite table is asked
row by row, through its index, and answers are kept until the database changes. A file that has become unreadable keeps the rows
that were read last and says so.
"""

from __future__ import annotations

import csv
import io
import os
import sqlite3
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from eventctl.nearest import did_you_mean
from eventctl.regular import read_regular

ROWS_MAX = 100_000
"""Rows of a CSV or TOML table: read in about half a second and kept in about 25 MB. More belong in a SQLite file."""

BYTES_MAX = 32_000_000
VALUE_MAX = 8_192
"""Bytes of what one row gives, as JSON: it is written beside every event that it fits."""

CACHED_MAX = 8_192
BUSY_MS = 20
KINDS = (".csv", ".tsv", ".toml", ".db", ".sqlite", ".sqlite3")

Key = str | int


class Trouble(NamedTuple):
    """Why a table cannot be used: the setting it is about, what, and what to do."""

    key: str
    what: str
    hint: str = ""


class Unusable(Exception):
    """A table that cannot be used; the trouble is the argument."""

    def __init__(self, key: str, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.trouble = Trouble(key, what, hint)


def find(root: Path, text: str) -> tuple[Path, str]:
    """The file that `tables/assets.db#hosts` names, links followed, and the table in it. Raises `Unusable`: it lies in the workspace."""
    name, _, inner = text.partition("#")
    given = Path(name)
    if given.suffix.lower() not in KINDS:
        raise Unusable("table", f"{name!r} is no table", f"a table is a file that ends in {', '.join(KINDS)}")
    path = (root / given).resolve()
    if given.is_absolute() or not path.is_relative_to(root.resolve()):
        raise Unusable("table", f"{name!r} leaves the workspace", "a table lies in it, like tables/hosts.csv")
    if any(part.startswith(".") for part in path.relative_to(root.resolve()).parts):
        raise Unusable("table", f"{name!r} is hidden", "a table lies where people see it, like tables/hosts.csv")
    if not path.exists():
        near = did_you_mean(given.name, _names(path.parent))
        raise Unusable("table", f"there is no file {name!r}", near or "make it, with a line of column names first")
    return path, inner


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if entry.suffix.lower() in KINDS] if folder.is_dir() else []


class Table:
    """One table, looked up by one column. `look` before each batch takes changes up; `row` costs no I/O but for SQLite."""

    def __init__(self, root: Path, text: str, key: str, columns: Sequence[str]) -> None:
        self._root = root
        self._text = text
        self._key = key
        self._columns = tuple(columns)
        self._stamp: tuple[int, ...] | None = None
        self._rows: _Rows | _Database | None = None
        self.trouble: Trouble | None = None
        """What is wrong with the file as it is now; None when nothing is."""
        self.path: Path | None = None

    def look(self) -> bool:
        """Read the file again if it has changed. Whether that came to a trouble that was not there before."""
        stamp = self._seen()
        if isinstance(self._rows, _Database) and self.trouble is None and stamp[2:] == (self._stamp or ())[2:]:
            if not self._rows.changed():  # a commit changes the file's time, and is no reason to open it again
                return False
        elif stamp == self._stamp:
            return False
        before, self._stamp = self.trouble, stamp
        try:
            path, inner = find(self._root, self._text)
            self.path = path
            self._rows = _open(path, inner, self._key, self._columns)
            self.trouble = None
        except Unusable as error:
            self.trouble = error.trouble
        except OSError as error:
            self.trouble = Trouble("table", f"{self._text!r} cannot be read: {error.strerror or error}")
        return self.trouble is not None and self.trouble != before

    def row(self, key: Key) -> bytes | None:
        """The row of that key without the key itself, as JSON; None where there is none."""
        return None if self._rows is None else self._rows.row(key)

    def _seen(self) -> tuple[int, ...]:
        try:
            found = os.stat(self._root / self._text.partition("#")[0])  # noqa: PTH116 - for every batch: a third of a Path's
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino


def _open(path: Path, inner: str, key: str, columns: Sequence[str]) -> _Rows | _Database:
    kind = path.suffix.lower()
    if kind in (".csv", ".tsv", ".toml"):
        raw = read_regular(path, BYTES_MAX + 1)
        if len(raw) > BYTES_MAX:
            raise Unusable("table", f"is larger than {BYTES_MAX:,} bytes", "put it into a SQLite file")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Unusable("table", f"is not UTF-8 (byte {error.start})") from None
        rows = _of_toml(text, inner, key) if kind == ".toml" else _of_csv(text, kind)
        return _Rows(rows, key, columns)
    return _Database(path, inner, key, columns)


class _Rows:
    """An index in memory: key -> the row's values as JSON."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], key: str, columns: Sequence[str]) -> None:
        self._index: dict[str, bytes] = {}
        checked: frozenset[str] = frozenset()
        for number, row in enumerate(rows, start=1):
            if number > ROWS_MAX:
                raise Unusable("table", f"has more than {ROWS_MAX:,} rows", "put them into a SQLite file")
            if not checked:
                _check(row, key, columns)
                checked = frozenset(row)
            name = row.get(key)
            if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
                continue
            wanted = columns or [column for column in row if column != key]
            values = orjson.dumps({column: row.get(column) for column in wanted}, default=str)
            if len(values) > VALUE_MAX:
                raise Unusable(
                    "table", f"has a row of {len(values):,} bytes ({str(name)[:40]!r})", "name the `columns` that matter"
                )
            self._index.setdefault(str(name), _copied(values))

    def row(self, key: Key) -> bytes | None:
        return self._index.get(str(key))


def _check(there: Iterable[str], key: str, columns: Sequence[str]) -> None:
    names = list(there)
    for setting, column in [("key", key), *(("columns", column) for column in columns)]:
        if column not in names:
            raise Unusable(setting, f"the table has no column {column!r}", did_you_mean(column, names))


def _of_csv(text: str, kind: str) -> Iterable[dict[str, str]]:
    first = text.partition("\n")[0]
    comma = "\t" if kind == ".tsv" else ";" if ";" in first and "," not in first else ","
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=comma, strict=True)
    try:
        names = [name.strip() for name in next(lines, [])]
        if not any(names):
            raise Unusable("table", "is empty", "its first line names the columns")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise Unusable("table", f"names the column {twice!r} twice")
        empty = True
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(names):
                raise Unusable("table", f"line {lines.line_num} has {len(cells)} values for {len(names)} columns")
            empty = False
            yield dict(zip(names, (cell.strip() for cell in cells), strict=True))
        if empty:
            yield dict.fromkeys(names, "")  # its columns can still be wrong
    except csv.Error as error:
        raise Unusable("table", f"is no CSV in line {lines.line_num}: {error}") from None


def _of_toml(text: str, inner: str, key: str) -> Iterable[dict[str, Any]]:
    try:
        data: Any = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Unusable("table", f"is not TOML: {error}") from None
    if inner and inner not in data:
        raise Unusable("table", f"has no table {inner!r}", did_you_mean(inner, data))
    if inner:
        data = data[inner]
    elif len(data) == 1 and isinstance(next(iter(data.values())), list):
        data = next(iter(data.values()))
    if isinstance(data, dict):
        data = [{key: name, **row} if isinstance(row, dict) else row for name, row in data.items()]
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise Unusable("table", "is no table of rows", "rows are [[hosts]] tables, or one table each: [web-1]")
    # A row may leave a column out; which columns there are is what all rows have together.
    names = dict.fromkeys(name for row in data for name in row)
    return [{**dict.fromkeys(names), **row} for row in data]


class _Database:
    """A table of a SQLite file, open read-only. Only a column with an index is looked up, so that one question is quick."""

    def __init__(self, path: Path, inner: str, key: str, columns: Sequence[str]) -> None:
        if not inner:
            raise Unusable("table", "names no table of the database", f"write {path.name}#<table>")
        try:
            # Stages of one pipeline run on one thread, and not always on the one that built them.
            db = sqlite3.connect(
                f"file:{quote(str(path))}?mode=ro",
                uri=True,
                timeout=BUSY_MS / 1000,
                check_same_thread=False,
                isolation_level=None,
            )
            db.execute("PRAGMA query_only=ON")
            db.execute("PRAGMA trusted_schema=OFF")
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if inner not in tables:
                raise Unusable("table", f"{path.name} has no table {inner!r}", did_you_mean(inner, tables))
            there = db.execute(f"PRAGMA table_info({_quoted(inner)})").fetchall()
            names = [row[1] for row in there]
            _check(names, key, columns)
            if not _indexed(db, inner, key, there):
                hint = f"CREATE INDEX {inner}_{key} ON {_quoted(inner)} ({_quoted(key)})"
                raise Unusable(
                    "key", f"the column {key!r} of {inner!r} has no index, and every event would read the whole table", hint
                )
        except sqlite3.Error as error:
            raise Unusable("table", f"{path.name} is no SQLite file that can be read: {error}") from None
        self._db = db
        self._columns = tuple(columns) or tuple(name for name in names if name != key)
        given = ", ".join(map(_quoted, self._columns)) or "NULL"
        self._statement = f"SELECT {given} FROM {_quoted(inner)} WHERE {_quoted(key)} = ? LIMIT 1"
        self._known: dict[Key, bytes | None] = {}
        self._version = self._data_version()

    def changed(self) -> bool:
        """Forget what is known when somebody has written. Whether what was asked so far cannot be asked any more."""
        try:
            version = self._data_version()
            if version != self._version:
                self._version = version
                self._known.clear()
                self._db.execute(self._statement, (None,)).fetchone()
        except sqlite3.Error as error:
            return not _busy(error)
        return False

    def row(self, key: Key) -> bytes | None:
        if key in self._known:
            return self._known[key]
        try:
            found = self._db.execute(self._statement, (key,)).fetchone()
        except (sqlite3.Error, OverflowError):  # busy, or changed under our eyes: not known now, and asked again next time
            return None
        value = None if found is None else self._value(found)
        if len(self._known) >= CACHED_MAX:
            self._known.clear()
        self._known[key] = value
        return value

    def _value(self, found: Sequence[Any]) -> bytes | None:
        values = {name: cell for name, cell in zip(self._columns, found, strict=False) if not isinstance(cell, bytes)}
        said = orjson.dumps(values)
        return _copied(said) if len(said) <= VALUE_MAX else None

    def _data_version(self) -> int:
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])


def _indexed(db: sqlite3.Connection, table: str, key: str, there: Sequence[Sequence[Any]]) -> bool:
    if any(row[1] == key and row[5] == 1 for row in there):
        return True
    for index in db.execute(f"PRAGMA index_list({_quoted(table)})").fetchall():
        first = db.execute(f"PRAGMA index_info({_quoted(index[1])})").fetchone()
        if first is not None and first[2] == key and not index[4]:
            return True
    return False


def _copied(value: bytes) -> bytes:
    """What orjson gives keeps the 4 kB that it was written in; for a table of 100,000 rows that was 420 MB, and is 25."""
    return bytes(memoryview(value))


def _busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
