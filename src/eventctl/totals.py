"""How often a cartridge has run in all, how long that took, and when it last did: a row of state that outlives restarts.

The row stands under the pipeline's own name, one for each cartridge. Times within are counted in boxes, each twice as wide as the one
before, so that a 95th percentile costs 24 numbers and is right to within its box.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl.store import Keys, StateRow
from eventctl.times import iso

if TYPE_CHECKING:
    from eventctl.store import Store

BOXES = 24
BOX_NS = 8_000
"""The first box is below 8 us, the last above 33 s."""

_KEY = "runs:"


def box(ns: int) -> int:
    """The number of the box that a run of so many nanoseconds is counted in."""
    return min(BOXES - 1, (ns // BOX_NS).bit_length())


class Totals(NamedTuple):
    """What is known of one cartridge in one pipeline. `since` and `last` are microseconds, `boxes` counts runs by their length.

    `suggested` is whether somebody was told that it may be promoted.
    """

    calls: int = 0
    errors: int = 0
    total_ns: int = 0
    max_ns: int = 0
    since: int = 0
    last: int = 0
    boxes: tuple[int, ...] = (0,) * BOXES
    suggested: bool = False

    @property
    def mean_ns(self) -> float:
        """What a run took on the average."""
        return self.total_ns / self.calls if self.calls else 0.0

    @property
    def p95_ns(self) -> float:
        """What 95 of 100 runs did not exceed, taking the runs of a box to lie evenly in it."""
        wanted = 0.95 * sum(self.boxes)
        for number, count in enumerate(self.boxes):
            if count and wanted <= count:
                low = BOX_NS * 2 ** (number - 1) if number else 0
                high = BOX_NS * 2**number if number < BOXES - 1 else max(self.max_ns, low)
                return min(low + (high - low) * wanted / count, float(self.max_ns))
            wanted -= count
        return 0.0

    def plus(self, other: Totals) -> Totals:
        """These runs and later ones."""
        return Totals(
            calls=self.calls + other.calls,
            errors=self.errors + other.errors,
            total_ns=self.total_ns + other.total_ns,
            max_ns=max(self.max_ns, other.max_ns),
            since=self.since or other.since,
            last=max(self.last, other.last),
            boxes=tuple(one + more for one, more in zip(self.boxes, other.boxes, strict=True)),
            suggested=self.suggested,
        )

    def form(self) -> dict[str, Any]:
        """As JSON, times in milliseconds."""
        return {
            "calls": self.calls, "errors": self.errors, "total_ms": round(self.total_ns / 1e6, 3),
            "mean_ms": round(self.mean_ns / 1e6, 3), "p95_ms": round(self.p95_ns / 1e6, 3), "max_ms": round(self.max_ns / 1e6, 3),
            "since": iso(self.since) if self.since else None, "last": iso(self.last) if self.last else None,
        }  # fmt: skip


NOTHING = Totals()


def row(pipeline: str, cartridge: str, totals: Totals) -> StateRow:
    """The totals as they are kept."""
    return StateRow(pipeline, _KEY + cartridge, orjson.dumps(totals._asdict()))


def read(store: Store, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Totals]:
    """The totals of cartridges by (pipeline, cartridge); those that have never run are left out."""
    wanted = {(pipeline, _KEY + cartridge): (pipeline, cartridge) for pipeline, cartridge in names}
    found = store.snapshot(Keys(states=list(wanted))).states
    return {wanted[key]: _read(value) for key, value in found.items() if value}


def together(several: Sequence[Totals]) -> Totals:
    """One cartridge that runs in several pipelines."""
    known = [totals for totals in several if totals.calls]
    first = min((totals.since for totals in known), default=0)
    whole = NOTHING
    for totals in known:
        whole = whole.plus(totals)
    return whole._replace(since=first)


def _read(value: bytes) -> Totals:
    held = orjson.loads(value)
    return Totals(**{**held, "boxes": tuple(held["boxes"])})
