"""Every kind of rule once, from the file to the inbox: events in, over a clock that the test sets, and what people see of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import eventctl
from eventctl.app import Workspace
from eventctl.times import DAY, MINUTE, iso, parse_iso
from eventctl.views import InboxFilter
from tests.rulekit import beside, make, payloads, put

NOON = parse_iso("2026-11-20T12:00:00Z")
SOLD, ALARM, TROUBLE = "domain.ops.sold", "domain.ops.alarm", "domain.ops.trouble"
SPEAKS = f'[emit]\nevent = "{ALARM}"\n'


class Clock:
    def __init__(self, us: int = NOON) -> None:
        self.us = us

    def now(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.us / 1e6


class Day:
    """A workspace in which time passes as the test says."""

    def __init__(self, ws: Workspace, clock: Clock) -> None:
        self.ws = ws
        self.clock = clock

    def says(self, *payload: dict[str, Any], after: float = 1, event: str = SOLD, entity: str = "shop", **more: Any) -> int:
        """An event, so many minutes after the one before, and what follows. Gives its seq."""
        self.passes(after)
        seq = self.ws.emit(event, "till", *payload, entity=entity, **more).seq
        self.ws.run_until_idle()
        return seq

    def troubled(self, host: str, *, up: bool, entity: str = "shop") -> int:
        """A host says how it is."""
        return self.says({"host": host, "up": up}, event=TROUBLE, entity=entity)

    def passes(self, minutes: float) -> None:
        """Time, and what is due."""
        self.clock.us += int(minutes * MINUTE)
        self.ws.run_until_idle()

    @property
    def alarms(self) -> list[tuple[str, int]]:
        """What windows said: which rule, and how many it counted."""
        return [(each["rule"], each["window"]["count"]) for each in payloads(self.ws, ALARM)]

    @property
    def titles(self) -> list[str]:
        """The inbox."""
        want = InboxFilter(hide_silenced_at=self.clock.us, resolved=False)
        return sorted(item.notification.title for item in self.ws.views.inbox(want, limit=100).items)


EVENT_TYPES = """\
namespace = "domain.ops"
[lives.trouble]
key   = ["host"]
title = "{host} is in trouble"
[types."sold"]
summary = "Something was sold."
[types."restart"]
summary = "A restart begins."
[types."alarm"]
summary = "A window spoke."
[types."trouble"]
summary    = "Something is wrong with a host."
level      = "business"
payload    = { host = "str", up = "bool" }
lives      = { trouble = "opens" }
meaningful = ["up"]
"""


@contextmanager
def day(root: Path, clock: Clock | None = None, **rules: str) -> Iterator[Day]:
    """A workspace with these rules of its domain, or the one that is there."""
    if rules:
        make(root, **rules)
        (root / "company/domains/ops/event_types.toml").write_text(EVENT_TYPES)
    clock = clock or Clock()
    with eventctl.open(root, env={}, clock=clock, no_plugins=True) as ws:
        ws.run_until_idle()
        assert [] == [str(problem) for problem in ws.problems if "cartridges/" in problem.where and not problem.warning]
        yield Day(ws, clock)


def about_trouble(name: str) -> str:
    """How the file of a rule begins that looks at trouble only."""
    return f'id = "{name}"\nsummary = "A rule."\nconsumes = ["{TROUBLE}"]\n'


def window(kind: str, within: str = "10m", **keys: str) -> str:
    """The file of a rule with a window, whose effect is an alarm."""
    lines = "".join(f"{name} = {value}\n" for name, value in keys.items())
    return f'{SPEAKS}[window]\nkind = "{kind}"\nwithin = "{within}"\n{lines}'


THREE = window("threshold", count="3")
BACKUP = window("absence", within="30m", after="\"payload.step == 'begin'\"", expect="\"payload.step == 'end'\"")


def test_threshold_three_within_ten_minutes_for_each_entity_once_until_it_was_calm(tmp_path: Path) -> None:
    with day(tmp_path, many=THREE) as here:
        for _ in range(2):
            here.says()
            here.says(entity="garage", after=0)
        assert [] == here.alarms
        for _ in range(6):
            here.says()
        assert [("many", 3)] == here.alarms
        here.passes(30)
        for _ in range(3):
            here.says()
        assert [("many", 3)] * 2 == here.alarms


def test_sequence_a_restart_after_a_sale_within_ten_minutes(tmp_path: Path) -> None:
    then = window("sequence", after="\"event.endsWith('sold')\"", then="\"event.endsWith('restart')\"")
    head = f'id = "pair"\nsummary = "A rule."\nconsumes = ["{SOLD}", "domain.ops.restart"]\n'
    with day(tmp_path, pair=head + then) as here:
        here.says(event="domain.ops.restart")
        here.says()
        here.says(event="domain.ops.restart", after=11)
        assert [] == here.alarms
        here.says()
        here.says(event="domain.ops.restart", after=9)
        assert [("pair", 1)] == here.alarms


def test_sequence_the_second_may_come_in_first(tmp_path: Path) -> None:
    pair = window("sequence", after="\"payload.step == 'begin'\"", then="\"payload.step == 'end'\"")
    with day(tmp_path, pair=pair) as here:
        here.says({"step": "end"})
        here.says({"step": "begin"}, timestamp=iso(here.clock.us - MINUTE))
        assert [("pair", 1)] == here.alarms


def test_absence_a_backup_that_began_and_did_not_end(tmp_path: Path) -> None:
    with day(tmp_path, backup=BACKUP) as here:
        here.says({"step": "begin"})
        here.says({"step": "begin"}, entity="garage")
        here.says({"step": "end"}, entity="garage", after=20)
        assert [] == here.alarms
        here.passes(11)
        assert [("backup", 1)] == here.alarms
        assert ["shop"] == [row.entity for row in here.ws.store.read_log(0, 1_000) if row.type == ALARM]
        here.passes(120)
        assert [("backup", 1)] == here.alarms


def test_heartbeat_silence_is_told_once_and_the_next_beat_begins_anew(tmp_path: Path) -> None:
    with day(tmp_path, beat=window("absence", within="5m", expect='"true"')) as here:
        here.passes(60)
        for _ in range(5):
            here.says(after=4)
        assert [] == here.alarms
        here.passes(6)
        here.passes(60)
        assert [("beat", 1)] == here.alarms
        here.says()
        here.passes(6)
        assert [("beat", 1)] * 2 == here.alarms


def test_rate_a_rise_of_twenty_within_ten_minutes_but_not_a_slow_one(tmp_path: Path) -> None:
    with day(tmp_path, hot=window("rate", value='"payload.degrees"', change="20.0")) as here:
        for degrees in (20, 25, 30, 35, 40, 45, 50):
            here.says({"degrees": degrees}, after=4)
        assert [] == here.alarms
        here.says({"degrees": 72}, after=4)
        here.says({"degrees": 80})
        assert [("hot", 1)] == here.alarms


def test_rate_a_fall_by_half(tmp_path: Path) -> None:
    with day(tmp_path, low=window("rate", value='"payload.stock"', percent="-50.0")) as here:
        for stock in (100, 80, 60, 51):
            here.says({"stock": stock})
        assert [] == here.alarms
        here.says({"stock": 50})
        assert [("low", 1)] == here.alarms


def test_flap_damping_a_state_that_changes_too_often_is_quiet_until_it_has_settled(tmp_path: Path) -> None:
    flap = '[window]\nkind = "flap"\nwithin = "10m"\ncount = 3\nvalue = "payload.up"\nper = ["payload.host"]\n'
    with day(tmp_path, flap=about_trouble("flap") + flap) as here:
        here.troubled("db", up=False)
        here.troubled("db", up=True)
        assert ["db is in trouble"] == here.titles
        for number in range(6):
            here.troubled("db", up=bool(number % 2))
        here.troubled("web", up=False)
        assert "db is in trouble" not in here.titles
        assert "web is in trouble" in here.titles
        assert 1 == len(payloads(here.ws, "system.flapping.detected"))
        here.passes(30)
        assert 1 == len(payloads(here.ws, "system.flapping.ended"))
        assert ["db is in trouble", "web is in trouble"] == here.titles


def test_inhibition_while_a_restart_lasts_trouble_is_quiet(tmp_path: Path) -> None:
    inhibit = f"""\
