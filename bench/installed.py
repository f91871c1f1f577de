"""What cartridges cost that are installed and never match: 10,000 of which 3 match, against 3."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench import workload
from bench.engine import engine, met, until_idle
from bench.figures import Figure, Spent, by_cpu, figure, ratios, seconds, spent
from bench.pipeline import fill
from bench.running import make_domain
from eventctl.workspace import Paths

MANY = 10_000
MATCHING = workload.TYPES[:3]
COUNT = 20_000
CARTRIDGE = """# /// cartridge
# id = "{name}"
# version = "1.0.0"
# summary = "Measured."
# consumes = ["{consumes}"]
# annotates = ["{slot}"]
# ///

from eventctl import Context, Event


async def process(event: Event, context: Context) -> Event | None:
    context.annotate("{slot}", event.payload["attempt"])
    return event
"""


def measure(rounds: int) -> list[Figure]:
    bodies = workload.encoded(COUNT)
    took: dict[int, list[Took]] = {len(MATCHING): [], MANY: []}
    with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
        for count in took:
            install(Path(folder) / str(count), count)
        for number in range(rounds):
            for count in sorted(took, reverse=number % 2 == 1):
                took[count].append(worked_off(Path(folder) / str(count), bodies))
    few, many = ([one.work for one in each] for each in took.values())
    again, first = [one.again for one in took[MANY]], [one.first for one in took[MANY]]
    title = f"{MANY:,} cartridges installed, {len(MATCHING)} match"
    return [
        figure(
            f"{title}: throughput against {len(MATCHING)} installed",
            ratios(few, many),
            "of that",
            must=0.9,
            aim=0.98,
            detail=by_cpu(few, many),
        ),
        figure(f"{title}: until the engine is ready", again, "s", must=2, aim=0.5, lower_is_better=True),
        figure("the same the first time, when every manifest has to be read", first, "s"),
    ]


def install(root: Path, count: int) -> None:
    """So many cartridges in one domain; the first ones consume a type of the workload each, the others what never comes."""
    write(make_domain(root) / "cartridges", count)


def write(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        consumes = MATCHING[number] if number < len(MATCHING) else f"{workload.NAMESPACE}.absent-{number}.*"
        name = f"measured-{number}"
        (folder / f"{name}.py").write_text(CARTRIDGE.format(name=name, consumes=consumes, slot=f"slot-{number}"))


class Took(NamedTuple):
    """Seconds until the engine is ready for the first time and when it begins again; and what the whole log takes."""

    first: float
    work: Spent
    again: float


def worked_off(root: Path, bodies: list[bytes]) -> Took:
    fill(Paths(root).db, bodies)
    first = seconds(start, root)
    with engine(root) as ready:
        work = spent(until_idle, ready)
        met(ready, workload.expected(COUNT, types=frozenset(MATCHING)))
    again = seconds(start, root)
    shutil.rmtree(Paths(root).state_dir)
    return Took(first, work, again)


def start(root: Path) -> None:
    with engine(root) as ready:
        if [pipeline.name for pipeline in ready.pipelines] != ["system", "domain:bench"]:
            raise RuntimeError(str(ready.pipelines))
