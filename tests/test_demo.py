"""The demo: a recording that ends now, the same story every time, and numbers that add up."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eventctl import demo
from eventctl.cli import cli
from eventctl.cli.session import Session
from eventctl.errors import NotFound
from eventctl.times import MINUTE, parse_iso

NOW = parse_iso("2026-12-01T09:00:00Z")
ENV = {"HOME": "/nowhere", "NO_COLOR": "1"}


def play(*words: str) -> Result:
    return CliRunner().invoke(cli, ["demo", *words], obj=Session(env=ENV, now=lambda: NOW), catch_exceptions=False)


@pytest.fixture(scope="module")
def shown() -> str:
    result = play()
    assert 0 == result.exit_code
    return result.stdout


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("demo") / "week"
    return folder, play("--json", "--keep", str(folder))


def test_the_recording_ends_at_most_five_minutes_before_now():
    tape = demo.lines(demo.recording(), NOW)
    assert 0 <= NOW - tape[-1].at < 5 * MINUTE


def test_the_recording_is_shifted_by_whole_windows_so_that_a_burst_stays_one():
    one, other = (demo.lines(demo.recording(), now)[0].at for now in (NOW, NOW + 11 * MINUTE))
    assert 10 * MINUTE == other - one


def test_lines_come_in_the_order_of_their_arrival():
    tape = demo.lines(demo.recording(), NOW)
    assert all(before.at <= after.at for before, after in pairwise(tape))


def test_every_instant_in_an_envelope_is_shifted_and_none_lies_in_the_future():
    tape = demo.lines(demo.recording(), NOW)
    said = [parse_iso(found.decode()) for line in tape for found in re.findall(rb'"timestamp":"([^"]+Z)"', line.raw)]
    assert len(said) > 4_000
    assert max(said) < NOW


def test_a_recording_that_is_missing_is_named(tmp_path):
    with pytest.raises(NotFound, match="recording is missing"):
        demo.lines(tmp_path / "no.gz", NOW)


def test_the_demo_says_the_same_every_time(shown):
    def timeless(text: str) -> str:
        return re.sub(r"\d+\.\d s", "0.0 s", text)

    assert timeless(shown) == timeless(play().stdout)


def test_the_inbox_of_the_demo_reads_like_the_end_of_a_week(shown):
    for title in (
        "terraform apply",
        "Deploy of web to production",
        "disk of atlas",
        "CVE-2026-48211",
        "places within minutes",
    ):
        assert title in shown


def test_the_demo_ends_with_one_why_and_with_what_to_type_next(shown):
    assert "$ eventctl why " in shown
    assert "Try next:" in shown.splitlines()[-4]


def test_the_numbers_of_the_demo_add_up(kept):
    facts = json.loads(kept[1].stdout)
    assert facts["lines"] == facts["events"] + facts["repeats"] + facts["rejects"]
    assert 0 == facts["unaccounted"]
    assert facts["repeats"] > 100
    assert facts["notifications"] > 10 * facts["open"]


def test_what_the_demo_kept_folds_to_the_same_inbox_again(kept):
    result = CliRunner().invoke(cli, ["-w", str(kept[0]), "verify", "--rebuild"], obj=Session(env=ENV))
    assert 0 == result.exit_code, result.output


def test_the_demo_does_not_touch_a_workspace_that_is_there(kept):
    again = play("--keep", str(kept[0]))
    assert 2 == again.exit_code
    assert "holds a workspace already" in again.stderr
