"""Discovery and composition: what people put into a workspace is found, checked and placed, and none of it is executed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from eventctl import catalog as catalogs
from eventctl.catalog import Catalog, EventType
from eventctl.composition import Composition, compose, trial
from eventctl.contracts import CartridgeSpec
from eventctl.discovery import Scan, scan
from eventctl.memory_store import MemoryStore
from eventctl.modules import LoadFailed, Modules
from eventctl.store import Operations
from eventctl.trampoline import Place
from tests.flowkit import Crumbs

CODE = "raise SystemExit('executed')\n\n\nasync def process(event, context):\n    return event\n"
CATALOG = Catalog(
    [
        EventType("domain.shop.made", declared=True),
        EventType("agent.said", declared=True),
        EventType("shop.sold", declared=True),
        EventType("notice.raised", declared=True, reserved=True),
    ]
)


def block(name: str, *lines: str, consumes: str = '["shop.**"]') -> str:
    manifest = [f'id = "{name}"', 'summary = "A test."', f"consumes = {consumes}", *lines]
    return "# /// cartridge\n" + "".join(f"# {line}\n" for line in manifest) + "# ///\n" + CODE


def put(root: Path, path: str, text: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def shop(root: Path, name: str, *lines: str, **more: Any) -> Path:
    return put(root, f"company/domains/shop/cartridges/{name}.py", block(name, *lines, **more))


def composed(root: Path, enable: Mapping[str, Mapping[str, Any]] | None = None, **more: Any) -> Composition:
    return compose(scan(root, {}), CATALOG, enable=enable, **more)


def placed(root: Path, **more: Any) -> dict[str, list[str]]:
    return {name: [each.id for each in plan] for name, plan in composed(root, **more).plans.items()}


def said(found: Scan | Composition) -> str:
    return "\n".join(str(problem) for problem in found.problems)


def test_an_empty_folder_has_nothing_and_nothing_wrong(tmp_path: Path) -> None:
    found = scan(tmp_path, {})
    assert ([], [], []) == (found.found, found.problems, found.changed)


def test_all_scopes_and_both_forms_are_found_and_nothing_is_executed(tmp_path: Path) -> None:
    put(tmp_path, "cartridges/format.py", block("format"))
    shop(tmp_path, "till")
    folder = "company/domains/shop/cartridges/stock"
    put(tmp_path, f"{folder}/cartridge.toml", 'id = "stock"\nsummary = "A test."\nconsumes = ["shop.sold"]\n')
    put(tmp_path, f"{folder}/cartridge.py", CODE)
    put(tmp_path, f"{folder}/examples/one.toml", "")
    put(tmp_path, "personal/ada/cartridges/mine.py", block("mine"))
    put(tmp_path, "company/domains/shop/cartridges/README.md", "not a cartridge")
    found = scan(tmp_path, {})
    assert [] == found.problems
    assert [
        ("library", "", "cartridges/format.py"),
        ("domain", "shop", f"{folder}/cartridge.toml"),
        ("domain", "shop", "company/domains/shop/cartridges/till.py"),
        ("personal", "ada", "personal/ada/cartridges/mine.py"),
    ] == [(each.scope, each.owner, each.path) for each in found.found]
    assert {"domain:shop": ["stock", "till"], "members": ["ada/mine"], "workspace": ["format"]} == placed(
        tmp_path, enable={"format": {}}
    )


def test_a_broken_one_is_named_and_the_rest_stands(tmp_path: Path) -> None:
    shop(tmp_path, "good")
    put(tmp_path, "company/domains/shop/cartridges/worse.py", "x = 1\n")
    put(tmp_path, "company/domains/shop/cartridges/bad.py", block("bad", "emit = 3").replace("async def", "async dfe"))
    put(tmp_path, "company/domains/shop/cartridges/rule.toml", 'id = "rule"\n')
    (tmp_path / "company/domains/shop/cartridges/empty").mkdir()
    (tmp_path / "company/domains/shop/cartridges/linked.py").symlink_to("good.py")
    put(tmp_path, "company/domains/shop/domain.toml", 'sumary = "x"\n')
    put(tmp_path, "company/domains/Bad Name/domain.toml", "")
    found = scan(tmp_path, {})
    assert ["good"] == [each.manifest.id for each in found.found]
    for sentence in (
        "worse.py: has no `# /// cartridge` block",
        "unknown key 'emit' (did you mean 'emits'?)",
        "bad.py:10: is not Python",
        "rule.toml: 'summary' is missing",
        "empty: is no cartridge: it has no cartridge.toml",
        "linked.py: is a link",
        "domain.toml: unknown key 'sumary' (did you mean 'summary'?)",
        "Bad Name: a folder here has a name",
    ):
        assert sentence in said(found)


@pytest.mark.parametrize("kind", ["pipe", "folder"])
@pytest.mark.parametrize(
    "path",
    [
        "cartridges/x.py",
        "company/domains/shop/cartridges/x/cartridge.toml",
        "company/domains/shop/cartridges/x/cartridge.py",
        "company/domains/shop/domain.toml",
        "company/domains/shop/event_types.toml",
        "personal/ada/member.toml",
        "company/domains/shop/shape.json",
    ],
)
def test_what_is_no_regular_file_is_named_and_not_waited_for(tmp_path: Path, path: str, kind: str) -> None:
    shop(tmp_path, "fine")
    if path.startswith("company/domains/shop/cartridges/x/"):
        put(tmp_path, "company/domains/shop/cartridges/x/cartridge.toml", 'id = "x"\nsummary = "s"\nconsumes = ["a.b"]\n')
        put(tmp_path, "company/domains/shop/cartridges/x/cartridge.py", CODE)
    elif path.endswith("shape.json"):
        types = 'namespace = "domain.shop"\n[types.made]\nsummary = "s"\nschema = "shape.json"\n'
        put(tmp_path, "company/domains/shop/event_types.toml", types)
    odd = tmp_path / path
    odd.parent.mkdir(parents=True, exist_ok=True)
    odd.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.mkdir()
    found = scan(tmp_path, {})
    assert "it is no regular file" in said(found)
    assert ["fine"] == [each.manifest.id for each in found.found]


def test_a_device_is_not_read(tmp_path: Path) -> None:
    put(tmp_path, "company/domains/shop/keep", "").with_name("domain.toml").symlink_to("/dev/zero")
    assert "it is no regular file" in said(scan(tmp_path, {}))


def test_a_cartridge_that_a_pipe_has_taken_the_place_of_is_left_out_and_does_not_load(tmp_path: Path) -> None:
    file = shop(tmp_path, "late")
    (found,) = (before := scan(tmp_path, {})).found
    file.unlink()
    os.mkfifo(file)
    after = scan(tmp_path, before.units, before=before.found)
    assert [] == after.found
    assert "it is no regular file" in said(after)
    with pytest.raises(LoadFailed, match="it is no regular file"):
        Modules().process(found.code, Place("domain:shop", "late", 0), Crumbs())


def test_what_is_not_obeyed_is_said_and_nothing_is_left_out(tmp_path: Path) -> None:
    shop(tmp_path, "asks", 'permissions = { secrets = ["token"] }', 'limits = { memory = "64MB", time = "1s" }')
    put(tmp_path, "company/domains/shop/domain.toml", '[autonomy]\ndefault = "L1"\n[guardian]\njudge = "mine"\n')
    put(tmp_path, "personal/ada/member.toml", 'digest = "08:30"\n')
    for known in ({}, scan(tmp_path, {}).units):
        found = scan(tmp_path, known)
        assert ["asks"] == [each.manifest.id for each in found.found]
        assert {
            "company/domains/shop/cartridges/asks.py: permissions.secrets",
            "personal/ada/member.toml: digest",
        } == {problem.where for problem in found.problems if problem.warning}


def test_a_domain_says_how_freely_it_acts_and_a_mistake_in_it_is_named(tmp_path: Path) -> None:
    put(
        tmp_path,
        "company/domains/shop/domain.toml",
        '[autonomy]\ndefault = "L1"\ncartridges = { asks = "L2" }\n[guardian]\nimports = ["requests"]\ncost = "2ms"\n',
    )
    found = scan(tmp_path, {})
    (shop_,) = found.domains
    assert ("L1", {"asks": "L2"}) == (shop_.file.autonomy.default, shop_.file.autonomy.cartridges)
    assert (("requests",), 2_000) == (shop_.file.guardian.imports, shop_.file.guardian.cost)
    put(tmp_path, "company/domains/shop/domain.toml", '[autonomy]\ndefault = "L4"\n')
    assert "company/domains/shop/domain.toml: autonomy.default: is one of L1, L2, L3, not 'L4'" in said(scan(tmp_path, {}))


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ('[autonomy]\ndefault = "L4"\n', "L1"),
        ('[autonomy]\ndefualt = "L2"\n', "L1"),
        ('[autonomy]\ndefault = "L2"\ncartridges = { doer = "l1" }\n', "L1"),
        ('[autonomie]\ndefault = "L2"\n', "L1"),
        ('[autonomy]\ndefault = "L3"\nbroken =\n', "L1"),
        ('[autonomy]\ndefault = "L2"\n[guardian]\ncost = "soon"\n', "L2"),
        ('summary = "Sold."\n', None),
    ],
)
def test_a_domain_whose_word_about_acting_is_mistaken_holds_what_it_has(tmp_path: Path, text: str, level: str | None) -> None:
    put(tmp_path, "company/domains/shop/domain.toml", text)
    (shop_,) = scan(tmp_path, {}).domains
    assert (level, {}) == (shop_.file.autonomy.default, shop_.file.autonomy.cartridges)


def test_an_unknown_key_of_a_member_is_a_mistake(tmp_path: Path) -> None:
    put(tmp_path, "personal/ada/member.toml", 'digets = "08:30"\n')
    assert "personal/ada/member.toml: unknown key 'digets' (did you mean 'digest'?)" == said(scan(tmp_path, {}))


def test_settings_for_a_cartridge_that_is_not_there_are_named(tmp_path: Path) -> None:
    shop(tmp_path, "counter")
    put(tmp_path, "company/domains/shop/domain.toml", "[settings.conter]\nlimit = 3\n")
    put(tmp_path, "personal/ada/member.toml", "[settings.counter]\nlimit = 3\n")
    assert [
        "company/domains/shop/domain.toml: settings.conter: there is no cartridge 'conter' here to give them to (did you mean 'counter'?)",
        "personal/ada/member.toml: settings.counter: there is no cartridge 'counter' here to give them to",
    ] == said(composed(tmp_path)).splitlines()  # fmt: skip


def test_a_domain_brings_its_part_of_the_catalog(tmp_path: Path) -> None:
    put(tmp_path, "company/domains/shop/event_types.toml", 'namespace = "domain.shop"\n[types.sold]\nsummary = "x"\n')
    put(tmp_path, "company/domains/crm/event_types.toml", 'namespace = "domain.shop"\n')
    put(tmp_path, "company/domains/art/event_types.toml", "namespace = \n")
    found = scan(tmp_path, {})
    assert ["company/domains/shop/event_types.toml"] == [origin for origin, _ in found.parts]
    assert catalogs.load(found.parts)[0].declared("domain.shop.sold")
    assert "the types of this domain begin with 'domain.crm'" in said(found)
    assert "art/event_types.toml: is not TOML" in said(found)


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    file = shop(tmp_path, "till")
    store = MemoryStore()
    first = scan(tmp_path, store.units())
    store.commit(Operations(units=first.changed))
    file.chmod(0)
    again = scan(tmp_path, store.units())
    assert (["till"], []) == ([each.manifest.id for each in again.found], again.changed)
    assert again.found == first.found


def test_a_change_is_seen_and_its_strikes_are_forgiven(tmp_path: Path) -> None:
    file = shop(tmp_path, "till")
    unit = scan(tmp_path, {}).changed[0]._replace(state="disabled", reason="hung at e7", strikes=2)
    known = {unit.path: unit}
    off = scan(tmp_path, known)
    assert ([], "is switched off: hung at e7") == (off.found, off.problems[0].what)
    file.touch()
    assert "disabled" == scan(tmp_path, known).changed[0].state  # touched, and the same content
    shop(tmp_path, "till", 'version = "2.0.0"')
    changed = scan(tmp_path, known)
    assert ("2.0.0", 0, "active") == (changed.found[0].manifest.version, changed.changed[0].strikes, changed.changed[0].state)


def test_a_file_that_went_is_noted_once_and_may_come_back(tmp_path: Path) -> None:
    file = shop(tmp_path, "till")
    first = scan(tmp_path, {})
    file.rename(tmp_path / "aside")
    second = scan(tmp_path, first.units)
    assert [("disabled", b"")] == [(unit.state, unit.manifest) for unit in second.changed]
    assert [] == scan(tmp_path, second.units).changed
    (tmp_path / "aside").rename(file)
    third = scan(tmp_path, second.units)
    assert (["till"], "active") == ([each.manifest.id for each in third.found], third.changed[0].state)


def test_unchanged_ones_are_not_read_again(tmp_path: Path) -> None:
    for number in range(200):
        put(tmp_path, f"cartridges/c{number}.py", block(f"c{number}"))
    first = scan(tmp_path, {})
    assert 200 == len(first.found)
    for file in (tmp_path / "cartridges").iterdir():  # whoever read them now would see that there is nothing
        stat = file.stat()
        file.write_bytes(b" " * stat.st_size)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = scan(tmp_path, first.units, before=first.found)
    assert ([], first.found) == (again.changed, again.found)


def test_a_library_cartridge_runs_where_it_is_required_with_that_domains_settings(tmp_path: Path) -> None:
    lines = ('annotates = ["level"]', "[settings]", 'limit = { type = "int", default = 1, help = "x" }')
    put(tmp_path, "cartridges/threshold.py", block("threshold", *lines, consumes='["**"]'))
    for domain, limit in (("shop", 5), ("crm", 7)):
        put(tmp_path, f"company/domains/{domain}/cartridges/till.py", block("till", 'requires = ["threshold"]'))
        put(tmp_path, f"company/domains/{domain}/domain.toml", f"[settings.threshold]\nlimit = {limit}\n")
    found = composed(tmp_path, enable={"threshold": {}})
    assert [] == found.problems
    instances = {name: plan.get("threshold") for name, plan in found.plans.items()}
    assert {"domain:shop": 5, "domain:crm": 7, "workspace": 1} == {
        name: each.settings["limit"] for name, each in instances.items() if each
    }
    assert {"domain:shop/threshold", "domain:crm/threshold", "workspace/threshold"} == {
        each.rights.name for each in instances.values() if each
    }
    assert {"shop/", "crm/", ""} == {each.slots_in for each in instances.values() if each}
    assert (("threshold",), ("till",)) == found.plans["domain:shop"].graph.levels


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (['emits = ["domain.crm.made"]'], "'domain.crm.made' is outside of domain.shop.**"),
        (['emits = ["domain.shop.mde"]'], "no event_types.toml declares 'domain.shop.mde' (did you mean 'domain.shop.made'?)"),
        (['emits = ["domain.shop.nothing.*"]'], "no event_types.toml declares 'domain.shop.nothing.*'"),
        (['requires = ["nobody"]'], "till requires 'nobody', which is not here"),
        (['requires = ["desk"]'], "'desk' is a cartridge of the domain crm, and no domain depends on another's"),
        (['annotates = ["trust"]'], "the slot 'trust' belongs to a stage of the system"),
        (['runs = "sandbox"'], "never runs in a weaker place"),
        (["[settings]", 'limit = { type = "int", help = "How many." }'], "till needs 'limit': How many."),
    ],
)
def test_what_does_not_fit_disables_itself_and_its_dependants_and_says_so(
    tmp_path: Path, lines: list[str], sentence: str
) -> None:
    put(tmp_path, "company/domains/crm/cartridges/desk.py", block("desk"))
    shop(tmp_path, "till", *lines)
    shop(tmp_path, "report", 'requires = ["till"]')
    shop(tmp_path, "other")
    found = composed(tmp_path)
    assert {"domain:crm": ["desk"], "domain:shop": ["other"]} == {
        name: [c.id for c in plan] for name, plan in found.plans.items()
    }
    assert sentence in said(found)
    assert "report requires 'till', which is not here (it is left out for a mistake of its own)" in said(found)


def test_a_members_cartridge_is_a_leaf(tmp_path: Path) -> None:
    put(tmp_path, "personal/ada/cartridges/one.py", block("one", 'after = ["two"]'))
    put(tmp_path, "personal/ada/cartridges/two.py", block("two", 'emits = ["domain.shop.made"]'))
    put(tmp_path, "personal/ada/cartridges/three.py", block("three", 'annotates = ["x"]'))
    put(tmp_path, "personal/bob/cartridges/three.py", block("three", 'annotates = ["x"]'))
    found = composed(tmp_path)
    assert ["ada/three", "bob/three"] == [each.id for each in found.plans["members"]]
    assert ("member:bob",) == [each.rights.audiences for each in found.plans["members"]][1]
    assert "a member's cartridge stands alone" in said(found)
    assert "'domain.shop.made' is outside of member.ada.**" in said(found)


def test_a_library_cartridge_speaks_for_no_domain_but_the_one_it_runs_in(tmp_path: Path) -> None:
    put(tmp_path, "cartridges/maker.py", block("maker", 'emits = ["domain.shop.made"]'))
    put(tmp_path, "cartridges/voice.py", block("voice", 'emits = ["agent.said"]'))
    put(tmp_path, "cartridges/faker.py", block("faker", 'emits = ["notice.raised"]'))
    shop(tmp_path, "till", 'requires = ["maker"]')
    found = composed(tmp_path, enable={"maker": {}, "voice": {}, "faker": {}, "vioce": {}})
    assert {"domain:shop": ["till", "maker"], "workspace": ["voice"]} == {
        name: [each.id for each in plan] for name, plan in found.plans.items()
    }
    assert "this is no cartridge of theirs" in said(found)
    assert "'notice.raised' may come from the platform only" in said(found)
    assert "enable.vioce: the library has no cartridge 'vioce' (did you mean 'voice'?)" in said(found)


def test_two_domains_cannot_fill_one_slot_of_one_event(tmp_path: Path) -> None:
    for domain in ("crm", "shop"):
        put(tmp_path, f"company/domains/{domain}/cartridges/{domain}-till.py", block(f"{domain}-till", 'annotates = ["x"]'))
    found = composed(tmp_path)
    assert ["domain:crm"] == list(found.plans)
    assert "the slot 'x' belongs to crm-till" in said(found)


def test_plugins_put_cartridges_into_the_library(tmp_path: Path) -> None:
    def process(event: Any, _: Any) -> Any:
        return event

    good = CartridgeSpec({"id": "voice", "summary": "x", "consumes": ["**"]}, process)  # type: ignore[arg-type]  # plain is accepted
    bad = CartridgeSpec({"id": "other", "sumary": "x", "consumes": ["**"]}, process)  # type: ignore[arg-type]
    put(tmp_path, "cartridges/twin.py", block("voice"))
    found = composed(tmp_path, enable={"voice": {}}, plugged=[("talk", good), ("talk", bad)])
    assert ["voice"] == [each.id for each in found.plans["workspace"]]
    assert "plugin:talk/voice: the library has a cartridge 'voice' already, from cartridges/twin.py" in said(found)
    assert "unknown key 'sumary'" in said(found)
    (tmp_path / "cartridges/twin.py").unlink()
    found = composed(tmp_path, enable={"voice": {}}, plugged=[("talk", good)])
    cartridge = found.plans["workspace"].get("voice")
    assert cartridge is not None
    assert process is Modules().process(cartridge.code, Place("workspace", "voice", 0), Crumbs())


def test_a_reload_tries_what_was_running_and_leaves_the_old_plan_where_it_does_not_load(tmp_path: Path) -> None:
    modules, crumbs = Modules(), Crumbs()
    file = shop(tmp_path, "till")
    file.write_text(file.read_text().replace("raise SystemExit('executed')", ""))
    old = composed(tmp_path).plans
    running = old["domain:shop"].get("till")
    assert running is not None
    modules.process(running.code, Place("domain:shop", "till", 0), crumbs)
    assert [] == trial(old, composed(tmp_path).plans, modules, crumbs)
    shop(tmp_path, "till")
    problems = trial(old, composed(tmp_path).plans, modules, crumbs)
    assert [("company/domains/shop/cartridges/till.py", "its code does not load: SystemExit: executed")] == [
        (problem.where, problem.what) for problem in problems
    ]
