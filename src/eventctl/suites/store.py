"""What every store must do: the verbs, their preconditions and their errors.

class TestMyStore(StoreSuite):
    @pytest.fixture
    def store(self) -> Iterator[Store]:
        yield MyStore(…)
"""

from __future__ import annotations

import pytest

from eventctl.errors import Conflict
from eventctl.position import resume, token
from eventctl.store import (
    Appended,
    ExceptionRow,
    FeedRow,
    Keys,
    LogRow,
    Operations,
    StateRow,
    Store,
    TimerRow,
    Unit,
    gone_key,
)
from eventctl.suites.rows import NOON_US, advance, ledger, record


class StoreSuite:
    """Streams, cursors, and what a batch reads and writes; `store` is an empty one."""

    def test_an_append_numbers_records_from_one_without_gaps(self, store: Store) -> None:
        assert [Appended(1, False), Appended(2, False)] == store.append([record(1), record(2)])
        assert [Appended(3, False)] == store.append([record(3)])
        assert 3 == store.tail("log")

    def test_appending_nothing_changes_nothing(self, store: Store) -> None:
        assert [] == store.append([])
        assert 0 == store.tail("log")
        assert 0 == store.tail("feed")

    def test_a_repeated_identity_answers_with_the_first_ones_seq(self, store: Store) -> None:
        store.append([record(1), record(2)])
        assert [Appended(3, False), Appended(2, True)] == store.append([record(3), record(2, body=b'{"other":1}')])
        assert b'{"number":2}' == store.read_log(1, 1)[0].body

    def test_a_repeat_within_one_call_answers_with_the_first_ones_seq(self, store: Store) -> None:
        assert [Appended(1, False), Appended(1, True), Appended(2, False)] == store.append([record(1), record(1), record(2)])

    def test_the_same_id_from_another_source_is_another_record(self, store: Store) -> None:
        assert [Appended(1, False), Appended(2, False)] == store.append([record(1), record(1, source="others")])

    def test_a_record_comes_back_as_it_went_in(self, store: Store) -> None:
        given = record(1, kind="move", entity="service/\u00e4", caused_by=7, hops=3, body='{"x":"\u2713"}'.encode())
        store.append([given])
        assert [LogRow(1, *given)] == store.read_log(0, 10)

    def test_the_log_is_read_in_order_after_a_seq_up_to_a_limit(self, store: Store) -> None:
        store.append([record(n) for n in range(1, 8)])
        assert [3, 4, 5] == [row.seq for row in store.read_log(2, 3)]
        assert [] == store.read_log(7, 3)

    def test_the_log_gives_only_the_kinds_that_are_asked_for(self, store: Store) -> None:
        store.append([record(1), record(2, kind="move"), record(3, kind="timer"), record(4)])
        assert [2, 3] == [row.seq for row in store.read_log(0, 10, kinds=("move", "timer"))]

    def test_history_gives_an_entitys_events_newest_first_and_never_past_the_given_one(self, store: Store) -> None:
        store.append([record(n, entity="a" if n % 2 else "b", type=f"build.step{n}.ended") for n in range(1, 8)])
        store.append([record(8, entity="a", kind="move")])
        assert [5, 3] == [row.seq for row in store.history("a", before=7, limit=2)]
        assert [7, 5, 3, 1] == [row.seq for row in store.history("a", before=99, limit=9)]
        assert [3] == [row.seq for row in store.history("a", before=7, limit=9, pattern="build.step3.*")]
        assert [5, 3, 1] == [row.seq for row in store.history("a", before=7, limit=9, pattern="build.**")]
        assert [] == store.history("a", before=7, limit=9, pattern="build")

    def test_rejects_of_an_append_are_kept_beside_its_records(self, store: Store) -> None:
        store.append([record(1)], rejects=[("socket", NOON_US, "no JSON", b"\xff")])
        assert [("socket", NOON_US, "no JSON", b"\xff")] == [tuple(row)[1:] for row in store.views.rejects()]

    def test_a_new_cursor_stands_at_the_tail_of_its_stream(self, store: Store) -> None:
        store.append([record(1), record(2), record(3)])
        store.commit(Operations(feed=[(1, "build.finished", "accept")]))
        assert 3 == store.open_cursor("system").pos
        assert 1 == store.open_cursor("domain:builds").pos
        assert 0 == store.open_cursor("domain:late", at=0).pos

    def test_a_cursor_that_is_there_stays_where_it_is(self, store: Store) -> None:
        store.open_cursor("system", at=0)
        store.append([record(1)])
        store.commit(advance("system", 0, 1, applied=1))
        assert 1 == store.open_cursor("system", at=0).pos
        assert store.open_cursor("system") == store.cursor("system")
        assert [store.cursor("system")] == store.cursors()
        assert store.cursor("domain:builds") is None

    def test_an_advance_moves_the_cursor_and_adds_its_counts(self, store: Store) -> None:
        store.open_cursor("system", at=0)
        store.commit(advance("system", 0, 5, applied=3, dropped=1, waiting=1))
        store.commit(advance("system", 5, 6, applied=2, waiting=-1))
        row = store.cursor("system")
        assert row is not None
        assert ("system", 6, 0, 5, 1, 0, 0, 0) == row

    def test_an_advance_from_elsewhere_or_under_another_term_is_a_conflict(self, store: Store) -> None:
        store.open_cursor("system", at=0)
        for refused in (advance("system", 1, 2), advance("system", 0, 2, term=1), advance("nobody", 0, 2)):
            refused.feed.append((1, "build.finished", "accept"))
            with pytest.raises(Conflict):
                store.commit(refused)
        assert 0 == store.tail("feed")

    def test_taking_over_fences_the_runner_before(self, store: Store) -> None:
        store.open_cursor("system", at=0)
        assert 1 == store.take_over()
        with pytest.raises(Conflict):
            store.commit(advance("system", 0, 1, term=0))
        store.commit(advance("system", 0, 1, term=1))
        assert 2 == store.take_over()
        assert [2] == [row.term for row in store.cursors()]
        assert 2 == store.open_cursor("domain:builds").term

    def test_forgetting_a_cursor_drops_what_was_outstanding_under_it(self, store: Store) -> None:
        store.open_cursor("domain:a")
        rows = [
            ExceptionRow("domain:a", n, state, n, "c", "r", due=5) for n, state in enumerate(("waiting", "retry", "dropped"))
        ]
        timers = [TimerRow(owner, "k", 5) for owner in ("domain:a", "domain:a/digest", "domain:ab", "domain:a.b")]
        store.commit(Operations(exceptions=rows, timers=timers))
        store.commit(Operations(meta={gone_key("domain:a"): "1"}))
        store.forget_cursor("domain:a", told=[record(1)])
        assert store.cursor("domain:a") is None
        assert (1, None) == (store.tail("log"), store.meta(gone_key("domain:a")))
        assert ["dropped"] == [row.state for row in store.exceptions_of("domain:a", ("waiting", "retry", "dropped"))]
        assert ["domain:a.b", "domain:ab"] == sorted(timer.owner for timer in store.due_timers(9, limit=9))

    def test_a_token_is_read_back_as_the_position_that_it_was_made_of(self, store: Store) -> None:
        store.append([record(1), record(2)])
        assert 1 == resume(store, token(store, 1))
        with pytest.raises(Conflict, match="another life"):
            resume(store, "0" + token(store, 1))
        with pytest.raises(Conflict, match="no such position"):
            resume(store, token(store, 1), "feed")

    def test_feed_positions_are_given_out_in_order(self, store: Store) -> None:
        store.commit(Operations(feed=[(7, "a.b", "accept"), (3, "a.c", "release")]))
        store.commit(Operations(feed=[(9, "domain:a", "timer")]))
        assert [FeedRow(1, 7, "a.b", "accept"), FeedRow(2, 3, "a.c", "release")] == store.read_feed(0, 2)
        assert [FeedRow(3, 9, "domain:a", "timer")] == store.read_feed(2, 10)
        assert 3 == store.tail("feed")

    def test_records_of_a_commit_say_their_seqs_and_how_many_were_there(self, store: Store) -> None:
        store.append([record(1)])
        committed = store.commit(Operations(records=[record(2), record(1), record(3)]))
        assert [2, 1, 3] == committed.seqs
        assert 1 == committed.duplicates

    def test_a_commit_is_all_or_nothing(self, store: Store) -> None:
        store.open_cursor("system", at=0)
        store.append([record(1), record(2)])
        store.commit(Operations(ledger=[ledger("k", 1, NOON_US * 2)], states=[StateRow("c", "k", b"1")]))
        refused = advance("system", 0, 2, applied=2)
        refused.records = [record(3)]
        refused.feed = [(1, "a.b", "accept")]
        refused.exceptions = [ExceptionRow("system", 2, "dropped", 2, "dedup", "r")]
        refused.annotations = [(1, "slot", b"{}")]
        refused.ledger = [ledger("j", 2, NOON_US * 2), ledger("k", 2, NOON_US * 2)]
        with pytest.raises(Conflict):
            store.commit(refused)
        assert (0, 0) == (store.open_cursor("system").pos, store.tail("feed"))
        assert 2 == store.tail("log")
        asked = Keys(ledger=[ledger("j", 0, 0).key], exceptions=[("system", 2)], annotations=[1], identities=[("tests", "e3")])
        snapshot = store.snapshot(asked)
        assert ({}, {}, {}, {}) == (snapshot.ledger, snapshot.exceptions, snapshot.annotations, snapshot.identities)
        assert [3] == [row.seq for row in store.append([record(3)])]

    def test_the_ledger_refuses_a_live_key_and_gives_an_expired_one_to_the_next(self, store: Store) -> None:
        store.append([record(1), record(2), record(60)])
        store.commit(Operations(ledger=[ledger("k", 1, NOON_US + 60_000_000)]))
        with pytest.raises(Conflict):
            store.commit(Operations(ledger=[ledger("k", 2, NOON_US * 2)]))
        store.commit(Operations(ledger=[ledger("k", 3, NOON_US * 2)]))
        key = ledger("k", 0, 0).key
        assert 3 == store.snapshot(Keys(ledger=[key])).ledger[key].seq

    def test_the_ledger_takes_the_same_record_again(self, store: Store) -> None:
        store.append([record(1)])
        store.commit(Operations(ledger=[ledger("k", 1, 10)]))
        store.commit(Operations(ledger=[ledger("k", 1, 20)]))
        key = ledger("k", 0, 0).key
        assert {key: ledger("k", 1, 20)} == store.snapshot(Keys(ledger=[key, b"?" * 16])).ledger

    def test_one_batch_cannot_enter_a_key_twice(self, store: Store) -> None:
        store.append([record(1), record(2)])
        with pytest.raises(Conflict):
            store.commit(Operations(ledger=[ledger("k", 1, NOON_US * 2), ledger("k", 2, NOON_US * 2)]))

    def test_a_snapshot_of_many_keys_is_complete(self, store: Store) -> None:
        store.append([record(n) for n in range(1, 1201)])
        store.commit(Operations(ledger=[ledger(f"k{n}", n, NOON_US * 2) for n in range(1, 1201)]))
        keys = Keys(
            ledger=[ledger(f"k{n}", 0, 0).key for n in range(1, 1301)],
            records=list(range(1, 1301)),
            identities=[("tests", f"e{n}") for n in range(1, 1301)],
        )
        snapshot = store.snapshot(keys)
        assert (1200, 1200, 1200) == (len(snapshot.ledger), len(snapshot.records), len(snapshot.identities))
        assert 1200 == snapshot.identities["tests", "e1200"].seq

    def test_state_is_remembered_replaced_and_forgotten(self, store: Store) -> None:
        store.commit(Operations(states=[StateRow("c", "k", b"1"), StateRow("c", "j", b"2"), StateRow("d", "k", b"3")]))
        store.commit(Operations(states=[StateRow("c", "k", b"4"), StateRow("c", "j", None)]))
        asked = Keys(states=[("c", "k"), ("c", "j"), ("d", "k"), ("e", "k")])
        assert {("c", "k"): b"4", ("d", "k"): b"3"} == store.snapshot(asked).states

    def test_an_annotation_replaces_its_slot_only(self, store: Store) -> None:
        store.commit(Operations(annotations=[(1, "a", b"1"), (1, "b", b"2"), (2, "a", b"3")]))
        store.commit(Operations(annotations=[(1, "a", b"4")]))
        assert {1: {"a": b"4", "b": b"2"}, 2: {"a": b"3"}} == store.snapshot(Keys(annotations=[1, 2, 3])).annotations

    def test_exceptions_are_replaced_cleared_and_listed_in_stream_order(self, store: Store) -> None:
        rows = [ExceptionRow("p", seq, "waiting", 10 - seq, "c", "r", entity="x") for seq in (1, 2, 3)]
        store.commit(Operations(exceptions=rows))
        store.commit(Operations(exceptions=[rows[0]._replace(state="dead", attempts=3)], cleared=[("p", 2), ("q", 3)]))
        assert [3, 1] == [row.seq for row in store.exceptions_of("p", ("waiting", "dead"))]
        assert [] == store.exceptions_of("p", ())
        assert {("p", 3): rows[2]} == store.snapshot(Keys(exceptions=[("p", 3), ("p", 2)])).exceptions

    def test_retries_are_due_in_stream_order(self, store: Store) -> None:
        rows = [ExceptionRow("p", seq, "retry", pos, "c", "r", 1, due) for seq, pos, due in ((1, 3, 5), (2, 1, 6), (3, 2, 7))]
        store.commit(Operations(exceptions=rows))
        assert [2, 1] == [row.seq for row in store.due_retries("p", 6, limit=9)]
        assert [2] == [row.seq for row in store.due_retries("p", 9, limit=1)]
        assert [] == store.due_retries("q", 9, limit=9)

    def test_timers_are_due_soonest_first_and_a_later_set_replaces(self, store: Store) -> None:
        store.commit(Operations(timers=[TimerRow("o", "a", 30), TimerRow("o", "b", 20, b'{"n":1}'), TimerRow("p", "a", 10)]))
        store.commit(Operations(timers=[TimerRow("p", "a", 40)]))
        assert [TimerRow("o", "b", 20, b'{"n":1}'), TimerRow("o", "a", 30)] == store.due_timers(30, limit=9)
        assert ["b"] == [row.key for row in store.due_timers(99, limit=1)]

    def test_a_timer_is_cleared_only_if_it_is_still_due_then(self, store: Store) -> None:
        store.commit(Operations(timers=[TimerRow("o", "a", 30), TimerRow("o", "b", 20)]))
        store.commit(Operations(timers_cleared=[("o", "a", 29), ("o", "b", None), ("o", "c", None)]))
        assert ["a"] == [row.key for row in store.due_timers(99, limit=9)]
        store.commit(Operations(timers_cleared=[("o", "a", 30)]))
        assert [] == store.due_timers(99, limit=9)

    def test_units_and_facts_are_kept(self, store: Store) -> None:
        unit = Unit("cartridges/a.py", 1, 2, 3, "h", b"{}", strikes=1)
        store.commit(Operations(units=[unit], meta={"name": "ada", "empty": ""}))
        store.commit(Operations(units=[unit._replace(state="disabled", reason="hung")], meta={"name": "bob"}))
        assert {unit.path: unit._replace(state="disabled", reason="hung")} == store.units()
        assert ("bob", "", None) == (store.meta("name"), store.meta("empty"), store.meta("absent"))

    def test_the_epoch_names_this_log(self, store: Store) -> None:
        assert store.epoch
        assert store.epoch == store.meta("epoch")
