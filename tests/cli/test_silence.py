"""`silence`: what is set, listed and ended, and what other commands say of it."""

from __future__ import annotations

import json

import pytest

from eventctl.times import DAY, HOUR, MINUTE

FAILED = ("emit", "job.failed", "--source", "cron", "--payload", '{"job": "backup", "exit_code": 3}')


@pytest.fixture
def quiet(face):
    """Jobs are silenced for two hours, and one fails."""
    face("silence", "add", "--type", "job.*", "--for", "2h", "--reason", "the rack is moved")
    face(*FAILED, "--id", "1")
    face("run", "--until-idle")
    face.later(MINUTE)
    return face


def test_a_silence_says_until_when_and_when_it_takes_effect(face, snapshot):
    result = face("silence", "add", "--type", "job.*", "--for", "2h", "--reason", "the rack is moved")
    snapshot(result.stdout + result.stderr)


def test_one_that_comes_again_says_its_zone_and_how_long_it_goes_on(face, snapshot):
    result = face(
        "silence", "add", "--source", "ci/*", "--every", "Sat 22:00-06:00", "--timezone", "Europe/Berlin", "--reason", "x"
    )
    snapshot(result.stdout + result.stderr)


def test_the_list_says_how_much_each_kept_quiet_and_when_it_ends(quiet, snapshot):
    quiet("silence", "add", "--entity", "host/db1", "--for", "1d", "--mine", "--reason", "on call elsewhere")
    snapshot(quiet("silence").stdout)


def test_the_list_as_json(quiet, snapshot):
    snapshot(quiet("silence", "--json").stdout)


def test_nothing_silenced_says_how(face):
    assert "Nothing is silenced" in face("silence").stderr


def test_the_inbox_leaves_it_out_says_how_many_and_shows_them_when_asked(quiet, snapshot):
    listed, asked = quiet("inbox"), quiet("inbox", "list", "--silenced")
    snapshot(listed.stdout + listed.stderr + asked.stdout + asked.stderr)


def test_a_notification_says_what_keeps_it_quiet_and_why(quiet, snapshot):
    snapshot(quiet("inbox", "show", "n1").stdout)


def test_why_names_the_silence_its_reason_and_its_end(quiet):
    for short in ("n1", "e2"):
        said = " ".join(quiet("why", short).stdout.split())
        assert (
            "The silence s1, set by ada, keeps it quiet, from everybody, until 2026-11-20 14:00:00: the rack is moved." in said
        )
    assert "s1" == json.loads(quiet("why", "n1", "--json").stdout)["silenced_by"]


def test_ended_it_is_over_and_what_burns_is_back(quiet, snapshot):
    ended = quiet("silence", "end", "s1")
    quiet("run", "--until-idle")
    back, every = quiet("inbox"), quiet("silence", "list", "--all")
    snapshot(ended.stdout + ended.stderr + back.stdout + every.stdout)


def test_by_itself_it_ends_too(quiet):
    quiet.later(2 * HOUR)
    quiet("run", "--until-idle")
    assert "backup" in quiet("inbox").stdout
    assert "" == quiet("silence").stdout


def test_a_member_silences_their_own_view_and_nobody_elses(quiet):
    quiet("silence", "end", "s1")
    quiet("silence", "add", "--type", "job.*", "--for", "1d", "--mine", "--reason", "asleep")
    quiet(*FAILED, "--id", "2")
    quiet("run", "--until-idle")
    assert "backup" not in quiet("inbox").stdout
    assert "snoozed, back in" in quiet("inbox", "list", "--snoozed").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--type", "job.*"], "a silence has an end"),
        (["--for", "2h"], "a silence is about something"),
        (["--type", "job.*", "--for", "2h", "--until", "2026-12-01T00:00:00Z"], "--for or --until"),
        (["--type", "job.*", "--until", "tomorrow"], "a time is written like"),
        (["--type", "job.*", "--every", "Sat 22-6"], "a time of the week is written like"),
        (["--type", "job.*", "--for", "1h", "--timezone", "Europe/Berlin"], "--timezone is where --every is read"),
        (["--type", "job.*", "--every", "Sat 22:00-06:00", "--timezone", "Mars"], "no time zone is called"),
        (["--when", "payload.", "--for", "2h"], "when"),
    ],
)
def test_one_that_makes_no_sense_says_what_and_what_to_write(face, words, said):
    assert said in face("silence", "add", *words, "--reason", "r", code=2).stderr


def test_an_agent_may_silence_nothing(face):
    said = face("silence", "add", "--type", "**", "--for", "1h", "--reason", "r", "--agent", "builder", code=5).stderr
    assert "builder may not set a silence for the whole workspace" in said


def test_one_that_is_not_there_cannot_be_ended(quiet):
    assert "there is no silence s9" in quiet("silence", "end", "s9", code=3).stderr
    quiet("silence", "end", "1")
    assert "s1 is over already" in quiet("silence", "end", "s1", code=4).stderr


def test_a_forgotten_silence_stands_in_the_inbox(face):
    face("silence", "add", "--type", "job.*", "--for", "20d", "--reason", "the rack is moved")
    face("run", "--until-idle")
    face.later(8 * DAY)
    face("run", "--until-idle")
    assert "Silence s1 has been on for 7 days: job.* (the rack is moved)" in face("inbox").stdout
