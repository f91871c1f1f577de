"""The shapes of values that people write in TOML: durations, levels, patterns, names. Each says in a sentence what it wants.

Models of such files are strict: `5` is no text and `"yes"` no boolean, so that nothing means what its author did not write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict, ValidationInfo, WithJsonSchema

from eventctl import patterns, times
from eventctl.event import Level

_SLUG = re.compile(r"[a-z][a-z0-9-]{1,63}")
_SIZE = re.compile(r"([0-9]{1,12}) ?(B|kB|KB|MB|GB|KiB|MiB|GiB)?")
_SIZES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class Written(BaseModel):
    """A table that people write: unknown keys are mistakes, values are what they say, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


STORED = {"stored": True}
"""The validation context of what was checked before and kept as JSON: its durations are numbers by now."""


def _duration(value: Any, info: ValidationInfo) -> int:
    if isinstance(value, str):
        return times.parse_duration(value)
    if info.context is STORED and isinstance(value, int):
        return value
    raise ValueError(f"a duration is text like '10s', '5m', '2h' or '7d', not {str(value)[:40]!r}")


def _window(value: Any, info: ValidationInfo) -> int:
    return times.FOREVER if value == "forever" else _duration(value, info)


def parse_window(value: Any) -> int:
    """A duration or `forever`, as people write it. Raises ValueError with a sentence."""
    if isinstance(value, str):
        return times.FOREVER if value == "forever" else times.parse_duration(value)
    raise ValueError(f"a duration is text like '10s', '5m', '2h' or 'forever', not {str(value)[:40]!r}")


def is_duration(metadata: Iterable[Any]) -> bool:
    """Whether a field with this metadata holds a duration."""
    return any(isinstance(meta, BeforeValidator) and meta.func in (_duration, _window) for meta in metadata)


def written_duration(us: int) -> str:
    """A duration as people write it, nothing cut off: `1h 30m`, `5ms`, `forever`."""
    if us == times.FOREVER:
        return "forever"
    parts: list[str] = []
    for unit, size in (
        ("d", times.DAY),
        ("h", times.HOUR),
        ("m", times.MINUTE),
        ("s", times.SECOND),
        ("ms", times.MILLISECOND),
    ):
        count, us = divmod(us, size)
        parts += [f"{count}{unit}"] if count else []
    return " ".join(parts) or "0s"


def _level(value: Any) -> int:
    try:
        return int(Level.parse(value))
    except ValueError as error:
        near = get_close_matches(str(value).lower(), [level.name.lower() for level in Level], n=1)
        raise ValueError(f"{error}: did you mean {near[0]!r}?" if near else str(error)) from None


def _pattern(value: Any) -> str:
    if isinstance(value, str):
        patterns.check(value)
        return value
    raise ValueError(f"a pattern is text like 'job.*', not {str(value)[:40]!r}")


def _type(value: Any) -> str:
    if not isinstance(value, str) or not patterns.is_type(value):
        raise ValueError(f"an event type is dotted lower-case parts like 'deploy.failed', not {str(value)[:40]!r}")
    return value


def _slug(value: Any) -> str:
    if not isinstance(value, str) or not _SLUG.fullmatch(value):
        raise ValueError(
            f"a name begins with a lower-case letter and has 2 to 64 lower-case letters, digits and '-', not {str(value)[:40]!r}"
        )
    return value


def _size(value: Any) -> int:
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if found is None or int(found[1]) == 0:
        raise ValueError(f"a size is a number of bytes or text like '64MB' or '256KiB', not {str(value)[:40]!r}")
    return int(found[1]) * _SIZES[found[2] or "B"]


def _text(pattern: str, examples: list[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": examples})


_LEVEL_SCHEMA = {"enum": [*(level.name.lower() for level in Level), *(level.value for level in Level)]}

Duration = Annotated[int, BeforeValidator(_duration), _text(r"^([0-9]+(w|d|h|m|s|ms) ?)+$", ["10s", "5m", "2h 30m", "7d"])]
"""Microseconds, written `10s 5m 2h 7d`."""

Window = Annotated[int, BeforeValidator(_window), _text(r"^(forever|([0-9]+(w|d|h|m|s|ms) ?)+)$", ["24h", "forever"])]
"""Microseconds, or `times.FOREVER` for `forever`."""

LevelNumber = Annotated[int, BeforeValidator(_level), WithJsonSchema(_LEVEL_SCHEMA)]
"""0 to 3, written by name or number."""

Pattern = Annotated[str, BeforeValidator(_pattern), _text(r"^[a-z0-9_.*-]+$", ["domain.marketing.**", "job.*"])]
"""A dotted pattern over event types."""

TypeName = Annotated[str, BeforeValidator(_type), _text(r"^[a-z0-9][a-z0-9_.-]*$", ["deploy.failed"])]
"""An event type, or the part of it after its namespace."""

Slug = Annotated[str, BeforeValidator(_slug), _text(r"^[a-z][a-z0-9-]{1,63}$", ["deploy-tracker"])]
"""The name of a cartridge or a member: it can stand in a path, a command and a table's key."""

Size = Annotated[int, BeforeValidator(_size), WithJsonSchema({"type": ["string", "integer"], "examples": ["64MB", 1048576]})]
"""Bytes."""

Strings = Annotated[tuple[str, ...], Strict(False)]
Patterns = Annotated[tuple[Pattern, ...], Strict(False)]
Slugs = Annotated[tuple[Slug, ...], Strict(False)]
