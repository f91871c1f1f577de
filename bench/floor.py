"""The floor: the whole job written by hand in one loop, as fast as plain Python over one SQLite file goes.

Decode into a 15-field pydantic model, trust, dedup, enrichment, correlation, classification, projection; rows and cursor in one
transaction per batch. It keeps nothing that explains a result, survives no restart with its memory, and knows no plugin.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from bench.workload import ENTITIES, NOTIFYING, SOURCES

SCHEMA = """
CREATE TABLE log(seq INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE cursor(name TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE notification(
  id INTEGER PRIMARY KEY, type TEXT, source TEXT, level INTEGER, domain TEXT, entity TEXT, description TEXT, payload TEXT,
  key TEXT UNIQUE, created TEXT);
CREATE INDEX notification_type ON notification(type);
CREATE INDEX notification_created ON notification(created);
"""
INSERT = "INSERT OR IGNORE INTO notification(type, source, level, domain, entity, description, payload, key, created) VALUES(?,?,?,?,?,?,?,?,?)"


class Envelope(BaseModel):
    """What the floor validates every event into."""

    id: str
    event: str
    version: int = 1
    source: str
    timestamp: datetime
    idempotency_key: str | None = None
    level: int
    domain: str = ""
    entity: str | None = None
    description: str = ""
    visibility: str = "local"
    payload: dict[str, Any] = {}
    actions: dict[str, Any] | None = None
    terminal_when: str | None = None
    resolution_shape: dict[str, str] | None = None


def open_log(path: Path, synchronous: str) -> sqlite3.Connection:
    """A fresh log under WAL."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.executescript(SCHEMA)
    return connection


def append(connection: sqlite3.Connection, bodies: Sequence[bytes], batch: int) -> None:
    """A bare executemany per batch."""
    for start in range(0, len(bodies), batch):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO log(body) VALUES(?)", [(body,) for body in bodies[start : start + batch]])
        connection.execute("COMMIT")


def open_idempotent(path: Path, synchronous: str) -> sqlite3.Connection:
    """A log by hand that keeps the least of what an append promises: a repeated identity is no second record, types can be read."""
    connection = open_log(path, synchronous)
    connection.executescript("""
    CREATE TABLE record(seq INTEGER PRIMARY KEY, source TEXT, id TEXT, type TEXT, at INTEGER, body BLOB, UNIQUE(source, id));
    CREATE INDEX record_type ON record(type, seq);
    """)
    return connection


def append_idempotent(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]], batch: int) -> None:
    """An executemany per batch of (source, id, type, at, body)."""
    statement = "INSERT OR IGNORE INTO record(source, id, type, at, body) VALUES(?,?,?,?,?)"
    for start in range(0, len(rows), batch):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, rows[start : start + batch])
        connection.execute("COMMIT")


def reopen(path: Path, synchronous: str) -> sqlite3.Connection:
    """A database that is there already."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA synchronous={synchronous}")
    return connection


def append_rows(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]], batch: int) -> None:
    """A bare executemany per batch into the log as eventctl has it, indexes and all: rows are ready, nothing is answered."""
    columns = "kind, source, id, type, body, principal, at, entity, caused_by, hops, hash"
    statement = f"INSERT INTO log ({columns}) VALUES ({','.join('?' * 11)})"
    for start in range(0, len(rows), batch):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, rows[start : start + batch])
        connection.execute("COMMIT")


class Steps:
    """The six steps as plain methods over memory."""

    def __init__(self) -> None:
        self.known = frozenset(SOURCES)
        self.seen: set[tuple[str, str]] = set()
        self.windows: dict[tuple[str, int], int] = {}
        self.entities = {f"service/{i}": {"owner": f"team-{i % 9}", "tier": i % 3} for i in range(ENTITIES)}

    def trust(self, event: Envelope) -> bool:
        return event.source in self.known and 0 <= event.level <= 3

    def dedup(self, event: Envelope) -> bool:
        if event.idempotency_key is None:
            return True
        key = (event.event, event.idempotency_key)
        if key in self.seen:
            return False
        self.seen.add(key)
        return True

    def enrich(self, event: Envelope) -> None:
        known = self.entities.get(event.entity or "")
        if known is not None:
            event.payload["_enrichment"] = known

    def correlate(self, event: Envelope) -> None:
        key = (event.event, int(event.timestamp.timestamp()) // 300)
        self.windows[key] = self.windows.get(key, 0) + 1

    def classify(self, event: Envelope) -> None:
        event.payload["_worthy"] = event.event in NOTIFYING

    def project(self, event: Envelope) -> tuple[Any, ...] | None:
        if not event.payload["_worthy"]:
            return None
        return (
            event.event, event.source, event.level, event.domain, event.entity, event.description,
            orjson.dumps(event.payload).decode(), f"{event.event}:{event.idempotency_key}", event.timestamp.isoformat(),
        )  # fmt: skip

    def __call__(self, event: Envelope) -> tuple[Any, ...] | None:
        if not self.trust(event) or not self.dedup(event):
            return None
        self.enrich(event)
        self.correlate(event)
        self.classify(event)
        return self.project(event)


def consume(connection: sqlite3.Connection, count: int, batch: int) -> None:
    """Work the log off, so many events to a commit."""
    steps, validate, at = Steps(), Envelope.model_validate_json, 0
    connection.execute("INSERT OR IGNORE INTO cursor VALUES('system', 0)")
    while at < count:
        got = connection.execute("SELECT seq, body FROM log WHERE seq > ? ORDER BY seq LIMIT ?", (at, batch)).fetchall()
        rows = [row for _, body in got if (row := steps(validate(body))) is not None]
        at = got[-1][0]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows)
        connection.execute("UPDATE cursor SET seq = ? WHERE name = 'system'", (at,))
        connection.execute("COMMIT")


def count(connection: sqlite3.Connection) -> int:
    """How many notifications came of it."""
    return int(connection.execute("SELECT count(*) FROM notification").fetchone()[0])
