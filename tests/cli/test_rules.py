"""Rules on the command line: a new one, what is wrong with one, and how it stands."""

from __future__ import annotations

import orjson

from eventctl.dag.faults import ERRORS_MAX

BIG = """\
id       = "big"
summary  = "Tells of large ones."
consumes = ["shop.**"]
when     = "payload.amount > 10.0"
[notify]
title = "{payload.amount}"
"""


def test_a_new_rule_is_in_order_waits_in_the_shadow_and_says_what_it_would_do(face):
    face("cartridge", "new", "loud-failures", "--member", "ada", "--consumes", "job.*", "--rule")
    path = face.root / "personal/ada/cartridges/loud-failures.toml"
    assert "everything is in order" in face("cartridge", "check", str(path)).stdout
    assert "members (shadow)" in face("cartridge", "list").stdout
    assert "shadow: it notes what it would do" in face("cartridge", "show", "loud-failures").stdout
    shown = orjson.loads(face("cartridge", "show", "loud-failures", "--json").stdout)
    assert ("shadow", []) == (shown["mode"], shown["errors"])
    assert "loud-failures" in face("cartridge", "graph").stdout
    face("emit", "job.failed", "--source", "cron", "--payload", '{"job": "nightly"}', "--level", "3")
    face("run", "--until-idle")
    said = orjson.loads(face("why", "e1", "--json").stdout)["annotations"]
    (deed,) = next(value for slot, value in said.items() if slot.endswith("shadow:loud-failures"))
    assert ("notify", "job.failed from cron") == (deed["effect"], deed["title"])


QUIET = """\
id       = "quiet"
summary  = "Keeps previews down."
consumes = ["shop.**"]
[set]
level = "infrastructure"
"""


def test_a_shaping_rule_runs_in_the_system_pipeline_where_it_is_enabled_and_else_nowhere(face):
    file = face.root / "cartridges/quiet.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(QUIET)

    def places() -> tuple[list[str], list[str]]:
        shown = orjson.loads(face("cartridge", "show", "quiet", "--json").stdout)["runs"]
        (listed,) = (
            each for each in orjson.loads(face("cartridge", "list", "--json").stdout)["items"] if each["id"] == "quiet"
        )
        return [each["pipeline"] for each in shown], listed["pipelines"]

    assert ([], []) == places()
    assert "nothing (library)" in face("cartridge", "list").stdout
    (face.root / "eventctl.toml").write_text("[enable]\nquiet = {}\n")
    assert (["system"], ["system"]) == places()
    assert "runs in   system" in face("cartridge", "show", "quiet").stdout


def test_what_a_domains_shaping_rule_would_do_in_the_shadow_is_told_by_a_backtest(face):
    file = face.root / "company/domains/sales/cartridges/quiet.toml"
    file.parent.mkdir(parents=True)
    face("emit", "domain.sales.sold", "--source", "till")
    face("run", "--until-idle")
    file.write_text(QUIET.replace("shop.**", "domain.sales.*").replace("[set]", 'mode = "shadow"\n[set]'))
    assert {"annotated": 1} == orjson.loads(face("cartridge", "backtest", str(file), "--json").stdout)["counts"]


def test_a_rule_that_cannot_be_is_not_written(face):
    face("cartridge", "new", "Not A Name", "--rule", code=78)
    assert [] == list((face.root / "cartridges").iterdir())


def test_a_mistake_in_an_expression_is_shown_where_it_stands(face):
    file = face.root / "cartridges/big.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(BIG.replace("payload.amount >", "paylod.amount >"))
    said = face("cartridge", "check", code=78).stdout
    assert (
        "wrong:  cartridges/big.toml:4: when\n"
        "  column 1: there is no 'paylod'\n"
        "      paylod.amount > 10.0\n"
        "      ^\n"
        "  did you mean 'payload'?\n"
    ) in said


def test_what_a_rule_had_no_answer_for_stands_in_status_and_beside_the_rule_until_it_is_suspended(face):
    (face.root / "eventctl.toml").write_text('[members.ada]\nrole = "admin"\n[enable]\nbig = {}\n')
    file = face.root / "cartridges/big.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(BIG)
    face("run", "--until-idle")
    face("emit", "shop.sold", "--source", "till")
    face("run", "--until-idle")
    sentence = "had no answer for 1 event; the last time, e1: there is no field 'amount'"
    assert f"big {sentence}" in face("status").stderr
    assert f"it {sentence}" in face("cartridge", "show", "big").stderr
    (rule,) = orjson.loads(face("status", "--json").stdout)["rules"]
    assert ("big", "workspace", 1) == (rule["rule"], rule["pipeline"], rule["errors"])
    for number in range(ERRORS_MAX - 1):
        face("emit", "shop.sold", "--source", f"till-{number}")
    face("run", "--until-idle")
    assert "is switched off" in face("status").stderr
    assert "switched off: it had no answer for 10 events in a row" in face("cartridge", "show", "big").stdout
    assert "no answer for 10 events" in face("inbox").stdout


def test_a_shaping_rule_that_is_suspended_and_a_rule_that_is_switched_off_are_listed_as_that(face):
    (face.root / "eventctl.toml").write_text('[members.ada]\nrole = "admin"\n[enable]\nbig = {}\nquiet = {}\n')
    (face.root / "cartridges").mkdir(exist_ok=True)
    (face.root / "cartridges/big.toml").write_text(BIG)
    (face.root / "cartridges/quiet.toml").write_text(QUIET.replace("[set]", 'when = "payload.amount > 10.0"\n[set]'))
    for number in range(ERRORS_MAX):
        face("emit", "shop.sold", "--source", f"till-{number}")
    face("run", "--until-idle")
    listed = face("cartridge", "list").stdout
    assert "system (suspended)" in listed
    assert "nothing (switched off)" in listed
    assert "state     suspended" in face("cartridge", "show", "quiet").stdout
    assert "it is suspended until its file changes" in face("status").stderr


def test_one_file_is_checked_as_it_stands_in_its_place(face):
    file = face.root / "personal/ada/cartridges/quiet.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(QUIET)
    assert "a member's rule does not [set]" in face("cartridge", "check", str(file), code=78).stdout
    aside = face.root.parent / "quiet.toml"
    aside.write_text(QUIET)
    assert "everything is in order" in face("cartridge", "check", str(aside)).stdout


def test_editors_get_a_schema(face):
    schema = orjson.loads(face("config", "schema", "rule").stdout)
    assert {"when", "window", "notify", "id"} <= schema["properties"].keys()
