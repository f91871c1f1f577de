"""A pipeline of leaves, as `members` is one: nobody comes after anybody, so each cartridge meets an event as if it were alone.

What one has finished is committed at once. Only those that are open run again: who raised when its time has come, who waits when its
answer is there, who is behind when the entity's earlier event is no longer open for that same cartridge. The event is one event: it is
counted once, as waiting while somebody is open, then as the first of quarantined, dead, dropped and applied that holds for somebody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from eventctl.dag.case import Case, Notes, timer_owner
from eventctl.dag.open_events import Lanes, OpenEvents
from eventctl.dag.overlay import Overlay
from eventctl.dag.run import Result
from eventctl.plan import Cartridge, Plan
from eventctl.store import ExceptionRow, Keys, LogRow, Store

SOME_DEAD = ("dead", "quarantined", "waiting", "retry", "behind", "struck")
"""States of an event at which some leaf may have been given up."""

READ_MAX = 1_000
"""Open events whose notes are read at once when a process begins."""


class Choice(NamedTuple):
    """Which leaves of an event run now. `rest` are open and cannot go on yet, `behind` which earlier event each of the others waits for."""

    run: list[Cartridge]
    rest: list[str]
    behind: dict[str, int]

    def nothing_new(self, notes: Notes) -> bool:
        """Whether the event stands as it stood."""
        return not self.run and notes.left is not None and notes.left.keys() == {*self.rest, *self.behind}


def choose(case: Case, waiting: OpenEvents, overlay: Overlay, now: int) -> Choice:
    """Who of those that are not done can run now."""
    notes, record = case.notes, case.record
    overlay.fetch_answers([call for calls in notes.asked.values() for call in calls])
    choice = Choice([], [], {})
    for cartridge in _open(case):
        name = cartridge.id
        blocker = None
        if name in notes.due:
            ready = notes.due[name] <= now
        elif name in notes.asked:
            ready = any(overlay.known_answer(call) for call in notes.asked[name])
        else:
            if cartridge.ordered and record.entity is not None and notes.only is None:
                blocker = waiting.blocker(lane(record.entity, name))
            ready = blocker in (None, record.seq)
        if ready:
            choice.run.append(cartridge)
        elif blocker is None:
            choice.rest.append(name)
        else:
            choice.behind[name] = blocker
    return choice


def settle(case: Case, choice: Choice, results: Mapping[str, Result]) -> Result:
    """What the runs of the chosen come to, with what is known of all others. Updates `case.notes`."""
    notes, whole = case.notes, Result()
    before, notes.left = notes.left or {}, {}
    notes.left |= {name: before.get(name, "") for name in choice.rest}
    notes.left |= {name: f"behind e{blocker}, of the same entity" for name, blocker in choice.behind.items()}
    notes.due = {name: due for name, due in notes.due.items() if name in choice.rest}
    notes.asked = {name: calls for name, calls in notes.asked.items() if name in choice.rest}
    for name, result in results.items():
        whole.kept += result.kept
        whole.owed += result.owed
        whole.skipped |= result.skipped
        whole.unanswered |= result.unanswered
        whole.disabled |= result.disabled
        whole.struck |= result.struck
        if result.state in ("retry", "waiting"):
            notes.left[name] = result.reason
        if result.state == "retry" and result.due is not None:
            notes.due[name] = result.due
        elif result.state == "waiting":
            notes.asked[name] = [row.id for row in result.owed]
        elif result.state in ("dropped", "quarantined"):
            notes.ended[name] = [result.state, result.reason]
    notes.waits = [call for calls in notes.asked.values() for call in calls]
    notes.calls = {place: call for place, call in notes.calls.items() if place.partition("@")[0] in notes.left}
    if notes.left:
        _still_open(notes, whole)
    else:
        notes.left = None
        ended(notes, whole)
    return whole


def ended(notes: Notes, whole: Result) -> None:
    """Name what became of an event that is open for nobody."""
    held = {name: reason for name, (state, reason) in notes.ended.items() if state == "quarantined"}
    dropped = {name: reason for name, (state, reason) in notes.ended.items() if state == "dropped"}
    for state, those in (("quarantined", held), ("dead", notes.dead), ("dropped", dropped)):
        if those and whole.state == "applied":
            whole.state, whole.cartridge, whole.reason = state, ",".join(those), _named(those)
        elif those:
            word = "given up" if state == "dead" else "dropped"
            more = f"; {word}: {', '.join(f'{name}: {reason}' for name, reason in those.items())}"
            whole.reason = f"{whole.reason}{more}".removeprefix("; ")


def remembered(notes: Notes, state: str) -> dict[str, Any]:
    """What of an ended event is kept for a person's decision about it: what became of all, where it is not the same for all."""
    if state not in ("quarantined", "dead"):
        return {}
    ends = {end for end, _ in notes.ended.values()} | ({"dead"} if notes.dead else set())
    mixed = len(ends) > 1
    return Notes(dead=notes.dead if mixed else {}, ended=notes.ended if mixed else {}, round=notes.round).kept()


