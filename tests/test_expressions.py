"""Expressions: mistakes in words, answers or a reason why there is none, and their parts for `why`."""

from __future__ import annotations

from typing import Any

import pytest

from eventctl.errors import Misconfigured
from eventctl.expressions import Facts, Unanswered, compiled, mistakes, parts_of, terms
from eventctl.times import parse_iso

FACTS = Facts(
    {
        "event": "job.failed",
        "source": "ci",
        "entity": "api",
        "payload": {"tries": 3, "spent": 12000, "name": "x", "none": None, "list": [{"a": 1}, {"a": 2}], "big": 2**63},
    },
    level=2,
    domain="ops",
    annotations={"size": 7},
    now=parse_iso("2026-11-20T10:00:00Z"),
    principal="cli:ada",
)

HOLDS = [
    "event == 'job.failed' && source == 'ci' && entity == 'api' && domain == 'ops' && principal == 'cli:ada'",
    "level == 2 && level >= 1",
    "payload.spent > 10000.0",
    "payload.spent > 10000",
    "payload.tries in [1, 3]",
    "payload.list.exists(each, each.a == 2)",
    "payload.list.all(each, each.a > 0)",
    "!has(payload.nothing) && has(payload.tries)",
    "payload.none == null",
    "payload.name.matches('^[w-z]$')",
    "event.startsWith('job.') || payload.missing == 1",
    "annotations.size == 7",
    "now > timestamp('2026-11-20T09:00:00Z') && now - duration('1h') == timestamp('2026-11-20T09:00:00Z')",
    "now.getHours('Europe/Berlin') == 11",
    "payload.big > 3",
]


@pytest.mark.parametrize("text", HOLDS)
def test_an_expression_holds(text: str) -> None:
    assert compiled(text).holds(FACTS)
    assert [] == mistakes(text, "x")


VALUES: dict[str, Any] = {"payload.tries": 3, "payload.name + '!'": "x!", "payload.list": [{"a": 1}, {"a": 2}], "payload.none": None,
                          "level * 2": 4, "1.5": 1.5, "{'a': level}": {"a": 2}}  # fmt: skip


@pytest.mark.parametrize("text", VALUES)
def test_an_expression_gives_a_value(text: str) -> None:
    assert VALUES[text] == compiled(text, wants="any").value(FACTS)


NONE = {
    "payload.missing > 1": "there is no field 'missing'",
    "payload.name > 1": "> does not take text and a whole number",
    "payload.none > 1": "> does not take null and a whole number",
    "payload.tries": "it gives a number, neither true nor false",
    "payload.tries.a == 1": "a value has no fields, and one is asked for",
    "1 / (payload.tries - 3) == 1": "divide by zero",
    "payload.list[5].a == 1": "Index error: index=5 size=2",
    "payload.name.matches(payload.name + '(')": "invalid regular expression: missing ): x(",
    "[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, [0,1,2,3,4,5,6,7,8,9].all(c, "
    "[0,1,2,3,4,5,6,7,8,9].all(d, [0,1,2,3,4,5,6,7,8,9].all(e, true)))))": "it looks at too many values: lists in lists grow fast",
}


@pytest.mark.parametrize("text", NONE)
def test_an_expression_without_an_answer_says_why(text: str) -> None:
    with pytest.raises(Unanswered) as none:
        compiled(text).holds(FACTS)
    assert NONE[text] == str(none.value)


HOSTILE: list[tuple[Any, str]] = [
    (2**70, "a number of the event is larger than 64 bits"),
    ("\ud800", "a text of the event is no Unicode"),
    ({1: 2}, "Dict key must be str"),
]


@pytest.mark.parametrize(("value", "why"), HOSTILE)
def test_an_event_that_cannot_be_asked_is_said_to_be_that(value: Any, why: str) -> None:
    with pytest.raises(Unanswered) as none:
        compiled("payload.a == 1").holds(Facts({"payload": {"a": value}}))
    assert why == str(none.value)


def test_an_event_nested_without_end_is_no_crash() -> None:
    nested: Any = 1
    for _ in range(50_000):
        nested = [nested]
    with pytest.raises(Unanswered, match="nested too deep"):
        compiled("size(payload.a) == 1").holds(Facts({"payload": {"a": nested}}))


