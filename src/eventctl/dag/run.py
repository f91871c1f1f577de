"""One event through the levels of its route: every cartridge of a level runs up to its end or its calls, then the level is judged.

A run writes nothing. It ends in one of these states, the first that holds after a level:

    retry         a cartridge raised and has attempts left: all effects are given up, the event is run again later from its top
    waiting       a cartridge has asked for what nobody has answered: likewise, when the answer comes; the calls of the whole
                  level are owed at once
    dropped       the level's dropper gives up its own effects, its siblings keep theirs, later levels do not run
    quarantined   likewise, until a person decides
    dead          all levels ran but for cartridges that were given up and whoever comes after them
    applied       all levels ran

Dropped counts more than quarantined, and both more than dead: who was given up before an event was dropped is named in the reason.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import orjson

from eventctl.advance import failure_text
from eventctl.catalog import Catalog
from eventctl.context import VALUE_MAX, CartridgeContext, Outcome
from eventctl.dag.case import Case
from eventctl.dag.gate import Gate
from eventctl.dag.overlay import Overlay
from eventctl.dag.reads import Owed, Reads
from eventctl.decisions import Wish
from eventctl.event import HOPS_MAX, Event
from eventctl.expressions import Unanswered
from eventctl.modules import LoadFailed, Modules
from eventctl.plan import Cartridge, Plan
from eventctl.store import LogRow
from eventctl.times import SECOND
from eventctl.trampoline import Crumb, Ended, Mistake, Place, drive

_log = logging.getLogger("eventctl.dag")

ATTEMPTS_MAX = 3
BACKOFF = (1 * SECOND, 10 * SECOND)
"""Waits after the first and the second failed attempt; the third is the last."""

BUDGET_NS = 5_000_000
"""In-process code takes turns with everybody else's: what takes longer for one event is counted, and the first one told in the log."""

INVOKED = "cartridge.invoked"
"""What tells the counts. Runs for such an event are not counted, or counting would go on for ever."""

STATE_MAX = 4 * VALUE_MAX
"""Bytes of everything that a cartridge remembers under one key."""


@dataclass(slots=True)
class Invocations:
    """How often a cartridge ran, and how long, since that was last told.

    Times are nanoseconds inside its code; `over` counts runs over the budget; `hops` are those of the event that had the fewest.
    """

    calls: int = 0
    errors: int = 0
    total_ns: int = 0
    max_ns: int = 0
    over: int = 0
    hops: int = HOPS_MAX

    def count(self, ended: Ended, budget_ns: int, hops: int) -> None:
        """Book one run."""
        self.calls += 1
        self.hops = min(self.hops, hops)
        self.errors += ended.how == "raised"
        self.total_ns += ended.ns
        self.max_ns = max(self.max_ns, ended.ns)
        self.over += ended.ns > budget_ns


def copied(ran: Mapping[str, Mapping[str, Invocations]]) -> dict[str, dict[str, Invocations]]:
    """Counts by pipeline and cartridge, to go back to when what was run is taken back."""
    return {pipeline: {name: replace(counts) for name, counts in of.items()} for pipeline, of in ran.items()}


class Kept(NamedTuple):
    """The outcome of one cartridge that counts, and all that it remembers now under its key (None: as before).

    `state_key` is known where there is state or a timer.
    """

    cartridge: Cartridge
    outcome: Outcome
    state_key: str
    state: dict[str, object] | None


class Turn(NamedTuple):
    """How one cartridge's run ended, with what it owes."""

    cartridge: Cartridge
    ended: Ended
    kept: Kept
    owed: list[Owed]


@dataclass(slots=True)
class Result:
    """How an event's run ended. `kept` are the effects to commit, `owed` the calls; `skipped` says who was left out and why.

    `unanswered` says which rules had no answer, and why.
    """

    state: str = "applied"
    cartridge: str = ""
    reason: str = ""
    due: int | None = None
    kept: list[Kept] = field(default_factory=list)
    owed: list[Owed] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    disabled: dict[str, str] = field(default_factory=dict)


