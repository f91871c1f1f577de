"""Classification: where does this event belong, and how much does it matter?

The sender's own level, domain and visibility win where they are given; the catalog says the rest. Nothing of it is stored beside
the event: it follows from the event and the catalog.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eventctl.catalog import EventType
from eventctl.store import Operations, Snapshot
from eventctl.system import Ended, Item
from eventctl.system.trust import ATTENUATED_LEVEL


class Classified(NamedTuple):
    """Where an event belongs, and how much it matters."""

    level: int
    domain: str
    visibility: str
    actionable: bool


def classify(entry: EventType, data: Mapping[str, Any], *, attenuated: bool = False) -> Classified:
    """What holds for an event of this type with this envelope. A level outside 0 to 3 counts as the nearest one."""
    level = data.get("level")
    level = entry.level if level is None else max(0, min(level, 3))
    return Classified(
        min(level, ATTENUATED_LEVEL) if attenuated else level,
        data.get("domain") or entry.domain,
        data.get("visibility") or entry.visibility,
        entry.actionable,
    )


class Classification:
    """The fifth stage."""

    name = "classification"

    def begin(self, snapshot: Snapshot, out: Operations) -> ClassificationRun:
        return ClassificationRun()


class ClassificationRun:
    """Writes onto the events of one batch where they belong, if anything after this asks."""

    name = "classification"
    every = False

    def judge(self, items: Sequence[Item]) -> Sequence[Ended]:
        for item in items:
            if item.lives or item.shape is not None:
                item.filed = classify(item.entry, item.data, attenuated=item.attenuated)
        return ()

    def end(self) -> None:
        """Nothing was kept."""
