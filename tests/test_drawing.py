"""Pictures of a pipeline: what stands in them, and that no name can be read as syntax."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl.drawing import Drawn, Picture, as_dot, as_json, as_mermaid, as_text, drawn
from eventctl.graph import Graph, Node, build
from eventctl.totals import BOXES, Totals, box

MS = 1_000_000
RAN = Totals(1_204, 2, 900 * MS, 9 * MS, 1_800_000_000_000_000, 1_800_000_060_000_000, (0,) * 6 + (1_204,) + (0,) * (BOXES - 7))


def graph_of(*names: str) -> Graph:
    """Each after the one before."""
    nodes = [Node(name, "", after=names[at - 1 : at]) for at, name in enumerate(names)]
    return build(nodes)[0]


@pytest.fixture
def plain() -> Picture:
    return Picture("shop", graph_of("a", "b"), {})


@pytest.fixture
def counted() -> Picture:
    beside = drawn({"b": "in a worker"}, {"a": RAN}, ["a", "b"])
    return Picture("shop", graph_of("a", "b"), beside, [("c", "it hung 3 times")])


def test_the_picture_in_text(plain: Picture) -> None:
    assert "shop\n  level 1\n    a\n  level 2\n    b  after a" == as_text(plain)
    assert "shop\n  no cartridges" == as_text(Picture("shop", Graph(), {}))


def test_counts_and_states_stand_beside_the_names(counted: Picture) -> None:
    assert (
        "shop\n  level 1\n    a  1,204 runs, 2 errors, p95 0.499 ms\n  level 2\n    b  0 runs, in a worker, after a\n"
        "  switched off\n    c  it hung 3 times"
    ) == as_text(counted)


def test_the_picture_as_json(counted: Picture) -> None:
    form = as_json(counted)
    assert {"levels": [["a"], ["b"]], "edges": [{"from": "a", "to": "b"}]} == {key: form[key] for key in ("levels", "edges")}
    first, second = form["cartridges"]
    assert ("a", "active", 1_204, 2) == (first["id"], first["state"], first["counts"]["calls"], first["counts"]["errors"])
    assert ("b", "in a worker", 0, None) == (second["id"], second["state"], second["counts"]["calls"], second["counts"]["last"])
    assert [{"id": "c", "reason": "it hung 3 times"}] == form["off"]


def test_without_counts_none_are_mentioned() -> None:
    picture = Picture("shop", graph_of("a"), drawn({}, None, ["a"]))
    assert "runs" not in as_text(picture)
    assert [{"id": "a", "state": "active"}] == as_json(picture)["cartridges"]


def test_the_picture_in_mermaid(plain: Picture, counted: Picture) -> None:
    one = 'flowchart LR\n  subgraph p["shop"]\n    c0["a"]\n    c1["b"]\n  end\n  c0 --> c1'
    assert one == as_mermaid(plain)
    assert one + '\n  subgraph p1["shop"]\n    c2["a"]\n    c3["b"]\n  end\n  c2 --> c3' == as_mermaid(plain, plain)
    assert 'c0["a<br/>1,204 runs<br/>2 errors<br/>p95 0.499 ms"]' in as_mermaid(counted)
    assert 'o0("c<br/>switched off")' in as_mermaid(counted)


def test_the_picture_in_dot(plain: Picture, counted: Picture) -> None:
    assert 'digraph "shop" {\n  rankdir=LR;\n  {rank=same; "a";}\n  {rank=same; "b";}\n  "a" -> "b";\n}' == as_dot(plain)
    assert '"a" [label="a\\n1,204 runs\\n2 errors\\np95 0.499 ms"];' in as_dot(counted)
    assert '"c" [style=dashed, label="c\\nswitched off"];' in as_dot(counted)


HOSTILE = ['x"]; end', 'x\\"', "x\n  y --> z", "<script>alert(1)</script>", "x`y`", "#quot;", "x\\", '"', "a --> b", "x|y{z}"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("draw", [as_mermaid, as_dot])
def test_a_hostile_name_adds_no_line_and_ends_no_label(draw: Callable[[Picture], str], name: str) -> None:
    tame = draw(Picture("p", graph_of("a", "b"), {"a": Drawn("s")}, [("o", "r")]))
    wild = draw(Picture(f"p{name}", graph_of(f"a{name}", "b"), {f"a{name}": Drawn(f"s{name}")}, [(f"o{name}", f"r{name}")]))
    assert skeleton(tame) == skeleton(wild)


@given(st.text(max_size=20))
def test_no_text_is_syntax(name: str) -> None:
    name = "".join(
        char for char in name if char not in "\v\f\x1c\x1d\x1e\x85\u2028\u2029"
    )  # `safe_text` takes these before a screen
    for draw in (as_mermaid, as_dot):
        tame, wild = Picture("p", graph_of("a", "b"), {}), Picture("p", graph_of(f"a{name}", f"b{name}"), {})
        assert skeleton(draw(tame)) == skeleton(draw(wild))


def test_a_label_that_was_not_escaped_would_be_found() -> None:
    """The control: the skeleton of a picture shows what broke out."""
    assert skeleton('c0["a"]') != skeleton('c0["a"]; end"]')


def skeleton(picture: str) -> str:
    """The picture with every quoted text taken out, as its readers tell text from syntax."""
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', picture)


def test_a_box_is_where_a_run_is_counted() -> None:
    assert 6 == box(MS // 2)
