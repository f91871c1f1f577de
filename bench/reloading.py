"""One cartridge of 10,000 is changed while `eventctl run` works: from the write of its file to the plan that has it."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path

from bench import workload
from bench.figures import Figure, figure, timed
from bench.installed import CARTRIDGE, MANY, install, write
from bench.pipeline import fill
from bench.running import DOMAIN, Running
from eventctl.breadcrumb import NoCrumb
from eventctl.house import House
from eventctl.sqlite_store import SqliteStore
from eventctl.workspace import Paths

CHANGES = 5
"""Changes to a round: one lands anywhere between two looks of the watcher."""

PATIENCE_S = 20.0
POLL_S = 0.002


def measure(rounds: int) -> list[Figure]:
    whole: list[float] = []
    pause: list[float] = []
    against: list[float] = []
    with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
        for number in range(rounds):
            whole += seen(Path(folder) / f"running-{number}")
            began, paused = built(Path(folder) / f"engine-{number}")
            pause += paused
            against += [one / began for one in paused]
    title = f"reload of {MANY:,} cartridges after one change"
    return [
        figure(f"{title}: from the file to the plan", whole, "s", must=1, aim=0.5, lower_is_better=True),
        figure("the same: of which the engine stands still", pause, "s", aim=0.25, lower_is_better=True),
        figure("the same, against what a start takes", against, "x", lower_is_better=True),
    ]


def seen(root: Path) -> list[float]:
    """Seconds from a file's change until a real `eventctl run` says that its new plan is at work, for each change."""
    running = Running(root)
    cartridges = root / DOMAIN / "cartridges"
    write(cartridges, MANY)
    with running:
        running.settle()
        connection = sqlite3.connect(f"file:{running.paths.db}?mode=ro", uri=True, isolation_level=None, timeout=5)
        try:
            first = told(connection, 0)
            taken = []
            for number in range(CHANGES):
                begun = time.perf_counter()
                change(cartridges, number)
                until = begun + PATIENCE_S
                while (now := told(connection, first)) == first:
                    if time.perf_counter() > until:
                        raise RuntimeError("the change was not taken")
                    time.sleep(POLL_S)
                taken.append(time.perf_counter() - begun)
                first = now
                time.sleep(0.37 * (number + 1) % 1.0)
            return taken
        finally:
            connection.close()


def told(connection: sqlite3.Connection, after: int) -> int:
    """The position of the last reload; raises for one that failed."""
    for seq, type_, body in connection.execute(
        "SELECT seq, type, body FROM log WHERE type IN ('system.reload.done', 'system.reload.failed') AND seq > ?", (after,)
    ):
        if type_ != "system.reload.done":
            raise RuntimeError(bytes(body)[:500].decode())
        after = seq
    return after


def built(root: Path) -> tuple[float, list[float]]:
    """Seconds until pipelines are made of files that the store knows, and of making them again after each change."""
    install(root, MANY)
    paths = Paths(root)
    fill(paths.db, workload.encoded(1))
    store = SqliteStore.open(paths.db, role="runner", checkpointer=True)
    try:
        House(paths, {}, NoCrumb(), no_plugins=True).build(store)
        house = House(paths, {}, NoCrumb(), no_plugins=True)
        began, first = timed(house.build, store)
        taken = []
        for number in range(CHANGES):
            change(root / DOMAIN / "cartridges", number)
            took, now = timed(house.build, store, first)
            wrong = [problem for problem in now.problems if not problem.warning]
            if wrong or len(now.found) != MANY:
                raise RuntimeError(f"{len(now.found)} cartridges, {wrong[:1]}")
            taken.append(took)
            first = now
        return began, taken
    finally:
        store.close()


def change(cartridges: Path, number: int) -> None:
    """Let one of them consume something else. Written as an editor writes: aside, then moved."""
    name = f"measured-{MANY // 2 + number}"
    text = CARTRIDGE.format(name=name, consumes=f"{workload.NAMESPACE}.changed-{number}.*", slot=f"slot-{number}-changed")
    aside = cartridges / f".{name}.new"
    aside.write_text(text)
    aside.rename(cartridges / f"{name}.py")
