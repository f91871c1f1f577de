"""Going on from a position: nothing twice, nothing left out, and a clear word when the log has begun a new life."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest


@pytest.fixture
def filled(face):
    for number in range(1, 8):
        face("emit", "a.b" if number % 2 else "a.c", "--source", "s", "--id", f"i{number}")
    return face


def show(face, *words):
    return json.loads(face("log", "show", "--json", *words).stdout)


def test_pages_after_a_position_give_every_record_once(filled):
    start = show(filled, "--before", "e1")["position"]
    seen, page = [], show(filled, "-n", "3", "--after", start)
    while page["items"]:
        seen += [item["seq"] for item in page["items"]]
        page = show(filled, "-n", "3", "--after", page["position"])
    assert list(range(1, 8)) == seen
    filled("emit", "a.d", "--source", "s")
    assert [8] == [item["seq"] for item in show(filled, "--after", page["position"])["items"]]


def test_a_position_goes_on_past_what_a_filter_leaves_out(filled):
    page = show(filled, "--type", "a.c", "--after", show(filled, "e1")["position"])
    assert [2, 4, 6] == [item["seq"] for item in page["items"]]
    assert [] == show(filled, "--after", page["position"])["items"]
    some = show(filled, "--type", "a.c", "-n", "1", "--after", show(filled, "e1")["position"])
    assert 3 == show(filled, "--after", some["position"])["items"][0]["seq"]


def test_a_tail_goes_on_where_another_stopped(filled):
    kept = show(filled, "e5")["position"]
    words = [sys.executable, "-m", "eventctl", "-w", str(filled.root), "log", "tail", "--ndjson", "--after", kept]
    with subprocess.Popen(words, env=filled.env, stdout=subprocess.PIPE) as child:
        try:
            found = [json.loads(child.stdout.readline()) for _ in range(2)]
            assert [6, 7] == [each["seq"] for each in found]
            assert show(filled, "e7")["position"] == found[1]["position"]
            child.send_signal(signal.SIGINT)
            assert 0 == child.wait(timeout=30)
        finally:
            child.kill()


def test_a_position_from_before_a_restore_is_refused_and_says_what_to_do(filled, tmp_path):
    kept = show(filled)["position"]
    filled("backup", str(tmp_path / "b.db"))
    filled("restore", str(tmp_path / "b.db"), "--yes")
    for words in (["show"], ["tail", "--ndjson"]):
        assert "start again from the beginning or the tail" in filled("log", *words, "--after", kept, code=4).stderr
    assert [] == show(filled, "--after", show(filled)["position"])["items"]


@pytest.mark.parametrize("words", [["--after", "e4"], ["--after", "x:0:1", "--before", "e3"]])
def test_what_is_no_position_is_wrong_usage(filled, words):
    filled("log", "show", *words, code=2)
