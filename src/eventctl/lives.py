"""Lives: named lifecycles that events of several types open, update, resolve and reopen, and how long what they leave stays.

A life is (name, key values). The values keep their JSON types: 42 is not "42". Titles are templates with plain `{field}` places;
what fills them comes from strangers, so a place is looked up in the event and printed, and can do nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

import orjson

from eventctl.text import safe_text
from eventctl.times import DAY, MINUTE

Role = Literal["opens", "updates", "resolves", "reopens"]
"""What an event does to a life.

`opens` starts one, or goes on with the one that is open; so does `updates`, which may come before anybody listened; `resolves`
ends the open one; `reopens` brings the last one back, or starts one.
"""

Path = tuple[str, ...]
"""Where a value stands in a payload: `("repository", "full_name")` for `repository.full_name`."""

TITLE_MAX = 200
KEY_MAX = 400
"""Bytes of a life's key in the index; a longer one is replaced by its hash, or one sender could make the index the database."""

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*)*")
_PIECE = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]|[^{}]+")
_AUDIENCE = re.compile(r"workspace|(?:domain|member):[a-z0-9][a-z0-9-]{0,63}")


def field_path(text: str) -> Path:
    """A payload field, dotted where it is nested. Raises ValueError with a sentence."""
    if not _FIELD.fullmatch(text):
        raise ValueError(f"a payload field is a name like 'slug' or 'repository.full_name', not {text[:40]!r}")
    return tuple(text.split("."))


def pick(payload: Mapping[str, Any], path: Path) -> Any:
    """The value at a path, or None: a JSON null is no value."""
    value: Any = payload
    for part in path:
        if type(value) is not dict and not isinstance(
            value, Mapping
        ):  # JSON gives a dict, and asking for one takes a quarter as long
            return None
        value = value.get(part)
    return value


class Template:
    """Text with `{field}` places: payload fields, or the event's own `description`, `entity`, `source` and `payload.<field>`.

    `{{` and `}}` are braces. Raises ValueError, with a sentence, for anything else in braces.
    """

    __slots__ = ("_pieces", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._pieces: list[str | Path] = []
        for piece in _PIECE.findall(text):
            if piece in ("{", "}"):
                raise ValueError(f"a lone {piece!r} in {text[:80]!r}: write {piece * 2} for the sign itself")
            if piece in ("{{", "}}"):
                self._pieces.append(piece[0])
            else:
                self._pieces.append(field_path(piece[1:-1]) if piece[0] == "{" else piece)

    @property
    def fields(self) -> list[Path]:
        """The places that are payload fields."""
        paths = [piece for piece in self._pieces if not isinstance(piece, str)]
        inner = [path[1:] if path[0] == "payload" else path for path in paths]
        return [path for path in inner if path and path[0] not in ("description", "entity", "source")]

    def fill(self, values: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
        """The text with every place filled, `?` where there is nothing. Not safe for a screen."""
        return "".join(piece if isinstance(piece, str) else _printed(_found(values, payload, piece)) for piece in self._pieces)

    def fits(self, values: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
        """Whether there is something for every place."""
        return all(isinstance(piece, str) or _found(values, payload, piece) not in (None, "") for piece in self._pieces)


def _found(values: Mapping[str, Any], payload: Mapping[str, Any], path: Path) -> Any:
    return pick(values if path[0] in values else payload, path)


def _printed(value: Any) -> str:
    if isinstance(value, str):
        # Nothing here is ever shown longer than this; a payload may hold 256 kB.
        return value[:TITLE_MAX] or "?"
    return "?" if value is None else orjson.dumps(value).decode()[:TITLE_MAX]


@dataclass(frozen=True, slots=True)
class Life:
    """A declared life: its full name (`domain.software-development.deploy`), key fields, titles and who declared it.

    A life without key fields is one for the whole workspace. Of several titles the first that an event can fill is shown.
    """

    name: str
    key: tuple[str, ...]
    titles: tuple[Template, ...]
    owner: str
    paths: tuple[Path, ...]

    @classmethod
    def declare(cls, name: str, key: tuple[str, ...], title: str | Sequence[str], owner: str = "") -> Life:
        """Raises ValueError for a key field or a title that cannot be read."""
        titles = (title,) if isinstance(title, str) else title
        return cls(name, key, tuple(map(Template, titles)), owner, tuple(field_path(field) for field in key))

    def key_of(self, payload: Mapping[str, Any]) -> str | None:
        """The life's key as a compact JSON array of typed values; None when a field is missing."""
        values = [pick(payload, path) for path in self.paths]
        if None in values:
            return None
        key = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
        if len(key) > KEY_MAX:
            key = orjson.dumps([{"blake2b": blake2b(key, digest_size=16).hexdigest()}])
        return key.decode()

    def missing(self, payload: Mapping[str, Any]) -> str | None:
        """The first key field that the payload lacks."""
        return next((field for field, path in zip(self.key, self.paths, strict=True) if pick(payload, path) is None), None)

    def render(self, payload: Mapping[str, Any], *, description: str = "", entity: str | None = None, source: str = "") -> str:
        """The title for an event of this life: one line, safe on a screen, at most 200 characters.

        It is the first whose places the event fills, else the last with `?` for what is not there.
        """
        values = {"description": description, "entity": entity, "source": source, "payload": payload}
        others = self.titles[:-1]
        chosen = next((title for title in others if title.fits(values, payload)), self.titles[-1])
        return safe_text(chosen.fill(values, payload), limit=TITLE_MAX)

    def fits(self, payload: Mapping[str, Any], *, description: str = "", entity: str | None = None, source: str = "") -> bool:
        """Whether the event fills a title; one that does not may leave the title of an earlier one standing."""
        values = {"description": description, "entity": entity, "source": source, "payload": payload}
        return any(title.fits(values, payload) for title in self.titles)


def is_audience(text: str) -> bool:
    """Whether this names who should see a notification: `workspace`, `domain:<name>` or `member:<name>`."""
    return _AUDIENCE.fullmatch(text) is not None


class Ageing(NamedTuple):
    """How long notifications stay, in microseconds by level 0 to 3; `times.FOREVER` for always.

    A resolved one is archived after `resolved`, one that asks for nothing and was never handled after `unhandled`; what is
    archived is purged after `purge`.
    """

    resolved: tuple[int, int, int, int] = (1 * DAY, 3 * DAY, 7 * DAY, 14 * DAY)
    unhandled: tuple[int, int, int, int] = (7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY)
    purge: tuple[int, int, int, int] = (30 * DAY, 60 * DAY, 90 * DAY, 365 * DAY)

    def override(self, *, resolved: int | None = None, unhandled: int | None = None, purge: int | None = None) -> Ageing:
        """The same with one duration for all levels where one is given."""
        return Ageing(
            self.resolved if resolved is None else (resolved,) * 4,
            self.unhandled if unhandled is None else (unhandled,) * 4,
            self.purge if purge is None else (purge,) * 4,
        )


DEFAULT_AGEING = Ageing()
DEFAULT_LEASE = 30 * MINUTE
"""How long a claim holds where `[inbox] lease` says nothing."""
