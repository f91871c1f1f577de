"""A figure: what was measured, against what, and what it must be. Contender and floor take turns, so that both see the same machine."""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` is the median over `rounds`; `must` and `aim` bound it from below or, with `lower_is_better`, from above.

    A figure without a `must` is there to be looked at.
    """

    name: str
    value: float
    unit: str
    must: float | None
    aim: float | None
    lower_is_better: bool
    low: float
    high: float
    rounds: int
    detail: str = ""

    @property
    def met(self) -> bool:
        if self.must is None:
            return True
        return self.value <= self.must if self.lower_is_better else self.value >= self.must


def figure(
    name: str,
    values: Sequence[float],
    unit: str,
    *,
    must: float | None = None,
    aim: float | None = None,
    lower_is_better: bool = False,
    detail: str = "",
) -> Figure:
    """The median of the rounds, with the lowest and the highest."""
    return Figure(
        name, statistics.median(values), unit, must, aim, lower_is_better, min(values), max(values), len(values), detail
    )


HEAD = "| what | measured | low to high | must | aim | |\n|---|---|---|---|---|---|"


def timed(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> tuple[float, R]:
    """How many seconds the work takes, with the garbage of others collected before, and what it returns."""
    gc.collect()
    start = time.perf_counter()
    result = work(*args, **kwargs)
    return time.perf_counter() - start, result


class Spent(NamedTuple):
    """Seconds of a piece of work: on the wall, and of this process on a processor. The second is what a busy machine disturbs least."""

    wall: float
    cpu: float


def spent(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Spent:
    """What the work takes of both times."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    work(*args, **kwargs)
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def by_cpu(floors: Sequence[Spent], ours: Sequence[Spent]) -> str:
    """The same ratio in CPU time, for the detail of a figure."""
    ratio = statistics.median(floor.cpu / our.cpu for floor, our in zip(floors, ours, strict=True))
    return f"by CPU time {ratio:.2f}"


def ratios(floors: Sequence[Spent], ours: Sequence[Spent]) -> list[float]:
    return [floor.wall / our.wall for floor, our in zip(floors, ours, strict=True)]


def seconds(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    """How many seconds the work takes."""
    return timed(work, *args, **kwargs)[0]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def row(one: Figure) -> str:
    """A figure as a line of the table."""
    sign = "<=" if one.lower_is_better else ">="
    name = f"{one.name} ({one.detail})" if one.detail else one.name
    spread = f"{one.low:.3g} to {one.high:.3g}, {one.rounds} round{'s' * (one.rounds > 1)}"
    bounds = ["" if bound is None else f"{sign} {bound:g}" for bound in (one.must, one.aim)]
    verdict = "" if one.must is None else "ok" if one.met else "MISSED"
    return f"| {name} | **{one.value:.3g} {one.unit}** | {spread} | {' | '.join(bounds)} | {verdict} |"


def show(figures: Sequence[Figure]) -> None:
    """Print them as lines of the table."""
    for one in figures:
        print(row(one), flush=True)


def show_json(figures: Sequence[Figure]) -> None:
    json.dump([asdict(figure) | {"met": figure.met} for figure in figures], sys.stdout, indent=2)
    print()
