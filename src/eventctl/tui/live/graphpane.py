"""The order of one pipeline on a screen, and the way from one pipeline to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from eventctl.graph import Graph
from eventctl.tui.live import boxes
from eventctl.tui.live.boxes import Plot
from eventctl.tui.live.dagview import DagView
from eventctl.tui.live.orders import Drawing
from eventctl.tui.look import Cell, line, said

if TYPE_CHECKING:
    from eventctl.tui.room import Host


class GraphPane(Vertical):
    """The drawing, and whose it is."""

    DEFAULT_CSS = """
    GraphPane > .head { height: 1; background: $surface; padding: 0 1; }
    GraphPane > DagView { height: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "pipeline(-1)", "The pipeline before", show=False),
        Binding("right_square_bracket", "pipeline(1)", "Next pipeline", key_display="]", tooltip="`[` goes to the one before."),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.pipeline = ""
        self._drawings: Mapping[str, Drawing] = {}
        self._plotted: tuple[Graph, Plot | None] | None = None

    def compose(self) -> ComposeResult:
        """Whose it is, and the drawing."""
        yield Static("", id="graph-head", classes="head", markup=False)
        yield DagView(id="dag")

    @property
    def host(self) -> Host:
        """The app around it."""
        return cast("Host", self.app)

    def unit(self, name: str) -> str:
        """The file that a box stands for, "" when that is not known."""
        drawing = self._drawings.get(self.pipeline)
        return drawing.units.get(name, "") if drawing else ""

    def show(self, drawings: Mapping[str, Drawing] | None) -> None:
        """Show one of these; None while they are put together."""
        if drawings is None:
            self._say(Cell("putting it together…", "muted"))
            return
        self._drawings = drawings
        if self.pipeline not in drawings:
            self.pipeline = max(drawings, key=lambda name: len(drawings[name].inside), default="")
        drawing = drawings.get(self.pipeline)
        if drawing is None:
            self._say(Cell("no pipeline has cartridges", "muted"))
            self.query_one(DagView).show(None, {}, [])
        elif self._plotted is None or self._plotted[0] != drawing.picture.graph:
            self.host.behind(self._lay, "graph")
        else:
            self._put(drawing, self._plotted[1])

    async def _lay(self) -> None:
        """Lay out the order that is looked at."""
        drawing = self._drawings.get(self.pipeline)
        if drawing is not None:
            graph = drawing.picture.graph
            self._plotted = graph, await self.host.desk.think(lambda: boxes.plot(graph))
            self.show(self._drawings)

    def _put(self, drawing: Drawing, plot: Plot | None) -> None:
        names = list(self._drawings)
        where = f"{names.index(self.pipeline) + 1} of {len(names)}, [ and ] for the others" if len(names) > 1 else ""
        much = "more than can be drawn: in words" if plot is None else ""
        self._say(Cell(said(self.pipeline, 60), "accent"), Cell(where, "muted"), Cell(much, "warn"))
        self.query_one(DagView).show(plot, drawing.inside, drawing.text, drawing.below)

    def _say(self, *cells: Cell) -> None:
        self.query_one("#graph-head", Static).update(line(Cell("Graph", "strong"), *cells), layout=False)

    def action_pipeline(self, by: int) -> None:
        """Draw the next pipeline, or the one before."""
        names = list(self._drawings)
        if names:
            at = names.index(self.pipeline) if self.pipeline in names else 0
            self.pipeline = names[(at + by) % len(names)]
            self.show(self._drawings)
