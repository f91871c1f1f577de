"""Shaping rules in a workspace: read from files, run by the system pipeline, whose they are decides what they touch."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventctl
from eventctl import starter, workspace
from eventctl.views import InboxItem
from eventctl.workspace import Paths

RULE = """
id = "{id}"
summary = "s"
consumes = ["job.failed"]
when = "payload.job == 'nightly'"
{effect}
"""
PLACES = {
    "library": "cartridges",
    "domain": "company/domains/ops/cartridges",
    "member": "personal/ada/cartridges",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for folder in PLACES.values():
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "eventctl.toml").write_text('[members.ada]\nrole = "admin"\n')
    (tmp_path / "company/domains/ops/domain.toml").write_text('summary = "Operations."\n')
    paths = Paths(tmp_path.resolve())
    workspace.prepare(paths)
    starter._open_store(paths)
    return paths.root


def nightly(place: Path, where: str, effect: str, *, domain: str = "") -> InboxItem:
    """Write the rule; a nightly job fails, and one by day; the notification of the first."""
    (place / PLACES[where] / "calm.toml").write_text(RULE.format(id="calm", effect=effect))
    if where == "library":
        config = place / "eventctl.toml"
        config.write_text(f"{config.read_text()}\n[enable]\ncalm = {{}}\n")
    with eventctl.open(place) as ws:
        for job in ("nightly", "daily"):
            more = {"domain": domain} if domain else {}
            ws.emit("job.failed", "cron", {"job": job, "exit_code": 3}, **more)
        assert ws.run_until_idle()
        assert [] == list(ws.problems)
        items = {item.notification.life_key: item for item in ws.inbox.list().items}
        assert (2, None) == (items['["daily"]'].notification.level, items['["daily"]'].notification.silenced_by)
        return items['["nightly"]']


def test_a_library_rule_that_is_enabled_shapes_the_workspaces_events(place):
    assert "rule:calm" == nightly(place, "library", '[silence]\nfor = "2h"').notification.silenced_by


def test_a_domains_rule_shapes_the_events_of_its_domain(place):
    assert 0 == nightly(place, "domain", '[set]\nlevel = "infrastructure"', domain="ops").notification.level


def test_a_domains_rule_leaves_other_events_as_they_are(place):
    assert 2 == nightly(place, "domain", '[set]\nlevel = "infrastructure"').notification.level


def test_a_members_rule_snoozes_for_that_member(place):
    row = nightly(place, "member", '[silence]\nfor = "2h"').notification
    with eventctl.open(place) as ws:
        assert ("ada", "rule:ada/calm") == tuple(ws.views.member_views(row.id)[0][::4])
    assert (None, 1) == (row.silenced_by, row.news)
