"""`decisions`: what waits is listed and shown as it will be done, decided once, by who may, and explained."""

from __future__ import annotations

import json
import time

import pytest

TYPES = """\
namespace = "domain.ops"
[types."failed"]
summary = "A deployment failed."
[types."restart"]
summary = "Somebody wants a restart."
"""
RULE = """\
id       = "rollback"
summary  = "Rolls back."
consumes = ["domain.ops.failed"]

[propose]
action  = "rollback"
summary = "Roll {payload.slug} back"
command = ["sh", "-c", "echo rolled back $1", "sh", "{payload.slug}"]
undo    = ["sh", "-c", "echo forward again"]
"""
MEMBERS = """
[members.ada]
role = "admin"
[members.bob]
role = "member"
domains = ["ops"]
[members.eve]
role = "member"
domains = ["sales"]
"""


def answer(face, *words, code=0, **env):
    return json.loads(face(*words, "--json", code=code, **env).stdout)


@pytest.fixture
def asked(face):
    """A domain whose rule has asked twice, and is held."""
    folder = face.root / "company/domains/ops"
    (folder / "cartridges").mkdir(parents=True)
    (folder / "domain.toml").write_text('summary = "Operations."\n')
    (folder / "event_types.toml").write_text(TYPES)
    (folder / "cartridges/rollback.toml").write_text(RULE)
    (face.root / "eventctl.toml").write_text(f'[autonomy]\ndefault = "L1"\n{MEMBERS}')
    face.now = time.time_ns() // 1_000
    face("run", "--until-idle")
    for slug in ("api", "web; rm -rf /"):
        face("emit", "domain.ops.failed", "--source", "ci", "--payload", json.dumps({"slug": slug}))
    face("run", "--until-idle")
    return face


def states(face):
    return {item["short"]: item["state"] for item in answer(face, "decisions", "list", "--all")["items"]}


def test_what_waits_is_in_the_inbox_and_in_the_list(asked):
    titles = [item["title"] for item in answer(asked, "inbox", "list")["items"]]
    assert ["ops asks: Roll api back", "ops asks: Roll web; rm -rf / back"] == sorted(titles)
    assert [("d2", "held"), ("d1", "held")] == [
        (item["short"], item["state"]) for item in answer(asked, "decisions", "list")["items"]
    ]
    shown = asked("decisions", "list").stdout
    assert "Roll api back" in shown
    assert 2 == answer(asked, "status")["decisions"]["held"]
    assert "eventctl decisions list" in asked("status").stderr


def test_it_is_shown_exactly_as_it_will_be_done_with_its_evidence(asked):
    shown = asked("decisions", "show", "d2").stdout
    assert "run  sh -c 'echo rolled back $1' sh 'web; rm -rf /'" in shown
    assert "run  sh -c 'echo forward again'" in shown
    assert "eventctl.toml: autonomy.default" in shown
    assert "0 times by a person, of this kind: domain:ops/rollback:rollback" in shown
    one = answer(asked, "decisions", "show", "d2")
    assert ("L1", 0, "domain.ops.failed") == (one["level"], one["approvals"], one["about"]["type"])


def test_an_approval_acts_once_and_resolves_what_told_of_it(asked):
    said = asked("decisions", "approve", "d1")
    assert "d1  approved" in said.stdout
    assert "eventctl run --until-idle" in said.stderr
    asked("run", "--until-idle")
    one = answer(asked, "decisions", "show", "d1")
    assert ("done", "cli:ada", 0) == (one["state"], one["decided_by"], one["result"]["exit"])
    assert "rolled back api" in asked("decisions", "show", "d1").stdout
    open_ = [item["title"] for item in answer(asked, "inbox", "list")["items"] if item["state"] == "none"]
    assert ["ops asks: Roll web; rm -rf / back"] == open_
    assert "was done" in asked("decisions", "approve", "d1", code=4).stderr


def test_several_are_decided_at_once_also_by_the_notification_that_tells_of_them(asked):
    number = next(item["short"] for item in answer(asked, "inbox", "list")["items"] if "api" in item["title"])
    done = answer(asked, "decisions", "deny", number, "d2")
    assert [("d1", "denied"), ("d2", "denied")] == [(item["short"], item["state"]) for item in done["items"]]
    asked("run", "--until-idle")
    assert {"d1": "denied", "d2": "denied"} == states(asked)
    assert "is about no decision" in asked("decisions", "show", _other(asked), code=2).stderr


def _other(face):
    face("emit", "job.failed", "--source", "cron", "--payload", '{"job": "x"}')
    face("run", "--until-idle")
    return next(item["short"] for item in answer(face, "inbox", "list")["items"] if item["type"] == "job.failed")


def test_what_was_done_is_taken_back_by_its_undo(asked):
    asked("decisions", "approve", "d1")
    asked("run", "--until-idle")
    assert "d1  is taken back" in asked("decisions", "undo", "d1").stdout
    asked("run", "--until-idle")
    assert "undone" == states(asked)["d1"]
    asked("decisions", "undo", "d1", code=4)


