"""What a batch knows: the committed state, fetched as far as it could be foreseen, under what the batch itself has decided.

Values are kept as bytes and parsed for each reader, so that nobody can change what somebody else will read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from eventctl.decisions import next_number
from eventctl.store import DecisionRow, Keys, LogRow, Operations, StateRow, Store

StateKey = tuple[str, str]


class Overlay:
    """Reads of one batch. Each is answered from what the batch has set, then from what was fetched, then from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records: dict[int, LogRow] = {}
        self._states: dict[StateKey, bytes | None] = {}
        self._set: dict[StateKey, bytes | None] = {}
        self._expires: dict[StateKey, int | None] = {}
        self._answers: dict[str, LogRow] = {}
        self._decisions: dict[str, DecisionRow | None] = {}
        self._approvals: dict[str, int] = {}
        self._number = 0
        self._annotations: dict[int, dict[str, bytes]] = {}
        self._annotated: dict[int, dict[str, bytes]] = {}

    def fetch(self, *, records: Iterable[int] = (), states: Iterable[StateKey] = ()) -> None:
        """Read these at once; what is not there is remembered as absent."""
        wanted = Keys(
            records=[seq for seq in dict.fromkeys(records) if seq not in self._records],
            states=[key for key in dict.fromkeys(states) if key not in self._states],
        )
        if not wanted.records and not wanted.states:
            return
        found = self._store.snapshot(wanted)
        self._records.update(found.records)
        self._states.update(dict.fromkeys(wanted.states))
        self._states.update(found.states)

    def record(self, seq: int) -> LogRow | None:
        """A record of the log."""
        if seq not in self._records:
            self.fetch(records=[seq])
        return self._records.get(seq)

    def state(self, owner: str, key: str) -> dict[str, Any]:
        """What an owner remembers under a key: names to values, a copy."""
        at = (owner, key)
        if at in self._set:
            data = self._set[at]
        else:
            if at not in self._states:
                self.fetch(states=[at])
            data = self._states[at]
        return orjson.loads(data) if data else {}

    def set_state(self, owner: str, key: str, values: Mapping[str, Any], expires: int | None = None) -> None:
        """Remember these names and values under a key, and nothing else there; from `expires` on nobody needs them."""
        self._set[owner, key] = orjson.dumps(values) if values else None
        self._expires[owner, key] = expires

    def answered(self, record: LogRow) -> None:
        """Know the record of an answer."""
        self._answers[record.id] = record

    def fetch_answers(self, calls: Sequence[str]) -> None:
        """Read what has been answered of these."""
        wanted = [("outbox", call) for call in calls if call not in self._answers]
        if wanted:
            for record in self._store.snapshot(Keys(identities=wanted)).identities.values():
                self._answers[record.id] = record

    def answer(self, call: str) -> LogRow | None:
        """The record of a call's answer, if there is one."""
        self.fetch_answers([call])
        return self._answers.get(call)

    def known_answer(self, call: str) -> LogRow | None:
        """Likewise, of those that were fetched."""
        return self._answers.get(call)

    def decision(self, call: str) -> DecisionRow | None:
        """What was made of a call that was asked for, in this batch or before."""
        if call not in self._decisions:
            self._decisions[call] = self._store.snapshot(Keys(decisions=[call])).decisions.get(call)
        return self._decisions[call]

    def decide(self, row: DecisionRow) -> None:
        """Know a decision of this batch."""
        self._decisions[row.call] = row

    def approvals(self, kind: str) -> int:
        """How often people have approved a kind of action."""
        if kind not in self._approvals:
            self._approvals[kind] = self._store.snapshot(Keys(approvals=[kind])).approvals.get(kind, 0)
        return self._approvals[kind]

    def next_decision(self) -> int:
        """The number of the next decision of this batch."""
        self._number = self._number + 1 if self._number else next_number(self._store)
        return self._number

    def annotations(self, seq: int) -> dict[str, bytes]:
        """What stands beside an event, by slot."""
        if seq not in self._annotations:
            self._annotations[seq] = self._store.snapshot(Keys(annotations=[seq])).annotations.get(seq, {})
        return {**self._annotations[seq], **self._annotated.get(seq, {})}

    def annotate(self, seq: int, slot: str, value: bytes) -> None:
        """Put a value beside an event."""
        self._annotated.setdefault(seq, {})[slot] = value

    def history(self, entity: str, before: int, limit: int, pattern: str) -> list[LogRow]:
        """Events of an entity before a record, newest first."""
        return self._store.history(entity, before=before, limit=limit, pattern=pattern)

    def write(self, operations: Operations) -> None:
        """What the batch has set, as operations."""
        operations.states += [StateRow(*at, value, self._expires[at]) for at, value in self._set.items()]
        operations.annotations += [
            (seq, slot, value) for seq, slots in self._annotated.items() for slot, value in slots.items()
        ]
