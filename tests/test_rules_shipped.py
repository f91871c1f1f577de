"""The rules that a workspace begins with do what their summaries say, over an hour or a week of a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

import eventctl
from eventctl import starter
from eventctl.app import Workspace
from eventctl.times import DAY, HOUR, MINUTE, parse_iso
from eventctl.views import InboxFilter

NOON = parse_iso("2026-11-20T12:00:00Z")
SOFTWARE, CUSTOMERS, CREATIVE = "domain.software-development", "domain.customer-relations", "domain.creative-production"


class Clock:
    def __init__(self) -> None:
        self.us = NOON

    def now(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.us / 1e6


class Company:
    """A new workspace in which time passes as the test says."""

    def __init__(self, ws: Workspace, clock: Clock) -> None:
        self.ws = ws
        self.clock = clock

    def say(self, event: str, *, after: int = MINUTE, **payload: Any) -> int:
        """An event, so long after the one before, and all that follows. Gives its seq."""
        self.clock.us += after
        seq = self.ws.emit(event, "example", payload).seq
        self.ws.run_until_idle()
        return seq

    def wait(self, us: int) -> None:
        """Time passes, and what is due happens."""
        self.clock.us += us
        self.ws.run_until_idle()

    @property
    def titles(self) -> list[str]:
        return [item.notification.title for item in self.ws.views.inbox(InboxFilter(), limit=100).items]

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [orjson.loads(row.body)["payload"] for row in self.ws.store.read_log(0, 1_000) if row.type == type_]


@contextmanager
def company(root: Path, enable: str = "") -> Iterator[Company]:
    starter.make(root, name="shipped", member="ada")
    if enable:
        config = root / "eventctl.toml"
        config.write_text(f"{config.read_text()}\n[enable]\n{enable} = {{}}\n")
    clock = Clock()
    with eventctl.open(root, env={}, clock=clock, no_plugins=True) as ws:
        ws.run_until_idle()
        yield Company(ws, clock)


def test_ad_spend(tmp_path: Path) -> None:
    with company(tmp_path) as here:
        hit = "domain.marketing.campaign.budget_threshold_hit"
        here.say(hit, campaign_id="c1", name="Spring", spent=9_000.0, threshold=0.5)
        here.say(hit, campaign_id="c1", name="Spring", spent=12_000.0, threshold=0.8)
        raised = [each for each in here.of("notice.raised") if each.get("rule") == "ad-spend"]
        assert [("Spring has spent 12000.0", "member:ada")] == [(each["title"], each["audience"]) for each in raised]


@pytest.mark.parametrize("end", ["completed", "failed", None])
def test_backup_missing(tmp_path: Path, end: str | None) -> None:
    with company(tmp_path) as here:
        here.say("system.backup.started", target="nas", started_at="2026-11-20T12:00:00Z")
        if end is not None:
            here.say(f"system.backup.{end}", target="nas", started_at="2026-11-20T12:00:00Z", reason="full")
        here.wait(3 * HOUR)
        alerts = [each["alert_id"] for each in here.of(f"{SOFTWARE}.ops.alert_fired")]
        assert (["backup-nas"] if end is None else []) == alerts


@pytest.mark.parametrize("answered", [True, False])
def test_agent_waits(tmp_path: Path, answered: bool) -> None:
    with company(tmp_path) as here:
        about = {"session": "s1", "use": "u1", "agent": "codex", "command": "make deploy"}
        here.say(f"{SOFTWARE}.agent.permission_requested", **about, tool="shell")
        if answered:
            here.say(f"{SOFTWARE}.agent.permission_answered", **about, answer="yes", member="ada")
        here.wait(HOUR)
        assert answered == ("codex still waits: may it run make deploy?" not in here.titles)


def test_agent_stuck(tmp_path: Path) -> None:
    with company(tmp_path) as here:
        about = {"session": "s1", "agent": "codex", "task": "tests", "tool": "pytest", "error": "exit 1"}
        for number in range(4):
            here.say(f"{SOFTWARE}.agent.tool_failed", **about, use=f"u{number}")
        assert not any("stuck" in title for title in here.titles)
        here.say(f"{SOFTWARE}.agent.tool_failed", **about, use="u5")
        assert "codex is stuck: 5 tools failed, the last one pytest" in here.titles


@pytest.mark.parametrize("touched", [True, False])
def test_ticket_untouched(tmp_path: Path, touched: bool) -> None:
    with company(tmp_path) as here:
        here.say(f"{CUSTOMERS}.helpdesk.ticket_created", ticket_id=7, subject="No invoice")
        if touched:
            here.say(
                f"{CUSTOMERS}.helpdesk.ticket_updated", ticket_id=7, subject="No invoice", updated_at="2026-11-20T12:10:00Z"
            )
        here.wait(2 * DAY)
        assert touched == ("Nobody has touched ticket 7 for a day: No invoice" not in here.titles)


def test_score_falls(tmp_path: Path) -> None:
    with company(tmp_path) as here:
        here.say(f"{CUSTOMERS}.satisfaction.score_recorded", survey_id="q4", answers=10, score=4.5)
        here.say(f"{CUSTOMERS}.satisfaction.score_recorded", survey_id="q4", answers=20, score=4.0, after=DAY)
        assert not any("fell" in title for title in here.titles)
        here.say(f"{CUSTOMERS}.satisfaction.score_recorded", survey_id="q4", answers=30, score=3.0, after=DAY)
        assert "Survey q4 fell to 3.0 (30 answers)" in here.titles


def test_transcode_trouble_and_transcode_again(tmp_path: Path) -> None:
    with company(tmp_path) as here:
        for asset in ("a", "a", "b", "c"):
            seq = here.say(
                f"{CREATIVE}.format.transcode_failed", asset_id=asset, format="webm", job_id=f"j-{asset}", error="no codec"
            )
        assert "webm fails for 3 assets: no codec" in here.titles
        trace = here.ws.views.trace(seq)
        assert trace is not None
        (deed,) = orjson.loads(trace.annotations["shadow:transcode-again"])
        assert ("propose", "Make webm of c again") == (deed["effect"], deed["summary"])


def test_preview_deploys(tmp_path: Path) -> None:
    with company(tmp_path) as here:
        for environment in ("preview", "prod"):
            about = {"slug": "api", "environment": environment, "sha": "a1", "attempt": 1}
            here.say(f"{SOFTWARE}.deploy.failed", **about, error="no disk")
        levels = {
            item.notification.title: item.notification.level for item in here.ws.views.inbox(InboxFilter(), limit=100).items
        }
        assert {1, 3} == {level for title, level in levels.items() if "api" in title}


def test_jobs_fail_together(tmp_path: Path) -> None:
    with company(tmp_path, enable="jobs-fail-together") as here:
        for job in ("backup", "backup", "mail", "sync"):
            here.say("job.failed", job=job, host="db-1")
        assert "3 jobs failed on db-1, the last one sync" in here.titles


def test_degraded(tmp_path: Path) -> None:
    with company(tmp_path, enable="degraded") as here:
        said = []
        for _ in range(5):
            here.clock.us += 3 * HOUR
            here.ws.emit("job.failed", "example", {"job": "sync"}, entity="eventctl://job/sync")
            here.ws.run_until_idle()
            said.append("eventctl://job/sync has failed 5 times within a day" in here.titles)
        assert [False, False, False, False, True] == said


def test_flapping(tmp_path: Path) -> None:
    with company(tmp_path, enable="flapping") as here:
        for number in range(8):
            here.say("job.failed" if number % 2 else "job.succeeded", job="sync", run=str(number))
        here.wait(2 * HOUR)
        assert (1, 1) == (len(here.of("system.flapping.detected")), len(here.of("system.flapping.ended")))


def test_heartbeat_missing(tmp_path: Path) -> None:
    with company(tmp_path, enable="heartbeat-missing") as here:
        for number in range(10):
            here.say("node.alive", node_id="atlas", beat=str(number), after=2 * MINUTE)
        assert [] == here.of("node.lost")
        here.wait(6 * MINUTE)
        here.wait(HOUR)
        assert ["atlas"] == [each["node_id"] for each in here.of("node.lost")]
        assert "Node atlas is silent" in here.titles
        here.say("node.alive", node_id="atlas", beat="back")
        here.wait(6 * MINUTE)
        assert 2 == len(here.of("node.lost"))
