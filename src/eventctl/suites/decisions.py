"""What every store must do with decisions and with what is installed."""

from __future__ import annotations

from typing import Any

import pytest

from eventctl.errors import Conflict
from eventctl.store import DecisionRow, InstalledRow, Keys, Operations, Store, TimerRow
from eventctl.suites.rows import NOON_US, asked, owed


def put(name: str, digest: str, *, place: str = "library", active: bool = True, at: int = NOON_US) -> InstalledRow:
    return InstalledRow(place, name, "1.0", digest, active, "worker", "folder", "cli:ada", at)


def decided(store: Store, call: str, **given: Any) -> DecisionRow:
    """The decision as its next version, committed."""
    found = store.snapshot(Keys(decisions=[call])).decisions[call]
    row = found._replace(ver=found.ver + 1, **given)
    store.commit(Operations(decisions=[row]))
    return row


class DecisionSuite:
    """Asking, deciding and counting; `store` is an empty one."""

    def test_a_decision_is_numbered_and_comes_back_as_it_went_in(self, store: Store) -> None:
        full = asked("b", due=7, decided_by="cli:ada", decided_at=6, approved=True, body=b'{"x":1}', owner="bob", domain="")
        store.commit(Operations(decisions=[asked("a"), full]))
        found = store.snapshot(Keys(decisions=["a", "b", "c"])).decisions
        assert {"a": asked("a", number=1), "b": full._replace(number=2)} == found
        assert (True, False) == (found["b"].approved, found["a"].approved)
        assert {} == store.snapshot(Keys()).decisions

    def test_asking_again_changes_nothing_and_takes_no_number(self, store: Store) -> None:
        store.commit(Operations(decisions=[asked("a"), asked("a", state="approved")]))
        store.commit(Operations(decisions=[asked("a", body=b'{"other":1}'), asked("b")]))
        assert [asked("b", number=2), asked("a", number=1)] == store.views.decisions()

    def test_a_change_needs_the_version_before_it(self, store: Store) -> None:
        store.commit(Operations(decisions=[asked("a")]))
        first = asked("a", number=1)
        approved = first._replace(ver=2, state="approved", approved=True, decided_by="cli:ada", decided_at=9, due=None)
        store.commit(Operations(decisions=[approved]))
        wrong = [
            first._replace(ver=2, state="denied"),
            first._replace(ver=4),
            first._replace(ver=3, number=2),
            first._replace(ver=3, call="b"),
        ]
        for refused in wrong:
            with pytest.raises(Conflict):
                store.commit(Operations(decisions=[asked("late"), refused], outbox=[owed("late")]))
        assert [approved] == store.views.decisions()
        assert [] == store.views.outbox()

    def test_a_number_that_is_taken_is_a_conflict(self, store: Store) -> None:
        store.commit(Operations(decisions=[asked("a", number=5)]))
        with pytest.raises(Conflict):
            store.commit(Operations(decisions=[asked("b", number=5)]))
        store.commit(Operations(decisions=[asked("c")]))
        assert [6, 5] == [row.number for row in store.views.decisions()]

    def test_the_last_number_is_known_and_a_lower_one_that_is_given_changes_it_not(self, store: Store) -> None:
        assert 0 == store.snapshot(Keys(decisions=["a"])).decision_last
        store.commit(Operations(decisions=[asked("a", number=9), asked("b", number=4)]))
        assert 9 == store.snapshot(Keys(decisions=["c"])).decision_last
        assert 0 == store.snapshot(Keys()).decision_last

    def test_approvals_count_what_people_allowed_and_nobody_took_back(self, store: Store) -> None:
        rows = [asked(f"a{n}", kind="p/c:act", state="done", approved=True) for n in range(25)]
        rows += [asked(f"b{n}", kind="p/c:act", state=state, approved=True) for n, state in enumerate(("undone", "undoing"))]
        rows += [asked("c", kind="p/c:act", state="done"), asked("d", kind="p/c:other", approved=True, state="failed")]
        store.commit(Operations(decisions=rows))
        kinds = ["p/c:act", "p/c:act", "p/c:none", "p/c:other"]
        assert {"p/c:act": 25, "p/c:other": 1} == store.snapshot(Keys(approvals=kinds)).approvals

    def test_what_is_due_is_open_and_soonest_first(self, store: Store) -> None:
        rows = [
            asked("a", due=30), asked("b", due=20, state="window"), asked("c"), asked("d", due=10, state="done"), asked("e", due=20),
        ]  # fmt: skip
        store.commit(Operations(decisions=rows))
        assert ["b", "e", "a"] == [row.call for row in store.due_decisions(30, limit=9)]
        assert ["b", "e"] == [row.call for row in store.due_decisions(29, limit=9)]
        assert ["b"] == [row.call for row in store.due_decisions(99, limit=1)]
        decided(store, "b", state="undone", due=None)
        assert ["e", "a"] == [row.call for row in store.due_decisions(99, limit=9)]

    def test_the_next_due_moment_counts_what_is_held_or_in_its_window(self, store: Store) -> None:
        store.commit(Operations(decisions=[asked("d", due=10, state="done")], timers=[TimerRow("o", "k", 70)]))
        assert 70 == store.next_due()
        store.commit(Operations(decisions=[asked("a", due=60)]))
        assert 60 == store.next_due()
        store.commit(Operations(decisions=[asked("b", due=50, state="window")]))
        assert 50 == store.next_due()
        decided(store, "b", state="approved", due=None)
        assert 60 == store.next_due()

    def test_pages_of_decisions_give_every_one_once_newest_first(self, store: Store) -> None:
        store.commit(Operations(decisions=[asked(f"a{n}", state=("held", "done", "denied")[n % 3]) for n in range(23)]))
        found: list[int] = []
        after = None
        while page := store.views.decisions(("held", "done"), after=after, limit=4):
            found += [row.number for row in page]
            after = page[-1].number
        assert [n for n in range(23, 0, -1) if n % 3] == found
        assert list(range(23, 0, -1)) == [row.number for row in store.views.decisions()]
        assert [] == store.views.decisions(("window",))

    def test_decisions_are_found_by_whose_they_are_and_by_what_they_are_about(self, store: Store) -> None:
        rows = [
            asked("a", domain="builds", seq=4), asked("b", domain="", owner="ada", seq=5), asked("c", domain="ops", seq=4),
            asked("d", domain="", seq=6),
        ]  # fmt: skip
        store.commit(Operations(decisions=rows))
        views = store.views
        assert [2, 1] == [row.number for row in views.decisions(domains=["builds"], owners=["ada"])]
        assert [3] == [row.number for row in views.decisions(("held",), domains=["ops", "none"])]
        assert [2] == [row.number for row in views.decisions(("held", "done"), owners=["ada"])]
        assert [1, 3] == [row.number for row in views.decisions_about(4)]
        assert [] == views.decisions_about(7)
        assert ("d", None) == ((views.decision(4) or rows[0]).call, views.decision(5))

    def test_what_is_held_is_counted(self, store: Store) -> None:
        store.commit(Operations(decisions=[asked("a"), asked("b"), asked("c", state="window")]))
        assert 2 == store.views.counts().decisions_held

    def test_a_yes_outlives_the_cursor_of_the_pipeline_that_asked(self, store: Store) -> None:
        store.open_cursor("domain:builds")
        owing = [owed("a", kind="decision"), owed("b")]
        store.commit(Operations(decisions=[asked("a", state="approved"), asked("c")], outbox=owing))
        store.forget_cursor("domain:builds")
        assert ["a"] == [row.id for row in store.views.outbox()]
        assert ["held", "approved"] == [row.state for row in store.views.decisions()]


