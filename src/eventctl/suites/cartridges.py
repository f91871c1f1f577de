"""What every cartridge must do, whoever wrote it.

class TestMine(CartridgeSuite):
    cartridge = "cartridges/slow-jobs.py"
    events = [make_event("job.succeeded", {"job": "backup", "duration_s": 1200.0})]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eventctl import manifest as manifests
from eventctl.contracts import Process
from eventctl.event import Event
from eventctl.patterns import matches
from eventctl.ran import Ran
from eventctl.trampoline import FOREIGN_AWAIT
from eventctl.trying import run_cartridge


class CartridgeSuite:
    """`cartridge` is its file, folder or function, `events` what it is given; `given` holds other arguments of `run_cartridge`."""

    cartridge: str | Path | Process
    events: Sequence[Event] = ()
    given: Mapping[str, Any] = {}

    def ran(self, **more: Any) -> Ran:
        """What it does with its events."""
        process = vars(type(self)).get("cartridge", self.cartridge)  # a function of a class would become a method
        return run_cartridge(process, self.events, **{"raising": False, **self.given, **more})

    def test_it_loads_and_runs_without_an_error(self) -> None:
        assert () == self.ran().failures

    def test_its_events_are_some_that_it_consumes(self) -> None:
        if not callable(vars(type(self)).get("cartridge", self.cartridge)):
            consumes = manifests.load(Path(str(self.cartridge))).consumes
            assert any(matches(pattern, event.event) for pattern in consumes for event in self.events)
        assert self.events

    def test_it_awaits_nothing_but_what_its_context_gives(self) -> None:
        foreign = FOREIGN_AWAIT.partition("{what}")[2]
        assert [] == [failure for failure in self.ran().failures if foreign in failure.reason]

    def test_the_same_events_come_to_the_same(self) -> None:
        assert self.ran().told() == self.ran().told()

    def test_a_run_that_is_repeated_after_a_crash_comes_to_the_same(self) -> None:
        assert self.ran().told() == self.ran(crashing=True).told()

    def test_it_leaves_its_event_as_it_was(self) -> None:
        assert () == self.ran().spoilt
