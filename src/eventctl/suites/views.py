"""What every store's views must answer."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from eventctl.errors import UsageError
from eventctl.notification import MemberView
from eventctl.store import DUPLICATE_OF, ExceptionRow, FeedRow, Operations, Store
from eventctl.suites.rows import NOON_US, advance, asked, changed, held, notification, owed, record
from eventctl.views import InboxFilter, LogFilter, Order

ORDERS: tuple[Order, ...] = get_args(Order)


def shown(store: Store, **want: Any) -> list[int]:
    return [item.notification.id for item in store.views.inbox(InboxFilter(**want)).items]


class ViewSuite:
    """The reads behind commands and screens; `store` is an empty one."""

    def test_the_inbox_is_open_before_resolved_then_by_level_then_newest_change(self, store: Store) -> None:
        rows = [
            notification(1, level=1), notification(2, level=3), notification(3, level=3), notification(4, level=3, updated_at=1),
            notification(5, level=3, agent_state="resolved"), notification(6, level=3, archived_at=1),
            notification(7, level=1, updated_at=NOON_US + 1),
        ]  # fmt: skip
        store.commit(Operations(opened=rows))
        assert [3, 2, 4, 7, 1, 5] == shown(store)
        assert [3, 2, 4, 7, 1, 5, 6] == shown(store, archived=True)
        assert [3, 2, 4, 7, 1] == shown(store, resolved=False)

    def test_pages_of_the_inbox_give_every_row_once(self, store: Store) -> None:
        store.commit(Operations(opened=[notification(n, level=n % 3, updated_at=NOON_US + n % 5) for n in range(1, 24)]))
        found: list[int] = []
        page = store.views.inbox(InboxFilter(), limit=5)
        while True:
            found += [item.notification.id for item in page.items]
            if not page.next:
                break
            page = store.views.inbox(InboxFilter(), limit=5, after=page.next)
        assert shown(store) == found
        assert list(range(1, 24)) == sorted(found)

    def test_a_row_that_moves_up_between_pages_hides_no_other(self, store: Store) -> None:
        store.commit(Operations(opened=[notification(n) for n in range(1, 7)]))
        first = store.views.inbox(InboxFilter(), limit=3)
        store.commit(Operations(changed=[changed(held(store, 4), updated_at=NOON_US + 99)]))
        rest = store.views.inbox(InboxFilter(), limit=9, after=first.next)
        assert [3, 2, 1] == [item.notification.id for item in rest.items]

    @pytest.mark.parametrize("order", ORDERS)
    @pytest.mark.parametrize("token", ["zz", "level.1.2", "age.1", "age.1.2.3", "entity.1.2.zz", "1.", "f" * 17 + ".1"])
    def test_a_page_token_that_is_none_is_wrong_usage(self, store: Store, order: Order, token: str) -> None:
        with pytest.raises(UsageError):
            store.views.inbox(InboxFilter(order=order), after=token)

    @pytest.mark.parametrize(
        ("order", "found"),
        [
            ("level", [2, 5, 4, 1, 3]),
            ("age", [2, 3, 4, 1, 5]),
            ("oldest", [5, 1, 4, 3, 2]),
            ("domain", [5, 1, 3, 2, 4]),
            ("entity", [4, 5, 1, 2, 3]),
        ],
    )
    def test_the_inbox_is_sorted_by(self, store: Store, order: Order, found: list[int]) -> None:
        rows = [
            notification(1, level=1, updated_at=NOON_US + 5, domain="marketing", entity="b"),
            notification(2, level=3, updated_at=NOON_US + 9, domain="ops", entity=None),
            notification(3, level=0, updated_at=NOON_US + 7, domain="marketing", entity=""),
            notification(4, level=1, updated_at=NOON_US + 5, domain="ops", entity="a"),
            notification(5, level=2, updated_at=NOON_US + 1, domain="marketing", entity="b", agent_state="claimed"),
        ]
        store.commit(Operations(opened=rows))
        assert found == shown(store, order=order)

    @pytest.mark.parametrize("order", ORDERS)
    def test_pages_of_every_order_give_every_row_once_also_when_rows_move(self, store: Store, order: Order) -> None:
        names = ["é", "b.c", "a'", "", "z"]
        rows = [
            notification(n, level=n % 3, updated_at=NOON_US + n % 5, domain=names[n % 4], entity=[*names, None][n % 6])
            for n in range(1, 24)
        ]
        store.commit(Operations(opened=rows))
        found: list[int] = []
        after = ""
        for size in (5, 1, 7, 9, 9):
            page = store.views.inbox(InboxFilter(order=order), limit=size, after=after)
            found += [item.notification.id for item in page.items]
            after = page.next
            if not after:
                break
            # The last one that was shown moves away, to the end or the beginning of the list.
            store.commit(Operations(changed=[changed(held(store, found[-1]), archived_at=1)]))
        assert ("", list(range(1, 24))) == (after, sorted(found))

    def test_what_fits_is_counted_as_far_as_it_is_asked(self, store: Store) -> None:
        store.commit(
            Operations(opened=[notification(n, level=n % 2) for n in range(1, 12)], member_views=[MemberView("ada", 1, 1)])
        )
        views = store.views
        assert (11, 6, 10, 4, 0) == (
            views.inbox_count(InboxFilter()), views.inbox_count(InboxFilter(level_min=1)),
            views.inbox_count(InboxFilter(member="ada", unseen=True)), views.inbox_count(InboxFilter(), most=4),
            views.inbox_count(InboxFilter(text="nowhere")),
        )  # fmt: skip
        with pytest.raises(UsageError):
            views.inbox_count(InboxFilter(unseen=True))

    def test_too_much_text_to_look_for_is_wrong_usage(self, store: Store) -> None:
        assert [] == shown(store, text="a " * 500)
        for text in ("a" * 1_001, "\ud800"):
            with pytest.raises(UsageError):
                shown(store, text=text)

    def test_the_version_is_another_one_after_every_commit(self, store: Store) -> None:
        seen = [store.views.version()]
        for n in range(1, 4):
            store.append([record(n)])
            seen.append(store.views.version())
            store.commit(Operations(opened=[notification(n)]))
            seen.append(store.views.version())
        assert 7 == len(set(seen))
        assert seen[-1] == store.views.version()

    @pytest.mark.parametrize(
        ("want", "found"),
        [
            ({"types": ["deploy.failed"]}, [2]),
            ({"types": ["deploy.*"]}, [3, 2]),
            ({"types": ["build.**", "deploy.failed"]}, [2, 1]),
            ({"types": ["*.failed"]}, [2]),
            ({"types": ["deploy"]}, []),
            ({"types": ["**"]}, [3, 2, 1]),
            ({"domains": ["ops"]}, [2]),
            ({"domains": ["ops.**"]}, [3]),
            ({"level_min": 2}, [3, 2]),
            ({"states": ["claimed", "in_progress"]}, [3]),
            ({"entity": "service/a"}, [2]),
            ({"audience": ["member:ada"]}, [1]),
            ({"since": NOON_US + 2}, [3, 2]),
            ({"until": NOON_US + 2}, [1]),
            ({"text": "API"}, [2]),
            ({"text": "100%"}, [3]),
            ({"text": "1_0"}, []),
            ({"text": "api deploy"}, [2]),
            ({"text": "api rolled"}, []),
            ({"text": "TIMEOUT"}, [3, 2]),
            ({"text": "rolled timeout"}, [3]),
            ({"text": '"quoted"'}, [1]),
            ({"text": "first"}, []),
        ],
    )
    def test_the_inbox_is_filtered_by(self, store: Store, want: dict[str, Any], found: list[int]) -> None:
        rows = [
            notification(1, level=1, audience="member:ada", seq=1),
            notification(2, type="deploy.failed", domain="ops", entity="service/a", title="Deploy api", seq=3),
            notification(
                3, type="deploy.done", domain="ops.eu", level=3, agent_state="claimed", title="Rolled out 100%", seq=3
            ),
        ]
        bodies = (b'{"why":"is \\"quoted\\""}', b'{"why":"first"}', b'{"why":"Timeout"}')
        store.append([record(number, body=body) for number, body in enumerate(bodies, 1)])
        store.commit(Operations(opened=rows))
        assert found == shown(store, **want)

    def test_each_member_has_seen_what_they_have_seen(self, store: Store) -> None:
        views = [MemberView("ada", 1, 1), MemberView("ada", 2, 1, 50), MemberView("bob", 3, 1)]
        store.commit(Operations(opened=[notification(1), notification(2, news=2), notification(3)], member_views=views))
        items = store.views.inbox(InboxFilter(member="ada")).items
        assert [(3, False, None), (2, False, 50), (1, True, None)] == [(row.id, seen, until) for row, seen, until in items]
        assert [3, 2] == shown(store, member="ada", unseen=True)
        assert [3, 1] == shown(store, member="ada", hide_snoozed_at=49)
        assert [3, 2, 1] == shown(store, member="ada", hide_snoozed_at=50)
        with pytest.raises(UsageError):
            shown(store, unseen=True)
        assert ["ada"] == [view.member for view in store.views.member_views(2)]

    def test_what_is_silenced_can_be_left_out_or_shown_alone(self, store: Store) -> None:
        rows = [notification(1), notification(2, silenced_by="s1", silenced_until=50, news=0), notification(3)]
        store.commit(Operations(opened=rows))
        assert [3, 2, 1] == shown(store)
        assert [3, 1] == shown(store, hide_silenced_at=49)
        assert [3, 2, 1] == shown(store, hide_silenced_at=50)
        assert [2] == shown(store, silenced_at=49)
        assert [] == shown(store, silenced_at=50)
        assert [3, 1] == shown(store, member="ada", unseen=True)

    def test_a_notification_and_its_life_are_found_by_number(self, store: Store) -> None:
        store.append([record(n) for n in range(1, 6)])
        store.commit(Operations(opened=[notification(1)], touched=[(1, n) for n in (5, 1, 3)]))
        assert notification(1) == store.views.notification(1)
        assert store.views.notification(2) is None
        assert [1, 3, 5] == [row.seq for row in store.views.life(1)]
        assert [3, 5] == [row.seq for row in store.views.life(1, limit=2)]

    def test_a_record_is_found_by_number_and_by_the_beginning_of_its_id(self, store: Store) -> None:
        store.append([record(n, id=f"0{n % 2}-{n:02}") for n in range(1, 31)])
        found = store.views.record(7)
        assert found is not None
        assert "01-07" == found.id
        assert store.views.record(99) is None
        assert [f"00-{n:02}" for n in range(2, 22, 2)] == [row.id for row in store.views.find("00")]
        assert ["00-30"] == [row.id for row in store.views.find("00-30")]
        assert ([], []) == (store.views.find(""), store.views.find("9"))

    @pytest.mark.parametrize(
        ("want", "found"),
        [
            ({}, [6, 5, 4, 3, 2, 1]),
            ({"types": ["a.b"]}, [4, 1]),
            ({"types": ["a.*", "d"]}, [6, 4, 2, 1]),
            ({"types": ["a.**"]}, [5, 4, 2, 1]),
            ({"types": ["no.such"]}, []),
            ({"kinds": ["move"]}, [3]),
            ({"types": ["a.**"], "sources": ["x"]}, [5, 2]),
            ({"entity": "e"}, [5, 2]),
            ({"entity": "e", "types": ["a.c"]}, [2]),
            ({"since": NOON_US + 5_000_000}, [6, 5]),
            ({"until": NOON_US + 3_000_000}, [2, 1]),
            ({"since": NOON_US + 2_000_000, "until": NOON_US + 5_000_000, "types": ["a.b"]}, [4]),
            ({"since": NOON_US * 2}, []),
            ({"until": 0}, []),
            ({"text": "NUMBER"}, [6, 5, 4, 3, 2, 1]),
            ({"text": "x"}, [5, 3, 2]),
            ({"text": "x c.d"}, [5]),
            ({"text": "seen"}, [3]),
            ({"text": '":4}'}, []),
            ({"text": ":4}"}, [4]),
            ({"text": "1%"}, []),
            ({"text": "x", "types": ["a.*"]}, [2]),
        ],
    )
    def test_the_log_is_filtered_by(self, store: Store, want: dict[str, Any], found: list[int]) -> None:
        mine = {"source": "x", "entity": "e"}
        store.append([
            record(1, type="a.b"), record(2, type="a.c", **mine), record(3, kind="move", type="inbox.seen"),
            record(4, type="a.b"), record(5, type="a.c.d", **mine), record(6, type="d"),
        ])  # fmt: skip
        assert found == [row.seq for row in store.views.log(LogFilter(**want))]
        assert found[:1] == [row.seq for row in store.views.log(LogFilter(**want), limit=1)]
        assert [seq for seq in found if seq < 5] == [row.seq for row in store.views.log(LogFilter(**want), before=5)]
        assert [seq for seq in found if 2 < seq < 5] == [
            row.seq for row in store.views.log(LogFilter(**want), before=5, above=2)
        ]

    def test_a_clock_that_jumped_back_hides_no_record(self, store: Store) -> None:
        store.append(
            [record(1, at=NOON_US + 90), record(2, at=NOON_US + 10), record(3, at=NOON_US + 20), record(4, at=NOON_US + 95)]
        )
        assert [4, 1] == [row.seq for row in store.views.log(LogFilter(since=NOON_US + 50))]
        assert [3, 2] == [row.seq for row in store.views.log(LogFilter(until=NOON_US + 50))]

    def test_a_trace_says_all_about_a_record(self, store: Store) -> None:
        store.append(
            [record(1), record(2, caused_by=1), record(3, caused_by=2), record(4, caused_by=3), record(5, caused_by=3)]
        )
        repeats = [
            ExceptionRow("system", n, "dropped", n, "dedup", f"{DUPLICATE_OF}{of}") for n, of in ((4, 3), (5, 3), (1, 30))
        ]
        own = ExceptionRow("domain:a", 3, "waiting", 1, "c", "r")
        store.commit(
            Operations(
                exceptions=[*repeats, own], annotations=[(3, "b", b"2"), (3, "a", b"1")], opened=[notification(1)], touched=[(1, 3)],
                feed=[(3, "build.finished", "accept"), (2, "build.finished", "accept"), (3, "build.finished", "release")],
                outbox=[owed("x", seq=3), owed("y", seq=2)],
            )
        )  # fmt: skip
        trace = store.views.trace(3)
        assert trace is not None
        assert (3, [2, 1], [4, 5]) == (
            trace.record.seq,
            [row.seq for row in trace.parents],
            [row.seq for row in trace.children],
        )
        assert ([own], {"a": b"1", "b": b"2"}) == (trace.exceptions, trace.annotations)
        assert [FeedRow(1, 3, "build.finished", "accept"), FeedRow(3, 3, "build.finished", "release")] == trace.feed
        assert ([1], ["x"]) == ([row.id for row in trace.notifications], [row.id for row in trace.outbox])
        assert ([4, 5], 2) == (trace.duplicates, trace.duplicates_count)
        assert store.views.trace(9) is None

    def test_exceptions_are_newest_first_and_a_page_never_splits_a_record(self, store: Store) -> None:
        rows = [
            ExceptionRow(f"p{p}", seq, state, seq, "c", "r") for seq in (1, 2, 3) for p, state in ((1, "dropped"), (2, "dead"))
        ]
        store.commit(Operations(exceptions=rows))
        views = store.views
        assert [(3, "p1"), (3, "p2"), (2, "p1"), (2, "p2")] == [(row.seq, row.pipeline) for row in views.exceptions(limit=3)]
        assert [1, 1] == [row.seq for row in views.exceptions(limit=3, before=2)]
        assert [3, 2, 1] == [row.seq for row in views.exceptions(states=("dead", "waiting"))]
        assert [3, 2] == [row.seq for row in views.exceptions(pipeline="p1", limit=2)]
        assert [] == views.exceptions(pipeline="p1", states=("dead",))

    def test_rejects_and_the_outbox_are_newest_first_and_paged(self, store: Store) -> None:
        store.append([], rejects=[("http", n, f"r{n}", b"") for n in range(1, 6)])
        rows = store.views.rejects(limit=2)
        assert [5, 4] == [row.at for row in rows]
        assert [3, 2] == [row.at for row in store.views.rejects(limit=2, before=rows[-1].id)]
        states = {"a": "done", "b": "dead", "c": "done", "d": "dead"}
        store.commit(Operations(outbox=[owed(name, state=state) for name, state in states.items()]))
        assert ["d", "c"] == [row.id for row in store.views.outbox(limit=2)]
        assert ["b", "a"] == [row.id for row in store.views.outbox(after="c")]
        assert ["b"] == [row.id for row in store.views.outbox(after="c", states=("dead",))]

    def test_types_seen_counts_events_most_frequent_first(self, store: Store) -> None:
        store.append(
            [record(1, type="b"), record(2, type="a"), record(3, type="b"), record(4, type="c"), record(5, kind="move")]
        )
        assert [("b", 2, 3, 1), ("a", 1, 2, 2), ("c", 1, 4, 4)] == store.views.types_seen()
        assert [("b", 2, 3, 1)] == store.views.types_seen(limit=1)
        assert [("b", 1, 3, 3), ("c", 1, 4, 4)] == store.views.types_seen(since=record(3).at)
        assert [] == store.views.types_seen(since=record(6).at)
        assert [("a", 1, 2, 2)] == store.views.types_seen(only="a")
        assert [] == store.views.types_seen(only="a", since=record(3).at)

    def test_type_names_are_those_of_events(self, store: Store) -> None:
        assert [] == store.views.type_names()
        store.append([record(1, type="b"), record(2, kind="move", type="m"), record(3, type="b"), record(4, type="a")])
        assert ["a", "b"] == store.views.type_names()
        assert ["a"] == store.views.type_names(limit=1)

    def test_sources_are_those_of_events_the_last_heard_first(self, store: Store) -> None:
        assert [] == store.views.sources()
        store.append([
            record(1, source="b"), record(2, source="a"), record(3, source="move", kind="move"), record(4, source="b"),
        ])  # fmt: skip
        assert [("b", 2, 4), ("a", 1, 2)] == store.views.sources()
        assert [("b", 2, 4)] == store.views.sources(limit=1)

    def test_the_rate_counts_events_by_the_step_that_they_were_ingested_in(self, store: Store) -> None:
        moments = [(1, 0), (2, 9), (3, 10), (4, 35), (5, 12), (6, 35)]
        store.append([record(n, at=NOON_US + at, kind="move" if n == 6 else "event") for n, at in moments])
        assert [(NOON_US, 2), (NOON_US + 10, 2), (NOON_US + 30, 1)] == store.views.rate(NOON_US, 10)
        assert [(NOON_US, 1), (NOON_US + 10, 2), (NOON_US + 30, 1)] == store.views.rate(NOON_US + 5, 10)
        assert [] == store.views.rate(NOON_US + 36, 10)
        with pytest.raises(UsageError):
            store.views.rate(NOON_US, 0)

    def test_cursors_say_how_far_behind_they_are(self, store: Store) -> None:
        store.open_cursor("system", at=0)
        store.open_cursor("domain:a", at=0)
        store.append([record(n) for n in range(1, 4)])
        store.commit(Operations(feed=[(1, "a", "accept")]))
        assert [("domain:a", 1), ("system", 3)] == [(row.pipeline, lag) for row, lag in store.views.cursors()]

    def test_counts_are_of_everything(self, store: Store) -> None:
        store.append([record(1), record(2)], rejects=[("http", 1, "r", b"")])
        states = ("pending", "retry", "sending", "done", "dead", "unknown")
        rows = [notification(1), notification(2, agent_state="claimed"), notification(3, agent_state="resolved")]
        store.commit(
            Operations(opened=rows, outbox=[owed(state, state=state) for state in states], feed=[(1, "a", "accept")]),
        )
        store.commit(Operations(decisions=[asked("a"), asked("b"), asked("c", state="done")]))
        assert (2, 2, 1, 2, 1, 3, 1, 1, 1, 0, 2) == store.views.counts()

    def test_a_position_in_no_bucket_is_unaccounted(self, store: Store) -> None:
        store.append([record(n) for n in range(1, 6)])
        store.open_cursor("system", at=0)
        store.commit(advance("system", 0, 3, applied=1, dropped=1))
        assert 1 == store.views.counts().unaccounted
        store.commit(advance("system", 3, 5, applied=2, quarantined=1))
        assert 0 == store.views.counts().unaccounted

    def test_a_pipeline_accounts_only_for_what_came_after_its_start(self, store: Store) -> None:
        store.append([record(n) for n in range(1, 6)])
        store.commit(Operations(feed=[(n, "a", "accept") for n in range(1, 6)]))
        store.open_cursor("domain:a")
        store.open_cursor("domain:b", at=2)
        assert 0 == store.views.counts().unaccounted
        store.commit(advance("domain:b", 2, 5, applied=2, waiting=1))
        store.commit(advance("domain:b", 5, 5, applied=1, waiting=-1))
        assert 0 == store.views.counts().unaccounted

    def test_the_projection_hash_changes_with_what_is_projected(self, store: Store) -> None:
        hashes = {store.views.projection_hash()}
        for operations in (
            Operations(opened=[notification(1)]),
            Operations(opened=[notification(2)], touched=[(1, 1)]),
            Operations(member_views=[MemberView("ada", 1, 1)]),
            Operations(changed=[changed(notification(1), title="Other")]),
        ):
            store.commit(operations)
            hashes.add(store.views.projection_hash())
        assert 5 == len(hashes)
        before = store.views.projection_hash()
        store.commit(Operations(changed=[changed(held(store, 1), changed_pos=9)]))
        assert before == store.views.projection_hash()
