"""Windows by example: what each kind says and what it keeps; the oracle's tests stand beside this file."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl import windows
from eventctl.rule import Window
from eventctl.times import MINUTE, SECOND
from eventctl.windows import Fired, Signals, State, Step
from eventctl.windows.steps import short
from tests.windowkit import NOON, window

COUNTS = Signals(counts=True)
VALUE = {"flap": {"value": "payload.v", "count": 3}, "rate": {"value": "payload.v", "change": 20.0}}


def minutes(kind: str, within: int = 10, **keys: Any) -> Window:
    return window(kind=kind, within=within * MINUTE, **keys)


class Played:
    """A window and what it says of events, each so many minutes after noon, ingested then or at `ingested`."""

    def __init__(self, asked: Window) -> None:
        self.window = asked
        self.state: State | None = None
        self.newest = NOON

    def at(self, minute: float, signals: Signals = COUNTS) -> Step:
        at = NOON + int(minute * MINUTE)
        self.newest = max(at, self.newest)
        step = windows.step(self.window, self.state, at, self.newest, signals)
        self.state = step.state
        return step

    def value(self, minute: float, value: Any) -> Step:
        return self.at(minute, Signals(counts=True, value=value))

    def fired(self, *values: tuple[float, Any]) -> list[float]:
        """The minutes at which it fired."""
        return [minute for minute, value in values if self.value(minute, value).fired]


# --- what all kinds have in common ------------------------------------------------------------------------------------------

FULL = {
    "threshold": (minutes("threshold", count=10_000), 700),
    "distinct": (minutes("threshold", count=50, distinct="payload.v"), 50_000),
    "sequence": (minutes("sequence", after="a", then="b"), 1_500),
    "absence": (minutes("absence", after="a", expect="b"), 2_500),
    "heartbeat": (minutes("absence", expect="b"), 150),
    "flap": (minutes("flap", **VALUE["flap"]), 250),
    "rate": (minutes("rate", **VALUE["rate"]), 1_000),
    "inhibit": (minutes("inhibit", after="a", until="b"), 2_500),
}


@pytest.mark.parametrize("kind", FULL)
def test_what_is_remembered_has_a_bound_that_no_flood_breaks(kind: str) -> None:
    asked, bound = FULL[kind]
    here, largest = Played(asked), 0
    for number in range(4_000):
        opens, closes = number % 7 < 6, number % 400 < 200 and number % 5 == 0
        signals = Signals(
            opens, closes, closes, closes and not opens, True, number * 1.5 if kind == "rate" else f"a value {number}" * 9
        )
        largest = max(largest, len(orjson.dumps(here.at((number * 37 % 101) / 10 + number / 50, signals).state)))
    assert bound / 20 < largest <= bound


@pytest.mark.parametrize("kind", FULL)
def test_an_event_that_is_nothing_to_a_window_writes_nothing(kind: str) -> None:
    here = Played(FULL[kind][0])
    here.at(0, Signals(True, True, True, False, True, 1))
    before = here.state
    step = here.at(1, Signals())
    assert step.state is before
    assert (None, None) == (step.fired, step.wake)


def test_history_is_not_counted_and_a_clock_ahead_counts_five_seconds_later() -> None:
    asked = minutes("threshold", count=1, lateness=60 * SECOND)
    assert windows.moment(asked, NOON - 61 * SECOND, NOON) is None
    assert NOON - 60 * SECOND == windows.moment(asked, NOON - 60 * SECOND, NOON)
    assert NOON + 5 * SECOND == windows.moment(asked, NOON + 99 * SECOND, NOON)
    assert windows.step(asked, None, NOON - 61 * SECOND, NOON, COUNTS).fired is None


def test_a_rule_whose_window_was_changed_begins_anew() -> None:
    here = Played(minutes("threshold", count=2))
    here.at(0)
    here.window = minutes("threshold", within=20, count=2)
    assert here.at(1).fired is None
    here.window = minutes("sequence", after="a", then="b")
    assert here.at(2, Signals(then=True)).fired is None


def test_asking_too_early_or_for_nothing_changes_nothing() -> None:
    asked = minutes("absence", after="a", expect="b")
    assert Step() == windows.woken(asked, None, NOON)
    opened = windows.step(asked, None, NOON, NOON, Signals(after=True))
    assert NOON + 10 * MINUTE + 10 * SECOND == opened.wake
    early = windows.woken(asked, opened.state, opened.wake - 1)
    assert (opened.state, None, opened.wake) == (early.state, early.fired, early.wake)
    assert Fired(1, NOON) == windows.woken(asked, opened.state, opened.wake).fired


def test_so_many_distinct_values_that_nobody_can_remember_them_are_refused() -> None:
    assert 200 == minutes("threshold", count=200, distinct="payload.v").count
    with pytest.raises(ValueError, match="distinct values are remembered one by one: count at most 200"):
        minutes("threshold", count=201, distinct="payload.v")


def test_values_longer_than_24_characters_stay_apart_and_short() -> None:
    one, other = short("x" * 30), short("x" * 31)
    assert (24, 24, False) == (len(one), len(other), one == other)
    assert ["db", "1.5", "true", '["a"]'] == [short(value) for value in ("db", 1.5, True, ["a"])]


# --- flap -------------------------------------------------------------------------------------------------------------------


def test_the_change_that_is_one_too_many_fires_once_and_mutes_until_there_was_none_for_a_window() -> None:
    here = Played(minutes("flap", **VALUE["flap"]))
    steps = [here.value(minute, minute % 2) for minute in range(6)]
    assert [None, None, None, 3, None, None] == [step.fired and step.fired.count for step in steps]
    assert [None, None, None, 13, 14, 15] == [step.muted and (step.muted - NOON) // MINUTE for step in steps]
    assert NOON + 15 * MINUTE == here.value(14, 1).muted
    assert here.value(15, 1).muted is None
    assert here.value(16, 0).muted is None


def test_the_same_value_again_is_no_change() -> None:
    assert [] == Played(minutes("flap", **VALUE["flap"])).fired(*[(minute, "up") for minute in range(40)])


def test_changes_that_are_far_apart_are_no_flapping() -> None:
    assert [] == Played(minutes("flap", **VALUE["flap"])).fired(*[(minute, minute % 10 == 0) for minute in range(0, 200, 5)])


def test_what_comes_late_is_no_change_and_is_muted_if_it_lies_in_the_stretch() -> None:
    here = Played(minutes("flap", **VALUE["flap"]))
    assert [3] == here.fired(*[(minute, minute % 2) for minute in range(5)])
    assert here.value(1, "late").muted is None
    assert NOON + 14 * MINUTE == here.value(3.5, "late").muted
    assert NOON + 14 * MINUTE == here.value(5, 0).muted


# --- rate -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "values", "fired"),
    [
        ({"change": 20.0}, [(0, 10), (2, 29), (4, 30)], [4]),
        ({"change": 20.0}, [(0, 10), (2, 40), (4, 60), (6, 90)], [2]),
        ({"change": 20.0}, [(0, 10), (11, 30)], []),
        ({"change": 20.0}, [(0, 90), (2, 10)], []),
        ({"change": -20.0}, [(0, 90), (2, 10)], [2]),
        ({"change": 20.0}, [(0, 10), (2, 40), (30, 40), (32, 70)], [2, 32]),
        ({"change": 20.0}, [(4, 40), (0, 10)], [0]),
        ({"change": 20.0}, [(4, 10), (0, 40)], []),
        ({"percent": 50.0}, [(0, 10), (2, 14), (4, 15)], [4]),
        ({"percent": -50.0}, [(0, 10), (2, 6), (4, 5)], [4]),
        ({"percent": 50.0}, [(0, 0), (2, 100)], []),
        ({"change": 20.0}, [(0, 10), (2, float("nan")), (4, float("inf")), (6, True)], []),
    ],
)
def test_a_rate_is_a_change_within_the_window_once_until_it_was_calm(
    change: dict[str, float], values: list[tuple[float, Any]], fired: list[float]
) -> None:
    assert fired == Played(minutes("rate", value="payload.v", **change)).fired(*values)


def test_a_rate_says_by_how_much() -> None:
    here = Played(minutes("rate", value="payload.v", change=-20.0))
    here.value(0, 90)
    assert Fired(1, NOON, -75) == here.value(2, 15).fired


# --- inhibit ----------------------------------------------------------------------------------------------------------------


MARKS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["on", "off", "event", "event"])), max_size=40)


@given(MARKS)
def test_an_event_is_muted_when_the_newest_a_before_it_is_young_and_has_not_ended(marks: list[tuple[int, str]]) -> None:
    here = Played(minutes("inhibit", after="a", until="b", within=20))
    ons: set[int] = set()
    offs: set[int] = set()
    for minute, what in marks:
        step = here.at(minute, Signals(after=what == "on", until=what == "off", counts=True))
        if what == "event":
            lasting = [on for on in ons if on <= minute < on + 20 and not any(on <= off <= minute for off in offs)]
            until = min([max(lasting) + 20, *(off for off in offs if off > minute)]) if lasting else None
            assert until == (step.muted and (step.muted - NOON) // MINUTE)
        else:
            (ons if what == "on" else offs).add(minute)
            assert step.muted is None


def test_only_what_matches_is_muted() -> None:
    here = Played(minutes("inhibit", after="a", until="b"))
    here.at(0, Signals(after=True))
    assert here.at(1, Signals(counts=False)).muted is None
    assert NOON + 10 * MINUTE == here.at(1).muted