class Runs:
    """Runs events through one plan. `invocations` is kept up to date by cartridge."""

    def __init__(
        self,
        plan: Plan,
        catalog: Catalog,
        modules: Modules,
        crumb: Crumb,
        invocations: dict[str, Invocations],
        budget_ns: int = BUDGET_NS,
        gate: Gate | None = None,
    ) -> None:
        self.gate = gate or Gate()
        self.plan = plan
        self.catalog = catalog
        self._modules = modules
        self._crumb = crumb
        self._invocations = invocations
        self._budget_ns = budget_ns

    def run(self, case: Case, overlay: Overlay, now: int) -> Result:
        """Run an event from its top. Updates `case.notes`; raises only what is the platform's own fault."""
        result, notes = Result(), case.notes
        notes.waits = []
        earlier: dict[str, bytes] = {}
        for level in case.route.levels:
            turns = [self._turn(case, cartridge, overlay, earlier, now) for cartridge in self._who(case, level, result)]
            self._failures(turns, case, result, now)
            self._calls(turns, case, result)
            if result.state in ("retry", "waiting"):
                result.kept.clear()
                return result
            self._judge(turns, case, result)
            if result.state != "applied":
                break
            for turn in turns:
                earlier |= turn.kept.outcome.annotations
        self._lost(case, result)
        return result

    def _who(self, case: Case, level: tuple[Cartridge, ...], result: Result) -> list[Cartridge]:
        """The cartridges of a level that run now: not those that are done, given up, or after somebody who was left out."""
        notes = case.notes
        absent = notes.dead.keys() | result.skipped.keys()
        late = self.plan.graph.dependants(absent) if absent else set()
        chosen = []
        for cartridge in level:
            name = cartridge.id
            if name in notes.dead or (notes.only is not None and name not in notes.only):
                continue
            if name in late:
                result.skipped[name] = "it comes after one that failed"
            else:
                chosen.append(cartridge)
        return chosen

    def _turn(self, case: Case, cartridge: Cartridge, overlay: Overlay, earlier: Mapping[str, bytes], now: int) -> Turn:
        context = CartridgeContext(case.record, cartridge.rights, catalog=self.catalog, settings=cartridge.settings)
        reads = Reads(
            case, cartridge, context, overlay, plan=self.plan, catalog=self.catalog, earlier=earlier, now=now, gate=self.gate
        )
        event = case.event(self.catalog)
        place = Place(cartridge.rights.pipeline, cartridge.id, case.record.seq, cartridge.limit_s)
        try:
            process = self._modules.process(cartridge.code, place, self._crumb)
        except LoadFailed as failure:
            ended = Ended("raised", error=failure)
        else:
            ended = drive(process, (event, context), reads.answer, place, self._crumb)
        context.close()
        if ended.how == "returned":
            ended = _checked(ended, event, context.outcome)
        kept = Kept(cartridge, context.outcome, "", None)
        if ended.how == "returned" and (context.outcome.states or context.outcome.timers):
            ended, kept = self._remembered(case, ended, kept, reads)
        if case.record.type != INVOKED:
            self._count(cartridge, ended, case.record)
        return Turn(cartridge, ended, kept, reads.owed)

    def _count(self, cartridge: Cartridge, ended: Ended, record: LogRow) -> None:
        counted = self._invocations.get(cartridge.id)
        if counted is None:
            counted = self._invocations[cartridge.id] = Invocations()
        counted.count(ended, self._budget_ns, record.hops)
        if ended.ns > self._budget_ns and counted.over == 1:
            took, meant = ended.ns / 1e6, self._budget_ns / 1e6
            _log.info("%s took %.1f ms for e%d, and %g ms are meant", cartridge.rights.name, took, record.seq, meant)

    def _remembered(self, case: Case, ended: Ended, kept: Kept, reads: Reads) -> tuple[Ended, Kept]:
        kept = kept._replace(state_key=case.key_of(kept.cartridge, self.catalog))
        if not kept.outcome.states:
            return ended, kept
        state = reads.state()
        for name, value in kept.outcome.states.items():
            state[name] = orjson.loads(value)
        state = {name: value for name, value in state.items() if value is not None}
        size = len(orjson.dumps(state))
        if size > STATE_MAX:
            mistake = Mistake(f"it would remember {size:,} bytes under one key; {STATE_MAX:,} are allowed")
            return Ended("raised", error=mistake, ns=ended.ns), kept
        return ended, kept._replace(state=state)

    def _failures(self, turns: list[Turn], case: Case, result: Result, now: int) -> None:
        """Who raised has attempts left, or is given up for this event, or passed over, as its manifest says."""
        notes, again = case.notes, list[tuple[str, str]]()
        for cartridge, ended, kept, _ in turns:
            hopeless = kept.outcome.hopeless
            if ended.error is None and not hopeless:
                continue
            name, reason = cartridge.id, hopeless or failure_text(ended.error or Mistake(hopeless))
            notes.attempts[name] = notes.attempts.get(name, 0) + 1
            if cartridge.on_error == "suspend":
                result.unanswered[name] = str(ended.error) if isinstance(ended.error, Unanswered) else reason
            elif cartridge.on_error == "skip":
                result.skipped[name] = reason
            elif cartridge.on_error == "disable":
                result.disabled[name] = notes.dead[name] = reason
            elif hopeless or isinstance(ended.error, LoadFailed) or notes.attempts[name] >= ATTEMPTS_MAX:
                notes.dead[name] = reason
            else:
                again.append((name, reason))
        if again:
            result.state = "retry"
            result.cartridge = ",".join(name for name, _ in again)
            result.reason = "; ".join(reason for _, reason in again)
            result.due = now + max(BACKOFF[notes.attempts[name] - 1] for name, _ in again)

    def _calls(self, turns: list[Turn], case: Case, result: Result) -> None:
        """What the level asks for is owed, also when a sibling has to be tried again."""
        parked = [turn for turn in turns if turn.ended.how == "parked" and not turn.kept.outcome.hopeless]
        result.owed = [row for turn in parked for row in turn.owed]
        case.notes.waits = [row.id for row in result.owed]
        if parked and result.state == "applied":
            result.state = "waiting"
            result.cartridge = ",".join(turn.cartridge.id for turn in parked)
            result.reason = f"for {', '.join(dict.fromkeys(map(_awaited, result.owed)))}"

    def _judge(self, turns: list[Turn], case: Case, result: Result) -> None:
        """Keep the effects of those who went on; one who ended the event ends it after this level."""
        ends: dict[str, list[tuple[str, str]]] = {"dropped": [], "quarantined": []}
        for cartridge, ended, kept, _ in turns:
            verdict = kept.outcome.verdict
            if ended.error is not None or kept.outcome.hopeless:
                continue
            if verdict == "quarantined" and cartridge.id in case.notes.released:
                verdict = ""
            if verdict:
                ends[verdict].append((cartridge.id, kept.outcome.reason))
            else:
                result.kept.append(kept)
        for state, enders in ends.items():
            if enders:
                result.state = state
                result.cartridge = ",".join(name for name, _ in enders)
                result.reason = "; ".join(reason for _, reason in enders if reason)
                return

    def _lost(self, case: Case, result: Result) -> None:
        """Name those who were given up, beside whatever else became of the event."""
        dead = case.notes.dead
        if not dead:
            return
        reasons = "; ".join(f"{name}: {reason}" if len(dead) > 1 else reason for name, reason in dead.items())
        late = sorted(name for name in self.plan.graph.dependants(dead) if name in result.skipped)
        if late:
            reasons += f"; not run: {', '.join(late)}"
        if result.state == "applied":
            result.state, result.cartridge, result.reason = "dead", ",".join(dead), reasons
        elif result.state == "quarantined":
            result.cartridge = ",".join([result.cartridge, *dead])
            result.reason = f"{result.reason}; given up: {reasons}"
        else:
            result.reason = f"{result.reason}; given up: {', '.join(dead)}: {reasons}".removeprefix("; ")


def _awaited(owed: Owed) -> str:
    return f"a decision: {owed.body['summary']}" if isinstance(owed, Wish) else owed.name


def _checked(ended: Ended, event: Event, outcome: Outcome) -> Ended:
    """Only the event that came in goes on; None is a drop."""
    if ended.value is event or outcome.verdict:
        return ended
    if ended.value is None:
        outcome.verdict = "dropped"
        return ended
    given = type(ended.value).__name__
    what = "another event" if isinstance(ended.value, Event) else f"a {given}"
    mistake = Mistake(f"it returned {what}: return the event that came in, or None; new events are made with context.emit")
    return Ended("raised", error=mistake, ns=ended.ns)
