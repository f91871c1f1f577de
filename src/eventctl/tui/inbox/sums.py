"""What is said about an inbox as a whole: how many there are, how many are unseen, and what it does not show."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from eventctl.cli.unshown import COUNTED_MAX, Unshown, counted

if TYPE_CHECKING:
    from eventctl.inboxquery import Query
    from eventctl.store import Store
    from eventctl.views import InboxFilter, InboxItem


class Sums(NamedTuple):
    """How many fit and how many of them are unseen, counted up to 1,000. Where `more` fit than are loaded, only those were counted."""

    total: int = 0
    unseen: int = 0
    more: bool = False
    rest: Unshown = Unshown(0, 0, 0)
    cost: float = 0.0
    """Seconds of a processor that it took to count."""

    @classmethod
    def of(cls, store: Store, query: Query, usual: InboxFilter, items: Mapping[str, InboxItem], *, whole: bool) -> Sums:
        """What there is besides the `items` that are loaded; `whole` says that they are all. A search is not done again to count."""
        began = time.thread_time()
        searched = bool(query.where or query.want.text)
        rest = Unshown(0, 0, 0) if searched and items else Unshown.of(store, query, usual, empty=not items)
        if whole or searched:
            fresh = sum(not item.seen for item in items.values())
            return cls(len(items), fresh, not whole, rest, time.thread_time() - began)
        narrow = replace(query.want, unseen=True) if query.want.member else query.want
        total, unseen = (store.views.inbox_count(want, most=COUNTED_MAX) for want in (query.want, narrow))
        return cls(total, unseen, False, rest, time.thread_time() - began)

    def said(self, *, filtered: bool, member: str) -> str:
        """`84 open, 12 unseen`; an agent has seen nothing and missed nothing."""
        fresh = f", {counted(self.unseen)} unseen" if member else ""
        return f"{counted(self.total)} {'fit' if filtered else 'open'}{fresh}{' of what is loaded' if self.more else ''}"

    @property
    def hidden(self) -> str:
        """What is not shown, and the word for the filter that brings it back."""
        return self.rest.said(lambda option: f"/{option}")

    def nothing(self, *, filtered: bool) -> str:
        """What to say where there is nothing to show, and what can be done about it."""
        told = "Nothing here fits. Escape leaves the filter off." if filtered else "Nothing wants attention."
        if self.rest.waiting:
            events = "event is" if self.rest.waiting == 1 else "events are"
            told += f" {counted(self.rest.waiting)} {events} not worked on yet: ctrl+p, Start the runner."
        elif not filtered and not self.hidden:
            told += " `eventctl exec -- make test` records how a command went."
        return f"{told} {self.hidden}".rstrip()
