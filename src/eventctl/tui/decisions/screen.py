"""The decisions: what waits for who looks, what can be taken back, what others decide; approved, denied and taken back by single keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import orjson
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from eventctl import client, evidence
from eventctl import decisions as machine
from eventctl.cli import decisions as told
from eventctl.cli.autonomy import evidence_of
from eventctl.cli.consent import FULL_RIGHTS
from eventctl.cli.moving import LATER
from eventctl.errors import EventctlError
from eventctl.store import DECISION_ENDS
from eventctl.tui import standing
from eventctl.tui.chips import Chips
from eventctl.tui.decisions import view as decisionview
from eventctl.tui.decisions.view import DecisionView, Lore
from eventctl.tui.detail.recordview import RecordView
from eventctl.tui.dialogs import Field, Form
from eventctl.tui.look import Cell
from eventctl.tui.room import Deed, Room
from eventctl.tui.rows import Column, Row, RowList
from eventctl.tui.standing import BACK, ENDED, HEADS, MINE, OTHERS, UNDER_WAY

if TYPE_CHECKING:
    from eventctl.store import DecisionRow, Store

OPEN_MAX = 1_000
"""So many of what is open are read, the newest; more than anybody decides."""

DONE_LOOKED = 500
"""Of what was done, so many are looked at for a window that still runs."""

PAGE = 200
"""Rows of what has ended that are read at once."""

PAUSE_S = 0.05
"""How long the cursor must stand before the decision under it is read: a key that is held down reads nothing on its way."""

TICK_S = 1.0

CHIPS = {"waiting": "waiting", "open": "open", "all": "all"}
SHOWN = {"waiting": (MINE, BACK), "open": (MINE, BACK, OTHERS, UNDER_WAY), "all": (MINE, BACK, OTHERS, UNDER_WAY, ENDED)}
"""Whose turn it is in what a chip shows."""

COLUMNS = (
    Column("id", 6), Column("state", 18), Column("left", 8, right=True), Column("asks", 12, wide=72), Column("lv", 2), Column("what", 0),
)  # fmt: skip

PAST = {"approve": "approved", "deny": "denied", "undo": "taken back"}
STEPS = {"approve": machine.approved, "deny": machine.denied, "undo": machine.undone}
"""What a verb does to a row; pure, so that it can be asked beforehand whether it may."""

ASKED = {"approve": "Approve", "deny": "Deny", "undo": "Take back"}
FINAL = "An approval cannot be taken back; only what names an undo can, for a while after it was done."


class Listed(NamedTuple):
    """What one reading gave."""

    rows: list[DecisionRow]
    more: bool
    idle: bool


class DecisionsRoom(Room):
    """What wants to act and waits for somebody: decided here, each exactly as it is shown."""

    MODE = "decisions"

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual declares it so

    DEFAULT_CSS = """
    DecisionsRoom DecisionView { width: 45%; border-left: solid $panel; }
    DecisionsRoom.-narrow DecisionView { display: none; width: 1fr; border: none; }
    DecisionsRoom.-narrow.-reading RowList { display: none; }
    DecisionsRoom.-narrow.-reading DecisionView { display: block; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "decide('approve')", "Approve", tooltip="Let it act, exactly as it is shown. Several, and changes of the workspace, are asked about first."),
        Binding("d", "decide('deny')", "Deny", tooltip="Turn it down, and say why to whoever asked."),
        Binding("z", "decide('undo')", "Take back", tooltip="Stop what waits out its window, or undo what was done, while there is time."),
        Binding("e", "event", "Event", tooltip="Open the event that it is about."),
        Binding("y", "event(True)", "Why", tooltip="Say why the event that it is about is there, and what came of it."),
        Binding("h", "chip(1)", "More", tooltip="Show what waits, all that is open, or also what has ended."),
        Binding("escape", "back", "Back to the list", show=False),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.chip = "open"
        self._by: dict[int, DecisionRow] = {}
        self._words: dict[tuple[int, int], standing.Words] = {}
        self._lore: dict[tuple[int, int], Lore] = {}
        self._ended = PAGE
        self._more = False
        self._stands: tuple[int, int] | None = None
        self._wanted: int | None = None

    def body(self) -> ComposeResult:
        """The chips, the list, and the decision under the cursor."""
        yield Chips(CHIPS, self.chip)
        with Horizontal():
            yield RowList(COLUMNS, id="rows", empty="Nothing waits for a decision.")
            yield DecisionView()

    def on_mount(self) -> None:
        """Time runs down while one looks."""
        self.set_interval(TICK_S, self.tick)

    @property
    def rows(self) -> RowList:
        """The list."""
        return self.query_one(RowList)

    @property
    def view(self) -> DecisionView:
        """The decision in full."""
        return self.query_one(DecisionView)

    def memory(self) -> dict[str, Any]:
        """Which chip is chosen."""
        return {"chip": self.chip}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """The same again."""
        chip = memory.get("chip")
        self.chip = chip if isinstance(chip, str) and chip in CHIPS else self.chip

    def jump(self, key: str) -> None:
        """Put the cursor on this decision, whichever chip shows it."""
        if key[:1] == "d" and key[1:].isdecimal():
            self._wanted = int(key[1:])
            self.host.reread()

    # --- reading -----------------------------------------------------------------------------------------------------------------

    async def reload(self) -> None:
        """Everything that the chip shows, and the decision under the cursor."""
        ended = self._ended if self.chip == "all" else 0
        beside = [*(number for number in (self._wanted, self._under) if number is not None), *self._marked]
        listed = await self.desk.read(lambda store: self._read(store, ended, beside))
        self._by = {row.number: row for row in listed.rows}
        self._words = {(row.number, row.ver): self._said(row) for row in listed.rows}
        self._more = listed.more
        wanted, self._wanted = self._wanted, None
        if wanted in self._by and self._turn(self._by[wanted]) not in SHOWN[self.chip]:
            self.chip = "all"
        self.fill()
        if wanted is not None:
            self.rows.point(f"d{wanted}")
            if wanted not in self._by:
                self.host.tell(f"there is no d{wanted}", bad=True)
        self._told(idle=listed.idle)
        await self._look()

    def _read(self, store: Store, ended: int, beside: Iterable[int]) -> Listed:
        """What is open; of what has ended so many, what can be taken back, and what is wanted besides."""
        views, now = store.views, self.desk.now()
        rows = {row.number: row for row in views.decisions(machine.OPEN, limit=OPEN_MAX)}
        done = views.decisions(("done",), limit=DONE_LOOKED)
        over = views.decisions(DECISION_ENDS, limit=ended) if ended else []
        found = [views.decision(number) for number in beside]
        for row in (*(row for row in done if row.due is not None and row.due > now), *over, *(row for row in found if row)):
            rows[row.number] = row
        return Listed(list(rows.values()), bool(ended) and len(over) == ended, client.run_info(self.desk.paths) is None)

    def on_row_list_wanted(self, message: RowList.Wanted) -> None:
        """The end of what has ended so far is near."""
        if type(message) is RowList.Wanted:
            self._ended += PAGE
            self.host.reread()

    def on_row_list_moved(self) -> None:
        """Another decision is looked at."""
        self._stand()
        self.host.behind(self._pause, "case")

    def _stand(self) -> None:
        """Remember under which heading the row under the cursor stands."""
        row = self._by.get(self._under or 0)
        self._stands = None if row is None else (row.number, self._turn(row))

    async def _pause(self) -> None:
        await asyncio.sleep(PAUSE_S)
        await self._look()

    async def _look(self) -> None:
        """Read the decision under the cursor; what people made of the like comes when it has been counted."""
        number, now = self._under, self.desk.now()
        case = await self.desk.read(lambda store: decisionview.read(store, number, now)) if number is not None else None
        if number != self._under:
            return
        lore = self._lore.get((case.row.number, case.row.ver)) if case else Lore()
        self.view.show(case, lore or Lore(), self.desk.who, now)
        if case is not None and lore is None:
            self.host.behind(partial(self._count, case.row), "lore")

    async def _count(self, row: DecisionRow) -> None:
        now, scope = self.desk.now(), decisionview.scope(row)
        alike = await self.desk.search(lambda store: evidence.alike(store.views, row.kind, now=now))
        counted = "" if scope is None else evidence.words(await self.desk.think(lambda: evidence_of(self.desk.session, scope)))
        lore = self._lore[row.number, row.ver] = Lore(counted, tuple(alike))
        case = self.view.case
        if case is not None and case.row.number == row.number:
            self.view.show(case, lore, self.desk.who, now)

    # --- showing -----------------------------------------------------------------------------------------------------------------

    @property
    def _under(self) -> int | None:
        return int(self.rows.key[1:]) if self.rows.key else None

    @property
    def _marked(self) -> list[int]:
        return [int(key[1:]) for key in self.rows.marks]

    def _said(self, row: DecisionRow) -> standing.Words:
        return self._words.get((row.number, row.ver)) or standing.words(row)

    def _turn(self, row: DecisionRow) -> int:
        """Whose turn it is; the row under the cursor stays where it is, whatever becomes of it, until the cursor leaves it."""
        if self._stands is not None and self._stands[0] == row.number:
            return self._stands[1]
        return standing.turn(row, self.desk.who, self.desk.now())

    def fill(self) -> None:
        """Show what was read, in its groups: what waits the longest first, what has ended last first."""
        self.rows.fill(self._drawn(), more=self._more)
        self._stand()
        now = self.desk.now()
        turns = [standing.turn(row, self.desk.who, now) for row in self._by.values()]
        counts = {chip: sum(turn in SHOWN[chip] for turn in turns) for chip in ("waiting", "open")}
        self.query_one(Chips).show(self.chip, counts)

    def _drawn(self) -> list[Row]:
        placed = [(self._turn(row), row) for row in self._by.values()]
        meant = {self._under, *self._marked}  # a key that is about these must not meet others in their place
        shown = [(turn, row) for turn, row in placed if turn in SHOWN[self.chip] or row.number in meant]
        shown.sort(key=lambda each: (each[0], -each[1].number if each[0] == ENDED else each[1].number))
        return [self._row(row, turn) for turn, row in shown]

    def _row(self, row: DecisionRow, turn: int) -> Row:
        now, words = self.desk.now(), self._said(row)
        strong = "strong" if turn in (MINE, BACK) else ""
        cells = (
            Cell(f"d{row.number}", "muted"), standing.state(row, self.desk.who, now), standing.left(row, now),
            Cell(words.asker, "muted"), Cell(words.level, "muted"), Cell(words.summary, strong),
        )  # fmt: skip
        return Row(f"d{row.number}", cells, HEADS[turn])

    def _told(self, *, idle: bool) -> None:
        turns = [standing.turn(row, self.desk.who, self.desk.now()) for row in self._by.values()]
        mine, back = turns.count(MINE), turns.count(BACK)
        parts = [f"{mine:,} wait{'s' * (mine == 1)} for you" if mine else "Nothing waits for you"]
        parts += [f"{back:,} can be taken back"] if back else []
        parts += ["no runner works here: `eventctl run` does what is approved"] if idle else []
        self.note(" · ".join(parts))

    def tick(self) -> None:
        """A second has passed: nothing is read, only what runs down is written anew."""
        if self.is_current:
            self.fill()
            self.view.tick(self.desk.who, self.desk.now())

    # --- what is done ------------------------------------------------------------------------------------------------------------

    def action_chip(self, by: int) -> None:
        """Show another part."""
        self._choose(self.query_one(Chips).beside(by))

    def on_chips_picked(self, message: Chips.Picked) -> None:
        """The same by a click."""
        self._choose(message.name)

    def _choose(self, chip: str) -> None:
        self.chip, self._stands, self._ended = chip, None, PAGE
        self.query_one(Chips).show(chip, {})
        self.host.reread()

    def on_row_list_chosen(self) -> None:
        """Read it: beside the list, or in its place where there is no room for both."""
        self.add_class("-reading")
        self.view.focus()

    def action_back(self) -> None:
        """To the list."""
        self.remove_class("-reading")
        self.rows.focus()

    def action_event(self, why: bool = False) -> None:
        """Open the event that it is about, or why that is there."""
        row = self._by.get(self._under or 0)
        if row is None or not row.seq:
            self.host.tell("it is about no event: it was asked for by hand" if row else "nothing is here", bad=True)
            return
        self.app.push_screen(RecordView(row.seq, why=why))

    def action_decide(self, verb: str) -> None:
        """Do it to what is marked, else to the row under the cursor as it is now; ask first where that is more than one plain thing."""
        numbers = [int(key[1:]) for key in self.rows.chosen]
        rows = [self._by[number] for number in numbers if number in self._by]
        able, wrong = self._able(verb, rows)
        if not able:
            self.host.tell(" · ".join(wrong) or "nothing is here to decide", bad=True)
            return
        plain = len(rows) == 1 and (verb == "undo" or (verb == "approve" and not machine.at_the_desk(rows[0])))
        if plain:
            self._make(verb, able)
            return
        self._ask(verb, able, wrong)

    def _able(self, verb: str, rows: Iterable[DecisionRow]) -> tuple[list[DecisionRow], list[str]]:
        """Those that it can be done to now, and why not to each of the others."""
        able, wrong = [], []
        for row in rows:
            try:
                machine.permit(self.desk.who, verb, row)
                STEPS[verb](row, str(self.desk.who), self.desk.now())
            except EventctlError as why:
                wrong.append(f"{why.what} ({why.hint})" if why.hint else why.what)
            else:
                able.append(row)
        return able, wrong

    def _ask(self, verb: str, able: list[DecisionRow], wrong: list[str]) -> None:
        one = f"d{able[0].number}" if len(able) == 1 else f"{len(able)} decisions"
        lines = [line for row in able for line in _named(row, verb)]
        lines += [f"left out: {why}" for why in wrong]
        lines += ["", FINAL] if verb == "approve" else []
        fields = [Field("why", "Reason", hint="said to whoever asked; may be left out")] if verb == "deny" else []

        def answered(given: dict[str, Any] | None) -> None:
            if given is not None:
                self._make(verb, able, str(given.get("why", "")))

        self.app.push_screen(Form(f"{ASKED[verb]} {one}?", fields, said="\n".join(lines), yes=ASKED[verb]), answered)

    def _make(self, verb: str, rows: Sequence[DecisionRow], why: str = "") -> None:
        who, paths = self.desk.who, self.desk.paths
        numbers = [row.number for row in rows]

        def move(store: Store) -> Deed:
            done, wrong = [], []
            for number in numbers:
                try:
                    done.append(told.decide(store, verb, number, who, self.desk.now(), why).row)
                except EventctlError as error:
                    if len(numbers) == 1:
                        raise
                    wrong.append(error.what)
            said = [_outcome(verb, done)] if done else []
            owed = any(row.state in ("approved", "undoing") for row in done)
            said += [LATER] if owed and client.run_info(paths) is None else []
            return Deed(" · ".join([*said, *wrong]))

        self.rows.unmark()
        self._lore.clear()
        self.host.make(move)


def _outcome(verb: str, done: Sequence[DecisionRow]) -> str:
    if len(done) == 1:
        return f"d{done[0].number} {told.words(done[0])}: {machine.summary_of(done[0])}"
    return f"{len(done)} {PAST[verb]}: {', '.join(f'd{row.number}' for row in done)}"


def _named(row: DecisionRow, verb: str) -> list[str]:
    """A decision as it is named before a yes; a change of the workspace with all that an admin is shown."""
    lines = [f"d{row.number}  {machine.summary_of(row)}"]
    if verb != "approve" or not machine.at_the_desk(row):
        return lines
    body = orjson.loads(row.body)
    args = body.get("args") or {}
    lines += [f"  {line}" for _, part in told.deeds(row, body) for line in part]
    return [*lines, "", FULL_RIGHTS] if args.get("do") == "trust" and args.get("runs") == "in-process" else lines
