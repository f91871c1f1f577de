"""The sources of a workspace: how much came from each, how often, and for how long it has been silent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from eventctl.times import DAY, HOUR
from eventctl.tui import look
from eventctl.tui.look import Cell
from eventctl.tui.rows import Column, Row

if TYPE_CHECKING:
    from eventctl.store import Store

SHOWN_MAX = 200
SILENT_TIMES = 5
"""A source is silent when nothing has come for so many times its usual pause."""

ENOUGH = 10
"""Events from which on a source has a usual pause."""

COLUMNS = (
    Column("", 1), Column("silent for", 10, right=True), Column("a day", 7, right=True),
    Column("events", 7, right=True), Column("source", 0),
)  # fmt: skip


class Heard(NamedTuple):
    """A source: how many events are in the log, the last one's number and time, events a day over the age of the log."""

    name: str
    events: int
    newest: int
    at: int
    daily: float
    silent: bool


ORDERS: dict[str, Callable[[Heard], Any]] = {
    "who spoke last": lambda heard: -heard.newest,
    "who has been silent longest": lambda heard: heard.newest,
    "who says most": lambda heard: (-heard.events, heard.name),
    "name": lambda heard: heard.name,
}
"""How they may be sorted, in the order in which a key goes through them."""


def heard_in(store: Store, now: int) -> list[Heard]:
    """Those that were heard last, at most 200. Walks an index from end to end: 0.6 s for a million records."""
    first = store.read_log(0, 1)
    if not first:
        return []
    age = max(now - first[0].at, HOUR)
    found = []
    for source in store.views.sources(limit=SHOWN_MAX):
        record = store.views.record(source.newest)
        at = record.at if record is not None else now
        pause = age / source.events
        silent = source.events >= ENOUGH and now - at > max(SILENT_TIMES * pause, HOUR)
        found.append(Heard(source.source, source.events, source.newest, at, source.events * DAY / age, silent))
    return found


def rows(heard: Iterable[Heard], order: str, now: int) -> list[Row]:
    """As lines of the list."""
    return [_row(each, now) for each in sorted(heard, key=ORDERS[order])]


def _row(heard: Heard, now: int) -> Row:
    daily = f"{heard.daily:,.0f}" if heard.daily >= 10 else f"{heard.daily:.1f}"
    tone = "warn" if heard.silent else "muted"
    cells = (
        Cell("⚠", "warn") if heard.silent else Cell(""), Cell(look.age(heard.at, now), tone), Cell(daily, "muted"),
        Cell(f"{heard.events:,}", "muted"), Cell(look.said(heard.name, 200)),
    )  # fmt: skip
    return Row(f"source {heard.name}", cells)