@pytest.mark.parametrize(("who", "code"), [(["--as", "bob"], 0), (["--as", "eve"], 5), (["--agent", "helper"], 5)])
def test_a_member_decides_for_their_domains_and_an_agent_for_none(asked, who, code):
    asked(*_told(who, "decisions", "approve", "d1"), code=code)
    assert ("approved" if code == 0 else "held") == states(asked)["d1"]


def _told(who, *words):
    return [*words, *who]


def test_a_decision_that_is_not_there_is_not_found_and_nothing_before_it_is_decided(asked):
    asked("decisions", "approve", "d1", "d9", code=3)
    assert "held" == states(asked)["d1"]


def test_a_no_says_why_to_whoever_asked(asked):
    asked("decisions", "deny", "d1", "-m", "not before Monday")
    assert "denied by cli:ada: not before Monday" in asked("decisions", "show", "d1").stdout
    assert "ada denied it now: not before Monday" in asked("why", "d1").stdout


def test_why_tells_of_it_by_the_event_and_by_itself(asked):
    asked("decisions", "approve", "d1")
    asked("run", "--until-idle")
    one = answer(asked, "decisions", "show", "d1")
    told = answer(asked, "why", f"e{one['seq']}")
    assert ("done", "eventctl.toml: autonomy.default") == (told["decisions"][0]["state"], told["decisions"][0]["why"])
    shown = asked("why", "d1").stdout
    assert "L1 holds it for a person (eventctl.toml: autonomy.default)." in shown
    assert "\n    ada approved it, and it was done" in shown
    assert "ada approved d1" in shown
    assert (
        "The rule domain:ops/rollback matched: [propose] asked for d1: Roll api back." in asked("why", f"e{one['seq']}").stdout
    )


def test_a_dry_run_says_what_would_be_asked_and_asks_nothing(asked):
    words = ("emit", "domain.ops.failed", "--source", "ci", "--payload", '{"slug": "db"}', "--dry-run")
    (decided,) = answer(asked, *words)["decisions"]
    assert ("held", "L1", "Roll db back") == (decided["state"], decided["level"], decided["summary"])
    assert "ops: Roll db back (would be held: L1, eventctl.toml: autonomy.default)" in asked(*words).stdout
    assert ["d1", "d2"] == sorted(states(asked))


def test_a_backtest_says_what_would_have_been_asked_and_sends_nothing(asked):
    draft = asked.root / "company/domains/ops/cartridges/restart.toml"
    draft.write_text(RULE.replace("rollback", "restart").replace("Roll {payload.slug} back", "Restart {payload.slug}"))
    kinds = answer(asked, "cartridge", "backtest", str(draft))["changes"]
    said = [change["after"] for change in kinds["asked"]]
    assert ["ops: Restart api (would be held: L1, eventctl.toml: autonomy.default)"] == said[:1]
    assert 2 == len(said)
    assert ["d1", "d2"] == sorted(states(asked))


CODE = """# /// cartridge
# id = "deployer"
# summary = "Deploys again."
# version = "VERSION"
# consumes = ["domain.ops.failed"]
# annotates = ["deployer"]
# [permissions]
# calls = ["command"]
# ///


async def process(event, context):
    slug = event.payload["slug"]
    decision = await context.decide("deploy", "command", {"argv": ["echo", slug]}, summary=f"Deploy {slug} again")
    context.annotate("deployer", SAYS)
    return event
"""


def test_a_backtest_takes_the_answers_that_were_given_then(asked):
    here = asked.root / "company/domains/ops/cartridges/deployer.py"
    here.write_text(CODE.replace("VERSION", "1").replace("SAYS", "decision.outcome"))
    asked("emit", "domain.ops.failed", "--source", "ci", "--payload", '{"slug": "db"}')
    asked("emit", "domain.ops.failed", "--source", "ci", "--payload", '{"slug": "ui"}')
    asked("run", "--until-idle")
    waiting = {item["summary"]: item["short"] for item in answer(asked, "decisions", "list")["items"]}
    asked("decisions", "approve", waiting["Deploy db again"])
    asked("decisions", "deny", waiting["Deploy ui again"])
    asked("run", "--until-idle")
    draft = asked.root / "deployer.py"
    draft.write_text(CODE.replace("VERSION", "2").replace("SAYS", "[decision.outcome, decision.by, decision.error]"))
    changes = answer(asked, "cartridge", "backtest", str(draft))["changes"]
    assert [
        ('deployer = "done"', 'deployer = ["done","cli:ada",""]'),
        ('deployer = "denied"', 'deployer = ["denied","cli:ada","denied by cli:ada"]'),
    ] == [(change["before"], change["after"]) for change in changes["annotated"]]
    assert ["annotated", "calls"] == sorted(changes), "those of the two events before, which nobody has answered"
