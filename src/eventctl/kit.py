"""What tests are made of: events that come out the same every time, a clock that stands still, a workspace to try things in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from eventctl import workspace as folders
from eventctl.app import Workspace
from eventctl.decode import decode
from eventctl.event import Event
from eventctl.principal import ROLES, Principal
from eventctl.runner import StepReport
from eventctl.sqlite_store import SqliteStore
from eventctl.times import SECOND, from_datetime, parse_duration, parse_iso, to_datetime
from eventctl.workspace import CONFIG, Paths

START = "2026-01-05T12:00:00Z"
"""The moment of the first event, and where a clock stands, unless it is said."""

PRINCIPAL = "cli:test"
SETTINGS = '[members.test]\nrole = "admin"\n'
QUIET_S = 10.0
"""How long a workspace waits for an executor that is at work, on the real clock."""


def instant(at: str | datetime | int | Clock | None, usual: int) -> int:
    """A moment in microseconds, however it was said."""
    if isinstance(at, Clock):
        return at.now()
    if isinstance(at, str):
        return parse_iso(at)
    return from_datetime(at) if isinstance(at, datetime) else usual if at is None else at


def span(by: str | timedelta | int) -> int:
    """A time in microseconds: `"3h"`, a timedelta, microseconds."""
    if isinstance(by, timedelta):
        return by // timedelta(microseconds=1)
    return parse_duration(by) if isinstance(by, str) else by


def make_event(
    event: str = "test.happened",
    payload: Mapping[str, Any] | None = None,
    *,
    number: int = 1,
    at: str | datetime | None = None,
    source: str = "test",
    principal: str = PRINCIPAL,
    **fields: Any,
) -> Event:
    """An event, as the log would take it; `fields` are the envelope's others: entity, level, domain, id ...

    The same words make the same event, id and moment included. `number` tells otherwise equal ones apart: each is a second later.
    Raises `Refused` for what could not enter the log.
    """
    moment = parse_iso(START) + (number - 1) * SECOND if at is None else instant(at, 0)
    said = {"event": event, "source": source, "payload": dict(payload or {}), **fields}
    if "id" not in said:
        told = orjson.dumps([said, number, moment], option=orjson.OPT_SORT_KEYS, default=str)
        said["id"] = f"test-{sha256(told).hexdigest()[:16]}"
    said.setdefault("timestamp", to_datetime(moment).isoformat())
    decoded = decode(orjson.dumps(said), now=moment, trusted_chain=True)
    return Event(decoded.body, at=moment, principal=principal)


class Events:
    """Makes events one after the other: each has the next number, so no two are the same."""

    def __init__(self) -> None:
        self._made = 0

    def __call__(self, event: str = "test.happened", payload: Mapping[str, Any] | None = None, **fields: Any) -> Event:
        """See `make_event`."""
        self._made += 1
        return make_event(event, payload, **{"number": self._made, **fields})


class Clock:
    """A clock that stands where it was set until it is told to go on. What takes one in eventctl takes this one."""

    def __init__(self, at: str | datetime = START) -> None:
        self._now = instant(at, 0)

    @property
    def at(self) -> datetime:
        """What it shows (UTC)."""
        return to_datetime(self._now)

    def now(self) -> int:
        """The same in microseconds since 1970."""
        return self._now

    def monotonic(self) -> float:
        """Goes on with the other: what waits for a while does so when the clock is advanced."""
        return self._now / SECOND

    def advance(self, by: str | timedelta | int) -> Clock:
        """Let time go by: `"3h"`, a timedelta, microseconds."""
        self._now += span(by)
        return self


class Bench(Workspace):
    """A workspace in a test. Its clock stands still, so being idle is told by there being nothing to do now."""

    def run_until_idle(self, *, patience_s: float = QUIET_S, each: Callable[[StepReport], None] | None = None) -> bool:
        """Step until nothing moves and no executor is at work; False when something is owed for later (advance the clock)."""
        until = time.monotonic() + patience_s
        while True:
            report = self.step()
            if each:
                each(report)
            if report.blocked:
                raise report.blocked
            if report.busy:
                continue
            if not self.engine.outbox.in_flight or time.monotonic() > until:
                return not self.views.counts().outbox_owed
            time.sleep(0.01)


def workspace(folder: Path, files: Mapping[str, str] | None = None, *, clock: Clock | None = None) -> Bench:
    """A workspace in a folder with these files (path in it -> text) and nothing else, open; use it as a context manager.

    Without an `eventctl.toml` among them there is one whose admin is `test`. Plugins that are installed are left out.
    """
    given = {CONFIG: SETTINGS, **(files or {})}
    paths = Paths(folder.resolve())
    for name, text in given.items():
        target = paths.root / name
        if name != CONFIG or name in (files or {}) or not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    folders.prepare(paths)
    if not paths.db.exists():
        SqliteStore.create(paths.db).close()
    who = Principal("cli", "test", ROLES["admin"])
    return Bench(paths, env={}, clock=clock or Clock(), who=who, no_plugins=True, i_know=False)
