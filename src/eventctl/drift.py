"""Where a payload is unlike what is declared of it: fields nobody declared, declared ones that are missing or of another type.

It reads the part of JSON Schema that says so (type, properties, required, items, enum). A schema that says more by `$ref` or
`anyOf` is left alone there, one that allows further fields has allowed them, and one that is none says nothing: this never raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

NAME_MAX = 80
"""Characters of a field's name that are shown: senders choose it."""

_UNREAD = frozenset({"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if"})
_OPEN = ("additionalProperties", "patternProperties", "unevaluatedProperties")


class Drift(NamedTuple):
    """One difference: which field (`order.lines[].price`), and what about it."""

    field: str
    what: str


def drifts(schema: Mapping[str, Any], value: Any, where: str = "") -> Iterator[Drift]:
    """Every difference between a value and its schema, in the schema's order; a field once for each place it stands in."""
    if _UNREAD & schema.keys():
        return
    wanted = _texts(schema.get("type"))
    if wanted and not any(is_of(kind, value) for kind in wanted):
        yield Drift(where, f"is {kind_of(value)}, declared {' or '.join(wanted)}")
        return
    if isinstance(schema.get("enum"), list) and value not in schema["enum"]:
        yield Drift(where, "has a value that is not declared")
    if isinstance(value, dict):
        yield from _of_object(schema, value, where)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for inner in value:
            yield from drifts(schema["items"], inner, f"{where}[]")


def _of_object(schema: Mapping[str, Any], value: dict[str, Any], where: str) -> Iterator[Drift]:
    declared = schema.get("properties")
    if not isinstance(declared, dict):
        declared = {}
    for name in _texts(schema.get("required")):
        if name not in value:
            yield Drift(_step(where, name), "is missing")
    closed = bool(declared) and not any(schema.get(key) for key in _OPEN)
    for name, inner in value.items():
        if name in declared:
            if isinstance(declared[name], dict):
                yield from drifts(declared[name], inner, _step(where, name))
        elif closed:
            yield Drift(_step(where, name), "is not declared")


def _texts(given: Any) -> list[str]:
    """A text or a list of texts as such a list. People write schemas, and what is neither says nothing."""
    return (
        [given]
        if isinstance(given, str)
        else [each for each in given if isinstance(each, str)]
        if isinstance(given, list)
        else []
    )


def kind_of(value: Any) -> str:
    """The JSON type of a value; a whole number is `integer`."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return {int: "integer", float: "number", str: "string", list: "array", dict: "object"}[type(value)]


def is_of(kind: str, value: Any) -> bool:
    """Whether a value is of a JSON type. Every integer is a number, and 1.0 is an integer."""
    found = kind_of(value)
    if found == kind:
        return True
    return (kind == "number" and found == "integer") or (kind == "integer" and found == "number" and value.is_integer())


def _step(where: str, name: str) -> str:
    shown = name if len(name) <= NAME_MAX else name[: NAME_MAX - 1] + "…"
    if not shown.replace("_", "").replace("-", "").isalnum():
        shown = f'"{shown}"'
    return f"{where}.{shown}" if where else shown
