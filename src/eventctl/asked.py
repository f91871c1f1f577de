"""What a trial would have done in the world: nothing of it is done, and it is told instead.

An event that the executor `emit` would have made at once is made: it stays inside the trial. Every other effect is a call whose
recorded answer is looked for.
"""

from __future__ import annotations

import orjson

from eventctl.context import EMIT
from eventctl.decisions import KIND, asker, summary_of
from eventctl.outbox import wished_event
from eventctl.store import DecisionRow, Operations, OutboxRow, Record

LEVELS = {"held": "would be held", "window": "would act after its window", "approved": "would act", "done": "would act"}


def owing(operations: Operations, now: int) -> list[OutboxRow]:
    """The calls whose answers somebody waits for; events that would be made are among the records now."""
    calls: list[OutboxRow] = []
    for row in operations.outbox:
        made = wished_event(row, now) if row.name == EMIT else None
        if isinstance(made, Record):
            operations.records.append(made)
        if row.kind != KIND:
            calls.append(row)
    for asks in operations.decisions:
        body = orjson.loads(asks.body)
        if body.get("form") != "propose":
            told = orjson.dumps({"cartridge": body["cartridge"], "args": body["args"]})
            calls.append(OutboxRow(asks.call, KIND, asks.name, asks.pipeline, asks.seq, told))
    return calls


def words(row: DecisionRow) -> str:
    """What was asked and what autonomy made of it, without a number of the trial."""
    body = orjson.loads(row.body)
    return f"{asker(row)}: {summary_of(row)} ({LEVELS.get(row.state, row.state)}: {body['level']}, {body['why']})"
