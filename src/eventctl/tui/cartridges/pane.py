"""One cartridge in full, as `cartridge show` tells it: a pane beside the list, or in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from textual.content import Content
from textual.widgets import Static

from eventctl import autonomy
from eventctl.cli import cartridgecard, versions
from eventctl.cli.autonomy import MEANS
from eventctl.cli.render import local
from eventctl.errors import NotFound, UsageError
from eventctl.guardian import RULES
from eventctl.installed import unit_path
from eventctl.lifecycle import short
from eventctl.tui.cartridges.lines import STATES
from eventctl.tui.look import Cell, fields, headed, line, plain, said
from eventctl.tui.pane import Pane

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from eventctl.cli.cartridgecard import Card
    from eventctl.cli.cartridgelook import Looked
    from eventctl.errors import Problem
    from eventctl.store import InstalledRow
    from eventctl.totals import Totals
    from eventctl.tui.cartridges.lines import Entry


class Told(NamedTuple):
    """What is known of one: its line, its card (None where nothing can be read of it), and its versions, the newest first."""

    entry: Entry
    card: Card | None
    pairs: list[tuple[str, object]]
    versions: list[InstalledRow]
    problems: list[Problem]


def tell(looked: Looked, entry: Entry, counted: Totals | None) -> Told:
    """Find out about one. Costs a walk over everything, so it is asked away from the screen."""
    rows = [row for row in looked.rows if unit_path(row.place, row.id) == entry.path]
    try:
        card = cartridgecard.find(looked, entry.path)._replace(counted=counted)
    except (NotFound, UsageError):
        problems = [each for each in looked.problems if each.where.startswith(entry.path)]
        return Told(entry, None, [("file", entry.path)], _newest(rows), problems)
    pairs = cartridgecard.fields(card, versions.fields(looked.rows, entry.path))
    pairs += [("secrets", ", ".join(card.manifest.permissions.secrets)), ("hosts", ", ".join(card.manifest.permissions.hosts))]
    pairs += [("strikes", f"{card.unit.strikes}" if card.unit.strikes else ""), ("autonomy", _autonomy(looked, entry))]
    pairs += [("guardian", _guardian(looked, entry))]
    return Told(entry, card, pairs, _newest(rows), card.problems)


def _newest(rows: list[InstalledRow]) -> list[InstalledRow]:
    return sorted(rows, key=lambda row: -row.at)


def _autonomy(looked: Looked, entry: Entry) -> str:
    """How freely it may act where no type of event says otherwise."""
    kind, _, owner = entry.place.partition(":")
    domain = owner if kind == "domain" else ""
    ruling = autonomy.of_member(owner) if kind == "member" else looked.autonomy.level("", entry.id, domain)
    return f"{ruling.level}, {MEANS[ruling.level]} ({ruling.why})"


def _guardian(looked: Looked, entry: Entry) -> str:
    """Who judges what comes into its place."""
    domain = next((each for each in looked.domains if f"domain:{each.name}" == entry.place), None)
    judge = (domain.file.guardian.judge if domain else "") or RULES
    return "the rules" if judge == RULES else judge


class CartridgePane(Pane):
    """Shows one cartridge. Shown again, it stays where the eye is."""

    DEFAULT_CSS = """
    CartridgePane { padding: 0 1; scrollbar-size-horizontal: 0; scrollbar-size-vertical: 1; }
    CartridgePane > Static { width: 1fr; height: auto; }
    """

    told: Told | None = None

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static("", markup=False)

    def show(self, told: Told | None) -> None:
        """Show it, from its top when it is another one than before."""
        other = told is None or self.told is None or told.entry.path != self.told.entry.path
        self.told = told
        self.query_one(Static).update(text(told) if told else plain("No cartridge.", "muted"))
        if other:
            self.scroll_home(animate=False)


def text(told: Told) -> Content:
    """The whole card."""
    return Content("\n").join(_parts(told))


def _parts(told: Told) -> Iterator[Content]:
    entry, card = told.entry, told.card
    yield line(Cell(said(entry.id, 64), "strong"), Cell(said(entry.version, 64)), STATES[entry.state])
    yield plain(card.manifest.summary if card else entry.says)
    yield Content("")
    yield from fields(told.pairs)
    for heading, rows in cartridgecard.settings(card) if card else ():
        yield from headed(heading, (_setting(*row) for row in rows))
    yield from headed("Versions", map(_version, told.versions))
    for fault in card.faults if card else ():
        yield Content("")
        yield plain(f"it {fault}", "bad" if fault.suspended else "warn")
    yield from headed("Problems", problems(told.problems))


def _setting(name: object, value: object, kind: object, help_: object) -> Content:
    shown = Cell(f"= {said(value, 120)}", "strong")
    return line(Cell(said(name, 64)), shown, Cell(said(kind), "muted"), Cell(said(help_), "muted"))


def _version(row: InstalledRow) -> Content:
    mark = Cell("● active", "good") if row.active else Cell("▪ kept  ", "muted")
    where = "trusted, in the runner" if row.runs == "in-process" else "in a worker"
    return line(
        mark, Cell(said(row.version, 64), "strong"), Cell(short(row.digest)), Cell(where, "muted"),
        Cell(said(f"{local(row.at)} by {row.by}"), "muted"), Cell(said(row.origin), "muted"),
    )  # fmt: skip


def problems(found: Sequence[Problem]) -> Iterator[Content]:
    """Mistakes and warnings with their places and what to do."""
    for each in found:
        mark = Cell("! warning", "warn") if each.warning else Cell("✗ wrong", "bad")
        yield line(mark, Cell(said(each.where), "muted"))
        yield plain(f"    {said(each.what)}")
        if each.hint:
            yield plain(f"    {said(each.hint)}", "muted")
