"""One decision in full: what will be done and what takes it back, why it asks, what people made of the like, and what it is about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import orjson
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from eventctl import decisions, evidence, whydecided
from eventctl.cli import decisions as told
from eventctl.cli import forms
from eventctl.cli.render import json_text, local
from eventctl.store import Keys
from eventctl.times import ago
from eventctl.tui import standing
from eventctl.tui.look import Cell, block, fields, headed, line, plain, said
from eventctl.tui.pane import Pane

if TYPE_CHECKING:
    from eventctl.principal import Principal
    from eventctl.store import DecisionRow, LogRow, Store
    from eventctl.why import Explanation

BODY_MAX = 16_000
"""Characters of an event's payload that are shown here; all of it stands in the event's own view."""


class Case(NamedTuple):
    """A decision with what the store knows about it: the event that it is about, what answered it, and its explanation."""

    row: DecisionRow
    approvals: int
    record: LogRow | None
    answer: LogRow | None
    told: Explanation


class Lore(NamedTuple):
    """What people made of the like: in words, and the newest of its kind."""

    words: str = ""
    alike: tuple[DecisionRow, ...] = ()


def read(store: Store, number: int, now: int) -> Case | None:
    """The decision with this number, as it stands."""
    row = store.views.decision(number)
    if row is None:
        return None
    found = store.snapshot(Keys(approvals=[row.kind], records=[row.seq], identities=[("outbox", row.call)]))
    trace = store.views.trace(row.seq) if row.seq else None
    explained = whydecided.of_decision(store.views, row, trace, now=now, when=local)
    return Case(
        row, found.approvals.get(row.kind, 0), found.records.get(row.seq), found.identities.get(("outbox", row.call)),
        explained,
    )  # fmt: skip


def scope(row: DecisionRow) -> evidence.Scope | None:
    """What counts as the like of it; None for a change of the workspace itself, about which nothing is counted."""
    if decisions.at_the_desk(row):
        return None
    cartridge = str(orjson.loads(row.body).get("cartridge", "")).rpartition("/")[2]
    return evidence.Scope(cartridge=f"{row.domain}/{cartridge}" if row.domain and cartridge else cartridge, domain=row.domain)


class DecisionView(Pane):
    """Shows one decision. What it is told stays in place when the same decision is shown again."""

    DEFAULT_CSS = """
    DecisionView { padding: 0 1; scrollbar-size-horizontal: 0; }
    DecisionView > Static { width: 1fr; height: auto; }
    """

    case: Case | None = None
    lore: Lore = Lore()

    def compose(self) -> ComposeResult:
        """How it stands, which is written anew each second, and everything else."""
        yield Static("", id="standing", markup=False)
        yield Static("", id="case", markup=False)

    def show(self, case: Case | None, lore: Lore, who: Principal, now: int) -> None:
        """Show it, from its top when it is another one than before."""
        other = case is None or self.case is None or case.row.number != self.case.row.number
        self.case, self.lore = case, lore
        self.query_one("#case", Static).update(
            Content("\n").join(_parts(case, lore, now)) if case else plain("No decision.", "muted")
        )
        self.tick(who, now)
        if other:
            self.scroll_home(animate=False)

    def tick(self, who: Principal, now: int) -> None:
        """Write down how much time is left."""
        heading = _heading(self.case.row, who, now) if self.case else Content("")
        self.query_one("#standing", Static).update(heading)


def _heading(row: DecisionRow, who: Principal, now: int) -> Content:
    rest = standing.left(row, now)
    until = {"held": "left, then it is denied", "window": "left, then it acts", "done": "left to take it back"}.get(
        row.state, ""
    )
    verbs = {"held": "a approve · d deny", "window": "z take it back · d deny", "done": "z take it back"}.get(row.state, "")
    turn = standing.turn(row, who, now)
    open_ = turn == standing.MINE or (turn == standing.BACK and standing.may(who, "undo", row))
    return Content("\n").join(
        [
            line(Cell(f"d{row.number}", "muted"), Cell(said(decisions.summary_of(row)), "strong")),
            line(standing.state(row, who, now), rest._replace(text=f"{rest.text} {until}") if rest.text else rest),
            line(Cell(verbs if open_ else "", "accent")),
        ]
    )


def _parts(case: Case, lore: Lore, now: int) -> Iterator[Content]:
    row, body = case.row, orjson.loads(case.row.body)
    about = case.record.type if case.record else ""
    pairs = [
        (label, value) for label, value in told.fields(row, body, case.approvals, about, now) if value and label != "state"
    ]
    yield from fields(pairs)
    for heading, lines in told.deeds(row, body):
        yield from headed(heading, map(block, lines))
    yield from headed("What people made of the like", map(block, _lore(case, lore, now)))
    for part in case.told.parts:
        yield from headed(part.heading, map(block, part.lines))
    if case.record is not None:
        payload = forms.value(case.record.body)
        yield from headed(f"e{row.seq} (e opens it)", [block(json_text(payload)[:BODY_MAX])])
    if body.get("error"):
        yield from headed("How it ended", [block(body["error"])])
    yield from headed("What it said", map(block, told.output(forms.value(case.answer.body)) if case.answer else ()))


def _lore(case: Case, lore: Lore, now: int) -> Iterator[str]:
    if lore.words:
        yield f"its cartridge: {lore.words}"
    for each in lore.alike:
        if each.number == case.row.number:
            continue
        by = each.decided_by.removeprefix("cli:")
        error = str(orjson.loads(each.body).get("error") or "")
        ended = f"{each.state}{f', by {by}' if by else ''}, {ago(each.decided_at or each.asked_at, now)}"
        yield f"d{each.number}  {decisions.summary_of(each)}: {ended}{f': {error}' if error else ''}"
