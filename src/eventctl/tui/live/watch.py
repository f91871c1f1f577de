"""What is known of a workspace at work: how fast events come, how far pipelines are, what cartridges have done, who runs it.

A look is a few short reads, whatever came in between; what takes longer is named by `due` and done behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from eventctl import client
from eventctl.cli.unfinished import Unfinished, unfinished
from eventctl.store import CursorRow
from eventctl.times import MINUTE, SECOND
from eventctl.tui.live import fleet, rates
from eventctl.tui.live.fleet import Fleet, Reading
from eventctl.tui.live.rates import Rates, Speed

if TYPE_CHECKING:
    from eventctl.store import Store
    from eventctl.tui.desk import Desk

COMPOSED = 30 * SECOND
"""Files change without anybody committing: so often cartridges are put together anew, a third of a second of work."""

ASKED = 2 * SECOND
"""How often the runner is asked how it is."""

LEFT_EVERY = 5
"""What pipelines have left open may be ten thousand rows: it is read with every fifth look."""

CALLS_S = 10.0
"""Counts of cartridges are written every 5 s: their speed is smoothed over twice that."""


class Look(NamedTuple):
    """What one look at the store found; `left` None where it was not looked at."""

    cursors: list[tuple[CursorRow, int]]
    left: list[Unfinished] | None
    key: tuple[object, ...]
    reading: Reading | None


class Watch:
    """What is known, by one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._looks = 0
        self._key: tuple[object, ...] = ()
        self._composed_at = 0
        self._asked_at: int | None = None
        self.cursors: list[tuple[CursorRow, int]] = []
        self.left: list[Unfinished] = []
        self.fleet: Fleet | None = None
        self.reading: Reading | None = None
        self.runner: dict[str, Any] | None = None
        """What the supervisor says of itself; None without one, and before it was `asked`."""
        self.rates = Rates()
        self.paces, self.calls, self.errors = Speed(), Speed(CALLS_S), Speed(CALLS_S)

    @property
    def asked(self) -> bool:
        """Whether the runner was asked."""
        return self._asked_at is not None

    async def look(self) -> None:
        """See where everything stands."""
        self._looks += 1
        with_left = self._looks % LEFT_EVERY == 1
        known = self.fleet
        found = await self._desk.read(lambda store: _look(store, known, with_left=with_left))
        now = self._desk.now()
        self.cursors, self._key = found.cursors, found.key
        self.left = self.left if found.left is None else found.left
        self._take(found.reading if self.fleet is known else self.reading, now)
        self.age(now)
        since = self.rates.wanted(now)
        if not self._long_ago(now):
            begin, counts = await self._desk.read(lambda store: rates.count(store, since, now))
            self.rates.take(begin, counts, now)

    def age(self, now: int) -> None:
        """Time goes on, also when nothing does."""
        self.paces.take({cursor.pipeline: cursor.pos for cursor, _ in self.cursors}, now)

    def due(self, now: int) -> dict[str, Callable[[], Awaitable[None]]]:
        """What has to be done behind, by its name."""
        composed = self.fleet is not None and self.fleet.key == self._key and now - self._composed_at <= COMPOSED
        asked = self._asked_at is not None and now - self._asked_at < ASKED
        wanted = {"fleet": not composed, "runner": not asked, "rates": self._long_ago(now)}
        works = {"fleet": self._compose, "runner": self._ask, "rates": self._count_back}
        return {name: works[name] for name, is_wanted in wanted.items() if is_wanted}

    def _take(self, reading: Reading | None, now: int) -> None:
        self.reading = reading
        if reading is not None:
            self.calls.take({unit: totals.calls for unit, totals in reading.units.items()}, now)
            self.errors.take({unit: totals.errors for unit, totals in reading.units.items()}, now)

    def _long_ago(self, now: int) -> bool:
        """Whether so much has to be counted that it would hold up others."""
        return self.rates.fresh or now - self.rates.wanted(now) > MINUTE

    async def _compose(self) -> None:
        """Put all cartridges together, and read what they have done."""
        key, session = self._key, self._desk.session
        made = await self._desk.think(lambda: fleet.fleet(session, key))
        reading = await self._desk.read(lambda store: fleet.read(store, made))
        self.fleet, self._composed_at = made, self._desk.now()
        self._take(reading, self._composed_at)

    async def _ask(self) -> None:
        """Ask the runner how it is."""
        self.runner = await self._desk.think(lambda: client.ask_status(self._desk.paths))
        self._asked_at = self._desk.now()

    async def _count_back(self) -> None:
        """Count an hour, or what came while somebody was elsewhere, on a connection of its own."""
        now = self._desk.now()
        since = self.rates.wanted(now)
        begin, counts = await self._desk.search(lambda store: rates.count(store, since, now))
        self.rates.take(begin, counts, now)


def _look(store: Store, known: Fleet | None, *, with_left: bool) -> Look:
    cursors = store.views.cursors()
    left = unfinished(store, [cursor for cursor, _ in cursors]) if with_left else None
    key = fleet.key_of(store.units(), store.installed())
    return Look(cursors, left, key, None if known is None else fleet.read(store, known))
