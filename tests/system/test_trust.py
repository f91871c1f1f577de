"""Trust: what counts is who brought it in."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from eventctl.system.trust import Claim, Trust
from tests.system.kit import World


class Rule(NamedTuple):
    source: str
    channel: str = ""
    verdict: str = "accept"


def claim(
    principal: str = "cli:ada", *, level: int | None = 1, domain: str = "ops", type: str = "a.b", source: str = "s"
) -> Claim:
    return Claim(type, source, principal, level, domain, reserved=False)


@pytest.mark.parametrize(
    ("strictness", "about", "outcome", "reasons"),
    [
        ("permissive", claim("http:stranger", level=9, domain=""), "accept", ()),
        ("standard", claim("http:stranger"), "flag", ("unknown_source",)),
        ("standard", claim(level=9), "quarantine", ("malformed_level",)),
        ("standard", claim(), "accept", ()),
        ("strict", claim("http:stranger"), "quarantine", ("unknown_source",)),
        ("strict", claim(domain=""), "flag", ("missing_domain",)),
        ("strict", claim(domain="", type="system.x"), "accept", ()),
        ("strict", claim(level=-1), "reject", ("unknown_level",)),
        ("strict", claim(), "accept", ()),
    ],
)
def test_each_row_of_the_table_gives_its_outcome(strictness, about, outcome, reasons):
    assert (outcome, reasons) == Trust(strictness).judge(about)


@pytest.mark.parametrize(
    "principal", ["cli:ada", "socket:ada", "cartridge:shop/x", "timer:runner", "outbox:log", "system:runner"]
)
def test_authenticated_local_channels_are_known(principal):
    assert "accept" == Trust().judge(claim(principal)).outcome


def test_a_name_in_the_envelope_makes_nobody_known():
    for name in ("eventctl", "eventctl:correlation", "cli:ada", "daemon"):
        assert "flag" == Trust().judge(claim("http:stranger", source=name)).outcome


def test_a_rule_counts_on_its_channel_only():
    trust = Trust(rules=[Rule("cron-*", "http")])
    assert "accept" == trust.judge(claim("http:t1", source="cron-daily")).outcome
    assert "flag" == trust.judge(claim("peer:p1", source="cron-daily")).outcome
    assert "flag" == trust.judge(claim("http:t1", source="other")).outcome


def test_the_first_rule_that_fits_decides():
    trust = Trust(rules=[Rule("cron-bad", "", "reject"), Rule("cron-*", "*", "attenuate")])
    assert "reject" == trust.judge(claim(source="cron-bad")).outcome
    assert "attenuate" == trust.judge(claim(source="cron-good")).outcome


def test_a_domain_may_have_its_own_strictness():
    trust = Trust("permissive", domains={"helpdesk": "strict"})
    assert "accept" == trust.judge(claim("http:x")).outcome
    assert "quarantine" == trust.judge(claim("http:x", domain="helpdesk")).outcome


def test_a_channel_may_have_its_own_strictness_and_of_two_the_stricter_holds():
    trust = Trust(
        "standard", channels={"http": "strict", "redis": "permissive"}, domains={"lab": "permissive", "bank": "strict"}
    )
    assert "quarantine" == trust.judge(claim("http:x")).outcome
    assert "accept" == trust.judge(claim("redis:x")).outcome
    assert "flag" == trust.judge(claim("peer:x")).outcome
    assert "quarantine" == trust.judge(claim("http:x", domain="lab")).outcome
    assert "quarantine" == trust.judge(claim("redis:x", domain="bank")).outcome
    assert "accept" == trust.judge(claim("redis:x", domain="lab")).outcome


@pytest.mark.parametrize(("home", "outcome"), [("lab", "accept"), ("", "quarantine"), ("bank", "quarantine")])
def test_the_name_of_a_lax_domain_on_an_event_opens_nothing(home, outcome):
    trust = Trust("strict", domains={"lab": "permissive"})
    assert outcome == trust.judge(claim("http:stranger", domain="lab")._replace(home=home)).outcome


@pytest.mark.parametrize("verdict", ["accept", "flag", "attenuate", "quarantine", "reject"])
def test_a_rule_may_have_every_verdict(verdict):
    trust = Trust("strict", rules=[Rule("cron-*", "http", verdict)])
    assert verdict == trust.judge(claim("http:x", source="cron-daily")).outcome


def test_a_flag_is_an_annotation_beside_the_event_and_it_goes_on():
    world = World()
    seq = world.tell("shop.build.passed", principal="http:stranger")
    assert {"verdict": "flag", "reasons": ["unknown_source", "first_seen"]} == world.annotation(seq, "trust")
    assert [(seq, "shop.build.passed", "accept")] == world.feed()


def test_what_is_quarantined_waits_with_its_reason_and_no_later_stage_sees_it():
    world = World(trust=Trust("strict"))
    seq = world.tell("shop.ticket.opened", {"id": 1}, principal="http:stranger", entity="ticket/1")
    held = world.exception(seq)
    assert ("quarantined", "trust", "unknown_source") == (held.state, held.cartridge, held.reason)
    assert ([], [], (0, 0, 1, 0)) == (world.inbox(), world.feed(), world.counts())
    assert 0 == len(world.store.views.rejects())


def test_what_is_rejected_is_dropped_and_its_bytes_are_kept():
    world = World(trust=Trust("strict"))
    seq = world.tell("shop.build.passed", level=9, domain="shop")
    assert ("dropped", "rejected: unknown_level") == (world.exception(seq).state, world.exception(seq).reason)
    [reject] = world.store.views.rejects()
    assert ("cli", "rejected: unknown_level") == (reject.channel, reject.reason)
    assert b'"level":9' in reject.raw
    assert (0, 1, 0, 0) == world.counts()


def test_a_reserved_type_from_outside_is_held():
    world = World()
    seq = world.tell("system.burst.detected", {"event_type": "x", "count": 10, "window_start": "now"})
    assert ("quarantined", "reserved_type") == (world.exception(seq).state, world.exception(seq).reason)
    inside = world.tell("system.runner.stopped", {"host": "h", "pid": 1, "stopped_at": "x"}, principal="system:runner")
    assert world.exception(inside) is None


def test_an_attenuated_event_interrupts_nobody():
    world = World(trust=Trust(rules=[Rule("test", "", "attenuate")]))
    world.tell("shop.ticket.opened", {"id": 1}, level=3)
    assert [1] == [row.level for row in world.inbox()]
