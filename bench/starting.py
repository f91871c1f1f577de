"""How long one command takes from nothing, against an interpreter that imports click."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.figures import Figure, figure, seconds

FLOOR = [sys.executable, "-c", "import click"]
EVENTCTL = [str(Path(sys.executable).with_name("eventctl"))]


def measure(rounds: int) -> list[Figure]:
    """`--help` and one `emit` (no runner: it opens, writes, syncs and closes by itself)."""
    with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
        workspace = ["-w", folder]
        run([*EVENTCTL, "init", folder])
        emit = [*EVENTCTL, *workspace, "emit", "bench.tick", "--source", "bench", "--payload", '{"n": 1}']
        helps, emits = [], []
        for round in range(rounds + 1):
            floor = seconds(run, FLOOR)
            help = seconds(run, [*EVENTCTL, "--help"])
            emitted = seconds(run, emit)
            if round:  # the first one fills the caches
                helps.append(help / floor)
                emits.append(emitted / floor)
    return [
        figure("`eventctl --help` against `python -c 'import click'`", helps, "x", must=2, aim=1.3, lower_is_better=True),
        figure("`eventctl emit` of one event against the same", emits, "x", must=3, aim=1.5, lower_is_better=True),
    ]


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
