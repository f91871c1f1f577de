"""`quarantine`: what is held can be chosen, understood, let go on once or dropped; a rule is told and never written."""

from __future__ import annotations

import json
import tomllib

import pytest


def answer(face, *words, code=0):
    return json.loads(face(*words, "--json", code=code).stdout)


@pytest.fixture
def held(face):
    """Six events that a strict workspace holds: four for who sent them, two for what they look like."""
    config = face.root / "eventctl.toml"
    rules = 'rules = [{ source = "cron-*", verdict = "quarantine" }]'
    config.write_text(f'[trust]\n{rules}\n[trust.anomalies]\noversized = "quarantine"\nsize = 600\n')
    for number, source in enumerate(["cron-a", "cron-b", "cron-a", "cron-[x]"]):
        face("emit", "job.begun", "--source", source, "--id", f"c{number}")
    for number in range(2):
        face("emit", "job.begun", "--source", "big", "--id", f"b{number}", "--payload", json.dumps({"log": "x" * 700}))
    face("run", "--until-idle")
    return face


def shorts(face, *words):
    return [item["short"] for item in answer(face, "quarantine", "list", *words)["items"]]


def test_what_is_held_is_chosen_by_source_and_by_reason(held):
    assert ["e6", "e5", "e4", "e3", "e2", "e1"] == shorts(held)
    assert ["e3", "e1"] == shorts(held, "--source", "cron-a")
    assert ["e6", "e5"] == shorts(held, "--reason", "oversized*")
    assert ["e3"] == shorts(held, "--source", "cron-a", "--limit", "1")
    assert [] == shorts(held, "--source", "cron-*", "--reason", "oversized*")


def test_one_that_is_held_says_what_made_it_suspicious(held):
    assert "it is larger than events of its type are (oversized: 8" in held("quarantine", "show", "e5").stdout
    said = answer(held, "quarantine", "show", "e1")["items"][0]
    assert ("rule: cron-*", "a rule of [trust] names its source (rule: cron-*)") == (said["reason"], said["because"])


def test_all_of_a_source_go_on_and_the_rest_stays(held):
    asked = answer(held, "quarantine", "release", "--all", "--source", "cron-a")
    assert [3, 1] == [item["seq"] for item in asked["items"]]
    held("run", "--until-idle")
    assert ["e6", "e5", "e4", "e2"] == shorts(held)
    assert 2 == answer(held, "status")["pipelines"]["system"]["applied"] - 2, "two moves and two events"


def test_all_of_a_reason_are_dropped_and_stay_in_the_log(held):
    held("quarantine", "discard", "--all", "--reason", "oversized*")
    held("run", "--until-idle")
    assert ["e4", "e3", "e2", "e1"] == shorts(held)
    step = answer(held, "why", "e5")["steps"][0]
    assert ("dropped", True) == (step["state"], step["reason"].startswith("discarded by cli:ada: oversized: "))


def test_everything_is_let_go_on_by_one_word_and_asking_again_does_nothing(held):
    held("quarantine", "release", "--all")
    held("quarantine", "release", "--all")
    held("run", "--until-idle")
    assert [] == shorts(held)
    facts = answer(held, "status")
    assert (0, 0) == (facts["unaccounted"], facts["pipelines"]["system"]["quarantined"])
    assert 1 == held("why", "e1").stdout.count("let in again")


@pytest.mark.parametrize("words", [["release"], ["discard"], ["release", "e1", "--all"], ["release", "e1", "--source", "x"]])
def test_words_that_could_mean_two_things_are_refused(held, words):
    assert "--all" in held("quarantine", *words, code=2).stderr
    assert 6 == len(shorts(held))


def test_trusting_a_source_prints_a_rule_that_does_it_and_edits_nothing(held):
    config = held.root / "eventctl.toml"
    before = config.read_text()
    said = answer(held, "quarantine", "release", "--all", "--source", "cron-*", "--trust-source")
    assert before == config.read_text()
    assert [
        '{ source = "cron-[[]x]", channel = "cli", verdict = "accept" }',
        '{ source = "cron-a", channel = "cli", verdict = "accept" }',
        '{ source = "cron-b", channel = "cli", verdict = "accept" }',
    ] == said["rules"]
    assert ["(rule: put it before the rule that holds its events now: the first that fits holds)"] == said["notes"]
    config.write_text(f"[trust]\nrules = [{said['rules'][0]}, {{ source = 'cron-*', verdict = 'quarantine' }}]\n")
    tomllib.loads(config.read_text())
    held("emit", "job.begun", "--source", "cron-[x]")
    held("emit", "job.begun", "--source", "cron-x")
    held("run", "--until-idle")
    assert 3 == len(shorts(held)), "the name is taken as it is, and is no pattern"


def test_what_a_rule_does_not_help_against_is_said(held):
    said = held("quarantine", "release", "e5", "--trust-source").stdout
    assert "[trust.anomalies] says what is done with what is too large" in said
