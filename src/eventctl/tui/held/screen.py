"""What is held for a person to judge, what failed for good, and what was refused: looked at, let go on, tried again, dropped."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input

from eventctl import client
from eventctl.cli.moving import LATER
from eventctl.cli.who import require
from eventctl.errors import EventctlError
from eventctl.tui.chips import Chips
from eventctl.tui.detail.recordview import RecordView
from eventctl.tui.dialogs import Field, Form
from eventctl.tui.held import lists as heldlists
from eventctl.tui.held import view as heldview
from eventctl.tui.held.bulk import Bulk
from eventctl.tui.held.lists import KINDS, LIST_MAX, Item, Kind, Listed, Place
from eventctl.tui.held.view import HeldView
from eventctl.tui.room import Room
from eventctl.tui.rows import Row, RowList

if TYPE_CHECKING:
    from eventctl.store import Reject, Store

PAGE = 200
"""Rows that are read at once."""

PAUSE_S = 0.12
"""Who types goes on within this time; the list is read when they stop."""

NAMED_MAX = 10
"""Of many that are asked about, so many are named; the others are counted by pipeline."""

FINAL = "This cannot be taken back. What has been decided in the meantime is left alone."


class Read(NamedTuple):
    """A list, how many there are of each, and whether nobody works."""

    listed: Listed
    counts: Mapping[str, int]
    idle: bool


class HeldRoom(Room):
    """What is held, what failed for good, and what was refused. What is decided here happens when its pipeline comes to it."""

    MODE = "held"

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual declares it so

    DEFAULT_CSS = """
    HeldRoom HeldView { width: 45%; border-left: solid $panel; }
    HeldRoom #filter { height: 1; display: none; }
    HeldRoom #filter.-open { display: block; }
    HeldRoom.-narrow HeldView { display: none; width: 1fr; border: none; }
    HeldRoom.-narrow.-reading #lists { display: none; }
    HeldRoom.-narrow.-reading HeldView { display: block; }
    HeldRoom #lists { width: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "l", "ask('release')", "Release", tooltip="Let what is held go on, once; trust asks no more questions about it."
        ),
        Binding("r", "ask('retry')", "Retry", tooltip="Run dead letters again, with the cartridges as they are now."),
        Binding(
            "x", "ask('discard')", "Discard", tooltip="Drop them. They stay in the log, with your name beside the decision."
        ),
        Binding("A", "everything", "All …", tooltip="Do it to everything that the filter chooses, also what is not listed."),
        Binding("y", "why", "Why", tooltip="Say where it came from, and what every step did with it."),
        Binding("slash", "filter", "Filter", tooltip="Choose by source:GLOB, reason:GLOB, pipeline:NAME, and words."),
        Binding("left_square_bracket", "tab(-1)", "List before", show=False),
        Binding("right_square_bracket", "tab(1)", "Next list"),
        Binding("escape", "back", "Stop asking, or back to the list", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.tab, self.filter = "quarantine", ""
        self._items: dict[str, Item] = {}
        self._rejects: dict[str, Reject] = {}
        self._gone: set[str] = set()
        self._limit = PAGE
        self._stands: Item | None = None
        self._wanted = ""
        self._asked: dict[Place, tuple[str, int]] = {}
        self._shown_asked: heldlists.Asked = {}
        self._bulk: Bulk | None = None

    def body(self) -> ComposeResult:
        """The tabs, the filter, a list for each tab, and what the cursor stands on."""
        yield Chips({kind.name: kind.title for kind in KINDS.values()}, self.tab)
        hint = "source:cron-* reason:unknown_* pipeline:system words"
        yield Input(self.filter, placeholder=hint, id="filter", compact=True, select_on_focus=False)
        with Horizontal():
            with Horizontal(id="lists"):
                for kind in KINDS.values():
                    yield RowList(kind.columns, id=kind.name, empty=kind.empty)
            yield HeldView()

    def on_mount(self) -> None:
        """The list that was in front before."""
        self.line.set_class(bool(self.filter), "-open")
        self._front()
        self.rows.focus()

    @property
    def kind(self) -> Kind:
        """Which list is in front."""
        return KINDS[self.tab]

    @property
    def rows(self) -> RowList:
        """The list in front."""
        return self.query_one(f"#{self.tab}", RowList)

    @property
    def view(self) -> HeldView:
        """What the cursor stands on, in full."""
        return self.query_one(HeldView)

    @property
    def line(self) -> Input:
        """The filter."""
        return self.query_one("#filter", Input)

    def memory(self) -> dict[str, Any]:
        """Which list, and what chose among it."""
        return {"tab": self.tab, "filter": self.filter}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """The same again."""
        tab, words = memory.get("tab"), memory.get("filter")
        self.tab = tab if isinstance(tab, str) and tab in KINDS else self.tab
        self.filter = words if isinstance(words, str) else self.filter

    def jump(self, key: str) -> None:
        """Put the cursor on this record or reject, in the list that has it."""
        if key[:1] in ("e", "r") and key[1:].isdecimal():
            self._wanted = key
            self.host.behind(self._jump, "jump")

    async def _jump(self) -> None:
        seq, wanted = int(self._wanted[1:]), self._wanted
        states = ("dead",) if wanted[0] == "e" else ()
        dead = await self.desk.read(
            lambda store: store.views.exceptions(states=states, limit=1, before=seq + 1) if states else []
        )
        tab = "rejects" if wanted[0] == "r" else "dead" if any(row.seq == seq for row in dead) else "quarantine"
        self._choose(tab)

    # --- reading -----------------------------------------------------------------------------------------------------------------

    async def reload(self) -> None:
        """The list in front, as much of it as is loaded."""
        tab, words, kind, limit = self.tab, self.filter, self.kind, self._limit
        want = heldlists.choice(words)
        way = self.desk.search if any(want) and words.split() else self.desk.read
        found = await way(lambda store: self._read(store, kind, want, limit))
        if (tab, words) != (self.tab, self.filter):
            return
        self._fill(found.listed)
        self.query_one(Chips).show(tab, found.counts)
        self._told(idle=found.idle)

    def _read(self, store: Store, kind: Kind, want: heldlists.Choice, limit: int) -> Read:
        listed = heldlists.read(store, kind, want, limit, self._asked)
        cursors = [cursor for cursor, _ in store.views.cursors()]
        counts = {
            "quarantine": sum(cursor.quarantined for cursor in cursors), "dead": sum(cursor.dead for cursor in cursors),
            "rejects": store.views.counts().rejects,
        }  # fmt: skip
        return Read(listed, counts, client.run_info(self.desk.paths) is None)

    def _fill(self, listed: Listed) -> None:
        now = self.desk.now()
        items = {item.key: item for item in listed.items}
        marked = [self._items[key] for key in self.rows.marks if key in self._items]
        meant = [*marked, *([self._stands] if self._stands else [])] if self.kind.state else []
        gone = {item.key: item for item in meant if item.key not in items}
        self._gone = set(gone)
        if gone:  # the row under the cursor stays until the cursor leaves it, and what is marked while it is
            items |= gone
            items = dict(sorted(items.items(), key=lambda each: (-each[1].row.seq, each[1].row.pipeline)))
        self._items, self._rejects, self._shown_asked = items, {f"r{each.id}": each for each in listed.rejects}, listed.asked
        met = {item.place for item in items.values()} - listed.asked.keys()
        self._asked = {place: said for place, said in self._asked.items() if place not in met or not said[1]}
        drawn = [heldlists.item_row(self.kind, item, listed.asked, now, gone=key in self._gone) for key, item in items.items()]
        drawn += [heldlists.reject_row(reject, now) for reject in listed.rejects]
        self.rows.fill(drawn, more=listed.more and self._limit < LIST_MAX)
        if self._wanted:
            self._point(drawn)
        self._stands = self._items.get(self.rows.key)
        self._show()

    def _point(self, drawn: Sequence[Row]) -> None:
        wanted, self._wanted = self._wanted, ""
        key = next((row.key for row in drawn if row.key.partition(" ")[0] == wanted), "")
        if key:
            self.rows.point(key)
        else:
            self.host.tell(f"{wanted} is not in this list", bad=True)

    def _show(self) -> None:
        key, now = self.rows.key, self.desk.now()
        item, reject = self._items.get(key), self._rejects.get(key)
        verb = self._shown_asked.get(item.place, ("", 0))[0] if item else ""
        sight = heldview.of_item(self.kind, item, verb, now) if item else heldview.of_reject(reject, now) if reject else None
        self.view.show(sight)

    def _told(self, *, idle: bool) -> None:
        bulk = self._bulk
        if bulk is not None:
            self.note(f"asked to {bulk.word} {bulk.done:,} of {len(bulk.places):,} · escape stops", "accent")
            return
        parts = [f"the newest {self.rows.loaded:,}" if self.rows.loaded >= LIST_MAX else f"{self.rows.loaded:,} listed"]
        parts += [f"filter: {self.filter}"] if self.filter else []
        parts += ["no runner works here: `eventctl run` does what is asked"] if idle else []
        self.note(" · ".join(parts))

    def on_row_list_wanted(self, message: RowList.Wanted) -> None:
        """The end of what is loaded is near."""
        if type(message) is RowList.Wanted and message.rows is self.rows:
            self._limit = min(self._limit + PAGE, LIST_MAX)
            self.host.reread()

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        """Another one is looked at."""
        if message.rows is self.rows:
            self._stands = self._items.get(self.rows.key)
            self._show()

    # --- choosing ----------------------------------------------------------------------------------------------------------------

    def action_tab(self, by: int) -> None:
        """Another list."""
        self._choose(self.query_one(Chips).beside(by))

    def on_chips_picked(self, message: Chips.Picked) -> None:
        """The same by a click."""
        self._choose(message.name)

    def _choose(self, tab: str) -> None:
        self.tab, self._limit, self._stands = tab, PAGE, None
        self._items, self._rejects = {}, {}
        self._front()
        self.rows.focus()
        self.host.reread()

    def _front(self) -> None:
        for kind in KINDS.values():
            self.query_one(f"#{kind.name}").display = kind.name == self.tab
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Each list has its own verbs."""
        if action == "ask":
            return parameters[0] in self.kind.verbs
        return action != "everything" or bool(self.kind.verbs)

    def action_filter(self) -> None:
        """Let somebody type."""
        self.line.add_class("-open")
        self.line.focus()

    def on_input_changed(self, message: Input.Changed) -> None:
        """Wait until nobody goes on typing."""
        if message.value != self.filter:
            self.host.behind(partial(self._filtered, message.value, PAUSE_S), "filter")

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter: it holds, and the list has the keys again."""
        self.host.behind(partial(self._filtered, message.value, 0), "filter")
        self.line.set_class(bool(message.value.strip()), "-open")
        self.rows.focus()

    async def _filtered(self, words: str, pause: float) -> None:
        await asyncio.sleep(pause)
        if words != self.filter:
            self.filter, self._limit, self._stands = words, PAGE, None
            self.rows.unmark()
            self.host.reread()

    def on_row_list_chosen(self) -> None:
        """Look at it: beside the list, or in its place where there is no room for both."""
        self.add_class("-reading")
        self.view.focus()

    def action_back(self) -> None:
        """Stop asking; else leave the filter off; else to the list."""
        if self._bulk is not None:
            self._bulk.stop()
        elif self.line.has_focus:
            self.line.value = ""
            self.line.remove_class("-open")
        self.remove_class("-reading")
        self.rows.focus()

    def action_why(self) -> None:
        """Explain the record."""
        item = self._items.get(self.rows.key)
        if item is None:
            self.host.tell("it never became an event: why stands beside it" if self.rows.key else "nothing is here", bad=True)
            return
        self.app.push_screen(RecordView(item.row.seq, why=True))

    # --- what is done ------------------------------------------------------------------------------------------------------------

    def action_ask(self, name: str) -> None:
        """Ask about what is marked, else about the row under the cursor as it is now."""
        verb = self.kind.verbs[name]
        items = [self._items[key] for key in self.rows.chosen if key in self._items]
        known = {**self._shown_asked, **self._asked}
        fresh = [item.place for item in items if item.place not in known]
        if not fresh:
            told = [f"e{item.row.seq} is asked for already: {known[item.place][0]}" for item in items]
            self.host.tell(told[0] if told else "nothing is here to decide", bad=True)
        elif len(items) == 1:
            self._start(verb, fresh)
        else:
            self._confirm(verb, fresh)

    def action_everything(self) -> None:
        """Ask about all that the filter chooses, once somebody has seen how many that are."""
        self.host.behind(partial(self._everything, self.kind, heldlists.choice(self.filter)), "everything")

    async def _everything(self, kind: Kind, want: heldlists.Choice) -> None:
        rows = await self.desk.search(lambda store: list(heldlists.chosen(store, kind, want)))
        places = [(row.pipeline, row.seq) for row in rows]
        if not places:
            self.host.tell("nothing is here to decide", bad=True)
            return
        choices = [(verb, name) for name, verb in kind.verbs.items()]
        field = Field("verb", "What", choices=choices)
        chosen = f"what `{self.filter.strip()}` chooses" if self.filter.strip() else "everything"

        def answered(given: dict[str, Any] | None) -> None:
            if given is not None:
                self._start(str(given["verb"]), places)

        title = f"All {len(places):,} in {kind.title.lower()}"
        self.app.push_screen(Form(title, [field], said=f"{chosen}\n{_counted(places)}\n\n{FINAL}", yes="Do it"), answered)

    def _confirm(self, verb: str, places: list[Place]) -> None:
        name = verb.rpartition(".")[2]
        which = ", ".join(f"e{seq}" for _, seq in places[:NAMED_MAX]) + (" …" if len(places) > NAMED_MAX else "")
        words = "\n".join([which, _counted(places), "", FINAL])

        def answered(given: dict[str, Any] | None) -> None:
            if given is not None:
                self._start(verb, places)

        self.app.push_screen(Form(f"{name.capitalize()} {len(places):,}?", said=words, yes=name.capitalize()), answered)

    def _start(self, verb: str, places: Sequence[Place]) -> None:
        """Ask, behind everything else; what is asked about shows so at once."""
        try:
            require(self.desk.who, verb)
        except EventctlError as why:
            self.host.tell(f"{why.what} ({why.hint})", bad=True)
            return
        if self._bulk is not None:
            self.host.tell("wait until what is asked for now is through, or stop it with escape", bad=True)
            return
        self._bulk = bulk = Bulk(self.desk, verb, places)
        self._asked.update(dict.fromkeys(places, (verb, 0)))
        self.rows.unmark()
        self.host.begin(partial(self._ask, bulk), "moves")

    async def _ask(self, bulk: Bulk) -> None:
        try:
            await bulk.run(partial(self._told, idle=False))
        finally:
            self._bulk = None
            self._forget(bulk)
        idle = bulk.made and client.run_info(self.desk.paths) is None
        self.host.tell(" · ".join([*bulk.outcome(), *([LATER] if idle else [])]), bad=not bulk.made)
        self.host.reread()

    def _forget(self, bulk: Bulk) -> None:
        """Remember the moves that were made, and that nothing was asked about the others."""
        for place in bulk.places:
            if place in bulk.made:
                self._asked[place] = (bulk.verb, bulk.made[place])
            else:
                self._asked.pop(place, None)


def _counted(places: Iterable[Place]) -> str:
    """How many, by pipeline."""
    counts = Counter(pipeline for pipeline, _ in places)
    return "\n".join(f"{number:,} in {pipeline}" for pipeline, number in counts.most_common())
