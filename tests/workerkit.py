"""Cartridges in code, run in this process or in a worker: the same text, the same pipeline around it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventctl.modules import Code, Modules, digest
from eventctl.plan import Cartridge, Plan
from eventctl.store import Store
from eventctl.workers import Workers
from tests.flowkit import World, cartridge


def coded(name: str, text: str, *, runs: str = "worker", consumes: Sequence[str] = ("shop.**",), **more: Any) -> Cartridge:
    """A cartridge of this text, with every right that a test may want."""
    made = cartridge(name, None, consumes, **more)
    code = Code((Path(f"/nowhere/{name}.py"),), digest([text.encode()]), text=text.encode())
    fields = {field: getattr(made, field) for field in Cartridge.__slots__} | {"code": code, "runs": runs}
    return Cartridge(**fields)


class Apart(World):
    """A world with workers. `settle` steps as the engine does: again when something moved, later when somebody thinks."""

    def __init__(self, plan: Plan, workers: Workers, *, store: Store | None = None) -> None:
        self.workers = workers
        super().__init__(plan, store=store)

    def restarted(self) -> Any:
        pipeline = super().restarted()
        pipeline._modules = Modules(self.workers)
        return pipeline

    def settle(self, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while True:
            report = self.step()
            if not report.moved and not report.waits:
                return
            assert time.monotonic() < end, "it did not come to rest"
            if report.waits and not report.moved:
                time.sleep(0.002)


@contextmanager
def workers(**given: Any) -> Iterator[Workers]:
    """Workers for a block."""
    made = Workers(**given)
    try:
        yield made
    finally:
        made.close()
