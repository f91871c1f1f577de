"""Enrichment over a whole workspace: checked, annotated, explained, and verified after its table has changed."""

from __future__ import annotations

import json

import pytest

CONFIG = """
[members.ada]
role = "admin"

[enable]
lab = {}

[enrichment.hosts]
consumes = ["job.**"]
table = "tables/hosts.csv"
key = "host"
from = "payload.host"
annotates = "host"
"""
RULE = """
id = "lab"
summary = "What the lab's machines do is the business's."
consumes = ["job.failed"]
when = "has(annotations.host) && annotations.host.team == 'lab'"
[set]
level = "business"
"""


def answer(face, *words, code=0):
    return json.loads(face(*words, "--json", code=code).stdout)


@pytest.fixture
def lab(face):
    (face.root / "eventctl.toml").write_text(CONFIG)
    (face.root / "tables").mkdir()
    (face.root / "tables/hosts.csv").write_text("host,team\nweb-1,shop\nweb-2,lab\n")
    (face.root / "cartridges").mkdir(exist_ok=True)
    (face.root / "cartridges/lab.toml").write_text(RULE)
    for number, host in enumerate(["web-1", "web-2", "web-3"]):
        payload = json.dumps({"job": f"j{number}", "host": host})
        face("emit", "job.failed", "--source", "cron", "--id", str(number), "--payload", payload)
    face("run", "--until-idle")
    return face


def test_a_rule_reads_what_a_table_says_and_why_tells_it(lab):
    levels = {item["opened_seq"]: item["level"] for item in answer(lab, "inbox", "list")["items"]}
    assert levels[2] == 3 > levels[1] == levels[3]
    assert 'enrichment:host: {"team":"lab"}' in lab("why", "e2").stdout


def test_a_workspace_verifies_after_its_table_has_changed_and_after_it_is_gone(lab):
    (lab.root / "tables/hosts.csv").write_text("host,team\nweb-1,lab\n")
    assert answer(lab, "verify", "--rebuild")["ok"]
    (lab.root / "tables/hosts.csv").unlink()
    assert answer(lab, "verify", "--rebuild")["ok"]


def test_a_mistake_is_told_by_the_check_with_its_key(lab):
    (lab.root / "tables/hosts.csv").rename(lab.root / "tables/host.csv")
    problem = next(item for item in answer(lab, "config", "check", code=78)["items"] if not item["warning"])
    assert ("eventctl.toml: enrichment.hosts.table", "did you mean 'host.csv'?") == (problem["where"], problem["hint"])
