"""The kit for authors: what it makes comes out the same every time, and what it says of a cartridge is what a runner would do."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl import testing
from eventctl.contracts import CallFailed
from eventctl.errors import Misconfigured, Refused
from eventctl.event import Level
from eventctl.testing import START, CartridgeFailed, Clock, Events
from eventctl.times import parse_iso

ROOT = Path(__file__).resolve().parents[1]
SHOP = """
namespace = "domain.shop"
[types."sold"]
summary = "Something was sold."
[types."restocked"]
summary = "There is more of it."
"""
COUNTER = """# /// cartridge
# id = "counter"
# summary = "Counts."
# consumes = ["domain.shop.sold"]
# emits = ["domain.shop.restocked"]
# annotates = ["count"]
# [settings]
# most = { type = "int", help = "So many are enough." }
# wait = { type = "duration", default = "1h" }
# ///
async def process(event, context):
    if event.event == "timer.due":
        context.notify("time is up", level="business", payload={"key": "time"})
        return event
    count = await context.state.get("count", 0) + 1
    context.state.set("count", count)
    context.annotate("count", {"n": count, "said": (await context.annotations()).get("said")})
    if count == 1:
        context.timer("soon", context.settings["wait"], {"why": "first"})
    if count == context.settings["most"]:
        context.emit("domain.shop.restocked", {"n": count})
    if count > context.settings["most"]:
        context.drop("enough")
    return event
