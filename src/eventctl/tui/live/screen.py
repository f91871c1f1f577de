"""What happens now: the stream of the log, how fast it comes, how pipelines and cartridges do, and the order in which they run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget
from textual.widgets import Static

from eventctl.cli.status import runner_words
from eventctl.totals import NOTHING
from eventctl.tui.chips import Chips
from eventctl.tui.live import gauges, meters, orders
from eventctl.tui.live.dagview import DagView
from eventctl.tui.live.fleet import standing
from eventctl.tui.live.graphpane import GraphPane
from eventctl.tui.live.rates import ZOOMS, RateLine
from eventctl.tui.live.streampane import StreamPane, StreamRows
from eventctl.tui.live.watch import Watch
from eventctl.tui.look import Cell, line, said
from eventctl.tui.room import Room
from eventctl.tui.rows import Row, RowList

VIEWS = {"stream": "Stream", "pipelines": "Pipelines", "cartridges": "Cartridges", "graph": "Graph"}

WIDE = 160
"""Columns from which all views stand beside each other."""

TICK_S = 1.0


class LiveRoom(Room):
    """What happens now. In a terminal of 160 columns or more all views stand beside each other, else v goes from one to the next."""

    MODE = "live"
    HORIZONTAL_BREAKPOINTS = [(0, "-usual"), (WIDE, "-wide")]  # noqa: RUF012 - Textual declares it so

    DEFAULT_CSS = """
    LiveRoom #panes { height: 1fr; }
    LiveRoom .pane { height: 1fr; display: none; }
    LiveRoom .pane.-here { display: block; }
    LiveRoom .head { height: 1; background: $surface; padding: 0 1; }
    LiveRoom .pane > RowList { height: 1fr; }
    LiveRoom.-wide Chips { display: none; }
    LiveRoom.-wide .pane { display: block; height: 100%; }
    LiveRoom.-wide #panes { layout: grid; grid-size: 2 3; grid-columns: 11fr 9fr; grid-rows: 2fr 3fr 3fr; grid-gutter: 0 1; }
    LiveRoom.-wide #stream { row-span: 2; }
    LiveRoom.-wide #graph { column-span: 2; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "v", "view", "View", tooltip="Stream, pipelines, cartridges, graph; side by side, the keys go to the next one."
        ),
        Binding("f", "follow", "Follow", tooltip="Go along at the end of the stream."),
        Binding("p", "pause", "Pause", tooltip="Let the stream stand still, or go along again. Nothing is lost meanwhile."),
        Binding("slash", "filter", "Filter", tooltip="Show only some records: the words of `log tail`, and words to look for."),
        Binding("y", "why", "Why", tooltip="Say why the record under the cursor is there."),
        Binding("o", "order", "Order", tooltip="Sort cartridges by name, calls, speed, errors, p95, last run."),
        Binding("minus", "zoom(1)", "See further back in the rate", show=False),
        Binding("plus,equals_sign", "zoom(-1)", "See the last minutes of the rate", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.view = "stream"
        self.order = meters.ORDERS[0]
        self._zoom = 0
        self._watch: Watch | None = None
        self._under_way: set[str] = set()
        self._said: dict[str, object] = {}
        """What was painted last, by where it stands: what is the same is not painted again."""
        self._stream = StreamPane(id="stream", classes="pane")
        self._graph = GraphPane(id="graph", classes="pane")

    def body(self) -> ComposeResult:
        """The rate, the names of the views, the views."""
        yield RateLine()
        yield Chips(VIEWS, self.view)
        with Container(id="panes"):
            yield self._stream
            with Vertical(id="pipelines", classes="pane"):
                yield Static("", id="pipelines-head", classes="head", markup=False)
                yield RowList(gauges.COLUMNS, id="pipeline-rows", empty="No pipeline has run yet: `eventctl run`.")
            with Vertical(id="cartridges", classes="pane"):
                yield Static("", id="cartridges-head", classes="head", markup=False)
                yield RowList(meters.COLUMNS, id="cartridge-rows", empty="There are no cartridges here.")
            yield self._graph

    def on_mount(self) -> None:
        """The view that was remembered, and a tick for what gets older."""
        self._show_view(self.view)
        self.set_interval(TICK_S, self._tick)

    @property
    def known(self) -> Watch:
        """What is known."""
        if self._watch is None:
            self._watch = Watch(self.desk)
        return self._watch

    # --- reading -----------------------------------------------------------------------------------------------------------------

    async def reload(self) -> None:
        """Read what came, and where everything stands. Each reading is bounded, whatever the speed."""
        await self._stream.reload()
        await self.known.look()
        self._paint()
        for name, work in self.known.due(self.desk.now()).items():
            self._once(name, work)

    def _once(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it behind, unless it is being done."""
        if name in self._under_way:
            return

        async def once() -> None:
            try:
                await work()
                self._paint()
            finally:
                self._under_way.discard(name)

        self._under_way.add(name)
        self.host.behind(once, f"live-{name}")

    def _tick(self) -> None:
        """While nothing is committed, speeds go down all the same."""
        now = self.desk.now()
        if self.is_current and (self.known.rates.now(now) or self.known.paces.moving):
            self.known.age(now)
            self._paint_speeds()

    # --- painting ----------------------------------------------------------------------------------------------------------------

    def _paint(self) -> None:
        self._paint_speeds()
        wanted = self._paint_cartridges()
        if self._shown("graph"):
            fleet, reading = self.known.fleet, self.known.reading
            self._graph.show(orders.drawings(fleet, reading, self.known.errors) if fleet and reading else None)
        held = sum(bool(cursor.dead or cursor.quarantined) for cursor, _ in self.known.cursors)
        counts = {name: number for name, number in (("pipelines", held), ("cartridges", wanted)) if number}
        self.query_one(Chips).show(self.view, counts)
        self._say_more()

    def _paint_speeds(self) -> None:
        """How fast events come, and how fast pipelines go."""
        known, now = self.known, self.desk.now()
        self.query_one(RateLine).show(known.rates, ZOOMS[self._zoom], now)
        self._fill("pipelines", gauges.rows(known.cursors, known.left, known.paces, now))
        runner = Cell(said(f"runner: {runner_words(known.runner)}"), "muted" if known.runner else "warn")
        self._head("pipelines", runner if known.asked else Cell(""))

    def _paint_cartridges(self) -> int:
        """Gives how many want a look."""
        known = self.known
        if known.fleet is None or known.reading is None:
            self._head("cartridges", Cell("putting them together…", "muted"))
            return 0
        rows = meters.rows(known.fleet, known.reading, known.calls, known.errors, self.order, self.desk.now())
        self._fill("cartridges", rows)
        wanted = meters.wanted(rows)
        look = f"! {wanted:,} want{'s' if wanted == 1 else ''} a look" if wanted else ""
        self._head("cartridges", Cell(look, "warn"), Cell(f"{len(rows):,}, by {self.order}", "muted"))
        return wanted

    def _say_more(self) -> None:
        """What the row under the cursor has no room for stands in the line below."""
        known, more = self.known, ""
        if self.view == "cartridges" and known.fleet is not None and known.reading is not None:
            key = self._list("cartridges").key
            for seat in known.fleet.seats:
                if seat.unit == key:
                    totals = known.reading.units.get(key, NOTHING)
                    stands = standing(seat, totals, known.errors.of(key), known.fleet.budget_ns)
                    more = " · ".join(part for part in (seat.id, stands.why, seat.unit) if part)
        elif self.view == "pipelines":
            key = self._list("pipelines").key
            more = " · ".join(gauges.more(key, known.cursors, known.left, self.desk.now()))
        if self._is_new("note", more):
            self.note(more)

    def _head(self, view: str, *cells: Cell) -> None:
        if self._is_new(f"{view}-head", cells):
            self.query_one(f"#{view}-head", Static).update(line(Cell(VIEWS[view], "strong"), *cells), layout=False)

    def _fill(self, view: str, rows: list[Row]) -> None:
        if self._is_new(view, rows):
            self._list(view).fill(rows)

    def _is_new(self, where: str, what: object) -> bool:
        new = self._said.get(where) != what
        self._said[where] = what
        return new

    # --- views -------------------------------------------------------------------------------------------------------------------

    def _shown(self, view: str) -> bool:
        """In a wide terminal everything is."""
        return self.has_class("-wide") or self.view == view

    def _show_view(self, view: str) -> None:
        self.view = view
        for name in VIEWS:
            self.query_one(f"#{name}").set_class(name == view, "-here")
        within: Mapping[str, type[Widget]] = {"stream": StreamRows, "graph": DagView}
        self.query_one(f"#{view}").query_one(within.get(view, RowList)).focus()
        self.refresh_bindings()
        self._paint()

    def _list(self, view: str) -> RowList:
        return self.query_one(f"#{view}").query_one(RowList)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The keys are about the view that has the focus."""
        view = next((node.id for node in event.widget.ancestors_with_self if node.id in VIEWS), None)
        if view is not None and view != self.view:
            self.view = view
            self.refresh_bindings()
            self._say_more()

    def on_resize(self, event: events.Resize) -> None:
        """Other views may show now."""
        super().on_resize(event)
        self.call_after_refresh(self._paint)

    def on_chips_picked(self, message: Chips.Picked) -> None:
        """A view was clicked."""
        self._show_view(message.name)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are there for what is shown."""
        return self.view == "stream" if action == "why" else self._shown("cartridges") if action == "order" else True

    def action_view(self) -> None:
        """Go to the next view."""
        names = list(VIEWS)
        self._show_view(names[(names.index(self.view) + 1) % len(names)])

    # --- verbs -------------------------------------------------------------------------------------------------------------------

    def action_follow(self) -> None:
        """Go along at the end of the stream."""
        self._stream.go_along()

    def action_pause(self) -> None:
        """Stand still, or go along again."""
        if self._stream.follow:
            self._stream.stand_still()
        else:
            self._stream.go_along()

    def action_filter(self) -> None:
        """Type a filter for the stream."""
        self._show_view("stream")
        self._stream.open_filter()

    def action_why(self) -> None:
        """Explain the record under the cursor."""
        self._stream.explain()

    def action_order(self) -> None:
        """Sort cartridges by the next of the orders."""
        self.order = meters.ORDERS[(meters.ORDERS.index(self.order) + 1) % len(meters.ORDERS)]
        self._paint()

    def action_zoom(self, by: int) -> None:
        """See further back in the rate, or less far."""
        self._zoom = min(max(self._zoom + by, 0), len(ZOOMS) - 1)
        self._paint_speeds()

    def on_row_list_moved(self) -> None:
        """Another row is looked at."""
        self._say_more()

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        """Go to a cartridge, or to the order of a pipeline."""
        key = message.rows.key
        if message.rows.id == "cartridge-rows":
            self._go_to(key)
        elif message.rows.id == "pipeline-rows":
            self._graph.pipeline = key
            self._show_view("graph")

    def on_dag_view_chosen(self, message: DagView.Chosen) -> None:
        """Go to the cartridge of a box."""
        unit = self._graph.unit(message.name)
        if unit:
            self._go_to(unit)

    def _go_to(self, unit: str) -> None:
        self.host.behind(partial(self.host.bring, "cartridges", unit), "jump")

    # --- memory ------------------------------------------------------------------------------------------------------------------

    def memory(self) -> dict[str, Any]:
        """The view, the filter, the order, how far back, which pipeline."""
        return {
            "view": self.view, "filter": self._stream.words, "order": self.order, "zoom": self._zoom, "pipeline": self._graph.pipeline
        }  # fmt: skip

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take it up again; what makes no sense is left."""
        self.view = _one(memory.get("view"), list(VIEWS), self.view)
        self.order = _one(memory.get("order"), meters.ORDERS, self.order)
        zoom = memory.get("zoom")
        self._zoom = zoom if isinstance(zoom, int) and 0 <= zoom < len(ZOOMS) else 0
        self._stream.words = _text(memory.get("filter"))
        self._graph.pipeline = _text(memory.get("pipeline"))


def _one(value: object, names: Sequence[str], usual: str) -> str:
    return value if isinstance(value, str) and value in names else usual


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
