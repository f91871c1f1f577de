"""From the emit call to the row in the inbox, at 200 events a second; the floor is a hand-written consumer over the same kind of log."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import orjson

from bench import floor, workload
from bench.figures import Figure, figure, percentile
from bench.running import Running
from eventctl import client, decode
from eventctl.times import now_us

RATE = 200
COUNT = 2_000
POLL_S = 0.001
CONSUMER_POLL_S = 0.002
PATIENCE_S = 20.0


def measure(rounds: int) -> list[Figure]:
    halves, tails, details = [], [], ""
    for _ in range(rounds):
        floors, ours = floor_latencies(), eventctl_latencies()
        halves.append(percentile(ours, 0.5) / percentile(floors, 0.5))
        tails.append(percentile(ours, 0.99) / percentile(floors, 0.99))
        details = f"last: {percentile(ours, 0.5):.1f} / {percentile(ours, 0.99):.1f} ms, floor {percentile(floors, 0.5):.1f} / {percentile(floors, 0.99):.1f} ms"
    return [
        figure(
            "emit to visible at 200/s, p50 against the floor",
            halves,
            "x",
            must=3,
            aim=1.5,
            lower_is_better=True,
            detail=details,
        ),
        figure("the same, p99", tails, "x", must=3, aim=1.5, lower_is_better=True),
    ]


def eventctl_latencies() -> list[float]:
    with (
        tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder,
        Running(Path(folder)) as running,
        client.Appender(running.paths) as appender,
    ):
        running.settle()

        def send(body: bytes) -> None:
            now = now_us()
            appender.append([decode.to_record(decode.decode(body, now=now), principal="cli:bench", at=now)])

        with watching(running.paths.db, "SELECT id, title FROM notification WHERE id > ?") as seen:
            return paced(send, seen, lambda title: title.split()[-1])


def floor_latencies() -> list[float]:
    with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
        path = Path(folder) / "floor.db"
        connection = floor.open_log(path, "FULL")
        consumer = get_context("spawn").Process(target=consume_for_ever, args=(path,), daemon=True)
        consumer.start()
        time.sleep(1.0)

        def send(body: bytes) -> None:
            connection.execute("INSERT INTO log(body) VALUES(?)", (body,))

        try:
            with watching(path, "SELECT id, payload FROM notification WHERE id > ?") as seen:
                return paced(send, seen, lambda payload: str(orjson.loads(payload)["run_id"]))
        finally:
            consumer.kill()
            consumer.join()


def consume_for_ever(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None, timeout=5)
    connection.execute("PRAGMA synchronous=NORMAL")
    steps, validate, at = floor.Steps(), floor.Envelope.model_validate_json, 0
    while True:
        got = connection.execute("SELECT seq, body FROM log WHERE seq > ? ORDER BY seq LIMIT 500", (at,)).fetchall()
        if not got:
            time.sleep(CONSUMER_POLL_S)
            continue
        rows = [row for _, body in got if (row := steps(validate(body))) is not None]
        at = got[-1][0]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(floor.INSERT, rows)
        connection.execute("INSERT INTO cursor VALUES('system', ?) ON CONFLICT DO UPDATE SET seq = excluded.seq", (at,))
        connection.execute("COMMIT")


def paced(send: Callable[[bytes], None], seen: dict[str, float], key_of: Callable[[str], str]) -> list[float]:
    """Emit on schedule; the latencies in milliseconds of those that became notifications."""
    sent: dict[str, float] = {}
    start = time.monotonic()
    for number, envelope in enumerate(workload.events(COUNT, seed=now_us() % 100_000)):
        body = orjson.dumps(envelope)
        time.sleep(max(0.0, start + number / RATE - time.monotonic()))
        if envelope["event"] in workload.NOTIFYING:
            sent.setdefault(str(envelope["payload"]["run_id"]), time.monotonic())
        send(body)
    deadline = time.monotonic() + PATIENCE_S
    while missing := sent.keys() - (visible := {key_of(text): at for text, at in dict(seen).items()}).keys():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(missing)} of {len(sent)} never became visible")
        time.sleep(0.05)
    return [(visible[key] - at) * 1e3 for key, at in sent.items()]


@contextmanager
def watching(path: Path, query: str) -> Iterator[dict[str, float]]:
    """Notes when each new row can first be read by another process: text of the row to monotonic seconds."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=watch, args=(path, query, theirs), daemon=True)
    process.start()
    ours.recv()
    seen: dict[str, float] = {}

    def collect() -> None:
        try:
            while True:
                seen.update([ours.recv()])
        except (EOFError, OSError):
            return

    threading.Thread(target=collect, daemon=True).start()
    try:
        yield seen
    finally:
        process.kill()
        process.join()


def watch(path: Path, query: str, to: Connection) -> None:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=5)
    to.send("ready")
    last = 0
    while True:
        rows = connection.execute(query, (last,)).fetchall()
        now = time.monotonic()
        for number, text in rows:
            last = max(last, number)
            to.send((text, now))
        time.sleep(POLL_S)