"""


def sold(number: int = 1, **fields):
    return testing.make_event("domain.shop.sold", {"n": number}, number=number, entity="shop", **fields)


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    file = tmp_path / "counter.py"
    file.write_text(COUNTER)
    return file


def test_the_same_words_make_the_same_event_and_a_number_another():
    assert sold().body == sold().body
    assert sold().id != sold(2).id
    assert testing.make_event(number=1).id != testing.make_event(number=2).id
    assert (timedelta(seconds=1), 1_000_000) == (sold(2).timestamp - sold().timestamp, sold(2).at - sold().at)


def test_an_event_is_what_the_log_would_take():
    event = testing.make_event("job.failed", {"n": 1}, level="business", entity="x", at="2026-02-01T00:00:00Z", id="mine")
    assert ("job.failed", Level.BUSINESS, "x", "mine", {"n": 1}) == (
        event.event,
        event.level,
        event.entity,
        event.id,
        event.payload,
    )
    assert datetime(2026, 2, 1, tzinfo=UTC) == event.timestamp
    with pytest.raises(Refused):
        testing.make_event("Not A Type")


@given(st.lists(st.sampled_from([("a.b", 1), ("a.b", 2), ("a.c", 1)]), max_size=8))
def test_events_of_one_maker_are_all_different_and_those_of_another_the_same(said):
    one, other = Events(), Events()
    made = [one(name, {"n": n}) for name, n in said]
    assert len(said) == len({event.id for event in made})
    assert [event.body for event in made] == [other(name, {"n": n}).body for name, n in said]


def test_a_clock_stands_until_it_is_told_to_go_on():
    clock = Clock()
    assert parse_iso(START) == clock.now() == clock.now()
    clock.advance("1h").advance(timedelta(minutes=1)).advance(1_000_000)
    assert datetime(2026, 1, 5, 13, 1, 1, tzinfo=UTC) == clock.at
    assert 3_661 == clock.monotonic() - Clock().monotonic()


def test_everything_that_a_cartridge_said_is_there(counter):
    ran = testing.run_cartridge(
        counter, [sold(n) for n in range(1, 5)], settings={"most": 2}, event_types=SHOP, into="domain:shop", annotations={"said": "hi"}
    )  # fmt: skip
    assert [{"count": {"n": 1, "said": "hi"}}, {"count": {"n": 2, "said": "hi"}}, {}, {}] == list(ran.beside)
    assert {} == ran.annotations
    assert [("domain.shop.restocked", {"n": 2})] == [(event.event, event.payload) for event in ran.emitted]
    assert {"shop": {"count": 2}} == ran.state
    assert [("soon", datetime(2026, 1, 5, 13, tzinfo=UTC), {"why": "first"})] == list(ran.timers)
    assert [(2, "dropped", "enough"), (3, "dropped", "enough")] == list(ran.drops)
    assert ((), (), (), (), ()) == (ran.notices, ran.calls, ran.decisions, ran.failures, ran.spoilt)


def test_time_goes_by_as_it_is_told_and_timers_come_due(counter):
    given = {"settings": {"most": 9, "wait": timedelta(minutes=5)}, "event_types": SHOP, "into": "domain:shop"}
    assert 1 == len(testing.run_cartridge(counter, sold(), after="4m", **given).timers)
    ran = testing.run_cartridge(counter, sold(), after=timedelta(minutes=5), **given)
    assert ((), [("time is up", "business", "workspace", "time")]) == (ran.timers, [notice[:4] for notice in ran.notices])


def test_events_come_in_at_their_own_moments_or_from_the_one_that_is_said():
    async def when(event, context):
        context.annotate("when", context.now.isoformat())
        return event

    def seen(**more):
        ran = testing.run_cartridge(when, [sold(1), sold(3), sold(2)], manifest={"annotates": ["when"]}, **more)
        return [beside["when"][11:19] for beside in ran.beside]

    assert ["12:00:00", "12:00:02", "12:00:03"] == seen()
    assert ["08:00:00", "08:00:01", "08:00:02"] == seen(now="2026-01-05T08:00:00Z") == seen(now=Clock("2026-01-05T08:00:00Z"))


async def asks(event, context):
    try:
        answer = await context.call("command", {"argv": ["make", event.payload["what"]]})
    except CallFailed as failure:
        answer = str(failure)
    context.annotate("answer", answer)
    return event


ASKS = {"annotates": ["answer"], "permissions": {"calls": ["command"]}}
MAKE = testing.make_event("a.b", {"what": "lint"})


@pytest.mark.parametrize(
    ("answers", "expected", "state"),
    [
        ({"command": {"exit": 0}}, {"answer": {"exit": 0}}, "done"),
        ({("command", ...): {"exit": 0}}, {"answer": {"exit": 0}}, "done"),
        ({"command": lambda args: args["argv"][1]}, {"answer": "lint"}, "done"),
        ({"command": CallFailed("no such program")}, {"answer": "no such program"}, "dead"),
        ({}, {}, "pending"),
        ({"other": 1}, {}, "pending"),
    ],
)
def test_a_call_gets_the_answer_that_is_given_for_it_or_none(answers, expected, state):
    ran = testing.run_cartridge(asks, MAKE, manifest=ASKS, answers=answers)
    assert expected == ran.annotations
    assert [("command", {"argv": ["make", "lint"]}, state)] == list(ran.calls)


async def decides(event, context):
    decided = await context.decide("restart", "command", {"argv": ["restart"]}, summary="Restart the shop")
    context.annotate("answer", [decided.outcome, decided.by])
    return event


@pytest.mark.parametrize(
    ("given", "annotated", "state"),
    [
        ({"level": "L3"}, ["done", ""], "done"),
        ({"level": "L1"}, None, "held"),
        ({"level": "L1", "decide": {"restart": "approve"}}, ["done", "cli:test"], "done"),
        ({"level": "L1", "decide": {"restart": "deny"}}, ["denied", "cli:test"], "denied"),
        ({"level": "L1", "after": "25h"}, ["expired", ""], "expired"),
    ],
)
def test_what_it_wants_to_do_is_decided_as_it_is_said(given, annotated, state):
    ran = testing.run_cartridge(decides, MAKE, manifest=ASKS, answers={"command": {"exit": 0}}, **given)
    assert annotated == ran.annotations.get("answer")
    assert [("restart", "command", state)] == [(one.action, one.call, one.state) for one in ran.decisions]


def test_a_failure_is_raised_with_the_cartridges_own_error_and_place():
    async def breaks(event, context):
        return event.payload["nothing"]

    with pytest.raises(CartridgeFailed, match="breaks failed at event 1") as failed:
        testing.run_cartridge(breaks, [testing.make_event("a.b", {"nothing": None}), MAKE], manifest={})
    assert isinstance(failed.value.__cause__, KeyError)
    assert ["retry"] == [one.state for one in testing.run_cartridge(breaks, MAKE, manifest={}, raising=False).failures]


def test_what_a_manifest_does_not_allow_is_a_failure():
    with pytest.raises(CartridgeFailed, match="annotates"):
        testing.run_cartridge(asks, MAKE, manifest={"permissions": {"calls": ["command"]}}, answers={"command": 1})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"settings": {"most": "many"}}, "most"),
        ({"settings": {"least": 1, "most": 2}}, "least"),
        ({}, "most"),
        ({"settings": {"most": 2}, "event_types": 'namespace = "other"\n'}, "domain"),
    ],
)
def test_what_could_not_run_at_all_is_said_before(counter, more, said):
    with pytest.raises(Misconfigured, match=said):
        testing.run_cartridge(counter, sold(), **{"event_types": SHOP, "into": "domain:shop", **more})


def test_a_function_without_a_manifest_is_told_how_to_be_given_one(tmp_path):
    with pytest.raises(Misconfigured) as refused:
        testing.run_cartridge(eval(compile("lambda event, context: event", str(tmp_path / "x.py"), "eval")), MAKE)
    assert "manifest=" in refused.value.hint


def test_a_crash_before_every_commit_changes_nothing(counter):
    given = {"settings": {"most": 2}, "event_types": SHOP, "into": "domain:shop", "after": "2h"}
    events = [sold(n) for n in range(1, 5)]
    assert (
        testing.run_cartridge(counter, events, **given).told()
        == testing.run_cartridge(counter, events, crashing=True, **given).told()
    )


def test_in_a_workspace_a_cartridge_has_the_settings_of_its_place_and_those_that_are_given_go_before(workspace):
    here = workspace(
        {
            "company/domains/shop/domain.toml": 'summary = "A shop."\n[settings.counter]\nmost = 1\n',
            "company/domains/shop/event_types.toml": SHOP,
            "company/domains/shop/cartridges/counter.py": COUNTER,
        }
    )
    file = here.paths.root / "company/domains/shop/cartridges/counter.py"
    assert [1] == [drop.event for drop in testing.run_cartridge(file, [sold(1), sold(2)]).drops]
    assert () == testing.run_cartridge(file, [sold(1), sold(2)], settings={"most": 2}).drops


def test_what_it_says_is_what_a_runner_does(workspace, clock, counter):
    """The same cartridge in a workspace with a runner, and by itself: annotations and events agree."""
    here = workspace(
        {
            "company/domains/shop/domain.toml": 'summary = "A shop."\n[settings.counter]\nmost = 2\n',
            "company/domains/shop/event_types.toml": SHOP,
            "company/domains/shop/cartridges/counter.py": COUNTER,
        }
    )
    events = [sold(n) for n in range(1, 4)]
    seqs = []
    for event in events:
        seqs.append(here.emit(event.event, event.source, event.payload, entity=event.entity, id=event.id).seq)
        here.run_until_idle()
        clock.advance("1s")
    clock.advance("2h")
    here.run_until_idle()
    ran = testing.run_cartridge(counter, events, settings={"most": 2}, event_types=SHOP, into="domain:shop", after="2h")
    stored = [here.views.trace(seq).annotations.get("count") for seq in seqs]
    assert [one.get("count") for one in ran.beside] == [value and __import__("json").loads(value) for value in stored]
    made = [row.id for row in here.store.read_log(0, 1_000) if row.type == "domain.shop.restocked"]
    assert made == [event.id for event in ran.emitted]
    assert ["time is up"] == [item.notification.title for item in here.inbox.list().items] == [one.title for one in ran.notices]


def test_a_workspace_of_a_test_has_only_what_it_is_given(workspace, clock):
    here = workspace()
    here.emit("job.failed", "nas", {"job": "backup", "run": "1"})
    assert here.run_until_idle()
    assert ["Job backup"] == [item.notification.title[:10] for item in here.inbox.list().items]
    assert clock.now() == here.store.read_log(0, 1)[0].at
    assert [] == [problem for problem in here.problems if not problem.warning]
    assert here.paths.root != workspace(name="other").paths.root


def pytest_of(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


MODULES = "import sys\ndef test_it():\n    print(sorted(name for name in sys.modules if name.startswith('eventctl')))\n"


def test_the_plugin_brings_nothing_of_eventctl_along_before_a_fixture_is_asked_for(tmp_path):
    (tmp_path / "test_x.py").write_text(MODULES)
    assert "['eventctl', 'eventctl.pytest_plugin']" in pytest_of(tmp_path, "-s").stdout
    (tmp_path / "test_x.py").write_text(MODULES.replace("test_it()", "test_it(clock)"))
    assert "eventctl.kit" in pytest_of(tmp_path, "-s").stdout


def test_the_fixtures_are_there_without_a_word_and_with_the_collecting_plugin_alone(tmp_path):
    (tmp_path / "test_x.py").write_text(
        "def test_it(make_event, run_cartridge, clock, workspace):\n"
        "    async def process(event, context):\n        context.annotate('x', 1)\n        return event\n"
        "    assert {'x': 1} == run_cartridge(process, make_event(), manifest={'annotates': ['x']}).annotations\n"
        "    assert workspace().run_until_idle()\n"
    )
    assert "1 passed" in pytest_of(tmp_path).stdout
    assert "1 passed" in pytest_of(tmp_path, "-p", "no:eventctl", "-p", "eventctl.testing").stdout
    assert "fixture 'make_event' not found" in pytest_of(tmp_path, "-p", "no:eventctl").stdout


def test_examples_beside_cartridges_are_collected_by_the_plugin_that_is_asked_to(tmp_path):
    (tmp_path / "eventctl.toml").write_text("")
    (tmp_path / "cartridges").mkdir()
    for name in ("threshold.py", "threshold.examples.toml"):
        (tmp_path / "cartridges" / name).write_text((ROOT / "cartridges" / name).read_text())
    assert "1 passed" in pytest_of(tmp_path, "-p", "eventctl.testing").stdout
    assert "no tests ran" in pytest_of(tmp_path).stdout


def test_pytest_is_nothing_that_eventctl_needs_to_run():
    blocked = "import sys; sys.modules['pytest'] = None; import eventctl.testing, eventctl.cli; eventctl.testing.make_event()"
    assert 0 == subprocess.run([sys.executable, "-c", blocked]).returncode
