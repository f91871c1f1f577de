"""The answers to what a cartridge awaits: its state, history, annotations, and calls out of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from eventctl.catalog import Catalog
from eventctl.context import CartridgeContext
from eventctl.contracts import CallFailed
from eventctl.dag.case import Case, as_event
from eventctl.dag.overlay import Overlay
from eventctl.enrichments import PREFIX, seen_as
from eventctl.event import HOPS_MAX
from eventctl.ids import outbox_id
from eventctl.plan import Cartridge, Plan
from eventctl.store import LogRow, OutboxRow
from eventctl.trampoline import PARK, Ask, Mistake

STAGES = frozenset({"trust", "dedup", "entity", "enrichment", "correlation", "classification", "projection"})
"""Slots of the system's stages: every cartridge may read them, none may own one."""


class Reads:
    """What one run of one cartridge may know. `earlier` holds what the levels before it have annotated in this run."""

    __slots__ = ("_cartridge", "_case", "_catalog", "_context", "_earlier", "_overlay", "_plan", "_state", "now", "owed")

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
    ) -> None:
        self._case = case
        self._cartridge = cartridge
        self._context = context
        self._overlay = overlay
        self._plan = plan
        self._catalog = catalog
        self._earlier = earlier
        self._state: dict[str, Any] | None = None
        self.now = now
        self.owed: list[OutboxRow] = []

    def answer(self, ask: Ask) -> Any:
        """The value, or `PARK`. Raises `CallFailed` or `Mistake` for the cartridge to see."""
        if ask.verb == "state":
            return self.state().get(ask.args[0])
        if ask.verb == "call":
            return self._call(*ask.args)
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

    def _call(self, name: str, number: int, args: bytes) -> Any:
        """The recorded answer.

        A call is known by its place in the run and its arguments; each retry by people asks again for what had failed.
        """
        fingerprint = sha256(args).hexdigest()[:16]
        for attempt in range(self._case.notes.round + 1):
            call = self._identity(name, f"{number}:{fingerprint}:{attempt}")
            self._same_again(name, number, attempt, call)
            record = self._overlay.answer(call)
            if record is None:
                return self._owe(call, name, args)
            said = orjson.loads(record.body)
            if said["ok"]:
                return said["result"]
        raise CallFailed(said["error"])

    def _identity(self, name: str, target: str) -> str:
        return outbox_id(self._case.record.seq, self._cartridge.rights.pipeline, self._cartridge.id, name, target)

    def _same_again(self, name: str, number: int, attempt: int, call: str) -> None:
        """A run that asks for something else each time would ask for ever."""
        place = f"{self._cartridge.id}@{self._cartridge.code.hash[:12]}:{number}:{attempt}"
        if self._case.notes.calls.setdefault(place, call) != call:
            self._context.outcome.hopeless = f"its call {number + 1}, of {name!r}, is not the one that it made before"
            raise Mistake(f"{self._context.outcome.hopeless}: a run must be repeatable (use context.now, never the clock)")

    def _owe(self, call: str, name: str, args: bytes) -> Any:
        case, rights = self._case, self._cartridge.rights
        body = orjson.dumps({"cartridge": rights.cartridge, "args": orjson.Fragment(args)})
        self.owed.append(OutboxRow(call, "call", name, rights.pipeline, case.record.seq, body, next_at=self.now))
        self._context.close()
        return PARK
