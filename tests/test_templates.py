"""Templates fill fields in, keep their types where a text is one field, and compute nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl.templates import fields, filled, mistakes, render

DATA: dict[str, Any] = {
    "entity": "api",
    "payload": {"name": "Ada", "spent": 12.5, "none": None, "yes": True, "list": [1, "a"], "deep": {"a": {"b": 3}}, "evil": "{entity}"},
    "window": {"count": 3},
}  # fmt: skip

TEXTS = {
    "{payload.name} spent {payload.spent}": "Ada spent 12.5",
    "{payload.none}{payload.missing}{payload.name.more}": "",
    "{payload.yes}, {payload.list}, {payload.deep}": 'true, [1,"a"], {"a":{"b":3}}',
    "{payload.deep.a.b} {window.count} {entity}": "3 3 api",
    "{payload.evil}": "{entity}",
    "no field, {} and { payload.name }": "no field, {} and { payload.name }",
}


@pytest.mark.parametrize("template", TEXTS)
def test_fields_are_filled_in(template: str) -> None:
    assert TEXTS[template] == render(template, DATA)


def test_a_text_that_is_one_field_keeps_its_type() -> None:
    assert {"a": 12.5, "b": [True, None, "Ada!"], "c": {"d": {"a": {"b": 3}}}, "e": 1, "f": False} == filled(
        {"a": "{payload.spent}", "b": ["{payload.yes}", "{payload.none}", "{payload.name}!"], "c": {"d": "{payload.deep}"}, "e": 1,
         "f": False},
        DATA,
    )  # fmt: skip


@given(st.text(alphabet="{}ab.payload ", max_size=40))
def test_any_text_is_a_template_and_only_its_fields_change(text: str) -> None:
    rendered = render(text, {})
    assert len(rendered) <= len(text)
    assert fields(text) or rendered == text


MISTAKES = {
    "{payload}": "{payload} is a whole table",
    "{payload spent}": "{payload spent} is no field: braces hold a dotted name",
    "{}": "{} is no field: braces hold a dotted name",
    "{entiy}": "an event has no 'entiy'",
    "{window.count}": "{window...} is what a window counted, and this rule has none",
}


@pytest.mark.parametrize("template", MISTAKES)
def test_what_can_never_be_filled_is_a_mistake(template: str) -> None:
    assert [MISTAKES[template]] == [what for what, _ in mistakes(template)]


def test_a_window_has_its_own_fields() -> None:
    assert [] == list(mistakes("{window.count} {window.since} {window.value}", window=True))
    assert ["a window has no 'first'"] == [what for what, _ in mistakes("{window.first}", window=True)]
