"""Triage without a screen: each verb, what takes it back, and rows that may not be moved among those that may."""

from __future__ import annotations

import pytest

from eventctl import moves, silences
from eventctl.errors import Conflict, EventctlError, NotFound, NotPermitted, StorageFailed, UsageError
from eventctl.memory_store import MemoryStore
from eventctl.principal import Principal
from eventctl.store import Keys
from eventctl.times import DAY, HOUR, MINUTE
from eventctl.tui.triage import moves as triage
from tests.system.kit import ADA, World, sqlite

BUILDER = Principal.parse("cli:builder", "agent")


@pytest.fixture(params=["memory", "sqlite"])
def world(request, tmp_path):
    store = MemoryStore() if request.param == "memory" else sqlite(tmp_path)
    made = World(store)
    for number in (1, 2, 3):
        made.tell("shop.ticket.opened", {"id": number})
    yield made
    store.close()


def do(world, verb, *numbers, who=ADA, **more):
    world.now += 1
    return getattr(triage, verb)(world.store, numbers or (1,), who, lambda: world.now, **more)


def back(world, deed):
    world.now += 1
    return deed.back(world.store)


def elsewhere(world, verb, number, who=BUILDER, **more):
    """The same verb by somebody else, who does not look at this screen."""
    world.now += 1
    if verb in ("claim", "start", "release", "resolve", "reopen"):
        more["agent"] = who.subject
    return getattr(moves, verb)(world.store, number, principal=who, now=world.now, **more)


def stand(world, number=1, who="ada"):
    row = world.row(number)
    view = world.store.snapshot(Keys(member_views=[(who, number)])).member_views.get((who, number))
    seen = view is not None and view.seen >= row.news
    return row.agent_state, row.agent, row.archived_at is not None, seen, view.snooze_until if view else None


OPEN = ("none", None, False, False, None)
VERBS = {
    "seen": ("none", None, False, True, None),
    "claim": ("claimed", "ada", False, False, None),
    "start": ("in_progress", "ada", False, False, None),
    "resolve": ("resolved", "ada", False, False, None),
    "archive": ("none", None, True, False, None),
}


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_taken_back_stands_as_before(world, verb):
    assert OPEN == stand(world)
    deed = do(world, verb)
    assert VERBS[verb] == stand(world)
    assert "taken back" in back(world, deed)
    assert OPEN == stand(world)


OTHER_WAY = {"unseen": ("seen",), "release": ("claim",), "reopen": ("resolve",), "unarchive": ("archive",)}


@pytest.mark.parametrize("verb", OTHER_WAY)
def test_the_other_way_is_taken_back_too(world, verb):
    for first in OTHER_WAY[verb]:
        do(world, first)
    before = stand(world)
    deed = do(world, verb)
    assert before != stand(world)
    back(world, deed)
    assert before == stand(world)


def test_snoozed_is_as_long_as_said_and_taken_back_to_what_it_was(world):
    first, second = world.now + DAY, world.now + 2 * DAY
    do(world, "snooze", until=first)
    deed = do(world, "snooze", until=second)
    assert second == stand(world)[4]
    back(world, deed)
    assert first == stand(world)[4]
    deed = do(world, "unsnooze")
    assert stand(world)[4] is None
    back(world, deed)
    assert first == stand(world)[4]


def test_a_snooze_that_would_be_over_by_now_is_not_set_again(world):
    do(world, "snooze", until=world.now + HOUR)
    deed = do(world, "snooze", until=world.now + DAY)
    world.now += 2 * HOUR
    back(world, deed)
    assert stand(world)[4] is None


def test_seen_is_as_far_as_it_was_shown(world):
    shown = world.row(1).news
    world.tell("shop.ticket.noted", {"id": 1, "text": "news"})
    assert shown < world.row(1).news
    do(world, "seen", shown={1: shown})
    assert not stand(world)[3]
    do(world, "seen", shown={1: world.row(1).news})
    assert stand(world)[3]


def test_seen_is_taken_back_to_what_was_seen_before(world):
    do(world, "seen")
    world.tell("shop.ticket.noted", {"id": 1, "text": "news"})
    deed = do(world, "seen")
    back(world, deed)
    views = world.store.snapshot(Keys(member_views=[("ada", 1)])).member_views
    assert 1 == views["ada", 1].seen


def test_work_claims_what_is_free(world):
    assert "n1 in progress" == do(world, "start").said
    assert ("in_progress", "ada") == stand(world)[:2]


def test_work_on_what_one_has_is_taken_back_to_having_it(world):
    do(world, "claim", lease=HOUR)
    due = world.row(1).lease_due
    deed = do(world, "start")
    back(world, deed)
    assert ("claimed", "ada") == stand(world)[:2]
    assert due == world.row(1).lease_due


def test_work_on_what_somebody_else_has_is_refused(world):
    elsewhere(world, "claim", 1)
    with pytest.raises(Conflict, match="claimed by builder"):
        do(world, "start")
    assert ("claimed", "builder") == stand(world)[:2]


def test_what_was_given_back_in_the_middle_of_work_is_in_the_middle_of_work_again(world):
    do(world, "start")
    deed = do(world, "release", reason="lunch")
    assert ("none", None) == stand(world)[:2]
    back(world, deed)
    assert ("in_progress", "ada") == stand(world)[:2]


