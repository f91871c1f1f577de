"""Writes the recording: `python -m tools.week [FILE]`."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

from tools.week import rhythm, story, work
from tools.week.tape import Tape

SEED = 20261120
TARGET = Path(__file__).resolve().parents[2] / "demo" / "week.ndjson.gz"


def record() -> str:
    """The whole recording as text. The order of the scenes is part of the seed."""
    tape = Tape(SEED)
    for scene in (
        rhythm.cron, rhythm.heartbeats, rhythm.alerts, rhythm.dependencies,
        work.changes, work.releases, work.issues, work.agents, work.tickets,
        story.certificate, story.migration, story.cascade, story.friday, story.noise,
    ):  # fmt: skip
        scene(tape)
    return tape.text()


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    text = record()
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{text.count(chr(10)):,} lines, {target.stat().st_size:,} bytes: {target}")


if __name__ == "__main__":
    main()
