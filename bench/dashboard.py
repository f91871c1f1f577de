"""The dashboard on a real terminal: its first paint at different sizes, keys to paint, and what it costs the pipeline beside it."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import orjson

from bench import workload
from bench.figures import Figure, figure, percentile
from bench.pipeline import as_it_happened, declared, work_off
from bench.running import EVENTCTL, make_workspace
from bench.terminal import Terminal
from eventctl.sqlite_store import SqliteStore
from eventctl.store import LOG_PIPELINE
from eventctl.system_pipeline import SystemPipeline
from eventctl.workspace import Paths

FEW = 100
"""Open notifications of the small workspace."""

MANY_EVENTS = 1_000_000
MANY = 100_000
PIECE = 10_000
BACKLOG = 150_000
PATIENCE_S = 120.0
ALOUD_S = 0.1
"""Between two letters: a fast typist."""

TYPING = "typing in the filter"
KEYS: dict[str, list[bytes]] = {
    "scrolling": [b"j"] * 60 + [b"\x1b[6~"] * 30 + [b"k"] * 10,
    TYPING: [letter.encode() for letter in "rollout canary " * 3],
}


def measure(rounds: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        fill(make_workspace(small), events=FEW * 6, open_=FEW)
        fill(make_workspace(large), events=MANY_EVENTS, open_=MANY)
        return [*painted(small, large, rounds), *heard(large, rounds), *beside(Path(folder), rounds)]


def painted(small: Path, large: Path, rounds: int) -> list[Figure]:
    """From the start of the process to a row of the inbox on the terminal."""
    first_paint(small)  # bytecode and the page cache are warm for both
    pairs = [(first_paint(small), first_paint(large)) for _ in range(max(rounds, 3))]
    ratios = [many / few for few, many in pairs]
    detail = f"last: {pairs[-1][1]:.2f} s against {pairs[-1][0]:.2f}"
    title = f"dashboard: first paint at {MANY:,} open and {MANY_EVENTS:,} events against {FEW}"
    return [figure(title, ratios, "x", must=2, aim=1.2, lower_is_better=True, detail=detail)]


def first_paint(root: Path) -> float:
    with dashboard(root, "--room", "inbox") as terminal:
        return terminal.until(b"run-") - terminal.began


def heard(root: Path, rounds: int) -> list[Figure]:
    """From a key to the last byte that it painted."""
    tails: dict[str, list[float]] = {name: [] for name in KEYS}
    middles: dict[str, list[float]] = {name: [] for name in KEYS}
    for _ in range(rounds):
        with dashboard(root, "--room", "inbox") as terminal:
            terminal.until(b"run-")
            terminal.quiet()
            for name, keys in KEYS.items():
                took = [1e3 * each for each in pressed(terminal, name, keys)]
                tails[name].append(percentile(took, 0.95))
                middles[name].append(percentile(took, 0.5))
    return [
        figure(
            f"dashboard, the same {MANY:,}: {name}, key to paint, p95",
            tails[name], "ms", must=100, aim=50, lower_is_better=True, detail=f"p50 {percentile(middles[name], 0.5):.0f} ms",
        )
        for name in KEYS
    ]  # fmt: skip


def pressed(terminal: Terminal, name: str, keys: Sequence[bytes]) -> Iterator[float]:
    if name == TYPING:
        terminal.paint(b"/")
        time.sleep(1.0)
    for key in keys:
        yield terminal.paint(key)
        time.sleep(ALOUD_S)


def beside(folder: Path, rounds: int) -> list[Figure]:
    """A runner works off a backlog, alone and with the dashboard open, by turns."""
    figures = []
    for room in ("inbox", "live"):
        ratios, last = [], ""
        for number in range(rounds):
            courses = {}
            for watched in (False, True) if number % 2 else (True, False):
                with tempfile.TemporaryDirectory(dir=folder) as home:
                    courses[watched] = work_off_backlog(Path(home), room if watched else "")
            ratios.append(courses[True] / courses[False])
            last = f"last: {courses[True]:,.0f} against {courses[False]:,.0f} events a second"
        title = f"pipeline with the dashboard open ({room}): its throughput against alone"
        figures.append(figure(title, ratios, "of alone", must=0.9, aim=0.97, detail=last))
    return figures


def work_off_backlog(root: Path, room: str) -> float:
    """Events a second from the first batch to the last of the system pipeline, in a real `eventctl run`."""
    paths = make_workspace(root)
    append(paths, BACKLOG)
    with ExitStack() as open_:
        if room:
            terminal = open_.enter_context(dashboard(root, "--room", room))
            terminal.until(b"Inbox")
            terminal.quiet()
        runner = subprocess.Popen([EVENTCTL, "-w", str(root), "run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return rate(paths)
        finally:
            runner.send_signal(signal.SIGTERM)
            runner.wait(30)


def rate(paths: Paths) -> float:
    store = SqliteStore.open(paths.db, role="reader")
    try:
        began, from_, deadline = 0.0, 0, time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            cursor = store.cursor(LOG_PIPELINE)
            came = cursor.pos if cursor else 0
            if came and not began:
                began, from_ = time.monotonic(), came
            if came >= BACKLOG:
                return (came - from_) / (time.monotonic() - began)
            time.sleep(0.005)
    finally:
        store.close()
    raise RuntimeError(f"the runner came to e{came} of {BACKLOG:,} only")


def dashboard(root: Path, *words: str) -> Terminal:
    return Terminal([EVENTCTL, "-w", str(root), "dashboard", "--no-run", *words])


def fill(paths: Paths, *, events: int, open_: int) -> None:
    """Events in the log, all worked on by the system pipeline. Raises when fewer notifications are open than asked for."""
    append(paths, events)
    store = SqliteStore.open(paths.db, role="runner", checkpointer=True)
    work_off(SystemPipeline(declared()), store)
    store.checkpoint()
    found = store.views.counts().notifications_open
    store.close()
    if found < open_:
        raise RuntimeError(f"{found} notifications are open, and {open_} were wanted")


def append(paths: Paths, events: int) -> None:
    appender = SqliteStore.open(paths.db, role="appender", checkpointer=True)
    given = workload.events(events)
    while piece := list(islice(given, PIECE)):
        appender.append([as_it_happened(orjson.dumps(envelope)) for envelope in piece])
    appender.checkpoint()
    appender.close()
