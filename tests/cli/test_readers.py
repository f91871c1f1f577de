"""Other programs' words: the systemd journal and git."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventctl.decode import decode
from eventctl.journald import envelope

BASE = {"__REALTIME_TIMESTAMP": "1763632800000000", "_HOSTNAME": "atlas", "MESSAGE": "hello"}


def read(**fields):
    import orjson

    decoded = decode(orjson.dumps(envelope({**BASE, **fields})), now=1)
    return orjson.loads(decoded.body)


def test_bytes_come_as_numbers_and_are_shown_as_text():
    assert "café\\xff" == read(MESSAGE=[*"café".encode(), 255])["description"]


def test_a_repeated_field_is_joined_and_a_field_that_was_too_long_is_left_out():
    assert "a, b" == read(MESSAGE=["a", "b"])["description"]
    assert "message" not in read(MESSAGE=None)["payload"]


def test_only_the_first_line_describes_and_the_message_is_whole():
    event = read(MESSAGE="first\nsecond\0")
    assert ("first", "first\nsecond␀") == (event["description"], event["payload"]["message"])


@pytest.mark.parametrize(
    ("priority", "type_", "level"),
    [("0", "journal.alert", 2), ("2", "journal.alert", 2), ("3", "journal.entry", 1), ("6", "journal.entry", 0)],
)
def test_priority_says_how_much_it_matters(priority, type_, level):
    event = read(PRIORITY=priority)
    assert (type_, level) == (event["event"], event["level"])


def test_what_systemd_says_of_a_unit_is_about_that_unit():
    event = read(MESSAGE_ID="d9b373ed55a64feb8242e02dbe79a49c", UNIT="nginx.service", _SYSTEMD_UNIT="init.scope")
    assert ("journal.unit.failed", "nginx.service") == (event["event"], event["payload"]["unit"])
    assert "level" not in event


def test_the_moment_is_the_journals():
    assert "2025-11-20T10:00:00.000000Z" == read()["timestamp"]


@pytest.mark.parametrize("stamp", [None, "", "x", "-1", "9" * 30, ["1", "2"]])
def test_an_object_without_the_journals_time_is_no_entry(stamp):
    with pytest.raises(ValueError, match="journalctl -o json"):
        envelope({**BASE, "__REALTIME_TIMESTAMP": stamp})


VALUES = (
    st.none()
    | st.text(max_size=20)
    | st.integers()
    | st.lists(st.integers(-5, 300), max_size=5)
    | st.lists(st.text(max_size=5), max_size=3)
)
NAMES = st.sampled_from(
    ["MESSAGE", "PRIORITY", "_HOSTNAME", "_SYSTEMD_UNIT", "MESSAGE_ID", "UNIT", "SYSLOG_IDENTIFIER", "_PID", "__CURSOR"]
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(NAMES, VALUES))
def test_whatever_the_journal_holds_becomes_an_envelope_or_a_sentence(fields):
    from eventctl.errors import Refused

    try:
        assert read(**fields)["event"].startswith("journal.")
    except (ValueError, Refused):
        return  # a sentence; anything else fails the test