id = "hush"
summary = "A rule."
consumes = ["domain.ops.*"]
when = "event == '{TROUBLE}'"
[window]
kind = "inhibit"
within = "30m"
after = "event == 'domain.ops.restart'"
until = "event == '{SOLD}'"
"""
    with day(tmp_path, hush=inhibit) as here:
        here.says(event="domain.ops.restart")
        here.troubled("db", up=False)
        assert [] == here.titles
        here.troubled("web", up=False, entity="garage")
        assert ["web is in trouble"] == here.titles
        here.says()
        here.troubled("mail", up=False)
        assert ["mail is in trouble", "web is in trouble"] == here.titles


def test_shadow_a_rule_says_what_it_would_do_and_does_nothing(tmp_path: Path) -> None:
    with day(tmp_path, many='mode = "shadow"\n' + THREE) as here:
        last = [here.says() for _ in range(3)][-1]
        assert [] == here.alarms
        (deed,) = beside(here.ws, last)["shadow:many"]
        assert ("emit", ALARM, 3) == (deed["effect"], deed["event"], deed["payload"]["window"]["count"])


def test_silence_what_matches_is_kept_out_of_sight_for_as_long_as_it_says(tmp_path: Path) -> None:
    silence = 'when = "payload.host == \'db\'"\n[silence]\nfor = "1h"\nreason = "planned"\n'
    with day(tmp_path, hush=about_trouble("hush") + silence) as here:
        here.troubled("db", up=False)
        here.troubled("web", up=False)
        assert ["web is in trouble"] == here.titles
        here.passes(61)
        assert ["db is in trouble", "web is in trouble"] == here.titles


def test_burst_cascade_and_degradation_are_said_by_the_platform_itself(tmp_path: Path) -> None:
    found = ("system.burst.detected", "system.failure_cascade.detected", "system.entity.degraded")
    with day(tmp_path, unused=THREE.replace("3", "99")) as here:
        here.clock.us += 2 * MINUTE
        for number in range(10):
            here.says({"job": f"j{number % 3}"}, event="job.failed", entity=f"eventctl://job/j{number % 3}", after=0.1)
        assert [1, 1, 3] == [len(payloads(here.ws, kind)) for kind in found]
    (tmp_path / "eventctl.toml").write_text("[correlation]\nburst = 0\ncascade = 0\ndegraded = 0\n")
    with day(tmp_path, Clock(NOON + DAY)) as here:
        for number in range(10):
            here.says({"job": f"j{number % 3}"}, event="job.failed", entity=f"eventctl://job/j{number % 3}", after=0.1)
        assert [1, 1, 3] == [len(payloads(here.ws, kind)) for kind in found]


# --- time -------------------------------------------------------------------------------------------------------------------


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    clock = Clock()
    with day(tmp_path, clock, many=THREE, backup=BACKUP) as here:
        here.says({"step": "begin"})
        here.says({"step": ""})
    with day(tmp_path, clock) as here:
        assert [] == here.alarms
        here.says({"step": ""})
        assert [("many", 3)] == here.alarms
    clock.us += 60 * MINUTE
    with day(tmp_path, clock) as here:
        assert [("many", 3), ("backup", 1)] == here.alarms


def test_a_calm_day_that_is_read_in_a_second_is_a_calm_day(tmp_path: Path) -> None:
    beats = window("absence", within="20m", expect="\"payload.step == 'end'\"")
    with day(tmp_path, Clock(NOON + DAY), many=THREE, backup=BACKUP, beats=beats) as here:
        steps = [{"step": step} for step in ("begin", "end")] * 72
        given = [
            {
                "event": SOLD,
                "source": "till",
                "entity": "shop",
                "payload": payload,
                "timestamp": iso(NOON + number * 10 * MINUTE),
            }
            for number, payload in enumerate(steps)
        ]
        here.ws.emit_many(given)
        here.passes(1 / 60)
        here.passes(60)
        assert [("beats", 1)] == here.alarms  # the day is over, and since then nothing has come


def test_the_same_events_at_one_moment_are_a_burst(tmp_path: Path) -> None:
    with day(tmp_path, many=THREE) as here:
        here.ws.emit_many([{"event": SOLD, "source": "till", "entity": "shop", "payload": {"step": ""}} for _ in range(144)])
        here.passes(1)
        assert [("many", 3)] == here.alarms


def test_a_rule_of_a_library_counts_over_all_domains_and_of_each_key(tmp_path: Path) -> None:
    make(tmp_path)
    text = 'id = "many"\nsummary = "A rule."\nconsumes = ["job.failed"]\n[notify]\ntitle = "{payload.host}: {window.count}"\n'
    text += '[window]\nkind = "threshold"\ncount = 2\nwithin = "10m"\nper = ["payload.host", "payload.disk"]\n'
    put(tmp_path, "many", text, folder="")
    (tmp_path / "eventctl.toml").write_text("[enable]\nmany = {}\n")
    with day(tmp_path) as here:
        for host, disk in (("a", 1), ("b", 1), ("a", 2), ("a", 1), ("b", 2)):
            here.says({"job": "x", "host": host, "disk": disk}, event="job.failed")
        assert ["a: 2"] == [title for title in here.titles if ": " in title and title[1:2] == ":"]
