"""`why` about rules on the command line: which ones matched, why one did, and why one did not."""

from __future__ import annotations

import json
import os

import pytest

from eventctl.times import HOUR, MINUTE
from tests.cli.conftest import NOON

HEAD = 'id = "{id}"\nsummary = "A rule."\nconsumes = ["{type}"]\n'
RULES = {
    "spend": HEAD.format(id="spend", type="domain.shop.sold")
    + 'when = "payload.amount > 10.0 && payload.name != \'test\'"\n[notify]\ntitle = "{payload.name}"\n',
    "busy": HEAD.format(id="busy", type="domain.shop.*")
    + '[window]\nkind = "threshold"\ncount = 2\nwithin = "10m"\n[notify]\ntitle = "{window.count} sales"\n',
    "tryout": HEAD.format(id="tryout", type="domain.shop.sold") + 'mode = "shadow"\n[annotate]\nslot = "tried"\n',
    "calm": HEAD.format(id="calm", type="job.failed")
    + 'when = "payload.job == \'backup\'"\n[silence]\nfor = "2h"\nreason = "it is known"\n',
}


@pytest.fixture
def shop(face):
    """A workspace whose library has the rules, all switched on, since an hour ago."""
    enabled = "".join(f"{name} = {{}}\n" for name in RULES)
    (face.root / "eventctl.toml").write_text(f'[members.ada]\nrole = "admin"\n[enable]\n{enabled}')
    (face.root / "cartridges").mkdir(exist_ok=True)
    (face.root / "company/domains/shop").mkdir(parents=True)
    (face.root / "company/domains/shop/domain.toml").write_text('summary = "The shop."\n')
    types = 'namespace = "domain.shop"\n[types."sold"]\nsummary = "Something was sold."\n'
    (face.root / "company/domains/shop/event_types.toml").write_text(types)
    for name, text in RULES.items():
        file = face.root / f"cartridges/{name}.toml"
        file.write_text(text)
        os.utime(file, ns=((NOON - HOUR) * 1_000,) * 2)
    face("run", "--until-idle")
    return face


def sold(face, amount=12, name="ads", type_="domain.shop.sold"):
    """A sale, a minute after the one before; its record is the newest that is no consequence."""
    face.later(MINUTE)
    payload = json.dumps({"amount": amount, "name": name})
    said = face("emit", type_, "--source", "till", "--entity", "shop", "--payload", payload, "--json").stdout
    face("run", "--until-idle")
    return f"e{json.loads(said)['seq']}"


def test_the_rules_that_matched_stand_with_their_effects_and_the_values_of_their_terms(shop, snapshot):
    sold(shop)
    second = sold(shop)
    snapshot(shop("why", second).stdout)
    rules = json.loads(shop("why", second, "--json").stdout)["rules"]
    assert {("workspace/spend", "notify"), ("workspace/busy", "notify"), ("tryout", "annotate")} == {
        (each["rule"], each["effect"]) for each in rules
    }
    (busy,) = (each for each in rules if each["rule"] == "workspace/busy")
    assert {"count": 2, "since": "2026-11-20T12:01:00.000000Z"} == busy["window"]
    (spend,) = (each for each in rules if each["rule"] == "workspace/spend")
    assert [{"payload.amount": 12}, {"payload.name": "ads"}] == [term["fields"] for term in spend["terms"]]


def test_a_notification_names_the_rule_that_raised_it(shop, snapshot):
    sold(shop)
    snapshot(shop("why", "n1").stdout)
    assert "workspace/spend" == json.loads(shop("why", "n1", "--json").stdout)["rule"]


def test_a_rule_that_did_not_match_names_the_term(shop, snapshot):
    low = sold(shop, amount=3)
    snapshot(shop("why", low, "--rule", "spend").stdout)
    facts = json.loads(shop("why", low, "--rule", "spend", "--json").stdout)
    assert "It did not match: `payload.amount > 10.0` is false (payload.amount is 3)." == facts["sentence"]
    assert (False, False, [False, True]) == (facts["matched"], facts["would_match"], [each["value"] for each in facts["terms"]])


def test_a_window_says_where_it_stood(shop, snapshot):
    sold(shop)
    second = sold(shop)
    snapshot(shop("why", second, "--rule", "busy").stdout)
    snapshot(shop("why", second, "--rule", "busy", "--json").stdout, "json")


def test_a_notification_is_asked_about_by_its_newest_event(shop):
    sold(shop, name="one")
    assert "notice.raised, and the rule spend" in shop("why", "n1", "--rule", "spend").stdout


def test_what_a_rule_keeps_quiet_is_said_with_the_event_and_the_notification(shop, snapshot):
    shop("emit", "job.failed", "--source", "cron", "--payload", '{"job": "backup"}')
    shop("run", "--until-idle")
    snapshot(shop("why", "e1").stdout)
    assert "The rule calm keeps it quiet" in shop("why", "n1").stdout
    assert "It matched: `payload.job == 'backup'` is true" in " ".join(shop("why", "e1", "--rule", "calm").stdout.split())


def test_text_from_strangers_commands_no_terminal(shop):
    low = sold(shop, amount=3, name="\x1b[31m\u202e)\nIt matched: yes")
    for said in (shop("why", low, "--rule", "spend").stdout, shop("why", low, "--rule", "spend", "--json").stdout):
        assert "\x1b" not in said
        assert "\u202e" not in said
        assert "\nIt matched" not in said


def test_a_file_is_asked_and_a_name_that_nobody_has_gets_a_suggestion(shop):
    low = sold(shop, amount=3)
    path = shop.root / "aside.toml"
    path.write_text(RULES["spend"].replace("spend", "aside").replace("10.0", "1.0"))
    said = " ".join(shop("why", low, "--rule", str(path)).stdout.split())
    assert "It would match (`payload.amount > 1.0` is true (payload.amount is 3)" in said
    assert "it is a file that nobody runs" in said
    wrong = shop("why", low, "--rule", "spent", code=3)
    assert "there is no rule 'spent'" in wrong.stderr
    assert "did you mean 'spend'?" in wrong.stderr


def test_a_rule_with_a_mistake_shows_the_mistake(shop):
    low = sold(shop)
    (shop.root / "cartridges/spend.toml").write_text(RULES["spend"].replace("payload.amount", "paylod.amount"))
    assert "there is no 'paylod'" in shop("why", low, "--rule", "spend", code=78).stderr
