"""What the outcome of an event's run becomes in the store: annotations, state, timers, new events, and the news of a failure."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from eventctl.dag.case import Case, timer_body
from eventctl.dag.overlay import Overlay
from eventctl.dag.run import Kept, Result
from eventctl.dag.striking import Stricken
from eventctl.decode import to_record
from eventctl.event import HOPS_MAX, SCHEMA_VERSION
from eventctl.ids import derived_id
from eventctl.store import LogRow, Operations, Record, TimerRow
from eventctl.times import iso

FAILED = "cartridge.failed"
DISABLED = "system.cartridge.disabled"
RECOVERED = "cartridge.recovered"
STRUCK = "system.cartridge.struck"
_NEWS = {FAILED: 1_000_000, DISABLED: 2_000_000, RECOVERED: 3_000_000, STRUCK: 4_000_000}
"""Where the ordinals of news begin, far above what a cartridge may emit: the ids of all are derived."""


def write(case: Case, kept: Kept, overlay: Overlay, operations: Operations, now: int) -> None:
    """Add the effects of one cartridge's run, given that the event's run has ended and stands."""
    cartridge, outcome, state_key, state = kept
    owner = cartridge.rights.name
    for slot, value in outcome.annotations.items():
        overlay.annotate(case.record.seq, cartridge.slots_in + slot, value)
    if state is not None:
        overlay.set_state(owner, state_key, state, outcome.expires)
    for key, timer in outcome.timers.items():
        body = timer_body(case.record, state_key, timer.body)
        operations.timers.append(TimerRow(owner, key, timer.due, body))
    for event in outcome.emitted:
        operations.records.append(to_record(event, principal=f"cartridge:{owner}", at=now, caused_by=case.record.seq))


def passed_over(pipeline: str, case: Case, result: Result, overlay: Overlay, *, leaves: bool = False) -> None:
    """Say beside the event who did not run for it, where no dead letter says so; of `leaves`, beside what is said already."""
    skipped = result.unanswered | (result.skipped if leaves or result.state != "dead" else {})
    if skipped:
        slot = f"skipped:{pipeline}"
        said = orjson.loads(overlay.annotations(case.record.seq).get(slot, b"{}")) if leaves else {}
        overlay.annotate(case.record.seq, slot, orjson.dumps(said | skipped))


def news(pipeline: str, case: Case, result: Result, given_up: dict[str, str], now: int) -> Iterator[Record]:
    """Events about cartridges that gave up on this event or were switched off: a dead letter should not lie unseen."""
    attempts = case.notes.attempts
    for name, reason in given_up.items():
        if name in result.struck:  # that is told by itself
            continue
        facts = {"pipeline": pipeline, "cartridge": name, "seq": case.record.seq, "reason": reason}
        tried = attempts.get(name, 0) + 3 * case.notes.round
        yield from _tell(FAILED, pipeline, name, {**facts, "attempts": tried}, case.record, now, tried)
    for name, reason in result.disabled.items():
        facts = {"pipeline": pipeline, "cartridge": name, "reason": reason}
        yield from _tell(DISABLED, pipeline, name, facts, case.record, now, 0)


def struck(pipeline: str, case: Case, name: str, stricken: Stricken, reason: str, now: int) -> Iterator[Record]:
    """The event about a strike: the worker of a cartridge had to be ended, or ended itself."""
    strikes = stricken.unit.strikes
    facts: dict[str, object] = {"pipeline": pipeline, "cartridge": name, "seq": case.record.seq, "reason": reason}
    yield from _tell(STRUCK, pipeline, name, {**facts, "strikes": strikes}, case.record, now, strikes)


def recovered(pipeline: str, about: LogRow, cartridge: str, now: int) -> Iterator[Record]:
    """The event that says that no dead letter of a cartridge is left; `about` is the last one's event."""
    facts: dict[str, object] = {"pipeline": pipeline, "cartridge": cartridge}
    return _tell(RECOVERED, pipeline, cartridge, facts, about, now, now % 1_000_000)


def _tell(
    kind: str, pipeline: str, cartridge: str, payload: dict[str, object], about: LogRow, now: int, number: int
) -> Iterator[Record]:
    hops = about.hops + 1
    if hops > HOPS_MAX:  # news about news: somebody fails at hearing that they failed
        return
    identity = derived_id(about.source, about.id, pipeline, cartridge, _NEWS[kind] + number)
    envelope = {
        "id": identity,
        "event": kind,
        "version": SCHEMA_VERSION,
        "source": "eventctl",
        "timestamp": iso(now),
        "entity": f"{pipeline}/{cartridge}",
        "description": f"{cartridge}: {payload.get('reason', 'no dead letter is left')}"[:500],
        "payload": payload,
        "caused_by": about.id,
        "hops": hops,
    }
    body = orjson.dumps(envelope)
    yield Record("event", "eventctl", identity, kind, body, "system:pipeline", now, f"{pipeline}/{cartridge}", about.seq, hops)
