"""What a running workspace takes while nothing happens."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import processes
from bench.figures import Figure, figure
from bench.memory import SETTLE_S
from bench.running import Running

WATCHED_S = 5.0
WAKES_HZ = 14
"""Counted: the runner 4 to 5 a second, the watch on files 7, the supervisor 2 to 3."""


def measure(rounds: int) -> list[Figure]:
    """CPU time of supervisor and runner together, all threads, as a share of one processor, beside a process that only sleeps.

    The sleeper wakes as often as both together do and does nothing else: what waking costs is the machine's, and on a virtual one
    it is most of the figure.
    """
    if not processes.KNOWN:
        return []
    with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder, Running(Path(folder)) as running:
        running.settle(SETTLE_S)
        sleeper = subprocess.Popen([sys.executable, "-c", f"import time\nwhile True: time.sleep(1 / {WAKES_HZ})"])
        try:
            time.sleep(1)
            shares = [watched((*running.pids(), sleeper.pid)) for _ in range(rounds)]
        finally:
            sleeper.kill()
            sleeper.wait()
    beyond = [100 * (sum(share[:-1]) - share[-1]) for share in shares]
    whole, floor = (100 * sum(shares[-1][:-1]), 100 * shares[-1][-1])
    detail = f"last: {whole:.2f} %, of which {floor:.2f} % is what {WAKES_HZ} bare wakes a second cost here"
    return [
        figure(
            "idle `eventctl run`, CPU beyond its wakes", beyond, "%", must=0.5, aim=0.25, lower_is_better=True, detail=detail
        )
    ]


def watched(pids: tuple[int, ...]) -> list[float]:
    """The share of one processor that each process takes."""
    before, start = [processes.cpu_s(pid) for pid in pids], time.monotonic()
    time.sleep(WATCHED_S)
    took = time.monotonic() - start
    return [(processes.cpu_s(pid) - then) / took for pid, then in zip(pids, before, strict=True)]
