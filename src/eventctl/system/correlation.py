"""Correlation: what single events do not say. A burst of one type, a cascade of failures, an entity that keeps failing.

Counting is in fixed buckets of event time (the event's timestamp, held to 5 s after its ingestion), so that a day that is read in a
minute is still a calm day. What happened longer than `LATENESS` before its ingestion is history and not counted: held to one moment,
the commits of ten years would be a burst. A rule speaks when a bucket reaches its threshold, once, and then not
before a bucket has stayed below it. An event older than the bucket before its key's newest is too late to count.

All windows are one row of state, written with the batch. What correlation finds is an event of its own, caused by the one that
reached the threshold. Derived events are not counted: a chain of causes ends here, whatever its members call themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from eventctl.event import SCHEMA_VERSION
from eventctl.ids import derived_id
from eventctl.store import Keys, Operations, Record, Snapshot, StateRow
from eventctl.system import Ended, Item
from eventctl.times import MINUTE, SECOND, WEEK, iso

OWNER = "system/correlation"
KEY = "windows"
SOURCE = "eventctl:correlation"
PRINCIPAL = "cartridge:system/correlation"

BURST = "system.burst.detected"
CASCADE = "system.failure_cascade.detected"
DEGRADED = "system.entity.degraded"

LATENESS = WEEK
AHEAD = 5 * SECOND
HISTORY = -1
"""The bucket of what is too old to count."""

TYPES_MAX = 512
ENTITIES_MAX = 256
"""Keys counted at a time. The row of state is read and written with every batch: 768 keys are about 40 kB."""


MINUTES_MAX = 4096
_STATE = (OWNER, KEY)


class Thresholds(NamedTuple):
    """When a rule speaks; at 0 it never does. A bucket is `window_min` minutes of the hour long: 5 is 12:00 to 12:05."""

    burst: int = 10
    cascade: int = 3
    degraded: int = 3
    window_min: int = 5


DEFAULT = Thresholds()


class Counts:
    """Events per key in its newest bucket and the two before: key -> [bucket, newest, one before, two before]."""

    __slots__ = ("cells", "limit", "threshold")

    def __init__(self, cells: dict[str, list[int]], threshold: int, limit: int) -> None:
        self.cells = cells
        self.threshold = threshold
        self.limit = limit

    def reached(self, key: str, bucket: int) -> bool:
        """Count one, and say whether it is the one that a bucket after a calm one was still short of."""
        cell = self.cells.get(key)
        if cell is None:
            self._make_room(bucket)
            self.cells[key] = [bucket, 1, 0, 0]
            return self.threshold == 1
        newest, count, before, _ = cell
        step = bucket - newest
        if step == 0:
            cell[1] = count + 1
            return count + 1 == self.threshold and before < self.threshold
        if step > 0:
            cell[:] = [bucket, 1, count if step == 1 else 0, before if step == 1 else count if step == 2 else 0]
            return self.threshold == 1 and cell[2] < 1
        return self._late(cell) if step == -1 else False

    def _late(self, cell: list[int]) -> bool:
        cell[2] += 1
        return cell[2] == self.threshold and max(cell[1], cell[3]) < self.threshold

    def _make_room(self, bucket: int) -> None:
        """Forget what is over, or else what has been counted longest. By event and not by batch: both must come out the same."""
        if len(self.cells) < self.limit:
            return
        for key in [key for key, cell in self.cells.items() if cell[0] < bucket - 1]:
            del self.cells[key]
        if len(self.cells) >= self.limit:
            del self.cells[next(iter(self.cells))]


class Names:
    """Distinct names per bucket, up to the threshold: [bucket, newest, one before, how many two before]."""

    __slots__ = ("cell", "threshold")

    def __init__(self, cell: list[Any], threshold: int) -> None:
        self.cell = cell
        self.threshold = threshold

    def reached(self, name: str, bucket: int) -> list[str] | None:
        """Note one name; the names of its bucket when it is the one that a bucket after a calm one was still short of."""
        newest, names, before, two_before = self.cell
        step = bucket - newest
        if step > 0:
            counts = [before if step == 1 else names if step == 2 else []]
            names, before, two_before = [], names if step == 1 else [], len(counts[0])
            self.cell[:] = [bucket, names, before, two_before]
        elif step < -1:
            return None
        here = before if step == -1 else names
        if name in here or len(here) >= self.threshold:
            return None
        here.append(name)
        calm = max(two_before, len(names)) if step == -1 else len(before)
        return list(here) if len(here) == self.threshold > calm else None


class Correlation:
    """The fourth stage."""

    name = "correlation"

    def __init__(self, thresholds: Thresholds = DEFAULT) -> None:
        self._thresholds = thresholds
        self._width = thresholds.window_min * MINUTE
        self._minutes: dict[str, int] = {}

    def prepare(self, items: Sequence[Item], keys: Keys) -> None:
        keys.states.append(_STATE)
        minutes, width = self._minutes, self._width
        for item in items:
            text: str = item.data["timestamp"]
            said, at = minutes.get(text[:16]) if text[-1] == "Z" else None, item.at
            if said is None:
                said = self._minute(text)
            if said > at + AHEAD:  # noqa: PLR1730  # min() takes three times as long
                said = at + AHEAD
            item.bucket = said // width if said >= at - LATENESS else HISTORY

    def _minute(self, text: str) -> int:
        """Buckets are whole minutes, so the timestamp's minute says as much as the timestamp, and many events share it."""
        said = int(datetime.fromisoformat(text).timestamp()) * SECOND // MINUTE * MINUTE
        if text[-1] == "Z":
            if len(self._minutes) >= MINUTES_MAX:
                self._minutes.clear()
            self._minutes[text[:16]] = said
        return said

    def begin(self, snapshot: Snapshot, out: Operations) -> CorrelationRun:
        return CorrelationRun(self._thresholds, snapshot, out)


