"""A batch of one pipeline while it is planned: items go in one by one, operations come out.

Every item leaves each event that it touches in exactly one bucket: a position is counted when it is passed, and an event that was
counted before is moved from its old bucket to its new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from eventctl import decisions
from eventctl.advance import Tally
from eventctl.dag import effects, faults, leaves
from eventctl.dag.case import Case, Notes, timer_case, timer_owner
from eventctl.dag.gate import proposal_call
from eventctl.dag.open_events import OpenEvents
from eventctl.dag.overlay import Overlay, StateKey
from eventctl.dag.run import Result, Runs
from eventctl.dag.striking import strike
from eventctl.decisions import Wish
from eventctl.moves import DECIDES
from eventctl.plan import NOWHERE, Cartridge
from eventctl.store import ExceptionRow, FeedRow, Keys, LogRow, Operations, Store, Unit

AGAIN = "again"
"""Why an item is here that is no position: its event is open and can go on."""

LEFT_OPEN = ("waiting", "retry", "behind")
EVENTS = ("accept", "release")
REASON_MAX = 1_000


class Batch:
    """Plans items for the pipeline `name`. Changes `waiting` as it goes; writes nothing."""

    def __init__(self, name: str, runs: Runs, waiting: OpenEvents, overlay: Overlay, store: Store, now: int) -> None:
        self._name = name
        self._runs = runs
        self._open = waiting
        self._overlay = overlay
        self._store = store
        self._now = now
        self._tally = Tally()
        self._out = Operations()
        self._rows: dict[int, ExceptionRow | None] = {}
        self._units: dict[str, Unit] = {}
        self.behind_us = 0

    def fetch(self, items: Sequence[FeedRow]) -> None:
        """Read at once what the items are about, and what their cartridges remember of it."""
        if not items:
            return
        plan = self._runs.plan
        ours = [
            item
            for item in items
            if item.why == AGAIN or (plan.route(item.type).levels if item.why in EVENTS else item.type == self._name)
        ]
        self._overlay.fetch(records=[item.seq for item in ours])
        self._overlay.fetch(records=[about for item in ours if (about := self._about(item)) is not None])
        own = [(self._name, faults.STATE)] if plan.fallible and ours else []
        self._overlay.fetch(states=[*own, *(key for item in ours for key in self._states(item))])

    def take(self, item: FeedRow) -> None:
        """Plan one item."""
        if item.why == AGAIN:
            self._go_on(item.seq)
        elif item.why in EVENTS:
            self._event(item)
        elif item.type != self._name:
            self._tally.count("applied")
        elif item.why == "timer":
            self._timer(item)
        elif item.why == "answer":
            self._answer(item)
        else:
            self._decision(item)

    def operations(self, expected: int, pos: int, term: int) -> Operations:
        """All that the batch comes to."""
        self._overlay.write(self._out)
        self._out.units += self._units.values()
        self._out.exceptions = [row for row in self._rows.values() if row is not None]
        self._out.cleared = [(self._name, seq) for seq, row in self._rows.items() if row is None]
        self._out.advance = self._tally.advance(self._name, expected, pos, term)
        return self._out

    def _about(self, item: FeedRow) -> int | None:
        """The event that an answer or a decision is about."""
        record = self._overlay.record(item.seq) if item.why in ("answer", "retry") else None
        return int(orjson.loads(record.body)["seq"]) if record else None

    def _states(self, item: FeedRow) -> list[StateKey]:
        seq = self._about(item) or item.seq
        record = self._overlay.record(seq)
        if record is None:
            return []
        keys = [(self._name, _place(seq))] if item.why not in EVENTS else []
        if record.kind != "event":
            return keys
        case = Case(record, self._runs.plan.route(record.type), 0, Notes())
        cartridges = [cartridge for level in case.route.levels for cartridge in level]
        return keys + [(cartridge.rights.name, case.key_of(cartridge, self._runs.catalog)) for cartridge in cartridges]

    def _event(self, item: FeedRow) -> None:
        route, struck = self._runs.plan.route(item.type), self._open.struck_ahead(item.seq)
        record = self._overlay.record(item.seq) if route.levels or struck else None
        if record is None or self._open.get(item.seq) is not None:
            self._passed(item.seq, struck)
            return
        self._first(Case(record, route, item.pos, self._struck(item.seq)))

    def _passed(self, seq: int, struck: ExceptionRow | None) -> None:
        """A position with nothing to run. A strike must not stay behind at it: where no record is left, it is a dead letter."""
        if struck is None or self._open.get(seq) is not None:
            self._tally.count("applied")
            return
        self._tally.count("dead")
        self._end(struck._replace(state="dead"))

    def _timer(self, item: FeedRow) -> None:
        record, struck = self._overlay.record(item.seq), self._open.struck_ahead(item.seq)
        if record is None or self._open.get(item.seq) is not None:
            self._passed(item.seq, struck)
            return
        owner = timer_owner(record, self._name)
        if self._runs.plan.get(owner) is None and struck is None:
            reason = "the cartridge that set this timer is not here any more"
            self._end(ExceptionRow(self._name, item.seq, "dropped", item.pos, owner, reason))
            self._tally.count("dropped")
            return
        self._first(self._case(record, item.pos, self._struck(item.seq)))

    def _struck(self, seq: int) -> Notes:
        """The notes of an event that is met for the first time: who hung or crashed at it is left out."""
        row = self._open.struck_ahead(seq)
        return Notes() if row is None else Notes(dead=dict.fromkeys(row.cartridge.split(","), row.reason))

    def _first(self, case: Case) -> None:
        record = case.record
        self.behind_us = max(0, self._now - record.at)
        alone = self._runs.plan.leaves
        blocker = self._open.blocker(record.entity) if case.route.ordered and not alone else None
        if blocker is None:
            self._run(case, known=False)
            return
        row = ExceptionRow(
            self._name, record.seq, "behind", case.pos, "", f"behind e{blocker}, of the same entity", entity=record.entity
        )
        self._tally.count("behind")
        self._leave_open(row, case.notes)

    def _answer(self, item: FeedRow) -> None:
        record = self._overlay.record(item.seq)
        about = self._about(item)
        row = self._open.get(about) if about is not None else None
        if record is not None and row is not None and (row.state == "waiting" or self._runs.plan.leaves):
            self._overlay.answered(record)
            self._rerun(row)
        self._tally.count("applied")

    def _go_on(self, seq: int) -> None:
        row = self._open.get(seq)
        if row is None:
            return
        if self._runs.plan.leaves or row.state != "behind" or self._open.blocker(row.entity) == seq:
            self._rerun(row)

    def _rerun(self, row: ExceptionRow) -> None:
        notes = Notes.read(self._overlay.state(self._name, _place(row.seq)))
        if row.state == "struck":
            notes.dead |= dict.fromkeys(row.cartridge.split(","), row.reason)
        record = self._overlay.record(row.seq)
        if record is None:  # the log was trimmed past it
            self._tally.move("waiting", "dead")
            self._end(row._replace(state="dead", reason="its record is not in the log any more", due=None))
            return
        self._run(self._case(record, row.pos, notes), known=True, struck=row.state == "struck")

    def _case(self, record: LogRow, pos: int, notes: Notes) -> Case:
        plan = self._runs.plan
        if record.kind != "timer":
            return Case(record, plan.route(record.type), pos, notes)
        cartridge = plan.get(timer_owner(record, self._name))
        return timer_case(record, plan.alone(cartridge) if cartridge else NOWHERE, pos, notes)

    def _run(self, case: Case, *, known: bool, struck: bool = False) -> None:
        """Run an event and put it where it belongs now. `known` says that it was left open before, and is counted as waiting."""
        dead_before, alone = set(case.notes.dead), self._runs.plan.leaves
        if alone:
            choice = leaves.choose(case, self._open, self._overlay, self._now)
            if known and not struck and choice.nothing_new(case.notes):
                return
            result = leaves.settle(case, choice, self._runs.each(case, choice.run, self._overlay, self._now))
        else:
            result = self._runs.run(case, self._overlay, self._now)
        stays = result.state in LEFT_OPEN
        if known:
            self._tally.move("waiting", result.state)
        else:
            self._tally.count(result.state)
        if alone or not stays:
            self._blame(case, result)
        self._strike(case, result)
        self._switch_off(result)
        for owed in result.owed:
            if isinstance(owed, Wish):
                self._ask(owed)
            else:
                self._out.outbox.append(owed)
        if alone or not stays:
            self._keep(case, result)
        if stays:
            self._leave_open(self._open_row(case, result), case.notes)
        else:
            self._finish(case, result, known)
        fresh = {name: reason for name, reason in case.notes.dead.items() if name not in dead_before}
        self._out.records += effects.news(self._name, case, result, fresh, self._now)

    def _open_row(self, case: Case, result: Result) -> ExceptionRow:
        """An ordered event keeps its entity's later ones behind it; one that a person brought back is out of order anyway."""
        ordered = case.route.ordered and case.notes.only is None
        entity = case.record.entity if ordered else None
        return self._row(case, result)._replace(due=result.due, entity=entity)

    def _row(self, case: Case, result: Result) -> ExceptionRow:
        attempts = max(case.notes.attempts.values(), default=0)
        reason = result.reason[:REASON_MAX]
        return ExceptionRow(
            self._name, case.record.seq, result.state, case.pos, result.cartridge, reason, attempts, None, case.record.entity
        )

    def _keep(self, case: Case, result: Result) -> None:
        for kept in result.kept:
            effects.write(case, kept, self._overlay, self._out, self._now)
            rights = kept.cartridge.rights
            for deal in kept.outcome.proposed:
                self._ask(self._runs.gate.wish(proposal_call(deal, rights, case.record.seq), deal, rights, case.record))
        effects.passed_over(self._name, case, result, self._overlay, leaves=self._runs.plan.leaves)

    def _finish(self, case: Case, result: Result, known: bool) -> None:
        seq, notes = case.record.seq, case.notes
        if result.state == "applied":
            self._open.remove(seq)
            if known:
                self._rows[seq] = None
        else:
            self._end(self._row(case, result))
        if self._runs.plan.leaves:
            remembered = leaves.remembered(notes, result.state)
        else:
            remembered = {"round": notes.round} if notes.round and result.state == "dead" else {}
        if known or remembered:
            self._overlay.set_state(self._name, _place(seq), remembered)
        self._recovered(case.record, [name for name in notes.failed if name not in notes.dead])

    def _ask(self, wish: Wish) -> None:
        """Let autonomy decide, once: a rerun asks for what has been asked."""
        if self._overlay.decision(wish.id) is not None:
            return
        gate, overlay = self._runs.gate, self._overlay
        known = overlay.approvals(wish.kind)
        asked = decisions.ask(wish, known, overlay.next_decision(), self._now, gate.autonomy)
        self._out.decisions += asked.decisions
        self._out.outbox += asked.outbox
        self._out.records += asked.records
        overlay.decide(asked.decisions[0])

    def _leave_open(self, row: ExceptionRow, notes: Notes) -> None:
        self._open.put(row, leaves.lanes(row.entity, notes) if self._runs.plan.leaves else None)
        self._rows[row.seq] = row
        self._overlay.set_state(self._name, _place(row.seq), notes.kept())

    def _end(self, row: ExceptionRow) -> None:
        self._open.remove(row.seq)
        self._rows[row.seq] = row

    def _blame(self, case: Case, result: Result) -> None:
        """Count what rules had no answer for; who never has one is to be switched off."""
        if not self._runs.plan.fallible:
            return
        known = faults.read(self._overlay.state(self._name, faults.STATE))
        changed = faults.answered(known, (kept.cartridge.id for kept in result.kept))
        for name, reason in result.unanswered.items():
            cartridge = self._runs.plan.get(name)
            if cartridge is not None:
                off = faults.failed(known, name, cartridge.code.hash, reason, case.record.seq, self._now)
                result.disabled |= {name: off} if off else {}
                changed = True
        if changed:
            self._overlay.set_state(self._name, faults.STATE, faults.kept(known))

    def _strike(self, case: Case, result: Result) -> None:
        """Whose worker had to be ended has a strike; after some it is switched off."""
        for name, reason in result.struck.items():
            cartridge = self._runs.plan.get(name)
            if cartridge is None:
                continue
            stricken = strike(self._unit(cartridge), reason)
            self._units[cartridge.unit] = stricken.unit
            self._out.records += effects.struck(self._name, case, name, stricken, reason, self._now)
            if stricken.off:
                result.disabled[name] = reason

    def _switch_off(self, result: Result) -> None:
        """A cartridge that wants to be disabled on an error runs no more, and its file says why."""
        if not result.disabled:
            return
        plan = self._runs.plan
        for name, reason in result.disabled.items():
            cartridge = plan.get(name)
            if cartridge is not None:
                self._units[cartridge.unit] = self._unit(cartridge)._replace(state="disabled", reason=reason)
        self._runs.plan = plan.without(result.disabled)

    def _unit(self, cartridge: Cartridge) -> Unit:
        """The row of a cartridge's file as this batch leaves it."""
        if cartridge.unit not in self._units:
            known = self._store.units().get(cartridge.unit)
            self._units[cartridge.unit] = known or Unit(cartridge.unit, 0, 0, 0, cartridge.code.hash, b"")
        return self._units[cartridge.unit]

    def _decision(self, item: FeedRow) -> None:
        """What a person decided about an event that was dead or quarantined; nothing, when somebody was first."""
        self._tally.count("applied")
        record, seq = self._overlay.record(item.seq), self._about(item)
        row = self._exception(seq) if seq is not None else None
        if record is None or row is None or row.state != DECIDES.get(record.type):
            return
        if record.type.endswith(".discard"):
            self._discard(row, f"discarded by {record.principal}")
            return
        self._tally.move(row.state, "retry")
        reason = f"{record.type} by {record.principal}"
        self._leave_open(row._replace(state="retry", due=self._now, reason=reason, entity=None), self._brought_back(row))

    def _discard(self, row: ExceptionRow, by: str) -> None:
        left, remembered = row._replace(state="dropped", reason=f"{by}: {row.reason}"), dict[str, Any]()
        if self._runs.plan.leaves:  # it may be held or dead for others still
            left, remembered = leaves.discarded(row, Notes.read(self._overlay.state(self._name, _place(row.seq))), by)
        self._tally.move(row.state, left.state)
        self._end(left._replace(reason=left.reason[:REASON_MAX]))
        self._overlay.set_state(self._name, _place(row.seq), remembered)
        about = self._overlay.record(row.seq)
        if row.state == "dead" and about is not None:
            self._recovered(about, row.cartridge.split(","))

    def _brought_back(self, row: ExceptionRow) -> Notes:
        """What a second chance runs: who failed or held the event, whoever comes after them, and what was never reached."""
        before = Notes.read(self._overlay.state(self._name, _place(row.seq)))
        if self._runs.plan.leaves:
            return leaves.brought_back(row, before)
        names, held = row.cartridge.split(","), row.state == "quarantined"
        record = self._overlay.record(row.seq)
        if record is None or not row.cartridge:
            return Notes(round=before.round + 1)
        plan = self._runs.plan
        late = plan.graph.dependants(names)
        reached = max((plan.level(name) for name in names if plan.get(name)), default=-1) if held else len(plan.graph.levels)
        route = self._case(record, row.pos, before).route
        only = [
            cartridge.id
            for level in route.levels
            for cartridge in level
            if cartridge.id in names or cartridge.id in late or plan.level(cartridge.id) > reached
        ]
        return Notes(only=only, released=names if held else [], failed=[] if held else names, round=before.round + (not held))

    def _exception(self, seq: int) -> ExceptionRow | None:
        if seq in self._rows:
            return self._rows[seq]
        return self._store.snapshot(Keys(exceptions=[(self._name, seq)])).exceptions.get((self._name, seq))

    def _recovered(self, about: LogRow, names: Sequence[str]) -> None:
        """Say of whom no dead letter is left."""
        if not names:
            return
        alone = self._runs.plan.leaves
        known = self._store.exceptions_of(self._name, leaves.SOME_DEAD if alone else ("dead",))
        rows = [row for row in ({row.seq: row for row in known} | self._rows).values() if row is not None]
        left = {name for row in rows if row.state == "dead" for name in row.cartridge.split(",")}
        if alone:
            left |= leaves.given_up(self._name, rows, self._overlay)
        for name in names:
            if name not in left:
                self._out.records += effects.recovered(self._name, about, name, self._now)


def _place(seq: int) -> str:
    """Where the notes of an event are kept."""
    return f"e{seq}"
