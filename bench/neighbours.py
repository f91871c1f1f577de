"""Four busy domains and 200 members beside the system pipeline: what is left for the system.

Every accepted event is one cartridge's of one of the domains, and that of ten members.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench import workload
from bench.engine import engine, met, until_idle
from bench.figures import Figure, Spent, by_cpu, figure, ratios, spent
from bench.pipeline import fill
from bench.running import make_domain
from eventctl.runner import Engine
from eventctl.workspace import Paths

DOMAINS = 4
MEMBERS = 200
COUNT = 20_000
CARTRIDGE = """# /// cartridge
# id = "busy-{number}"
# version = "1.0.0"
# summary = "Measured: says something about every second event that it meets."
# consumes = [{consumes}]
# annotates = ["busy-{number}"]
# ///

from eventctl import Context, Event


async def process(event: Event, context: Context) -> Event | None:
    if event.payload["attempt"] % 2:
        context.annotate("busy-{number}", {{"attempt": event.payload["attempt"]}})
    return event
"""


def measure(rounds: int) -> list[Figure]:
    bodies = workload.encoded(COUNT)
    expected = workload.expected(COUNT, types=workload.TYPES) * (1 + MEMBERS // len(workload.TYPES))
    alone: list[Spent] = []
    beside: list[Spent] = []
    whole: list[Spent] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
            quiet, busy = Path(folder) / "alone", Path(folder) / "beside"
            make_domain(quiet)
            settle(busy)
            alone.append(worked_off(quiet, bodies, 0)[0])
            system, rest = worked_off(busy, bodies, expected)
            beside.append(system)
            whole.append(Spent(system.wall + rest.wall, system.cpu + rest.cpu))
    title = f"{DOMAINS} busy domains and {MEMBERS} members beside the system pipeline"
    return [
        figure(
            f"{title}: its throughput against alone",
            ratios(alone, beside),
            "of alone",
            must=0.7,
            aim=0.9,
            detail=by_cpu(alone, beside),
        ),
        figure(f"{title}: until all are through", ratios(alone, whole), "of alone", detail=by_cpu(alone, whole)),
    ]


def settle(root: Path) -> None:
    """Four domains beside the one that the types belong to, a cartridge each, for a quarter of the types each; members, a type each."""
    make_domain(root)
    for number in range(DOMAINS):
        folder = root / "company" / "domains" / f"busy-{number}" / "cartridges"
        folder.mkdir(parents=True)
        consumes = ", ".join(f'"{name}"' for name in workload.TYPES[number::DOMAINS])
        (folder / f"busy-{number}.py").write_text(CARTRIDGE.format(number=number, consumes=consumes))
    for number in range(MEMBERS):
        folder = root / "personal" / f"member-{number}" / "cartridges"
        folder.mkdir(parents=True)
        consumes = f'"{workload.TYPES[number % len(workload.TYPES)]}"'
        (folder / "busy-self.py").write_text(CARTRIDGE.format(number="self", consumes=consumes))


def worked_off(root: Path, bodies: list[bytes], expected: int) -> tuple[Spent, Spent]:
    """What it takes until the system pipeline has read the log as it was, and then until nothing is left to do."""
    fill(Paths(root).db, bodies)
    with engine(root) as ready:
        system = spent(until_read, ready)
        rest = spent(until_idle, ready)
        met(ready, expected)
    return system, rest


def until_read(ready: Engine) -> None:
    while ready.step().pipelines["system"].pos < COUNT:
        pass
