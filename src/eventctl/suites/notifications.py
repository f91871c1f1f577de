"""What every store must do with notifications and the outbox."""

from __future__ import annotations

import pytest

from eventctl.errors import Conflict
from eventctl.notification import MemberView, Snooze
from eventctl.store import ExceptionRow, Keys, Operations, OutboxChange, Store, TimerRow
from eventctl.suites.rows import NOON_US, changed, held, notification, owed, record


class NotificationSuite:
    """Opening, changing and purging; `store` is an empty one."""

    def test_an_opened_notification_comes_back_as_it_went_in(self, store: Store) -> None:
        plain = notification(1)
        full = notification(
            2, entity="service/a", actionable=False, agent_state="claimed", agent="ci", lease_token=4, lease_due=9, claimed_at=8,
            resolution=b"{}", silenced_by="s4", silenced_until=10, due=7, watched=b'{"a":1}', ver=3, news=2, changed_pos=6,
        )  # fmt: skip
        store.commit(Operations(opened=[plain, full]))
        snapshot = store.snapshot(Keys(notifications=[1, 2, 3]))
        assert {1: plain, 2: full} == snapshot.notifications
        assert snapshot.notifications[2].actionable is False
        assert 2 == snapshot.notification_last

    def test_a_second_open_one_of_a_life_is_a_conflict(self, store: Store) -> None:
        store.commit(Operations(opened=[notification(1)]))
        with pytest.raises(Conflict):
            store.commit(Operations(opened=[notification(3), notification(2, life_key='["1"]')]))
        assert {} == store.snapshot(Keys(notifications=[2, 3])).notifications

    def test_a_taken_number_is_a_conflict(self, store: Store) -> None:
        store.commit(Operations(opened=[notification(1)]))
        with pytest.raises(Conflict):
            store.commit(Operations(opened=[notification(1, life_key="[]")]))

    @pytest.mark.parametrize("end", [{"agent_state": "resolved", "resolved_at": 5}, {"archived_at": 5}])
    def test_a_life_may_open_again_in_the_commit_that_settles_it(self, store: Store, end: dict[str, object]) -> None:
        first = notification(1)
        store.commit(Operations(opened=[first]))
        store.commit(Operations(changed=[changed(first, **end)], opened=[notification(2, life_key=first.life_key)]))
        assert 2 == store.snapshot(Keys(lives=[(first.life, first.life_key)])).lives[first.life, first.life_key].id

    def test_a_life_gives_its_open_one_or_else_the_newest_that_is_not_archived(self, store: Store) -> None:
        resolved = {"agent_state": "resolved", "life_key": "k"}
        life = ("builds.build", "k")
        store.commit(Operations(opened=[notification(n, **resolved) for n in (1, 2, 3)]))
        store.commit(Operations(changed=[changed(held(store, 3), archived_at=5)]))
        assert 2 == store.snapshot(Keys(lives=[life, ("builds.build", "j")])).lives[life].id
        store.commit(Operations(changed=[changed(held(store, 1), agent_state="none")]))
        assert 1 == store.snapshot(Keys(lives=[life])).lives[life].id

    def test_a_change_needs_the_version_before_it(self, store: Store) -> None:
        row = notification(1)
        store.commit(Operations(opened=[row]))
        store.commit(Operations(changed=[changed(row, agent_state="claimed", agent="ci")]))
        with pytest.raises(Conflict):
            store.commit(Operations(changed=[changed(row, agent_state="claimed", agent="bot")]))
        with pytest.raises(Conflict):
            store.commit(Operations(changed=[changed(notification(9))]))
        assert "ci" == held(store, 1).agent

    def test_reopening_beside_an_open_one_is_a_conflict(self, store: Store) -> None:
        old = notification(1, agent_state="resolved")
        store.commit(Operations(opened=[old, notification(2, life_key=old.life_key)]))
        with pytest.raises(Conflict):
            store.commit(Operations(changed=[changed(old, agent_state="none")]))

    def test_what_is_reopened_holds_its_life_again_with_nothing_of_how_it_was_settled(self, store: Store) -> None:
        old = notification(1, agent_state="resolved", agent="ci", resolved_at=5, resolution=b"{}")
        store.commit(Operations(opened=[old, notification(2, life_key=old.life_key, agent_state="resolved")]))
        store.commit(
            Operations(changed=[changed(old, agent_state="none", agent=None, resolved_at=None, resolution=None, due=7)])
        )
        found = store.snapshot(Keys(lives=[(old.life, old.life_key)], due_before=7))
        assert found.lives[old.life, old.life_key] == found.due[0] == notification(1, ver=2, due=7)
        with pytest.raises(Conflict):
            store.commit(Operations(opened=[notification(3, life_key=old.life_key)]))

    def test_ageing_finds_what_is_due_soonest_first(self, store: Store) -> None:
        store.commit(
            Operations(opened=[notification(n, due=due) for n, due in ((1, 30), (2, 20), (3, None), (4, 20), (5, 99))])
        )
        assert [2, 4, 1] == [row.id for row in store.snapshot(Keys(due_before=30)).due]
        assert [] == store.snapshot(Keys()).due

    def test_what_is_silenced_is_found_by_its_end_and_by_what_silences_it(self, store: Store) -> None:
        quiet = {1: ("s4", 30), 2: ("rule:calm", 20), 3: (None, None), 4: ("s4", 99), 5: ("n2", 2**62)}
        store.commit(Operations(opened=[notification(n, silenced_by=by, silenced_until=to) for n, (by, to) in quiet.items()]))
        assert [1, 2] == [row.id for row in store.snapshot(Keys(silenced_before=30)).silenced]
        assert [1, 4] == [row.id for row in store.snapshot(Keys(silenced_by="s4")).silenced]
        assert [5] == [row.id for row in store.snapshot(Keys(silenced_by="n2")).silenced]
        assert [] == store.snapshot(Keys()).silenced

    def test_a_snooze_of_a_silence_keeps_what_was_seen_and_a_longer_snooze(self, store: Store) -> None:
        views = [MemberView("ada", 1, 4), MemberView("ada", 2, 0, 99)]
        store.commit(Operations(opened=[notification(1), notification(2), notification(3)], member_views=views))
        store.commit(Operations(snoozes=[Snooze("ada", number, 50, "s9") for number in (1, 2, 3)]))
        found = [view for number in (1, 2, 3) for view in store.views.member_views(number)]
        assert [
            MemberView("ada", 1, 4, 50, "s9"), MemberView("ada", 2, 0, 99), MemberView("ada", 3, 0, 50, "s9"),
        ] == found  # fmt: skip
        store.commit(Operations(unsnoozed=["s9"]))
        found = [view for number in (1, 2, 3) for view in store.views.member_views(number)]
        assert [MemberView("ada", 1, 4), MemberView("ada", 2, 0, 99), MemberView("ada", 3, 0)] == found

    def test_a_purged_number_is_never_given_again(self, store: Store) -> None:
        store.append([record(1)])
        views = [MemberView("ada", 2, 1), MemberView("ada", 1, 1)]
        store.commit(Operations(opened=[notification(1), notification(2)], touched=[(2, 1)], member_views=views))
        store.commit(Operations(purged=[2, 7]))
        snapshot = store.snapshot(Keys(notifications=[1, 2], member_views=[("ada", 2), ("ada", 1)]))
        assert ([1], [("ada", 1)]) == (list(snapshot.notifications), list(snapshot.member_views))
        assert ([], 2) == (store.views.life(2), snapshot.notification_last)

    def test_touched_links_a_record_once_and_knows_the_first_of_the_commit(self, store: Store) -> None:
        store.append([record(1)])
        store.commit(Operations(opened=[notification(1)], touched=[(1, 1), (1, 1)]))
        store.commit(Operations(records=[record(2, kind="move")], touched=[(1, -1)]))
        assert [1, 2] == [row.seq for row in store.views.life(1)]

    def test_a_members_view_replaces_the_one_before(self, store: Store) -> None:
        store.commit(Operations(member_views=[MemberView("ada", 1, 1, 99), MemberView("bob", 1, 1)]))
        store.commit(Operations(member_views=[MemberView("ada", 1, 2)]))
        found = store.snapshot(Keys(member_views=[("ada", 1), ("bob", 1), ("eve", 1)])).member_views
        assert {("ada", 1): MemberView("ada", 1, 2), ("bob", 1): MemberView("bob", 1, 1)} == found


