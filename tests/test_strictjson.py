"""The fast reading and the definition agree on every document, and the definition refuses what readers disagree on."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import assume, find, given
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from eventctl import strictjson
from eventctl.errors import Refused

DEPTH = 5
REFUSED = object()


def read(raw: bytes | str) -> Any:
    """What the module under test says."""
    try:
        value, body = strictjson.read(raw, bytes_max=4_000, depth_max=DEPTH)
    except Refused:
        return REFUSED
    assert value == orjson.loads(body)
    return value


def define(raw: bytes) -> Any:
    """The same rules once more, written as plainly as possible over the standard library."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(pairs) == len(dict(pairs))
        return dict(pairs)

    def constant(word: str) -> None:
        raise AssertionError(word)

    def check(value: Any, depth: int) -> None:
        if isinstance(value, str):
            value.encode()
            assert "\0" not in value
        elif isinstance(value, float):
            assert math.isfinite(value)
        elif isinstance(value, int):
            assert -(2**63) <= value < 2**63
        elif isinstance(value, dict | list):
            assert depth < DEPTH
            for item in [*value, *value.values()] if isinstance(value, dict) else value:
                check(item, depth + 1)

    try:
        value = json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=constant)
        check(value, 0)
    except (AssertionError, ValueError):
        return REFUSED
    return value


def same(one: Any, other: Any) -> bool:
    return (one is REFUSED) == (other is REFUSED) and (one is REFUSED or repr(one) == repr(other))


SPELLINGS = [
    "a",
    "b",
    ":",
    "{",
    "\\\\",
    '\\"',
    "\\u003a",
    "\\u003A",
    "\\\\u003a",
    "\\u0000",
    "\\\\u0000",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\udc00",
]
SPELLINGS += ["é", "\u202e", "\U0001f600", "\\n", "\x7f", "1234567890123456789"]
NUMBERS = [
    "0",
    "-0",
    "1.5",
    "-0.0",
    "1e5",
    "1E400",
    "-1e999",
    "1e-999",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
]
NUMBERS += [
    "-9223372036854775809",
    "18446744073709551615",
    "1" * 5000,
    "0.12345678901234567890123",
    "12345678901234567890e2",
    "01",
    "+1",
    "1.",
    "NaN",
]
LITERALS = st.lists(st.sampled_from(SPELLINGS), max_size=3).map(lambda parts: '"' + "".join(parts) + '"')
ATOMS = st.sampled_from(["null", "true", "false", "Infinity", "-Infinity", *NUMBERS]) | LITERALS
KEYS = st.sampled_from(['"a"', '"b"', '"\\u0061"', '":"', '"\\u003a"', '"a:b"', '""'])
SPACE = st.sampled_from(["", "", " ", "\n", "\t"])


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.tuples(KEYS, SPACE, inner).map(lambda parts: f"{parts[0]}{parts[1]}:{parts[2]}")
    return st.one_of(
        st.lists(member, max_size=4).map(lambda members: "{" + ", ".join(members) + "}"),
        st.lists(inner, max_size=4).map(lambda items: "[" + ",".join(items) + "]"),
        inner.map(lambda item: "[" * 3 + item + "]" * 3),
    )


DOCUMENTS = st.recursive(ATOMS, nested, max_leaves=12)


@given(DOCUMENTS)
def test_both_readings_of_a_document_agree_with_the_definition(document: str) -> None:
    assert same(define(document.encode()), read(document))
    assert same(define(document.encode()), read(document.encode()))