def test_what_was_resolved_in_the_middle_of_work_is_in_the_middle_of_work_again(world):
    do(world, "start")
    deed = do(world, "resolve", resolution={"summary": "done"})
    back(world, deed)
    assert ("in_progress", "ada") == stand(world)[:2]


def test_a_claim_that_would_be_over_by_now_is_not_taken_again(world):
    do(world, "claim", lease=MINUTE)
    deed = do(world, "release")
    world.now += HOUR
    with pytest.raises(Conflict, match="n1 is free: your claim on it has ended since"):
        back(world, deed)
    assert ("none", None) == stand(world)[:2]


def test_reopened_is_taken_back_to_how_it_was_settled(world):
    do(world, "resolve", resolution={"summary": "by hand", "link": "https://example.org"})
    settled = world.row(1).resolution
    back(world, do(world, "reopen"))
    assert settled == world.row(1).resolution


def test_one_that_may_not_be_moved_stops_no_other_and_says_why(world):
    elsewhere(world, "claim", 2)
    deed = do(world, "resolve", 1, 2, 3)
    assert deed.said.startswith("2 resolved; n2 is claimed by builder")
    assert ["resolved", "claimed", "resolved"] == [world.row(number).agent_state for number in (1, 2, 3)]
    back(world, deed)
    assert ["none", "claimed", "none"] == [world.row(number).agent_state for number in (1, 2, 3)]


def test_what_need_not_be_changed_is_said(world):
    do(world, "seen", 1)
    assert "2 seen; n1 seen already" == do(world, "seen", 1, 2, 3).said
    assert "3 seen already" == do(world, "seen", 1, 2, 3).said
    assert do(world, "seen", 1).back is None


def test_when_none_may_be_moved_it_is_an_error_with_the_first_reasons(world):
    for number in (1, 2, 3):
        elsewhere(world, "claim", number)
    with pytest.raises(Conflict) as found:
        do(world, "claim", 1, 2, 3)
    assert "n1 is claimed by builder" in found.value.what
    assert found.value.what.endswith("; and 1 more not")


def test_a_number_that_is_not_there_is_an_error(world):
    with pytest.raises(NotFound, match="no n9"):
        do(world, "claim", 9)
    assert "n1 yours; there is no n9" == do(world, "claim", 1, 9).said


def test_an_agent_is_refused_what_people_do(world):
    for verb in ("seen", "unseen", "unsnooze", "archive"):
        with pytest.raises(NotPermitted):
            do(world, verb, who=BUILDER)


@pytest.mark.parametrize(
    ("verb", "since", "said"),
    [
        ("claim", ["release", "claim"], "n2 has changed since: builder has it"),
        ("start", ["release", "claim"], "n2 has changed since: builder has it"),
        ("resolve", ["reopen", "claim"], "n2 has changed since: builder has it"),
        ("archive", ["unarchive"], "n2 has changed since"),
    ],
)
def test_a_row_that_somebody_has_changed_since_is_left_and_the_others_are_taken_back(world, verb, since, said):
    deed = do(world, verb, 1, 2, 3)
    for each in since:
        first = since.index(each) == 0
        elsewhere(world, each, 2, who=ADA if first else BUILDER)
    then = stand(world, 2)
    assert said in back(world, deed)
    assert then == stand(world, 2)
    assert [OPEN, OPEN] == [stand(world, 1), stand(world, 3)]


def test_a_snooze_that_was_set_otherwise_since_is_left(world):
    deed = do(world, "snooze", until=world.now + HOUR)
    other = world.now + DAY
    elsewhere(world, "snooze", 1, who=ADA, member="ada", until=other)
    with pytest.raises(Conflict, match="n1 has been snoozed otherwise since"):
        back(world, deed)
    assert other == stand(world)[4]


def test_a_resolution_of_the_wrong_shape_is_refused_row_by_row(world):
    world.tell("shop.ticket.noted", {"id": 1, "text": "x"}, resolution_shape={"minutes": "int"})
    deed = do(world, "resolve", 1, 2, resolution={"summary": ""})
    assert "n2 resolved; a resolution of n1 has a 'minutes' (int)" == deed.said


def test_a_silence_is_set_and_ended(world):
    wanted = silences.Silence(0, "", 0, world.now + DAY, type="shop.**", reason="moving house")
    deed = triage.hush(world.store, wanted, ADA, lambda: world.now)
    [number] = silences.standing(world.store)
    assert f"s{number}: shop.** is quiet, back in 1d" == deed.said
    assert f"s{number} ended" == back(world, deed)
    assert {} == silences.standing(world.store)


def test_a_disk_that_fills_up_in_the_middle_ends_it_and_what_was_done_is_said(world):
    class Full(type(world.store)):
        """The same store; its second commit finds no room."""

        left = 1

        def commit(self, *args, **more):
            if not Full.left:
                raise StorageFailed("the disk is full")
            Full.left -= 1
            return super().commit(*args, **more)

    world.store.__class__ = Full
    deed = do(world, "claim", 1, 2, 3)
    assert "n1 yours; the disk is full" == deed.said
    with pytest.raises(EventctlError, match="disk is full"):
        do(world, "claim", 2, 3)


def test_a_snooze_into_the_past_is_refused(world):
    with pytest.raises(UsageError):
        do(world, "snooze", until=world.now - 1)
