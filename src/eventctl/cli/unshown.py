"""What a list of the inbox does not show, counted: whoever misses something is told where it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from eventctl.store import LOG_PIPELINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventctl.inboxquery import Query
    from eventctl.store import Store
    from eventctl.views import InboxFilter

COUNTED_MAX = 1_000
"""What a list does not show is counted up to here; then it is `1,000 or more`."""


class Unshown(NamedTuple):
    """What fits but for one thing: it is resolved, silenced, snoozed, for others. `waiting` are events that nobody has worked on."""

    resolved: int
    silenced: int
    waiting: int
    others: int = 0
    snoozed: int = 0

    @classmethod
    def of(cls, store: Store, query: Query, usual: InboxFilter, *, empty: bool) -> Unshown:
        """Behind a condition nothing is counted: that would ask it about everything. `empty` is whether the list shows nothing."""
        waiting = _waiting(store) if empty else 0
        want = query.want
        if query.where:
            return cls(0, 0, waiting)
        there = _count(store, want)
        settled = replace(want, resolved=True, states=("resolved",))
        hidden = 0 if want.resolved or want.states else _count(store, settled)
        at = want.hide_silenced_at
        silenced = 0 if at is None else _count(store, replace(want, hide_silenced_at=None, silenced_at=at))
        theirs = bool(want.audience) and want.audience == usual.audience
        others = _count(store, replace(want, audience=())) - there if theirs else 0
        asleep = want.hide_snoozed_at is not None
        snoozed = _count(store, replace(want, hide_snoozed_at=None)) - there if asleep else 0
        return cls(hidden, silenced, waiting, others, snoozed)

    def said(self, option: Callable[[str], str]) -> str:
        """In words, each with what brings it back: `3 resolved not shown (--resolved)`. `option` gives the option's form."""
        kept = [
            (self.resolved, "resolved", "resolved"), (self.silenced, "silenced", "silenced"), (self.snoozed, "snoozed", "snoozed"),
            (self.others, "for others", "others"),
        ]  # fmt: skip
        return "; ".join(f"{counted(number)} {what} not shown ({option(name)})" for number, what, name in kept if number)


def counted(number: int) -> str:
    """`84`, or `1,000 or more`."""
    return f"{number:,}" if number < COUNTED_MAX else f"{number:,} or more"


def _count(store: Store, want: InboxFilter) -> int:
    return store.views.inbox_count(want, most=COUNTED_MAX)


def _waiting(store: Store) -> int:
    came = next((cursor.pos for cursor in store.cursors() if cursor.pipeline == LOG_PIPELINE), 0)
    return len(store.read_log(came, COUNTED_MAX, kinds=("event",)))