def brought_back(row: ExceptionRow, before: Notes) -> Notes:
    """What a second chance runs: those that the row names. Where it names none, the platform failed: those that were open."""
    names, held = _names(row), row.state == "quarantined"
    only = names or (before.only if before.left is None else list(before.left))
    dead = {name: reason for name, reason in before.dead.items() if name not in names}
    ends = {name: end for name, end in before.ended.items() if name not in names}
    failed, released = ([], names) if held else (names, [])
    return Notes(only=only, released=released, failed=failed, dead=dead, ended=ends, round=before.round + (not held))


def discarded(row: ExceptionRow, before: Notes, by: str) -> tuple[ExceptionRow, dict[str, Any]]:
    """What becomes of an event when a person gives up those that its row names; and what is remembered of it."""
    whole = Result()
    for name in _names(row) or [""]:
        given_up = before.dead.pop(name, None)
        reason = before.ended[name][1] if name in before.ended else given_up or row.reason
        before.ended[name] = ["dropped", f"{by}: {reason}"]
    ended(before, whole)
    return row._replace(state=whole.state, cartridge=whole.cartridge, reason=whole.reason), remembered(before, whole.state)


def _names(row: ExceptionRow) -> list[str]:
    return row.cartridge.split(",") if row.cartridge else []


def given_up(pipeline: str, rows: Sequence[ExceptionRow], overlay: Overlay) -> set[str]:
    """Those that were given up at events which are open, or held, for others."""
    places = [(pipeline, f"e{row.seq}") for row in rows if row.state != "dead"]
    overlay.fetch(states=places)
    return {name for place in places for name in Notes.read(overlay.state(*place)).dead}


def lane(entity: str, cartridge: str) -> str:
    """Where the open events of an entity queue up for one cartridge. No id of a cartridge has a space."""
    return f"{cartridge} {entity}"


def lanes(entity: str | None, notes: Notes) -> Lanes:
    """Where an open event stands, and whether it is behind others there."""
    if entity is None:
        return {}
    return {lane(entity, name): name not in notes.due and name not in notes.asked for name in notes.left or ()}


def standing(store: Store, plan: Plan, rows: Sequence[ExceptionRow]) -> dict[int, Lanes]:
    """Where the open events of a pipeline stand, as a new process finds them."""
    found: dict[int, Lanes] = {}
    for first in range(0, len(rows), READ_MAX):
        some = [row for row in rows[first : first + READ_MAX] if row.entity is not None]
        keys = {row.seq: (plan.pipeline, f"e{row.seq}") for row in some}
        known = store.snapshot(Keys(states=list(keys.values()), records=list(keys)))
        for row in some:
            data = known.states.get(keys[row.seq])
            notes = Notes.read(orjson.loads(data) if data else {})
            record = known.records.get(row.seq)
            if notes.left is None and record is not None:  # it was left open before there were leaves: for all, or a strike
                notes.left = dict.fromkeys(_met(plan, record), "")
                notes.due = {} if row.state == "behind" else dict.fromkeys(notes.left, 0)
            found[row.seq] = lanes(row.entity, notes)
    return found


def _met(plan: Plan, record: LogRow) -> list[str]:
    if record.kind == "timer":
        return [timer_owner(record, plan.pipeline)]
    return [cartridge.id for level in plan.route(record.type).levels for cartridge in level]


def _open(case: Case) -> Iterator[Cartridge]:
    notes = case.notes
    for level in case.route.levels:
        for cartridge in level:
            name = cartridge.id
            if name in notes.dead or (notes.only is not None and name not in notes.only):
                continue
            if notes.left is None or name in notes.left:
                yield cartridge


def _still_open(notes: Notes, whole: Result) -> None:
    left = notes.left or {}
    if notes.due:
        whole.state, names, whole.due = "retry", list(notes.due), min(notes.due.values())
    else:
        whole.state, names = ("waiting", list(notes.asked)) if notes.asked else ("behind", list(left))
    others = {name: reason for name, reason in left.items() if name not in names}
    whole.cartridge = ",".join(names)
    whole.reason = _named({name: left[name] for name in names})
    if others:
        whole.reason += f"; open too: {', '.join(f'{name}: {reason}' for name, reason in others.items())}"


def _named(reasons: Mapping[str, str]) -> str:
    """The reasons of one or several."""
    if len(reasons) == 1:
        return next(iter(reasons.values()))
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
