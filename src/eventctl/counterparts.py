"""Which call, event, notification of a trial is the one that a record of the log speaks of.

Records that are no events name others by their numbers, and a trial has numbers of its own. A call is found by the place that it
has in its event's run, a notification by its life and the event that opened it.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import product
from typing import Any

import orjson

from eventctl import moves
from eventctl.context import CALLS_MAX
from eventctl.errors import Conflict, NotFound
from eventctl.ids import outbox_id
from eventctl.scratch import Scratch
from eventctl.store import LOG_PIPELINE, Keys, LogRow, OutboxRow, Record, Store, TimerRow

CALLS_AGAIN = 3
"""Rounds of a call whose answers are looked for: the first, and retries by people."""


class Counterparts:
    """Between a source, which has happened, and a scratch store, in which it is tried."""

    def __init__(self, source: Store, scratch: Scratch) -> None:
        self._source = source
        self._scratch = scratch
        self._calls: dict[str, tuple[str, int]] = {}

    def call(self, row: OutboxRow) -> int | None:
        """The number in the source of the answer to a call that the trial owes; None when nobody has answered it."""
        number = self._scratch.origin(row.seq)
        stored = self._call_then(row, number) if number else None
        if stored is None:
            return None
        answer = self._source.snapshot(Keys(identities=[("outbox", stored)])).identities.get(("outbox", stored))
        if answer is None:
            return None
        self._calls[stored] = (row.id, row.seq)
        return answer.seq

    def answer(self, row: LogRow) -> LogRow | None:
        """An answer to the trial's own call; None when it has not made it."""
        body = orjson.loads(row.body)
        known = self._calls.pop(body["call"], None)
        if known is None:
            return None
        return row._replace(id=known[0], body=orjson.dumps({**body, "call": known[0], "seq": known[1]}))

    def decision(self, row: LogRow) -> LogRow | None:
        """A move that takes effect where it stands: about a held event, or a silence."""
        body: dict[str, Any] = orjson.loads(row.body)
        for name in ("seq", "silence"):
            if name in body:
                place = self._scratch.place(int(body[name]))
                if not place:
                    return None
                body[name] = place
        return row._replace(body=orjson.dumps(body))

    def move(self, row: LogRow) -> list[TimerRow] | None:
        """Make a move of the inbox, which takes effect at once; the timers it set, or None when there was nothing to make it on."""
        body: dict[str, Any] = orjson.loads(row.body)
        number = self._notification(int(body["notification"]))
        if number is None:
            return None
        cursor = self._scratch.cursor(LOG_PIPELINE)
        said = {**body, "notification": number, "saw": cursor.pos if cursor else 0}
        try:
            out = moves.apply(said, moves.read(self._scratch, said), -1, row.at)
            out.records.append(Record("move", row.source, row.id, row.type, orjson.dumps(said), row.principal, row.at))
            self._scratch.commit(out)
        except (Conflict, NotFound):
            return None
        return out.timers

    def _call_then(self, row: OutboxRow, number: int) -> str | None:
        """The id that this call had when it was made for the record's number in the source."""
        body = orjson.loads(row.body)
        fingerprint = sha256(orjson.dumps(body["args"])).hexdigest()[:16]
        for again, at in product(range(CALLS_AGAIN), range(CALLS_MAX)):
            target = f"{at}:{fingerprint}:{again}"
            if outbox_id(row.seq, row.pipeline, body["cartridge"], row.name, target) == row.id:
                return outbox_id(number, row.pipeline, body["cartridge"], row.name, target)
        return None

    def _notification(self, stored: int) -> int | None:
        """The notification here that is number `stored` in the source: opened by the same event, or else the newest of its life."""
        was = self._source.snapshot(Keys(notifications=[stored])).notifications.get(stored)
        if was is None:
            return None
        opener = self._source.snapshot(Keys(records=[was.opened_seq])).records.get(was.opened_seq)
        tables, scratch = self._scratch.tables, self._scratch
        number = None
        for number in tables.lives.rows.get((was.life, was.life_key), ()):
            opened = tables.notifications.rows[number].opened_seq
            made = scratch.made(opened)
            if scratch.origin(opened) == was.opened_seq or (made and opener and made.id == opener.id):
                return number
        return number
