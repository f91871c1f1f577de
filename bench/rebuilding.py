"""A rebuild of the whole projection from the log: how long an event takes, and that it comes to the same hash."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from bench import workload
from bench.figures import Figure, figure, timed
from bench.pipeline import declared, filled, work_off
from eventctl.rebuild import rebuild
from eventctl.sqlite_store import SqliteStore
from eventctl.system_pipeline import SystemPipeline

COUNT = 100_000
FULL = 1_000_000


def measure(rounds: int, count: int = COUNT) -> list[Figure]:
    """A store of `count` events is made once; each round folds its log into an empty one."""
    took: list[float] = []
    cpus: list[float] = []
    with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
        source = filled(Path(folder) / "source" / "state.db", workload.encoded(count))
        work_off(SystemPipeline(declared()), source)
        if source.views.counts().notifications_open != workload.expected(count):
            raise RuntimeError("the store to rebuild is not what it should be")
        for number in range(rounds):
            target = SqliteStore.create(Path(folder) / str(number) / "state.db", role="scratch", reserve_bytes=0)
            cpu = time.process_time()
            elapsed, done = timed(rebuild, source, target, SystemPipeline(declared()))
            if not done.same or done.pos < count:
                raise RuntimeError(f"the rebuild is not the same: {done}")
            took.append(1e6 * elapsed / count)
            cpus.append(1e6 * (time.process_time() - cpu) / count)
            target.close()
        source.close()
    detail = f"{took[-1] * count / 1e6:.1f} s, same hash; CPU time {statistics.median(cpus):.0f} us"
    return [figure(f"rebuild of {count:,} events", took, "us an event", must=60, aim=30, lower_is_better=True, detail=detail)]


def measure_full(_rounds: int) -> list[Figure]:
    return measure(1, FULL)
