"""All benchmarks, or the named ones: `python -m bench.run [--rounds 3] [--full] [--json] [append pipeline ...]`.

`--full` adds what takes minutes: a rebuild of 1,000,000 events, an inbox of 1,000,000 notifications.

Ends with 1 when a "must" is missed. Quote the ratios, not the absolute numbers: they hold within a run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from bench import (
    appending,
    backtesting,
    calls,
    dashboard,
    idling,
    installed,
    latency,
    listing,
    memory,
    neighbours,
    pipeline,
    rebuilding,
    reloading,
    rules,
    starting,
    workers,
)
from bench.figures import HEAD, Figure, show, show_json

BENCHMARKS: dict[str, Callable[[int], list[Figure]]] = {
    "start": starting.measure,
    "append": appending.measure,
    "pipeline": pipeline.measure,
    "latency": latency.measure,
    "neighbours": neighbours.measure,
    "calls": calls.measure,
    "installed": installed.measure,
    "reload": reloading.measure,
    "rules": rules.measure,
    "list": listing.measure,
    "rebuild": rebuilding.measure,
    "backtest": backtesting.measure,
    "dashboard": dashboard.measure,
    "workers": workers.measure,
    "memory": memory.measure,
    "idle": idling.measure,
}
FULL: dict[str, Callable[[int], list[Figure]]] = {"list": listing.measure_full, "rebuild": rebuilding.measure_full}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="also what takes minutes")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    unknown = set(given.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    figures: list[Figure] = []
    if not given.json:
        print(HEAD, flush=True)
    for name, measure in [*BENCHMARKS.items(), *(FULL.items() if given.full else ())]:
        if not given.names or name in given.names:
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            measured = measure(given.rounds)
            figures += measured
            if not given.json:
                show(measured)
    if given.json:
        show_json(figures)
    return 0 if all(one.met for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
