"""Plans: what an event type meets, from a bounded cache; code loaded on first use, beside everybody else's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from eventctl.modules import Code, LoadFailed, Modules, digest
from eventctl.plan import NOWHERE, Plan
from eventctl.trampoline import Place
from tests.counting import calls
from tests.flowkit import Crumbs, cartridge, plan

HERE = Place("domain:shop", "till", 0)


def go_on(event: Any, _: Any) -> Any:
    return event


def names(found: Any) -> list[list[str]]:
    return [[each.id for each in level] for level in found.levels]


def test_a_route_holds_what_matches_in_the_order_of_the_levels() -> None:
    made = plan(
        cartridge("z", go_on, ["shop.*"]),
        cartridge("b", go_on, ["**"]),
        cartridge("a", go_on, ["shop.sold"]),
        after={"z": ["a"]},
    )
    assert [["b", "a"], ["z"]] == names(made.route("shop.sold"))
    assert [["b"], ["z"]] == names(made.route("shop.returned"))
    assert [["b"]] == names(made.route("other"))


def test_types_that_choose_the_same_share_one_route() -> None:
    made = plan(cartridge("a", go_on, ["shop.**"]), cartridge("b", go_on, ["**"]))
    assert made.route("nobody.declared.this") is made.route("nor.this")
    assert made.route("shop.sold") is made.route("shop.returned")
    assert plan(cartridge("a", go_on, ["shop.**"])).route("nor.this") is NOWHERE


def test_the_cache_is_bounded_and_keeps_what_is_asked_for() -> None:
    one = cartridge("a", go_on, ["**"])
    made = Plan("p", [one], plan(one).graph, routes_max=10)
    for number in range(1_000):
        made.route("often")
        made.route(f"once.t{number}")
    assert len(made._young) + len(made._old) <= 10
    assert "often" in made._young or "often" in made._old


def test_a_route_keeps_the_order_when_one_of_its_cartridges_does() -> None:
    made = plan(cartridge("a", go_on, ["a.*", "b"], ordered=False), cartridge("b", go_on, ["b"]))
    assert (False, True) == (made.route("a.x").ordered, made.route("b").ordered)


def test_without_one_goes_whoever_requires_it() -> None:
    made = plan(
        cartridge("a", go_on),
        cartridge("b", go_on, requires=("a",)),
        cartridge("c", go_on, requires=("b",)),
        cartridge("d", go_on),
    )
    assert ["d"] == [each.id for each in made.without(["a"])]
    assert [["d"]] == names(made.without(["a"]).route("shop.sold"))


def test_ten_thousand_units_cost_an_event_nothing() -> None:
    few, many = (
        plan(*[cartridge(f"c{number}", go_on, [f"big.t{number}.**"]) for number in range(size)]) for size in (100, 10_000)
    )
    assert calls(lambda: few.route("big.t42.x")) == calls(lambda: many.route("big.t42.x"))
    assert [["c42"]] == names(many.route("big.t42.x"))
    assert many.route("big.t42.x") is many.route("big.t42.x")


def written(folder: Path, source: str, name: str = "till.py") -> Code:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(source)
    return Code((path,), digest([path.read_bytes()]))


def test_code_is_loaded_once_and_leaves_no_trace(tmp_path: Path) -> None:
    before, paths = set(sys.modules), list(sys.path)
    code = written(tmp_path, "count = []\ndef process(event, context):\n    count.append(1)\n    return len(count)\n")
    modules = Modules()
    assert not modules.loaded(code)
    process = modules.process(code, HERE, Crumbs())
    assert (1, 2) == (process(None, None), modules.process(code, HERE, Crumbs())(None, None))
    assert modules.loaded(code)
    assert not {name for name in set(sys.modules) - before if "cartridge" in name}
    assert paths == sys.path
    assert ["till.py"] == [each.name for each in tmp_path.iterdir()]


def test_two_files_of_one_name_never_meet(tmp_path: Path) -> None:
    modules = Modules()
    found = [
        modules.process(written(tmp_path / place, f"def process(event, context):\n    return {place!r}\n"), HERE, Crumbs())
        for place in ("a", "b")
    ]
    assert ["a", "b"] == [process(None, None) for process in found]


def test_dataclasses_find_their_module_while_it_is_loaded(tmp_path: Path) -> None:
    source = "from __future__ import annotations\nfrom dataclasses import dataclass\n\n@dataclass\nclass A:\n    n: int = 1\n\n"
    code = written(tmp_path, source + "def process(event, context):\n    return A().n\n")
    assert 1 == Modules().process(code, HERE, Crumbs())(None, None)


def test_code_that_changed_after_it_was_looked_at_is_not_executed(tmp_path: Path) -> None:
    code = written(tmp_path, "def process(event, context):\n    return 1\n")
    code.files[0].write_text("raise SystemExit('never run')\n")
    with pytest.raises(LoadFailed, match="has changed since"):
        Modules().process(code, HERE, Crumbs())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def process(:\n", "SyntaxError"),
        ("import nothing_of_this_name\n", "ModuleNotFoundError"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("x = 1\n", "has no function process"),
    ],
)
def test_code_that_does_not_load_says_why_and_is_not_tried_again(tmp_path: Path, source: str, said: str) -> None:
    code, modules, crumbs = written(tmp_path, source), Modules(), Crumbs()
    with pytest.raises(LoadFailed, match=said):
        modules.process(code, HERE, crumbs)
    visits = len(crumbs.visits)
    with pytest.raises(LoadFailed, match=said):
        modules.process(code, HERE, crumbs)
    assert visits == len(crumbs.visits)
    assert 1 == visits  # the breadcrumb stands while foreign code is imported


def test_a_reload_forgets_what_nobody_runs(tmp_path: Path) -> None:
    modules = Modules()
    old, new = written(tmp_path / "a", "def process(e, c):\n    return 1\n"), written(tmp_path / "b", "x = 1\n")
    modules.process(old, HERE, Crumbs())
    modules.keep([new])
    assert not modules.loaded(old)
