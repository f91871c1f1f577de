"""`inbox act`: what a screen says when somebody takes an action, and who may not."""

from __future__ import annotations

import json

import pytest

TYPES = """\
namespace = "domain.kiosk"
[lives.till]
key = ["till"]
title = "Till {till}"
[types."till.stuck"]
summary = "A till is stuck."
level = "business"
payload = { till = "int" }
lives = { till = "opens" }
actions = { restart = { summary = "Restart the till", emits = "till.restarted" } }
[types."till.restarted"]
summary = "Somebody restarted it."
level = "workflow"
payload = { till = "int", by = "str?" }
lives = { till = "resolves" }
"""


@pytest.fixture
def kiosk(face):
    """A workspace with a till that is stuck (n1), which offers to be restarted."""
    domain = face.root / "company" / "domains" / "kiosk"
    domain.mkdir(parents=True)
    (domain / "domain.toml").write_text('summary = "Tills."\n')
    (domain / "event_types.toml").write_text(TYPES)
    face("run", "--until-idle")
    face("emit", "domain.kiosk.till.stuck", "--source", "till", "--payload", '{"till": 7}')
    face("run", "--until-idle")
    return face


def test_what_a_notification_offers_can_be_taken_and_stands_in_its_history(kiosk, snapshot):
    screens = [
        kiosk("inbox", "show", "n1").stdout,
        kiosk("inbox", "act", "n1", "restart", "--payload", '{"by": "hand"}').stdout,
        kiosk("run", "--until-idle").stdout,
        kiosk("inbox", "show", "n1").stdout,
    ]
    snapshot("---\n".join(screens))


def test_the_answer_as_json_names_the_decision_and_the_event(kiosk):
    told = json.loads(kiosk("inbox", "act", "n1", "restart", "--json").stdout)
    assert ("restart", "d1", "done") == (told["action"], told["decision"], told["state"])
    event = json.loads(kiosk("log", "show", f"e{told['event']}", "--json").stdout)
    assert ("domain.kiosk.till.restarted", "cli:ada", {"till": 7}) == (
        event["type"],
        event["principal"],
        event["body"]["payload"],
    )


def test_the_offer_stands_in_json_too(kiosk):
    [offer] = json.loads(kiosk("inbox", "show", "n1", "--json").stdout)["actions"]
    assert {"name": "restart", "summary": "Restart the till", "emits": "domain.kiosk.till.restarted", "declared": True} == offer


def test_an_agent_acts_by_what_autonomy_says(kiosk):
    config = kiosk.root / "eventctl.toml"
    config.write_text(config.read_text() + '\n[autonomy.types]\n"domain.kiosk.**" = "L1"\n')
    said = kiosk("inbox", "act", "n1", "restart", "--agent", "bot")
    assert "n1  restart: waits for a person, d1  Till 7" in " ".join(said.stdout.split(" ")).replace("    ", "  ")
    assert "`eventctl decisions show d1`" in said.stderr
    kiosk("run", "--until-idle")
    assert "bot asks: Restart the till" in kiosk("inbox", "list").stdout
    kiosk("run", "--until-idle")
    assert "open" in kiosk("inbox", "show", "n1").stdout
    assert (
        "bot has asked for 'restart' already: d1 is held"
        in kiosk("inbox", "act", "n1", "restart", "--agent", "bot", code=4).stderr
    )


def test_a_program_of_an_agent_speaks_for_the_agent_whatever_it_says(kiosk):
    config = kiosk.root / "eventctl.toml"
    config.write_text(config.read_text() + '\n[autonomy.domains]\nkiosk = "L1"\n')
    told = json.loads(kiosk("inbox", "act", "n1", "restart", "--as", "ada", "--json", EVENTCTL_AGENT="bot").stdout)
    assert "held" == told["state"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["n1", "restrat"], 3, "restart"),
        (["n9", "restart"], 3, "n9"),
        (["n1", "restart", "--payload", "{"], 2, "payload"),
        (["n1", "restart", "--payload", "[1]"], 2, "a JSON object"),
        (["n1", "restart", "--payload", '{"till": "x"}'], 2, "till is string, declared integer"),
    ],
    ids=str,
)
def test_what_cannot_be_done_says_so(kiosk, words, code, said):
    assert said in kiosk("inbox", "act", *words, code=code).stderr


def test_a_program_of_an_agent_is_not_another_agent(kiosk):
    """Levels stand by the name of an agent: one that takes another's takes its levels too."""
    for words in (("--agent", "trusted", "inbox", "list"), ("inbox", "act", "n1", "restart", "--agent", "trusted")):
        found = kiosk(*words, EVENTCTL_AGENT="bot", code=5)
        assert "bot does not speak for trusted" in found.stderr
    assert "n1" in kiosk("inbox", "list", "--agent", "bot", EVENTCTL_AGENT="bot").stdout


def test_the_claim_of_an_agent_fences_what_it_left_behind(kiosk):
    token = json.loads(kiosk("inbox", "claim", "n1", "--agent", "bot", "--json").stdout)["items"][0]["token"]
    kiosk("inbox", "release", "n1", "--agent", "bot")
    kiosk("inbox", "claim", "n1", "--agent", "bot")
    env = {"EVENTCTL_AGENT": "bot", "EVENTCTL_NOTIFICATION": "n1", "EVENTCTL_CLAIM": str(token)}
    assert "claim 1 of n1 is over" in kiosk("inbox", "resolve", "n1", code=4, **env).stderr
    kiosk("inbox", "resolve", "n1", **env | {"EVENTCTL_CLAIM": "2"})


def test_what_an_agent_asked_for_is_done_when_a_person_approves_it(kiosk):
    config = kiosk.root / "eventctl.toml"
    config.write_text(config.read_text() + '\n[autonomy.domains]\nkiosk = "L1"\n')
    kiosk("inbox", "act", "n1", "restart", "--agent", "bot")
    kiosk("run", "--until-idle")
    kiosk("decisions", "approve", "d1", "--agent", "bot", code=5)
    kiosk("decisions", "approve", "d1")
    kiosk("run", "--until-idle")
    told = json.loads(kiosk("decisions", "show", "d1", "--json").stdout)
    assert "done" == told["state"]
    assert "resolved" in kiosk("inbox", "show", "n1").stdout


def test_what_a_person_denied_is_not_done(kiosk):
    config = kiosk.root / "eventctl.toml"
    config.write_text(config.read_text() + '\n[autonomy.domains]\nkiosk = "L1"\n')
    kiosk("inbox", "act", "n1", "restart", "--agent", "bot")
    kiosk("decisions", "deny", "d1")
    kiosk("run", "--until-idle")
    assert "open" in kiosk("inbox", "show", "n1").stdout
    assert "denied" == json.loads(kiosk("decisions", "show", "d1", "--json").stdout)["state"]
    assert "d1 is denied" in kiosk("inbox", "act", "n1", "restart", "--agent", "bot", code=4).stderr


def test_who_gives_something_back_can_say_why(kiosk):
    kiosk("inbox", "claim", "n1", "--agent", "bot")
    kiosk("inbox", "release", "n1", "--agent", "bot", "-m", "no password")
    assert "bot gave back n1 (no password)" in kiosk("inbox", "show", "n1").stdout
