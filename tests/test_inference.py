"""Shapes of JSON values: what merging them promises, and that the schema of a shape takes every value that made it."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.validators import Draft202012Validator

from eventctl.drift import drifts
from eventctl.inference import ENUM_EVENTS, NOTHING, TEXT_MAX, TEXTS_MAX, WIDTHS, choices, format_of, merge, observe, schema

TEXTS = st.sampled_from(
    [
        *("", "a", "b", "on", "off", "2026-11-20", "2026-11-20T10:00:00Z", "https://x.org/a?b=c", "x" * (TEXT_MAX + 1)),
        *("6f0e9c66-8c5e-4c38-9d5c-1f3f6a1f7f55", *(f"t{n}" for n in range(TEXTS_MAX))),
    ]
)
NAMES = st.sampled_from(["id", "a", "b", "a.b", "..", "", '"', "\x1b[31m", "e\u202e", *(f"k{n}" for n in range(8))])
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False, width=16) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=12), max_leaves=30
)
WIDE = st.integers(0, 80).map(lambda count: {f"w{n}": n for n in range(count)})
"""Objects on both sides of the limits of every depth."""

PAYLOADS = st.dictionaries(NAMES, VALUES | WIDE, max_size=6) | WIDE
SHAPES = st.lists(VALUES | PAYLOADS, max_size=4).map(lambda values: reduce(merge, map(observe, values), NOTHING))


def fits(made, value) -> bool:
    """What an independent reader of JSON Schema says."""
    return Draft202012Validator(made).is_valid(value)


@settings(max_examples=150, deadline=None)
@given(SHAPES, SHAPES, SHAPES)
def test_merging_does_not_depend_on_order_grouping_or_repetition(one, other, third):
    assert merge(one, other) == merge(other, one)
    assert merge(merge(one, other), third) == merge(one, merge(other, third))
    assert merge(one, one) == one
    assert merge(merge(one, other), other) == merge(one, other)
    assert merge(one, NOTHING) == one


@settings(max_examples=150, deadline=None)
@given(st.lists(PAYLOADS, min_size=1, max_size=8))
def test_a_schema_takes_every_value_that_it_was_inferred_from(payloads):
    shape = reduce(merge, map(observe, payloads))
    for events in (len(payloads), ENUM_EVENTS):  # also where choices are trusted, of which a handful of values can have some
        made = schema(shape, events)
        Draft202012Validator.check_schema(made)
        for payload in payloads:
            assert fits(made, payload)
            assert [] == list(drifts(made, payload))


@settings(max_examples=100, deadline=None)
@given(st.lists(PAYLOADS, min_size=1, max_size=6), st.randoms())
def test_a_schema_is_the_same_whatever_came_first(payloads, random):
    import json

    mixed = random.sample(payloads, len(payloads))
    one, other = (schema(reduce(merge, map(observe, each)), ENUM_EVENTS) for each in (payloads, mixed))
    assert json.dumps(one) == json.dumps(other)


@settings(max_examples=100, deadline=None)
@given(PAYLOADS, PAYLOADS)
def test_a_field_is_required_when_every_event_had_it(one, other):
    made = schema(merge(observe(one), observe(other)), 2)
    assert set(made.get("required", ())) == ((one.keys() & other.keys()) if "properties" in made else set())


def of(*payloads):
    return schema(reduce(merge, map(observe, payloads)), len(payloads))


def test_types_are_told_apart_and_a_whole_number_among_numbers_is_a_number():
    assert {"type": "integer"} == of({"n": 1}, {"n": 2})["properties"]["n"]
    assert {"type": "number"} == of({"n": 1}, {"n": 2.5})["properties"]["n"]
    assert {"type": "boolean"} == of({"n": True})["properties"]["n"]
    assert {"type": ["integer", "null", "string"]} == of({"n": 1}, {"n": None}, {"n": "x"})["properties"]["n"]


def test_few_texts_in_many_events_are_a_choice_and_in_few_events_they_are_not():
    rows = [{"state": ("on", "off")[number % 2]} for number in range(ENUM_EVENTS)]
    assert {"type": "string", "enum": ["off", "on"]} == of(*rows)["properties"]["state"]
    assert {"type": "string"} == of(*rows[1:])["properties"]["state"]


def test_many_texts_one_text_and_texts_of_a_field_that_may_be_absent_are_no_choice():
    many = [{"state": f"s{number % (TEXTS_MAX + 1)}"} for number in range(ENUM_EVENTS)]
    assert {"type": "string"} == of(*many)["properties"]["state"]
    assert {"type": "string"} == of(*[{"state": "on"}] * ENUM_EVENTS)["properties"]["state"]
    rare = [{"state": ("on", "off")[number % 2]} if number else {} for number in range(ENUM_EVENTS)]
    assert {"type": "string"} == of(*rare)["properties"]["state"]


def test_a_choice_may_be_null_too():
    rows = [{"state": ("on", "off", None)[number % 3]} for number in range(ENUM_EVENTS)]
    assert {"type": ["null", "string"], "enum": ["off", "on", None]} == of(*rows)["properties"]["state"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T10:00:00Z", "date-time"), ("2026-11-20T10:00:00.25+02:00", "date-time"), ("2026-11-20", "date"),
        ("2026-11-31", ""), ("2026-11-20T25:00:00Z", ""), ("2026-11-20T10:00:00", ""), ("2026-11-20 10:00:00Z", ""),
        ("6F0E9C66-8C5E-4C38-9D5C-1F3F6A1F7F55", "uuid"), ("6f0e9c668c5e4c389d5c1f3f6a1f7f55", ""),
        ("https://x.org/a?b=%20", "uri"), ("https://x.org/a b", ""), ("https://x.org/%zz", ""), ("repo:tag", ""), ("", ""),
        ("\uff12\uff10\uff12\uff16-11-20", ""), ("https://x.org/\n", ""), ("2026-11-20\n", ""),
    ],
)  # fmt: skip
def test_a_format_is_what_a_text_is_as_a_whole(text, expected):
    assert expected == format_of(text)


def test_a_format_stands_only_where_all_texts_have_it():
    day, moment = {"at": "2026-11-20"}, {"at": "2026-11-20T10:00:00Z"}
    assert "date" == of(day, day)["properties"]["at"]["format"]
    assert {"type": "string"} == of(day, moment)["properties"]["at"]
    assert {"type": ["null", "string"], "format": "date"} == of(day, {"at": None})["properties"]["at"]


def test_an_object_with_too_many_fields_is_a_map_whose_names_say_nothing():
    assert "properties" in of({f"k{n}": 1 for n in range(WIDTHS[0])})
    assert {"type": "object"} == of({f"k{n}": 1 for n in range(WIDTHS[0] + 1)})
    assert {"type": "object"} == of(*({f"k{n}": 1} for n in range(WIDTHS[0] + 1)))


def test_what_is_deeper_than_the_last_width_is_anything():
    deep = {"leaf": 1}
    for _ in range(2 * len(WIDTHS)):
        deep = {"in": deep}
    made, depth = of(deep), 0
    while "properties" in made:
        made, depth = made["properties"]["in"], depth + 1
    assert (len(WIDTHS), {"type": "object"}) == (depth, made)


def test_choices_are_of_texts_only():
    assert [] == choices(merge(observe("a"), observe(1)), ENUM_EVENTS)
    assert [] == choices(merge(observe("2026-11-20"), observe("2026-11-21")), ENUM_EVENTS)
