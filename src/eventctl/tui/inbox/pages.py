"""Reading an inbox page by page, drawn where it is read: the thread that paints only shows it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
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

    def with_(self, item: InboxItem, row: Row, *, below: str) -> Found:
        """With one more row below the one with this key, "" for the top; under the header that stands there."""
        keys = list(self.rows)
        at = keys.index(below) + 1 if below else 0
        beside = keys[at - 1] if at else keys[0] if keys else ""
        mine = row._replace(group=self.rows[beside].group if beside else row.group)
        rows, items = list(self.rows.items()), list(self.items.items())
        return replace(
            self,
            rows=dict([*rows[:at], (row.key, mine), *rows[at:]]),
            items=dict([*items[:at], (row.key, item), *items[at:]]),
        )


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