MISTAKES = {
    "event.startWith('x')": ("column 7: there is no function 'startWith'", "did you mean 'startsWith'?", 6),
    "payload.name == ada": ("column 17: there is no 'ada'", "text stands in quotes: 'ada'", 16),
    "event = 'x'": ("column 7: cannot be read at '='", "two values are compared with ==", 6),
    "event == 'x": ("column 10: cannot be read from here: a text has no end", "", 9),
    "payload.x and payload.y": ("column 11: cannot be read from 'and' on", "write && for 'and'", 10),
    "payload.spent > 10,000": ("column 19: cannot be read from ',' on", "a number is written without commas", 18),
    "level > ": ("column 9: cannot be read to its end: something is missing", "", 8),
    "payload['a'": ("column 12: cannot be read to its end: ']' is missing", "", 11),
    "now > '2026-01-01'": (
        "column 5: > does not take a time and text",
        "a time is written timestamp('2026-11-20T10:00:00Z')",
        4,
    ),
    "entity == null": ("column 8: == does not take text and null", "a field that may be missing is asked for with has(", 7),
    "level.x == 1": ("column 6: a whole number has no fields", "", 5),
    "size(payload, 2) > 1": ("column 1: size does not take what stands in its brackets", "", 0),
    "event == 'ä' && foo": ("column 17: there is no 'foo'", "", 16),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_said_in_words_and_its_place_is_marked(text: str) -> None:
    what, hint, column = MISTAKES[text]
    (problem,) = mistakes(text, "r.toml: when")
    assert (what, f"{text}\n{' ' * column}^") == (problem.what, problem.mark)
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("source.matches('(')", 15),
        (r"level > 1 && event.matches(r'\d+(')", 27),
        ('matches(source, "[a")', 16),
        ("level > 1 &&\nsource.matches('*')", 15),
    ],
)
def test_a_regular_expression_that_cannot_be_read_is_a_mistake_before_any_event(text: str, column: int) -> None:
    (problem,) = mistakes(text, "r.toml: when")
    assert "is no regular expression: " in problem.what
    assert f"{text.splitlines()[-1]}\n{' ' * column}^" == problem.mark


@pytest.mark.parametrize(
    "text", ["source.matches('^(a|b)$')", "source.matches(payload.pattern)", "'matches(\\'(\\')' == source"]
)
def test_a_regular_expression_that_can_be_read_or_comes_with_the_event_is_none(text: str) -> None:
    assert [] == mistakes(text, "x")


def test_several_mistakes_are_all_said() -> None:
    assert ["column 1: there is no 'levl'", "column 13: there is no 'sorce'"] == [
        problem.what for problem in mistakes("levl > 2 && sorce == 'x'", "x")
    ]


@pytest.mark.parametrize("text", ["(" * 200 + "1" + ")" * 200 + " == 1", "[" * 100 + "]" * 100 + " == 1"])
def test_what_is_nested_too_deep_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="is nested too deep"):
        compiled(text)


def test_the_terms_are_the_parts_with_their_values() -> None:
    text = "payload.tries > 2 && (event == 'a && b' || !has(payload.missing)) && payload.missing == 1"
    found = [(part, str(value) if isinstance(value, Unanswered) else value) for part, value in terms(text, FACTS)]
    assert [
        ("payload.tries > 2", True), ("payload.tries", 3), ("event == 'a && b'", False), ("event", "job.failed"),
        ("has(payload.missing)", False), ("payload.missing == 1", "there is no field 'missing'"),
        ("payload.missing", "there is no field 'missing'"),
    ] == found  # fmt: skip


PARTS = {
    "payload.a": ["payload.a"],
    "((payload.a)) > (3)": ["((payload.a)) > (3)", "payload.a"],
    "a in ['x', 'y'] || b": ["a in ['x', 'y']", "a", "b"],
    "a.exists(x, x.b == 1 && x.c == 2)": ["a.exists(x, x.b == 1 && x.c == 2)"],
    "!(a > 1)": ["a > 1", "a"],
    'a == "x || y"': ['a == "x || y"', "a"],
    "a == r'\\' && b": ["a == r'\\'", "a", "b"],
    "a > 1 ? b : c": ["a > 1", "a", "b", "c"],
    "a": ["a"],
    "": [""],
    "(a": ["(a"],
}


@pytest.mark.parametrize("text", PARTS)
def test_an_expression_has_its_parts(text: str) -> None:
    assert PARTS[text] == parts_of(text)


def test_the_same_text_is_compiled_once() -> None:
    assert compiled("level == 1") is compiled("level == 1")
