"""What rules without code cost that do not match: 1,000 of which 5 match, against 5; and what one costs that looks and says no."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from bench import workload
from bench.engine import engine, met, until_idle
from bench.figures import Figure, Spent, by_cpu, figure, ratios, seconds, spent
from bench.pipeline import fill
from bench.running import make_domain
from eventctl.workspace import Paths

MATCHING = 5
MANY = 1_000
DENYING = 50
TYPE = workload.TYPES[0]
COUNT = 20_000
RULE = """\
id       = "rule-{number}"
summary  = "Measured."
consumes = ["{consumes}"]
when     = "{when}"

[annotate]
slot  = "slot-{number}"
value = "{{payload.attempt}}"
"""
YES = "has(payload.attempt) && level >= 0 && source.startsWith('worker-')"
NO = "payload.attempt > 1000 && level >= 0"


def measure(rounds: int) -> list[Figure]:
    bodies = workload.encoded(COUNT)
    took: dict[str, list[Spent]] = {"few": [], "many": [], "denying": []}
    again: list[float] = []
    with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
        roots = {name: Path(folder) / name for name in took}
        install(roots["few"])
        install(roots["many"], absent=MANY - MATCHING)
        install(roots["denying"], denying=DENYING)
        for number in range(rounds):
            for name in sorted(took, reverse=number % 2 == 1):
                root = roots[name]
                asked = MATCHING + (DENYING if name == "denying" else 0)
                took[name].append(worked_off(root, bodies, asked * workload.expected(COUNT, types=frozenset([TYPE]))))
                if name == "many":
                    again.append(seconds(begin, root))
                shutil.rmtree(Paths(root).state_dir)
    few, many = took["few"], took["many"]
    seen = workload.expected(COUNT, types=frozenset([TYPE]))
    each = [(denied.cpu - plain.cpu) / (DENYING * seen) * 1e6 for denied, plain in zip(took["denying"], few, strict=True)]
    return [
        figure(
            f"{MANY:,} no-code rules, {MATCHING} match: throughput against {MATCHING} rules",
            ratios(few, many),
            "of that",
            must=0.8,
            aim=0.95,
            detail=by_cpu(few, many),
        ),
        figure(f"{MANY:,} no-code rules: until the engine is ready", again, "s", must=2, aim=0.5, lower_is_better=True),
        figure("a rule that looks at an event and whose `when` is false", each, "us CPU", lower_is_better=True),
    ]


def install(root: Path, *, absent: int = 0, denying: int = 0) -> None:
    """Five rules that match every event of one type; so many for what never comes; so many that look at that type and say no."""
    folder = make_domain(root) / "cartridges"
    folder.mkdir()
    rules = [(TYPE, YES)] * MATCHING + [(f"{workload.NAMESPACE}.absent.*", YES)] * absent + [(TYPE, NO)] * denying
    for number, (consumes, when) in enumerate(rules):
        (folder / f"rule-{number}.toml").write_text(RULE.format(number=number, consumes=consumes, when=when))


def worked_off(root: Path, bodies: list[bytes], expected: int) -> Spent:
    fill(Paths(root).db, bodies)
    with engine(root) as ready:
        work = spent(until_idle, ready)
        met(ready, expected)
    return work


def begin(root: Path) -> None:
    with engine(root) as ready:
        if [pipeline.name for pipeline in ready.pipelines] != ["system", "domain:bench"]:
            raise RuntimeError(str(ready.pipelines))