@given(DOCUMENTS, st.data())
def test_they_agree_on_damaged_documents_too(document: str, data: st.DataObject) -> None:
    raw = bytearray(document.encode())
    assume(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert same(define(bytes(raw)), read(bytes(raw)))


@given(st.binary(max_size=40))
def test_they_agree_on_noise(raw: bytes) -> None:
    assert same(define(raw), read(raw))


def loads_duplicates(raw: bytes) -> Any:
    """orjson as it comes: the last of two keys wins, large integers become floats, NUL passes."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return REFUSED


def counts_colons_without_looking_for_escapes(raw: bytes) -> Any:
    value = read(raw)
    if value is REFUSED and (lenient := loads_duplicates(raw)) is not REFUSED:
        return lenient if orjson.dumps(lenient).count(b":") == raw.count(b":") and b"\\u003" in raw else REFUSED
    return value


@pytest.mark.parametrize("loose", [loads_duplicates, counts_colons_without_looking_for_escapes])
def test_a_looser_reading_would_be_caught(loose: Any) -> None:
    try:
        find(DOCUMENTS, lambda document: not same(define(document.encode()), loose(document.encode())))
    except NoSuchExample:
        pytest.fail("the documents of these tests do not tell the two apart")


@pytest.mark.parametrize(
    ("raw", "reason", "where"),
    [
        ('{"a":1,"b":2,"a":3}', "the key 'a' stands twice", ""),
        ('{"x":{":":1,"\\u003a":2}}', "the key ':' stands twice", ""),
        ('{"a":NaN}', "NaN is no JSON number", ""),
        ('{"a":-Infinity}', "-Infinity is no JSON number", ""),
        ('{"a":1e999}', "larger than any double", ""),
        ('{"a":9223372036854775808}', "the integer 9223372036854775808 does not fit in 64 bits", ""),
        ('{"a":' + "7" * 5000 + "}", "the integer 777777777777777777777777… does not fit", ""),
        ('{"a":{"b":["x","\\u0000"]}}', "holds a NUL", "a.b.1"),
        ('{"a":{"\\u0000":1}}', "holds a NUL", "a"),
        ('{"a":"\\ud800"}', "half of a surrogate pair", "a"),
        ("\ud800", "half of a surrogate pair at character 1", ""),
        (b'{"a":"\xff"}', "not UTF-8 at byte 7", ""),
        (b'{"a":"\xed\xa0\x80"}', "not UTF-8", ""),
        (b"\xef\xbb\xbf{}", "not JSON", ""),
        ("[" * 6 + "]" * 6, "nested more than 5 deep", ""),
        ("[" * 1_900 + "]" * 1_900, "nested more than 5 deep", ""),
        ('{"a":' * 700 + "1" + "}" * 700, "nested more than 5 deep", ""),
        ('["' + "x" * 4_000 + '"]', "4,004 bytes long, more than 4,000", ""),
        ("", "not JSON: Expecting value at line 1, column 1", ""),
        ("{'a':1}", "not JSON", ""),
        ('{"a":1}\n{"a":2}', "not JSON: Extra data at line 2, column 1", ""),
        ('"\n"', "not JSON", ""),
    ],
)  # fmt: skip
def test_a_refusal_names_the_reason_and_the_place(raw: bytes | str, reason: str, where: str) -> None:
    with pytest.raises(Refused) as refused:
        strictjson.read(raw, bytes_max=4_000 if len(raw) < 4_004 or "x" in str(raw) else 9_000, depth_max=DEPTH)
    assert reason in refused.value.what
    assert where == refused.value.where


def test_the_limits_themselves_are_accepted() -> None:
    assert REFUSED is not read("[" * DEPTH + "]" * DEPTH)
    assert REFUSED is not read('["' + "x" * 3_996 + '"]')
    assert [2**63 - 1, -(2**63)] == read("[9223372036854775807, -9223372036854775808]")


MANY = ",".join(f'"{number}":0' for number in range(20_000))
LONG_PATH = '{"' + "k" * 100_000 + '":[' + ",".join(['"\\u003a"'] * 10_000) + "]}"


@pytest.mark.timeout(5)
@pytest.mark.parametrize("document", ['{"\\u003a":0,' + MANY + "}", LONG_PATH])
def test_a_document_made_to_be_slow_is_read_in_its_length(document: str) -> None:
    assert json.loads(document) == strictjson.read(document, bytes_max=400_000, depth_max=DEPTH)[0]


@pytest.mark.timeout(5)
def test_a_late_repetition_among_many_keys_is_found_in_their_number() -> None:
    with pytest.raises(Refused, match="'x' stands twice"):
        strictjson.read('{"x":0,' + MANY + ',"x":0}', bytes_max=400_000, depth_max=DEPTH)
