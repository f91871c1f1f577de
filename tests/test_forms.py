"""An event survives both foreign forms whole, and nothing in them stands in for what everybody knows."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventctl.decode import decode
from eventctl.errors import Refused
from eventctl.event import FIELDS
from eventctl.forms import from_cloudevents, from_stream, to_cloudevents, to_stream

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
LINE = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
EXTRA_NAMES = st.sampled_from(
    [
        "_extra",
        "_trust",
        "colour",
        "data",
        "specversion",
        "type",
        "ecdomain",
        "ecmore",
        "cloudevent",
        "subject",
        "Payload",
        "x1",
        "é",
    ]
) | LINE.filter(lambda name: name not in FIELDS)
ACTION = st.fixed_dictionaries(
    {"description": TEXT, "produces": st.just("a.b")}, optional={"outcome_shape": st.none() | st.just({"a": "b"})}
)
ENVELOPES = st.builds(
    lambda known, extra: extra | known,
    st.fixed_dictionaries(
        {"id": LINE, "event": st.sampled_from(["a", "a.b-c.d_e"]), "source": LINE | st.sampled_from(["ci", "a b", "100%", "%41", "a:b/c?d#e"])},
        optional={
            "version": st.just(1), "timestamp": st.just("2026-11-20T10:00:00.123456789Z"), "idempotency_key": LINE,
            "level": st.integers(0, 3), "domain": LINE, "entity": LINE, "description": LINE, "visibility": st.just("public"),
            "payload": st.dictionaries(TEXT, JSON, max_size=3), "actions": st.dictionaries(TEXT, ACTION, max_size=2),
            "terminal_when": LINE, "resolution_shape": st.dictionaries(TEXT, TEXT, max_size=2), "caused_by": LINE,
            "hops": st.integers(0, 8), "trace": LINE,
        },
    ),
    st.dictionaries(EXTRA_NAMES, JSON, max_size=4),
)  # fmt: skip
DEFAULTS = {"version": 1, "payload": {}, "hops": 0}


@given(ENVELOPES, st.booleans())
def test_an_event_survives_the_stream_form(envelope: dict[str, Any], as_bytes: bool) -> None:
    flat = to_stream(envelope)
    assert all(isinstance(value, str) for value in flat.values())
    if as_bytes:
        assert DEFAULTS | envelope == from_stream({name.encode(): value.encode() for name, value in flat.items()})
    else:
        assert DEFAULTS | envelope == from_stream(flat)


@given(ENVELOPES)
def test_the_stream_form_has_its_keys_and_one_more_for_the_rest(envelope: dict[str, Any]) -> None:
    assert set(FIELDS) | ({"_extra"} if envelope.keys() - set(FIELDS) else set()) == to_stream(envelope).keys()


def test_the_stream_form_reads_as_it_is_documented() -> None:
    flat = to_stream(
        {"event": "a.b", "source": "s", "id": "1", "level": 2, "entity": None, "payload": {"n": 1}, "colour": "red"}
    )
    nothing = set(FIELDS) - {"event", "source", "id", "level", "version", "hops", "payload"}
    expected = {"event": "a.b", "source": "s", "id": "1", "level": "2", "version": "1", "hops": "0", "payload": '{"n":1}'}
    assert dict.fromkeys(nothing, "") | expected | {"_extra": '{"colour":"red"}'} == flat


def test_extra_fields_of_a_stream_never_stand_in_for_known_ones() -> None:
    extra = orjson.dumps({"level": 3, "entity": "mine", "payload": 7, "colour": "red"}).decode()
    flat = to_stream({"event": "a.b", "source": "s"}) | {"level": "1", "_extra": extra}
    assert {"event": "a.b", "source": "s", "level": 1, "colour": "red"} | DEFAULTS == from_stream(flat)


def test_stream_keys_that_are_not_ours_are_kept() -> None:
    assert {"event": "a.b", "source": "s", "colour": "red"} == from_stream(
        {b"event": b"a.b", b"source": b"s", b"colour": b"red"}
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("payload", b"{"),
        ("payload", b"[]"),
        ("payload", b'{"a":1,"a":2}'),
        ("actions", b"NaN"),
        ("_extra", b"7"),
        ("_extra", b""),
        ("source", b"\xff"),
    ],
)
def test_a_stream_value_that_cannot_be_read_is_refused_by_its_name(name: str, value: bytes) -> None:
    with pytest.raises(Refused) as refused:
        from_stream({b"event": b"a.b", name.encode(): value})
    assert name == refused.value.where


def test_a_stream_number_that_is_none_is_left_to_the_gate() -> None:
    with pytest.raises(Refused) as refused:
        decode(orjson.dumps(from_stream({"event": "a.b", "source": "s", "hops": "1e9"})), now=0)
    assert "hops" == refused.value.where


@given(ENVELOPES)
@example({"id": "é\n", "event": "a", "source": "a b", "entity": "\x7f", "description": "two\nlines", "trace": "\ufdd0"})
def test_an_event_survives_as_a_cloudevent(envelope: dict[str, Any]) -> None:
    assert envelope == from_cloudevents(json.loads(orjson.dumps(to_cloudevents(envelope))))


@given(ENVELOPES)
def test_a_cloudevent_of_ours_is_one_by_its_specification(envelope: dict[str, Any]) -> None:
    cloud = to_cloudevents(envelope)
    assert "1.0" == cloud["specversion"]
    assert {"id", "source", "type"} <= cloud.keys()
    for name, value in cloud.items():
        if name == "data":
            continue
        assert re.fullmatch("[a-z0-9]{1,20}", name)
        assert isinstance(value, str | bool) or (isinstance(value, int) and -(2**31) <= value < 2**31)
        assert (
            not isinstance(value, str)
            or value.isascii()
            or not re.search("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]", value)
        )
    assert re.fullmatch(r"([A-Za-z0-9/:?#\[\]@!$&'()*+,;=._~-]|%[0-9A-Fa-f]{2})+", cloud["source"])


def test_a_cloudevent_from_elsewhere_becomes_an_event() -> None:
    cloud = {
        "specversion": "1.0", "type": "com.github.Push", "source": "https://github.com/a/b", "id": "7", "time": "2026-11-20T10:00:00Z",
        "subject": "main", "datacontenttype": "text/plain", "dataschema": "https://s", "data": "hello", "partitionkey": "p", "level": "high",
        "comexampleextension": None,
    }  # fmt: skip
    kept = {"dataschema": "https://s", "datacontenttype": "text/plain", "type": "com.github.Push", "level": "high"}
    envelope = from_cloudevents(cloud)
    assert {
        "event": "com.github.push", "source": "https://github.com/a/b", "id": "7", "timestamp": "2026-11-20T10:00:00Z", "entity": "main",
        "payload": {"data": "hello"}, "partitionkey": "p", "cloudevent": kept,
    } == envelope  # fmt: skip
    assert decode(orjson.dumps(envelope), now=0)
    assert envelope == from_cloudevents(to_cloudevents(envelope))
    assert "p" == to_cloudevents(envelope)["partitionkey"]


def test_binary_data_stays_as_it_was_sent() -> None:
    sent = base64.b64encode(b"\x00\xff").decode()
    cloud = {"specversion": "1.0", "type": "a.b", "source": "s", "id": "1", "data_base64": sent}
    assert {"data_base64": sent} == from_cloudevents(cloud)["payload"]


@pytest.mark.parametrize(
    ("wrong", "where"),
    [({"specversion": "0.3"}, "specversion"), ({"specversion": 1.0}, "specversion"), ({"ecmore": "[]"}, "ecmore"), ({"ecmore": {}}, "ecmore"),
     ({"ecactions": '{"a":1,"a":1}'}, "ecactions")],
)  # fmt: skip
def test_what_is_no_cloudevent_is_refused_by_the_attribute(wrong: dict[str, Any], where: str) -> None:
    with pytest.raises(Refused) as refused:
        from_cloudevents({"specversion": "1.0", "type": "a.b", "source": "s", "id": "1"} | wrong)
    assert where == refused.value.where


def test_more_never_stands_in_for_an_attribute() -> None:
    more = json.dumps({"source": "other", "level": 3, "id": "2", "colour": "red"})
    cloud = {"specversion": "1.0", "type": "a.b", "source": "s", "id": "1", "eclevel": 1, "ecmore": more}
    assert {"event": "a.b", "source": "s", "id": "1", "level": 1, "colour": "red"} == from_cloudevents(cloud)
