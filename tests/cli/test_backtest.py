"""`cartridge backtest` and `cartridge test`, as people and CI ask for them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from eventctl.times import MINUTE

RULE = """id = "big-sale"
summary = "Tells of a big sale."
consumes = ["shop.*"]
when = "payload.n > {least}"
[notify]
title = "{{entity}}: {{payload.n}} sold"
key = "{{payload.n}}"
level = "business"
"""
SET = """id = "small-jobs"
summary = "Small jobs are nobody's business."
consumes = ["job.failed"]
when = "payload.job == 'small'"
[set]
level = "infrastructure"
"""
CALLING = """# /// cartridge
# id = "calling"
# summary = "Asks, and fails at seven."
# consumes = ["shop.*"]
# [permissions]
# calls = ["ask"]
# ///


async def process(event, context):
    if event.payload["n"] == 7:
        raise ValueError("seven")
    await context.call("ask", {"n": event.payload["n"]})
    return event
"""


@pytest.fixture
def sold(face):
    """A workspace in which ten things were sold, a minute apart."""
    for n in range(10):
        face.later(MINUTE)
        face("emit", "shop.sold", "--source", "till", "--entity", f"t{n}", "--payload", json.dumps({"n": n}))
    face("emit", "job.failed", "--source", "cron", "--entity", "small", "--payload", '{"job": "small", "run": 1}')
    face("run", "--until-idle")
    return face


def write(face, name: str, text: str, folder: str = "cartridges") -> Path:
    path = face.root / folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    return path


def backtest(face, path: Path, *more: str, code: int = 0) -> dict:
    return json.loads(face("cartridge", "backtest", str(path), "--json", *more, code=code).output)


def test_a_new_rule_says_what_it_would_have_told(sold, snapshot):
    path = write(sold, "big-sale.toml", RULE.format(least=7))
    said = sold("cartridge", "backtest", str(path)).output
    snapshot(re.sub(r"[\d,]+ us", "N us", said))


def test_the_json_counts_every_kind_and_names_events(sold):
    said = backtest(sold, write(sold, "big-sale.toml", RULE.format(least=7)))
    assert (1, "big-sale", ["workspace"], None) == (said["schema_version"], said["id"], said["pipelines"], said["against"])
    assert {"notified": 2, "told": 2} == said["counts"]
    assert ["t8: 8 sold", "t9: 9 sold"] == [each["after"] for each in said["changes"]["told"]]
    assert (10, 0) == (said["runs"], said["errors"])


def test_runs_that_were_taken_back_are_not_counted(sold):
    rule = RULE.format(least=7).replace('"shop.*"', '"**"').replace('when = "', 'when = "has(payload.n) && ')
    said = backtest(sold, write(sold, "big-sale.toml", rule))
    assert {"notified": 2, "told": 2} == said["counts"]
    assert 10 + 1 + 2 == said["runs"]  # what was sold, what failed, and its own notices


def test_a_change_is_compared_with_another_version(sold):
    older = write(sold, "older.toml", RULE.format(least=7), folder="aside")
    newer = write(sold, "big-sale.toml", RULE.format(least=8))
    said = backtest(sold, newer, "--against", str(older))
    assert {"unnotified": 1, "untold": 1} == said["counts"]
    assert "big-sale 0.1.0" == said["against"]


def test_a_version_may_be_a_revision_of_git(sold):
    path = write(sold, "big-sale.toml", RULE.format(least=7))
    git = ["git", "-C", str(sold.root), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "cartridges"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    write(sold, "big-sale.toml", RULE.format(least=6))
    assert {"notified": 1, "told": 1} == backtest(sold, path, "--against", "HEAD")["counts"]
    assert "no such revision" in sold("cartridge", "backtest", str(path), "--against", "nowhere", code=3).output


def test_a_draft_is_compared_with_what_stands_in_its_place(sold):
    write(sold, "big-sale.toml", RULE.format(least=7))
    config = sold.root / "eventctl.toml"
    config.write_text(config.read_text() + "\n[enable]\nbig-sale = {}\n")
    draft = write(sold, "draft.toml", RULE.format(least=4), folder="aside")
    assert {"notified": 3, "told": 3} == backtest(sold, draft)["counts"]


def test_a_draft_can_be_put_where_it_would_stand(sold):
    (sold.root / "personal" / "ada").mkdir(parents=True, exist_ok=True)
    draft = write(sold, "draft.toml", RULE.format(least=8), folder="aside")
    said = backtest(sold, draft, "--into", "member:ada")
    assert ["members"] == said["pipelines"]
    assert "member:ada" in said["changes"]["notified"][0]["after"]
    assert 3 == sold.ask("cartridge", "backtest", str(draft), "--into", "domain:nowhere").exit_code


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--fail-on", "newly"), 1), (("--fail-on", "any"), 1)])
def test_ci_is_told_by_the_exit_code(sold, words, code):
    backtest(sold, write(sold, "big-sale.toml", RULE.format(least=8)), *words, code=code)


def test_without_a_difference_ci_goes_on(sold):
    backtest(sold, write(sold, "big-sale.toml", RULE.format(least=100)), "--fail-on", "any")


@pytest.mark.parametrize(("since", "count"), [("e9", 2), ("3m", 4), ("2026-11-20", 5), ("2027-01-01", 0), ("30d", 5)])
def test_it_tells_from_a_record_an_age_or_a_date_on(sold, since, count):
    said = backtest(sold, write(sold, "big-sale.toml", RULE.format(least=4)), "--since", since)
    assert count == said["counts"].get("notified", 0)


def test_a_rule_that_shapes_says_what_is_at_another_level(sold):
    said = backtest(sold, write(sold, "small-jobs.toml", SET))
    assert 1 == said["counts"]["level"]
    assert "infrastructure" == said["changes"]["level"][0]["after"]


@pytest.mark.parametrize(
    ("effect", "kind"),
    [('[silence]\nfor = "2h"\nreason = "known"', "silenced"), ('[group]\nby = ["payload.job"]', "regrouped")],
)
def test_what_a_rule_keeps_quiet_or_gathers_is_told_as_that(sold, effect, kind):
    text = SET.replace('[set]\nlevel = "infrastructure"\n', effect + "\n")
    said = backtest(sold, write(sold, "small-jobs.toml", text))
    assert 1 == said["counts"][kind]
    assert "unnotified" not in said["counts"]


def test_errors_and_calls_without_an_answer_are_named_and_nothing_is_sent(sold):
    said = backtest(sold, write(sold, "calling.py", CALLING))
    assert 9 == said["counts"]["calls"]
    assert ["retry: ValueError: seven"] == [each["after"] for each in said["changes"]["failed"]] or "dead" in str(
        said["changes"]
    )


def test_nothing_is_written(sold):
    path = write(sold, "big-sale.toml", RULE.format(least=4))
    before = {
        file.name: file.read_bytes() for file in (sold.root / ".eventctl").iterdir() if file.is_file() and file.stat().st_size
    }
    backtest(sold, path)
    after = {
        file.name: file.read_bytes() for file in (sold.root / ".eventctl").iterdir() if file.is_file() and file.stat().st_size
    }
    assert {name: data for name, data in before.items() if not name.endswith("-shm")} == {
        name: data for name, data in after.items() if not name.endswith("-shm")
    }


def test_a_cartridge_with_a_mistake_is_refused_with_its_place(sold):
    path = write(sold, "big-sale.toml", RULE.format(least=4).replace("payload.n >", "payload.n +"))
    result = sold.ask("cartridge", "backtest", str(path))
    assert 78 == result.exit_code
    assert 3 == sold.ask("cartridge", "backtest", str(path.with_name("none.toml"))).exit_code


def test_examples_are_run_and_one_that_fails_is_shown(sold, snapshot):
    write(sold, "big-sale.toml", RULE.format(least=4))
    given = '[[given]]\nevent = "shop.sold"\nentity = "t"\npayload = { n = 5 }\n'
    write(sold, "big-sale.examples.toml", given + "[then]\nnotifications = 1\n")
    assert "1 example, none failed" in sold("cartridge", "test").output
    write(
        sold, "more.toml", given + '[then]\nnotifications = [{ title = "t: 6 sold" }]\n', folder="cartridges/big-sale.examples"
    )
    snapshot(sold("cartridge", "test", str(sold.root / "cartridges" / "big-sale.toml"), code=1).output)
    said = json.loads(sold("cartridge", "test", "--json", code=1).output)
    assert (2, 1, [False, True]) == (said["examples"], said["failed"], sorted(item["ok"] for item in said["items"]))
