"""Reading an inbox page by page, drawn where it is read: the thread that paints only shows it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from eventctl import inboxquery
from eventctl.notification import MemberView
from eventctl.store import Keys
from eventctl.tui.inbox import arranging
from eventctl.views import InboxItem

if TYPE_CHECKING:
    from eventctl.inboxquery import Page, Query
    from eventctl.store import Store
    from eventctl.tui.desk import Desk
    from eventctl.tui.inbox.arranging import Arrangement
    from eventctl.tui.rows import Row

TOTAL_MAX = 1_000_000
"""A condition is told how much there is to look at, counted up to here."""


@dataclass(frozen=True, slots=True)
class Found:
    """What has been read, by key and in its order: notifications, their lines, and the token for what comes next.

    Unless it is `whole`, there is more to look at, of `total` rows, of which `looked` have been looked at. `cost` is in seconds of a
    processor.
    """

    items: dict[str, InboxItem] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    next: str = ""
    looked: int = 0
    whole: bool = True
    total: int = 0
    cost: float = 0.0

    def with_(self, more: Mapping[str, tuple[InboxItem, Row]], order: Iterable[str]) -> Found:
        """With these rows too, each where it stands in the `order` of keys, under the header that is there."""
        below: dict[str, list[str]] = {"": []}
        above = ""
        for key in order:
            if key in self.rows:
                above = key
            elif key in more:
                below.setdefault(above, []).append(key)
        rows: dict[str, Row] = {}
        group = next((row.group for row in self.rows.values()), None)
        for place in ("", *self.rows):
            if place:
                rows[place], group = self.rows[place], self.rows[place].group
            for key in below.get(place, ()):
                rows[key] = more[key][1] if group is None else more[key][1]._replace(group=group)
        return replace(self, rows=rows, items={key: more[key][0] if key in more else self.items[key] for key in rows})


async def read(desk: Desk, query: Query, arrangement: Arrangement, limit: int, after: str = "") -> AsyncIterator[Found]:
    """A page, or all there is. A condition gives what it has found so far each time it has looked further; the last one is whole."""
    arranged = arrangement._replace(order=query.want.order)
    usually = inboxquery.usual(desk.member, desk.audience, query.want.hide_silenced_at or 0)
    quick = not query.where and query.want == usually  # an index has it, and a page costs what it shows
    ask = desk.read if quick else desk.search
    found = Found(whole=False)
    while not found.whole:
        page, rows, cost = await ask(partial(_drawn, query, arranged, desk.now(), limit - len(found.items), after))
        total = found.total
        if not (page.whole or total):
            total = await desk.search(lambda store: store.views.inbox_count(query.want, most=TOTAL_MAX))
        found = Found(
            found.items | {row.key: item for row, item in zip(rows, page.items, strict=True)},
            found.rows | {row.key: row for row in rows},
            page.next, found.looked + page.looked, page.whole, total, found.cost + cost,
        )  # fmt: skip
        after = page.next
        yield found


def items(store: Store, numbers: Iterable[int], member: str) -> list[InboxItem]:
    """These notifications as a list has them; one that is not there is left out."""
    found = []
    for number in numbers:
        row = store.views.notification(number)
        if row is not None:
            views = store.snapshot(Keys(member_views=[(member, number)])).member_views if member else {}
            view = views.get((member, number)) or MemberView(member, number, 0)
            found.append(InboxItem(row, view.seen >= row.news, view.snooze_until))
    return found


def _drawn(
    query: Query, arranged: Arrangement, now: int, limit: int, after: str, store: Store
) -> tuple[Page, list[Row], float]:
    began = time.thread_time()
    page = inboxquery.page(store, query, limit=limit, after=after)
    rows = [arranging.row(item, arranged, now) for item in page.items]
    return page, rows, time.thread_time() - began
