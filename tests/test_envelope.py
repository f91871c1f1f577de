"""What Python that makes events is given, and the JSON Schema of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import jsonschema
import orjson
import pytest
from pydantic import ValidationError

from eventctl.decode import decode
from eventctl.envelope import Action, Envelope, json_schema, write_json_schema
from eventctl.event import FIELDS, SCHEMA_VERSION, Event, Level, Visibility

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
WHOLE: dict[str, Any] = {
    "id": "1", "event": "domain.shop.order.paid", "version": 1, "source": "shop", "timestamp": "2026-11-20T12:00:00.000001Z",
    "idempotency_key": "order-7", "level": 3, "domain": "shop", "entity": "shop://order/7", "description": "Order 7 was paid",
    "visibility": "cluster", "payload": {"order": 7, "of": [1.5, None, {"a": True}]},
    "actions": {"refund": {"description": "Give it back", "produces": "domain.shop.order.refunded", "outcome_shape": {"sum": "float"}}},
    "terminal_when": "action taken OR 7d elapsed", "resolution_shape": {"by": "str"}, "caused_by": "0", "hops": 1, "trace": "00-1-2-01",
    "colour": ["unknown", {"deep": None}], "_trust": "accept",
}  # fmt: skip


def test_two_fields_are_all_that_an_event_needs() -> None:
    made = Envelope(event="build.finished", source="ci")
    assert (SCHEMA_VERSION, None, "", {}, None, 0) == (
        made.version, made.level, made.domain, made.payload, made.visibility, made.hops,
    )  # fmt: skip
    assert made.id != Envelope(event="build.finished", source="ci").id
    assert abs(made.timestamp - datetime.now(UTC)) < timedelta(minutes=1)


def test_every_field_of_an_event_is_a_field_of_the_model() -> None:
    assert set(FIELDS) == set(Envelope.model_fields)


def test_an_envelope_survives_its_json_with_what_it_does_not_know() -> None:
    made = Envelope.model_validate(WHOLE)
    assert WHOLE == made.to_dict() == json.loads(orjson.dumps(made.to_dict()))
    assert made == Envelope.model_validate(made.to_dict())
    assert {"colour": ["unknown", {"deep": None}], "_trust": "accept"} == made.model_extra


def test_what_a_producer_makes_passes_the_gate_unchanged() -> None:
    made = Envelope(
        event="build.finished", source="ci", level=Level.WORKFLOW, visibility=Visibility.PUBLIC, entity=None,
        timestamp=NOON.astimezone(timezone(timedelta(hours=5, minutes=30))),
        actions={"again": Action(description="Build again", produces="build.requested")},
    )  # fmt: skip
    decoded = decode(orjson.dumps(made.to_dict()), now=0)
    assert orjson.dumps(made.to_dict()) == decoded.body
    event = Event(decoded.body)
    assert (Level.WORKFLOW, Visibility.PUBLIC, NOON, None) == (event.level, event.visibility, event.timestamp, event.entity)
    assert {"again": {"description": "Build again", "produces": "build.requested"}} == event.actions


@pytest.mark.parametrize(
    "wrong",
    [
        {"payload": {"at": NOON}}, {"payload": {"a": {1: 2}}}, {"payload": {"a": (1,)}}, {"payload": {"a": float("nan")}},
        {"payload": {"a": 2**63}}, {"payload": {"a": "\0"}}, {"payload": {"\ud800": 1}}, {"extra": float("inf")}, {"extra": NOON},
        {"extra": b"bytes"}, {"timestamp": NOON.replace(tzinfo=None)}, {"timestamp": 1_763_632_800}, {"level": True}, {"level": 4},
        {"level": 1.0}, {"visibility": "secret"}, {"event": "Build"}, {"event": "a..b"}, {"source": ""}, {"source": 7}, {"hops": -1},
        {"hops": 9}, {"version": 2}, {"version": True}, {"actions": {"a": {"description": "no event"}}}, {"description": 5},
        {"resolution_shape": {"a": 1}}, {"payload": []},
    ],
)  # fmt: skip
def test_what_the_gate_would_refuse_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Envelope.model_validate({"event": "a.b", "source": "s"} | wrong)


def test_an_envelope_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Envelope(event="a.b", source="s").source = "other"  # type: ignore[misc]


def test_the_schema_is_one_and_takes_what_the_model_makes() -> None:
    validator = jsonschema.Draft202012Validator(json_schema(), format_checker=jsonschema.FormatChecker())
    validator.check_schema(json_schema())
    for given in (
        WHOLE,
        Envelope(event="a", source="b").to_dict(),
        {"event": "a.b", "source": "s", "level": "business", "new": {}},
    ):
        validator.validate(given)
    for wrong in ({"event": "a.b"}, {"event": "A", "source": "s"}, WHOLE | {"level": 4}, WHOLE | {"payload": []}, []):
        assert not validator.is_valid(wrong)


def test_the_schema_is_written_indented_by_two(tmp_path: Path) -> None:
    write_json_schema(tmp_path / "envelope-schema.json")
    text = (tmp_path / "envelope-schema.json").read_text()
    assert json_schema() == json.loads(text)
    assert text.startswith('{\n  "$schema"') and text.endswith("}\n")
