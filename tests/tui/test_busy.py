"""The busy workspace has in it what screens are to show, and is the same every time."""

from __future__ import annotations

import json
import re

from tests.tui import busy as made

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
LISTS = (
    ("inbox", "list", "--json", "-n", "1000", "--silenced", "--resolved"), ("decisions", "list", "--all", "--json"),
    ("quarantine", "list", "--json"), ("dead-letter", "list", "--json"), ("rejects", "list", "--json"), ("silence", "--json"),
    ("cartridge", "list", "--json"), ("log", "show", "--json", "-n", "1000"),
)  # fmt: skip


def said(face, *words):
    """What a command says, without what is new every time: ids, folders, durations."""
    text = re.sub(r'[^":]*/given/', "given/", ID.sub("<new id>", face(*words).stdout))
    return re.sub(r'"(\w+_ms|seconds)": ?[\d.]+|"position": ?"\w+', "", text)


def items(face, *words):
    return json.loads(face(*words, "--json").stdout)["items"]


def test_it_is_the_same_every_time(busy, tmp_path, env):
    again = made.make(tmp_path / "again" / "busy", env)
    for words in LISTS:
        first, second = said(busy, *words), said(again, *words)
        assert len(first) > 2
        assert first == second, words


def test_there_is_everything_that_a_screen_shows(busy):
    inbox = items(busy, "inbox", "list", "-n", "1000")
    assert len(inbox) >= 40
    assert {0, 1, 2, 3} == {item["level"] for item in inbox}
    assert {"none", "claimed", "in_progress"} <= {item["state"] for item in inbox}
    assert {"held", "window", "done", "denied", "expired", "failed"} == {
        item["state"] for item in items(busy, "decisions", "list", "--all")
    }
    assert 7 == len(items(busy, "quarantine", "list"))
    assert 2 == len(items(busy, "dead-letter", "list"))
    assert 3 == len(items(busy, "rejects", "list"))
    assert 2 == len(items(busy, "silence"))
