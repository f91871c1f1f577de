"""An inbox as it is read: page by page, anew when something has changed, and never so that a row moves away under a key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from textual.timer import Timer

from eventctl import inboxquery
from eventctl.errors import EventctlError, Misconfigured, UsageError
from eventctl.inboxquery import Query
from eventctl.tui.inbox import arranging, pages
from eventctl.tui.inbox.arranging import Arrangement
from eventctl.tui.inbox.beside import Beside
from eventctl.tui.inbox.filterbar import FilterBar
from eventctl.tui.inbox.pace import Pace
from eventctl.tui.inbox.pages import Found
from eventctl.tui.inbox.sums import Sums
from eventctl.tui.look import said
from eventctl.tui.rows import Row, RowList
from eventctl.tui.triage.keys import Picked, TriageRoom
from eventctl.views import InboxItem

PAGE = 200
"""Rows read at once."""

KEPT_MAX = 1_000
"""Rows that are read anew when something has changed. Below that the list stands still, and says so."""

WRONG = (UsageError, Misconfigured)
"""What a filter with a mistake is answered with."""


class Listing(TriageRoom):
    """A list of notifications with a filter above it and one of them beside it. `words` is the filter that holds."""

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        self.arrangement = Arrangement()
        self._goal = ""
        self._items: dict[str, InboxItem] = {}
        self._rows: dict[str, Row] = {}
        self._next = ""
        self._looked = 0
        self._asked = self._answered = 0
        self._version, self._stale = -1, False
        self._touched: set[int] = set()
        self._own: set[int] = set()
        self._sums = self._hidden = ""
        self._one_search = asyncio.Lock()
        self._reading, self._counting = Pace(), Pace()
        self._later: Timer | None = None

    @property
    def rows(self) -> RowList:
        """The list."""
        return self.query_one("#rows", RowList)

    @property
    def bar(self) -> FilterBar:
        """The filter."""
        return self.query_one(FilterBar)

    @property
    def beside(self) -> Beside:
        """What stands beside the list."""
        return self.query_one(Beside)

    def _query(self, words: str | None = None) -> Query:
        desk, line = self.desk, self.words if words is None else words
        return inboxquery.query(line, member=desk.member, audience=desk.audience, now=desk.now(), order=self.arrangement.order)

    def _drawn(self, item: InboxItem) -> Row:
        return arranging.row(item, self.arrangement._replace(order=self._query().want.order), self.desk.now())

    # --- reading -----------------------------------------------------------------------------------------------------------------

    async def reload(self) -> None:
        """As many rows as are loaded. A list that goes far down, or that a condition had to look for, stands still."""
        version = await self.desk.version()
        if self._reading.wait and not self._touched:
            self._again()
            return
        query = self._query()
        far = self.rows.loaded > KEPT_MAX or (bool(query.where) and self._looked > inboxquery.LOOK_MAX)
        if far:
            self._stale |= version != self._version
            await self._renew()
        else:
            self._version = version
            try:
                await self._read(query)
            except WRONG as wrong:
                self.words = ""
                self.bar.open()
                self.bar.say(f"✗ {mistake(wrong)}", "bad")
                return
        self._follow(at_once=True)
        if not self._counting.wait:
            self.host.behind(self._count, "inbox-count")

    def _again(self) -> None:
        """Read when it may cost something again; once is enough."""
        if self._later is None:

            def now() -> None:
                self._later = None
                self.host.reread()

            self._later = self.set_timer(self._reading.wait, now)

    async def _read(self, query: Query) -> None:
        """The rows that are loaded, anew. Whatever was asked for since goes before it."""
        asked, found = self._asked, Found()
        limit = min(max(PAGE, self.rows.loaded), KEPT_MAX)
        async for found in pages.read(self.desk, query, self.arrangement, limit):
            self._progress(query, found)
        self._reading.spent(found.cost)
        held = await self._held(found)
        if asked == self._asked:
            self._take(held)

    async def _held(self, found: Found) -> Found:
        """With the rows that a key would be about, if somebody else's move has taken them out: it must not meet others in their place."""
        out = [key for key in self._meant() if key in self._items and key not in found.rows and int(key[1:]) not in self._own]
        if not out:
            return found
        there = await self.desk.read(lambda store: pages.items(store, [int(key[1:]) for key in out], self.desk.member))
        items = {f"n{item.notification.id}": item for item in there}
        more = {key: (items[key], self._drawn(items[key])) for key in self._meant() if key in items}
        return found.with_(more, list(self._rows))

    def _meant(self) -> list[str]:
        return list(dict.fromkeys([self.rows.key, *self.rows.marks]))

    def _take(self, found: Found, *, fresh: bool = False) -> None:
        """Show these instead."""
        there = self.rows.key in found.rows
        self._items, self._rows = dict(found.items), dict(found.rows)
        self._next, self._looked, self._stale = found.next, found.looked, False
        self._touched.clear()
        self.rows.fill(self._rows.values(), more=found.whole and bool(self._next))
        if fresh and not there:
            self.rows.action_edge(-1)
        if self._goal in self._rows:
            self.rows.point(self._goal)
        self._goal = "" if self._rows else self._goal
        self._tell()

    async def _renew(self) -> None:
        """In a list that stands still, those rows that were moved from here."""
        numbers = sorted(self._touched)
        for item in await self.desk.read(lambda store: pages.items(store, numbers, self.desk.member)):
            key = f"n{item.notification.id}"
            if key in self._rows:
                self._items[key], self._rows[key] = item, self._drawn(item)._replace(group=self._rows[key].group)
        if numbers:
            self.rows.fill(self._rows.values(), more=bool(self._next))
        self._tell()

    def on_row_list_wanted(self) -> None:
        """The end of what is loaded is near."""
        self.host.behind(self._extend, "inbox-page")

    async def _extend(self) -> None:
        """The next page."""
        asked, after, query, found = self._asked, self._next, self._query(), Found()
        async for found in pages.read(self.desk, query, self.arrangement, PAGE, after):
            self._progress(query, found, self._looked)
        if asked != self._asked:
            return
        if after != self._next:  # the list was read anew meanwhile, and goes on from another row
            self.rows.more = bool(self._next)
            return
        self._next, self._looked = found.next, self._looked + found.looked
        fresh = [key for key in found.rows if key not in self._rows]
        self._items |= {key: found.items[key] for key in fresh}
        self._rows |= {key: found.rows[key] for key in fresh}
        self.rows.extend(found.rows.values(), more=bool(self._next))
        self._tell()

    # --- reading what is asked for -----------------------------------------------------------------------------------------------

    def action_reload(self) -> None:
        """Read anew from the top, also a list that stands still."""
        self._want(self.words)

    def answered(self, words: str) -> bool:
        """Whether this is what the list shows, and nothing else is on its way."""
        return words == self.words and self._answered == self._asked

    def _want(self, words: str) -> None:
        """Read what these words ask for; of several that are asked for meanwhile only the last one is read."""
        self._asked += 1
        self.host.begin(partial(self._filter, words, self._asked), "inbox-filter")

    async def _filter(self, words: str, asked: int) -> None:
        async with self._one_search:  # a search cannot be called off: they would pile up behind each other
            if asked != self._asked:
                return
            query = self._query(words)
            try:
                async for found in pages.read(self.desk, query, self.arrangement, PAGE):
                    version = await self.desk.version()
                    if asked != self._asked:
                        return
                    self.words, self._version = words, version
                    self._take(found, fresh=True)
                    self._answered = asked
                    self._progress(query, found)
            except WRONG as wrong:
                self.bar.say(f"✗ {mistake(wrong)}", "bad")
                self._answered = asked
                return
        self.bar.say("")
        self._follow(at_once=True)
        self.host.behind(self._count, "inbox-count")

    def _progress(self, query: Query, found: Found, before: int = 0) -> None:
        if query.where:
            self._sums = f"{len(found.rows):,} found, looked at {before + found.looked:,}"
            self._sums += "" if found.whole else f" of {found.total:,}..."
            self._tell()

    # --- the line below ----------------------------------------------------------------------------------------------------------

    async def _count(self) -> None:
        """How many there are, and how many there would be; that takes longer than to read them."""
        asked, query, items, whole = self._asked, self._query(), self._items, not self._next
        usual = inboxquery.usual(self.desk.member, self.desk.audience, self.desk.now())
        sums = await self.desk.search(lambda store: Sums.of(store, query, usual, items, whole=whole))
        self._counting.spent(sums.cost)
        if asked != self._asked:
            return
        if not query.where:
            self._sums = sums.said(filtered=bool(self.words), member=self.desk.member)
        self._hidden = sums.hidden
        self.rows.empty = sums.nothing(filtered=bool(self.words))
        self.rows.refresh()
        self._tell()

    def _tell(self) -> None:
        marked = f"{len(self.rows.marks):,} marked" if self.rows.marks else ""
        order = self._query().want.order
        stale = "⟳ it has changed since: ctrl+r reads anew" if self._stale else ""
        parts = (stale, ", ".join(part for part in (self._sums, marked) if part), self.arrangement._replace(order=order).said)
        self.note(" · ".join(part for part in (*parts, self._hidden) if part))

    def on_row_list_marked(self) -> None:
        """Other rows are marked."""
        self._tell()

    # --- triage ------------------------------------------------------------------------------------------------------------------

    def picked(self) -> list[Picked]:
        """Those that are marked, else the one under the cursor; nothing while another list is on its way, which a key may be meant for."""
        if self._answered != self._asked:
            self.note("one moment: the list is being read", "warn")
            return []
        shown = (self._items[key].notification for key in self.rows.chosen if key in self._items)
        return [Picked(row.id, row.news, row.title) for row in shown]

    def moving(self, picked: Sequence[Picked]) -> None:
        """They may leave the list: nobody else's hand has taken them out."""
        numbers = {each.number for each in picked}
        self._touched |= numbers
        self._own |= numbers
        self.rows.unmark()

    # --- what stands beside ------------------------------------------------------------------------------------------------------

    def on_row_list_moved(self) -> None:
        """What stands beside follows."""
        self._own.clear()
        self._follow()

    def _follow(self, *, at_once: bool = False) -> None:
        self.beside.follow(int(self.rows.key[1:]) if self.rows.key else None, at_once=at_once)


def mistake(wrong: EventctlError) -> str:
    """What is wrong with a filter, where, and what to do, as one line. A place that is drawn on two lines has its column in words, too."""
    where = "" if "\n" in wrong.where else wrong.where
    return ": ".join(said(part, 200) for part in (where, wrong.what) if part) + (
        f" · {said(wrong.hint, 200)}" if wrong.hint else ""
    )
