"""Health: what is wrong and what to do about it, how everything stands, and who has been silent for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalGroup
from textual.content import Content
from textual.widgets import Static

from eventctl.cli.render import count
from eventctl.tui import look
from eventctl.tui.health import heard
from eventctl.tui.health.heard import Heard
from eventctl.tui.health.vitals import Card, Vitals, moving, written
from eventctl.tui.look import TONES, Cell, line
from eventctl.tui.pane import Pane
from eventctl.tui.room import Room
from eventctl.tui.rows import RowList

if TYPE_CHECKING:
    from eventctl.cli.doctor import Check

EVERY_S = 5.0
"""Sources walk an index of the log from end to end: no oftener than this, and no more than a tenth of the time."""

SHARE = 10
FILES_S = 60.0
"""How old what the files say may be: all of them are read for it."""

NAME_MAX = 26
COLUMN = 34
"""Columns from which on there is room for another column of cards."""

BESIDE = 110
"""Columns from which on sources stand beside them."""


class Cards(Pane):
    """The cards, which scroll."""

    def on_resize(self) -> None:
        """As many columns as there is room for, three at most."""
        self.query_one("#grid").styles.grid_size_columns = max(1, min(3, self.size.width // COLUMN))


class Box(Static):
    """One card. Lines that are too long go on below their own beginning."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self._card = Card("", ())
        self._width = 0

    def show(self, card: Card) -> None:
        """Show this one."""
        if card != self._card:
            self._card = card
            self._lay()

    def on_resize(self) -> None:
        """Lines break elsewhere."""
        if self.content_size.width != self._width:
            self._lay()

    def _lay(self) -> None:
        self._width = self.content_size.width
        self.border_title = Content(self._card.title)
        names = min(NAME_MAX, max((len(fact.name) for fact in self._card.facts), default=0))
        room = max(16, (self._width or COLUMN) - names - 2)
        lines: list[Content] = []
        for name, cell in self._card.facts:
            head, *rest = wrap(cell.text, room) or [""]
            lines.append(line(Cell(f"{name:<{names}}", "muted"), Cell(head, cell.tone)))
            lines += [Content.styled(" " * (names + 2) + part, TONES[cell.tone]) for part in rest]
        self.update(Content("\n").join(lines))


class HealthRoom(Room):
    """What is wrong comes first, with what to do next; then how everything stands, and who has been silent."""

    MODE = "health"

    DEFAULT_CSS = """
    HealthRoom #halves { height: 1fr; layout: vertical; }
    HealthRoom.-wide #halves { layout: horizontal; }
    HealthRoom Cards { height: 2fr; width: 1fr; scrollbar-size-vertical: 1; }
    HealthRoom.-wide Cards { height: 1fr; width: 2fr; }
    HealthRoom #sources { height: 1fr; min-height: 5; border-top: solid $panel; }
    HealthRoom.-wide #sources { height: 1fr; width: 1fr; min-width: 48; border-top: none; border-left: solid $panel; }
    HealthRoom #grid { layout: grid; grid-rows: auto; grid-gutter: 0 1; height: auto; }
    HealthRoom Box { height: auto; border: round $panel; border-title-color: $text-primary; padding: 0 1; }
    HealthRoom Cards:focus Box { border: round $border; }
    HealthRoom #troubles { height: auto; padding: 0 1; margin-bottom: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "s", "order", "Sort sources", tooltip="By who spoke last, who has been silent longest, who says most, or by name."
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._order = next(iter(heard.ORDERS))
        self._heard: list[Heard] = []
        self._files = Vitals((), ())
        self._due = self._files_due = float("-inf")

    def body(self) -> ComposeResult:
        """What is wrong, the cards, and the sources."""
        with Horizontal(id="halves"):
            with Cards():
                yield Static("", id="troubles", markup=False)
                yield VerticalGroup(id="grid")
            yield RowList(heard.COLUMNS, id="sources", empty="Nobody was heard yet: `eventctl emit`, `eventctl exec`.")

    def on_resize(self, event: events.Resize) -> None:
        """Sources stand beside the cards where there is room for both."""
        self.set_class(event.size.width >= BESIDE, "-wide")

    def memory(self) -> dict[str, Any]:
        """How sources are sorted."""
        return {"order": self._order}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """The same as before."""
        order = memory.get("order")
        self._order = order if isinstance(order, str) and order in heard.ORDERS else self._order

    def action_reload(self) -> None:
        """Read everything anew because somebody asks."""
        self._due = self._files_due = float("-inf")
        super().action_reload()

    def action_order(self) -> None:
        """Sort by the next thing."""
        orders = list(heard.ORDERS)
        self._order = orders[(orders.index(self._order) + 1) % len(orders)]
        self._fill()

    async def reload(self) -> None:
        """Read, unless that was a moment ago."""
        time = asyncio.get_running_loop().time
        if (began := time()) < self._due:
            return
        self._due = began + EVERY_S
        session, paths, now = self.desk.session, self.desk.paths, self.desk.now()
        if began >= self._files_due:
            self._files_due = began + FILES_S
            self._files = await self.desk.search(lambda store: written(session, store))
        vitals, self._heard = await self.desk.search(lambda store: (moving(store, paths, now), heard.heard_in(store, now)))
        self._due = time() + max(EVERY_S, SHARE * (time() - began))
        silent = [each for each in self._heard if each.silent]
        self.query_one("#troubles", Static).update(_troubles([*vitals.troubles, *self._files.troubles], len(silent)))
        await self._show([*vitals.cards, *self._files.cards])
        self._fill()

    async def _show(self, cards: list[Card]) -> None:
        grid = self.query_one("#grid")
        boxes = list(grid.query(Box))
        more = [Box() for _ in cards[len(boxes) :]]
        if more:
            await grid.mount(*more)
        for box, card in zip([*boxes, *more], cards, strict=False):
            box.show(card)
        for box in boxes[len(cards) :]:
            await box.remove()

    def _fill(self) -> None:
        self.query_one("#sources", RowList).fill(heard.rows(self._heard, self._order, self.desk.now()))
        many = f" (of all, the last {heard.SHOWN_MAX} that were heard)" if len(self._heard) == heard.SHOWN_MAX else ""
        self.note(f"{count(len(self._heard), 'source')}{many}, sorted by {self._order}")


def _troubles(found: list[Check], silent: int) -> Content:
    """What is wrong, each with what to do next; or that nothing is."""
    lines = [
        line(
            Cell("✘ broken" if check.state == "fail" else "⚠ look at", "bad" if check.state == "fail" else "warn"),
            Cell(look.said(check.name), "strong"), Cell(look.said(check.said)), Cell(f"→ {look.said(check.hint)}" if check.hint else "", "accent"),
        )
        for check in found
    ]  # fmt: skip
    if silent:
        lines.append(
            line(
                Cell("⚠ look at", "warn"),
                Cell("sources", "strong"),
                Cell(f"{silent:,} silent for longer than usual"),
                Cell("→ the list of sources; s sorts it", "accent"),
            )
        )
    return Content("\n").join(lines) if lines else Content.styled("✔ Nothing is wrong.", TONES["good"])
