"""What every pipeline shares: halving, planning again, the fence, the tally."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl.advance import REPLANS_MAX, Tally, failure_text, in_halves, standing
from eventctl.errors import Conflict, StorageFailed, Unavailable
from eventctl.memory_store import MemoryStore


class Writer:
    """Commits numbers; some of them break whatever they are part of. Notes what it is asked to begin at."""

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad
        self.done: list[int] = []
        self.buried: list[int] = []
        self.planned = 0

    def attempt(self, part, expected):
        self.planned += len(part)
        assert expected == part[0] - 1, "each part begins where the one before has ended"
        if self.bad & set(part):
            raise ValueError("bad")
        self.done += part
        return part[-1]

    def bury(self, row, expected, *, error):
        assert (expected, "bad") == (row - 1, str(error))
        self.buried.append(row)
        return row


@given(st.integers(1, 200), st.sets(st.integers(1, 200), max_size=5))
def test_the_culprits_are_buried_and_all_others_committed_in_order(count, bad):
    writer = Writer(bad)
    in_halves(list(range(1, count + 1)), 0, writer.attempt, writer.bury)
    culprits = sorted(number for number in bad if number <= count)
    assert (sorted(set(range(1, count + 1)) - bad), culprits) == (writer.done, writer.buried)


def test_one_culprit_costs_about_three_batches_of_planning():
    writer = Writer({123})
    in_halves(list(range(1, 501)), 0, writer.attempt, writer.bury)
    assert writer.planned < 3.5 * 500


def test_a_conflict_is_planned_again():
    tries = []

    def conflict(part, expected):
        tries.append(part)
        if len(tries) < 3:
            raise Conflict("somebody was first")
        return expected

    in_halves([1, 2], 0, conflict, Writer(set()).bury)
    assert [[1, 2]] * 3 == tries


def test_after_so_many_conflicts_the_last_one_is_passed_on():
    tries = []

    def conflict(part, expected):
        tries.append((part, expected))
        raise Conflict("somebody was first")

    with pytest.raises(Conflict):
        in_halves([1], 0, conflict, Writer(set()).bury)
    assert REPLANS_MAX == len(tries)


def raising(error):
    raise error


def test_what_is_the_worlds_fault_buries_nobody():
    writer = Writer(set())
    with pytest.raises(StorageFailed):
        in_halves([1, 2, 3], 0, lambda _part, _expected: raising(StorageFailed("EIO")), writer.bury)
    assert [] == writer.buried


def test_the_log_is_read_from_its_beginning_and_a_feed_from_its_tail():
    store = MemoryStore()
    assert (0, 0) == (standing(store, "system", None).pos, standing(store, "members", None).pos)
    term = store.take_over()
    assert term == standing(store, "system", term).term
    store.take_over()
    with pytest.raises(Unavailable, match="taken this workspace over"):
        standing(store, "system", term)


def test_a_tally_knows_every_state_and_what_moves_between_them():
    tally = Tally()
    for state in ("waiting", "behind", "retry", "applied", "dropped"):
        tally.count(state)
    tally.move("behind", "dead")
    step = tally.advance("p", 3, 8, 1)
    assert (1, 1, 0, 1, 2) == (step.applied, step.dropped, step.quarantined, step.dead, step.waiting)


def test_a_reason_is_one_line():
    assert "ValueError: first" == failure_text(ValueError("first\nsecond"))
    assert "KeyboardInterrupt" == failure_text(KeyboardInterrupt())
