"""Where a payload is unlike its declaration, told field by field; and never unlike where a full reader of JSON Schema agrees."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.validators import Draft202012Validator

from eventctl.drift import NAME_MAX, drifts

ORDER = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "price": {"type": "number"},
        "count": {"type": "integer"},
        "state": {"enum": ["open", "closed"]},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}},
        "note": {"type": ["string", "null"]},
    },
    "required": ["id"],
}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"id": "1"}, []),
        ({"id": "1", "price": 1, "count": 2.0, "note": None}, []),
        ({}, ["id is missing"]),
        ({"id": 1}, ["id is integer, declared string"]),
        ({"id": "1", "count": True}, ["count is boolean, declared integer"]),
        ({"id": "1", "count": 1.5}, ["count is number, declared integer"]),
        ({"id": "1", "note": 3}, ["note is integer, declared string or null"]),
        ({"id": "1", "state": "lost"}, ["state has a value that is not declared"]),
        ({"id": "1", "colour": "red"}, ["colour is not declared"]),
        ({"id": "1", "lines": [{"sku": "a"}, {}]}, ["lines[].sku is missing"]),
        ({"id": "1", "lines": [{"sku": "a", "x.y": 1}]}, ['lines[]."x.y" is not declared']),
    ],
    ids=str,
)
def test_every_difference_is_named(payload, expected):
    assert expected == [f"{field} {what}" for field, what in drifts(ORDER, payload)]


def test_a_schema_that_allows_more_fields_has_allowed_them():
    for key in ("additionalProperties", "unevaluatedProperties"):
        assert [] == list(drifts({**ORDER, key: True}, {"id": "1", "colour": "red"}))
    assert [] == list(drifts({**ORDER, "patternProperties": {"^c": {}}}, {"id": "1", "colour": "red"}))
    assert ["colour"] == [field for field, _ in drifts({**ORDER, "additionalProperties": False}, {"id": "1", "colour": "red"})]


def test_a_declaration_that_says_nothing_of_the_payload_takes_everything():
    assert [] == list(drifts({"type": "object", "properties": {}, "required": []}, {"any": "thing"}))
    assert [] == list(drifts({"$ref": "#/x", "required": ["id"]}, {}))


def test_a_long_name_is_cut():
    (found,) = drifts(ORDER, {"id": "1", "x" * 10_000: 1})
    assert len(found.field) <= len('""') + NAME_MAX


WORDS = ["string", "number", "integer", "boolean", "array", "object", "null"]
SCHEMAS = st.recursive(
    st.builds(lambda kinds: {"type": kinds}, st.lists(st.sampled_from(WORDS), min_size=1, max_size=3, unique=True))
    | st.sampled_from(WORDS).map(lambda kind: {"type": kind})
    | st.just({}),
    lambda inner: (
        st.builds(
            lambda fields, required: {
                "type": "object",
                "properties": fields,
                "required": required,
                "additionalProperties": False,
            },
            st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3),
            st.lists(st.sampled_from("abc"), max_size=2, unique=True),
        )
        | inner.map(lambda items: {"type": "array", "items": items})
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, 1.0, -2.0]) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(SCHEMAS, VALUES)
def test_there_is_a_difference_exactly_where_a_full_reader_refuses(schema, value):
    assert Draft202012Validator(schema).is_valid(value) == (not list(drifts(schema, value)))


NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["string", "text", "a", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "required", "items", "enum", "a", "additionalProperties"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from(["type", "properties", "required", "items", "enum"]), NONSENSE), VALUES)
def test_a_schema_that_is_none_stops_nothing(schema, value):
    assert all(isinstance(what, str) for _, what in drifts(schema, value))
