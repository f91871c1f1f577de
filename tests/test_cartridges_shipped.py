"""The shipped cartridges in code keep what every cartridge promises, and do what their summaries say, up to the edge of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventctl import manifest
from eventctl.suites.cartridges import CartridgeSuite
from eventctl.testing import make_event, run_cartridge

ROOT = Path(__file__).resolve().parents[1]
SOFTWARE = ROOT / "company/domains/software-development/cartridges"
BUILD, REVIEW, DEPLOY = (f"domain.software-development.{family}" for family in ("build", "review", "deploy"))
ASSET, CAMPAIGN, TICKET = "domain.creative-production.asset", "domain.marketing.campaign", "domain.customer-relations.helpdesk"


def failed(number, *, red=True, branch="main", slug="api"):
    return make_event(f"{BUILD}.{'failed' if red else 'completed'}", {"slug": slug, "branch": branch}, number=number)


def deployed(verb, number, *, environment="prod", at=None, slug="api"):
    return make_event(f"{DEPLOY}.{verb}", {"slug": slug, "environment": environment, "sha": f"a{number}"}, number=number, at=at)


def revised(number, *, verb="revision_requested", asset="a1"):
    return make_event(f"{ASSET}.{verb}", {"asset_id": asset, "title": "Poster"}, number=number)


def spent(amount, *, at, campaign="c1"):
    payload = {"campaign_id": campaign, "name": "Launch", "spent": amount, "threshold": 0.5}
    return make_event(f"{CAMPAIGN}.budget_threshold_hit", payload, at=at)


def launched(budget=1000.0, campaign="c1"):
    return make_event(
        f"{CAMPAIGN}.launched", {"campaign_id": campaign, "name": "Launch", "budget": budget}, at="2026-03-01T00:00:00Z"
    )


def wrote(subject, number=1):
    return make_event(f"{TICKET}.ticket_created", {"ticket_id": number, "subject": subject}, number=number)


def asked(number, *, author="ada", verb="requested", reviewer="bob", slug="pr-1"):
    payload = {"slug": slug, "title": "Faster", "author": author, "reviewer": reviewer}
    return make_event(f"{REVIEW}.{verb}", payload, number=number)


class TestFormat(CartridgeSuite):
    cartridge = ROOT / "cartridges/format.py"
    events = (make_event("job.failed", {"job": "backup"}, description="It broke"), make_event("a.b", number=2))

    @pytest.mark.parametrize(
        ("template", "text"),
        [
            ("{event}: {description}", "job.failed: It broke"),
            ("{job} by {source}", "backup by test"),
            ("{nothing} {}", "? {}"),
            ("{job.x} {__class__} {0}", "{job.x} ? {0}"),
        ],
    )
    def test_a_field_is_looked_up_and_printed_and_nothing_more(self, template, text):
        assert {"text": text} == run_cartridge(self.cartridge, self.events[0], settings={"template": template}).annotations

    def test_a_payload_does_not_pass_for_the_envelope(self):
        event = make_event("job.failed", {"event": "all.well", "source": "me"})
        assert (
            "job.failed from test"
            == run_cartridge(self.cartridge, event, settings={"template": "{event} from {source}"}).annotations["text"]
        )


class TestThreshold(CartridgeSuite):
    cartridge = ROOT / "cartridges/threshold.py"
    events = tuple(make_event("job.failed", {"n": n}, entity="nas", number=n) for n in range(1, 5))
    given = {"settings": {"count": 3}}

    def test_it_tells_at_the_count_and_not_before_or_after(self):
        assert ["nas: job.failed 3 times"] == [notice.title for notice in self.ran().notices]
        assert () == run_cartridge(self.cartridge, self.events[:2], settings={"count": 3}).notices

    def test_what_is_older_than_the_window_does_not_count(self):
        events = [make_event("job.failed", {"n": n}, entity="nas", at=f"2026-03-01T{n:02}:00:00Z") for n in range(6)]
        assert () == run_cartridge(self.cartridge, events, settings={"count": 3, "window": "2h"}).notices
        assert 2 == run_cartridge(self.cartridge, events, settings={"count": 3, "window": "2h"}).annotations["threshold"]

    def test_each_entity_counts_for_itself_and_none_not_at_all(self):
        events = [
            make_event("job.failed", {"n": n}, number=n, **({"entity": f"n{n % 2}"} if n < 4 else {})) for n in range(1, 7)
        ]
        assert () == run_cartridge(self.cartridge, events, settings={"count": 3}).notices


class TestReviewGatekeeper(CartridgeSuite):
    cartridge = ROOT / "company/domains/creative-production/cartridges/review-gatekeeper.py"
    events = tuple(revised(n) for n in range(1, 5))

    def test_the_third_round_is_told_once(self):
        assert ["Poster goes in circles: revision 3"] == [notice.title for notice in self.ran().notices]

    def test_an_approval_starts_the_count_again(self):
        events = [revised(1), revised(2), revised(3, verb="approved"), revised(4), revised(5)]
        ran = run_cartridge(self.cartridge, events)
        assert ((), {"rounds": 2}) == (ran.notices, ran.state["a1"])


class TestHelpdeskTriage(CartridgeSuite):
    cartridge = ROOT / "company/domains/customer-relations/cartridges/helpdesk-triage.py"
    events = (wrote("I was charged twice"), wrote("Where is the manual?", 2))

    def test_what_cannot_wait_is_raised_and_the_rest_is_filed(self):
        ran = self.ran()
        assert ["high", "normal"] == [beside["triage"]["urgency"] for beside in ran.beside]
        assert [({"ticket_id": 1, "subject": "I was charged twice", "because": ["charged"]})] == [
            event.payload for event in ran.emitted
        ]

    @pytest.mark.parametrize("subject", ["discharged", "unpaid", "a harbourmaster", "", "{event} {payload}"])
    def test_a_word_within_another_is_none(self, subject):
        assert () == run_cartridge(self.cartridge, wrote(subject)).emitted

    def test_words_are_the_workspaces_to_choose(self):
        assert 1 == len(run_cartridge(self.cartridge, wrote("FIRE!"), settings={"urgent": ["fire"]}).emitted)


class TestCampaignBudgetMonitor(CartridgeSuite):
    cartridge = ROOT / "company/domains/marketing/cartridges/campaign-budget-monitor.py"
    events = (launched(), spent(500.0, at="2026-03-02T00:00:00Z"))

    def test_half_the_budget_on_the_first_day_is_too_fast(self):
        ran = self.ran()
        assert {"spent": 0.5, "elapsed": 0.14} == ran.annotations["budget"]
        assert ["Launch has spent 50% of its budget in 14% of its time"] == [notice.title for notice in ran.notices]

    def test_half_the_budget_in_half_the_time_is_not(self):
        assert () == run_cartridge(self.cartridge, [launched(), spent(500.0, at="2026-03-04T12:00:00Z")]).notices

    @pytest.mark.parametrize(
        "events", [[spent(500.0, at="2026-03-02T00:00:00Z")], [launched(0.0), spent(5.0, at="2026-03-02T00:00:00Z")]]
    )
    def test_a_campaign_that_nobody_launched_or_without_a_budget_is_not_judged(self, events):
        assert {} == run_cartridge(self.cartridge, events).annotations


class TestBuildNotifier(CartridgeSuite):
    cartridge = SOFTWARE / "build-notifier.py"
    events = (*(failed(n) for n in range(1, 5)), failed(5, red=False))

    def test_the_third_in_a_row_is_told_and_so_is_the_end_of_it(self):
        assert ["main of api has been red for 3 builds", "main of api is green again"] == [
            notice.title for notice in self.ran().notices
        ]

    def test_a_green_one_between_starts_the_count_again(self):
        assert () == run_cartridge(self.cartridge, [failed(1), failed(2), failed(3, red=False), failed(4), failed(5)]).notices

    def test_other_branches_and_other_things_do_not_count(self):
        events = [failed(1), failed(2, branch="try"), failed(3, slug="web"), failed(4)]
        assert {"api": {"red": 2}, "web": {"red": 1}} == run_cartridge(self.cartridge, events).state


class TestDeployTracker(CartridgeSuite):
    cartridge = SOFTWARE / "deploy-tracker"
    events = (deployed("triggered", 1), deployed("failed", 2), deployed("failed", 3), deployed("succeeded", 4))

    def test_two_failures_in_a_row_are_told_and_so_is_the_end_of_them(self):
        expected = ["api did not get into prod 2 times in a row", "api got into prod after 2 failures"]
        assert expected == [notice.title for notice in self.ran().notices]

    def test_a_slow_one_is_told_in_minutes(self):
        events = [deployed("triggered", 1, at="2026-03-01T00:00:00Z"), deployed("succeeded", 2, at="2026-03-01T00:11:30Z")]
        ran = run_cartridge(self.cartridge, events)
        assert ["api took 11 minutes to get into prod"] == [notice.title for notice in ran.notices]
        assert {"seconds": 690, "failed_in_a_row": 0} == ran.annotations["deploy"]

    def test_environments_are_counted_apart(self):
        events = [deployed("failed", 1), deployed("failed", 2, environment="test"), deployed("failed", 3, environment="dev")]
        assert () == run_cartridge(self.cartridge, events).notices

    def test_one_that_nobody_triggered_took_nobody_knows_how_long(self):
        assert run_cartridge(self.cartridge, deployed("succeeded", 1)).annotations["deploy"]["seconds"] is None


class TestMyReviews(CartridgeSuite):
    cartridge = ROOT / "personal/ada/cartridges/my-reviews.py"
    events = (asked(1), asked(2, verb="verdict_ready"), asked(3, verb="approved"))

    def test_it_tells_its_member_and_nobody_else_what_reviewers_say(self):
        expected = [("bob wants changes in pr-1: Faster", "member:ada"), ("bob approved pr-1: Faster", "member:ada")]
        assert expected == [(notice.title, notice.audience) for notice in self.ran().notices]

    def test_changes_of_others_are_theirs(self):
        assert () == run_cartridge(self.cartridge, [asked(1, author="eve"), asked(2, verb="approved")]).notices


def test_every_shipped_cartridge_in_code_is_held_to_the_suite():
    tops = [ROOT / top for top in ("cartridges", "company", "personal")]
    shipped = {file for top in tops for file in top.rglob("*.py") if file.name != "cartridge.py"}
    shipped |= {file.parent for top in tops for file in top.rglob("cartridge.toml")}
    held = {
        Path(each.cartridge) for each in CartridgeSuite.__subclasses__() if isinstance(getattr(each, "cartridge", None), Path)
    }
    assert shipped - held == set()
    assert len(shipped) >= 8
    assert [] == [path for path in shipped if manifest.load(path).rule is not None]
