"""How often cartridges ran and how long they took, told once a minute: `cartridge.invoked`, one event for each that ran.

Cartridges are not counted while they hear of that. What they emit then is counted, but each telling stands one hop behind what it
counts, and hops have an end: nobody is kept busy by being counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from eventctl.advance import Pipeline
from eventctl.announce import announce
from eventctl.dag.run import INVOKED, Invocations
from eventctl.dag_pipeline import DagPipeline
from eventctl.event import HOPS_MAX
from eventctl.store import Record
from eventctl.times import MINUTE, iso

EVERY = MINUTE


def records(pipelines: Sequence[Pipeline], since: int, now: int) -> list[Record]:
    """What was counted from `since` until now, as records."""
    return [
        _record(pipeline.name, cartridge, counted, since, now)
        for pipeline in pipelines
        if isinstance(pipeline, DagPipeline)
        for cartridge, counted in pipeline.invocations.items()
        if counted.hops < HOPS_MAX
    ]


def forget(pipelines: Sequence[Pipeline]) -> None:
    """Begin to count anew: what was counted is in the log."""
    for pipeline in pipelines:
        if isinstance(pipeline, DagPipeline):
            pipeline.invocations.clear()


def _record(pipeline: str, cartridge: str, counted: Invocations, since: int, now: int) -> Record:
    facts = {
        "pipeline": pipeline,
        "cartridge": cartridge,
        "since": iso(since),
        "calls": counted.calls,
        "errors": counted.errors,
        "total_ms": round(counted.total_ns / 1e6, 3),
        "max_ms": round(counted.max_ns / 1e6, 3),
        "over_budget": counted.over,
    }
    return announce(INVOKED, facts, now=now, by="runner", entity=f"{pipeline}/{cartridge}", hops=counted.hops + 1)
