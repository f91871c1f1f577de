"""A small world for tests of the flow: a store, the system pipeline over a test catalog, a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from eventctl.catalog import Catalog, load, shipped_parts
from eventctl.ids import uuid7
from eventctl.memory_store import MemoryStore
from eventctl.notification import Notification
from eventctl.principal import Principal
from eventctl.runner import timer_record
from eventctl.sqlite_store import SqliteStore
from eventctl.store import ExceptionRow, LogRow, Operations, Record, Store
from eventctl.system.correlation import Correlation
from eventctl.system.trust import Trust
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import SECOND, iso
from eventctl.views import InboxFilter

START = 1_795_168_800_000_000  # 2026-11-20T10:00:00Z, the beginning of a bucket of five minutes
ADA = Principal.parse("cli:ada", "admin")

TYPES = {
    "namespace": "shop",
    "lives": {
        "deploy": {"key": ["slug", "env"], "title": "Deploy {slug} to {env}"},
        "ticket": {"key": ["id"], "title": "{description}"},
        "score": {"key": ["group"], "title": "Score {group}"},
        "asset": {"key": ["id"], "title": "Asset {id}"},
        "tip": {"key": ["id"], "title": "Tip {id}"},
    },
    "types": {
        "deploy.started": {
            "summary": "s", "level": "workflow", "identity": ["slug", "env", "sha"], "lives": {"deploy": "opens"}, "actionable": True,
        },
        "deploy.failed": {
            "summary": "s", "level": "business", "lives": {"deploy": "updates"}, "failure": True, "actionable": True,
            "meaningful": ["error"], "silent": ["attempt"],
        },
        "deploy.done": {"summary": "s", "level": "workflow", "lives": {"deploy": "resolves"}},
        "ticket.opened": {"summary": "s", "level": "workflow", "actionable": True, "lives": {"ticket": "opens"}},
        "ticket.noted": {"summary": "s", "level": "workflow", "lives": {"ticket": "updates"}, "meaningful": ["text"]},
        "ticket.closed": {"summary": "s", "level": "workflow", "lives": {"ticket": "resolves"}},
        "ticket.reopened": {"summary": "s", "level": "workflow", "actionable": True, "lives": {"ticket": "reopens"}},
        "score.measured": {
            "summary": "s", "identity": ["group"], "on_duplicate": "accumulate", "lives": {"score": "opens"}, "meaningful": ["value"],
        },
        "asset.done": {"summary": "s", "lives": {"asset": "resolves"}},
        "asset.begun": {"summary": "s", "lives": {"asset": "opens"}},
        "tip.given": {"summary": "s", "level": "infrastructure", "lives": {"tip": "opens"}},
        "tip.short": {"summary": "s", "lives": {"tip": "opens"}, "terminal_when": "2h elapsed", "actionable": True},
        "page.viewed": {"summary": "s", "identity": ["page", "hour"], "window": "1h"},
        "build.failed": {"summary": "s", "failure": True},
        "build.passed": {"summary": "s"},
    },
}  # fmt: skip


def catalog(*more: Mapping[str, Any]) -> Catalog:
    """The shipped types, those of a shop, and more."""
    parts = [("eventctl", part) for part in shipped_parts()] + [("shop", TYPES)] + [("more", part) for part in more]
    made, problems = load(parts)
    assert [] == [str(problem) for problem in problems if not problem.warning]
    return made


CATALOG = catalog()


def event(
    type: str, payload: Mapping[str, Any] | None = None, *, at: int = START, principal: str = "cli:ada", **fields: Any
) -> Record:
    """A record as `append` takes it, from an envelope with these fields."""
    envelope = {"id": uuid7(at), "event": type, "version": 1, "source": "test", "timestamp": iso(at), "payload": payload or {}}
    envelope |= fields
    body = orjson.dumps(envelope)
    return Record(
        "event", envelope["source"], envelope["id"], type, body, principal, at, envelope.get("entity"),
        hops=fields.get("hops", 0),
    )  # fmt: skip


class World:
    """One workspace. `now` moves by a second with every event, and by hand."""

    def __init__(
        self, store: Store | None = None, *, trust: Trust | None = None, correlation: Correlation | None = None,
        types: Catalog = CATALOG, **more: Any,
    ) -> None:  # fmt: skip
        self.store: Store = store or MemoryStore()
        self.pipeline = SystemPipeline(types, trust, correlation, **more)
        self.now = START

    def emit(self, type: str, payload: Mapping[str, Any] | None = None, **fields: Any) -> int:
        """Append one event, now."""
        self.now += SECOND
        fields.setdefault("at", self.now)
        return self.store.append([event(type, payload, **fields)])[0].seq

    def run(self, limit: int = 500) -> None:
        """Let the system pipeline catch up."""
        while self.pipeline.advance(self.store, limit, self.now).moved:
            pass

    def tell(self, type: str, payload: Mapping[str, Any] | None = None, **fields: Any) -> int:
        """Emit, and catch up."""
        seq = self.emit(type, payload, **fields)
        self.run()
        return seq

    def fire(self) -> None:
        """Due timers become records, as the runner does it."""
        due = self.store.due_timers(self.now, limit=500)
        if due:
            self.store.commit(
                Operations(
                    records=[timer_record(timer, self.now) for timer in due],
                    timers_cleared=[(timer.owner, timer.key, timer.due) for timer in due],
                )
            )

    def wait(self, us: int, *, steps: int = 1) -> None:
        """Let time pass and what is due happen."""
        for _ in range(steps):
            self.now += us // steps
            self.fire()
            self.run()

    def inbox(self, **want: Any) -> list[Notification]:
        """Notifications by number."""
        items = self.store.views.inbox(InboxFilter(**want), limit=500).items
        return sorted((item.notification for item in items), key=lambda row: row.id)

    def row(self, number: int) -> Notification:
        found = self.store.views.notification(number)
        assert found is not None
        return found

    def exception(self, seq: int) -> ExceptionRow | None:
        trace = self.store.views.trace(seq)
        assert trace is not None
        return trace.exceptions[0] if trace.exceptions else None

    def annotation(self, seq: int, slot: str) -> Any:
        trace = self.store.views.trace(seq)
        assert trace is not None
        return orjson.loads(trace.annotations[slot]) if slot in trace.annotations else None

    def events(self, type: str) -> list[LogRow]:
        return [row for row in self.store.read_log(0, 100_000, kinds=("event",)) if row.type == type]

    def feed(self) -> list[tuple[int, str, str]]:
        return [(row.seq, row.type, row.why) for row in self.store.read_feed(0, 100_000)]

    def counts(self) -> tuple[int, int, int, int]:
        """applied, dropped, quarantined, dead; and nothing is unaccounted for."""
        cursor = self.store.cursor("system")
        assert cursor is not None
        assert 0 == self.store.views.counts().unaccounted
        return cursor.applied, cursor.dropped, cursor.quarantined, cursor.dead


def sqlite(folder: Path) -> SqliteStore:
    """A fresh database."""
    folder.mkdir(parents=True, exist_ok=True)
    return SqliteStore.create(folder / "state.db", checkpointer=True, reserve_bytes=0)


def payloads(rows: Iterable[LogRow]) -> list[Any]:
    return [orjson.loads(row.body)["payload"] for row in rows]
