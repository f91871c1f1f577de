"""The inbox: lives as rows, most urgent first, filtered, grouped, and moved by single keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from eventctl.inboxquery import ORDERS
from eventctl.tui.detail.screen import DetailRoom
from eventctl.tui.inbox.arranging import COLUMNS, Arrangement, Orders
from eventctl.tui.inbox.beside import SIDE_FROM, STEP, USUAL, Beside
from eventctl.tui.inbox.filterbar import RECENT_MAX, FilterBar
from eventctl.tui.inbox.listing import WRONG, Listing, mistake
from eventctl.tui.rows import RowList
from eventctl.views import Order


class InboxRoom(Listing):
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
        self._beside: tuple[bool, int] = True, USUAL
        self._recent: list[str] = []

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
        """What stands beside needs room; when it has got some, it shows what the cursor stands on."""
        there = self.beside.display
        self.beside.fit(event.size.width)
        if self.beside.display and not there:
            self._follow(at_once=True)

    # --- the filter --------------------------------------------------------------------------------------------------------------

    def on_filter_bar_asked(self, message: FilterBar.Asked) -> None:
        """Somebody has typed a filter, or has left it off. One with a mistake leaves the list as it is."""
        try:
            self._query(message.words)
        except WRONG as wrong:
            self.bar.say(f"✗ {mistake(wrong)}", "bad")
            if message.done:
                self.bar.open()
            return
        if message.done:
            self.bar.keep(message.words)
            self.rows.focus()
            self.bar.show(message.words)
        if not self.answered(message.words):
            self._want(message.words)

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

    # --- moving in it ------------------------------------------------------------------------------------------------------------

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