class OutboxSuite:
    """Owing, claiming and ending attempts; `store` is an empty one."""

    def test_planning_an_effect_twice_owes_it_once(self, store: Store) -> None:
        store.commit(Operations(outbox=[owed("a"), owed("a", body=b"other")]))
        store.commit(Operations(outbox=[owed("a", state="done")]))
        assert [owed("a")] == store.views.outbox()

    def test_a_claim_takes_due_rows_once_for_a_fresh_attempt(self, store: Store) -> None:
        store.commit(
            Operations(outbox=[owed("a", next_at=5), owed("b", next_at=3), owed("c", next_at=9), owed("d", state="done")])
        )
        first = store.claim(5, lease=60, limit=9)
        assert ["b", "a"] == [row.id for row in first]
        assert {("sending", 1, 65)} == {(row.state, row.attempt, row.lease) for row in first}
        assert 2 == len({row.attempt_id for row in first} - {""})
        assert [] == store.claim(5, lease=60, limit=9)
        assert first == sorted((row for row in store.views.outbox() if row.state == "sending"), key=lambda row: row.next_at)

    def test_a_claim_keeps_to_its_limit_and_kinds(self, store: Store) -> None:
        kinds = [owed(f"{kind}{n}", kind=kind) for kind in ("call", "decision", "deliver") for n in (1, 2)]
        store.commit(Operations(outbox=kinds))
        assert ["deliver1"] == [row.id for row in store.claim(0, lease=1, limit=1, kinds=("deliver",))]
        assert ["call1", "call2", "deliver2"] == [row.id for row in store.claim(0, lease=1, limit=9, kinds=("deliver", "call"))]
        assert 2 == len(store.claim(0, lease=1, limit=9))

    def test_an_attempt_ends_only_for_whoever_made_it(self, store: Store) -> None:
        store.commit(Operations(outbox=[owed("a")]))
        (taken,) = store.claim(0, lease=10, limit=1)
        with pytest.raises(Conflict):
            store.commit(Operations(outbox_changed=[OutboxChange("a", "somebody", "done")]))
        store.commit(Operations(outbox_changed=[OutboxChange("a", taken.attempt_id, "retry", next_at=50)]))
        (again,) = store.claim(50, lease=10, limit=1)
        assert 2 == again.attempt
        with pytest.raises(Conflict):
            store.commit(Operations(outbox_changed=[OutboxChange("a", taken.attempt_id, "done")]))
        store.commit(Operations(outbox_changed=[OutboxChange("a", again.attempt_id, "done")]))
        with pytest.raises(Conflict):
            store.commit(Operations(outbox_changed=[OutboxChange("a", again.attempt_id, "retry")]))
        assert ("done", None) == (store.views.outbox()[0].state, store.views.outbox()[0].lease)

    def test_an_answer_of_the_same_commit_is_noted_on_its_row(self, store: Store) -> None:
        store.commit(Operations(outbox=[owed("a")]))
        (taken,) = store.claim(0, lease=10, limit=1)
        answer = record(1, kind="answer", source="outbox", id="a")
        store.commit(Operations(records=[answer], outbox_changed=[OutboxChange("a", taken.attempt_id, "done")]))
        assert 1 == store.views.outbox()[0].answer_seq

    def test_an_attempt_whose_end_nobody_saw_is_overdue_after_its_lease(self, store: Store) -> None:
        store.commit(Operations(outbox=[owed("a"), owed("b")]))
        store.claim(0, lease=10, limit=1)
        store.claim(5, lease=10, limit=1)
        assert [] == store.overdue(9, limit=9)
        assert ["a"] == [row.id for row in store.overdue(10, limit=9)]
        assert ["a"] == [row.id for row in store.overdue(99, limit=1)]

    def test_the_next_due_moment_is_the_soonest_of_timers_retries_and_the_outbox(self, store: Store) -> None:
        assert store.next_due() is None
        store.commit(Operations(outbox=[owed("a", next_at=90), owed("d", next_at=1, state="done")]))
        assert 90 == store.next_due()
        store.commit(Operations(exceptions=[ExceptionRow("p", 1, "retry", 1, "c", "r", 1, 80)]))
        assert 80 == store.next_due()
        store.commit(Operations(timers=[TimerRow("o", "k", 70)]))
        assert 70 == store.next_due()
        store.claim(90, lease=NOON_US, limit=1)
        store.commit(Operations(timers_cleared=[("o", "k", None)], cleared=[("p", 1)]))
        assert 90 + NOON_US == store.next_due()
