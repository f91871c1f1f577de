"""The inbox: lives as rows, most urgent first, filtered, grouped, and moved by single keys."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from eventctl import inboxquery
from eventctl.errors import EventctlError, Misconfigured, UsageError
from eventctl.inboxquery import ORDERS, Query
from eventctl.tui import arranging, pages
from eventctl.tui.arranging import COLUMNS, Arrangement, Orders
from eventctl.tui.beside import SIDE_FROM, STEP, USUAL, Beside
from eventctl.tui.detail import DetailRoom
from eventctl.tui.filterbar import RECENT_MAX, FilterBar
from eventctl.tui.look import said
from eventctl.tui.pages import Found
from eventctl.tui.rows import Row, RowList
from eventctl.tui.sums import Sums
from eventctl.tui.triageroom import Picked, TriageRoom
from eventctl.views import InboxItem, Order

PAGE = 200
"""Rows read at once."""

KEPT_MAX = 1_000
"""Rows that are read anew when something has changed. Below that the list stands still, and says so."""

WRONG = (UsageError, Misconfigured)
"""What a filter with a mistake is answered with."""


class InboxRoom(TriageRoom):
    """What wants attention, and what is done about it. A key moves the rows that are marked, else the one under the cursor."""

    MODE = "inbox"
    AUTO_FOCUS = "#rows"

    DEFAULT_CSS = """
    InboxRoom #list { height: 1fr; }
    InboxRoom #rows { width: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Words of `inbox list`, words to look for, where CEL."),
        Binding("y", "why", "Why", tooltip="Why it is here, why with this level, why now."),
        Binding("n", "next_unseen", "Next unseen", show=False, tooltip="Go to the next one that you have not seen."),
        Binding("o", "order", "Order", show=False, tooltip="What comes first: level, domain, age, entity."),
        Binding("h", "headers", "Headers", show=False, tooltip="Headers between the rows, or none."),
        Binding("d", "side", "Beside", show=False, tooltip="Show the notification beside the list, from 140 columns on."),
        Binding("less_than_sign", f"widen({STEP})", "Wider beside", show=False),
        Binding("greater_than_sign", f"widen(-{STEP})", "Narrower beside", show=False),
        Binding("escape", "off", "Marks or filter off", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        """The filter that holds."""
        self.arrangement = Arrangement()
        self._beside: tuple[bool, int] = True, USUAL
        self._recent: list[str] = []
        self._goal = ""
        self._items: dict[str, InboxItem] = {}
        self._rows: dict[str, Row] = {}
        self._next = ""
        self._looked = 0
        self._asked = 0
        self._version, self._stale = -1, False
        self._touched: set[int] = set()
        self._own: set[int] = set()
        self._sums = self._hidden = ""
        self._one_search = asyncio.Lock()

    def body(self) -> ComposeResult:
        """The filter, the list, and what the cursor stands on beside it."""
        yield FilterBar(self.words, self._recent)
        with Horizontal(id="list"):
            yield RowList(COLUMNS, id="rows", empty="")
            yield Beside(wanted=self._beside[0], share=self._beside[1])

    def on_mount(self) -> None:
        """Begin with what the command line asked for, else with what was asked for last."""
        words = self.host.words or self.words
        try:
            self._query(words)
        except WRONG as wrong:
            self.words = ""
            self.host.tell(f"the filter {words}: {wrong.what}", bad=True)
        else:
            self.words = words
        self.bar.show(self.words)

    def on_resize(self, event: events.Resize) -> None:
        """What stands beside needs room."""
        self.beside.fit(event.size.width)

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

    # --- reading -----------------------------------------------------------------------------------------------------------------

    async def reload(self) -> None:
        """As many rows as are loaded. A list that goes far down, or that a condition had to look for, stands still."""
        version = await self.desk.read(lambda store: store.views.version())
        if not self.is_attached:
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
                self.bar.say(f"✗ {_mistake(wrong)}", "bad")
                return
        self._follow(at_once=True)
        self.host.behind(self._count, "inbox-count")

    async def _read(self, query: Query) -> None:
        """The rows that are loaded, anew. Whatever was asked for since goes before it."""
        asked, found = self._asked, Found()
        limit = min(max(PAGE, self.rows.loaded), KEPT_MAX)
        async for found in pages.read(self.desk, query, self.arrangement, limit):
            self._progress(query, found)
        held = await self._held(found) if self.is_attached else found
        if self._current(asked):
            self._take(held)

    def _current(self, asked: int) -> bool:
        """Whether this is still to be shown: nothing else was asked for since, and somebody looks."""
        return asked == self._asked and self.is_attached

    async def _held(self, found: Found) -> Found:
        """With the row under the cursor, if somebody else's move has taken it out: a key that is being pressed must not meet another."""
        key = self.rows.key
        if key not in self._items or key in found.rows or int(key[1:]) in self._own:
            return found
        there = await self.desk.read(lambda store: pages.items(store, [int(key[1:])], self.desk.member))
        if not there or key != self.rows.key:
            return found
        above = [before for before in list(self._rows)[: list(self._rows).index(key)] if before in found.rows]
        return found.with_(there[0], self._drawn(there[0]), below=above[-1] if above else "")

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
        if not self._current(asked):
            return
        if after != self._next:  # the list was read anew meanwhile, and goes on from another row
            self.rows.more = bool(self._next)
            return
        self._next, self._looked = found.next, self._looked + found.looked
        self._items, self._rows = found.items | self._items, self._rows | {
            key: row for key, row in found.rows.items() if key not in self._rows
        }  # fmt: skip
        self.rows.extend(found.rows.values(), more=bool(self._next))
        self._tell()

    def action_reload(self) -> None:
        """Read anew from the top, also a list that stands still."""
        self._want(self.words)

    # --- the filter --------------------------------------------------------------------------------------------------------------

    def _query(self, words: str | None = None) -> Query:
        desk, line = self.desk, self.words if words is None else words
        return inboxquery.query(line, member=desk.member, audience=desk.audience, now=desk.now(), order=self.arrangement.order)

    def on_filter_bar_asked(self, message: FilterBar.Asked) -> None:
        """Somebody has typed a filter, or has left it off. One with a mistake leaves the list as it is."""
        try:
            self._query(message.words)
        except WRONG as wrong:
            self.bar.say(f"✗ {_mistake(wrong)}", "bad")
            return
        if message.done:
            self.bar.keep(message.words)
            self.rows.focus()
            self.bar.show(message.words)
        self._want(message.words)

    def _want(self, words: str) -> None:
        """Read what these words ask for; of several that are asked for meanwhile only the last one is read."""
        self._asked += 1
        self.host.run_worker(self.host.attempt(partial(self._filter, words, self._asked)), group="filter")

    async def _filter(self, words: str, asked: int) -> None:
        async with self._one_search:  # a search cannot be called off: they would pile up behind each other
            if asked != self._asked:
                return
            query = self._query(words)
            try:
                async for found in pages.read(self.desk, query, self.arrangement, PAGE):
                    version = await self.desk.read(lambda store: store.views.version())
                    if not self._current(asked):
                        return
                    self.words, self._version = words, version
                    self._take(found, fresh=True)
                    self._progress(query, found)
            except WRONG as wrong:
                self.bar.say(f"✗ {_mistake(wrong)}", "bad")
                return
        self.bar.say("")
        self._follow(at_once=True)
        self.host.behind(self._count, "inbox-count")

    def _progress(self, query: Query, found: Found, before: int = 0) -> None:
        if query.where:
            self._sums = f"{len(found.rows):,} found, looked at {before + found.looked:,}"
            self._sums += "" if found.whole else f" of {found.total:,}..."
            self._tell()

    def action_filter(self) -> None:
        """Type a filter."""
        self.bar.open()
        self.host.behind(self._learn, "inbox-learn")

    async def _learn(self) -> None:
        """What the words of a filter can be completed with."""
        types = await self.desk.search(lambda store: store.views.type_names(limit=2_000))
        about = [item.notification for item in self._items.values()]
        self.bar.known = {
            "type": types,
            "domain": sorted({row.domain for row in about}),
            "entity": sorted({row.entity for row in about if row.entity}),
            "audience": sorted({row.audience for row in about}),
        }

    def action_off(self) -> None:
        """Take the marks away; without any, the filter."""
        if self.rows.marks:
            self.rows.unmark()
        elif self.words:
            self.bar.show("")
            self._want("")

    # --- the line below ----------------------------------------------------------------------------------------------------------

    async def _count(self) -> None:
        """How many there are, and how many there would be; that takes longer than to read them."""
        asked, query, items, whole = self._asked, self._query(), self._items, not self._next
        usual = inboxquery.usual(self.desk.member, self.desk.audience, self.desk.now())
        sums = await self.desk.search(lambda store: Sums.of(store, query, usual, items, whole=whole))
        if not self._current(asked):
            return
        if not query.where:
            self._sums = sums.said(filtered=bool(self.words), member=self.desk.member)
        self._hidden = sums.hidden
        self.rows.empty = sums.nothing(filtered=bool(self.words))
        self.rows.refresh()
        self._tell()

    def _tell(self) -> None:
        if not self.is_attached:
            return
        marked = f"{len(self.rows.marks):,} marked" if self.rows.marks else ""
        order = self._query().want.order
        stale = "⟳ it has changed since: ctrl+r reads anew" if self._stale else ""
        parts = (stale, ", ".join(part for part in (self._sums, marked) if part), self.arrangement._replace(order=order).said)
        self.note(" · ".join(part for part in (*parts, self._hidden) if part))

    def on_row_list_marked(self) -> None:
        """Other rows are marked."""
        self._tell()

    # --- moving in it ------------------------------------------------------------------------------------------------------------

    def on_row_list_moved(self) -> None:
        """What stands beside follows."""
        self._own.clear()
        self._follow()

    def _follow(self, *, at_once: bool = False) -> None:
        self.beside.follow(int(self.rows.key[1:]) if self.rows.key else None, at_once=at_once)

    def action_side(self) -> None:
        """Show the notification beside the list, or do not."""
        if self.size.width < SIDE_FROM:
            self.host.tell(f"beside the list there is room from {SIDE_FROM} columns on; enter opens it")
            return
        self.beside.wanted = not self.beside.wanted
        self.beside.fit(self.size.width)
        self._follow(at_once=True)

    def action_widen(self, by: int) -> None:
        """Give what stands beside more room, or less."""
        self.beside.widen(by)

    def action_next_unseen(self) -> None:
        """Go to the next one that is unseen, from the top again after the last."""
        keys = list(self._rows)
        at = keys.index(self.rows.key) + 1 if self.rows.key in self._rows else 0
        found = next((key for key in keys[at:] + keys[:at] if not self._items[key].seen), "")
        if found:
            self.rows.point(found)
        else:
            self.host.tell("nothing here is unseen" + (", as far as it is loaded" if self._next else ""))

    def on_row_list_chosen(self) -> None:
        """Enter: the notification, whole."""
        self._open(why=False)

    def action_why(self) -> None:
        """Why it is here."""
        self._open(why=True)

    def _open(self, *, why: bool) -> None:
        if self.rows.key:
            among = [int(key[1:]) for key in self._rows]
            self.app.push_screen(DetailRoom(int(self.rows.key[1:]), why=why, among=among))

    def jump(self, key: str) -> None:
        """Put the cursor on this notification, once it is read."""
        self._goal = "" if key in self._rows else key
        self.rows.point(key)

    # --- how it is laid out ------------------------------------------------------------------------------------------------------

    def action_order(self) -> None:
        """Ask what comes first."""

        def chosen(values: dict[str, Any] | None) -> None:
            if values is None:
                return
            self.arrangement = self.arrangement._replace(order=values["order"])
            if self._query().want.order != values["order"]:
                self.host.tell("the filter says what comes first: take order: out of it")
            self._want(self.words)

        self.app.push_screen(Orders(self.arrangement.order), chosen)

    def action_headers(self) -> None:
        """Headers between the rows, or none."""
        self.arrangement = self.arrangement._replace(headers=not self.arrangement.headers)
        self._rows = {key: self._drawn(item) for key, item in self._items.items()}
        self.rows.fill(self._rows.values(), more=bool(self._next))
        self._tell()

    def _drawn(self, item: InboxItem) -> Row:
        return arranging.row(item, self.arrangement._replace(order=self._query().want.order), self.desk.now())

    # --- triage ------------------------------------------------------------------------------------------------------------------

    def picked(self) -> list[Picked]:
        """Those that are marked, else the one under the cursor."""
        shown = (self._items[key].notification for key in self.rows.chosen if key in self._items)
        return [Picked(row.id, row.news, row.title) for row in shown]

    def moving(self, picked: Sequence[Picked]) -> None:
        """They may leave the list: nobody else's hand has taken them out."""
        numbers = {each.number for each in picked}
        self._touched |= numbers
        self._own |= numbers
        self.rows.unmark()

    # --- from run to run ---------------------------------------------------------------------------------------------------------

    def memory(self) -> dict[str, Any]:
        """The filter, the last ones, the order, the place, and what stands beside."""
        return {
            "filter": self.words, "recent": self.bar.recent, "order": self.arrangement.order, "headers": self.arrangement.headers,
            "key": self.rows.key, "side": self.beside.wanted, "side_width": self.beside.share,
        }  # fmt: skip

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take up whatever of it is of the right shape."""
        texts = {name: memory.get(name) for name in ("filter", "key")}
        self.words, self._goal = (value if isinstance(value, str) else "" for value in texts.values())
        recent, width = memory.get("recent"), memory.get("side_width")
        self._recent = [each for each in recent if isinstance(each, str)][:RECENT_MAX] if isinstance(recent, list) else []
        order: Order = next((each for each in ORDERS if each == memory.get("order")), "level")
        self.arrangement = Arrangement(order, memory.get("headers") is not False)
        self._beside = memory.get("side") is not False, width if type(width) is int else USUAL


def _mistake(wrong: EventctlError) -> str:
    return ": ".join(said(part, 200) for part in (wrong.where, wrong.what) if part) + (f" · {wrong.hint}" if wrong.hint else "")
