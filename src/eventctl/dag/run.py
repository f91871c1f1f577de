"""One event through the levels of its route: every cartridge of a level runs up to its end or its calls, then the level is judged.

A run writes nothing. It ends in one of these states, the first that holds after a level:

    retry         a cartridge raised and has attempts left: all effects are given up, the event is run again later from its top
    thinking      one that runs in a worker has not answered yet: nothing is done, and the event is not taken (`dag.apart`)
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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import orjson

from eventctl.advance import Wait, failure_text
from eventctl.catalog import Catalog
from eventctl.context import VALUE_MAX, CartridgeContext, Outcome
from eventctl.dag.apart import Job, Patience, Run, Thinking
from eventctl.dag.case import Case
from eventctl.dag.gate import Gate
from eventctl.dag.overlay import Overlay
from eventctl.dag.reads import Owed, Reads
from eventctl.dag.served import answering, elsewhere
from eventctl.decisions import Wish
from eventctl.event import HOPS_MAX, Event
from eventctl.expressions import Unanswered
from eventctl.modules import LoadFailed, Modules
from eventctl.plan import Cartridge, Plan
from eventctl.store import LogRow
from eventctl.times import SECOND
from eventctl.totals import BOXES, box
from eventctl.trampoline import Crumb, Ended, Mistake, Place, Struck, drive, wrong_return

_log = logging.getLogger("eventctl.dag")

ATTEMPTS_MAX = 3
BACKOFF = (1 * SECOND, 10 * SECOND)
"""Waits after the first and the second failed attempt; the third is the last."""

BUDGET_NS = 5_000_000
"""In-process code takes turns with everybody else's: what takes longer for one event is counted, and the first one told in the log."""

NO_BUDGET = 1 << 62
"""In a worker it takes nobody's turn: there is the deadline."""

INVOKED = "cartridge.invoked"
"""What tells the counts. Runs for such an event are not counted, or counting would go on for ever."""

STATE_MAX = 4 * VALUE_MAX
"""Bytes of everything that a cartridge remembers under one key."""


@dataclass(slots=True)
class Invocations:
    """How often a cartridge ran, and how long, since that was last told.

    Times are nanoseconds inside its code, and in `boxes` by their length; `over` counts runs over the budget; `hops` are those of the
    event that had the fewest. `first` and `last` are the moments of the first and the last run, microseconds.
    """

    calls: int = 0
    errors: int = 0
    total_ns: int = 0
    max_ns: int = 0
    over: int = 0
    hops: int = HOPS_MAX
    first: int = 0
    last: int = 0
    boxes: list[int] = field(default_factory=lambda: [0] * BOXES)

    def count(self, ended: Ended, budget_ns: int, hops: int, now: int) -> None:
        """Book one run."""
        self.calls += 1
        self.boxes[box(ended.ns)] += 1
        self.first = self.first or now
        self.last = now
        self.hops = min(self.hops, hops)
        self.errors += ended.how == "raised"
        self.total_ns += ended.ns
        self.max_ns = max(self.max_ns, ended.ns)
        self.over += ended.ns > budget_ns


def copied(ran: Mapping[str, Mapping[str, Invocations]]) -> dict[str, dict[str, Invocations]]:
    """Counts by pipeline and cartridge, to go back to when what was run is taken back."""
    return {
        pipeline: {name: replace(counts, boxes=list(counts.boxes)) for name, counts in of.items()}
        for pipeline, of in ran.items()
    }


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

    `unanswered` says which rules had no answer, `struck` whose worker had to be ended, and why.
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
    struck: dict[str, str] = field(default_factory=dict)


