"""JSON from strangers, read so that everything behind this gate agrees on what was said.

Refused: what is no JSON (NaN and Infinity are none), a key that stands twice in one object (readers differ on which one counts),
halves of surrogate pairs, NUL (C code and SQLite's functions end a text there), integers outside 64 bits and numbers that
overflow a double, and whatever is too long or too deep.

There are two readings. The slow one defines what is refused and says why. The fast one uses orjson, which is lenient or
silent on three of these, and gives its result only where a count of bytes proves that the slow one would give the same:

*Duplicate keys.* Outside strings a document has one colon per member, and orjson writes colons in strings as they are. So a
document that spells no colon as an escape (`\\u003a`) has as many colons as its rewriting, and more when a member was lost.
*NUL* can only have been written `\\u0000`. *Integers* beyond 64 bits have 19 digits in a row at least.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from eventctl.errors import Refused

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
"""What an SQLite column and most other languages can hold."""

_NAME_SHOWN = 40
_INT_DIGITS = 19
_LONG_NUMBER = b"0" * _INT_DIGITS
_DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)


def read(raw: bytes | str, *, bytes_max: int, depth_max: int) -> tuple[Any, bytes]:
    """The value and its compact form, keys in their order. Raises `Refused`. An object or list is one deep, plus what it holds."""
    data = _encoded(raw)
    if len(data) > bytes_max:
        raise Refused(
            f"this is {len(data):,} bytes long, more than {bytes_max:,}", hint="put large content in a file and name it"
        )
    return _read_fast(data, depth_max) or _read_slowly(data, depth_max)


def written(fields: object) -> bytes:
    """A Python mapping as a JSON object. Raises `Refused` with the field that cannot be written; a NaN is no null here."""
    if not isinstance(fields, Mapping):
        raise Refused(f"an event is a mapping of fields, not {type(fields).__name__}")
    plain = {name: dict(value) if isinstance(value, Mapping) else value for name, value in fields.items()}
    try:
        return _dumped(plain)
    except (TypeError, ValueError):
        pass
    for name, value in plain.items():
        try:
            _dumped({name: value})
        except (TypeError, ValueError) as wrong:
            raise Refused(f"cannot be written as JSON: {wrong}", where=str(name)) from None
    raise Refused("cannot be written as JSON")


def _dumped(value: dict[Any, Any]) -> bytes:
    data = orjson.dumps(value)
    if b"null" in data:  # orjson writes NaN and Infinity as null
        json.dumps(value, allow_nan=False, default=str)
    return data


def _read_fast(data: bytes, depth_max: int) -> tuple[Any, bytes] | None:
    if _LONG_NUMBER in data.translate(_DIGITS_AS_ZEROS):
        return None
    if b"\\" in data and (b"\\u0000" in data or b"\\u003" in data):
        return None
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if data.count(b"{") + data.count(b"[") > depth_max and not _within(value, depth_max):
        return None
    body = orjson.dumps(value)
    return (value, body) if body.count(b":") == data.count(b":") else None


def _within(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_within(item, depth - 1) for item in inner if isinstance(item, dict | list))


def _encoded(raw: bytes | str) -> bytes:
    if isinstance(raw, bytes):
        return raw
    try:
        return raw.encode()
    except UnicodeEncodeError as wrong:
        raise Refused(
            f"this has half of a surrogate pair at character {wrong.start + 1}: no text in UTF-8 can hold that"
        ) from None


def _read_slowly(data: bytes, depth_max: int) -> tuple[Any, bytes]:
    try:
        value = _scan(data)
    except RecursionError:  # the scanner's own stack is far deeper than anybody may go
        deep = True
    else:
        deep = not _within(value, depth_max)
    if deep:
        raise Refused(f"this is nested more than {depth_max} deep", hint="flatten it, or put it in a file and name that")
    _check_texts(value)
    return value, orjson.dumps(value)


def _scan(data: bytes) -> Any:
    try:
        return json.loads(
            data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer, parse_float=_double
        )
    except UnicodeDecodeError as wrong:
        raise Refused(f"this is not UTF-8 at byte {wrong.start + 1}", hint="send JSON as UTF-8") from None
    except json.JSONDecodeError as wrong:
        raise Refused(f"this is not JSON: {wrong.msg} at line {wrong.lineno}, column {wrong.colno}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise Refused(f"the key {name[:80]!r} stands twice in one object, so readers would disagree on its value")
        made[name] = value
    return made


def _no_constant(word: str) -> None:
    raise Refused(f"{word} is no JSON number", hint="leave the field out, or send null")


def _integer(digits: str) -> int:
    if len(digits) <= _INT_DIGITS + 1 and INT_MIN <= (number := int(digits)) <= INT_MAX:
        return number
    raise Refused(f"the integer {digits[:24]}{'…' * (len(digits) > 24)} does not fit in 64 bits", hint="send it as text")


def _double(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise Refused(f"the number {digits[:24]} is larger than any double", hint="send it as text")
    return number


def _check_texts(value: Any, *where: str | int) -> None:
    """What the scanner lets through: strings that are no text."""
    if isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name, where)
            _check_texts(item, *where, name)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check_texts(item, *where, number)


def _check_text(text: str, where: tuple[str | int, ...]) -> None:
    path = ".".join(str(part)[:_NAME_SHOWN] for part in where)
    if "\0" in text:
        raise Refused("holds a NUL character, which ends a text for half of the world", where=path, hint="leave it out")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("holds half of a surrogate pair, which no text in UTF-8 can", where=path) from None
