"""What has become of a notification: the events and moves of its life, and what it owes the world and was asked about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventctl.cli import inbox
from eventctl.times import ago
from eventctl.tui import standing
from eventctl.tui.look import Cell, said
from eventctl.tui.rows import Column, Row, RowList

if TYPE_CHECKING:
    from eventctl.principal import Principal
    from eventctl.store import DecisionRow
    from eventctl.tui.detail.subject import Effect, Subject

STEPS = (Column("id", 7), Column("time", 14), Column("what", 0), Column("by", 12, wide=56))

OWED = (
    Column("id", 7), Column("state", 22), Column("what", 0), Column("next", 8, wide=50), Column("tries", 5, right=True, wide=66),
)  # fmt: skip

STATES = {
    "pending": Cell("○ is owed"), "sending": Cell("◐ is on its way", "accent"), "retry": Cell("↻ is tried again", "warn"),
    "done": Cell("✔ is done", "good"), "dead": Cell("✗ was given up", "bad"), "unknown": Cell("? whose end nobody saw", "bad"),
}  # fmt: skip


class History(RowList):
    """The events and moves of a life, oldest first, in the words of the command line."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(STEPS, id=id, empty="Nothing has been heard of it.")

    def show(self, subject: Subject | None) -> None:
        """Show this life."""
        self.fill([] if subject is None else [_step(inbox.step(each), each.kind) for each in subject.life])


class Owed(RowList):
    """What was asked about it, and what it owes the world. The key of a decision is `d7`, that of an effect `o:` and its id."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(OWED, id=id, empty="It owes nothing, and nothing was asked about it.")
        self._effects: dict[str, Effect] = {}

    def show(self, subject: Subject | None, who: Principal, now: int) -> None:
        """Show what this one owes."""
        asked = [] if subject is None else [_decision(each, who, now) for each in subject.decisions]
        self._effects = {} if subject is None else {f"o:{each.row.id}": each for each in subject.effects}
        self.fill([*asked, *(_effect(each, now) for each in self._effects.values())])

    def about(self, key: str) -> int | None:
        """The number of the record that says most about an effect: the answer to it, else what owes it."""
        effect = self._effects.get(key)
        return None if effect is None else effect.row.answer_seq or effect.row.seq


def _step(cells: list[object], kind: str) -> Row:
    seq, at, what, by, words = (said(cell) for cell in cells)
    tone = "" if kind == "event" else "accent"
    told = Cell(f"{what}: {words}" if words else what, tone)
    return Row(seq, (Cell(seq, "muted"), Cell(at, "muted"), told, Cell(by, "muted")))


def _decision(row: DecisionRow, who: Principal, now: int) -> Row:
    words = standing.words(row)
    left = standing.left(row, now)
    return Row(
        f"d{row.number}", (Cell(f"d{row.number}", "muted"), standing.state(row, who, now), Cell(words.summary), left, Cell(""))
    )


def _effect(effect: Effect, now: int) -> Row:
    row = effect.row
    error = effect.error
    what = f"{said(row.kind, 20)} {said(row.name, 60)}" + (f": {said(error)}" if error else "")
    due = ago(row.next_at, now) if row.state == "retry" else ""
    state = STATES.get(row.state, Cell(said(row.state, 20)))
    return Row(
        f"o:{row.id}",
        (
            Cell(f"e{row.seq}", "muted"),
            state,
            Cell(what),
            Cell(due, "muted"),
            Cell(str(row.attempt) if row.attempt else "", "muted"),
        ),
    )
