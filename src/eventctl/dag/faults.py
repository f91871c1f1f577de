"""What rules without code could not answer: counted by rule, in one row of the pipeline's own state, and the end of their patience.

A rule that has no answer for an event (a field is missing, two values cannot be compared) stops nothing: the event goes on without
it. One that has none for `ERRORS_MAX` events in a row never had one: it is switched off, until its file changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from eventctl.store import LOG_PIPELINE, Keys, Store
from eventctl.times import iso

STATE = "errors"
"""The key of the row, under the pipeline's own name."""

ERRORS_MAX = 10
"""Events in a row without an answer. An answer in between begins anew: a field may well be missing now and then."""

REASON_MAX = 300


class Fault(NamedTuple):
    """What is remembered of a rule: all errors of this content of its file, those in a row, and the last one."""

    errors: int
    row: int
    last: str
    seq: int
    at: str
    hash: str


def read(state: Mapping[str, Any]) -> dict[str, Fault]:
    """The faults in a row of state, by rule."""
    return {name: Fault(**kept) for name, kept in state.items()}


def kept(faults: Mapping[str, Fault]) -> dict[str, Any]:
    """The same as a row of state."""
    return {name: fault._asdict() for name, fault in faults.items()}


def failed(faults: dict[str, Fault], rule: str, hash_: str, reason: str, seq: int, at: int) -> str:
    """Count one event without an answer. Gives the reason to switch the rule off, "" while there is none."""
    known = faults.get(rule)
    errors, row = (known.errors, known.row) if known and known.hash == hash_ else (0, 0)
    faults[rule] = Fault(errors + 1, row + 1, reason[:REASON_MAX], seq, iso(at), hash_)
    if row + 1 < ERRORS_MAX:
        return ""
    return f"it had no answer for {row + 1} events in a row, the last time because {reason[:REASON_MAX]}"


def answered(faults: dict[str, Fault], rules: Iterable[str]) -> bool:
    """Count an event that these had an answer for. Gives whether that changes anything."""
    recovered = [name for name in rules if name in faults and faults[name].row]
    for name in recovered:
        faults[name] = faults[name]._replace(row=0)
    return bool(recovered)


class Standing(NamedTuple):
    """What a rule could not answer, as people are told it. `path` is its file; `row` is how many events in a row."""

    rule: str
    path: str
    pipeline: str
    errors: int
    row: int
    last: str
    seq: int
    at: str

    @property
    def suspended(self) -> bool:
        """Whether it acts no more although its unit is active, as a rule that shapes does."""
        return self.pipeline == LOG_PIPELINE and self.row >= ERRORS_MAX

    def __str__(self) -> str:
        times = "1 event" if self.errors == 1 else f"{self.errors:,} events"
        since = f", {self.row} in a row" if 1 < self.row < self.errors else ""
        over = "; it is suspended until its file changes" if self.suspended else ""
        return f"had no answer for {times}{since}; the last time, e{self.seq}: {self.last}{over}"


def standing(store: Store) -> list[Standing]:
    """The errors of all rules whose files are still what they were."""
    files = {unit.hash: unit.path for unit in store.units().values()}
    pipelines = [cursor.pipeline for cursor, _ in store.views.cursors()]
    states = store.snapshot(Keys(states=[(pipeline, STATE) for pipeline in pipelines])).states
    return [
        Standing(rule, files[fault.hash], pipeline, fault.errors, fault.row, fault.last, fault.seq, fault.at)
        for (pipeline, _), state in states.items()
        if state
        for rule, fault in read(orjson.loads(state)).items()
        if fault.hash in files
    ]
