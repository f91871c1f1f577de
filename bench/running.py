"""A workspace made for measuring, and a real `eventctl run` on it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import workload
from eventctl import client
from eventctl.sqlite_store import SqliteStore
from eventctl.workspace import Paths

EVENTCTL = str(Path(sys.executable).with_name("eventctl"))
DOMAIN = "company/domains/bench"
PATIENCE_S = 20.0

SHIPPED = ("creative-production", "customer-relations", "marketing", "software-development")


def toml(value: Any) -> str:
    """A value as TOML; tables inline."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {toml(item)}' for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def make_workspace(root: Path) -> Paths:
    """Settings, the types of the workload, what eventctl ships, and an empty log."""
    make_domain(root)
    wanted = [word for name in SHIPPED for word in ("--domain", name)]  # what has a domain of its own gets no other unasked
    subprocess.run([EVENTCTL, "init", str(root), *wanted], check=True, stdout=subprocess.DEVNULL)
    return Paths(root)


def make_domain(root: Path) -> Path:
    """Settings, and the domain that the types of the workload belong to; returns its folder."""
    domain = root / DOMAIN
    domain.mkdir(parents=True)
    (root / "eventctl.toml").write_text('[workspace]\nname = "bench"\n[members.bench]\nrole = "admin"\n')
    (domain / "domain.toml").write_text('summary = "Measured."\n')
    part = workload.catalog_part()
    lines = [f'namespace = "{part["namespace"]}"']
    for table in ("lives", "types"):
        lines += [f'{table}."{name}" = {toml(body)}' for name, body in part[table].items()]
    (domain / "event_types.toml").write_text("\n".join(lines) + "\n")
    return domain


class Running:
    """`eventctl run` in the background for a block; waits until it answers, and for it to end."""

    def __init__(self, root: Path, env: dict[str, str] | None = None) -> None:
        self.paths = make_workspace(root)
        self.env = env

    def __enter__(self) -> Self:
        command = [EVENTCTL, "-w", str(self.paths.root), "run"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.env)
        deadline = time.monotonic() + PATIENCE_S
        while client.ask_status(self.paths) is None:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"`eventctl run` did not start (exit {self.process.poll()})")
            time.sleep(0.02)
        return self

    def settle(self, wait_s: float = 1.0) -> None:
        """Wait until the runner has opened its cursors, and a little: it starts behind the supervisor, which answers first."""
        deadline = time.monotonic() + PATIENCE_S
        store = SqliteStore.open(self.paths.db, role="reader")
        try:
            while not store.cursors():
                if time.monotonic() > deadline:
                    raise RuntimeError("the runner did not start")
                time.sleep(0.02)
        finally:
            store.close()
        time.sleep(wait_s)

    def pids(self) -> tuple[int, int]:
        """Supervisor and runner."""
        status = client.ask_status(self.paths)
        if status is None or not status["runner"]:
            raise RuntimeError("no runner")
        return self.process.pid, int(status["runner"])

    def measured(self) -> int:
        """How many events of clients stand in the log."""
        store = SqliteStore.open(self.paths.db, role="reader")
        try:
            return sum(seen.events for seen in store.views.types_seen() if seen.type.startswith(workload.NAMESPACE))
        finally:
            store.close()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