class InstalledSuite:
    """Packages and the versions that are installed; `store` is an empty one."""

    def test_a_package_is_kept_once_under_its_digest_and_mended_by_the_next(self, store: Store) -> None:
        store.commit(Operations(packages=[("d1", b"\x00damaged"), ("d2", b"")]))
        store.commit(Operations(packages=[("d1", b"\x00files")]))
        assert (b"\x00files", b"", None) == (store.package("d1"), store.package("d2"), store.package("d3"))

    def test_versions_are_listed_by_place_id_and_time(self, store: Store) -> None:
        rows = [put("b", "d1"), put("a", "d2", at=9, active=False), put("a", "d1", at=5), put("a", "d1", place="domain:builds")]
        store.commit(Operations(installed=rows))
        assert [rows[3], rows[2], rows[1], rows[0]] == store.installed()
        assert [True, True, False, True] == [row.active for row in store.installed()]

    def test_of_one_id_in_one_place_the_last_active_one_is_active(self, store: Store) -> None:
        store.commit(Operations(installed=[put("a", "d1", at=1), put("a", "d1", place="member:ada"), put("b", "d1")]))
        store.commit(Operations(installed=[put("a", "d2", at=2), put("a", "d3", at=3)]))
        actives = [(row.place, row.id, row.digest) for row in store.installed() if row.active]
        assert [("library", "a", "d3"), ("library", "b", "d1"), ("member:ada", "a", "d1")] == actives
        store.commit(Operations(installed=[put("a", "d1", at=1)]))
        assert ["d1"] == [row.digest for row in store.installed() if (row.place, row.id, row.active) == ("library", "a", True)]

    def test_a_row_replaces_the_one_of_its_digest(self, store: Store) -> None:
        store.commit(Operations(installed=[put("a", "d1")]))
        changed = put("a", "d1", active=False)._replace(runs="in-process", decision=4)
        store.commit(Operations(installed=[changed]))
        assert [changed] == store.installed()

    def test_what_is_removed_for_good_is_gone_and_its_package_stays_for_others(self, store: Store) -> None:
        store.commit(Operations(packages=[("d1", b"x")], installed=[put("a", "d1"), put("a", "d1", place="member:ada")]))
        store.commit(Operations(uninstalled=[("library", "a", "d1"), ("library", "a", "d9")]))
        assert ["member:ada"] == [row.place for row in store.installed()]
        assert b"x" == store.package("d1")

    def test_an_install_that_conflicts_has_not_happened(self, store: Store) -> None:
        store.commit(Operations(installed=[put("a", "d1")]))
        late = asked("a", number=1, ver=2)
        with pytest.raises(Conflict):
            store.commit(Operations(packages=[("d2", b"x")], installed=[put("a", "d2")], decisions=[late]))
        assert ([put("a", "d1")], None) == (store.installed(), store.package("d2"))
