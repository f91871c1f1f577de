"""What a run costs in a worker, against the same cartridge in the runner: the whole way of an event, with and without it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench import workload
from bench.engine import engine, met
from bench.figures import Figure, Spent, figure, ratios, spent
from bench.pipeline import fill
from bench.running import make_domain
from eventctl.runner import Engine
from eventctl.workspace import Paths

COUNT = 4_000
CARTRIDGE = """# /// cartridge
# id = "apart"
# version = "1.0.0"
# summary = "Measured: counts by entity, and says so beside the event."
# consumes = ["domain.bench.**"]
# annotates = ["apart"]
# runs = "{runs}"
# ///

from eventctl import Context, Event


async def process(event: Event, context: Context) -> Event | None:
    count = await context.state.get("count", 0) + 1
    context.state.set("count", count)
    context.annotate("apart", count)
    return event
"""


def measure(rounds: int) -> list[Figure]:
    bodies, expected = workload.encoded(COUNT), workload.expected(COUNT, types=workload.TYPES)
    took: dict[str, list[Spent]] = {"": [], "in-process": [], "worker": []}
    for _ in range(rounds):
        for runs, times in took.items():
            with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
                times.append(worked_off(settle(Path(folder), runs), bodies, expected if runs else 0))
    alone, here, there = took.values()
    cost = [
        [1e6 * (with_.wall - without.wall) / expected for with_, without in zip(each, alone, strict=True)]
        for each in (here, there)
    ]
    rates = [expected / spent_.wall for spent_ in there]
    title = "a cartridge that counts"
    return [
        figure(
            f"{title}: one run in a worker",
            cost[1],
            "us",
            lower_is_better=True,
            detail="with one question, the runner's part of it included",
        ),
        figure(f"{title}: one run in the runner", cost[0], "us", lower_is_better=True),
        figure(f"{title}: events a second through everything, in a worker", rates, "/s"),
        figure(f"{title}: throughput of everything in a worker against in the runner", ratios(here, there), "of in-process"),
    ]


def settle(root: Path, runs: str) -> Path:
    """The domain that the types belong to, with the cartridge where it is to run, or without it."""
    make_domain(root)
    if runs:
        folder = root / "company" / "domains" / "apart" / "cartridges"
        folder.mkdir(parents=True)
        (folder / "apart.py").write_text(CARTRIDGE.format(runs=runs))
    return root


def worked_off(root: Path, bodies: list[bytes], expected: int) -> Spent:
    fill(Paths(root).db, bodies)
    with engine(root) as ready:
        took = spent(until_done, ready)
        met(ready, expected)
    return took


def until_done(ready: Engine) -> None:
    if not ready.run_until_idle():
        raise RuntimeError("it did not come to rest")
