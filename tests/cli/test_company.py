"""Members, domains and levels from the command line: what an admin changes, who may not, and that the log keeps who did."""

from __future__ import annotations

import json
import tomllib
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from eventctl import company
from eventctl.beginning import Person
from eventctl.errors import Misconfigured
from eventctl.principal import Principal, granted
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Operations
from eventctl.suites.rows import asked
from eventctl.times import DAY
from eventctl.workspace import Paths

CHANGES = [
    ("member", "add", "cy"),
    ("member", "set", "bob", "--role", "admin"),
    ("member", "remove", "ada"),
    ("domain", "add", "ops"),
    ("autonomy", "set", "L3", "--default"),
    ("autonomy", "set", "L1", "--default", "--dry-run"),
]


@pytest.fixture
def firm(face):
    """A workspace with the domain shop, the admin ada and the member bob, who decides for shop."""
    face("domain", "add", "shop", "--summary", "What is sold.")
    assert (face.root / "company/domains/shop/cartridges").is_dir()
    face("member", "add", "bob", "--domain", "shop")
    return face


def settings(face):
    return tomllib.loads((face.root / "eventctl.toml").read_text())


def files(face):
    return {path: path.read_bytes() for path in face.root.rglob("*") if path.is_file() and ".eventctl" not in path.parts}


def moves(face):
    return json.loads(face("log", "show", "--kind", "move", "--json").stdout)["items"]


def decide(face, *rows):
    store = SqliteStore.open(face.root / ".eventctl/state.db", role="short")
    store.commit(Operations(decisions=list(rows)))
    store.close()


def test_a_file_that_begins_with_a_byte_order_mark_keeps_its_members_and_its_mark(firm):
    """An editor of Windows puts it there; the settings are read with it, and so is who one is."""
    config = firm.root / "eventctl.toml"
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    firm("autonomy", "set", "L1", "--default", "--as", "ada")
    firm("autonomy", "set", "L3", "--default", "--as", "bob", code=5)
    assert config.read_bytes().startswith(b"\xef\xbb\xbf")
    assert "L1" == tomllib.loads(config.read_text("utf-8-sig"))["autonomy"]["default"]


def test_a_member_comes_with_a_folder_and_the_file_keeps_its_comments(firm):
    before = (firm.root / "eventctl.toml").read_text()
    firm("member", "add", "cy", "--role", "admin")
    assert {"role": "admin"} == settings(firm)["members"]["cy"]
    assert {"role": "member", "domains": ["shop"]} == settings(firm)["members"]["bob"]
    after = (firm.root / "eventctl.toml").read_text()
    assert [] == [line for line in before.splitlines() if line.startswith("#") and line not in after]
    assert (firm.root / "personal/cy/member.toml").is_file()
    assert 0 == firm.ask("config", "check").exit_code


def test_members_are_listed_and_shown(firm, snapshot):
    decide(firm, asked("a", domain="shop"), asked("b", domain="", owner="bob"), asked("c", domain="", owner="ada"))
    snapshot(firm("member").stdout, "list")
    snapshot(firm("member", "show", "bob").stdout, "show")
    shown = json.loads(firm("member", "show", "bob", "--json").stdout)
    assert (["d1", "d2"], ["shop"], False) == (shown["decisions"], shown["domains"], shown["you"])
    assert ["d1", "d2", "d3"] == json.loads(firm("member", "show", "ada", "--json").stdout)["decisions"]


def test_a_role_and_domains_are_changed_and_a_member_is_let_go(firm):
    firm("member", "set", "bob", "--role", "admin", "--no-domains")
    assert {"role": "admin"} == settings(firm)["members"]["bob"]
    firm("member", "set", "bob", "--role", "member", "--domain", "shop")
    assert {"role": "member", "domains": ["shop"]} == settings(firm)["members"]["bob"]
    assert "personal/bob/ stays" in firm("member", "remove", "bob").stderr
    assert ["ada"] == list(settings(firm)["members"])
    assert (firm.root / "personal/bob/member.toml").is_file()


