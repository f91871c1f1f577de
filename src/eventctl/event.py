"""The event: an immutable fact in five layers (identity, semantic, data, affordances, resolution).

The log keeps an event as the bytes that were accepted. `Event` reads them: construction stores references only, the JSON is
parsed on first use. Each reader has an `Event` of its own, which shares the bytes and parses its own tree: nothing that one
reader does to a payload can be seen by another.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

import orjson

SCHEMA_VERSION = 1
HOPS_MAX = 8


class Level(IntEnum):
    """How much an event matters to people. Undeclared types are operational."""

    INFRASTRUCTURE = 0
    OPERATIONAL = 1
    WORKFLOW = 2
    BUSINESS = 3

    @classmethod
    def parse(cls, value: int | str) -> Level:
        """A level by its name or number, as people write it. Raises ValueError with a sentence."""
        if not isinstance(value, bool):
            for level in cls:
                if value in (level.value, str(level.value)) or (isinstance(value, str) and value.upper() == level.name):
                    return level
        raise ValueError(f"a level is {', '.join(level.name.lower() for level in cls)}, or 0 to 3, not {str(value)[:40]!r}")


class Visibility(StrEnum):
    """How far an event may travel: this machine, the owner's machines, any peer."""

    LOCAL = "local"
    CLUSTER = "cluster"
    PUBLIC = "public"


FIELDS = (
    "id", "event", "version", "source", "timestamp", "idempotency_key",
    "level", "domain", "entity", "description", "visibility",
    "payload", "actions", "terminal_when", "resolution_shape",
    "caused_by", "hops", "trace",
)  # fmt: skip


class Event:
    """One event as a cartridge sees it.

    `seq` is its number in the log (0 when it is not in one), `at` the moment of ingestion in microseconds since 1970 UTC,
    `principal` who brought it in. `level`, `domain` and `visibility` fall back to what the catalog declares for the type.
    """

    __slots__ = ("_data", "_defaults", "at", "body", "principal", "seq")

    def __init__(
        self,
        body: bytes,
        *,
        seq: int = 0,
        at: int = 0,
        principal: str = "",
        defaults: tuple[int, str, str] = (1, "", "local"),
        data: dict[str, Any] | None = None,
    ) -> None:
        self.body = body
        self.seq = seq
        self.at = at
        self.principal = principal
        self._defaults = defaults
        self._data = data

    @property
    def defaults(self) -> tuple[int, str, str]:
        """Level, domain and visibility where the event states none."""
        return self._defaults

    @property
    def data(self) -> dict[str, Any]:
        """The whole envelope, unknown fields included. Belongs to this reader alone."""
        if self._data is None:
            self._data = orjson.loads(self.body)
        return self._data

    @property
    def id(self) -> str:
        return str(self.data["id"])

    @property
    def event(self) -> str:
        return str(self.data["event"])

    type = event

    @property
    def version(self) -> int:
        return int(self.data.get("version", SCHEMA_VERSION))

    @property
    def source(self) -> str:
        return str(self.data["source"])

    @property
    def timestamp(self) -> datetime:
        return datetime.fromisoformat(self.data["timestamp"])

    @property
    def idempotency_key(self) -> str | None:
        return self.data.get("idempotency_key")

    @property
    def level(self) -> Level:
        level = self.data.get("level")
        return Level(self._defaults[0] if level is None else level)

    @property
    def domain(self) -> str:
        return self.data.get("domain") or self._defaults[1]

    @property
    def entity(self) -> str | None:
        return self.data.get("entity")

    @property
    def description(self) -> str:
        return self.data.get("description") or ""

    @property
    def visibility(self) -> Visibility:
        return Visibility(self.data.get("visibility") or self._defaults[2])

    @property
    def payload(self) -> dict[str, Any]:
        payload: dict[str, Any] = self.data.setdefault("payload", {})
        return payload

    @property
    def actions(self) -> dict[str, Any] | None:
        return self.data.get("actions")

    @property
    def terminal_when(self) -> str | None:
        return self.data.get("terminal_when")

    @property
    def resolution_shape(self) -> dict[str, str] | None:
        return self.data.get("resolution_shape")

    @property
    def caused_by(self) -> str | None:
        return self.data.get("caused_by")

    @property
    def hops(self) -> int:
        return int(self.data.get("hops") or 0)

    @property
    def trace(self) -> str | None:
        return self.data.get("trace")

    @property
    def extra(self) -> dict[str, Any]:
        """The top-level fields that this version does not know; they travel on unchanged."""
        return {name: value for name, value in self.data.items() if name not in FIELDS}

    def __repr__(self) -> str:
        return f"<Event e{self.seq} {self.event!r} from {self.source!r}>"
