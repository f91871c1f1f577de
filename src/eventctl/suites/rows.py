"""Rows for tests of stores: complete, small, and different where it matters."""

from __future__ import annotations

from typing import Any

from eventctl.notification import Notification
from eventctl.store import Advance, DecisionRow, Keys, Kind, LedgerRow, Operations, OutboxRow, Record, Store

NOON_US = 1_795_176_000_000_000
"""2026-11-20 12:00 UTC: records of tests are ingested a second apart from here on."""


def record(number: int, **given: Any) -> Record:
    """The event `e<number>`, ingested `number` seconds after noon."""
    kind: Kind = "event"
    fields: dict[str, Any] = {
        "kind": kind,
        "source": "tests",
        "id": f"e{number}",
        "type": "build.finished",
        "body": b'{"number":%d}' % number,
        "principal": "cli:ada",
        "at": NOON_US + number * 1_000_000,
    }
    return Record(**{**fields, **given})


def notification(number: int, **given: Any) -> Notification:
    """An open notification of a life of its own."""
    fields: dict[str, Any] = {
        "id": number,
        "life": "builds.build",
        "life_key": f'["{number}"]',
        "audience": "workspace",
        "level": 2,
        "domain": "builds",
        "type": "build.finished",
        "entity": None,
        "title": f"Build {number}",
        "actionable": True,
        "seq": 1,
        "opened_seq": 1,
        "created_at": NOON_US,
        "updated_at": NOON_US + number,
    }
    return Notification(**{**fields, **given})


def changed(row: Notification, **given: Any) -> Notification:
    """The row as its next version."""
    return row._replace(ver=row.ver + 1, **given)


def ledger(key: str, seq: int, expires: int) -> LedgerRow:
    return LedgerRow(key.encode().ljust(16, b"."), seq, expires)


def owed(name: str, **given: Any) -> OutboxRow:
    fields: dict[str, Any] = {"id": name, "kind": "call", "name": "echo", "pipeline": "domain:builds", "seq": 1, "body": b"{}"}
    return OutboxRow(**{**fields, **given})


def asked(call: str, **given: Any) -> DecisionRow:
    """A decision that is held for a person, without an end."""
    fields: dict[str, Any] = {
        "number": 0, "call": call, "state": "held", "kind": "domain:builds/deploy:start", "name": "command",
        "pipeline": "domain:builds", "seq": 1, "domain": "builds", "owner": "", "asked_at": NOON_US,
    }  # fmt: skip
    return DecisionRow(**{**fields, **given})


def advance(pipeline: str, expected: int, pos: int, term: int = 0, **counts: int) -> Operations:
    return Operations(advance=Advance(pipeline, expected, pos, term, **counts))


def held(store: Store, number: int) -> Notification:
    """The notification as it is stored."""
    return store.snapshot(Keys(notifications=[number])).notifications[number]
