"""A workspace that lives: an engine over a store in memory, a clock that goes where it is told, and people who act.

Its runner keeps up: what came in is worked off before the next comes, and what is due comes due at its moment. What came in at one
instant may be worked off together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from eventctl import catalog as catalogs
from eventctl import moves
from eventctl.account import Account
from eventctl.breadcrumb import NoCrumb
from eventctl.contracts import Executor
from eventctl.dag_pipeline import DagPipeline
from eventctl.declaration import shipped_parts
from eventctl.errors import Conflict
from eventctl.memory_store import MemoryStore
from eventctl.modules import Modules
from eventctl.notification import Notification
from eventctl.outbox import Outbox
from eventctl.plan import Plan
from eventctl.principal import ROLES, Principal
from eventctl.runner import Engine, Wake
from eventctl.store import LOG_PIPELINE, LogRow, Record
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import SECOND, iso, parse_iso

START = parse_iso("2026-11-20T10:00:00Z")
ADA = Principal("cli", "ada", ROLES["admin"])
SHOP = {
    "namespace": "domain.shop",
    "lives": {"trouble": {"key": ["thing"], "title": "Trouble with {thing}"}},
    "types": {
        "sold": {"summary": "sold", "identity": ["n", "thing"], "window": "1h"},
        "broken": {"summary": "broken", "level": "workflow", "failure": True, "lives": {"trouble": "opens"}},
        "mended": {"summary": "mended", "lives": {"trouble": "resolves"}},
        "alert": {"summary": "an alert", "level": "business", "lives": {"trouble": "updates"}},
        "tallied": {"summary": "counted"},
    },
}
CATALOG, _PROBLEMS = catalogs.load([*(("eventctl", part) for part in shipped_parts()), ("shop", SHOP)])
assert not [problem for problem in _PROBLEMS if not problem.warning]
WAKE = Wake()
"""One for all lives: with a pipe for each, the examples of a property test would hold a thousand descriptors."""


class Hands:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.at / SECOND


class Life:
    """A workspace with the cartridges of one plan."""

    def __init__(
        self, plan: Plan, executors: Sequence[Executor] = (), system: Callable[[], SystemPipeline] | None = None
    ) -> None:
        self.plan = plan
        self.store = MemoryStore()
        self.hands = Hands()
        self._executors = {executor.name: executor for executor in executors}
        self._system = system or (lambda: SystemPipeline(CATALOG))
        self.store.open_cursor(LOG_PIPELINE, at=0)
        self.store.open_cursor(plan.pipeline, at=0)
        self._sent = 0
        self.restart()

    def restart(self) -> None:
        """The process ends and another one begins."""
        outbox = Outbox(self.store, self._executors, wake=WAKE.wake, threads=4 if self._executors else 0, jitter=lambda: 0.0)
        pipeline = DagPipeline(self.plan, CATALOG, modules=Modules(), crumb=NoCrumb())
        self.engine = Engine(self.store, [self._system(), pipeline], outbox, clock=self.hands, wake=WAKE)

    def settle(self, *, start: bool = True) -> None:
        """Everything that can be done now; without `start` nothing that is owed is begun."""
        if not start:
            self.engine.stop()
        while self.engine.step().busy:
            pass

    def until_answered(self) -> None:
        """Everything, with the answers of executors."""
        assert self.engine.run_until_idle(patience_s=5)

    def wait(self, us: int) -> None:
        """Time goes by, and what comes due does so at its moment."""
        self.settle()
        end = self.hands.at + us
        while (due := self.due()) is not None and due <= end:
            self.hands.at = max(due, self.hands.at)
            self.settle()
        self.hands.at = end
        self.settle()

    def due(self) -> int | None:
        timers = self.store.due_timers(1 << 62, limit=1)
        moments = [timer.due for timer in timers]
        moments += [row.due for row in self.store.exceptions_of(self.plan.pipeline, ("retry",)) if row.due]
        return min(moments, default=None)

    def send(self, kind: str, thing: str, n: int, *, late: int = 0, again: bool = False) -> None:
        """An event comes in. `late` is how long ago it happened, `again` sends the last one once more under a new id."""
        self._sent += 1
        name = f"s{self._sent}"
        about = {
            "id": name,
            "event": f"domain.shop.{kind}",
            "version": 1,
            "source": "till",
            "timestamp": iso(self.hands.at - late),
            "entity": thing,
            "payload": {"n": n, "thing": thing},
        }
        record = Record("event", "till", name, about["event"], orjson.dumps(about), "cli:ada", self.hands.at, thing)
        self.store.append([record])

    def move(self, verb: str, thing: str, opener: str = "") -> str:
        """A person acts on the notification about the thing that this event opened, or else on the newest; the id of its opener.

        "" when there is none, or nothing to be done with it.
        """
        ids = {row.seq: row.id for row in self.log()}
        rows = [row for row in self.notifications() if (row.life, row.life_key) == ("domain.shop.trouble", key_of(thing))]
        chosen = [row for row in rows if ids[row.opened_seq] == opener] or rows
        if not chosen:
            return ""
        row = chosen[-1]
        who: dict[str, Any] = {"principal": ADA, "now": self.hands.at}
        do: dict[str, Callable[[int], moves.Moved]] = {
            "claim": lambda number: moves.claim(self.store, number, agent="ada", lease=600 * SECOND, **who),
            "resolve": lambda number: moves.resolve(self.store, number, agent="ada", **who),
            "reopen": lambda number: moves.reopen(self.store, number, agent="ada", **who),
            "archive": lambda number: moves.archive(self.store, number, **who),
            "seen": lambda number: moves.seen(self.store, number, member="ada", **who),
            "snooze": lambda number: moves.snooze(self.store, number, member="ada", until=self.hands.at + 60 * SECOND, **who),
        }
        try:
            return ids[row.opened_seq] if do[verb](row.id).seq else ""
        except Conflict:
            return ""

    def notifications(self) -> list[Notification]:
        return sorted(self.store.tables.notifications.rows.values(), key=lambda row: row.id)

    def log(self) -> list[LogRow]:
        return self.store.read_log(0, 1_000_000)


def key_of(thing: str) -> str:
    life = next(life for life in CATALOG.lives() if life.name == "domain.shop.trouble")
    key = life.key_of({"thing": thing})
    assert key is not None
    return key


def lived(life: Life, name: str, slot: str) -> dict[str, Any]:
    """What a cartridge did in a workspace where it ran, by names that any workspace has."""
    ids = {row.seq: row.id for row in life.log()}
    made = {row.id: row for row in life.log() if row.principal == f"cartridge:{name}"}
    notes = life.store.tables.annotations.rows
    return {
        "events": {id_: (row.type, orjson.loads(row.body), row.at) for id_, row in made.items()},
        "annotations": {ids[seq]: orjson.loads(slots[slot]) for seq, slots in notes.items() if slot in slots},
        "notices": sorted(
            (row.life, row.life_key, row.title, row.level, row.audience, row.agent_state, row.archived_at is not None,
             ids[row.opened_seq], row.created_at)
            for row in life.notifications()
        ),
    }  # fmt: skip


def foretold(account: Account, stored: Life, slot: str) -> dict[str, Any]:
    """What a trial says, by the same names."""
    ids = {f"e{row.seq}": row.id for row in stored.log()}
    return {
        "events": {id_: (made.type, orjson.loads(made.body), made.at) for id_, made in account.events.items()},
        "annotations": {
            ids.get(event, event): orjson.loads(value) for (event, there), value in account.annotations.items() if there == slot
        },
        "notices": sorted(
            (one.life, one.key, one.title, one.level, one.audience, one.state, one.archived, ids.get(one.event, one.event), one.opened)
            for one in account.notices.values()
        ),
    }  # fmt: skip
