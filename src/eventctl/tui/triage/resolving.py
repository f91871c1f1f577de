"""The form that settles notifications: a word on how, a link, and what their newest events ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from eventctl.errors import NotFound, UsageError
from eventctl.resolution import asked_shape, fits
from eventctl.tui.dialogs import Field

if TYPE_CHECKING:
    from eventctl.store import Store

ALWAYS = {"summary": "str?", "link": "str?"}
"""What every resolution may have; an event may ask for more, or insist."""

HINTS = {
    "str": "",
    "int": "a whole number",
    "float": "a number",
    "list": "one a line",
    "dict": "JSON: {...}",
    "object": "JSON: {...}",
}
PARSED = ("[", "{")


def asked(store: Store, numbers: Sequence[int]) -> dict[str, str]:
    """The shape that the newest events of all these ask for. Raises `UsageError` where they ask for different ones."""
    shapes = []
    for number in numbers:
        row = store.views.notification(number)
        if row is None:
            raise NotFound(f"there is no n{number}")
        shapes.append((number, asked_shape(store, row)))
    for number, shape in shapes:
        if shape != shapes[0][1]:
            what = f"n{shapes[0][0]} and n{number} ask for different resolutions"
            raise UsageError(what, hint="settle those that ask for the same together, and the others one by one")
    return shapes[0][1]


def fields(shape: Mapping[str, str]) -> list[Field]:
    """A form for that shape."""
    return [_field(name, wanted) for name, wanted in (ALWAYS | dict(shape)).items()]


def resolution(values: Mapping[str, Any], shape: Mapping[str, str]) -> dict[str, Any]:
    """What the filled-in form says. What was left empty is left out, but for the summary, which every resolution has."""
    wants = ALWAYS | dict(shape)
    said = {name: _read(wants[name], value) for name, value in values.items()}
    return {"summary": "", **{name: value for name, value in said.items() if value is not None}}


def _field(name: str, wanted: str) -> Field:
    kind, optional = wanted.removesuffix("?"), wanted.endswith("?")
    label = name if optional else f"{name} *"
    check = partial(_mistake, wanted)
    if kind == "bool":
        answers = [("true", "yes"), ("false", "no")]
        return Field(name, label, choices=[("", "not said"), *answers] if optional else answers, check=check)
    lines = {"list": 3, "dict": 3, "object": 3}.get(kind, 1)
    hint = "https://..." if name == "link" else "how it was settled" if name == "summary" else HINTS.get(kind, kind)
    return Field(name, label, hint=hint, lines=lines, check=check)


def _mistake(wanted: str, text: str) -> str:
    """What is wrong with what was typed, "" for nothing: the rule that the move itself goes by."""
    try:
        value = _read(wanted, text)
    except ValueError as wrong:
        return str(wrong)
    if fits(wanted, value):
        return ""
    return "this is needed" if value is None else f"this is a {wanted.removesuffix('?')}"


def _read(wanted: str, text: str) -> Any:
    """The value that a text stands for, None for an empty one. Raises ValueError with a sentence."""
    text = text.strip()
    if not text:
        return None
    kind = wanted.removesuffix("?")
    if kind == "bool":
        return text == "true"
    if kind in ("int", "float"):
        return _number(kind, text)
    if kind in ("dict", "object") or (kind == "list" and text.startswith(PARSED)):
        try:
            return orjson.loads(text)
        except ValueError as wrong:
            raise ValueError(f"this is no JSON: {wrong}") from None
    return [line.strip() for line in text.splitlines() if line.strip()] if kind == "list" else text


def _number(kind: str, text: str) -> int | float:
    try:
        number = orjson.loads(text)
    except ValueError:
        number = None
    if isinstance(number, int | float) and not isinstance(number, bool) and (kind == "float" or isinstance(number, int)):
        return number
    raise ValueError("this is a whole number" if kind == "int" else "this is a number")
