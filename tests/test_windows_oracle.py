"""The window machine against an oracle that keeps everything: random event times, arrivals out of order, restarts in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from eventctl.rule import Window
from eventctl.windows import Signals, State, Step
from tests.windowkit import (
    AbsenceOracle,
    Arrival,
    HeartbeatOracle,
    Machine,
    Oracle,
    SequenceOracle,
    ThresholdOracle,
    arrivals,
    made,
    said,
)


class Kind(NamedTuple):
    """A kind of window: what may be asked of it, what may come in, and who knows the answer."""

    windows: st.SearchStrategy[Window]
    arrivals: st.SearchStrategy[list[Arrival]]
    oracle: Callable[[Window], Oracle]


OFTEN = st.sampled_from([True, True, True, False])
BOTH = st.builds(lambda after, then: Signals(after, then, counts=True), st.booleans(), st.booleans())
EITHER = st.builds(lambda after, expect: Signals(after, expect=expect, counts=True), st.booleans(), st.booleans())
COUNTED = st.builds(lambda counts, value: Signals(counts=counts, value=value), OFTEN, st.sampled_from("abcd"))
BEATS = st.builds(lambda expect: Signals(expect=expect, counts=True), OFTEN)

KINDS = {
    "threshold": Kind(
        made(kind="threshold", count=st.integers(1, 5), distinct=st.sampled_from([None, None, "entity"])),
        arrivals(COUNTED),
        ThresholdOracle,
    ),
    "sequence": Kind(made(kind="sequence", after="true", then="true"), arrivals(BOTH), SequenceOracle),
    "absence": Kind(made(kind="absence", after="true", expect="true"), arrivals(EITHER), AbsenceOracle),
    "heartbeat": Kind(made(kind="absence", expect="true"), arrivals(BEATS), HeartbeatOracle),
}


def agrees(kind: str, machine: Machine, **options: Any) -> None:
    """Raise AssertionError for a history of which the machine says something else than the oracle."""
    windows, histories, oracle = KINDS[kind]

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck), **options)
    @given(windows, histories)
    def compare(window: Window, history: list[Arrival]) -> None:
        assert oracle(window).said(history) == said(machine, window, history)

    compare()


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_says_what_an_oracle_says_that_forgets_nothing(kind: str) -> None:
    agrees(kind, Machine(), max_examples=600)


# --- the oracle catches what is wrong ---------------------------------------------------------------------------------------


class OneMore(Machine):
    """Off by one: a threshold one higher, a window a microsecond shorter, or for a heartbeat longer."""

    def step(self, window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
        return super().step(self.wrong(window), state, at, ingested, signals)

    def woken(self, window: Window, state: State | None, now: int) -> Step:
        return super().woken(self.wrong(window), state, now)

    @staticmethod
    def wrong(window: Window) -> Window:
        if window.count:
            return window.model_copy(update={"count": window.count + 1})
        return window.model_copy(update={"within": window.within - (1 if window.after else -1)})


class Forgetful(Machine):
    """Keeps its state in the process only."""

    def restarted(self, state: State | None, expired: bool) -> State | None:
        return None


class Arriving(Machine):
    """Counts what comes in late as if it happened when it came in."""

    def step(self, window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
        return super().step(window, state, max(at, ingested), ingested, signals)


class Deaf(Machine):
    """Does not ask again after a restart: its timers were in the process."""

    def step(self, window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
        return super().step(window, state, at, ingested, signals)._replace(wake=None)


class Repeating(Machine):
    """Fires for every event over the threshold, having no hysteresis."""

    def step(self, window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
        step = super().step(window, state, at, ingested, signals)
        alone = super().step(window.model_copy(update={"count": 1}), None, at, ingested, signals)
        many = step.state is not None and sum(map(bool, step.state["cells"][:4])) >= (window.count or 0)
        return step._replace(fired=step.fired or (alone.fired if many else None))


class Hasty(Machine):
    """Forgets at the end of the window what may still matter to what comes late."""

    def step(self, window: Window, state: State | None, at: int, ingested: int, signals: Signals) -> Step:
        step = super().step(window, state, at, ingested, signals)
        return step._replace(expires=at + window.within // 2)


MUTANTS = [
    *[(kind, mutant) for kind in KINDS for mutant in (OneMore, Forgetful, Arriving, Hasty)],
    ("absence", Deaf),
    ("heartbeat", Deaf),
    ("threshold", Repeating),
]


@pytest.mark.parametrize(("kind", "mutant"), MUTANTS, ids=[f"{kind}-{mutant.__name__}" for kind, mutant in MUTANTS])
def test_a_machine_that_is_wrong_is_caught(kind: str, mutant: type[Machine]) -> None:
    with pytest.raises(AssertionError):
        agrees(kind, mutant(), max_examples=10_000, derandomize=True, phases=[Phase.generate])
