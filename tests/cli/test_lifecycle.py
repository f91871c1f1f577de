"""A cartridge's way through the command line: shown, agreed to, in place, at work, and back. Nothing runs before somebody agreed."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from eventctl import client
from eventctl.store import Keys
from eventctl.workspace import Paths
from tests.cli.conftest import Face
from tests.lifekit import archive, code, folder, rule, tree

COUNT = '    context.annotate("sum", {"version": VERSION})\n'
SLOT = 'annotates = ["sum"]'


@pytest.fixture
def shop(face: Face) -> Face:
    """A workspace with the admin ada, the member bob, and a domain."""
    config = face.root / "eventctl.toml"
    config.write_text(config.read_text() + '\n[members.bob]\nrole = "member"\n')
    put(face.root / "company/domains/shop/domain.toml", 'summary = "A shop."\n')
    return face


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def source(face: Face, version: str = "1.0.0", name: str = "till", *lines: str) -> Path:
    """A candidate outside of the workspace; it says which version of it has run."""
    text = code(name, version, SLOT, *lines, body=COUNT.replace("VERSION", repr(version)))
    return put(face.root.parent / "given" / f"{name}.py", text)


def listed(face: Face, *words: str) -> list[dict[str, Any]]:
    return list(json.loads(face("cartridge", "list", *words, "--json").stdout)["items"])


def one(face: Face, name: str = "till") -> dict[str, Any]:
    return next(item for item in listed(face) if item["id"] == name)


def said(face: Face) -> list[str]:
    """The versions that have run, in the order in which events came."""
    face.later()
    face("emit", "shop.sold", "--source", "tests", "--entity", "a")
    face("run", "--until-idle")
    with client.short(Paths(face.root)) as store:
        rows = store.read_log(0, 1_000, kinds=("event",))
        kept = store.snapshot(Keys(annotations=[row.seq for row in rows])).annotations
    found = [kept.get(row.seq, {}).get("sum") for row in rows]
    return [json.loads(value)["version"] for value in found if value]


def test_a_strangers_archive_is_shown_agreed_to_runs_and_goes_back(shop: Face, snapshot: Any) -> None:
    given = archive(shop.root.parent / "till-1.0.0.tar.gz", {"till.py": source(shop).read_text(), "README.md": "A till.\n"})
    shown = shop("cartridge", "install", str(given), "--domain", "shop", "--yes")
    snapshot(shown.stdout)
    assert "ada installed till 1.0.0 in domain:shop (d1)" in shop("log", "show", "e1").stdout + shop("why", "e1").stdout
    assert {"origin": f"file:{given}", "state": "active", "versions": ["1.0.0"], "trusted": False}.items() <= one(shop).items()
    said(shop)
    later = source(shop, "2.0.0")
    shop("cartridge", "install", str(later), "--domain", "shop", "--yes")
    said(shop)
    shop("cartridge", "trust", "till", "--yes")
    assert one(shop)["trusted"]
    said(shop)
    shop("cartridge", "rollback", "till", "--yes")
    said(shop)
    shop("cartridge", "remove", "till", "--yes")
    said(shop)
    assert [] == [item for item in listed(shop) if item["id"] == "till"]
    assert ["1.0.0", "2.0.0", "2.0.0", "1.0.0"] == said(shop)
    assert "ok" in shop("verify").output


def test_agreeing_beforehand_does_not_agree_to_more_than_the_version_before_may(shop: Face) -> None:
    shop("cartridge", "install", str(source(shop)), "--domain", "shop", "--yes")
    more = source(shop, "2.0.0", "till", 'permissions = { calls = ["command"] }')
    before = tree(shop.root)
    result = shop("cartridge", "install", str(more), "--domain", "shop", "--yes", code=2)
    assert "till 2.0.0 asks for more than 1.0.0: call command" in result.stderr
    assert "--wider" in result.stderr
    assert before == tree(shop.root)
    shop("cartridge", "install", str(more), "--domain", "shop", "--yes", "--wider")
    assert "2.0.0" == one(shop)["version"]


def test_nobody_here_to_agree_is_no_yes(shop: Face) -> None:
    before = tree(shop.root)
    result = shop("cartridge", "install", str(source(shop)), code=2)
    assert "--yes" in result.stderr
    assert before == tree(shop.root)


@pytest.mark.parametrize(("answer", "ends", "versions"), [("y\n", 0, ["1.0.0"]), ("n\n", 1, [])])
def test_a_person_is_asked_at_a_terminal(
    shop: Face, monkeypatch: pytest.MonkeyPatch, answer: str, ends: int, versions: list[str]
) -> None:
    monkeypatch.setattr("eventctl.cli.consent.at_a_terminal", lambda: True)
    shop("cartridge", "install", str(source(shop)), "--domain", "shop", given=answer, code=ends)
    assert versions == [row["version"] for row in listed(shop, "--versions")]


def test_trust_says_what_it_means_before_anybody_agrees(shop: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    shop("cartridge", "install", str(source(shop)), "--domain", "shop", "--yes")
    monkeypatch.setattr("eventctl.cli.consent.at_a_terminal", lambda: True)
    result = shop("cartridge", "trust", "till", given="n\n", code=1)
    assert "inside the runner with all of your rights" in result.stderr
    assert "sha256:" in result.stderr
    assert not one(shop)["trusted"]


def test_what_the_guardian_refuses_nobody_can_agree_to(shop: Face, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    given = put(tmp_path / "given/till.py", code(canary=canary))
    before = tree(shop.root)
    result = shop("cartridge", "install", str(given), "--yes", code=78)
    assert "the guardian refuses" in result.stderr
    assert before == tree(shop.root)
    assert not canary.exists()


def test_a_mistake_in_its_place_is_told_before_it_is_there(shop: Face) -> None:
    given = source(shop, "1.0.0", "till", 'requires = ["nothing-here"]')
    result = shop("cartridge", "install", str(given), "--domain", "shop", "--yes", code=78)
    assert "nothing-here" in result.stderr
    assert [] == listed(shop, "--versions")


def test_a_mistake_that_was_there_before_is_in_nobodys_way(shop: Face) -> None:
    put(shop.root / "company/domains/shop/cartridges/needy.py", code("needy", "1.0.0", 'requires = ["tall"]'))
    put(shop.root / "company/domains/shop/cartridges/late.toml", rule())
    shop("cartridge", "check", code=78)
    shop("cartridge", "install", str(source(shop)), "--domain", "shop", "--yes")
    assert ["1.0.0"] == [row["version"] for row in listed(shop, "--versions")]


def test_the_same_again_is_nothing_to_do(shop: Face) -> None:
    words = ("cartridge", "install", str(source(shop)), "--domain", "shop", "--yes")
    shop(*words)
    assert "already" in shop(*words).stdout
    assert ["1.0.0"] == [row["version"] for row in listed(shop, "--versions")]


def test_a_file_of_the_same_id_is_a_clash_that_both_sides_name(shop: Face) -> None:
    here = shop.root / "company/domains/shop/cartridges/till.py"
    put(here, code("till"))
    shop("cartridge", "install", str(source(shop)), "--domain", "shop", "--yes", code=4)
    here.unlink()
    shop("cartridge", "install", str(source(shop)), "--domain", "shop", "--yes")
    put(here, code("till"))
    shown = shop("cartridge", "check", code=78).stdout
    assert "installed:domain:shop/till" in shown
    assert "company/domains/shop/cartridges/till.py" in shown
    assert "company/domains/shop/cartridges/till.py" == one(shop)["path"]


def test_one_changed_byte_leaves_it_out_and_tells_people(shop: Face) -> None:
    shop("cartridge", "install", str(source(shop)), "--domain", "shop", "--yes")
    assert ["1.0.0"] == said(shop)
    with client.short(Paths(shop.root)) as store:
        digest = store.installed()[0].digest
        body = bytearray(store.package(digest) or b"")
        body[-5] ^= 1
        with store.connection.transaction() as db:  # type: ignore[attr-defined]  # a bad disk does not ask the store
            db.execute("UPDATE package SET body = ?", (bytes(body),))
    assert ["1.0.0"] == said(shop)
    assert "not those that were installed" in shop("cartridge", "check", code=78).stdout
    with client.short(Paths(shop.root)) as store:
        events = [row.type for row in store.read_log(0, 1_000)]
    assert 1 == events.count("system.cartridge.disabled")
    shop("cartridge", "install", str(source(shop)), "--domain", "shop", "--yes")
    assert ["1.0.0", "1.0.0"] == said(shop)


def test_what_the_settings_enable_may_be_installed(shop: Face) -> None:
    shop("cartridge", "install", str(source(shop)), "--yes")
    config = shop.root / "eventctl.toml"
    config.write_text(config.read_text() + "\n[enable]\ntill = {}\n")
    shop("config", "check")
    assert ["1.0.0"] == said(shop)
    shop("cartridge", "remove", "till", "--yes", code=4)


# --- who may ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("install", "{given}", "--domain", "shop", "--yes"),
        ("install", "{given}", "--member", "ada", "--yes"),
        ("install", "{given}", "--yes"),
        ("promote", "domain:shop/till", "--to", "library", "--yes"),
        ("promote", "mine", "--to", "domain:shop", "--yes"),
        ("remove", "till", "--yes"),
        ("rollback", "till", "--yes"),
        ("trust", "till", "--yes"),
    ],
)
def test_a_member_doing_an_admins_work_changes_nothing(shop: Face, words: tuple[str, ...]) -> None:
    put(shop.root / "personal/bob/cartridges/mine.py", code("mine"))
    for version in ("1.0.0", "2.0.0"):
        shop("cartridge", "install", str(source(shop, version)), "--domain", "shop", "--yes")
    given, before = source(shop, "3.0.0"), (tree(shop.root), dump(shop))
    for who in (("--as", "bob"), ("--agent", "claude")):
        result = shop(*who, "cartridge", *(word.format(given=given) for word in words), code=5)
        assert "may not" in result.stderr
        assert before == (tree(shop.root), dump(shop))


def dump(face: Face) -> list[str]:
    """Every row of every table."""
    with client.short(Paths(face.root)) as store, store.connection.transaction() as db:  # type: ignore[attr-defined]
        return list(db.iterdump())


def test_a_member_installs_for_themselves(shop: Face) -> None:
    shop("--as", "bob", "cartridge", "install", str(source(shop)), "--member", "bob", "--yes")
    assert "members" in one(shop)["pipelines"]
    shop("--as", "bob", "cartridge", "remove", "till", "--yes")


def test_what_a_member_asks_for_an_admin_approves(shop: Face) -> None:
    asked = json.loads(
        shop("--as", "bob", "cartridge", "install", str(source(shop)), "--domain", "shop", "--ask", "--json").stdout
    )
    assert asked["held"]
    assert [] == said(shop)
    refused = shop("--as", "bob", "decisions", "approve", f"d{asked['decision']}", code=5)
    assert "an admin may" in refused.stderr
    shown = shop("decisions", "show", f"d{asked['decision']}").stdout
    assert "who decides  an admin" in shown
    assert "\n  new        annotate sum\n" in shown
    assert "{" not in shown
    shop("decisions", "approve", f"d{asked['decision']}")
    assert ["1.0.0"] == said(shop)
    assert "install till 1.0.0" in shop("decisions", "list", "--all").stdout


def test_what_an_admin_denies_never_comes_in(shop: Face) -> None:
    asked = json.loads(
        shop("--as", "bob", "cartridge", "install", str(source(shop)), "--domain", "shop", "--ask", "--json").stdout
    )
    shop("decisions", "deny", f"d{asked['decision']}")
    shop("run", "--until-idle")
    assert [] == listed(shop, "--versions")
    assert "ok" in shop("verify").output


def test_what_was_removed_is_not_in_the_way_of_what_stands_elsewhere(shop: Face) -> None:
    for place in (("--domain", "shop"), ("--member", "bob")):
        shop("cartridge", "install", str(source(shop)), *place, "--yes")
        if place[0] == "--domain":
            shop("cartridge", "remove", "till", "--yes")
    assert "installed:member:bob/till" in shop("cartridge", "show", "till").stdout


# --- promotion -------------------------------------------------------------------------------------------------------------------


def test_what_is_installed_goes_to_more_people(shop: Face) -> None:
    shop("cartridge", "install", str(source(shop)), "--member", "bob", "--yes")
    shop("cartridge", "promote", "till", "--to", "domain:shop", "--yes")
    assert "installed:domain:shop/till" == one(shop)["path"]
    assert ["1.0.0"] == said(shop)
    shop("cartridge", "promote", "till", "--to", "member:bob", "--yes", code=2)


def test_files_go_up_with_their_examples_and_leave_nothing_behind(shop: Face) -> None:
    files = {"late.toml": rule(), "late.examples.toml": "# none\n"}
    for name, text in files.items():
        put(shop.root / "personal/bob/cartridges" / name, text)
    shop("emit", "shop.sold", "--source", "tests")
    shop("run", "--until-idle")
    done = json.loads(shop("cartridge", "promote", "late", "--to", "domain:shop", "--backtest", "1d", "--yes", "--json").stdout)
    here = tree(shop.root / "company/domains/shop/cartridges")
    assert {name: text.encode() for name, text in files.items()} == here
    assert {} == tree(shop.root / "personal/bob/cartridges")
    decision = json.loads(shop("decisions", "show", f"d{done['decision']}", "--json").stdout)
    assert {"notified": 1, "told": 1} == done["backtest"]["counts"]
    assert "notified" in json.dumps(decision)
    shop("cartridge", "promote", "late", "--to", "library", "--yes")
    assert {"late.toml", "late.examples.toml"} <= tree(shop.root / "cartridges").keys()
    assert "already" in shop("cartridge", "promote", "late", "--to", "library", "--yes").stdout


def test_a_folder_goes_up_whole(shop: Face) -> None:
    for name, text in folder().items():
        put(shop.root / "personal/bob/cartridges/watch" / name, text)
    before = tree(shop.root / "personal/bob/cartridges")
    shop("cartridge", "promote", "watch", "--to", "domain:shop", "--yes")
    assert before == tree(shop.root / "company/domains/shop/cartridges")
    assert {} == tree(shop.root / "personal/bob/cartridges")


def test_another_one_in_the_way_stays_as_it_is(shop: Face) -> None:
    put(shop.root / "personal/bob/cartridges/late.toml", rule())
    other = put(shop.root / "company/domains/shop/cartridges/late.toml", rule(version="9.0.0"))
    shop("cartridge", "promote", "personal/bob/cartridges/late.toml", "--to", "domain:shop", "--yes", code=4)
    assert rule(version="9.0.0") == other.read_text()
    assert (shop.root / "personal/bob/cartridges/late.toml").exists()


def test_what_others_require_is_not_taken_away(shop: Face) -> None:
    shop("cartridge", "install", str(source(shop)), "--yes")
    put(shop.root / "company/domains/shop/cartridges/uses.py", code("uses", "1.0.0", 'requires = ["till"]'))
    shop("run", "--until-idle")
    result = shop("cartridge", "remove", "till", "--yes", code=4)
    assert "uses" in result.stderr
    assert ["active" if row["active"] else "kept" for row in listed(shop, "--versions")] == ["active"]


# --- reading ---------------------------------------------------------------------------------------------------------------------


def test_an_archive_is_checked_as_it_would_be_installed(shop: Face, tmp_path: Path) -> None:
    good = archive(tmp_path / "watch.tar.gz", folder())
    bad = archive(tmp_path / "evil.tar.gz", {**folder(), "setup.py": "x"})
    with tarfile.open(good) as tar:
        assert 3 == len(tar.getnames())
    shop("cartridge", "check", str(good))
    assert "setup.py" in shop("cartridge", "check", str(bad), code=78).stdout


def test_show_says_where_it_came_from(shop: Face, snapshot: Any) -> None:
    shop("cartridge", "install", str(source(shop)), "--domain", "shop", "--yes")
    shop("cartridge", "install", str(source(shop, "1.1.0")), "--domain", "shop", "--yes")
    snapshot(shop("cartridge", "show", "till").stdout)
    snapshot(shop("cartridge", "list", "--versions").stdout, "versions")


def test_a_candidate_is_tried_in_a_worker_before_it_comes_in(shop: Face) -> None:
    shop("emit", "shop.sold", "--source", "tests", "--entity", "a")
    shop("run", "--until-idle")
    words = ("cartridge", "install", str(source(shop)), "--domain", "shop", "--backtest", "1d", "--yes", "--json")
    told = json.loads(shop(*words).stdout)
    assert (1, {"annotated": 1}) == (told["backtest"]["runs"], told["backtest"]["counts"])


def test_a_backtest_of_a_strangers_archive_runs_it_once_somebody_agrees(shop: Face, tmp_path: Path) -> None:
    shop("emit", "shop.sold", "--source", "tests", "--entity", "a")
    shop("run", "--until-idle")
    given = archive(tmp_path / "till.tar.gz", {"till.py": source(shop).read_text()})
    words = ("cartridge", "backtest", str(given), "--into", "domain:shop", "--json")
    shop(*words, code=2)
    told = json.loads(shop(*words, "--yes").stdout)
    assert (1, {"annotated": 1}) == (told["runs"], told["counts"])
    assert [] == listed(shop, "--versions")


def test_what_is_installed_is_tried_where_it_stands_against_nothing_or_a_version_that_was_kept(shop: Face) -> None:
    shop("emit", "shop.sold", "--source", "tests", "--entity", "a")
    shop("run", "--until-idle")
    for version in ("1.0.0", "2.0.0"):
        shop("cartridge", "install", str(source(shop, version)), "--domain", "shop", "--yes")
    words = ("cartridge", "backtest", "installed:domain:shop/till", "--json")
    alone = json.loads(shop(*words).stdout)
    assert (None, [{"event": "e1", "before": "", "after": 'sum = {"version":"2.0.0"}'}]) == (
        alone["against"],
        alone["changes"]["annotated"],
    )
    other = json.loads(shop(*words, "--against", "1.0.0").stdout)
    assert ("till 1.0.0", 'sum = {"version":"1.0.0"}') == (other["against"], other["changes"]["annotated"][0]["before"])
    assert "no version '3.0.0'" in shop(*words, "--against", "3.0.0", code=3).stderr


def test_a_program_hears_how_far_a_backtest_is(shop: Face) -> None:
    shop("emit", "shop.sold", "--source", "tests", "--entity", "a")
    shop("run", "--until-idle")
    given = put(shop.root / "personal/bob/cartridges/late.toml", rule())
    heard = shop("cartridge", "backtest", str(given), "--json", "--progress").stderr.splitlines()
    assert {"read", "of"} == json.loads(heard[-1]).keys()
    assert json.loads(heard[-1])["read"] == json.loads(heard[-1])["of"] > 0
