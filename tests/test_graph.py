"""The order of cartridges: stable levels, and a sentence for whatever stands in their way."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from eventctl.graph import Node, build, overlap, owning
from eventctl.patterns import matches
from tests.counting import calls


def node(
    name: str, *, after: Sequence[str] = (), requires: Sequence[str] = (), slots: Sequence[str] = (), eats: str = "**"
) -> Node:
    return Node(name, f"cartridges/{name}.py", (eats,), tuple(slots), tuple(after), tuple(requires))


def levels(*nodes: Node) -> tuple[tuple[str, ...], ...]:
    graph, problems = build(nodes)
    assert [] == problems
    return graph.levels


def test_nothing_has_no_levels() -> None:
    assert () == levels()


def test_independent_ones_share_a_level_in_the_order_they_came() -> None:
    assert (("c", "a", "b"),) == levels(node("c"), node("a"), node("b"))


def test_a_diamond_has_three_levels() -> None:
    assert (("a",), ("b", "c"), ("d",)) == levels(
        node("a"), node("b", after=["a"]), node("c", requires=["a"]), node("d", after=["b", "c"])
    )


def test_after_counts_only_where_it_is_there() -> None:
    assert (("a",),) == levels(node("a", after=["nobody"]))


def test_a_cycle_is_named_by_its_path() -> None:
    graph, problems = build([node("a", after=["b"]), node("b", after=["c"]), node("c", requires=["a"]), node("d")])
    assert (("d",),) == graph.levels
    assert {"a", "b", "c"} == {problem.where.split("/")[1][0] for problem in problems}
    path = problems[0].what.partition("circle: ")[2].split(" -> ")
    assert path[0] == path[-1]
    assert {("a", "b"), ("b", "c"), ("c", "a")} == set(itertools.pairwise(path))


def test_whoever_requires_part_of_a_cycle_says_so_and_the_rest_runs() -> None:
    graph, problems = build([node("a", after=["b"]), node("b", after=["a"]), node("c", requires=["a"]), node("d")])
    assert (("d",),) == graph.levels
    assert "c requires 'a', which is not here" in problems[-1].what
    assert "left out for a mistake of its own" in problems[-1].hint


def test_a_missing_requirement_names_both_and_suggests() -> None:
    graph, problems = build([node("tracker"), node("report", requires=["traker"]), node("mail", requires=["report"])])
    assert (("tracker",),) == graph.levels
    assert ["report requires 'traker', which is not here", "mail requires 'report', which is not here"] == [
        problem.what for problem in problems
    ]
    assert "did you mean 'tracker'?" == problems[0].hint


def test_a_duplicate_id_names_both_files_and_the_first_stands() -> None:
    graph, problems = build([node("a"), node("a")._replace(where="elsewhere/a.py")])
    assert (("a",),) == graph.levels
    assert "elsewhere/a.py" == problems[0].where
    assert "cartridges/a.py" in problems[0].what


def test_a_slot_has_one_owner_for_one_event() -> None:
    first, second = node("a", slots=["x"], eats="shop.**"), node("b", slots=["x"], eats="shop.sold")
    kept, problems = owning([first, second])
    assert [first] == kept
    assert "the slot 'x' belongs to a" in problems[0].what


def test_a_slot_may_have_owners_that_never_meet_an_event_together() -> None:
    nodes = [node("a", slots=["x"], eats="shop.sold"), node("b", slots=["x"], eats="shop.returned")]
    assert (nodes, []) == owning(nodes)


def test_dependants_are_found_through_others() -> None:
    graph, _ = build([node("a"), node("b", after=["a"]), node("c", requires=["b"]), node("d")])
    assert {"b", "c"} == graph.dependants(["a"])
    assert set() == graph.dependants(["d"])


PARTS = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3)
PATTERNS = st.builds(lambda parts, rest: ".".join([*parts, "**"] if rest else parts), PARTS, st.booleans()) | st.just("**")
TYPES = [".".join(parts) for n in range(1, 5) for parts in itertools.product("ab", repeat=n)]


@given(PATTERNS, PATTERNS)
def test_two_patterns_overlap_when_a_type_fits_both(one: str, other: str) -> None:
    assert any(matches(one, kind) and matches(other, kind) for kind in TYPES) == overlap([one], [other])


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30))
def test_every_edge_goes_to_a_later_level(edges: list[tuple[int, int]]) -> None:
    after: dict[int, set[str]] = {}
    for one, other in edges:
        if one < other:
            after.setdefault(other, set()).add(f"n{one}")
    nodes = [node(f"n{number}", after=sorted(after.get(number, ()))) for number in range(12)]
    place = {name: number for number, names in enumerate(levels(*nodes)) for name in names}
    assert 12 == len(place)
    assert all(place[earlier] < place[f"n{later}"] for later, names in after.items() for earlier in names)


def test_the_work_of_ordering_grows_with_the_nodes_and_no_faster() -> None:
    def many(size: int) -> list[Node]:
        return [node(f"n{at}", after=[f"n{at - 100}"] if at >= 100 else [], eats="x.y") for at in range(size)]

    graph, problems = build(many(10_000))
    assert (100, []) == (len(graph.levels), problems)
    one, four = many(500), many(2_000)
    assert calls(lambda: build(four)) < 5 * calls(lambda: build(one))
