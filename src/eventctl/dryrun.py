"""A dry run: what would become of one event, if it came in now. The same path, over the store as it is, and nothing written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from eventctl.house import Planned
from eventctl.notification import Notification
from eventctl.overlaid import Overlaid
from eventctl.plan import Plan
from eventctl.rehearsal import Ending, Rehearsal
from eventctl.store import LOG_PIPELINE, DecisionRow, Keys, LogRow, Record, Store

BACKLOG_MAX = 1_000
"""Records that the pipelines have not come to and that are worked off first. With more, the event is judged without them."""


@dataclass(slots=True)
class Foreseen:
    """What would become of an event. `duplicate_of` is the record that is the same one; then there is nothing more to say.

    `endings` are by pipeline, `met` the cartridges that it would meet there. `notifications` are (as it is, as it would be); the
    first is None for one that would be opened. `decisions` are what would want to act, as autonomy would have it; nothing does. `unread` is how many records were passed over.
    """

    type: str
    duplicate_of: int | None = None
    endings: list[Ending] = field(default_factory=list)
    met: dict[str, list[str]] = field(default_factory=dict)
    annotations: dict[str, Any] = field(default_factory=dict)
    notifications: list[tuple[Notification | None, Notification]] = field(default_factory=list)
    made: list[LogRow] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    decisions: list[DecisionRow] = field(default_factory=list)
    unread: int = 0


def foresee(source: Store, planned: Planned, record: Record) -> Foreseen:
    """Let a record come in, without anybody noticing."""
    found = Foreseen(record.type)
    store = Overlaid(source)
    plans = list(planned.plans.values())
    cursor = source.cursor(LOG_PIPELINE)
    backlog = store.base - (cursor.pos if cursor else 0)
    if cursor is None or backlog > BACKLOG_MAX:
        found.unread = backlog
        _skip(store, plans)
    rehearsal = Rehearsal(store, planned.system, plans, planned.catalog, planned.modules, gate=planned.gate)
    rehearsal.wait(record.at)
    rehearsal.settle()
    known = store.append([record])[0]
    if known.duplicate:
        found.duplicate_of = known.seq
        return found
    rehearsal.settle()
    found.endings = _met(rehearsal.endings(known.seq), found, plans, record.type)
    found.decisions = [row for row in rehearsal.decisions() if row.seq >= known.seq]
    beside = store.snapshot(Keys(annotations=[known.seq])).annotations.get(known.seq, {})
    found.annotations = {slot: orjson.loads(value) for slot, value in beside.items()}
    found.made = [row for row in rehearsal.made(known.seq) if row.seq > known.seq]
    found.calls = [(name, args) for name, args, seq in rehearsal.calls() if seq >= known.seq]
    numbers = dict.fromkeys(number for number, seq in store.tables.touched.rows if seq >= known.seq)
    before = source.snapshot(Keys(notifications=list(numbers))).notifications
    found.notifications = [(before.get(number), store.tables.notifications.rows[number]) for number in numbers]
    return found


def _met(endings: list[Ending], found: Foreseen, plans: list[Plan], type_: str) -> list[Ending]:
    """Only pipelines that have something for this type, or have ended it."""
    for plan in plans:
        met = [cartridge.id for level in plan.route(type_).levels for cartridge in level]
        if met:
            found.met[plan.pipeline] = met
    return [ending for ending in endings if ending.pipeline in (LOG_PIPELINE, *found.met) or ending.state != "applied"]


def _skip(store: Overlaid, plans: list[Plan]) -> None:
    """Stand at the end of what there is."""
    for name in (LOG_PIPELINE, *(plan.pipeline for plan in plans)):
        cursor = store.cursor(name)
        tail = store.tail("log" if name == LOG_PIPELINE else "feed")
        if cursor is None:
            store.open_cursor(name, at=tail)
        else:
            store.tables.cursors.rows[name] = cursor._replace(pos=tail)
