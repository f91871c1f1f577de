"""A domain whose cartridge awaits a command of 5 s on 1 % of events, at 200 events a second: what the other 99 % and another domain see."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import orjson

from bench import workload
from bench.figures import Figure, figure, percentile
from bench.running import Running
from eventctl import client, decode
from eventctl.times import iso, now_us

RATE = 200
COUNT = 2_000
EVERY = 100
"""One event in so many awaits a call."""

CALL_S = 5
POLL_S = 0.002
PATIENCE_S = 60.0
ASKING, BESIDE = "asking", "beside"
CARTRIDGE = """# /// cartridge
# id = "{name}"
# version = "1.0.0"
# summary = "Measured."
# consumes = ["{namespace}.**"]
# annotates = ["{name}"]
# [permissions]
# calls = ["command"]
# ///

from eventctl import Context, Event


async def process(event: Event, context: Context) -> Event | None:
    if {every} and event.payload["number"] % {every} == 0:
        await context.call("command", {{"argv": ["sleep", "{seconds}"]}})
    context.annotate("{name}", event.payload["number"])
    return event
"""


class Took(NamedTuple):
    """Milliseconds from the emit call to the annotation that another process can read, of events that await nothing, by domain."""

    asking: list[float]
    beside: list[float]


def measure(rounds: int) -> list[Figure]:
    with_calls: list[Took] = []
    without: list[Took] = []
    for number in range(rounds):
        for every, into in sorted([(EVERY, with_calls), (0, without)], key=lambda one: one[0], reverse=number % 2 == 1):
            into.append(latencies(every))

    def against(share: float, name: str) -> list[float]:
        return [
            percentile(getattr(one, name), share) / percentile(getattr(other, name), share)
            for one, other in zip(with_calls, without, strict=True)
        ]

    title = f"a call of {CALL_S} s on {100 // EVERY} % of events at {RATE}/s"
    tails = [percentile(one.asking, 0.99) for one in with_calls]
    last, quiet = with_calls[-1], without[-1]
    beside = f"last: {percentile(last.beside, 0.5):.1f} / {percentile(last.beside, 0.99):.1f} ms, without calls "
    beside += f"{percentile(quiet.beside, 0.5):.1f} / {percentile(quiet.beside, 0.99):.1f} ms"
    return [
        figure(f"{title}: p99 of the others", tails, "ms", must=50, aim=25, lower_is_better=True),
        figure("the same, against the same cartridge without calls", against(0.99, ASKING), "x", lower_is_better=True),
        figure("another domain beside it, p50 against without calls", against(0.5, BESIDE), "x", must=2, aim=1.2, lower_is_better=True, detail=beside),
        figure("the same, p99", against(0.99, BESIDE), "x", must=2, aim=1.2, lower_is_better=True),
    ]  # fmt: skip


def latencies(every: int) -> Took:
    """One run of `eventctl run`. Raises when an event was not worked through, with its call where it has one."""
    with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
        running = Running(Path(folder))
        for name, at in ((ASKING, every), (BESIDE, 0)):
            home = running.paths.root / "company" / "domains" / name / "cartridges"
            home.mkdir(parents=True)
            text = CARTRIDGE.format(name=name, namespace=workload.NAMESPACE, every=at, seconds=CALL_S)
            (home / f"{name}.py").write_text(text)
        with running, client.Appender(running.paths) as appender:
            running.settle()
            with watching(running.paths.db) as seen:
                return paced(appender, seen, every)


def paced(appender: client.Appender, seen: dict[tuple[str, int], float], every: int) -> Took:
    sent: list[float] = []
    start = time.monotonic()
    for number in range(COUNT):
        time.sleep(max(0.0, start + number / RATE - time.monotonic()))
        now = now_us()
        body = orjson.dumps(
            {
                "id": f"{start}-{number}", "event": workload.TYPES[-1], "source": "bench", "timestamp": iso(now),
                "entity": f"thing://{number}", "payload": {"number": number, "run_id": f"run-{number}"},
            }
        )  # fmt: skip
        sent.append(time.monotonic())
        appender.append([decode.to_record(decode.decode(body, now=now), principal="cli:bench", at=now)])
    wanted = {(name, number) for name in (ASKING, BESIDE) for number in range(COUNT)}
    deadline = time.monotonic() + PATIENCE_S
    while missing := wanted - seen.keys():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(missing)} of {len(wanted)} were never worked through: {sorted(missing)[:3]}")
        time.sleep(0.05)
    asked = {number for number in range(COUNT) if every and number % every == 0}
    early = [number for number in asked if seen[ASKING, number] - sent[number] < CALL_S]
    if early:
        raise RuntimeError(f"{len(early)} events did not wait for their call")

    def took(name: str) -> list[float]:
        return [(seen[name, number] - at) * 1e3 for number, at in enumerate(sent) if number not in asked]

    return Took(took(ASKING), took(BESIDE))


@contextmanager
def watching(path: Path) -> Iterator[dict[tuple[str, int], float]]:
    """Notes when each annotation can first be read by another process: (slot, its value) to monotonic seconds."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=watch, args=(path, theirs), daemon=True)
    process.start()
    ours.recv()
    seen: dict[tuple[str, int], float] = {}

    def collect() -> None:
        try:
            while True:
                slots, at = ours.recv()
                for slot in slots:
                    seen.setdefault(slot, at)
        except (EOFError, OSError):
            return

    threading.Thread(target=collect, daemon=True).start()
    try:
        yield seen
    finally:
        process.kill()
        process.join()


def watch(path: Path, to: Connection) -> None:
    """Rows come in the order of their events but for those that waited: these are looked for every half second."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=5)
    to.send("ready")
    last = dict.fromkeys((ASKING, BESIDE), 0)
    looked = time.monotonic()
    query = "SELECT seq, value FROM annotation WHERE seq > ? AND slot = ?"
    while True:
        now = time.monotonic()
        whole, looked = (True, now) if now - looked > 0.5 else (False, looked)
        slots: list[tuple[str, int]] = []
        for name in last:
            rows = connection.execute(query, (0 if whole else last[name], name)).fetchall()
            slots += [(name, int(value)) for _, value in rows]
            last[name] = max([last[name], *(seq for seq, _ in rows)])
        if slots:
            to.send((slots, time.monotonic()))
        time.sleep(POLL_S)
