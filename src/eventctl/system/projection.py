"""Projection: events become notifications, the living objects that people and agents handle.

An event's type says what it does to which lives. A life's key is typed, so 42 is not "42" and one life never touches another.
The row shows the newest event's type and title and the highest level of its life; every event of the life stays in its history.
Only a *change* of a meaningful field is news; the same value again, or a silent field, leaves what people have seen alone.

    role       open one is there        none is open
    opens      goes on with it          opens one
    updates    changes it               opens one: it may have begun before anybody listened
    resolves   resolves it              nothing happens
    reopens    goes on with it          brings the last one back, unless it is archived; else opens one

Timers of the owner `inbox` are handled here too: leases and snoozes that end, and the ageing sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import orjson

from eventctl.catalog import Catalog, EventType
from eventctl.lives import Life, pick
from eventctl.lives import Path as FieldPath
from eventctl.moves import INBOX
from eventctl.notification import Notification
from eventctl.store import DUE_MAX, Keys, Operations, Snapshot, TimerRow
from eventctl.system import Item, ageing, hushing
from eventctl.system.due import Due
from eventctl.system.hushing import Hushing, Still
from eventctl.system.rows import Rows
from eventctl.times import FOREVER

SLOT = "projection"
WATCHED_MAX = 64
"""Characters of a watched value that are kept as they are; of a longer one only its hash, for it is only ever compared."""


class Projection:
    """The sixth stage."""

    name = "projection"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.shown = {life.name: Shown(life, catalog) for life in catalog.lives()}

    def prepare(self, items: Sequence[Item], keys: Keys) -> None:
        for item in items:
            if not item.entry.lives:
                continue
            for name, role in item.entry.lives:
                key = self.shown[name].life.key_of(item.payload)
                if key is None:
                    item.keyless = name
                else:
                    item.lives = (*item.lives, (name, key, role))
                    keys.lives.append((name, key))

    def prepare_due(self, due: Due, keys: Keys) -> None:
        """Add what must be known to handle a timer of the inbox."""
        if due.what == ageing.KEY:
            keys.due_before = due.moment
        elif due.what in (hushing.QUIET, "silence"):
            hushing.prepare(due, keys)
        elif due.number:
            keys.notifications.append(due.number)
            if due.what == "snooze":
                keys.member_views.append((due.who, due.number))

    def begin(self, snapshot: Snapshot, out: Operations) -> ProjectionRun:
        return ProjectionRun(self, self._catalog, snapshot, out)


class Shown:
    """A life as its notifications show it: its title, and which fields to watch for changes."""

    __slots__ = ("life", "watch")

    def __init__(self, life: Life, catalog: Catalog) -> None:
        self.life = life
        watch = {
            field: path
            for entry in catalog
            if any(name == life.name for name, _ in entry.lives)
            for field, path in zip(entry.meaningful, entry.meaningful_paths, strict=True)
        }
        self.watch: list[tuple[str, FieldPath]] = sorted(watch.items())

    def title(self, item: Item) -> str:
        return self.life.render(
            item.payload, description=item.data.get("description") or "", entity=item.entity, source=item.source
        )

    def can_title(self, item: Item) -> bool:
        """Whether this event fills a title; one that does not leaves the title of an earlier one standing."""
        return self.life.fits(
            item.payload, description=item.data.get("description") or "", entity=item.entity, source=item.source
        )

    def watched(self, item: Item) -> dict[str, Any]:
        values = {field: pick(item.payload, path) for field, path in self.watch}
        return {field: _compared(value) for field, value in values.items() if value is not None}


def _compared(value: Any) -> Any:
    """The value, or its hash when it is long. Only whole JSON documents are compared: True is not 1."""
    document = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return document.decode() if len(document) <= WATCHED_MAX else blake2b(document, digest_size=16).hexdigest()


class ProjectionRun:
    """The notifications of one batch."""

    def __init__(self, projection: Projection, catalog: Catalog, snapshot: Snapshot, out: Operations) -> None:
        self._shown = projection.shown
        self._catalog = catalog
        self._snapshot = snapshot
        self._out = out
        self._views = dict(snapshot.member_views)
        self._rows = Rows(snapshot)
        self._hushing = Hushing(catalog, self._rows, snapshot, out)

    def project(self, item: Item) -> None:
        """Do to each of its lives what the event does."""
        for name, key, role in item.lives:
            self._apply(item, self._shown[name], key, role)
        if item.keyless is not None:
            missing = self._shown[item.keyless].life.missing(item.payload)
            said = {"life": item.keyless, "missing_key_field": missing}
            self._out.annotations.append((item.seq, SLOT, orjson.dumps(said)))

    def _apply(self, item: Item, shown: Shown, key: str, role: str) -> None:
        row = self._rows.last(shown.life.name, key)
        is_open = row is not None and row.agent_state != "resolved"
        if row is not None and is_open:
            if role == "resolves":
                self._resolve(item, shown, row)
            else:
                self._update(item, shown, row)
        elif role == "resolves" or item.repeat_of is not None:
            return
        elif row is not None and role == "reopens":
            self._reopen(item, shown, row)
        else:
            row = self._open(item, shown, key)
        if row is not None:
            self._out.touched.append((row.id, item.seq))

    def _open(self, item: Item, shown: Shown, key: str) -> Notification:
        filed, watched = item.filed, shown.watched(item)
        number = self._rows.next_number()
        steps = ageing.unhandled(item.moment, filed.level, actionable=filed.actionable, entry=item.entry)
        due = min((step.due for step in steps), default=FOREVER)
        row = Notification(
            number, shown.life.name, key, item.entry.audience_for(item.payload), filed.level, filed.domain, item.type,
            item.entity, shown.title(item), filed.actionable, item.seq, item.seq, item.moment, item.moment,
            due=due if due < FOREVER else None, watched=orjson.dumps(watched) if watched else None, changed_pos=item.seq,
        )  # fmt: skip
        self._rows.open(self._hushing.shown(row, None, item))
        if number == 1:
            # The first notification ever starts the hourly sweep, which from then on sets its own next time.
            self._out.timers.append(TimerRow(INBOX, ageing.KEY, item.moment + ageing.INTERVAL))
        return row

    def _update(self, item: Item, shown: Shown, row: Notification) -> None:
        before: dict[str, Any] = orjson.loads(row.watched) if row.watched else {}
        now = {**before, **shown.watched(item)}
        changed = any(before.get(field) != now.get(field) for field in item.entry.meaningful)
        news = changed or item.filed.level > row.level
        self._show(item, shown, row, row, watched=orjson.dumps(now) if now else None, news=row.news + news)

    def _reopen(self, item: Item, shown: Shown, row: Notification) -> None:
        watched = shown.watched(item)
        self._show(
            item, shown, row, row, watched=orjson.dumps(watched) if watched else None, news=row.news + 1,
            agent_state="none", agent=None, claimed_at=None, lease_due=None, resolved_at=None, resolution=None,
        )  # fmt: skip

    def _resolve(self, item: Item, shown: Shown, row: Notification) -> None:
        if row.lease_due is not None:
            self._out.timers_cleared.append((INBOX, f"lease:{row.id}", None))
        self._show(
            item, shown, self._hushing.left(row, item.moment, item.seq), None, agent_state="resolved", lease_due=None, resolved_at=item.moment,
            resolution=orjson.dumps(item.payload),
        )  # fmt: skip

    def _show(self, item: Item, shown: Shown, row: Notification, open_: Notification | None, **more: Any) -> None:
        """The row with this event as its newest; unless the event settles it, `open_` is what it was."""
        after = row._replace(
            level=max(row.level, item.filed.level), type=item.type, entity=item.entity or row.entity,
            title=shown.title(item) if shown.can_title(item) else row.title, actionable=item.filed.actionable,
            seq=item.seq, updated_at=item.moment, changed_pos=item.seq, **more,
        )  # fmt: skip
        if open_ is not None:
            after = self._hushing.shown(after, open_, item)
        self._rows.change(after._replace(due=ageing.due(after, item.entry)))

    def fire(self, due: Due, still: Still) -> None:
        """Handle a timer of the inbox. `still` says what else keeps a notification quiet when one silence is over."""
        if due.what == ageing.KEY:
            self._sweep(due)
        elif due.what == "lease":
            self._end_lease(due)
        elif due.what == "snooze":
            self._end_snooze(due)
        elif due.what == hushing.QUIET or due.who in hushing.SWEEPS:
            self._hushing.fire(due, still)

    def _end_lease(self, due: Due) -> None:
        row = self._rows.number(due.number)
        if row is None or row.lease_due is None or row.lease_due > due.due:
            return  # given back, settled or renewed in the meantime
        after = row._replace(
            agent_state="none", agent=None, claimed_at=None, lease_due=None, updated_at=due.moment, changed_pos=due.seq
        )
        self._rows.change(after._replace(due=ageing.due(after, self._entry(after))))
        self._out.touched.append((row.id, due.seq))

    def _end_snooze(self, due: Due) -> None:
        row, view = self._rows.number(due.number), self._views.get((due.who, due.number))
        if row is None or view is None or view.snooze_until is None or view.snooze_until > due.due:
            return
        self._views[due.who, due.number] = view = view._replace(snooze_until=None, snoozed_by=None)
        self._out.member_views.append(view)
        self._rows.change(row)  # a member's move in the meantime must conflict

    def _sweep(self, due: Due) -> None:
        """Look at what is due. Stands alone in its batch, so what the snapshot gives is all there is."""
        for row in self._snapshot.due:
            self._age(row, due)
        again = due.moment + (1 if len(self._snapshot.due) == DUE_MAX else ageing.INTERVAL)
        self._out.timers.append(TimerRow(INBOX, ageing.KEY, again))

    def _age(self, row: Notification, due: Due) -> None:
        step = ageing.next_step(row, self._entry(row))
        if step is None or step.due > due.moment:
            self._rows.change(row._replace(due=None if step is None else step.due))
            return
        if step.what == "purge":
            self._out.purged.append(row.id)
            return
        row = self._hushing.left(row, due.moment, due.seq)
        if step.what == "archive":
            after = row._replace(archived_at=due.moment)
        else:
            resolution = orjson.dumps({"terminal_when": step.why})
            after = row._replace(agent_state="resolved", resolved_at=due.moment, resolution=resolution, updated_at=due.moment)
        after = after._replace(changed_pos=due.seq)
        self._rows.change(after._replace(due=ageing.due(after, self._entry(after))))
        self._out.touched.append((row.id, due.seq))

    def _entry(self, row: Notification) -> EventType:
        return self._catalog.entry(row.type)

    def end(self) -> None:
        self._rows.write(self._out)
