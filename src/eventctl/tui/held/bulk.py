"""Asking pipelines about many events: a durable control move for each, in batches, with a count and a way to stop between two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from eventctl import moves
from eventctl.errors import Conflict, NotFound

if TYPE_CHECKING:
    from eventctl.store import Store
    from eventctl.tui.desk import Desk
    from eventctl.tui.held.lists import Place

BATCH = 25
"""Moves that are made at once: a commit of some milliseconds each, so that other moves and a stop wait for less than a second."""


class Bulk:
    """One verb for these places. `made` are those that were asked about, with the number of the move; `wrong` says why not the others."""

    def __init__(self, desk: Desk, verb: str, places: Sequence[Place]) -> None:
        self.verb = verb
        self.places = tuple(places)
        self.made: dict[Place, int] = {}
        self.wrong: list[str] = []
        self.stopped = False
        self._desk = desk

    @property
    def done(self) -> int:
        """How many were come to."""
        return len(self.made) + len(self.wrong)

    @property
    def word(self) -> str:
        """What is asked for, as its key says it: `retry`, `release`, `discard`."""
        return self.verb.rpartition(".")[2]

    def stop(self) -> None:
        """Ask about no more: what is under way is finished, and the others stay as they are."""
        self.stopped = True

    async def run(self, told: Callable[[], None]) -> None:
        """Ask about all, in their order; `told` is called after each batch. Raises `NotPermitted` before anything is asked."""
        for at in range(0, len(self.places), BATCH):
            if self.stopped:
                return
            await self._desk.move(partial(self._ask, self.places[at : at + BATCH]))
            told()

    def outcome(self) -> list[str]:
        """What came of it, in words."""
        made, left = len(self.made), len(self.places) - self.done
        if len(self.places) == 1 and made:
            ((pipeline, seq),) = self.places
            return [f"e{seq}: asked {pipeline} to {self.word} it"]
        said = [f"asked to {self.word} {made:,}"] if made else []
        said += [self.wrong[0]] if len(self.wrong) == 1 else [f"{len(self.wrong):,} were decided already"] if self.wrong else []
        return said + ([f"stopped: {left:,} stay as they are"] if left else [])

    def _ask(self, batch: Sequence[Place], store: Store) -> None:
        for pipeline, seq in batch:
            try:
                self.made[pipeline, seq] = moves.control(
                    store, self.verb, seq, principal=self._desk.who, now=self._desk.now(), pipeline=pipeline
                )
            except (Conflict, NotFound) as gone:
                self.wrong.append(gone.what)
