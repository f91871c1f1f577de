"""No text gets past the gate with anything in it that a terminal would obey or that a reader could not see."""

from __future__ import annotations

import itertools
import json
import unicodedata

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventctl.text import json_safe, safe_text

ANY_TEXT = st.text(st.characters(exclude_categories=()))
INVISIBLE = [0x34F, 0x115F, 0x1160, 0x17B4, 0x3164, 0xFFA0, 0xFE00, 0xFE0F, 0x180B, 0xE0100, 0xE01EF, 0xE0FFF, 0xFFF0]
UNSAFE = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
UNSAFE += map(chr, INVISIBLE)
HARMFUL = frozenset(UNSAFE)

COMMANDS = [
    "\x1b[31mred\x1b[0m", "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "\x1b]52;c;cm0gLXJm\x07",
    "\x1b[6n", "\x1b[c", '\x1bP$q"p\x1b\\', "\x1b[?1049h", "\x1b[8m", "\x1b[20t", "\x1b(0", "\x1bc", "\x1b#8", "\x1b[1;1H", "\x1b_x\x1b\\",
    "\x1b^x\x1b\\", "\x1b]1337;File=:AA\x07", "\x1b]4;1;?\x07", "\x1b]133;A\x07", "\x9b31m", "\x9d52;c;YQ==\x9c", "\x90q\x9c", "\x8dx", "\x85",
    "\r\x1b[K", "safe\rEVIL", "a\bb", "\x07" * 9, "\x0e", "\x0f", "\x7f", "\x00", "\x0b\x0c", "\x1b", "\x1b[", "\x1b[38;5;1", "\x05", "\x1bZ",
]  # fmt: skip
SPOOFS = [
    "\u202egnp.exe", "\u2066a\u2069", "\u200e", "\u200f", "\u061c", "a\u200bb", "a\u200cb", "a\u200db", "\ufeff", "\u2060", "\xad", "\u180e",
    "\u2028", "\u2029", "\ufff9a\ufffab\ufffb", "\U000e0041\U000e0042", "\ufe00", "⚠\ufe0f", "\U000e0100", "\u3164", "\u115f", "\u034f", "\ud800",
    "\udfff", "\ud83d", "\udc80\udcff", "\ud83d\ude00", "\u206a", "\u17b4", "\U0001d173", "\U00013430", "\u2061", "\u0600",
]  # fmt: skip
NASTY = [before + piece + after for piece in COMMANDS + SPOOFS for before, after in (("", ""), ("ok ", " ok"), ("é", "\n\t"))]


def harmful(text: str, but: str = "") -> list[str]:
    return [character for character in text if character in HARMFUL and character not in but]


@given(ANY_TEXT, st.booleans())
def test_nothing_harmful_comes_out(text: str, newline: bool) -> None:
    safe = safe_text(text, newline=newline)
    assert [] == harmful(safe, but="\n\t" if newline else "")
    assert safe == safe_text(safe, newline=newline)
    safe.encode()


@pytest.mark.parametrize("text", NASTY)
def test_a_known_attack_stays_visible_and_does_nothing(text: str) -> None:
    assert [] == harmful(safe_text(text))
    assert [] == harmful(safe_text(text, newline=True), but="\n\t")
    assert safe_text(text) or set(text) <= {"\ufe0f", "\ufe0e"}


def test_every_unsafe_character_of_unicode_is_caught() -> None:
    assert [] == harmful(safe_text("é".join(UNSAFE)))
    assert [] == harmful(json_safe("é".join(set(UNSAFE) - set("\n\t"))))


def test_an_attack_inside_an_attack_is_caught_too() -> None:
    assert all(not harmful(safe_text(one + other)) for one, other in itertools.product(COMMANDS, SPOOFS))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "␛[31m"), ("\x9b", "\\x9b"), ("\u202e", "\\u202e"), ("\U000e0041", "\\U000e0041"), ("\ud800", "\\ud800"),
        ("a\tb\nc\r\nd\re", "a b␤c␤d␍e"), ("⚠\ufe0f", "⚠"), ("[/foo] [bold]b[/] {x}", "[/foo] [bold]b[/] {x}"), ("日本 👍 é", "日本 👍 é"),
    ],
)  # fmt: skip
def test_the_replacement_says_what_stood_there(text: str, shown: str) -> None:
    assert shown == safe_text(text)


def test_lines_are_kept_where_they_are_asked_for() -> None:
    assert "a\n\tb\nc␍\\u2028" == safe_text("a\n\tb\r\nc\r\u2028", newline=True)


def test_anything_has_a_text() -> None:
    assert ["None", "7", "␛\\xff", "{'a': 1}"] == [safe_text(value) for value in (None, 7, b"\x1b\xff", {"a": 1})]


@given(ANY_TEXT, st.integers(0, 20))
@example("\x9b" * 30, 5)
@example("⚠\ufe0f" * 30, 30)
def test_a_limit_holds_and_says_that_something_is_missing(text: str, limit: int) -> None:
    safe = safe_text(text, limit=limit)
    assert limit >= len(safe)
    assert safe == safe_text(text) or safe.endswith("…") or limit == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_safe_json_document_has_the_same_values(value: object) -> None:
    document = json.dumps(value, ensure_ascii=False, indent=2)
    assert value == json.loads(json_safe(document))
    assert [] == harmful(json_safe(document), but="\n\t")


def test_what_orjson_leaves_unescaped_is_escaped() -> None:
    assert '"\\u007f\\u009b\\u202e\\udb40\\udc41"' == json_safe(orjson.dumps("\x7f\x9b\u202e\U000e0041").decode())