class CorrelationRun:
    """The windows at work on one batch."""

    name = "correlation"
    every = True

    def __init__(self, thresholds: Thresholds, snapshot: Snapshot, out: Operations) -> None:
        stored = snapshot.states.get((OWNER, KEY))
        windows: dict[str, Any] = orjson.loads(stored) if stored else {}
        self._thresholds = thresholds
        self._types = Counts(windows.get("types", {}), thresholds.burst, TYPES_MAX)
        self._entities = Counts(windows.get("entities", {}), thresholds.degraded, ENTITIES_MAX)
        self._failing = Names(windows.get("failing", [0, [], [], 0]), thresholds.cascade)
        self._out = out
        self._counted = False

    def judge(self, items: Sequence[Item]) -> Sequence[Ended]:
        reached = self._types.reached
        for item in items:
            bucket = item.bucket
            if bucket < 0 or item.hops or item.repeat_of is not None:
                continue
            self._counted = True
            routine = item.entry.reserved and not item.entry.failure  # ten reloads are somebody at work
            if not routine and reached(item.type, bucket):
                self._derive(item, bucket, 0, BURST, {"event_type": item.type, "count": self._thresholds.burst})
            if item.entry.failure:
                self._failed(item, bucket)
        return ()

    def _failed(self, item: Item, bucket: int) -> None:
        names = self._failing.reached(item.entity or item.source, bucket)
        if names is not None:
            self._derive(item, bucket, 1, CASCADE, {"failure_count": len(names), "entities": names})
        if item.entity and self._entities.reached(item.entity, bucket):
            what = {"entity": item.entity, "failure_count": self._thresholds.degraded}
            self._derive(item, bucket, 2, DEGRADED, what, entity=item.entity)

    def _derive(
        self, item: Item, bucket: int, ordinal: int, kind: str, payload: Mapping[str, Any], *, entity: str | None = None
    ) -> None:
        start, hops = bucket * self._thresholds.window_min * MINUTE, item.hops + 1
        id_ = derived_id(item.source, item.id, "system", "correlation", ordinal)
        envelope: dict[str, Any] = {
            "id": id_, "event": kind, "version": SCHEMA_VERSION, "source": SOURCE, "timestamp": iso(item.at),
            "payload": {**payload, "window_start": iso(start)}, "caused_by": item.id, "hops": hops,
        }  # fmt: skip
        if entity is not None:
            envelope["entity"] = entity
        body = orjson.dumps(envelope)
        self._out.records.append(
            Record("event", SOURCE, id_, kind, body, PRINCIPAL, item.at, entity, caused_by=item.seq, hops=hops)
        )

    def end(self) -> None:
        if self._counted:
            windows = {"types": self._types.cells, "entities": self._entities.cells, "failing": self._failing.cell}
            self._out.states.append(StateRow(OWNER, KEY, orjson.dumps(windows)))
