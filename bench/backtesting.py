"""A rule backtested over 100,000 stored events, against the live pipeline over the same events: system and the rule's domain."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import workload
from bench.engine import engine, until_idle
from bench.figures import Figure, Spent, by_cpu, figure, ratios, spent
from bench.pipeline import fill
from bench.running import DOMAIN, EVENTCTL, make_domain
from eventctl import backtest
from eventctl.breadcrumb import NoCrumb
from eventctl.house import House
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Store
from eventctl.workspace import Paths

COUNT = 100_000
RULE = """id       = "slow-run"
summary  = "Measured: tells when something important took long."
consumes = [{consumes}]
when     = "payload.duration_ms > 85000.0"
[notify]
title = "{{payload.run_id}} took {{payload.duration_ms}} ms"
level = "business"
"""


def measure(rounds: int) -> list[Figure]:
    bodies = workload.encoded(COUNT)
    live: list[Spent] = []
    tried: list[Spent] = []
    peaks: list[float] = []
    told = 0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
            there, away = Path(folder) / "with", Path(folder) / "without"
            settle(there, bodies)
            with engine(there) as ready:
                live.append(spent(until_idle, ready))
                notices = raised(ready.store)
            rule = settle(away, bodies).rename(Path(folder) / "slow-run.toml")
            with engine(away) as ready:
                until_idle(ready)
            reports: list[backtest.Report] = []
            tried.append(spent(tested, away, rule, reports))
            told = len(reports[0].difference.changes.get("told", ()))
            if told != notices or not told:
                raise RuntimeError(f"live raised {notices} notices, and the backtest says {told}")
            peaks.append(peak(away, rule))
    last = f"last: {1e6 * tried[-1].wall / COUNT:.1f} us an event, live {1e6 * live[-1].wall / COUNT:.1f}; {told:,} notices in both"
    title = f"backtest of a rule over {COUNT:,} stored events, against live"
    return [
        figure(title, ratios(live, tried), "of live", must=0.7, aim=1.0, detail=f"{last}; {by_cpu(live, tried)}"),
        figure("the same from the command line, RSS at its peak", peaks, "MiB", lower_is_better=True),
    ]


def settle(root: Path, bodies: list[bytes]) -> Path:
    """The domain with the rule and with the events in its log; the rule's file."""
    make_domain(root)
    folder = root / DOMAIN / "cartridges"
    folder.mkdir(parents=True)
    rule = folder / "slow-run.toml"
    rule.write_text(RULE.format(consumes=", ".join(f'"{name}"' for name in sorted(workload.NOTIFYING))))
    fill(Paths(root).db, bodies)
    return rule


def raised(store: Store) -> int:
    """How many notices stand in a store."""
    return sum(number for name, number, *_ in store.views.types_seen() if name == "notice.raised")


def peak(root: Path, rule: Path) -> float:
    """MiB that `eventctl cartridge backtest` takes at most."""
    into = f"domain:{DOMAIN.rpartition('/')[2]}"
    words = ["-w", str(root), "--no-plugins", "cartridge", "backtest", str(rule), "--into", into, "--since", "e1", "--json"]
    process = subprocess.Popen([EVENTCTL, *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"the backtest ended with {status}")
    return usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def tested(root: Path, rule: Path, reports: list[backtest.Report]) -> None:
    store = SqliteStore.open(Paths(root).db, role="reader")
    house = House(Paths(root), os.environ, NoCrumb(), no_plugins=True)
    try:
        reports.append(backtest.run(house, store, rule, into=f"domain:{DOMAIN.rpartition('/')[2]}"))
    finally:
        store.close()
