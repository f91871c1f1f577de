"""Enrichment: what an event's entity has been through lately.

Only entities that fail have a row, with the moments of their newest failures within a day; an event of such an entity is
annotated with how many there were before it. What counts as a failure is declared in the catalog.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from eventctl.store import Keys, Operations, Snapshot, StateRow
from eventctl.system import Ended, Item
from eventctl.times import DAY, iso

SLOT = "entity"
OWNER = "system/enrichment"
MEMORY = DAY
FAILURES_MAX = 64
"""Moments kept per entity: 64 of them are about 1.1 kB. Past that the count reads as "at least"."""


class Enrichment:
    """The third stage."""

    name = "enrichment"

    def prepare(self, items: Sequence[Item], keys: Keys) -> None:
        keys.states += [(OWNER, item.entity) for item in items if item.entity]

    def begin(self, snapshot: Snapshot, out: Operations) -> EnrichmentRun:
        return EnrichmentRun(snapshot, out)


class EnrichmentRun:
    """The failures that one batch knows of."""

    name = "enrichment"
    every = True

    def __init__(self, snapshot: Snapshot, out: Operations) -> None:
        self._out = out
        self._failures: dict[str, list[int]] = {
            entity: orjson.loads(value) for (owner, entity), value in snapshot.states.items() if owner == OWNER
        }
        self._changed: set[str] = set()

    def judge(self, items: Sequence[Item]) -> Sequence[Ended]:
        failures = self._failures
        for item in items:
            entity = item.entity
            if not entity or item.repeat_of is not None:
                continue
            earlier = failures.get(entity)
            if earlier:
                self._remember(item, entity, earlier)
            if item.entry.failure:
                failures[entity] = [*failures.get(entity, ()), item.at][-FAILURES_MAX:]
                self._changed.add(entity)
        return ()

    def _remember(self, item: Item, entity: str, earlier: list[int]) -> None:
        recent = [at for at in earlier if at > item.at - MEMORY]
        if len(recent) < len(earlier):
            self._failures[entity] = recent
            self._changed.add(entity)
        if recent:
            said = {"failures_24h": len(recent), "last_failure": iso(recent[-1])}
            self._out.annotations.append((item.seq, SLOT, orjson.dumps(said)))

    def end(self) -> None:
        for entity in sorted(self._changed):
            failures = self._failures[entity]
            self._out.states.append(StateRow(OWNER, entity, orjson.dumps(failures) if failures else None))
