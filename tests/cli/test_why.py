"""`why`: every end that a record can come to has its sentence, and the same facts in JSON."""

from __future__ import annotations

import json

import pytest

from eventctl.times import HOUR

JOB = '{"job": "backup", "run": "r1"}'


def facts(face, short):
    return json.loads(face("why", short, "--json").stdout)


def missing(face, short):
    return facts(face, short)["no_notification"]["code"]


def work(face):
    face("run", "--until-idle")


def test_a_notification_tells_its_life(face, snapshot):
    face("emit", "job.failed", "--source", "cron", "--id", "1", "--description", "disk full", "--payload", '{"job": "backup"}')
    work(face)
    face.later(HOUR)
    face("inbox", "claim", "n1")
    face("inbox", "seen", "n1")
    face("emit", "job.succeeded", "--source", "cron", "--id", "2", "--payload", '{"job": "backup"}')
    work(face)
    face.later(HOUR)
    snapshot(face("why", "n1").stdout)
    snapshot(face("why", "n1", "--json").stdout, "json")


def test_a_record_tells_what_it_opened_and_who_handled_that(face, snapshot):
    face("emit", "job.failed", "--source", "cron", "--id", "1", "--payload", JOB)
    work(face)
    face("inbox", "resolve", "n1", "-m", "freed the disk")
    face.later(HOUR)
    snapshot(face("why", "e1").stdout)


def test_a_duplicate_names_the_first_and_the_first_its_repeats(face, snapshot):
    for number in ("1", "2", "3"):
        face("emit", "job.failed", "--source", "cron", "--id", number, "--payload", JOB)
    work(face)
    snapshot(face("why", "e3").stdout)
    assert (1, "duplicate") == (facts(face, "e3")["duplicate_of"], missing(face, "e3"))
    assert {"count": 2, "seqs": [2, 3]} == facts(face, "e1")["duplicates"]
    assert "2 came later and were dropped: e2, e3." in face("why", "e1").stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["stranger.spoke"], "undeclared"),
        (["git.commit"], "no_life"),
        (["job.succeeded", "--payload", '{"job": "backup"}'], "none_open"),
        (["job.failed", "--payload", "{}"], "no_key"),
    ],
)
def test_why_there_is_no_notification(face, snapshot, words, code):
    face("emit", *words, "--source", "s", "--id", "1")
    work(face)
    assert code == missing(face, "e1")
    snapshot(face("why", "e1").stdout, code)


def test_what_nobody_has_come_to_yet_says_how_far_away_the_pipeline_is(face, snapshot):
    for number in ("1", "2", "3"):
        face("emit", "job.failed", "--source", "cron", "--id", number, "--payload", JOB)
    snapshot(face("why", "e3").stdout)
    assert "not_yet" == missing(face, "e3")


def test_what_is_held_says_who_holds_it_and_how_to_release_it(face, snapshot):
    face("emit", "system.burst.detected", "--source", "me", "--id", "1")
    work(face)
    result = face("why", "e1")
    snapshot(result.stdout + result.stderr)
    assert "quarantined" == missing(face, "e1")


def test_a_move_stands_with_the_notification_that_it_moved(face):
    face("emit", "job.failed", "--source", "cron", "--id", "1", "--payload", JOB)
    work(face)
    face("inbox", "claim", "n1")
    told = facts(face, "e2")
    assert (None, [1]) == (told["no_notification"], [each["number"] for each in told["notifications"]])
    assert "It was caused by e1 job.failed." in face("why", "e2").stdout
    assert [2] == facts(face, "e1")["caused"]


def test_what_a_person_said_of_a_held_event_is_no_event(face):
    face("emit", "system.burst.detected", "--source", "me", "--id", "1")
    work(face)
    face("quarantine", "discard", "e1")
    work(face)
    assert "not_an_event" == missing(face, "e2")
    assert "ada discarded e1, on the command line" in face("why", "e2").stdout


def test_a_short_id_is_found_when_it_is_the_whole_one(face):
    face("emit", "a.b", "--source", "s", "--id", "abc")
    face("emit", "a.b", "--source", "s", "--id", "abcd")
    assert "e1" in face("why", "abc").stdout
    face("why", "ab", code=3)
