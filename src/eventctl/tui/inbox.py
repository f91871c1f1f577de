"""The inbox: lives as rows, most urgent first."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Horizontal

from eventctl.inboxquery import usual
from eventctl.tui import look
from eventctl.tui.look import Cell
from eventctl.tui.room import Room
from eventctl.tui.rows import Column, Row, RowList
from eventctl.views import InboxFilter, InboxItem

PAGE = 200
"""Rows read at once."""

KEPT_MAX = 1_000
"""Rows that are read anew when something has changed. Who has gone further down reads anew by going up."""

COLUMNS = (
    Column("", 1), Column("id", 7), Column("level", 10), Column("age", 4, right=True),
    Column("state", 20), Column("domain", 20, wide=120), Column("title", 0),
)  # fmt: skip


class InboxRoom(Room):
    """What wants attention, and what is done about it."""

    MODE = "inbox"

    def body(self) -> ComposeResult:
        """The list."""
        with Horizontal():
            yield RowList(COLUMNS, id="rows", empty="Nothing wants attention.")

    @property
    def rows(self) -> RowList:
        """The list."""
        return self.query_one(RowList)

    def _want(self) -> InboxFilter:
        return usual(self.desk.member, self.desk.audience, self.desk.now())

    async def reload(self) -> None:
        """The first rows, as many as are loaded."""
        want, limit = self._want(), min(max(PAGE, self.rows.loaded), KEPT_MAX)
        page = await self.desk.read(lambda store: store.views.inbox(want, limit=limit))
        self._next = page.next
        self.rows.fill(self._drawn(page.items), more=bool(page.next))

    def on_row_list_wanted(self) -> None:
        """The end of what is loaded is near."""
        self.host.behind(self._extend, "page")

    async def _extend(self) -> None:
        """The next page."""
        want, after = self._want(), self._next
        page = await self.desk.read(lambda store: store.views.inbox(want, limit=PAGE, after=after))
        self._next = page.next
        self.rows.extend(self._drawn(page.items), more=bool(page.next))

    def _drawn(self, items: Iterable[InboxItem]) -> Iterable[Row]:
        now = self.desk.now()
        return [_row(item, now) for item in items]


def _row(item: InboxItem, now: int) -> Row:
    row = item.notification
    cells = (
        Cell(look.SEEN) if item.seen else Cell(look.NEWS, "good"),
        Cell(f"n{row.id}", "muted"),
        look.level(row.level, short=True),
        Cell(look.age(row.updated_at, now), "muted"),
        look.state(row, item.snooze_until, now),
        Cell(look.said(row.domain, 40), "muted"),
        Cell(look.said(row.title), "" if item.seen else "strong"),
    )
    return Row(f"n{row.id}", cells)
