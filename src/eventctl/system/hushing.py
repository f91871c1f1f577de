"""Keeping rows quiet, gathering them, and bringing them back: what the projection does for silences and groups.

silenced          no news, out of sight until then; an event that nothing silences brings it back, and so does the end, unless
                  another silence is about it
gathered          out of sight as long as its group lives; the group counts it, and is news in its place
group resolved    by a person or by age: what it gathered follows, in a batch of its own
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from eventctl import gathered
from eventctl.catalog import Catalog
from eventctl.moves import INBOX
from eventctl.notification import Notification, Snooze
from eventctl.silences import STANDING
from eventctl.store import DUE_MAX, Keys, Operations, Snapshot, TimerRow
from eventctl.system import Item, ageing
from eventctl.system.due import Due
from eventctl.system.rows import Rows
from eventctl.system.shaped import Gather, Quiet, Shaped
from eventctl.times import FOREVER

QUIET = "quiet"
"""The timer that brings back what is silenced up to its time: one for everything that ends at once."""

SWEEPS = ("over", "group")
"""Timers of a silence that is over, and of a group that somebody settled."""


def prepare(due: Due, keys: Keys) -> None:
    """What must be known to handle a timer that brings back."""
    if due.what == QUIET:
        keys.silenced_before = due.moment
    elif due.who == "over":
        keys.silenced_by = f"s{due.number}"
    elif due.who == "group":
        keys.silenced_by = f"n{due.number}"
        keys.notifications.append(due.number)


def groups(snapshot: Snapshot) -> list[int]:
    """The groups that the rows of a snapshot are gathered in and that it does not hold."""
    rows = (*snapshot.lives.values(), *snapshot.notifications.values(), *snapshot.due)
    found = {gathered.group_of(row) for row in rows if row.silenced_by is not None}
    return sorted(number for number in found if number is not None and number not in snapshot.notifications)


def newest(snapshot: Snapshot) -> list[int]:
    """The newest events of what may be quiet no more, to see whether another silence is about them; none where none stands."""
    return [row.seq for row in snapshot.silenced] if snapshot.states.get(STANDING) else []


Still = Callable[[Notification, int], Quiet | None]
"""What else keeps a notification quiet at a moment."""


class Hushing:
    """The quiet side of the projection, for one batch."""

    def __init__(self, catalog: Catalog, rows: Rows, snapshot: Snapshot, out: Operations) -> None:
        self._catalog = catalog
        self._rows = rows
        self._found = snapshot.silenced
        self._out = out

    def shown(self, row: Notification, before: Notification | None, item: Item) -> Notification:
        """The row after an event, as far as anybody is to hear of it. `before` is what it was, None when the event opens it."""
        shape = item.shape
        news = before.news if before else 0
        number = self._gathered(row, before, item)
        if number is not None:
            return row._replace(silenced_by=f"n{number}", silenced_until=FOREVER, news=news)
        if shape is not None:
            self._snooze(row, shape)
            if shape.quiet is not None:
                return self._hushed(row, news, shape, shape.quiet)
        if before is not None and before.silenced_by is not None:
            return row._replace(silenced_by=None, silenced_until=None, news=news + 1)
        return row

    def left(self, row: Notification, at: int, seq: int) -> Notification:
        """A row that is settled is quiet no more; its group has one open member less."""
        number = gathered.group_of(row)
        group = None if number is None else self._rows.number(number)
        if group is not None and row.agent_state != "resolved":
            after = gathered.left(group, at)
            if group.lease_due is not None and after.lease_due is None:
                self._out.timers_cleared.append((INBOX, f"lease:{group.id}", None))
            self._put(after._replace(changed_pos=seq))
            self._out.touched.append((group.id, seq))
        if gathered.is_group(row) and gathered.members(row):
            self._out.timers.append(TimerRow(INBOX, f"silence:group:{row.id}", at))
        return row._replace(silenced_by=None, silenced_until=None)

    def fire(self, due: Due, still: Still) -> None:
        """Bring back what is quiet no more, or let it follow its group. Stands alone in its batch, so the snapshot holds it all."""
        group = self._rows.number(due.number) if due.who == "group" else None
        for row in self._found:
            if due.who == "group":
                self._follow(row, group, due)
            else:
                self._back(row, due, still(row, due.moment) if _open(row) else None)
        if len(self._found) == DUE_MAX:
            self._out.timers.append(TimerRow(INBOX, due.key, due.moment + 1))

    def _hushed(self, row: Notification, news: int, shape: Shaped, quiet: Quiet) -> Notification:
        shape.hushed = True
        if quiet.until < FOREVER:
            self._out.timers.append(TimerRow(INBOX, f"{QUIET}:{quiet.until}", quiet.until))
        return row._replace(silenced_by=quiet.by, silenced_until=quiet.until, news=news)

    def _snooze(self, row: Notification, shape: Shaped) -> None:
        for member, until, by in shape.snoozes:
            shape.hushed = True
            self._out.snoozes.append(Snooze(member, row.id, until, by))

    def _gathered(self, row: Notification, before: Notification | None, item: Item) -> int | None:
        """Leave the row in the group that it is in, or put it into one; the group's number, None when it stands for itself."""
        group = self._group(before)
        if group is not None:
            self._touch(group, group._replace(level=max(group.level, item.filed.level)), item)
            return group.id
        shape = item.shape
        if shape is None or shape.gather is None:
            return None
        shape.hushed, gather = True, shape.gather
        life = f"{gathered.LIFE}{gather.rule}"
        group = self._rows.last(life, gather.key)
        if group is None or not _open(group):
            return self._begin(life, gather, row, item)
        after = gathered.joined(group, gather.title)._replace(
            level=max(group.level, item.filed.level), type=item.type, actionable=group.actionable or item.filed.actionable
        )
        self._touch(group, after, item)
        return group.id

    def _group(self, row: Notification | None) -> Notification | None:
        """The open group that an open row is gathered in."""
        number = gathered.group_of(row) if row is not None and _open(row) else None
        group = None if number is None else self._rows.number(number)
        return group if group is not None and _open(group) else None

    def _begin(self, life: str, gather: Gather, row: Notification, item: Item) -> int:
        number = self._rows.next_number()
        made = row._replace(id=number, life=life, life_key=gather.key, news=1, ver=1, entity=None, opened_seq=item.seq)
        made = gathered.begun(made, gather.title)._replace(
            created_at=item.moment, agent_state="none", agent=None, lease_token=0, lease_due=None, claimed_at=None, resolved_at=None,
            resolution=None, archived_at=None, silenced_by=None, silenced_until=None,
        )  # fmt: skip
        made = self._heard(made, 0, item)
        self._rows.open(made._replace(due=ageing.due(made, self._catalog.entry(made.type))))
        self._out.touched.append((number, item.seq))
        return number

    def _touch(self, before: Notification, after: Notification, item: Item) -> None:
        after = after._replace(seq=item.seq, updated_at=item.moment, changed_pos=item.seq)
        self._put(self._heard(after, before.news, item))
        self._out.touched.append((before.id, item.seq))

    def _heard(self, group: Notification, news: int, item: Item) -> Notification:
        """The group after an event that may be silenced: it is quiet in its members' place."""
        shape = item.shape
        if shape is not None:
            self._snooze(group, shape)
            if shape.quiet is not None:
                return self._hushed(group, news, shape, shape.quiet)
        if group.silenced_by is not None:
            return group._replace(silenced_by=None, silenced_until=None, news=news + 1)
        return group

    def _back(self, row: Notification, due: Due, still: Quiet | None) -> None:
        if still is not None:
            self._out.timers.append(TimerRow(INBOX, f"{QUIET}:{still.until}", still.until))
            self._put(row._replace(silenced_by=still.by, silenced_until=still.until, changed_pos=due.seq))
            return
        after = row._replace(silenced_by=None, silenced_until=None, changed_pos=due.seq)
        if _open(row):
            after = after._replace(news=row.news + 1, updated_at=due.moment)
            self._out.touched.append((row.id, due.seq))
        self._put(after)

    def _follow(self, row: Notification, group: Notification | None, due: Due) -> None:
        after = row._replace(silenced_by=None, silenced_until=None, updated_at=due.moment, changed_pos=due.seq)
        if _open(row) and group is not None and group.agent_state == "resolved":
            settled = orjson.dumps({"summary": f"settled with n{group.id}"})
            after = after._replace(agent_state="resolved", resolved_at=due.moment, lease_due=None, resolution=settled)
        elif _open(row) and group is not None and group.archived_at is not None:
            after = after._replace(archived_at=due.moment)
        else:
            after = after._replace(news=row.news + 1)
        if row.lease_due is not None and after.lease_due is None:
            self._out.timers_cleared.append((INBOX, f"lease:{row.id}", None))
        self._put(after)
        self._out.touched.append((row.id, due.seq))

    def _put(self, row: Notification) -> None:
        self._rows.change(row._replace(due=ageing.due(row, self._catalog.entry(row.type))))


def _open(row: Notification) -> bool:
    return row.agent_state != "resolved" and row.archived_at is None
