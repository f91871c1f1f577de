"""Positions: a place in a log or a feed that somebody may keep and come back with.

A position is a number only within one life of one log. The token says which: `epoch:partition:pos`, opaque to whoever keeps it.
`partition` is 0 until a store has more than one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from eventctl.errors import Conflict, UsageError

if TYPE_CHECKING:
    from eventctl.store import Store, Stream

HINT = "take a `position` that `eventctl log show --json` or `eventctl log tail --ndjson` printed"


class Position(NamedTuple):
    """After the record, or the feed position, `pos` of `partition` in the life `epoch` of a log."""

    epoch: str
    partition: int
    pos: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.partition}:{self.pos}"

    @classmethod
    def parse(cls, token: str) -> Self:
        """Read a token back. Raises `UsageError` for what is none."""
        parts = token.split(":")
        if len(parts) != 3 or not parts[0].isalnum() or not _number(parts[1]) or not _number(parts[2]):
            raise UsageError(f"{token!r} is no position", hint=HINT)
        return cls(parts[0], int(parts[1]), int(parts[2]))

    def within(self, epoch: str, tail: int) -> int:
        """Where to read on in the log that lives now as `epoch` and ends at `tail`.

        Raises `Conflict` for a position of another life, and for one that this log has not come to.
        """
        if self.epoch != epoch:
            raise Conflict(
                "that position is from another life of this log: start again from the beginning or the tail",
                where=str(self),
                hint="a restore begins a new life; what was read under the old one may not be in this one",
            )
        if self.partition or self.pos > tail:
            raise Conflict("this log has no such position", where=str(self), hint=HINT)
        return self.pos


def token(store: Store, pos: int) -> str:
    """What to keep of a position of this store, to come back with: opaque, and of this life of the log only."""
    return str(Position(store.epoch, 0, pos))


def resume(store: Store, given: str, stream: Stream = "log") -> int:
    """The position of a token, to read on after. Raises `UsageError` for no token, `Conflict` for one of another life of the log."""
    return Position.parse(given).within(store.epoch, store.tail(stream))


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
