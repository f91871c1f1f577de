"""What a word that somebody types may be: a level, a moment, a pattern, one of a few names.

The flags of the command line and the words of a filter are read here, and what is said about a wrong one is said here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from eventctl.event import Level
from eventctl.times import parse_duration, parse_iso

C = TypeVar("C", bound=str)

LEVEL_NAMES = tuple(level.name.lower() for level in Level)


def level(text: str) -> int:
    """The number of a level by its name or number. Raises ValueError with a sentence."""
    try:
        return int(Level.parse(text))
    except ValueError:
        raise ValueError(f"{text!r} is no level: one of {', '.join(LEVEL_NAMES)}, or 0 to 3") from None


def moment(text: str, now: int) -> int:
    """`2h` (that long before `now`), or an RFC 3339 time, as microseconds since 1970 UTC. Raises ValueError with a sentence."""
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        return parse_iso(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither an age like 2h nor a time like 2026-11-20T10:00:00Z") from None


def pattern(text: str) -> str:
    """`deployment.*`, or `domain.**`. Raises ValueError with a sentence."""
    from eventctl.patterns import check

    check(text)
    return text


def choice(text: str, options: Sequence[C]) -> C:
    """One of these names. Raises ValueError with a sentence."""
    for option in options:
        if option == text:
            return option
    raise ValueError(f"{text!r} is none of {', '.join(options)}")
