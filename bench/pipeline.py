"""The whole system pipeline over a durable log, against the hand-written loop over the same events."""

from __future__ import annotations

import tempfile
from pathlib import Path

import orjson

from bench import floor, workload
from bench.appending import append, record
from bench.figures import Figure, Spent, by_cpu, figure, ratios, spent
from eventctl import catalog
from eventctl.runner import LIMIT, LOG_BATCHES
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Record
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import now_us, parse_iso

COUNT = 20_000
BATCH = LIMIT * LOG_BATCHES
APPENDED_AT_ONCE = 500
FILLED_AT_ONCE = 10_000


def measure(rounds: int) -> list[Figure]:
    bodies, expected = workload.encoded(COUNT), workload.expected(COUNT)
    floors: list[Spent] = []
    ours: list[Spent] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
            connection = floor.open_log(Path(folder) / "floor.db", "NORMAL")
            floor.append(connection, bodies, APPENDED_AT_ONCE)
            floors.append(spent(floor.consume, connection, COUNT, BATCH))
            store = filled(Path(folder) / "state" / "state.db", bodies)
            ours.append(spent(work_off, SystemPipeline(declared()), store))
            found = [floor.count(connection), store.views.counts().notifications_open]
            if found != [expected, expected]:
                raise RuntimeError(f"expected {expected} notifications, floor and contender have {found}")
            store.close()
    last = f"last: {1e6 * ours[-1].wall / COUNT:.1f} us an event, floor {1e6 * floors[-1].wall / COUNT:.1f}"
    title = "whole system pipeline against the embedded floor"
    detail = f"{last}; {by_cpu(floors, ours)}"
    return [figure(title, ratios(floors, ours), "of floor", must=0.5, aim=0.8, detail=detail)]


def declared() -> catalog.Catalog:
    built, problems = catalog.load([("bench", workload.catalog_part())])
    if any(not problem.warning for problem in problems):
        raise RuntimeError(str(problems))
    return built


def filled(path: Path, bodies: list[bytes]) -> SqliteStore:
    """A runner's store with these events in its log and nothing done yet."""
    fill(path, bodies)
    return SqliteStore.open(path, role="runner", checkpointer=True)


def fill(path: Path, bodies: list[bytes]) -> None:
    appender = SqliteStore.create(path, role="appender", checkpointer=True, reserve_bytes=0)
    for start in range(0, len(bodies), FILLED_AT_ONCE):
        append(appender, [as_it_happened(body) for body in bodies[start : start + FILLED_AT_ONCE]])
    appender.close()


def as_it_happened(body: bytes) -> Record:
    """The record of an event that came in when it happened: what is older than a week is history, and correlation leaves it out."""
    one = record(body)
    return one._replace(at=parse_iso(orjson.loads(body)["timestamp"]))


def work_off(pipeline: SystemPipeline, store: SqliteStore) -> None:
    while pipeline.advance(store, BATCH, now_us()).moved:
        pass
