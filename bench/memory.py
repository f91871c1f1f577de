"""Memory of `eventctl run` with the four shipped domains: idle, and after a burst. Supervisor and runner each by themselves."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench import processes, workload
from bench.appending import record
from bench.figures import Figure, figure
from bench.running import SHIPPED, Running
from eventctl import client
from eventctl.sqlite_store import SqliteStore
from eventctl.views import InboxFilter

BURST = 100_000
BATCH = 500
SETTLE_S = 3.0
PATIENCE_S = 120.0


def measure(_rounds: int) -> list[Figure]:
    """One run: memory does not vary with the load of the machine."""
    if not processes.KNOWN:
        return []
    with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder, Running(Path(folder)) as running:
        running.settle(SETTLE_S)
        supervisor, runner = running.pids()
        store = SqliteStore.open(running.paths.db, role="reader")
        has_domains(store)
        idle = [processes.resident(runner)]
        both = [processes.share(supervisor) + processes.share(runner)]
        about = f"supervisor {processes.resident(supervisor):.0f} MiB"
        burst(running, store)
        if running.pids() != (supervisor, runner):
            raise RuntimeError("the runner was replaced under the burst")
        most = [processes.peak(runner)]
        about_burst = f"supervisor {processes.peak(supervisor):.0f} MiB"
        store.close()
    return [
        figure("idle runner with the four domains, RSS", idle, "MiB", must=80, aim=50, lower_is_better=True, detail=about),
        figure("idle, supervisor and runner together, PSS", both, "MiB"),
        figure(
            f"runner at its peak under {BURST:,} events, RSS",
            most,
            "MiB",
            must=200,
            aim=120,
            lower_is_better=True,
            detail=about_burst,
        ),
    ]


def has_domains(store: SqliteStore) -> None:
    missing = {f"domain:{name}" for name in SHIPPED} - {cursor.pipeline for cursor in store.cursors()}
    if missing:
        raise RuntimeError(f"not running: {', '.join(sorted(missing))}")


def burst(running: Running, store: SqliteStore) -> None:
    """Append as fast as it goes, then wait until every pipeline has passed everything; what came of it is counted."""
    bodies = workload.encoded(BURST)
    with client.Appender(running.paths) as appender:
        for start in range(0, BURST, BATCH):
            appender.append([record(body) for body in bodies[start : start + BATCH]])
    deadline = time.monotonic() + PATIENCE_S
    while any(lag for _, lag in store.views.cursors()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"still behind after {PATIENCE_S:.0f} s: {store.views.cursors()}")
        time.sleep(0.1)
    counts, expected = store.views.counts(), workload.expected(BURST)
    found = len(store.views.inbox(InboxFilter(types=(f"{workload.NAMESPACE}.**",)), limit=2 * expected).items)
    if found != expected or counts.unaccounted:
        raise RuntimeError(f"expected {expected} notifications, found {found}; {counts.unaccounted} unaccounted")
