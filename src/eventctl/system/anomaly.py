"""What is odd about an event whoever sent it: a type that its source never sent before, a size, a payload unlike its declaration.

The first is a fold of the log: pairs of type and source stand on a fixed number of shelves, each a row of state with a fixed
number of places, and a pair that was not seen for `MEMORY_DAYS` is new again. The other two are judged by the event alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import orjson

from eventctl.catalog import EventType
from eventctl.declaration import SHAPES
from eventctl.decode import LIMITS
from eventctl.drift import drifts
from eventctl.patterns import matches
from eventctl.store import Operations, Snapshot, StateRow
from eventctl.times import DAY

FIRST_SEEN, OVERSIZED, UNLIKE = "first_seen", "oversized", "unlike_schema"

OWNER = "system/trust"
MEMORY_DAYS = 30
"""A pair that was not seen for longer is new again."""

SHELVES = 16
PLACES = 256
"""Pairs remembered: 4,096, in rows of up to 10 kB. A batch reads the rows of the pairs that it has; a pair is written once a day.

More rows of fewer pairs cost a batch of many pairs more: with 64 of them it was half a microsecond an event.
"""

USUAL_BYTES = LIMITS.bytes // 4
"""A larger event is oversized where nothing else is said: a quarter of what is let in at all, 64 KiB."""

TOLD_MAX = 3
"""Differences from its declaration that an annotation names."""

RIGHT_MAX = 64
"""Combinations of types that are known to be right, for each type of events: fields that may be absent make several."""

Unlike = Callable[[Mapping[str, Any]], str]
"""Says what about a payload differs from what is declared; "" for nothing."""


class Sighting:
    """Where a pair of type and source stands: the key of its shelf's row, and the pair. Hashed by identity, which is quick."""

    __slots__ = ("key", "pair")

    def __init__(self, name: str, source: str) -> None:
        self.pair = f"{name} {source}"  # no type has a space in it, so no two pairs read alike
        self.key = (OWNER, f"seen/{crc32(self.pair.encode(errors='surrogatepass')) % SHELVES:02}")


@dataclass(frozen=True, slots=True)
class Anomalies:
    """What each anomaly comes to: a verdict, or `ignore`. `size` is in bytes; `sizes` says another one by pattern of types."""

    first_seen: str = "flag"
    oversized: str = "attenuate"
    unlike_schema: str = "flag"
    size: int = USUAL_BYTES
    sizes: Mapping[str, int] = field(default_factory=dict)

    def limit(self, name: str) -> int:
        """How many bytes are usual for events of this type; the first pattern that fits says so."""
        return next((size for pattern, size in self.sizes.items() if matches(pattern, name)), self.size)

    def verdict(self, reason: str) -> str:
        """What a reason comes to."""
        return {FIRST_SEEN: self.first_seen, OVERSIZED: self.oversized, UNLIKE: self.unlike_schema}[reason]


class Sightings:
    """Which pairs have been seen, for one batch: the rows that the store gave, with this batch's sightings over them."""

    def __init__(self, snapshot: Snapshot, out: Operations) -> None:
        self._stored = snapshot.states
        self._out = out
        self._shelves: dict[tuple[str, str], dict[str, int]] = {}
        self._changed: set[tuple[str, str]] = set()
        self.until: dict[Sighting, int] = {}
        """Up to when there is nothing to note about a pair; only pairs that this batch has looked at."""

    def new(self, sighting: Sighting, at: int) -> bool:
        """Whether the pair has not been seen for a month before."""
        seen = self._shelf(sighting.key).get(sighting.pair)
        return seen is None or at // DAY - seen > MEMORY_DAYS

    def note(self, sighting: Sighting, at: int) -> None:
        """The pair was seen, on that day."""
        key, pair, day = sighting.key, sighting.pair, at // DAY
        shelf = self._shelf(key)
        if shelf.get(pair, -1) < day:
            shelf.pop(pair, None)
            while len(shelf) >= PLACES:
                del shelf[min(shelf, key=shelf.__getitem__)]
                self.until.clear()
            shelf[pair] = day
            self._changed.add(key)
        self.until[sighting] = (shelf[pair] + 1) * DAY

    def _shelf(self, key: tuple[str, str]) -> dict[str, int]:
        shelf = self._shelves.get(key)
        if shelf is None:
            stored = self._stored.get(key)
            shelf = self._shelves[key] = orjson.loads(stored) if stored else {}
        return shelf

    def end(self) -> None:
        """Write the shelves that have changed."""
        for key in sorted(self._changed):
            self._out.states.append(StateRow(*key, orjson.dumps(self._shelves[key])))


def unlike(entry: EventType) -> Unlike | None:
    """The check of a type's payload, made once per type; None where nothing is declared.

    The types of declared fields are compared with those of payloads that were found right, all at once (0.3 us for six fields);
    only others are looked at one by one. A JSON Schema is walked. A field that nobody declared is how types grow, and no
    difference.
    """
    if entry.schema is not None:
        return _walk(_opened(entry.schema))
    if not entry.payload:
        return None
    walk = _walk(_fields(entry.payload))
    names = tuple(name for name, shape in entry.payload.items() if shape.removesuffix("?") != "any")
    present = tuple(name for name, shape in entry.payload.items() if shape == "any")
    whole = [index for index, name in enumerate(names) if entry.payload[name].startswith("int")]  # 5.0 is one, and 5.5 is none
    right: set[tuple[type, ...]] = set()

    def check(payload: Mapping[str, Any]) -> str:
        kinds = tuple(map(type, map(payload.get, names)))
        if kinds not in right:
            difference = walk({name: value for name, value in payload.items() if value is not None})
            if difference:
                return difference
            if len(right) < RIGHT_MAX and not any(kinds[index] is float for index in whole):
                right.add(kinds)
        return next((f"{name} is missing" for name in present if name not in payload), "") if present else ""

    return check


def _fields(payload: Mapping[str, str]) -> dict[str, Any]:
    needed = [name for name, shape in payload.items() if not shape.endswith("?") and shape != "any"]
    properties = {name: SHAPES[shape.removesuffix("?")] for name, shape in payload.items()}
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": True}


def _walk(schema: Mapping[str, Any]) -> Unlike:
    def check(payload: Mapping[str, Any]) -> str:
        found = [f"{field} {what}".strip() for field, what in drifts(schema, payload)]
        more = f" and {len(found) - TOLD_MAX} more" if len(found) > TOLD_MAX else ""
        return ", ".join(found[:TOLD_MAX]) + more

    return check


def _opened(schema: Any) -> Any:
    """The schema, with further fields allowed wherever it does not forbid them in words."""
    if isinstance(schema, list):
        return [_opened(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: value if name in ("enum", "const", "required") else _opened(value) for name, value in schema.items()}
    return {"additionalProperties": True, **inner} if isinstance(schema.get("properties"), dict) else inner
