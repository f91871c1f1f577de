"""What a JSON value looks like, put together from many: types, fields that are always there, texts that repeat, formats.

A `Shape` only grows. `merge` is commutative, associative and idempotent, so it does not matter which events were looked at first,
in how many heaps, or twice. What would grow without end (fields of an object, distinct texts, depth) ends in "anything".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

WIDTHS = (64, 32, 16, 8)
"""Fields that an object may have, by depth. One with more has data for names (a map by id), and its fields say nothing."""

TEXTS_MAX = 8
TEXT_MAX = 64
"""Distinct texts of a field that are kept, and how long one of them may be; past either it is free text."""

ENUM_EVENTS = 50
"""Events that must agree on a handful of texts before these are taken for all that there are."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_URI = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9:/?#\[\]@!$&'()*+,;=._~-]|%[0-9a-f]{2})+", re.ASCII | re.IGNORECASE)

_SCALARS: dict[type, str] = {bool: "boolean", int: "integer", float: "number", type(None): "null"}


class Field(NamedTuple):
    """A field of an object, and whether every object seen had it."""

    shape: Shape
    always: bool


class Shape(NamedTuple):
    """What was seen in one place. No kinds: nothing yet.

    `kinds` are JSON types. `texts` are the distinct texts (None: too many), `formats` those that all of them have (None: no text
    yet), `fields` those of the objects (None: too many to be names), `items` what the lists hold (None: nothing yet).
    """

    kinds: frozenset[str] = frozenset()
    texts: frozenset[str] | None = frozenset()
    formats: frozenset[str] | None = None
    fields: Mapping[str, Field] | None = MappingProxyType({})
    items: Shape | None = None


NOTHING = Shape()
_ONE = {kind: Shape(frozenset({kind})) for kind in ("boolean", "integer", "number", "null")}
_OBJECT, _ARRAY, _STRING = frozenset({"object"}), frozenset({"array"}), frozenset({"string"})
_FORMAT = {name: frozenset({name} if name else ()) for name in ("date-time", "date", "uuid", "uri", "")}


def observe(value: Any, depth: int = 0) -> Shape:
    """The shape of one JSON value."""
    if isinstance(value, str):
        return Shape(_STRING, frozenset({value}) if len(value) <= TEXT_MAX else None, _FORMAT[format_of(value)])
    if isinstance(value, dict):
        if depth >= len(WIDTHS) or len(value) > WIDTHS[depth]:
            return Shape(_OBJECT, fields=None)
        return Shape(_OBJECT, fields={name: Field(observe(inner, depth + 1), True) for name, inner in value.items()})
    if isinstance(value, list):
        items: Shape | None = None
        for inner in value if depth < len(WIDTHS) else ():
            seen = observe(inner, depth + 1)
            items = seen if items is None else _merge(items, seen, depth + 1)
        return Shape(_ARRAY, items=items)
    return _ONE[_SCALARS[type(value)]]


def merge(one: Shape, other: Shape) -> Shape:
    """What fits both: all that either has seen."""
    return _merge(one, other, 0)


def _merge(one: Shape, other: Shape, depth: int) -> Shape:
    if one is other:
        return one
    return Shape(
        one.kinds | other.kinds if one.kinds != other.kinds else one.kinds,
        _texts(one.texts, other.texts),
        one.formats if other.formats is None else other.formats if one.formats is None else one.formats & other.formats,
        _fields(one, other, depth),
        one.items if other.items is None else other.items if one.items is None else _merge(one.items, other.items, depth + 1),
    )


def _texts(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return None
    both = one | other
    return both if len(both) <= TEXTS_MAX else None


def _fields(one: Shape, other: Shape, depth: int) -> Mapping[str, Field] | None:
    if one.fields is None or other.fields is None:
        return None
    if "object" not in one.kinds or "object" not in other.kinds:
        return one.fields or other.fields
    found = dict(one.fields)
    for name, (shape, always) in other.fields.items():
        held = found.get(name)
        found[name] = Field(_merge(held.shape, shape, depth + 1), held.always and always) if held else Field(shape, False)
    for name in one.fields.keys() - other.fields.keys():
        found[name] = Field(found[name].shape, False)
    return found if len(found) <= WIDTHS[depth] else None


def format_of(text: str) -> str:
    """The one format of JSON Schema that a text has: date-time, date, uuid or uri; "" for none of these."""
    if _MOMENT.fullmatch(text) or _DATE.fullmatch(text):
        try:
            datetime.fromisoformat(text.upper())
        except ValueError:
            return ""
        return "date" if len(text) == len("2026-11-20") else "date-time"
    if _UUID.fullmatch(text):
        return "uuid"
    return "uri" if "://" in text and _URI.fullmatch(text) else ""


def choices(shape: Shape, events: int) -> list[str]:
    """The texts that a field of so many events is limited to, sorted; [] where it is not, or too little is known.

    One text alone is no choice: it says what was seen so far.
    """
    if events < ENUM_EVENTS or not shape.texts or len(shape.texts) < 2 or not shape.kinds <= {"string", "null"}:
        return []
    return [] if shape.formats else sorted(shape.texts)


def schema(shape: Shape, events: int) -> dict[str, Any]:
    """The JSON Schema of a shape that `events` values made, without the words around it. No limits of numbers or lengths."""
    kinds = sorted(shape.kinds - {"integer"} if "number" in shape.kinds else shape.kinds)
    if not kinds:
        return {}
    made: dict[str, Any] = {"type": kinds if len(kinds) > 1 else kinds[0]}
    if found := choices(shape, events):
        made["enum"] = [*found, None] if "null" in kinds else found
    elif shape.formats:
        made["format"] = next(iter(shape.formats))
    if shape.fields:
        whole = events if kinds == ["object"] else 0  # elsewhere fewer than `events` have said anything
        made["properties"] = {name: schema(field.shape, whole if field.always else 0) for name, field in ordered(shape.fields)}
        if required := [name for name, field in ordered(shape.fields) if field.always]:
            made["required"] = required
    if shape.items and (items := schema(shape.items, 0)):
        made["items"] = items
    return made


def ordered(fields: Mapping[str, Field]) -> list[tuple[str, Field]]:
    """Fields that are always there first, then by name: the same order whatever was seen first."""
    return sorted(fields.items(), key=lambda item: (not item[1].always, item[0]))
