"""Shaping rules: what an event counts as is settled before anybody sees it, and noted beside it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from eventctl import moves
from eventctl.dag.faults import ERRORS_MAX
from eventctl.errors import Conflict
from eventctl.manifest import read_rule
from eventctl.memory_store import MemoryStore
from eventctl.notification import Notification
from eventctl.rebuild import rebuild
from eventctl.store import Store
from eventctl.system.rulings import Rulings, Scope, Shaper
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import FOREVER, HOUR, MINUTE, SECOND
from tests.system.kit import ADA, CATALOG, START, World

FAILED, DONE = "shop.deploy.failed", "shop.deploy.done"


def rule(
    id: str, consumes: list[str], *, scope: Scope = "workspace", owner: str = "", hash: str = "h", **tables: Any
) -> Shaper:
    written = {"id": id, "summary": "s", "consumes": consumes, **tables}
    text = "\n".join(f"{name} = {toml(value)}" for name, value in written.items())
    return Shaper(scope, owner, read_rule(text, f"{id}.toml"), hash)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(inner)}" for name, inner in value.items()) + "}"
    return orjson.dumps(value).decode()


def world(*rules: Shaper, store: Store | None = None) -> World:
    made = World(store)
    made.pipeline = SystemPipeline(CATALOG, rules=Rulings(rules))
    return made


def failed(world: World, slug: str, env: str = "eu", **more: Any) -> Notification:
    """A deployment fails; its own notification."""
    fields = {name: more.pop(name) for name in ("at", "timestamp", "domain", "entity") if name in more}
    world.tell(FAILED, {"slug": slug, "env": env, **more}, **fields)
    return next(row for row in reversed(world.inbox()) if row.life_key == orjson.dumps([slug, env]).decode())


def said(world: World, slot: str = "shaped") -> Any:
    return world.annotation(world.store.tail("log"), slot)


SET = rule("minor", [FAILED], when="payload.env == 'test'", set={"level": 1})
GROUP = rule("by-env", [FAILED], group={"by": ["payload.env"], "title": "Deploys to {payload.env} fail"})
HUSH = rule("hush", ["shop.**"], when="payload.env == 'test'", silence={"for": "2h", "reason": "{payload.env} is nobody's"})


def test_a_level_is_set_before_the_notification_opens():
    here = world(SET)
    assert 1 == failed(here, "a", "test").level
    assert [{"rule": "minor", "effect": "set", "values": {"level": [3, 1]}}] == said(here)
    assert 3 == failed(here, "b", "prod").level


def test_a_later_rule_sees_the_level_that_an_earlier_one_set():
    here = world(SET, rule("quiet", [FAILED], when="level < 2", silence={"for": "1h"}))
    assert "rule:quiet" == failed(here, "a", "test").silenced_by
    assert failed(here, "b", "prod").silenced_by is None


def test_a_rule_reads_what_earlier_stages_noted():
    here = world(rule("again", [FAILED], when="annotations.entity.failures_24h >= 1", silence={"for": "1h"}))
    assert failed(here, "a", entity="svc/a").silenced_by is None
    assert failed(here, "b", entity="svc/a").silenced_by == "rule:again"


def test_a_group_stands_for_its_members_and_says_how_many():
    here = world(GROUP)
    for slug in "abc":
        row = failed(here, slug)
        assert ("n2", FOREVER, 0) == (row.silenced_by, row.silenced_until, row.news)
    group = here.row(2)
    assert ("group:by-env", "Deploys to eu fail (3 open)", 3) == (group.life, group.title, group.level)
    assert [2] == [row.id for row in here.inbox(hide_silenced_at=here.now)]
    failed(here, "a", "us")
    assert 2 == len(here.inbox(hide_silenced_at=here.now))


def test_a_group_is_news_when_it_opens_and_when_it_has_doubled():
    here = world(GROUP)
    news = []
    for slug in "abcdefgh":
        failed(here, slug)
        news.append(here.row(2).news)
    assert [1, 2, 2, 3, 3, 3, 3, 4] == news


def test_a_group_is_resolved_with_the_last_that_it_gathers():
    here = world(GROUP)
    for slug in "ab":
        failed(here, slug)
    here.tell(DONE, {"slug": "a", "env": "eu"})
    assert ("none", "Deploys to eu fail (1 open)") == (here.row(2).agent_state, here.row(2).title)
    here.tell(DONE, {"slug": "b", "env": "eu"})
    assert "resolved" == here.row(2).agent_state
    failed(here, "c")
    assert ["n5", "group:by-env"] == [here.row(4).silenced_by, here.row(5).life]


def test_a_member_that_a_person_settles_leaves_its_group():
    here = world(GROUP)
    for slug in "ab":
        failed(here, slug)
    moves.resolve(here.store, 1, agent="ada", principal=ADA, now=here.now)
    assert "Deploys to eu fail (1 open)" == here.row(2).title
    moves.archive(here.store, 3, principal=ADA, now=here.now)
    assert "resolved" == here.row(2).agent_state


@pytest.mark.parametrize(("verb", "state"), [("resolve", "resolved"), ("archive", "none")])
def test_what_a_group_gathers_follows_when_a_person_settles_the_group(verb, state):
    here = world(GROUP)
    for slug in "ab":
        failed(here, slug)
    given = {"agent": "ada"} if verb == "resolve" else {}
    getattr(moves, verb)(here.store, 2, principal=ADA, now=here.now, **given)
    here.wait(SECOND)
    for number in (1, 3):
        row = here.row(number)
        assert (state, None, verb == "archive") == (row.agent_state, row.silenced_by, row.archived_at is not None)


def test_a_group_stays_settled_and_what_it_gathered_is_reopened_alone():
    here = world(GROUP)
    for slug in "ab":
        failed(here, slug)
    moves.resolve(here.store, 2, agent="ada", principal=ADA, now=here.now)
    here.wait(SECOND)
    with pytest.raises(Conflict, match="n2 stood for others"):
        moves.reopen(here.store, 2, agent="ada", principal=ADA, now=here.now)
    moves.reopen(here.store, 1, agent="ada", principal=ADA, now=here.now)
    assert ("none", None, "resolved") == (here.row(1).agent_state, here.row(1).silenced_by, here.row(2).agent_state)


def test_a_rule_silences_by_its_name_for_a_while_from_the_event_on():
    here = world(HUSH)
    row = failed(here, "a", "test")
    assert "rule:hush" == row.silenced_by
    assert START + 2 * HOUR < (row.silenced_until or 0) <= START + 2 * HOUR + 2 * MINUTE
    assert ("silence", "test is nobody's") == (said(here)[0]["effect"], said(here)[0]["reason"])
    here.wait(2 * HOUR + 2 * MINUTE)
    assert (None, 1) == (here.row(1).silenced_by, here.row(1).news)


def test_a_rule_that_counts_acts_from_the_event_that_reaches_the_count_on():
    many = rule("many", [FAILED], window={"kind": "threshold", "within": "10m", "count": 3, "per": []}, silence={"for": "1h"})
    here = world(many)
    assert [None, None, "rule:many", "rule:many"] == [failed(here, slug).silenced_by for slug in "abcd"]
    here.wait(HOUR + 2 * MINUTE)
    assert failed(here, "e").silenced_by is None


def test_what_flaps_is_quiet_and_one_notice_says_so_until_it_is_calm():
    flap = rule(
        "flap",
        ["shop.deploy.*"],
        window={"kind": "flap", "within": "10m", "count": 3, "value": "event", "per": ["payload.slug"]},
    )
    here = world(flap)
    for _ in range(4):
        here.tell(FAILED, {"slug": "a", "env": "eu"})
        here.tell(DONE, {"slug": "a", "env": "eu"})
    here.run()
    notices = [row for row in here.inbox() if row.life == "system.flapping"]
    assert [("flap", "none")] == [(orjson.loads(row.life_key)[0], row.agent_state) for row in notices]
    assert "rule:flap" == failed(here, "a").silenced_by
    here.wait(20 * MINUTE)
    here.run()
    assert "resolved" == here.row(notices[0].id).agent_state
    assert [None] == [row.silenced_by for row in here.inbox() if row.life == "shop.deploy" and row.agent_state == "none"]


def test_what_a_cause_brings_with_it_is_quiet_while_the_cause_stands():
    inhibit = rule(
        "outage", ["shop.**"], when="event == 'shop.deploy.failed'",
        window={
            "kind": "inhibit", "within": "1h", "after": "event == 'shop.ticket.opened'", "until": "event == 'shop.ticket.closed'",
            "per": [],
        },
    )  # fmt: skip
    here = world(inhibit)
    assert failed(here, "a").silenced_by is None
    here.tell("shop.ticket.opened", {"id": 1}, description="t")
    assert "rule:outage" == failed(here, "b").silenced_by
    here.tell("shop.ticket.closed", {"id": 1})
    assert failed(here, "c").silenced_by is None


def test_a_domains_rule_leaves_the_events_of_others_alone():
    here = world(rule("own", ["shop.**"], scope="domain", owner="shop", set={"level": 0}))
    assert 3 == failed(here, "a", domain="other").level
    assert 0 == failed(here, "b", domain="shop").level


def test_a_members_rule_touches_their_view_only():
    here = world(rule("calm", [FAILED], scope="personal", owner="bob", silence={"for": "1h"}))
    row = failed(here, "a")
    (view,) = here.store.views.member_views(row.id)
    assert (None, 1, "rule:bob/calm", "bob") == (row.silenced_by, row.news, view.snoozed_by, view.member)


def test_a_rule_in_shadow_mode_writes_down_what_it_would_have_done_and_does_nothing():
    shadow = rule("try", [FAILED], mode="shadow", set={"level": 0})
    here = world(shadow)
    assert 3 == failed(here, "a").level
    assert [{"effect": "set", "values": {}}] == said(here, "shadow:try")


def test_a_rule_that_never_has_an_answer_is_switched_off_and_an_event_says_so():
    here = world(rule("broken", [FAILED], when="payload.nothing > 1", set={"level": 0}))
    for number in range(ERRORS_MAX + 3):
        assert 3 == failed(here, f"s{number}").level
    here.run()
    told = [row for row in here.inbox() if row.type == "system.cartridge.disabled"]
    assert ["broken"] == [orjson.loads(row.life_key)[1] for row in told]
    here.pipeline = SystemPipeline(CATALOG, rules=Rulings([rule("broken", [FAILED], hash="new", set={"level": 0})]))
    assert 0 == failed(here, "z").level
    here.run()
    assert "resolved" == here.row(told[0].id).agent_state


def test_an_event_that_no_rule_matches_has_nothing_noted_beside_it():
    here = world(SET, HUSH, GROUP)
    here.tell("shop.ticket.opened", {"id": 1}, description="t")
    assert said(here) is None


@pytest.mark.parametrize("size", [1, 2, 500])
def test_however_the_log_is_cut_into_batches_shaping_comes_out_the_same(size):
    rules = (SET, GROUP, HUSH)
    here = world(*rules)
    for number in range(30):
        here.emit(FAILED, {"slug": "abc"[number % 3], "env": ("eu", "test")[number % 2]})
        if number % 4 == 0:
            here.emit(DONE, {"slug": "abc"[number % 3], "env": "eu"})
    here.run(7)
    target = MemoryStore()
    assert rebuild(here.store, target, world(*rules).pipeline, batch=size).same
    for seq in range(1, here.store.tail("log") + 1):
        mine, theirs = here.store.views.trace(seq), target.views.trace(seq)
        assert (mine and mine.annotations) == (theirs and theirs.annotations)
