"""The trie chooses exactly what trying each pattern would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl import patterns
from eventctl.patterns import Trie

PART = st.sampled_from(["a", "b", "c", "a-b"])
TYPES = st.lists(PART, min_size=1, max_size=5).map(".".join)
BEFORE = st.lists(PART | st.just("*"), max_size=4).map(".".join)
PATTERNS = st.one_of(BEFORE.filter(bool), BEFORE.map(lambda before: f"{before}.**" if before else "**"))


@pytest.mark.parametrize(
    ("pattern", "chosen", "passed"),
    [
        ("a.b", ["a.b"], ["a", "a.b.c", "a.c"]),
        ("a.*", ["a.b", "a.c"], ["a", "a.b.c", "b.a"]),
        ("a.*.c", ["a.b.c"], ["a.c", "a.b.b.c"]),
        ("*", ["a"], ["a.b"]),
        ("a.**", ["a.b", "a.b.c"], ["a", "ab.c"]),
        ("*.**", ["a.b", "a.b.c"], ["a"]),
        ("**", ["a", "a.b"], []),
    ],
)
def test_a_star_is_one_part_and_two_are_the_rest(pattern: str, chosen: list[str], passed: list[str]) -> None:
    trie: Trie[int] = Trie()
    trie.add(pattern, 1)
    for name in chosen + passed:
        assert (name in chosen) == patterns.matches(pattern, name)
        assert ([1] if name in chosen else []) == trie.find(name)


@given(st.lists(st.tuples(PATTERNS, st.integers(0, 9)), max_size=40), TYPES)
def test_the_trie_finds_what_trying_each_pattern_finds_in_the_same_order(added: list[tuple[str, int]], name: str) -> None:
    trie: Trie[int] = Trie()
    for pattern, value in added:
        trie.add(pattern, value)
    assert list(dict.fromkeys(value for pattern, value in added if patterns.matches(pattern, name))) == trie.find(name)


@pytest.mark.parametrize(
    "pattern",
    ["", ".", "a.", ".a", "a..b", "A.b", "a.**.b", "**.a", "a*", "a.b*", "a b", "a.***", "-a", "a\n", "a." * 64 + "a"],
)
def test_what_is_no_pattern_is_refused_with_a_sentence(pattern: str) -> None:
    with pytest.raises(ValueError, match="a pattern is dotted"):
        Trie[int]().add(pattern, 1)


@pytest.mark.parametrize("name", ["a", "a.b", "domain.software-development.deploy_2.failed", "9.9", "a" * 128])
def test_dotted_lower_case_parts_name_a_type(name: str) -> None:
    assert patterns.is_type(name)


@pytest.mark.parametrize("name", ["", "A.b", "a..b", ".a", "a.", "_a.b", "-a", "a b", "a.b\n", "é.a", "a.*", "a/b", "a" * 129])
def test_other_text_names_no_type(name: str) -> None:
    assert not patterns.is_type(name)
