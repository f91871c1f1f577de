"""Event types and the patterns that choose among them.

A type is dotted parts of lower-case letters, digits, `_` and `-`. In a pattern `*` stands for exactly one part and a last `**`
for all the rest, at least one part: `a.**` chooses `a.b` and `a.b.c`, not `a`; `**` chooses every type.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Generic, TypeVar

TYPE_MAX = 128
"""Characters of an event type. The longest in the shipped catalog has 52."""

_TYPE = re.compile(r"[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9][a-z0-9_-]*)*")
_PATTERN = re.compile(r"(?:(?:[a-z0-9][a-z0-9_-]*|\*)(?:\.(?:[a-z0-9][a-z0-9_-]*|\*))*(?:\.\*\*)?|\*\*)")

T = TypeVar("T", bound=Hashable)


def is_type(text: str) -> bool:
    """Whether this can name an event type."""
    return len(text) <= TYPE_MAX and _TYPE.fullmatch(text) is not None


def check(pattern: str) -> None:
    """Raises ValueError, with a sentence, for what is no pattern."""
    if len(pattern) > TYPE_MAX or _PATTERN.fullmatch(pattern) is None:
        raise ValueError(
            f"a pattern is dotted lower-case parts, where * is one part and a last ** the rest, not {pattern[:TYPE_MAX]!r}"
        )


def matches(pattern: str, name: str) -> bool:
    """Whether a checked pattern chooses the type of that name. For one pattern; `Trie` asks thousands at once."""
    wanted, parts = pattern.split("."), name.split(".")
    if wanted[-1] == "**":
        del wanted[-1]
        if len(parts) <= len(wanted):
            return False
    elif len(parts) != len(wanted):
        return False
    return all(want in ("*", part) for want, part in zip(wanted, parts, strict=False))


class _Node(Generic[T]):
    """A part of patterns. What most nodes lack is made when it is needed: a trie of 10,000 patterns has 40,000 of these."""

    __slots__ = ("children", "here", "rest")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] | None = None
        self.here: list[tuple[int, T]] | None = None
        self.rest: list[tuple[int, T]] | None = None


class Trie(Generic[T]):
    """Values by pattern. Finding costs what the type's own parts branch into, not how many patterns there are."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._count = 0

    def add(self, pattern: str, value: T) -> None:
        """Choose `value` for every type that fits. Raises ValueError for what is no pattern."""
        check(pattern)
        parts = pattern.split(".")
        node = self._root
        for part in parts[:-1] if parts[-1] == "**" else parts:
            if node.children is None:
                node.children = {}
            child = node.children.get(part)
            if child is None:
                child = node.children[part] = _Node()
            node = child
        chosen = node.rest if parts[-1] == "**" else node.here
        if chosen is not None:
            chosen.append((self._count, value))
        elif parts[-1] == "**":
            node.rest = [(self._count, value)]
        else:
            node.here = [(self._count, value)]
        self._count += 1

    def find(self, name: str) -> list[T]:
        """The values of all patterns that choose the type of that name, in the order they were first added, each once."""
        found: list[tuple[int, T]] = []
        nodes = [self._root]
        for part in name.split("."):
            for node in nodes:
                found += node.rest or ()
            nodes = [child for node in nodes if node.children for key in (part, "*") if (child := node.children.get(key))]
        for node in nodes:
            found += node.here or ()
        found.sort(key=lambda entry: entry[0])
        return list(dict.fromkeys(value for _, value in found))
