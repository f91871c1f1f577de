"""What the last composition came to, cartridge by cartridge: what has not changed since is not made again.

Ten thousand cartridges of which one has changed are then a matter of looking, not of checking and building.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Results by key, each with what it followed from. One for a workspace; not for two threads."""

    def __init__(self) -> None:
        self._before: dict[Hashable, tuple[tuple[Any, ...], T]] = {}
        self._now: dict[Hashable, tuple[tuple[Any, ...], T]] = {}

    def get(self, key: Hashable, basis: tuple[Any, ...], make: Callable[[], T]) -> T:
        """The result that was made for this key on an equal basis, or a new one."""
        known = self._before.get(key)
        if known is None or known[0] != basis:
            known = basis, make()
        self._now[key] = known
        return known[1]

    def turn(self) -> None:
        """One composition is done: what it did not ask for is forgotten."""
        self._before, self._now = self._now, {}