@pytest.mark.parametrize("words", CHANGES)
@pytest.mark.parametrize("who", [("--as", "bob"), ("--agent", "claude")])
def test_who_is_no_admin_changes_nothing(firm, words, who):
    before, told = files(firm), len(moves(firm))
    assert "may not" in firm(*words, *who, code=5).stderr
    assert (before, told) == (files(firm), len(moves(firm)))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("member", "add", "bob"), 4, "bob is a member already"),
        (("member", "add", "Bob"), 2, "lower-case"),
        (("member", "add", "cy", "--domain", "shpo"), 3, "did you mean 'shop'?"),
        (("member", "show", "cy"), 3, "there is no member 'cy'"),
        (("member", "set", "bob", "--domain", "nope"), 3, "there is no domain 'nope'"),
        (("member", "set", "bob"), 2, "what is to change?"),
        (("member", "remove", "ada"), 4, "nobody would be an admin"),
        (("member", "set", "ada", "--role", "member"), 4, "nobody would be an admin"),
        (("domain", "add", "shop"), 4, "there is a domain shop already"),
        (("domain", "add", "../x"), 2, "lower-case"),
        (("domain", "show", "shp"), 3, "did you mean 'shop'?"),
        (("autonomy", "set", "L2"), 2, "for what?"),
        (("autonomy", "set", "L2", "--domain", "shop", "--default"), 2, "for what?"),
        (("autonomy", "set", "--domain", "shop"), 2, "say a level or --reset"),
        (("autonomy", "set", "L2", "--domain", "nope"), 3, "there is no domain 'nope'"),
        (("autonomy", "explain", "No Type"), 2, "an event type is dotted"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_changes(firm, words, code, said):
    before = files(firm)
    assert said in firm(*words, code=code).stderr
    assert before == files(firm)


def test_a_change_is_a_record_of_who_made_it_and_of_what_stood_there(firm, snapshot):
    firm("autonomy", "set", "L2", "--domain", "shop")
    firm("autonomy", "set", "L1", "--domain", "shop")
    *_, newest = moves(firm)
    assert ("autonomy.set", "cli:ada") == (newest["type"], newest["principal"])
    assert [{"key": "autonomy.domains.shop", "before": "L2", "after": "L1"}] == newest["body"]["changes"]
    firm("run", "--until-idle")
    snapshot(firm("why", f"e{newest['seq']}").stdout)
    assert 0 == firm.ask("verify").exit_code


def test_what_is_so_already_is_no_change_and_no_record(firm):
    told = len(moves(firm))
    assert "that is so already" in firm("autonomy", "set", "L3", "--default").stdout
    assert "that is so already" in firm("member", "set", "bob", "--role", "member").stdout
    assert told == len(moves(firm))


def test_a_change_that_cannot_be_written_has_its_record_and_no_effect(firm, monkeypatch):
    """The record comes first: killed in between, nobody's rights have changed without one."""

    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("eventctl.tomledit.replace", full)
    before, told = files(firm), len(moves(firm))
    assert 74 == firm.ask("member", "set", "bob", "--role", "admin").exit_code
    assert (before, told + 1) == (files(firm), len(moves(firm)))


def test_members_that_are_added_at_the_same_time_are_all_there(firm):
    admin = Principal("cli", "ada", granted("admin"))
    names = [f"m{number}" for number in range(12)]

    def add(name):
        return company.add_member(Paths(firm.root), Person(name), principal=admin, now=firm.now).seq

    with ThreadPoolExecutor(6) as pool:
        seqs = list(pool.map(add, names))
    assert {"ada", "bob", *names} == set(settings(firm)["members"])
    assert len(names) == len(set(seqs))


def test_a_file_with_a_mistake_can_be_changed_elsewhere_and_gets_no_new_one(firm):
    written = firm.root / "eventctl.toml"
    written.write_text(written.read_text() + '\n[runner]\nbatch = "many"\n')
    firm("member", "set", "bob", "--role", "admin")
    with pytest.raises(Misconfigured, match="is one of L1, L2, L3"):
        company.change(
            Paths(firm.root), [(("autonomy", "default"), "L4")], verb=company.AUTONOMY, now=1,
            principal=Principal("cli", "ada", granted("admin")),
        )  # fmt: skip
    assert "L3" == settings(firm)["autonomy"]["default"]


def test_domains_are_listed_and_shown(firm, snapshot):
    (firm.root / "company/domains/shop/domain.toml").write_text('summary = "What is sold."\n[autonomy]\ndefault = "L2"\n')
    snapshot(firm("domain").stdout, "list")
    snapshot(firm("domain", "show", "shop").stdout, "show")
    (item,) = json.loads(firm("domain", "--json").stdout)["items"]
    assert ("shop", "L2", ["bob"], []) == (item["name"], item["level"], item["members"], item["cartridges"])
    assert "company/domains/shop/domain.toml: autonomy.default" == item["why"]


def test_the_levels_are_shown_with_their_files(firm, snapshot):
    (firm.root / "company/domains/shop/domain.toml").write_text('[autonomy]\ndefault = "L2"\ncartridges = { page = "L1" }\n')
    firm("autonomy", "set", "L1", "--type", "deployment.*")
    firm("autonomy", "set", "L2", "--cartridge", "shop/sell")
    result = firm("autonomy", "show")
    snapshot(result.stdout + result.stderr)
    shown = json.loads(firm("autonomy", "show", "--json").stdout)
    assert ("10m", "1d", 3, 5) == (shown["window"], shown["expires"], shown["after"], len(shown["items"]))


def test_a_cartridge_is_explained_by_whose_it_is(firm):
    for folder, id_ in (("company/domains/shop", "sell"), ("personal/bob", "mine")):
        file = firm.root / folder / f"cartridges/{id_}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'id = "{id_}"\nsummary = "S."\nconsumes = ["job.failed"]\n[notify]\ntitle = "t"\n')
    firm("autonomy", "set", "L2", "--domain", "shop")
    assert "autonomy.domains.shop" in firm("autonomy", "explain", "job.failed", "--cartridge", "sell").stdout
    held = firm("autonomy", "explain", "job.failed", "--cartridge", "mine").stdout
    assert held.startswith("L1: ")
    assert "a member's own cartridge asks its member, bob" in held


def test_a_level_for_a_cartridge_that_is_not_there_says_so(firm):
    assert "there is no cartridge and no agent 'nope' yet" in firm("autonomy", "set", "L1", "--cartridge", "nope").stderr
    config = firm.root / "eventctl.toml"
    config.write_text(config.read_text() + '\n[agents.bot]\ncommand = ["true"]\n')
    assert "yet" not in firm("autonomy", "set", "L1", "--cartridge", "bot").stderr


def test_explain_names_the_level_and_the_key_that_says_so(firm, snapshot):
    firm("autonomy", "set", "L1", "--type", "deployment.*")
    snapshot(firm("autonomy", "explain", "deployment.failed", "--cartridge", "shop/sell").stdout)
    said = json.loads(firm("autonomy", "explain", "job.failed", "--domain", "shop", "--json").stdout)
    assert ("L3", "eventctl.toml: autonomy.default", None) == (said["level"], said["why"], said["suggested"])


def test_setting_a_level_shows_what_people_decided_and_a_dry_run_changes_nothing(firm, snapshot):
    yes = {"state": "done", "approved": True, "decided_by": "cli:ada", "domain": "shop"}
    bodies = [orjson.dumps({"known": n, "type": "order.stuck", "cartridge": "sell"}) for n in range(47)]
    decide(firm, *(asked(f"c{n}", asked_at=firm.now - DAY, body=body, **yes) for n, body in enumerate(bodies)))
    firm("autonomy", "set", "L1", "--domain", "shop")
    before, told = files(firm), len(moves(firm))
    result = firm("autonomy", "set", "L2", "--domain", "shop", "--dry-run")
    snapshot(result.stdout + result.stderr, "dry")
    assert (before, told) == (files(firm), len(moves(firm)))
    evidence = json.loads(firm("autonomy", "set", "L2", "--domain", "shop", "--dry-run", "--json").stdout)["evidence"]
    assert (47, 3) == (evidence["approved"], evidence["would_have_held"]["L2"])
    explained = firm("autonomy", "explain", "order.stuck", "--cartridge", "shop/sell")
    snapshot(explained.stdout + explained.stderr, "explain")


def test_a_level_is_taken_out_again(firm):
    firm("autonomy", "set", "L2", "--cartridge", "shop/sell")
    firm("autonomy", "set", "--reset", "--cartridge", "shop/sell")
    assert {} == settings(firm)["autonomy"].get("cartridges", {})
