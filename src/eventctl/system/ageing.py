"""Ageing: when a notification goes out of sight by itself, and when for good.

A row carries in `due` when it is to be looked at next; a sweep, once an hour, looks at what is due. Whoever changes a row without
knowing the catalog (a move) sets `due` to now, and the sweep works out the rest.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from eventctl.catalog import EventType
from eventctl.notification import Notification
from eventctl.times import FOREVER, HOUR, format_duration

KEY = "ageing"
INTERVAL = HOUR


class Step(NamedTuple):
    """What comes next for a notification by itself, and when. `why` is in words, for what expires."""

    what: Literal["purge", "archive", "expire"]
    due: int
    why: str = ""


def next_step(row: Notification, entry: EventType) -> Step | None:
    """The next thing that happens to this row if nobody does anything; `entry` is that of its type. None for never."""
    if row.archived_at is not None:
        steps = [Step("purge", row.archived_at + entry.ageing.purge[row.level])]
    elif row.agent_state == "resolved":
        steps = [Step("archive", row.updated_at + entry.ageing.resolved[row.level])]
    elif row.agent_state == "none":
        steps = unhandled(row.updated_at, row.level, actionable=row.actionable, entry=entry)
    else:
        steps = []  # somebody is at it: a lease that ends, or a release, asks again
    first = min(steps, key=_due, default=None)
    return first if first is not None and first.due < FOREVER else None


def unhandled(since: int, level: int, *, actionable: bool, entry: EventType) -> list[Step]:
    """What may come next for an open row that nobody has in hand, in no order."""
    steps = [
        Step("expire", since + clause.us, f"{format_duration(clause.us)} elapsed")
        for clause in entry.terminal_when
        if clause.kind == "elapsed"
    ]
    if not actionable:
        steps.append(Step("archive", since + entry.ageing.unhandled[level]))
    return steps


def _due(step: Step) -> int:
    return step.due


def due(row: Notification, entry: EventType) -> int | None:
    """When the sweep should look at this row."""
    step = next_step(row, entry)
    return None if step is None else step.due
