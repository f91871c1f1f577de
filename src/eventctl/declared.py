"""What a catalog says about types and lives in a few kilobytes, to read without building the catalog (which costs a quarter second).

Whoever builds the pipelines writes it into the store (`META`), so it is what the pipelines went by. `why` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl.lives import Life

if TYPE_CHECKING:
    from eventctl.catalog import Catalog

META = "declared"


class Role(NamedTuple):
    """What a type does to a life: opens, updates, resolves, reopens."""

    life: str
    does: str


class Declared:
    """Types with their owner and roles, the key fields of lives, and what types offer to be done, as (summary, emits) by name."""

    __slots__ = ("_actions", "_keys", "_types")

    def __init__(
        self,
        types: Mapping[str, tuple[str, list[Role]]],
        keys: Mapping[str, list[str]],
        actions: Mapping[str, Mapping[str, Sequence[str]]],
    ) -> None:
        self._types = types
        self._keys = keys
        self._actions = actions

    @classmethod
    def of(cls, catalog: Catalog) -> Declared:
        """What a catalog declares."""
        types = {entry.type: (entry.owner, [Role(*life) for life in entry.lives]) for entry in catalog}
        actions = {entry.type: {name: list(each) for name, each in entry.actions.items()} for entry in catalog if entry.actions}
        return cls(types, {life.name: list(life.key) for life in catalog.lives()}, actions)

    @classmethod
    def read(cls, text: str) -> Declared:
        """What `text` wrote."""
        held = orjson.loads(text)
        types = {name: (owner, [Role(*role) for role in roles]) for name, (owner, roles) in held["types"].items()}
        return cls(types, held["keys"], held.get("actions", {}))

    def text(self) -> str:
        """All of it as JSON; the same for the same declarations."""
        return orjson.dumps(
            {"types": self._types, "keys": self._keys, "actions": self._actions}, default=list
        ).decode()  # a Role is a tuple

    def declared(self, type_: str) -> bool:
        """Whether anybody declares the type."""
        return type_ in self._types

    def owner(self, type_: str) -> str:
        """Who declares it; "" for nobody."""
        return self._types[type_][0] if type_ in self._types else ""

    def roles(self, type_: str) -> list[Role]:
        """What the type does to which lives."""
        return self._types[type_][1] if type_ in self._types else []

    def actions(self, type_: str) -> Mapping[str, Sequence[str]]:
        """What the type offers to be done: (summary, the type that it emits) by name."""
        return self._actions.get(type_, {})

    def key(self, life: str) -> list[str]:
        """The fields that tell one life from another of this name."""
        return self._keys[life]

    def key_of(self, life: str, payload: Mapping[str, Any]) -> str | None:
        """The key of the life that a payload speaks of; None when a field is missing."""
        return Life.declare(life, tuple(self._keys[life]), ()).key_of(payload)