Given = Callable[[Cartridge], tuple[CartridgeContext, Reads]]


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
        patience: Patience | None = None,
    ) -> None:
        self.gate = gate or Gate()
        self.plan = plan
        self.catalog = catalog
        self._modules = modules
        self._crumb = crumb
        self._invocations = invocations
        self._budget_ns = budget_ns
        self._patience = patience or Patience()
        self._counted: list[tuple[Cartridge, Ended]] = []

    def run(self, case: Case, overlay: Overlay, now: int) -> Result:
        """Run an event from its top. Updates `case.notes`; raises what is the platform's own fault, and `Thinking` with nothing done."""
        self._counted.clear()
        result = self._run(case, overlay, now)
        self._book(case, now)
        return result

    def each(self, case: Case, chosen: list[Cartridge], overlay: Overlay, now: int) -> dict[str, Result]:
        """Run these as if each were alone with the event, and give what became of each. Otherwise like `run`."""
        self._counted.clear()
        results: dict[str, Result] = {}
        for turn in self._turns(case, chosen, partial(self._reads, case, overlay, {}, now)):
            result = results[turn.cartridge.id] = Result()
            self._failures([turn], case, result, now)
            self._calls([turn], case, result)
            if result.state not in ("retry", "waiting"):
                self._judge([turn], case, result)
        self._book(case, now)
        return results

    def _run(self, case: Case, overlay: Overlay, now: int) -> Result:
        result, notes = Result(), case.notes
        notes.waits = []
        earlier: dict[str, bytes] = {}
        for level in case.route.levels:
            turns = self._turns(case, self._who(case, level, result), partial(self._reads, case, overlay, earlier, now))
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

    def _reads(
        self, case: Case, overlay: Overlay, earlier: Mapping[str, bytes], now: int, cartridge: Cartridge
    ) -> tuple[CartridgeContext, Reads]:
        """What one run is given, fresh."""
        context = CartridgeContext(case.record, cartridge.rights, catalog=self.catalog, settings=cartridge.settings)
        return context, Reads(
            case, cartridge, context, overlay, plan=self.plan, catalog=self.catalog, earlier=earlier, now=now, gate=self.gate
        )

    def _turns(self, case: Case, chosen: list[Cartridge], given: Given) -> list[Turn]:
        """The runs of one level. Those in workers are begun before those here run, and waited for after them."""
        begun = {cartridge.id: self._begin(case, cartridge) for cartridge in chosen if cartridge.runs == "worker"}
        turns: dict[str, Turn] = {}
        waits: list[Wait] = []
        for cartridge in sorted(chosen, key=lambda each: each.id in begun) if begun else chosen:
            if cartridge.id not in begun:
                turns[cartridge.id] = self._here(case, cartridge, *given(cartridge))
                continue
            turn = self._there(case, cartridge, begun[cartridge.id], given)
            if isinstance(turn, Turn):
                turns[cartridge.id] = turn
            else:
                waits.append(turn)
        if waits:
            raise Thinking(waits)
        return [turns[cartridge.id] for cartridge in chosen]

    def _begin(self, case: Case, cartridge: Cartridge) -> Run | None:
        if self._modules.apart is None:
            return None
        attempt = (case.notes.attempts.get(cartridge.id, 0), case.notes.round)
        defaults = self.catalog.entry(case.record.type).defaults
        return self._modules.apart.begin(Job(cartridge, case.record, defaults, self.catalog, attempt))

    def _here(self, case: Case, cartridge: Cartridge, context: CartridgeContext, reads: Reads) -> Turn:
        """A run in this process."""
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
        return self._turn(case, cartridge, ended, context, reads)

    def _there(self, case: Case, cartridge: Cartridge, run: Run | None, given: Given) -> Turn | Wait:
        """A run in a worker, as far as it has come."""
        context, reads = given(cartridge)
        if run is None:
            nowhere = LoadFailed("it runs in a worker, and there are none here")
            return self._turn(case, cartridge, Ended("raised", error=nowhere), context, reads)
        if not run.still(answering(context, reads)):
            context, reads = given(cartridge)
        finished = self._patience.spend(run, answering(context, reads))
        if finished is None:
            return run.wait
        return self._turn(case, cartridge, elsewhere(finished, context, case.event(self.catalog)), context, reads)

    def _turn(self, case: Case, cartridge: Cartridge, ended: Ended, context: CartridgeContext, reads: Reads) -> Turn:
        kept = Kept(cartridge, context.outcome, "", None)
        if ended.how == "returned" and (context.outcome.states or context.outcome.timers):
            ended, kept = self._remembered(case, ended, kept, reads)
        self._counted.append((cartridge, ended))
        return Turn(cartridge, ended, kept, reads.owed)

    def _book(self, case: Case, now: int) -> None:
        if case.record.type != INVOKED:
            for cartridge, ended in self._counted:
                self._count(cartridge, ended, case.record, now)

    def _count(self, cartridge: Cartridge, ended: Ended, record: LogRow, now: int) -> None:
        counted = self._invocations.get(cartridge.id)
        if counted is None:
            counted = self._invocations[cartridge.id] = Invocations()
        here = cartridge.runs == "in-process"
        counted.count(ended, self._budget_ns if here else NO_BUDGET, record.hops, now)
        if here and ended.ns > self._budget_ns and counted.over == 1:
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
            if isinstance(ended.error, Struck):
                result.struck[name] = notes.dead[name] = str(ended.error)
            elif cartridge.on_error == "suspend":
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
    return Ended("raised", error=wrong_return(ended.value), ns=ended.ns)
