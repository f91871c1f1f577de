"""A backtest: how far it is, and then what would be otherwise, without the cartridge on one side and with it on the other."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from eventctl.cli.backtest import TITLES, is_record
from eventctl.cli.render import count
from eventctl.errors import EventctlError
from eventctl.tui.cartridges.child import Child
from eventctl.tui.detail.recordview import RecordView
from eventctl.tui.keyline import KeyLine
from eventctl.tui.look import Cell, block, line, plain, said
from eventctl.tui.rows import GAP, Column, Row, RowList

if TYPE_CHECKING:
    from textual.worker import Worker

    from eventctl.package import Package
    from eventctl.tui.room import Host

BAR = 30
"""Columns of the bar."""

SIGNS = {
    "notified": ("+", "good"), "unnotified": ("-", "bad"), "regrouped": ("→", "accent"), "level": ("±", "warn"), "title": ("±", ""),
    "silenced": ("⌀", "muted"), "unsilenced": ("○", "warn"), "told": ("+", ""), "untold": ("-", ""), "emitted": ("+", ""),
    "unemitted": ("-", ""), "reworded": ("±", ""), "annotated": ("±", "muted"), "failed": ("✗", "bad"), "asked": ("◆", "warn"),
    "unasked": ("◇", "muted"), "calls": ("?", "muted"),
}  # fmt: skip
"""Kind of difference -> its sign and tone; the words stand over the rows."""


class Sides(RowList):
    """The list of differences: the two last columns share what is left."""

    def _rooms(self, width: int) -> list[int]:
        fixed = sum(column.width + GAP for column in self._columns if column.width)
        half = max(8, (width - 1 - fixed) // 2 - GAP)
        return [column.width or half for column in self._columns]


COLUMNS = (Column("", 1), Column("event", 9), Column("without it", 0), Column("with it", 0))


class Comparing(ModalScreen[dict[str, Any] | None]):
    """Runs a backtest and shows what it came to; answers its report, or None when it was given up or came to nothing.

    `words` are those of `eventctl cartridge backtest`; "{}" among them is an archive of `package`. With `onward` there is a way on from
    the report.
    """

    DEFAULT_CSS = """
    Comparing { align: center middle; }
    Comparing > #comparing { width: 96%; height: 96%; background: $surface; border: round $primary; padding: 0 1; }
    Comparing #title { height: auto; text-style: bold; }
    Comparing #totals { height: auto; max-height: 6; margin-bottom: 1; }
    Comparing Sides { height: 1fr; display: none; }
    Comparing #both { height: 7; border-top: solid $panel; display: none; }
    Comparing.-done Sides { display: block; }
    Comparing.-done #both { display: block; layout: horizontal; }
    Comparing #both > VerticalScroll { width: 1fr; padding-right: 1; }
    Comparing #both Static { height: auto; width: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape", "leave", "Stop, or go back", tooltip="Stop it while it runs: what it started is ended. Else go back."
        ),
        Binding("a", "onward", "Go on", tooltip="Go on to the question, with this report beside it."),
    ]

    def __init__(self, title: str, words: Sequence[str], *, package: Package | None = None, onward: str = "") -> None:
        super().__init__()
        self._heading = title
        self._words = tuple(words)
        self._package = package
        self._onward = onward
        self.report: dict[str, Any] | None = None
        self.child: Child | None = None
        self._work: Worker[None] | None = None
        self._changes: dict[str, Mapping[str, str]] = {}

    def compose(self) -> ComposeResult:
        """The heading, how far it is or what it came to, the differences, and one of them in full."""
        with Vertical(id="comparing"):
            yield Static(plain(self._heading), id="title", markup=False)
            yield Static("", id="totals", markup=False)
            yield Sides(COLUMNS, id="sides", empty="No difference.")
            with Horizontal(id="both"):
                for side in ("without", "with"):
                    with VerticalScroll(can_focus=False):
                        yield Static("", id=side, markup=False)
            yield KeyLine()

    @property
    def host(self) -> Host:
        """The app around it."""
        return cast("Host", self.app)

    @property
    def sides(self) -> Sides:
        """The list of differences."""
        return self.query_one(Sides)

    def on_mount(self) -> None:
        """Begin."""
        self._say_progress(0, 0)
        self._work = self.host.begin(self._run, "trial")  # no part of this screen, which goes before all of it has ended

    async def _run(self) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="eventctl-trial-") as folder:
                path = await self.host.desk.think(partial(archived, self._package, Path(folder))) if self._package else ""
                words = [path if word == "{}" else word for word in self._words]
                self.child = Child(self.host.desk, ["cartridge", "backtest", *words, "--progress"])
                ended = await self.child.run(self._say_progress)
            self.report = ended.answer("the backtest")
        except EventctlError:
            self.dismiss(None)
            raise
        self._show(self.report)

    def _say_progress(self, read: int, of: int) -> None:
        done = BAR * read // of if of else 0
        self.query_one("#totals", Static).update(
            line(
                Cell("█" * done + "░" * (BAR - done), "accent"),
                Cell(f"{read:,} of {count(of, 'record')}" if of else "it begins"),
                Cell("escape stops it", "muted"),
            )
        )

    def _show(self, report: Mapping[str, Any]) -> None:
        self.query_one("#totals", Static).update(totals(report))
        rows = list(drawn(report))
        self._changes = {row.key: change for row, change in rows}
        self.add_class("-done")
        self.sides.fill([row for row, _ in rows])
        self.sides.focus()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is a way on once there is a report, for who came to be asked."""
        return action != "onward" or bool(self._onward and self.report)

    def on_row_list_moved(self) -> None:
        """The difference under the cursor, whole."""
        change = self._changes.get(self.sides.key)
        for side, key in (("without", "before"), ("with", "after")):
            self.query_one(f"#{side}", Static).update(block(change[key] if change else ""))

    def on_row_list_chosen(self) -> None:
        """Open the event that it happens at."""
        event = self._changes[self.sides.key]["event"]
        if is_record(event):
            self.app.push_screen(RecordView(int(event[1:])))
        else:
            self.host.tell("a timer that came due in the trial: the log has no record of it", bad=True)

    def action_leave(self) -> None:
        """Stop it, or go back."""
        if self.report is None and self._work is not None:
            self._work.cancel()
            self.host.tell("the backtest was stopped: nothing was changed")
        self.dismiss(None)

    def action_onward(self) -> None:
        """Go on with the report."""
        self.dismiss(self.report)


def archived(package: Package, folder: Path) -> str:
    """Write a package as an archive, exactly as it was looked at: what stands where it came from may have changed since."""
    path = folder / f"{package.id}.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in package.files.items():
            info = tarfile.TarInfo(f"{package.id}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return str(path)


def totals(report: Mapping[str, Any]) -> Content:
    """What a report comes to: how many differences of each kind, and what it took."""
    counts = [f"{number:,} {TITLES.get(kind, kind)}" for kind, number in report["counts"].items() if number]
    ran = f"it ran {count(report['runs'], 'time')} over {count(report['records'], 'record')}"
    if report["runs"]:
        ran += f", {report['mean_us']:,.0f} us each, {report['max_us']:,.0f} us at most"
    span = f"e{report['first']} to e{report['last']}" if report["first"] <= report["last"] else "no records"
    lines = [
        line(Cell(said(f"{span}, against {report['against'] or 'nothing'}"), "muted")),
        line(Cell(said(" · ".join(counts) or "no difference"), "strong")),
        line(Cell(ran, "muted")),
    ]
    if report["errors"]:
        lines.append(plain(f"✗ {count(report['errors'], 'run')} raised an error", "bad"))
    if report["held"]:
        lines.append(plain(f"✗ it stopped early: {report['held']}", "bad"))
    return Content("\n").join(lines)


def drawn(report: Mapping[str, Any]) -> list[tuple[Row, Mapping[str, str]]]:
    """The differences as rows under their kinds, what matters most first, each with what it was made of."""
    rows = []
    for kind, title in TITLES.items():
        changes = report["changes"].get(kind, [])
        number = report["counts"].get(kind, len(changes))
        more = f", the first {len(changes):,} are shown" if number > len(changes) else ""
        for at, change in enumerate(changes):
            sign, tone = SIGNS[kind]
            shown = change["event"] if is_record(change["event"]) else "(timer)"
            cells = (Cell(sign, tone), Cell(said(shown), "muted"), Cell(said(change["before"])), Cell(said(change["after"])))
            rows.append((Row(f"{kind}:{at}", cells, f"{title}: {number:,}{more}"), change))
    return rows
