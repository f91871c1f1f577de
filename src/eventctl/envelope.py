"""The envelope as a pydantic model: for Python that makes events, and for the JSON Schema that editors and other languages read.

Five layers: identity (what, from where, when), semantic (how it matters), data, affordances (what could be done), resolution (when
it is over). The ingress decoder judges the same without this module; a property test holds the two together.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from eventctl import decode, patterns, times
from eventctl.event import HOPS_MAX, SCHEMA_VERSION, Level, Visibility
from eventctl.ids import uuid7
from eventctl.strictjson import INT_MAX, INT_MIN

if TYPE_CHECKING:
    from pathlib import Path

_TYPE = r"^[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*$"


def _type(text: str) -> str:
    if not patterns.is_type(text):
        raise ValueError("an event type is dotted lower-case parts like build.finished")
    return text


def _level(value: object) -> Level:
    if isinstance(value, int | str):
        return Level.parse(value)
    raise ValueError("a level is a name or a number")


def _moment(value: object) -> datetime:
    if isinstance(value, str):
        return times.to_datetime(times.parse_iso(value))
    if isinstance(value, datetime):
        return times.to_datetime(times.from_datetime(value))
    raise ValueError("a timestamp is RFC 3339 text or an aware datetime")


def _visibility(value: object) -> Visibility:
    if isinstance(value, str):
        return Visibility(value)
    raise ValueError("a visibility is local, cluster or public")


def _iso(moment: datetime) -> str:
    return times.iso(times.from_datetime(moment))


TypeName = Annotated[
    str, AfterValidator(_type), WithJsonSchema({"type": "string", "pattern": _TYPE, "maxLength": patterns.TYPE_MAX})
]
Timestamp = Annotated[
    datetime,
    BeforeValidator(_moment),
    PlainSerializer(_iso, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
LevelValue = Annotated[
    Level,
    BeforeValidator(_level),
    WithJsonSchema({"enum": [value for level in Level for value in (level.value, level.name.lower())]}),
]
VisibilityValue = Annotated[Visibility, BeforeValidator(_visibility)]
Name = Annotated[str, Field(min_length=1, max_length=decode.TEXT_MAX)]


class _Json(BaseModel):
    """What can be said in JSON and is kept whole, unknown fields included."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _require_json(cls, given: Any) -> Any:
        if isinstance(given, dict):
            said = {name: value for name, value in given.items() if name != "timestamp" or not isinstance(value, datetime)}
            _require_json(said, decode.LIMITS.depth)
        return given


class Action(_Json):
    """Something that could be done about the event. A possibility only: nothing executes it by itself."""

    description: str
    produces: TypeName
    outcome_shape: dict[str, str] | None = None


class Envelope(_Json):
    """One event. `level`, `domain` and `visibility` may be left to what the catalog declares for the type."""

    id: Annotated[str, Field(min_length=1, max_length=decode.ID_MAX)] = Field(default_factory=lambda: uuid7(times.now_us()))
    event: TypeName
    version: Annotated[int, Field(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    source: Annotated[str, Field(min_length=1, max_length=decode.SOURCE_MAX)]
    timestamp: Timestamp = Field(default_factory=lambda: datetime.now(UTC))
    idempotency_key: Name | None = None

    level: LevelValue | None = None
    domain: Annotated[str, Field(max_length=decode.DOMAIN_MAX)] = ""
    entity: Annotated[str, Field(min_length=1, max_length=decode.ENTITY_MAX)] | None = None
    description: str = ""
    visibility: VisibilityValue | None = None

    payload: dict[str, Any] = Field(default_factory=dict)
    actions: dict[str, Action] | None = None
    terminal_when: Name | None = None
    resolution_shape: dict[str, str] | None = None

    caused_by: Name | None = None
    hops: Annotated[int, Field(ge=0, le=HOPS_MAX)] = 0
    trace: Name | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None or name not in cls.model_fields}

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the fields that were given, unknown ones too, and the two that are always there."""
        given = self.model_dump(mode="json", exclude_unset=True)
        return {"id": self.id, **given, "timestamp": times.iso(times.from_datetime(self.timestamp))}


def _require_json(value: Any, depth: int) -> None:
    if not isinstance(value, dict | list):
        _require_scalar(value)
        return
    if depth == 0:
        raise ValueError(f"an envelope is at most {decode.LIMITS.depth} levels deep")
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("the keys of an object are text")
        _require_json(list(value), 1)
    for item in value.values() if isinstance(value, dict) else value:
        _require_json(item, depth - 1)


def _require_scalar(value: Any) -> None:
    if isinstance(value, str):
        value.encode()
        if "\0" in value:
            raise ValueError("a text cannot hold NUL")
    elif isinstance(value, int):
        if not INT_MIN <= value <= INT_MAX:
            raise ValueError(f"an integer must fit in 64 bits, not {str(value)[:24]}")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no JSON number")
    elif value is not None and not isinstance(value, Action):
        raise ValueError(f"{type(value).__name__} is no JSON value")


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of an envelope as it is sent."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Envelope.model_json_schema(mode="validation")}


def write_json_schema(path: Path) -> None:
    """Write the JSON Schema, indented by two."""
    path.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
