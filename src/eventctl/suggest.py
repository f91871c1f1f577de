"""Mistakes in files that people write: all of them at once, each with its key and a suggestion.

A model (pydantic) says what a file may hold; here its complaints become `Problem`s in plain words, and what is wrong is taken out
unit by unit so that the rest can be used.
"""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from eventctl.errors import Misconfigured, Problem
from eventctl.nearest import did_you_mean
from eventctl.regular import read_regular

M = TypeVar("M", bound=BaseModel)
Key = tuple[str | int, ...]

FILE_MAX = 1_000_000
"""Bytes of a file that people write by hand; the longest real one is 40 kB."""

DEPTH_MAX = 32
"""Tables and lists within each other: `a.b.c` with 30,000 parts is short, and whatever walks through it falls over."""

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_LONG_KEY = re.compile(rf"(?:^|[\[{{,])[ \t]*{_PART}(?:[ \t]*\.[ \t]*{_PART}){{{DEPTH_MAX}}}", re.MULTILINE)
"""A key of so many parts that reading it costs more than its length: 64 kB of `a.a.a` took tomllib 17 s, 256 kB all the memory."""

PROBLEMS_MAX = 100
"""Mistakes that one file is told of at once; a table of a million wrong keys is one mistake."""

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def key_text(key: Sequence[str | int]) -> str:
    """A key's path as TOML writes it: `types."deploy.failed".level`, `rules[0].verdict`."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        plain = part.replace("-", "").replace("_", "").isalnum() and part.isascii()
        text += ("." if text else "") + (part if plain else f'"{part}"')
    return text


def at(where: str, key: Sequence[str | int]) -> str:
    """`<file>: <key>`, or the file alone."""
    return f"{where}: {key_text(key)}" if key else where


def problems_of(error: ValidationError, model: type[BaseModel], where: str) -> list[Problem]:
    """The complaints of a model, in plain words, at most `PROBLEMS_MAX`."""
    return [_problem(details, model, where) for details in error.errors(include_url=False)[:PROBLEMS_MAX]]  # type: ignore[arg-type]  # a TypedDict is a dict


def check(model: type[M], data: Mapping[str, Any], where: str) -> M:
    """The data as the model. Raises Misconfigured with every mistake."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise Misconfigured.listing(problems_of(error, model, where)) from None


def salvage(
    model: type[M],
    data: Mapping[str, Any],
    where: str,
    unit: Callable[[Key], Key],
) -> tuple[M | None, dict[str, Any], list[Problem]]:
    """The data as the model without the units that have mistakes, what is left of the data, and the mistakes.

    `unit` says for a mistaken key which key to take out whole. None when what is left cannot stand.
    """
    problems: dict[Problem, None] = {}
    left: dict[str, Any] = _copy(data)
    while True:
        try:
            return model.model_validate(left), left, list(problems)
        except ValidationError as error:
            problems.update(dict.fromkeys(problems_of(error, model, where)))
            # Items of a list go from its end, so that those before keep their numbers.
            units = sorted({unit(details["loc"]) for details in error.errors(include_url=False)}, reverse=True)
            removed = [_remove(left, key) for key in units]
            if not any(removed):
                return None, left, list(problems)


def read_toml(path: Path, shown: str = "") -> dict[str, Any]:
    """A TOML file of at most `FILE_MAX` bytes. Raises Misconfigured for what cannot be read, with line and column."""
    where = shown or str(path)
    try:
        raw = read_regular(path, FILE_MAX + 1)
    except OSError as error:
        raise Misconfigured(f"cannot be read: {error.strerror or error}", where=where) from error
    if len(raw) > FILE_MAX:
        raise Misconfigured(f"is larger than {FILE_MAX:,} bytes", where=where)
    try:
        return parse_toml(raw.decode("utf-8-sig"), where)
    except UnicodeDecodeError as error:
        raise Misconfigured(f"is not UTF-8 (byte {error.start})", where=where) from None


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """TOML text as a table, nested at most `DEPTH_MAX` deep. Raises Misconfigured with line and column."""
    if _LONG_KEY.search(text):
        raise Misconfigured("is nested too deep", where=where, hint=f"a key has at most {DEPTH_MAX} parts")
    try:
        table = tomllib.loads(text)
    except ValueError as error:  # a number of 5,000 digits is none of its own errors
        raise Misconfigured(f"is not TOML: {error}", where=where, hint="text values stand in quotes") from None
    except RecursionError:
        raise Misconfigured("is nested too deep", where=where) from None
    if _deep(table):
        raise Misconfigured("is nested too deep", where=where, hint=f"{DEPTH_MAX} tables within each other are enough")
    return table


def _deep(table: dict[str, Any]) -> bool:
    level: list[Any] = [table]
    for _ in range(DEPTH_MAX):
        inner = [item for value in level for item in (value.values() if isinstance(value, dict) else value)]
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _remove(data: Any, key: Key) -> bool:
    try:
        for part in key[:-1]:
            data = data[part]
        del data[key[-1]]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _problem(details: dict[str, Any], model: type[BaseModel], where: str) -> Problem:
    kind, key = details["type"], tuple(part for part in details["loc"] if part != "[key]")
    if kind == "missing":
        return Problem(at(where, key[:-1]), f"{str(key[-1])!r} is missing")
    if kind == "extra_forbidden":
        return Problem(
            at(where, key[:-1]), f"unknown key {str(key[-1])!r}", did_you_mean(str(key[-1]), _fields_at(model, key[:-1]))
        )
    given = details["input"]
    if kind == "literal_error":
        options = [option.strip("'") for option in details["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        hint = did_you_mean(given, options) if isinstance(given, str) else ""
        return Problem(at(where, key), f"is one of {', '.join(options)}, not {_shown(given)}", hint if "mean" in hint else "")
    if kind in _EXPECTED:
        return Problem(at(where, key), f"should be {_EXPECTED[kind]}, not {_shown(given)}")
    if kind == "value_error":
        return Problem(at(where, key), str(details["ctx"]["error"]))
    message = details["msg"]
    return Problem(at(where, key), f"{message[0].lower()}{message[1:]}, not {_shown(given)}")


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _fields_at(model: type[BaseModel], key: Key) -> list[str]:
    annotation: Any = model
    for part in key:
        annotation = _step(annotation, part)
    found = _model_in(annotation)
    return [field.alias or name for name, field in found.model_fields.items()] if found else []


def _step(annotation: Any, part: str | int) -> Any:
    model = _model_in(annotation)
    if model is not None:
        names = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        return names.get(str(part))
    args = get_args(annotation)
    if get_origin(annotation) in (dict, list, tuple):
        return args[-1] if get_origin(annotation) is dict else args[0]
    return _step(args[0], part) if args else None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        return next((model for arg in get_args(annotation) if (model := _model_in(arg))), None)
    return None
