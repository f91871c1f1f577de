"""Rules with windows in a pipeline, against the same oracle: new processes in between, timers, and state that retention deletes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from eventctl import manifest
from eventctl.memory_store import MemoryStore
from eventctl.retention import Keep, Retention
from eventctl.rule import Rule, Window
from eventctl.ruling import process_of
from eventctl.runner import timer_record
from eventctl.shapes import STORED
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Operations, Record, Store
from eventctl.times import FOREVER, SECOND, iso, parse_iso
from eventctl.windows import Fired, Signals
from tests.flowkit import OUT, World, cartridge, plan
from tests.test_windows_oracle import KINDS
from tests.windowkit import NOON, Arrival, Said

ASKED = {"after": "payload.after", "then": "payload.then", "expect": "payload.expect", "distinct": "payload.value"}
HEAD = f"""\
id = "counts"
summary = "Counts."
consumes = ["shop.**"]
[emit]
event = "{OUT}"
[window]
kind = "threshold"
within = "1m"
count = 1
"""


def rule(window: Window) -> Rule:
    """A rule that asks the payload what an event is, and emits when its window fires."""
    given = {name: text for name, text in ASKED.items() if getattr(window, name)}
    table = window.model_dump(exclude_none=True) | given
    return Rule.model_validate({"when": "payload.counts", "window": table, "emit": {"event": OUT}}, context=STORED)


class Shop(World):
    """A pipeline with that rule. `reopen` is what a new process does with the store."""

    def __init__(self, window: Window, store: Store) -> None:
        read = manifest.read_rule(HEAD)
        super().__init__(plan(cartridge("counts", process_of(rule(window), read), key=read.key)), store=store)
        self.now = NOON
        self.heard: list[Said] = []

    def live(self, arrivals: list[Arrival], entity: str = "e") -> list[Said]:
        """What the rule says of these."""
        for number, arrival in enumerate([*arrivals, Arrival(10_000, 0, Signals())]):
            self.later(arrival.wait)
            if arrival.asked:
                self.wake(number)
            if arrival.restart:
                self.restarted()
            self.happen(arrival, entity)
            self.hear(number)
        return self.heard

    def wake(self, number: int) -> None:
        """Due timers become records, and what they set for at once in turn, which is a microsecond later each time."""
        for now in count(self.now):
            due = self.store.due_timers(now, limit=100)
            for timer in due:
                self.store.commit(Operations(timers_cleared=[(timer.owner, timer.key, timer.due)]))
                self.feed(timer_record(timer, now), self.plan.pipeline, "timer")
            self.hear(number)
            if not due:
                return

    def happen(self, arrival: Arrival, entity: str) -> None:
        """One event comes in."""
        self._sent += 1
        envelope = {
            "id": f"s{self._sent}",
            "event": "shop.sold",
            "source": "till",
            "timestamp": iso(self.now - int(arrival.lag * SECOND)),
            "entity": entity,
            "payload": arrival.signals._asdict(),
        }
        record = Record("event", "till", f"s{self._sent}", "shop.sold", orjson.dumps(envelope), "cli:ada", self.now, entity)
        self.feed(record, "shop.sold", "accept")

    def hear(self, number: int) -> None:
        """Step, and note what is new."""
        before = len(self.made())
        self.step()
        assert {} == self.states()
        for row in self.made()[before:]:
            counted = orjson.loads(row.body)["payload"]["window"]
            self.heard.append(Said(number, Fired(counted["count"], parse_iso(counted["since"]))))


class KeptShop(Shop):
    """The same over a database, with retention at every restart."""

    store: SqliteStore

    def restarted(self) -> Any:
        if isinstance(self.store, SqliteStore) and hasattr(self, "heard"):
            keep = Retention(self.store, Keep(age=FOREVER), [self.plan.pipeline], lambda *_: pytest.fail("a cursor expired"))
            while keep.work(self.now):
                pass
            path = self.store.connection.path
            self.store.close()
            self.store = SqliteStore.open(path, role="runner")
        return super().restarted()


class Amnesiac(Shop):
    """Forgets what stood in its process: a machine without durable state."""

    def restarted(self) -> Any:
        if hasattr(self, "heard"):
            self.store.tables.states.rows.clear()
        return super().restarted()


def without_values(said: list[Said]) -> list[Said]:
    """Values are not told by an emitted event; the machine's own test compares them."""
    return [each._replace(fired=Fired(each.fired.count, each.fired.since)) for each in said]


@contextmanager
def database() -> Iterator[SqliteStore]:
    with TemporaryDirectory() as folder:
        store = SqliteStore.create(Path(folder) / "state" / "state.db", role="runner", reserve_bytes=0)
        yield store


def agrees(kind: str, shop: type[Shop], **options: Any) -> None:
    windows, histories, oracle = KINDS[kind]

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck), **options)
    @given(windows, histories)
    def compare(window: Window, history: list[Arrival]) -> None:
        expected = without_values(oracle(window).said(history))
        if shop is KeptShop:
            with database() as store:
                here = shop(window, store)
                assert expected == here.live(history)
                here.store.close()
        else:
            assert expected == shop(window, MemoryStore()).live(history)

    compare()


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_in_a_pipeline_says_what_the_oracle_says_whatever_restarts_in_between(kind: str) -> None:
    agrees(kind, Shop, max_examples=150)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_over_a_database_says_so_too_and_retention_takes_nothing_that_counts(kind: str) -> None:
    agrees(kind, KeptShop, max_examples=20)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_that_forgets_at_a_restart_is_caught(kind: str) -> None:
    with pytest.raises(AssertionError):
        agrees(kind, Amnesiac, max_examples=5_000, derandomize=True, phases=[Phase.generate])


def test_the_window_of_a_key_that_nobody_touches_any_more_gives_its_row_back() -> None:
    minute = Window.model_validate({"kind": "threshold", "within": "1m", "count": 3, "lateness": "1h"})
    with database() as store:
        shop = KeptShop(minute, store)
        shop.live([Arrival(0, 0, Signals(counts=True))], entity="old")
        shop.live([Arrival(1, 0, Signals(counts=True))], entity="new")
        assert shop.state("counts", "old") and shop.state("counts", "new")  # 10,000 s later, and nobody has looked
        shop.restarted()
        assert ({}, {}) == (shop.state("counts", "old"), shop.state("counts", "new"))
        shop.store.close()
