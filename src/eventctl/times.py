"""Instants and durations. Inside, an instant is an int: microseconds since 1970 UTC; a duration is an int of microseconds.

Text has one form out (`2026-11-20T10:00:00.000000Z`, which sorts as it reads) and RFC 3339 in, always with an offset: a time
without one means something else on every machine that reads it.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
FOREVER = 2**62
"""A duration that no instant outlives, and that still adds up within 64 bits."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([01][0-9]|2[0-3])(:[0-5][0-9]:[0-5][0-9])(\.[0-9]{1,9})?"
    r"(?:([Zz]|[+-]00:00)|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_UNITS = {"w": WEEK, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": MILLISECOND}
_DURATION = re.compile(r"(?:([0-9]{1,9})(w|d|h|ms|m|s)(?![a-z]) ?)+", re.ASCII)
_PART = re.compile(r"([0-9]+)([a-z]+)")


def now_us() -> int:
    """The wall clock. Everything but the outermost layer is given its `now` instead."""
    return time.time_ns() // 1_000


def to_datetime(us: int) -> datetime:
    """The instant as an aware datetime in UTC. Raises ValueError outside the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(microseconds=us)
    except OverflowError:
        raise ValueError(f"{us} microseconds is outside the years 1 to 9999") from None


def from_datetime(moment: datetime) -> int:
    """The instant of an aware datetime. Raises ValueError for a naive one."""
    if moment.utcoffset() is None:
        raise ValueError(f"{moment.isoformat()} has no offset: say which zone it is in")
    return (moment - _EPOCH) // _MICROSECOND


def iso(us: int) -> str:
    """The instant as text in UTC, always with six decimals. Raises ValueError outside the years 1 to 9999."""
    return to_datetime(us).isoformat(timespec="microseconds")[:26] + "Z"


def parse_iso(text: str) -> int:
    """The instant of an RFC 3339 time; digits past the microsecond are cut off. Raises ValueError with a sentence."""
    return from_datetime(_read(text)[0])


def normal_iso(text: str) -> str:
    """The same instant in UTC with `T` and `Z`, every digit of its fraction kept. Raises ValueError as `parse_iso` does."""
    moment, parts = _read(text)
    date, hour, rest, fraction, zulu = parts.groups()
    if zulu:
        return f"{date}T{hour}{rest}{fraction or ''}Z"
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + f"{fraction or ''}Z"


def _read(text: str) -> tuple[datetime, re.Match[str]]:
    parts = _RFC3339.fullmatch(text)
    if parts is None:
        raise ValueError("a time is written like 2026-11-20T10:00:00Z or 2026-11-20T11:00:00.5+01:00, with its offset")
    try:
        moment = datetime.fromisoformat(text.upper())
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("there is no such day in the calendar between the years 1 and 9999") from None
    return moment, parts


def parse_duration(text: str) -> int:
    """Microseconds of `90s`, `2h 5m`, `7d`: units w d h m s ms, each at most once, largest first. Raises ValueError."""
    if not _DURATION.fullmatch(text) or text.endswith(" "):
        raise ValueError(f"a duration is written like 10s, 5m, 2h 30m or 7d, not {text[:40]!r}")
    total, last = 0, FOREVER
    for count, unit in _PART.findall(text):
        if _UNITS[unit] >= last:
            raise ValueError(f"a duration names each unit once, the largest first, as in 2h 30m, not {text[:40]!r}")
        last = _UNITS[unit]
        total += int(count) * last
    if total >= FOREVER:
        raise ValueError(f"a duration ends somewhere: {text[:40]!r} is longer than 100,000 years")
    return total


def format_duration(us: int) -> str:
    """For people: the two largest units, `2h 5m`, the rest cut off."""
    if us < 0:
        return "-" + format_duration(-us)
    if us >= FOREVER:
        return "forever"
    if us < MILLISECOND:
        return f"{us}us" if us else "0s"
    shown: list[str] = []
    for unit, size in _UNITS.items():
        count, left = divmod(us, size)
        if unit == "w" or not (count or shown):
            continue
        shown += [f"{count}{unit}"] if count else []
        us = left
        if len(shown) == 2 or unit == "s":
            break
    return " ".join(shown)


def ago(us: int, now: int) -> str:
    """For people: how long before `now` an instant was, in its largest unit: `3h ago`, `in 2d`, `now` within a second."""
    distance = now - us
    if abs(distance) < SECOND:
        return "now"
    largest = format_duration(abs(distance)).split(" ")[0]
    return f"{largest} ago" if distance > 0 else f"in {largest}"
