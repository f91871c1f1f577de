"""Decisions explained: what was asked about an event, which key of the settings had it held, who decided, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from eventctl import decisions
from eventctl.times import ago, iso
from eventctl.why import Explanation
from eventctl.whymoved import moved

if TYPE_CHECKING:
    from eventctl.store import DecisionRow, LogRow
    from eventctl.views import Trace, Views

HEADING = "What it asked to do"
LEVELS = {
    "L1": "L1 holds it for a person",
    "L2": "L2 lets it act with a time to take it back, and holds what is new",
    "L3": "L3 lets it act",
}


def add(told: Explanation, rows: list[DecisionRow], now: int) -> None:
    """What was asked about a record, beside whatever else there is to say of it."""
    told.add(HEADING, [line for row in rows for line in about(row, now)])
    told.facts["decisions"] = [_form(row) for row in rows]


def about(row: DecisionRow, now: int) -> list[str]:
    """One decision in sentences."""
    body = orjson.loads(row.body)
    lines = [f"d{row.number}: {body.get('by') or decisions.asker(row)} wants: {decisions.summary_of(row)}."]
    why = LEVELS.get(body.get("level", ""), "")
    if why:
        known = body.get("known", 0)
        times = "once" if known == 1 else f"{known} times"
        counted = f"; a person had approved the like {times}" if body["level"] == "L2" else ""
        lines.append(f"  {why} ({body.get('why')}){counted}.")
    return [*lines, f"  {_state(row, body, now)}."]


def of_decision(
    views: Views, row: DecisionRow, trace: Trace | None, *, now: int, when: Callable[[int], str] = iso
) -> Explanation:
    """Explain a decision: why it asks, and everything that was said to it. `trace` is of the event that it is about."""
    told = Explanation(f"d{row.number}  {decisions.summary_of(row)}")
    told.add("Why it asks", about(row, now))
    if trace is not None:
        told.add(
            "What it is about", [f"e{row.seq} {trace.record.type} from {trace.record.source}, {ago(trace.record.at, now)}."]
        )
        told.add("What was said to it", [line for child in trace.children for line in _said(child, row, when)])
    waits = row.state in decisions.WAITING
    told.next_steps = [f"eventctl decisions {'approve' if row.state == 'held' else 'undo' if waits else 'show'} d{row.number}"]
    told.next_steps += [f"eventctl why e{row.seq}"] if row.seq else []
    told.facts = {
        "subject": {"kind": "decision", "number": row.number},
        **_form(row),
        "sentences": [{"about": part.heading, "lines": part.lines} for part in told.parts],
    }
    return told


def _said(child: LogRow, row: DecisionRow, when: Callable[[int], str]) -> list[str]:
    """A record that an event led to, if it speaks of this decision."""
    body = orjson.loads(child.body)
    if child.kind == "move" and body.get("call") == row.call:
        return [f"{when(child.at)}: {moved(child)} (e{child.seq})."]
    if child.type.startswith("decision.") and body.get("payload", {}).get("call") == row.call:
        said = body.get("description", "")
        return [f"{when(child.at)}: {child.type.partition('.')[2]}{f': {said}' if said else ''} (e{child.seq})."]
    return []


def _state(row: DecisionRow, body: dict[str, Any], now: int) -> str:
    by = row.decided_by.removeprefix("cli:") or "nobody"
    at = ago(row.decided_at or row.asked_at, now)
    until = ago(row.due, now) if row.due is not None else ""
    approved = f"{by} approved it, and it" if row.approved else "It"
    error = str(body.get("error") or "")
    why = error.removeprefix(f"denied by {row.decided_by}")
    return {
        "held": f"It waits for a person, and is denied {until} without one", "window": f"It acts by itself {until}",
        "approved": f"{approved} is on its way", "done": f"{approved} was done" + (f"; the time to take it back ends {until}" if until else ""),
        "undoing": f"It was done, and is being taken back by {by}", "undone": f"{by} took it back {at}",
        "denied": f"{by} denied it {at}{why}", "expired": f"It expired {at}: nobody approved it",
        "failed": f"{approved} failed: {error}", "unknown": f"{approved} was cut off, and may have taken place or not",
    }[row.state]  # fmt: skip


def _form(row: DecisionRow) -> dict[str, Any]:
    body = orjson.loads(row.body)
    return {
        "decision": row.number, "state": row.state, "summary": decisions.summary_of(row), "by": body.get("by"), "level": body.get("level"),
        "why": body.get("why"), "known": body.get("known"), "decided_by": row.decided_by or None, "error": body.get("error") or None,
    }  # fmt: skip
