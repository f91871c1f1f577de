"""The answers to what a cartridge awaits: its state, history, annotations, and calls out of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from eventctl.catalog import Catalog
from eventctl.context import CartridgeContext, Deal
from eventctl.contracts import CallFailed, Decision
from eventctl.dag.case import Case, as_event
from eventctl.dag.gate import Gate
from eventctl.dag.overlay import Overlay
from eventctl.decisions import Wish
from eventctl.enrichments import PREFIX, seen_as
from eventctl.event import HOPS_MAX
from eventctl.ids import outbox_id
from eventctl.plan import Cartridge, Plan
from eventctl.store import LogRow, OutboxRow
from eventctl.trampoline import PARK, Ask, Mistake

Owed = OutboxRow | Wish
"""What a parked run waits for: a call that is owed, or something that has to be decided. Both have an `id` and a `name`."""

STAGES = frozenset({"trust", "dedup", "entity", "enrichment", "correlation", "classification", "projection"})
"""Slots of the system's stages: every cartridge may read them, none may own one."""


class Reads:
    """What one run of one cartridge may know. `earlier` holds what the levels before it have annotated in this run."""

    __slots__ = (
        "_cartridge",
        "_case",
        "_catalog",
        "_context",
        "_earlier",
        "_gate",
        "_overlay",
        "_plan",
        "_state",
        "now",
        "owed",
    )

    def __init__(
        self,
        case: Case,
        cartridge: Cartridge,
        context: CartridgeContext,
        overlay: Overlay,
        *,
        plan: Plan,
        catalog: Catalog,
        earlier: Mapping[str, bytes],
        now: int,
        gate: Gate,
    ) -> None:
        self._case = case
        self._cartridge = cartridge
        self._context = context
        self._overlay = overlay
        self._plan = plan
        self._catalog = catalog
        self._earlier = earlier
        self._gate = gate
        self._state: dict[str, Any] | None = None
        self.now = now
        self.owed: list[Owed] = []

    def answer(self, ask: Ask) -> Any:
        """The value, or `PARK`. Raises `CallFailed` or `Mistake` for the cartridge to see."""
        if ask.verb == "state":
            return self.state().get(ask.args[0])
        if ask.verb == "call":
            return self._call(*ask.args)
        if ask.verb == "decide":
            return self._decide(ask.args[0])
        if ask.verb == "history":
            entity, pattern, limit = ask.args
            if entity is None or limit == 0:
                return []
            rows = self._overlay.history(entity, self._case.record.seq, limit, pattern)
            return [as_event(row, self._catalog) for row in rows]
        if ask.verb == "descends":
            return self._descends()
        return self._annotations()

    def _descends(self) -> bool:
        """Whether the event follows, however far, from one that this cartridge has emitted."""
        record: LogRow | None = self._case.record
        for _ in range(HOPS_MAX + 1):
            if record is None or record.source == self._cartridge.rights.name:
                return record is not None
            record = self._overlay.record(record.caused_by) if record.caused_by is not None else None
        return False

    def state(self) -> dict[str, Any]:
        """What the cartridge remembers under this event's key."""
        if self._state is None:
            self._state = self._overlay.state(self._cartridge.rights.name, self._case.key_of(self._cartridge, self._catalog))
        return self._state

    def _annotations(self) -> dict[str, Any]:
        stored = self._overlay.annotations(self._case.record.seq)
        names = {slot: slot for slot in STAGES} | {slot: seen_as(slot) for slot in stored if slot.startswith(PREFIX)}
        names |= {other.slots_in + slot: slot for other, slot in self._done()}
        values = {name: stored[slot] for slot, name in names.items() if slot in stored} | dict(self._earlier)
        return {name: orjson.loads(value) for name, value in values.items()}

    def _done(self) -> list[tuple[Cartridge, str]]:
        """Slots that were filled before this run of the event, by cartridges of earlier levels: only a limited run has any."""
        only, level = self._case.notes.only, self._plan.level(self._cartridge.id)
        if only is None:
            return []
        return [
            (other, slot)
            for others in self._case.route.levels
            for other in others
            if other.id not in only and self._plan.level(other.id) < level
            for slot in other.rights.annotates
        ]

    def _call(self, name: str, number: int, args: bytes, emit: Mapping[str, Any] | None = None) -> Any:
        said = self._said(Deal("call", number, name, name, args, emit=emit))
        if said is None:
            return PARK
        if not said["ok"]:
            raise CallFailed(said["error"])
        return said["result"]

    def _decide(self, deal: Deal) -> Any:
        said = self._said(deal)
        if said is None:
            return PARK
        outcome = said.get("outcome") or ("done" if said["ok"] else "failed")
        return Decision(outcome, said.get("by", ""), said["result"], said.get("failed") or said["error"])

    def _said(self, deal: Deal) -> dict[str, Any] | None:
        """The recorded answer; None when it is owed.

        A call is known by its place in the run and its arguments; each retry by people asks again for what had failed.
        """
        fingerprint = sha256(deal.args).hexdigest()[:16]
        said: dict[str, Any] = {}
        for attempt in range(self._case.notes.round + 1):
            call = self._identity(deal.name, f"{deal.number}:{fingerprint}:{attempt}")
            known = self._same_again(deal.name, deal.number, attempt, call)
            record = self._overlay.answer(call)
            if record is None:
                self._owe(call, deal, known=known)
                return None
            said = orjson.loads(record.body)
            if said["ok"] if deal.form == "call" else said.get("outcome", "failed") != "failed":
                break
        return said

    def _identity(self, name: str, target: str) -> str:
        return outbox_id(self._case.record.seq, self._cartridge.rights.pipeline, self._cartridge.id, name, target)

    def _same_again(self, name: str, number: int, attempt: int, call: str) -> bool:
        """Whether it was asked for in an earlier run. One that asks for something else each time would ask for ever."""
        place = f"{self._cartridge.id}@{self._cartridge.code.hash[:12]}:{number}:{attempt}"
        known = place in self._case.notes.calls
        if self._case.notes.calls.setdefault(place, call) != call:
            self._context.outcome.hopeless = f"its call {number + 1}, of {name!r}, is not the one that it made before"
            raise Mistake(f"{self._context.outcome.hopeless}: a run must be repeatable (use context.now, never the clock)")
        return known

    def _owe(self, call: str, deal: Deal, *, known: bool) -> None:
        """What was asked for before stays as it was asked, whatever the settings say by now."""
        rights, record, gate = self._cartridge.rights, self._case.record, self._gate
        acts = deal.name not in gate.quiet
        asked = acts and self._overlay.decision(call) is not None
        if asked or (gate.holds(deal, rights, record) and not (known and deal.form == "call")):
            self._context.hop(f"the call of {deal.name!r}")
            self.owed.append(gate.wish(call, deal, rights, record))
        else:
            said: dict[str, Any] = {"cartridge": rights.cartridge, "args": orjson.Fragment(deal.args)}
            body = orjson.dumps(said | ({"emit": deal.emit} if deal.emit is not None else {}))
            self.owed.append(OutboxRow(call, "call", deal.name, rights.pipeline, record.seq, body, next_at=self.now))
        self._context.close()
