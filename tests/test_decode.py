"""The gate and the model judge alike; the gate says what is wrong, and changes nothing but what it says it changes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventctl import times
from eventctl.decode import Decoded, Limits, decode, to_record
from eventctl.envelope import Envelope
from eventctl.errors import Refused
from eventctl.event import FIELDS, Event
from eventctl.store import Record

NOW = 1_763_632_800_000_000
GOOD: dict[str, Any] = {"event": "build.finished", "source": "ci"}

TEXT = st.text(max_size=8)
LINE = st.text(min_size=1, max_size=8).filter(lambda text: "\0" not in text)
TYPE = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,3}(\.[a-z0-9][a-z0-9_-]{0,3}){0,3}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | LINE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LINE, inner, max_size=3),
    max_leaves=4,
)
TIMESTAMP = st.sampled_from(
    ["2026-11-20T10:00:00Z", "2026-11-20 10:00:00.5+01:00", "2026-11-20t23:59:59.123456789-11:30", "0001-01-01T00:00:00z"]
)
ACTION = st.fixed_dictionaries(
    {"description": LINE, "produces": TYPE},
    optional={"outcome_shape": st.none() | st.dictionaries(LINE, LINE, max_size=2), "x": PLAIN},
)
VALID = st.fixed_dictionaries(
    {"event": TYPE, "source": LINE},
    optional={
        "id": LINE, "version": st.just(1), "timestamp": TIMESTAMP, "idempotency_key": LINE | st.none(),
        "level": st.integers(0, 3) | st.sampled_from(["business", "workflow", "Operational", "0"]), "domain": LINE | st.just(""),
        "entity": LINE | st.none(), "description": LINE | st.just(""), "visibility": st.sampled_from(["local", "cluster", "public"]),
        "payload": st.dictionaries(LINE, PLAIN, max_size=3), "actions": st.dictionaries(LINE, ACTION, max_size=2) | st.none(),
        "terminal_when": LINE, "resolution_shape": st.dictionaries(LINE, LINE, max_size=2), "caused_by": LINE,
        "hops": st.integers(0, 8), "trace": LINE, "colour": PLAIN, "_trust": PLAIN, "_extra": PLAIN,
    },
)  # fmt: skip
HOSTILE: list[Any] = [
    None, True, False, 0, 1, 2, 3, 4, -1, 8, 9, 1.0, "", " ", "a", "A.b", "a..b", "a.b\n", "é.a", "local", "secret", "business", "7",
    "BUSINESS", "2", "2026-11-20T10:00:00", "2026-11-20", "2026-11-20T24:00:00Z", "0001-01-01T00:00:00+01:00", 1_763_632_800,
    "\0", "\ud800", "x" * 128, "x" * 129, "x" * 200, "x" * 201, "x" * 256, "x" * 257, "x" * 512, "x" * 513, "é" * 512, [], {},
    {"a": 1}, {"a": "b"}, {"a": {}}, {"a": {"description": "d", "produces": "a.b", "outcome_shape": {"a": 1}}},
    {"a": {"description": None, "produces": "a.b"}}, {"a": {"description": "d", "produces": "A"}}, {"a": None}, 2**63, -(2**63) - 1,
]  # fmt: skip


@st.composite
def envelopes(draw: st.DrawFn) -> bytes:
    """Valid ones and ones with one to three fields put wrong, written in different ways."""
    fields = dict(draw(VALID))
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from([*FIELDS, "colour"]))
        if draw(st.booleans()):
            fields[name] = draw(JSON | st.sampled_from(HOSTILE))
        else:
            fields.pop(name, None)
    document = json.dumps(fields, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    return document.encode("utf-8", "surrogatepass")


def one_wrong(name: str, value: Any) -> bytes:
    return json.dumps(GOOD | {name: value}, ensure_ascii=False).encode("utf-8", "surrogatepass")


def verdict_of_the_model(raw: bytes) -> Envelope | None:
    try:
        return Envelope.model_validate(json.loads(raw.decode()))
    except ValueError:
        return None


def disagreement(judge: Callable[[bytes], Decoded], raw: bytes) -> str:
    """Where the gate and the model differ on one envelope; empty when they do not."""
    model = verdict_of_the_model(raw)
    try:
        decoded = judge(raw)
    except Refused as refused:
        return f"only the gate refuses: {refused}" if model else ""
    if model is None:
        return "only the model refuses"
    body = json.loads(decoded.body)
    kept = Envelope.model_validate(body)
    named = (kept.id, kept.source, kept.event, kept.entity, kept.hops, kept.caused_by)
    if named != (decoded.id, decoded.source, decoded.type, decoded.entity, decoded.hops, decoded.caused_by):
        return "what the gate says it read is not what it wrote"
    differing = {name for name in model.model_fields_set & {*FIELDS} if getattr(kept, name) != getattr(model, name)}
    if differing or kept.model_extra != model.model_extra:
        return f"they read different values: {differing}"
    expected = {name for name, value in json.loads(raw).items() if value is not None or name not in FIELDS} | {
        "id",
        "timestamp",
    }
    return f"fields came or went: {expected ^ body.keys()}" if expected != body.keys() else ""


def gate(raw: bytes) -> Decoded:
    return decode(raw, now=NOW, trusted_chain=True)


@given(envelopes())
@settings(max_examples=400)
def test_the_gate_and_the_model_judge_alike(raw: bytes) -> None:
    assert "" == disagreement(gate, raw)


def without(name: str) -> Callable[[bytes], Decoded]:
    """A gate that looks away from one field."""

    def loose(raw: bytes) -> Decoded:
        try:
            return gate(raw)
        except Refused as refused:
            if refused.where != name:
                raise
            return Decoded(raw, "", "", "", "", None, 0, None)

    return loose


def takes_a_number_for_its_text(raw: bytes) -> Decoded:
    """A gate that reads `7` as `"7"` in the domain."""
    fields = json.loads(raw) if verdict_of_the_model(raw) is None else {}
    return gate(json.dumps(fields | {"domain": str(fields["domain"])}).encode() if type(fields.get("domain")) is int else raw)


def forgets_what_it_does_not_know(raw: bytes) -> Decoded:
    decoded = gate(raw)
    return decoded._replace(body=orjson.dumps({k: v for k, v in orjson.loads(decoded.body).items() if k in FIELDS}))


LOOSE = {name: without(name) for name in FIELDS}
LOOSE |= {"coercion": takes_a_number_for_its_text, "extras": forgets_what_it_does_not_know}


@pytest.mark.parametrize("name", FIELDS)
def test_they_judge_alike_what_is_hostile_in_one_field(name: str) -> None:
    assert {"": len(HOSTILE)} == Counter(disagreement(gate, one_wrong(name, value)) for value in HOSTILE)


@pytest.mark.parametrize("looser", LOOSE)
def test_a_gate_that_is_looser_in_any_one_thing_is_caught(looser: str) -> None:
    assert any(disagreement(LOOSE[looser], one_wrong(name, value)) for name in [*FIELDS, "colour"] for value in HOSTILE)


@given(envelopes())
def test_what_was_accepted_is_accepted_again_unchanged(raw: bytes) -> None:
    try:
        decoded = gate(raw)
    except Refused:
        return
    assert decoded == decode(decoded.body, now=0, trusted_chain=True)


@given(envelopes())
def test_an_accepted_event_can_be_read_in_every_field(raw: bytes) -> None:
    try:
        event = Event(gate(raw).body)
    except Refused:
        return
    for name in (*FIELDS, "extra"):
        getattr(event, name)
    assert times.from_datetime(event.timestamp) == times.parse_iso(event.data["timestamp"])


def test_what_is_absent_is_filled_in_and_null_is_absent() -> None:
    decoded = decode(b'{"event":"a.b","source":"s","id":null,"timestamp":null,"payload":null,"level":null,"x":null}', now=NOW)
    assert {
        "event": "a.b",
        "source": "s",
        "x": None,
        "id": decoded.id,
        "timestamp": "2025-11-20T10:00:00.000000Z",
    } == json.loads(decoded.body)
    assert decoded.id != decode(b'{"event":"a.b","source":"s"}', now=NOW).id


def test_the_instant_survives_to_the_last_digit_and_a_level_gets_its_number() -> None:
    raw = json.dumps(GOOD | {"id": "1", "timestamp": "2026-11-20T11:00:00.123456789+01:00", "level": "business"})
    assert b'{"event":"build.finished","source":"ci","id":"1","timestamp":"2026-11-20T10:00:00.123456789Z","level":3}' == (
        decode(raw, now=NOW).body
    )


def test_a_chain_counts_only_from_who_is_trusted_with_it() -> None:
    raw = json.dumps(GOOD | {"hops": 3, "caused_by": "parent"})
    assert (3, "parent") == decode(raw, now=NOW, trusted_chain=True)[6:]
    stripped = decode(raw, now=NOW)
    assert (0, None) == stripped[6:]
    assert not {"hops", "caused_by"} & json.loads(stripped.body).keys()
    with pytest.raises(Refused, match="loop"):
        decode(json.dumps(GOOD | {"hops": 9}), now=NOW)


@pytest.mark.parametrize(
    ("raw", "where", "what"),
    [
        (b"[]", "", "an event must be a JSON object, not a list"),
        (b"7", "", "an event must be a JSON object, not 7"),
        ({"source": "ci"}, "event", "is missing; it must be dotted lower-case parts like build.finished"),
        ({"event": "a.b"}, "source", "is missing; it must be text of 1 to 200 characters"),
        (GOOD | {"event": None}, "event", "is missing"),
        (GOOD | {"level": 7}, "level", "must be 0 to 3, or infrastructure, operational, workflow or business, not 7"),
        (GOOD | {"level": "urgent"}, "level", 'business, not "urgent"'),
        (GOOD | {"event": "Build Finished"}, "event", 'not "Build Finished"'),
        (GOOD | {"timestamp": "yesterday"}, "timestamp", 'must be a time with its offset, like 2026-11-20T10:00:00Z, not "yesterday"'),
        (GOOD | {"payload": [1]}, "payload", "must be an object, not a list"),
        (GOOD | {"entity": "e" * 513}, "entity", "must be text of 1 to 512 characters, not a text of 513 characters"),
        (GOOD | {"description": {"a": 1}}, "description", "must be text, not an object"),
        (GOOD | {"version": 2}, "version", "must be 1, the one generation of the envelope that this eventctl reads, not 2"),
        (GOOD | {"visibility": "x" * 300}, "visibility", "must be local, cluster or public, not"),
        (GOOD | {"actions": {"a": {}}}, "actions", "produces: an event type"),
        (b'{"event":"a.b","source":"s","source":"t"}', "", "the key 'source' stands twice"),
    ],
)  # fmt: skip
def test_a_refusal_says_which_field_and_what_it_must_be(raw: bytes | dict[str, Any], where: str, what: str) -> None:
    with pytest.raises(Refused) as refused:
        decode(raw if isinstance(raw, bytes) else json.dumps(raw), now=NOW)
    assert where == refused.value.where
    assert what in refused.value.what
    assert len(str(refused.value)) < 250


def test_the_limits_hold() -> None:
    with pytest.raises(Refused, match=r"262,2.. bytes long, more than 262,144"):
        decode(json.dumps(GOOD | {"description": "x" * 262_144}), now=NOW)
    deepest: Any = []
    for _ in range(29):
        deepest = [deepest]
    assert decode(json.dumps(GOOD | {"payload": {"a": deepest}}), now=NOW)
    with pytest.raises(Refused, match="nested more than 32 deep"):
        decode(json.dumps(GOOD | {"payload": {"a": [deepest]}}), now=NOW)
    with pytest.raises(Refused, match="more than 20"):
        decode(json.dumps(GOOD), now=NOW, limits=Limits(bytes=20))


def test_a_record_carries_who_and_when() -> None:
    decoded = decode(json.dumps(GOOD | {"id": "1", "entity": "e", "hops": 2}), now=NOW, trusted_chain=True)
    assert Record("event", "ci", "1", "build.finished", decoded.body, "peer:b", 5, "e", 9, 2) == to_record(
        decoded, principal="peer:b", at=5, caused_by=9
    )


def test_the_gate_loads_nothing_heavy() -> None:
    code = "import eventctl.decode, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "asyncio", "rich", "sqlite_utils"} & set(loaded)
