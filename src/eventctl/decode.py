"""The gate that every event comes in by: raw bytes in, one checked envelope out.

It judges as `envelope.Envelope` does, without pydantic, because every `emit` passes it and pydantic alone takes longer to import
than an append takes. What it accepts it writes down in one form: compact JSON, fields in the sender's order, unknown ones
included. Four things are changed on the way, nothing else: a known field that is null is left out (null means absent), a
level by name becomes its number, the timestamp is put in UTC (the same instant, every digit of it), and an absent `id` or
`timestamp` is filled in. `hops` and `caused_by` count from senders that are trusted to chain and are left out from others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl.errors import Refused
from eventctl.event import HOPS_MAX, SCHEMA_VERSION, Level, Visibility
from eventctl.ids import uuid7
from eventctl.patterns import TYPE_MAX, is_type
from eventctl.store import Record
from eventctl.strictjson import read
from eventctl.times import iso, normal_iso

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE_MAX = 200
ID_MAX = 256
DOMAIN_MAX = 128
ENTITY_MAX = 512
TEXT_MAX = 512
"""Characters. Names are repeated in keys, indexes and lists, so they stay short; only payload and description may be long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an event may cost: `bytes` as sent, `depth` of nested objects and lists with the envelope as the first."""

    bytes: int = 262_144
    depth: int = 32


class Decoded(NamedTuple):
    """An event that may enter the log: `body` is what the log keeps, the rest are fields of it."""

    body: bytes
    id: str
    source: str
    type: str
    timestamp: str
    entity: str | None
    hops: int
    caused_by: str | None


LIMITS = Limits()


def decode(raw: bytes | str, *, now: int, limits: Limits = LIMITS, trusted_chain: bool = False) -> Decoded:
    """Judge one envelope. Raises `Refused`, which names the field and says what it must be.

    `now` is the moment of ingestion in microseconds; `trusted_chain` is for the cartridge and peer channels.
    """
    data, body = read(raw, bytes_max=limits.bytes, depth_max=limits.depth)
    if type(data) is not dict:
        raise Refused(
            f"an event must be a JSON object, not {_shown(data)}",
            hint='an event looks like {"event": "build.finished", "source": "ci"}',
        )
    changed = _check(data)
    if not trusted_chain and ("hops" in data or "caused_by" in data):
        changed = True
        data.pop("hops", None)
        data.pop("caused_by", None)
    if "id" not in data or "timestamp" not in data:
        changed = True
        data.setdefault("id", uuid7(now))
        data.setdefault("timestamp", iso(now))
    return Decoded(
        orjson.dumps(data) if changed else body,
        data["id"],
        data["source"],
        data["event"],
        data["timestamp"],
        data.get("entity"),
        data.get("hops", 0),
        data.get("caused_by"),
    )


def to_record(decoded: Decoded, *, principal: str, at: int, caused_by: int | None = None) -> Record:
    """The event as the log takes it. `caused_by` is the seq of its parent where that is known to stand in this log."""
    return Record(
        "event", decoded.source, decoded.id, decoded.type, decoded.body, principal, at, decoded.entity, caused_by, decoded.hops
    )


def _check(data: dict[str, Any]) -> bool:
    """Check every known field in place; whether one was changed."""
    changed = False
    if None in data.values():
        for name in [name for name, value in data.items() if value is None and name in _RULES]:
            del data[name]
            changed = True
    for name in ("event", "source"):
        if name not in data:
            raise Refused(f"is missing; it must be {_RULES[name][1]}", where=name)
    for name, value in data.items():
        rule = _RULES.get(name)
        if rule is None:
            continue
        checked = rule[0](value)
        if checked is None:
            raise Refused(f"must be {rule[1]}, not {_shown(value)}", where=name)
        if checked is not value:
            data[name] = checked
            changed = True
    return changed


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str) and len(value) > TEXT_MAX:
        return f"a text of {len(value):,} characters"
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else text[:59] + "…"


def _type(value: Any) -> str | None:
    return value if type(value) is str and is_type(value) else None


def _version(value: Any) -> int | None:
    return value if type(value) is int and 1 <= value <= SCHEMA_VERSION else None


def _timestamp(value: Any) -> str | None:
    try:
        normal = normal_iso(value) if type(value) is str else None
    except ValueError:
        return None
    return value if normal == value else normal


def _level(value: Any) -> int | None:
    if type(value) is int:
        return value if 0 <= value <= 3 else None
    try:
        return int(Level.parse(value)) if type(value) is str else None
    except ValueError:
        return None


def _visibility(value: Any) -> str | None:
    return value if type(value) is str and value in _VISIBILITIES else None


def _any_text(value: Any) -> str | None:
    return value if type(value) is str else None


def _object(value: Any) -> dict[str, Any] | None:
    return value if type(value) is dict else None


def _hops(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= HOPS_MAX else None


def _words(value: Any) -> dict[str, Any] | None:
    return value if type(value) is dict and all(type(item) is str for item in value.values()) else None


def _actions(value: Any) -> dict[str, Any] | None:
    return value if type(value) is dict and all(map(_is_action, value.values())) else None


def _is_action(value: Any) -> bool:
    if type(value) is not dict or type(value.get("description")) is not str or _type(value.get("produces")) is None:
        return False
    shape = value.get("outcome_shape")
    return shape is None or _words(shape) is not None


def _text(limit: int, *, empty: bool = False) -> tuple[Callable[[Any], str | None], str]:
    shortest = 0 if empty else 1

    def check(value: Any) -> str | None:
        return value if type(value) is str and shortest <= len(value) <= limit else None

    return check, f"text of {shortest} to {limit} characters"


_VISIBILITIES = frozenset(each.value for each in Visibility)
_WORDS = "an object from names to texts"
_RULES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "id": _text(ID_MAX),
    "event": (
        _type,
        f"dotted lower-case parts like build.finished, of letters, digits, _ and -, at most {TYPE_MAX} characters",
    ),
    "version": (_version, f"{SCHEMA_VERSION}, the one generation of the envelope that this eventctl reads"),
    "source": _text(SOURCE_MAX),
    "timestamp": (_timestamp, "a time with its offset, like 2026-11-20T10:00:00Z"),
    "idempotency_key": _text(TEXT_MAX),
    "level": (_level, "0 to 3, or infrastructure, operational, workflow or business"),
    "domain": _text(DOMAIN_MAX, empty=True),
    "entity": _text(ENTITY_MAX),
    "description": (_any_text, "text"),
    "visibility": (_visibility, "local, cluster or public"),
    "payload": (_object, "an object"),
    "actions": (_actions, "an object from names to {description, produces: an event type, outcome_shape: names to texts}"),
    "terminal_when": _text(TEXT_MAX),
    "resolution_shape": (_words, _WORDS),
    "caused_by": _text(TEXT_MAX),
    "hops": (_hops, f"0 to {HOPS_MAX}: what has come further goes round in a loop"),
    "trace": _text(TEXT_MAX),
}
"""For each known field how it is checked (the value to keep, or None) and what it must be."""
