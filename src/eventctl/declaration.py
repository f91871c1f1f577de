"""The form of `event_types.toml`: what a part of the catalog may say, and reading one. `catalog` makes types and lives of it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, Strict, WithJsonSchema, model_validator

from eventctl.errors import Misconfigured
from eventctl.lives import Role, field_path
from eventctl.regular import read_regular
from eventctl.shapes import LevelNumber, TypeName, Window, Written
from eventctl.suggest import FILE_MAX, at, parse_toml, read_toml
from eventctl.times import DAY

SHAPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "list": {"type": "array"},
    "object": {"type": "object"},
    "any": {},
}
"""Shapes of payload fields, with the JSON Schema of each. A `?` after one says that the field may be absent."""


def _field(text: str) -> str:
    field_path(text)
    return text


def _shape(text: str) -> str:
    if text.removesuffix("?") not in SHAPES:
        raise ValueError(f"a payload field is one of {', '.join(SHAPES)}, with ? when it may be absent, not {text[:40]!r}")
    return text


FieldName = Annotated[str, AfterValidator(_field)]
Fields = Annotated[tuple[FieldName, ...], Strict(False)]
Shape = Annotated[str, AfterValidator(_shape), WithJsonSchema({"enum": [name + end for end in ("", "?") for name in SHAPES]})]


TITLES_MAX = 8
Titles = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=500)], ...],
    Strict(False),
    Field(min_length=1, max_length=TITLES_MAX),
    BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
    WithJsonSchema(
        {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": TITLES_MAX}]}
    ),
]


class LifePart(Written):
    """A named lifecycle: the payload fields that tell one life from another, and the title of its notification.

    Of several titles the first whose places an event fills is shown.
    """

    key: Fields
    title: Titles


class ActionPart(Written):
    """Something that may be done about it: what for, and the event that says it was done."""

    summary: str
    emits: TypeName


class AgeingPart(Written):
    """How long notifications of this type stay; what is left out follows the workspace."""

    resolved: Window | None = None
    unhandled: Window | None = None
    purge: Window | None = None


class TypePart(Written):
    """One event type."""

    summary: Annotated[str, Field(min_length=1, max_length=500)]
    level: LevelNumber = 1
    visibility: Literal["local", "cluster", "public"] = "local"
    domain: str | None = None
    audience: str = "workspace"
    identity: Fields = ()
    window: Window = DAY
    on_duplicate: Literal["drop", "accumulate"] = "drop"
    payload: dict[str, Shape] = Field(default_factory=dict)
    payload_schema: Annotated[str | dict[str, Any] | None, Field(alias="schema")] = None
    lives: dict[str, Role] = Field(default_factory=dict)
    meaningful: Fields = ()
    silent: Fields = ()
    actionable: bool = False
    failure: bool = False
    reserved: bool | None = None
    actions: dict[str, ActionPart] = Field(default_factory=dict)
    terminal_when: str = ""
    ageing: AgeingPart = AgeingPart()

    @model_validator(mode="after")
    def _consistent(self) -> TypePart:
        both = sorted(set(self.meaningful) & set(self.silent))
        if both:
            raise ValueError(f"{both[0]!r} is both meaningful and silent")
        if self.payload and self.payload_schema is not None:
            raise ValueError("has both payload and schema: one of them says what the payload is")
        if type(self.payload_schema) is str:
            raise ValueError(f"the schema {self.payload_schema!r} is a file, and only event types in a file can name one")
        if (self.meaningful or self.silent) and not self.lives:
            raise ValueError("has meaningful or silent fields but takes part in no life")
        if (self.terminal_when or self.ageing != AgeingPart()) and not self.lives:
            raise ValueError("has terminal_when or ageing but takes part in no life")
        return self


class Part(Written):
    """A namespace with its lives and types."""

    namespace: TypeName
    domain: str | None = None
    reserved: bool = False
    lives: dict[str, LifePart] = Field(default_factory=dict)
    types: dict[TypeName, TypePart] = Field(default_factory=dict)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of `event_types.toml`, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Part.model_json_schema(), "title": "event_types.toml"}


def read_part(path: Path, *, shown: str = "") -> tuple[str, dict[str, Any]]:
    """An `event_types.toml` as (origin, mapping), with the JSON Schema files that it names read in. Raises Misconfigured."""
    origin = shown or str(path)
    data = read_toml(path, origin)
    types = data.get("types")
    for name, spec in types.items() if isinstance(types, dict) else ():
        if isinstance(spec, dict) and isinstance(spec.get("schema"), str):
            spec["schema"] = _read_schema(path.parent, spec["schema"], at(origin, ("types", name, "schema")))
    return origin, data


def _read_schema(folder: Path, name: str, where: str) -> dict[str, Any]:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise Misconfigured(f"{name!r} leaves the folder of the event types", where=where)
    try:
        schema = orjson.loads(read_regular(path, FILE_MAX))
    except OSError as error:
        raise Misconfigured(f"{name!r} cannot be read: {error.strerror or error}", where=where) from error
    except orjson.JSONDecodeError as error:
        raise Misconfigured(f"{name!r} is not JSON: {error}", where=where) from error
    if not isinstance(schema, dict):
        raise Misconfigured(f"{name!r} is no JSON Schema: it holds no object", where=where)
    return schema


def shipped_parts() -> list[dict[str, Any]]:
    """The parts that this package ships, one for each family."""
    shipped = sorted((file for file in files("eventctl").joinpath("types").iterdir()), key=lambda file: file.name)
    return [parse_toml(file.read_text("utf-8"), f"types/{file.name}") for file in shipped if file.name.endswith(".toml")]
