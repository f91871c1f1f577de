"""Instants keep to the microsecond, in text and back; durations say what is wrong with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl import times

FIRST = times.from_datetime(datetime.min.replace(tzinfo=UTC))
LAST = times.from_datetime(datetime.max.replace(tzinfo=UTC))
INSTANTS = st.integers(FIRST, LAST)
ZONES = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(INSTANTS)
def test_an_instant_survives_its_text(us: int) -> None:
    assert us == times.parse_iso(times.iso(us))
    assert times.iso(us) == times.normal_iso(times.iso(us))


@given(INSTANTS, INSTANTS)
def test_text_sorts_as_time_does(one: int, other: int) -> None:
    assert (one < other) == (times.iso(one) < times.iso(other))


@given(st.integers(FIRST + 2 * times.DAY, LAST - 2 * times.DAY), ZONES)
def test_any_offset_names_the_same_instant_as_its_normal_form(us: int, zone: timezone) -> None:
    moment = times.to_datetime(us).astimezone(zone)
    normal = times.normal_iso(moment.isoformat())
    assert normal.endswith("Z")
    assert us == times.from_datetime(moment) == times.parse_iso(moment.isoformat()) == times.parse_iso(normal)
    assert moment == datetime.fromisoformat(normal)


def test_the_normal_form_keeps_every_digit_of_the_sender() -> None:
    assert "2026-11-20T10:00:00.123456789Z" == times.normal_iso("2026-11-20 11:00:00.123456789+01:00")
    assert "2026-11-20T10:00:00.120Z" == times.normal_iso("2026-11-20t10:00:00.120z")
    assert "2026-11-20T10:00:00Z" == times.normal_iso("2026-11-20T10:00:00-00:00")


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-11-20", "2026-11-20T10:00:00", "2026-11-20T10:00Z", "20261120T100000Z", "2026-W47-5T10:00:00Z",
        "2026-02-30T10:00:00Z", "2026-11-20T24:00:00Z", "2026-11-20T23:59:60Z", "2026-11-20T10:00:00+0100",
        "2026-11-20T10:00:00+24:00", "2026-11-20T10:00:00+01:60", "2026-11-20T10:00:00,5Z", "2026-11-20T10:00:00.Z",
        "2026-11-20T10:00:00.1234567890Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
        "2026-11-20T10:00:00Z\n", " 2026-11-20T10:00:00Z", "٢٠٢٦-11-20T10:00:00Z", "1763632800", "2026-11-20T10:00:00 Z",
    ],
)  # fmt: skip
def test_what_is_no_rfc_3339_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        times.parse_iso(text)
    with pytest.raises(ValueError):
        times.normal_iso(text)


def test_a_naive_time_and_a_far_instant_are_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        times.from_datetime(times.to_datetime(0).replace(tzinfo=None))
    with pytest.raises(ValueError, match="outside the years"):
        times.iso(times.FOREVER)


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("0s", 0), ("10s", 10_000_000), ("5m", 300_000_000), ("2h", 7_200_000_000), ("7d", 604_800_000_000),
        ("1w", 604_800_000_000), ("250ms", 250_000), ("2h 5m", 7_500_000_000), ("1d2h3m4s5ms", 93_784_005_000),
    ],
)  # fmt: skip
def test_a_duration_reads_as_people_write_it(text: str, us: int) -> None:
    assert us == times.parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5",
        "s",
        "-5s",
        "1.5h",
        "5 s",
        "5S",
        "3mo",
        "1m 1h",
        "5s 5s",
        "5s ",
        "5s  5ms",
        "5s\n",
        "\u0665s",
        "1e3s",
        "9999999999s",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="a duration"):
        times.parse_duration(text)


@given(st.integers(0, times.FOREVER - 1))
def test_a_shown_duration_is_never_longer_than_the_duration_and_loses_less_than_its_last_unit(us: int) -> None:
    shown = times.format_duration(us)
    if not shown.endswith("us"):
        assert times.parse_duration(shown) <= us < times.parse_duration(shown) * 2 + times.MILLISECOND


def test_durations_and_distances_are_short_for_people() -> None:
    assert "2h 5m" == times.format_duration(2 * times.HOUR + 5 * times.MINUTE + 7)
    assert ["0s", "7us", "7ms", "-1d", "forever"] == [
        times.format_duration(us) for us in (0, 7, 7_000, -times.DAY, times.FOREVER)
    ]
    now = 1_000 * times.DAY
    assert ["now", "3h ago", "in 2d"] == [
        times.ago(us, now) for us in (now - 5, now - 3 * times.HOUR - times.MINUTE, now + 2 * times.DAY)
    ]
