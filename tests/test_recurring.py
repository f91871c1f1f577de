"""Times of the week: on while the clock on the wall shows them, whatever daylight saving does to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventctl import recurring
from eventctl.times import MINUTE, from_datetime

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu")
DAYS = st.sampled_from(recurring.DAYS)
CLOCK = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 1, 30, 59]))
EVERY = st.builds(
    lambda days, begin, end: f"{days}{begin}-{end}",
    st.one_of(st.just(""), st.builds("{} ".format, DAYS), st.builds("{}-{} ".format, DAYS, DAYS)),
    CLOCK,
    st.one_of(CLOCK, st.just("24:00")),
)
AROUND = st.sampled_from(
    [
        datetime(2026, 3, 28, tzinfo=UTC),
        datetime(2026, 10, 24, tzinfo=UTC),
        datetime(2026, 3, 7, tzinfo=UTC),
        datetime(2026, 10, 31, tzinfo=UTC),
        datetime(2026, 4, 4, tzinfo=UTC),
        datetime(2026, 7, 1, tzinfo=UTC),
    ]
)
"""A day before the clocks change in one of the zones, and one in the middle of the year."""


def shown(text: str) -> set[tuple[int, int]]:
    """What a clock may show while it is on, as (weekday, minute of the day): each beginning day walked minute by minute."""
    days, _, hours = text.rpartition(" ")
    begin, end = (int(part[:2]) * 60 + int(part[3:]) for part in hours.split("-"))
    first, _, last = days.partition("-")
    at = recurring.DAYS.index(first) if first else 0
    to = recurring.DAYS.index(last or first) if first else 6
    found: set[tuple[int, int]] = set()
    while True:
        length = (end - begin) % 1440 or 1440
        for minute in range(begin, begin + length):
            found.add(((at + minute // 1440) % 7, minute % 1440))
        if at == to:
            return found
        at = (at + 1) % 7


@given(st.lists(EVERY, min_size=1, max_size=3), st.sampled_from(ZONES), AROUND)
@settings(max_examples=40, deadline=None)
def test_what_is_on_is_what_a_clock_shows_minute_by_minute(every, name, day):
    zone, wanted = ZoneInfo(name), set().union(*map(shown, every))
    minutes = [day + timedelta(minutes=n) for n in range(3 * 1440)]
    truth = []
    for each in minutes:
        local = each.astimezone(zone)
        truth.append((local.weekday(), local.hour * 60 + local.minute) in wanted)
    for at in range(0, 2 * 1440, 191):
        instant = from_datetime(minutes[at]) + 7
        assert truth[at] == recurring.on(every, name, instant)
        rest = truth[at:]
        over = recurring.ends(every, name, instant)
        if not truth[at]:
            assert over is None
        elif False in rest:
            assert from_datetime(minutes[at]) + rest.index(False) * MINUTE == over
        else:
            assert over is not None
            assert over > from_datetime(minutes[-1])


def test_a_night_ends_in_the_morning_of_the_next_day_also_when_the_clocks_change():
    night = ["Sat 22:00-06:00"]
    for begin, hours in (
        (datetime(2026, 3, 28, 22, tzinfo=UTC), 7),
        (datetime(2026, 10, 24, 22, tzinfo=UTC), 9),
        (datetime(2026, 7, 4, 22, tzinfo=UTC), 8),
    ):
        at = from_datetime(begin.replace(tzinfo=ZoneInfo("Europe/Berlin")))
        assert hours * 60 * MINUTE == (recurring.ends(night, "Europe/Berlin", at) or 0) - at
        assert recurring.ends(night, "Europe/Berlin", at - 1) is None


@pytest.mark.parametrize("text", ["", "22:00", "Mon 24:00-01:00", "mon 10:00-11:00", "Mon,Tue 10:00-11:00", "Mon 1:00-2:00"])
def test_what_is_no_time_of_the_week_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="Mon-Fri 22:00-07:00"):
        recurring.parse(text)


def test_a_zone_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="Europe/Berlin"):
        recurring.zone("Europe/Atlantis")
