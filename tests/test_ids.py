"""New ids differ and sort by time; derived ones are a function of what they derive from, and of all of it."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from eventctl import ids

WORDS = st.text("ab:0123,\x00é", max_size=6)
PARTS = st.lists(st.one_of(st.none(), st.integers(), WORDS), max_size=4).map(tuple)


@given(st.integers(0, 2**48 * 1000 - 1))
def test_a_new_id_is_a_uuid_of_version_7_that_carries_its_millisecond(now: int) -> None:
    made = UUID(ids.uuid7(now))
    assert (7, RFC_4122) == (made.version, made.variant)
    assert now // 1000 == made.int >> 80
    assert str(made)[:18] == ids.uuid7(now)[:18]


@given(st.integers(0, 2**50), st.integers(1, 2**50))
def test_ids_of_different_microseconds_sort_as_these(now: int, later: int) -> None:
    assert ids.uuid7(now) < ids.uuid7(now + later)


def test_ids_of_one_microsecond_differ() -> None:
    assert 10_000 == len({ids.uuid7(1_763_632_800_000_000) for _ in range(10_000)})


@given(PARTS, PARTS)
def test_two_tuples_never_pack_alike(one: tuple[str | int | None, ...], other: tuple[str | int | None, ...]) -> None:
    same = [(type(part), part) for part in one] == [(type(part), part) for part in other]
    assert same == (ids.packed(*one) == ids.packed(*other))


@given(st.tuples(WORDS, WORDS, WORDS, WORDS, st.integers(0, 99)), st.tuples(WORDS, WORDS, WORDS, WORDS, st.integers(0, 99)))
def test_a_derived_id_is_the_same_again_and_differs_with_any_part(
    one: tuple[str, str, str, str, int], other: tuple[str, str, str, str, int]
) -> None:
    assert ids.derived_id(*one) == ids.derived_id(*one)
    assert (one == other) == (ids.derived_id(*one) == ids.derived_id(*other))
    assert 5 == UUID(ids.derived_id(*one)).version


def test_the_namespace_of_derived_ids_never_changes() -> None:
    assert "f539ce26-ec65-50f3-b1eb-cddd4f99710d" == ids.derived_id("a", "b", "c", "d", 0)


@given(st.tuples(st.integers(1), WORDS, WORDS, WORDS, WORDS), st.tuples(st.integers(1), WORDS, WORDS, WORDS, WORDS))
def test_an_owed_effect_has_one_id(one: tuple[int, str, str, str, str], other: tuple[int, str, str, str, str]) -> None:
    assert 32 == len(ids.outbox_id(*one))
    assert (one == other) == (ids.outbox_id(*one) == ids.outbox_id(*other))
