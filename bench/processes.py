"""What the operating system says about a process. Linux only: elsewhere the figures that need it are left out."""

from __future__ import annotations

import sys
from pathlib import Path

MIB = 1 << 20
KNOWN = sys.platform == "linux"


def resident(pid: int) -> float:
    """MiB in memory now, shared pages counted whole (RSS)."""
    return _field(pid, "status", "VmRSS")


def peak(pid: int) -> float:
    """The most MiB that were ever in memory."""
    return _field(pid, "status", "VmHWM")


def share(pid: int) -> float:
    """MiB in memory now, each shared page divided by its sharers (PSS): what several processes really take together."""
    return _field(pid, "smaps_rollup", "Pss")


def cpu_s(pid: int) -> float:
    """Seconds on a processor so far, all threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _field(pid: int, file: str, name: str) -> float:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        key, _, rest = line.partition(":")
        if key == name:
            return int(rest.split()[0]) / 1024
    raise RuntimeError(f"no {name} in /proc/{pid}/{file}")
