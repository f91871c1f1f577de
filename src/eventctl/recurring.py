"""Times of the week, as people write them: `Mon-Fri 22:00-07:00` in a time zone.

A time of the week is on while the clock on the wall there shows it. So it follows daylight saving by itself: an hour that the clock
shows twice counts twice, and one that it skips does not count at all. A time that ends at or before its beginning ends on the next day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from eventctl.times import MINUTE, from_datetime, to_datetime

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_MINUTES = 1_440
ENDS_MAX = 16
"""Times that follow each other without a gap are followed this far: two weeks of days."""

_DAY = "|".join(DAYS)
_EVERY = re.compile(
    rf"(?:(?P<first>{_DAY})(?:-(?P<last>{_DAY}))? )?"
    r"(?P<begin>(?:[01][0-9]|2[0-3]):[0-5][0-9])-(?P<end>(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)"
)


class Recurring(NamedTuple):
    """The days on which it begins (0 is Monday), and from which minute of the day to which: `end` is above `begin`, past midnight above 1440."""

    days: frozenset[int]
    begin: int
    end: int

    def covers(self, weekday: int, minute: int) -> bool:
        """Whether it is on when a clock shows this minute of this day."""
        if self.begin <= minute < self.end and weekday in self.days:
            return True
        return minute + DAY_MINUTES < self.end and (weekday - 1) % 7 in self.days


@lru_cache(maxsize=256)
def parse(text: str) -> Recurring:
    """Read `Mon-Fri 22:00-07:00`, `Sat 10:00-12:00` or, for every day, `12:00-13:00`. Raises ValueError with a sentence."""
    found = _EVERY.fullmatch(text)
    if found is None:
        raise ValueError(f"a time of the week is written like 'Mon-Fri 22:00-07:00' or '12:00-13:00', not {text[:40]!r}")
    first = DAYS.index(found["first"]) if found["first"] else 0
    last = DAYS.index(found["last"]) if found["last"] else first if found["first"] else 6
    days = frozenset((first + step) % 7 for step in range((last - first) % 7 + 1))
    begin, end = _minute(found["begin"]), _minute(found["end"])
    return Recurring(days, begin, end if end > begin else end + DAY_MINUTES)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone of that name; UTC for "". Raises ValueError with a sentence."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is called {name[:40]!r}; one is 'Europe/Berlin'") from None


def on(every: Iterable[str], timezone: str, at: int) -> bool:
    """Whether one of these times is on at an instant."""
    local = to_datetime(at).astimezone(zone(timezone))
    return any(_covers(text, local) for text in every)


def ends(every: Iterable[str], timezone: str, at: int) -> int | None:
    """When what is on at an instant is over, times without a gap between them taken together; None when nothing is on."""
    texts, where = tuple(every), zone(timezone)
    until, over = at, None
    for _ in range(ENDS_MAX):
        local = to_datetime(until).astimezone(where)
        current = next((text for text in texts if _covers(text, local)), None)
        if current is None:
            return over
        over = until = _end(parse(current), local)
    return over


def _covers(text: str, local: datetime) -> bool:
    return parse(text).covers(local.weekday(), local.hour * 60 + local.minute)


def _end(what: Recurring, local: datetime) -> int:
    """The first instant from `local` on at which a clock there does not show it."""
    at, shown = from_datetime(local), local.hour * 60 + local.minute
    left = (what.end - shown - 1) % DAY_MINUTES + 1
    begun = at - local.second * 1_000_000 - local.microsecond
    until = begun + left * MINUTE
    last = to_datetime(until - MINUTE).astimezone(local.tzinfo)
    if last.utcoffset() == local.utcoffset():
        return until
    # The clock is changed on the way: look at every minute, which changes of clocks come at the end of.
    minutes = (begun + minute * MINUTE for minute in range(1, DAY_MINUTES))
    return next((minute for minute in minutes if not what.covers(*_shown(minute, local))), until)


def _shown(at: int, like: datetime) -> tuple[int, int]:
    local = to_datetime(at).astimezone(like.tzinfo)
    return local.weekday(), local.hour * 60 + local.minute


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)
