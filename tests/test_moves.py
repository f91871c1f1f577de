"""Moves: the state machine of the inbox, one durable commit each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from eventctl import moves, whymoved
from eventctl.errors import Conflict, NotFound, NotPermitted, UsageError
from eventctl.lives import DEFAULT_LEASE
from eventctl.memory_store import MemoryStore
from eventctl.principal import Principal
from eventctl.store import Committed, Operations, Store
from eventctl.system.trust import Trust
from eventctl.times import MINUTE
from tests.system.kit import ADA, START, World, sqlite

BOB = Principal.parse("http:bob", "agent")


@pytest.fixture(params=["memory", "sqlite"])
def world(request: Any, tmp_path: Any) -> Iterator[World]:
    store: Store = MemoryStore() if request.param == "memory" else sqlite(tmp_path)
    world = World(store)
    world.tell("shop.ticket.opened", {"id": 1})
    yield world
    store.close()


def make(world: World, verb: str, **more: Any) -> moves.Moved:
    """A move of n1, now, by bob for himself unless it says otherwise."""
    world.now += 1
    who = "member" if verb in ("seen", "unseen", "snooze", "unsnooze") else "agent"
    given = {who: "bob", "principal": ADA, "now": world.now} | more
    if verb in ("archive", "unarchive"):
        given.pop("agent")
    return getattr(moves, verb)(world.store, 1, **given)


def refused(world: World, verb: str, **more: Any) -> str:
    before = world.store.views.projection_hash(), world.store.tail("log")
    with pytest.raises(Conflict) as found:
        make(world, verb, **more)
    assert before == (world.store.views.projection_hash(), world.store.tail("log")), "a refused move leaves no trace"
    return found.value.what


def test_a_claim_is_a_record_with_its_effect_and_what_it_saw(world):
    moved = make(world, "claim")
    row = world.row(1)
    assert ("claimed", "bob", 1, world.now, world.now + DEFAULT_LEASE) == (
        row.agent_state, row.agent, row.lease_token, row.claimed_at, row.lease_due,
    )  # fmt: skip
    record = world.store.views.record(moved.seq)
    assert ("move", "inbox.claim", "cli:ada", 1) == (record.kind, record.type, record.principal, record.caused_by)
    assert {"verb": "claim", "notification": 1, "agent": "bob", "lease_due": row.lease_due, "saw": 1} == orjson.loads(
        record.body
    )
    assert [1, moved.seq] == [row.seq for row in world.store.views.life(1)]


def test_two_claimers_have_one_winner_and_the_other_is_told_who_and_until_when(world):
    world.now = START
    make(world, "claim")
    assert "n1 is claimed by bob until 10:30 UTC" == refused(world, "claim", agent="eve")


def test_two_claimers_at_the_same_moment_have_one_winner(world):
    """Both have read the free row; the second commit finds it changed, reads again, and is told."""
    inner = world.store.commit

    def first_bob(operations: Operations, *, durable: bool = False) -> Committed:
        world.store.commit = inner  # type: ignore[method-assign]
        make(world, "claim", agent="bob")
        return inner(operations, durable=durable)

    world.store.commit = first_bob  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="claimed by bob"):
        make(world, "claim", agent="eve")
    assert ("bob", 1) == (world.row(1).agent, world.row(1).lease_token)


def test_work_goes_from_claimed_to_in_progress_to_resolved_and_keeps_who_and_since_when(world):
    make(world, "claim")
    claimed_at = world.row(1).claimed_at
    make(world, "start")
    assert ("in_progress", "bob", claimed_at) == (world.row(1).agent_state, world.row(1).agent, world.row(1).claimed_at)
    make(world, "resolve", resolution={"summary": "fixed"})
    row = world.row(1)
    assert ("resolved", {"summary": "fixed"}, world.now) == (row.agent_state, orjson.loads(row.resolution), row.resolved_at)
    assert (None, claimed_at, "bob") == (row.lease_due, row.claimed_at, row.agent)


def test_nobody_needs_to_have_seen_or_claimed_what_is_resolved(world):
    make(world, "resolve", agent="ada")
    assert ("resolved", "ada") == (world.row(1).agent_state, world.row(1).agent)


@pytest.mark.parametrize(
    ("before", "verb", "said"),
    [
        ([], "start", "n1 is not claimed"),
        ([], "release", "n1 is not claimed"),
        (["claim", "start"], "start", "n1 is in progress already"),
        (["claim", "start"], "archive", "n1 is in progress by bob until"),
        (["resolve"], "claim", "n1 is resolved"),
        (["resolve"], "start", "n1 is resolved"),
        (["resolve"], "release", "n1 is resolved"),
        (["resolve"], "resolve", "n1 is resolved"),
        (["archive"], "claim", "n1 is archived"),
        (["archive"], "resolve", "n1 is archived"),
        (["archive"], "archive", "n1 is archived already"),
        ([], "unarchive", "n1 is not archived"),
        ([], "reopen", "n1 is not resolved"),
        (["claim"], "reopen", "n1 is not resolved"),
        (["resolve", "archive"], "reopen", "n1 is archived"),
        (["resolve", "reopen"], "reopen", "n1 is not resolved"),
    ],
)
def test_an_illegal_move_names_the_state(world, before, verb, said):
    for earlier in before:
        make(world, earlier)
    assert refused(world, verb).startswith(said)


@pytest.mark.parametrize("verb", ["start", "release", "resolve"])
def test_a_claim_belongs_to_the_claimer(world, verb):
    make(world, "claim")
    assert refused(world, verb, agent="eve").startswith("n1 is claimed by bob until")


def test_a_claim_that_never_was_is_not_called_over(world):
    assert "n1 has no claim 99: it has never been claimed" == refused(world, "resolve", token=99)
    make(world, "claim")
    assert "n1 has no claim 99: the newest is claim 1" == refused(world, "resolve", token=99)


@pytest.mark.parametrize("verb", ["start", "release", "resolve"])
def test_a_token_fences_a_claimer_who_slept_even_under_the_same_name(world, verb):
    old = make(world, "claim").notification.lease_token
    make(world, "release")
    new = make(world, "claim").notification.lease_token
    assert (1, 2) == (old, new)
    assert "claim 1 of n1 is over: it has been claimed again since (claim 2)" == refused(world, verb, token=old)
    make(world, verb, token=new, agent="another name")


def test_a_lease_that_is_over_holds_nothing_even_before_its_timer_says_so(world):
    make(world, "claim")
    world.now += DEFAULT_LEASE + MINUTE
    assert refused(world, "start").startswith("the claim of bob on n1 ended at 10:30")
    assert 2 == make(world, "claim", agent="eve").notification.lease_token


def test_claiming_again_renews_the_lease_and_keeps_token_and_work(world):
    make(world, "claim")
    make(world, "start")
    world.now += 10 * MINUTE
    row = make(world, "claim").notification
    assert ("in_progress", 1, world.now + DEFAULT_LEASE) == (row.agent_state, row.lease_token, row.lease_due)


def test_a_release_gives_it_to_whoever_comes(world):
    make(world, "claim")
    make(world, "release")
    assert ("none", None, None) == (world.row(1).agent_state, world.row(1).agent, world.row(1).claimed_at)
    make(world, "claim", agent="eve")


def test_the_human_axis_is_each_members_own(world):
    make(world, "seen", member="ada")
    assert [True, False] == [world.store.views.inbox(inbox(member)).items[0].seen for member in ("ada", "bob")]
    make(world, "unseen", member="ada")
    assert not world.store.views.inbox(inbox("ada")).items[0].seen


def inbox(member: str) -> Any:
    from eventctl.views import InboxFilter

    return InboxFilter(member=member)


def test_seeing_what_was_seen_writes_nothing(world):
    make(world, "seen")
    tail = world.store.tail("log")
    assert (0, tail) == (make(world, "seen").seq, world.store.tail("log"))
    assert 0 == make(world, "unsnooze").seq


def test_one_sees_what_one_was_shown_and_no_later_news(world):
    world.tell("shop.ticket.noted", {"id": 1, "text": "new"})
    make(world, "seen", news=1)
    assert not world.store.views.inbox(inbox("bob")).items[0].seen
    make(world, "seen")
    assert world.store.views.inbox(inbox("bob")).items[0].seen


def test_a_snooze_and_its_end_leave_seen_alone(world):
    make(world, "seen")
    make(world, "snooze", until=world.now + MINUTE)
    [view] = world.store.views.member_views(1)
    assert (1, world.now + MINUTE - 1) == (view.seen, view.snooze_until)
    make(world, "unsnooze")
    assert [(1, None)] == [(view.seen, view.snooze_until) for view in world.store.views.member_views(1)]
    world.wait(2 * MINUTE)
    with pytest.raises(UsageError):
        make(world, "snooze", until=world.now)


def test_unarchiving_gives_way_to_a_life_that_began_anew(world):
    make(world, "archive")
    world.tell("shop.ticket.opened", {"id": 1})
    assert "n2 is open for the same thing as n1" == refused(world, "unarchive")
    world.tell("shop.ticket.closed", {"id": 1})
    make(world, "unarchive")
    assert None is world.row(1).archived_at


def test_reopening_takes_back_that_it_was_resolved_and_leaves_it_to_nobody(world):
    make(world, "claim", agent="ada")
    token = world.row(1).lease_token
    make(world, "resolve", agent="ada", resolution={"summary": "wrong"})
    moved = make(world, "reopen")
    row = world.row(1)
    assert ("none", None, None, None, None, None, token) == (
        row.agent_state, row.agent, row.resolved_at, row.resolution, row.claimed_at, row.lease_due, row.lease_token,
    )  # fmt: skip
    assert (world.now, world.now) == (row.updated_at, row.due)
    record = world.store.views.record(moved.seq)
    assert {"verb": "reopen", "notification": 1, "agent": "bob", "saw": 1} == orjson.loads(record.body)
    assert "ada reopened n1" == whymoved.moved(record)
    world.tell("shop.ticket.noted", {"id": 1})
    assert "none" == world.row(1).agent_state
    make(world, "claim")
    assert token + 1 == world.row(1).lease_token


def test_what_is_reopened_is_moved_and_resolved_like_any_other(world):
    for verb in ("resolve", "reopen", "claim", "start", "resolve", "reopen", "archive", "unarchive", "resolve"):
        make(world, verb)
    assert "resolved" == world.row(1).agent_state


def test_reopening_gives_way_to_a_life_that_began_anew(world):
    make(world, "resolve")
    world.tell("shop.ticket.opened", {"id": 1})
    assert "n2 is open for the same thing as n1" == refused(world, "reopen")
    world.tell("shop.ticket.closed", {"id": 1})
    make(world, "reopen")
    assert "none" == world.row(1).agent_state


def test_a_resolution_has_the_shape_that_the_event_asks_for(world):
    world.tell("shop.ticket.noted", {"id": 1}, resolution_shape={"summary": "str", "minutes": "int?", "how": "a few words"})
    for wrong in ({}, {"summary": 3, "how": "x"}, {"summary": "s", "how": "x", "minutes": True}):
        with pytest.raises(UsageError):
            make(world, "resolve", resolution=wrong)
    make(world, "resolve", resolution={"summary": "s", "how": "slowly", "more": [1]})


def test_a_move_needs_a_notification_a_maker_and_the_right(world):
    with pytest.raises(NotFound):
        moves.claim(world.store, 9, agent="bob", principal=ADA, now=world.now)
    with pytest.raises(UsageError):
        make(world, "claim", agent=" ")
    with pytest.raises(NotPermitted):
        make(world, "archive", principal=BOB)
    with pytest.raises(NotPermitted):
        make(world, "seen", member="ada", principal=Principal.parse("cli:bob", "member"))
    make(world, "claim", principal=BOB)


def test_the_state_machine_never_leaves_its_paths(world):
    """Every move from every state: what is allowed leads where the picture says."""
    reach = {"none": (), "claimed": ("claim",), "in_progress": ("claim", "start")}
    paths = {
        "none": {"claim": "claimed", "resolve": "resolved"},
        "claimed": {"claim": "claimed", "start": "in_progress", "release": "none", "resolve": "resolved"},
        "in_progress": {"claim": "in_progress", "release": "none", "resolve": "resolved"},
    }
    for state, legal in paths.items():
        for verb in ("claim", "start", "release", "resolve"):
            world.tell("shop.ticket.closed", {"id": 1})
            world.tell("shop.ticket.reopened", {"id": 1})
            for earlier in reach[state]:
                make(world, earlier)
            assert state == world.row(1).agent_state
            if verb in legal:
                make(world, verb)
                assert legal[verb] == world.row(1).agent_state
            else:
                refused(world, verb)


def test_control_moves_are_appended_for_what_is_in_their_state():
    world = World(trust=Trust("strict"))
    held = world.tell("shop.build.passed", principal="http:stranger")
    with pytest.raises(NotFound):
        moves.control(world.store, "quarantine.release", 99, principal=ADA, now=world.now)
    with pytest.raises(Conflict, match=f"e{held} is quarantined in system, not dead"):
        moves.control(world.store, "dead.retry", held, principal=ADA, now=world.now)
    with pytest.raises(NotPermitted):
        moves.control(world.store, "quarantine.release", held, principal=BOB, now=world.now)
    seq = moves.control(world.store, "quarantine.release", held, principal=ADA, now=world.now)
    record = world.store.views.record(seq)
    assert ("move", "quarantine.release", held) == (record.kind, record.type, record.caused_by)
    assert {"verb": "quarantine.release", "pipeline": "system", "seq": held} == orjson.loads(record.body)
