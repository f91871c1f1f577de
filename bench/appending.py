"""Appends: durable, 100 to a commit, from one producer; and one by one from 100 processes at once."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

from bench import floor, workload
from bench.figures import Figure, figure, percentile, seconds
from bench.running import Running
from eventctl import client, decode
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Record, row_hash
from eventctl.times import now_us
from eventctl.workspace import Paths

COUNT = 20_000
BATCH = 100
EMITTERS = 100
EACH = 10


def measure(rounds: int) -> list[Figure]:
    bodies, took = workload.encoded(COUNT), Took([], [], [], [], [])
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
            measure_once(Path(folder), bodies, took)
    bare = [floor_s / ours for floor_s, ours in zip(took.rows, took.ready, strict=True)]
    whole = [floor_s / ours for floor_s, ours in zip(took.rows, took.whole, strict=True)]
    alone = [floor_s / ours for floor_s, ours in zip(took.bodies, took.ready, strict=True)]
    least = [floor_s / ours for floor_s, ours in zip(took.least, took.ready, strict=True)]
    detail = f"last: {1e6 * took.ready[-1] / COUNT:.1f} us an event, floor {1e6 * took.rows[-1] / COUNT:.1f}"
    alone_detail = f"last: floor {1e6 * took.bodies[-1] / COUNT:.1f} us"
    return [
        figure(
            "append, 100 per commit, against a bare executemany of the same rows, FULL",
            bare,
            "of floor",
            must=0.6,
            aim=0.9,
            detail=detail,
        ),
        figure("the same with strict decoding inside the clock", whole, "of floor"),
        figure(
            "append against a log by hand with unique identities and an index by type, FULL",
            least,
            "of floor",
            must=0.6,
            aim=0.9,
        ),
        figure("append against a bare executemany of bodies alone, no index", alone, "of floor", detail=alone_detail),
        concurrent(rounds),
    ]


class Took(NamedTuple):
    """Seconds of each round: three floors, appending records that are ready, decoding and appending."""

    rows: list[float]
    least: list[float]
    bodies: list[float]
    ready: list[float]
    whole: list[float]


def measure_once(folder: Path, bodies: list[bytes], took: Took) -> None:
    records = [record(body) for body in bodies]
    took.bodies.append(seconds(floor.append, floor.open_log(folder / "bodies.db", "FULL"), bodies, BATCH))
    least = [(row.source, row.id, row.type, row.at, row.body) for row in records]
    took.least.append(seconds(floor.append_idempotent, floor.open_idempotent(folder / "least.db", "FULL"), least, BATCH))
    rows = [(*row[:10], row_hash(row)) for row in records]
    SqliteStore.create(folder / "rows" / "state.db", reserve_bytes=0).close()
    took.rows.append(seconds(floor.append_rows, floor.reopen(folder / "rows" / "state.db", "FULL"), rows, BATCH))
    with closing(fresh(folder / "ready")) as store:
        took.ready.append(seconds(append, store, records))
        stands(store)
    with closing(fresh(folder / "whole")) as store:
        took.whole.append(seconds(decode_and_append, store, bodies))
        stands(store)


def fresh(folder: Path) -> SqliteStore:
    return SqliteStore.create(folder / "state.db", role="appender", checkpointer=True, reserve_bytes=0)


def stands(store: SqliteStore) -> None:
    if store.tail("log") != COUNT:
        raise RuntimeError(f"{store.tail('log')} of {COUNT} records stand in the log")


def decode_and_append(store: SqliteStore, bodies: list[bytes]) -> None:
    append(store, [record(body) for body in bodies])


def record(body: bytes) -> Record:
    now = now_us()
    return decode.to_record(decode.decode(body, now=now), principal="cli:bench", at=now)


def append(store: SqliteStore, records: list[Record]) -> None:
    for start in range(0, len(records), BATCH):
        store.append(records[start : start + BATCH])


def concurrent(rounds: int) -> Figure:
    """100 processes, each connecting anew for each of its 10 events, while a supervisor and a runner work."""
    with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder, Running(Path(folder)) as running:
        slowest = [percentile(emit_all(running.paths), 0.99) for _ in range(rounds)]
        if running.measured() != rounds * EMITTERS * EACH:
            raise RuntimeError(f"{running.measured()} of {rounds * EMITTERS * EACH} events stand in the log")
    return figure(f"{EMITTERS} concurrent one-shot emitters, p99", slowest, "ms", must=300, aim=130, lower_is_better=True)


def emit_all(paths: Paths) -> list[float]:
    context = get_context("fork")
    barrier, results = context.Barrier(EMITTERS), context.SimpleQueue()
    processes = [context.Process(target=emitter, args=(paths, n, barrier, results)) for n in range(EMITTERS)]
    for process in processes:
        process.start()
    times = [took for _ in processes for took in results.get()]
    for process in processes:
        process.join()
    return times


def emitter(paths: Paths, number: int, barrier: Barrier, results: object) -> None:
    bodies = workload.encoded(EACH, seed=os.getpid())
    barrier.wait()
    took = []
    for body in bodies:
        start = time.perf_counter()
        client.append(paths, [record(body)])
        took.append((time.perf_counter() - start) * 1e3)
    results.put(took)  # type: ignore[attr-defined]
