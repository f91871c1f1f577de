"""The engine of a workspace in this process, so that the clock can be held to any part of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventctl import app
from eventctl.breadcrumb import Breadcrumb
from eventctl.dag_pipeline import DagPipeline
from eventctl.runner import Engine
from eventctl.workspace import Paths


@contextmanager
def engine(root: Path) -> Iterator[Engine]:
    """What the runner of `eventctl run` runs for this folder: found, composed, ready for its first step."""
    paths = Paths(root)
    crumb = Breadcrumb(paths.breadcrumb)
    try:
        with app.running(paths, os.environ, crumb=crumb, checkpointer=True, no_plugins=True) as running:
            problems = [problem for problem in running.problems if not problem.warning]
            if problems:
                raise RuntimeError(f"{len(problems)} problems, the first: {problems[0]}")
            yield running.engine
    finally:
        crumb.close()


def until_idle(ready: Engine) -> None:
    while ready.step().busy:
        pass


def met(ready: Engine, expected: int) -> None:
    """Raises when cartridges did not run exactly so often, or not all of it went well."""
    ran = [run for pipeline in ready.pipelines if isinstance(pipeline, DagPipeline) for run in pipeline.invocations.values()]
    calls, errors = sum(run.calls for run in ran), sum(run.errors for run in ran)
    if (calls, errors) != (expected, 0):
        raise RuntimeError(f"expected {expected} runs of cartridges, found {calls}, of which {errors} failed")
