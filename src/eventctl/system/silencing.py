"""Silences at work: which events they keep quiet, how many, and the reminders of those that people may have forgotten.

Whether a silence is on is asked at the moment of ingestion. What ends one, a move or its time, brings back what it keeps quiet
through a timer, which stands alone in its batch and finds the rows by the silence's name. What another silence is about stays quiet
under that one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import lru_cache
from typing import Any

import orjson

from eventctl import silences
from eventctl.errors import Misconfigured
from eventctl.event import SCHEMA_VERSION
from eventctl.expressions import Facts, Unanswered, compiled
from eventctl.ids import derived_id
from eventctl.moves import INBOX
from eventctl.notification import Notification
from eventctl.patterns import matches
from eventctl.silences import OVER, OVER_MAX, STANDING, STANDING_MAX, Silence
from eventctl.store import Keys, LogRow, Operations, Record, Snapshot, TimerRow
from eventctl.system import Item
from eventctl.system.due import Due
from eventctl.system.shaped import Quiet, Shaped
from eventctl.times import DAY, iso

SOURCE = "eventctl:silences"
PRINCIPAL = "cartridge:system/silences"
FORGOTTEN, GONE = "system.silence.forgotten", "system.silence.ended"
OWN = "system.silence."
"""What is said about silences is not silenced."""

LONG = 7 * DAY
"""A silence that has been on for so long, or a recurring one that is about to end, is worth a reminder."""

IDLE = 30 * DAY
"""So is one that has kept nothing quiet for so long."""

TIMER = "silence"


def prepare(keys: Keys) -> None:
    """What every batch must know."""
    keys.states.append(STANDING)


class Silencing:
    """The silences as one batch finds them and leaves them."""

    def __init__(self, snapshot: Snapshot, out: Operations) -> None:
        stored = snapshot.states.get(STANDING)
        self._standing = dict(_read(stored)) if stored else {}
        self._stored_over = snapshot.states.get(OVER)
        self._over: dict[int, Silence] = {}
        self._changed = False
        self._out = out

    def __bool__(self) -> bool:
        return bool(self._standing)

    def said(self, row: LogRow) -> None:
        """A move sets or ends one."""
        if row.type == silences.SET:
            self._set(silences.of_record(row))
            return
        found = self._standing.get(int(orjson.loads(row.body)["silence"]))
        if found is not None:
            self._end(found, row.at, row.principal.partition(":")[2], row.seq)

    def judge(self, item: Item, facts: Facts) -> None:
        """Keep the event quiet as far as silences say so."""
        if item.type.startswith(OWN):
            return
        for silence in self._standing.values():
            until = silence.quiet_until(item.moment)
            if until is None or not self._about(silence, item.type, item.source, item.entity, item.filed.domain, facts):
                continue
            shape = item.shape = item.shape or Shaped()
            told = {
                "silence": silence.name,
                "effect": "silence",
                "by": silence.by,
                "until": iso(until),
                "reason": silence.reason,
            }
            shape.silence(silence.name, until, told | ({"member": silence.member} if silence.member else {}), silence.member)

    def still(self, row: Notification, event: LogRow, noted: Mapping[str, Any], at: int) -> Quiet | None:
        """What else keeps a notification quiet when one silence is over: of several the one that ends last.

        `event` is the newest of its life, `noted` the annotations beside it.
        """
        if event.type.startswith(OWN):
            return None
        facts = Facts(
            orjson.loads(event.body), level=row.level, domain=row.domain, entity=event.entity, annotations=noted, now=event.at,
            principal=event.principal,
        )  # fmt: skip
        found = None
        for silence in self._standing.values():
            until = None if silence.member else silence.quiet_until(at)
            if until is None or (found is not None and until <= found.until):
                continue
            if self._about(silence, event.type, event.source, event.entity, row.domain, facts):
                found = Quiet(silence.name, until)
        return found

    def kept(self, name: str, at: int) -> None:
        """Count one event that a silence of that name has kept quiet."""
        found = self._standing.get(int(name[1:]))
        if found is not None:
            self._put(found._replace(kept=found.kept + 1, last=at))

    def fire(self, due: Due) -> None:
        """A timer of a silence: its end, or a look at whether it is forgotten."""
        found = self._standing.get(due.number)
        if found is None:
            return
        if due.who == "end":
            self._end(found, found.until, "", due.seq)
        elif due.who == "idle" and found.last > due.moment - IDLE:
            self._timer("idle", found, found.last + IDLE)
        else:
            why = {"idle": "has kept nothing quiet for 30 days", "soon": "ends within 7 days"}.get(
                due.who, "has been on for 7 days"
            )
            self._remind(found, why, due)

    def finish(self) -> None:
        """Write what has changed."""
        if self._changed:
            self._out.states.append(silences.row(STANDING, self._standing.values()))
        if self._over:
            over = {**silences.read(self._stored_over), **self._over}
            self._out.states.append(silences.row(OVER, list(over.values())[-OVER_MAX:]))

    def _set(self, silence: Silence) -> None:
        if len(self._standing) >= STANDING_MAX:
            self._over[silence.number] = silence._replace(ended=silence.since, ended_by="there were too many")
            return
        self._put(silence)
        self._timer("end", silence, silence.until)
        remind, at = ("soon", silence.until - LONG) if silence.every else ("long", silence.since + LONG)
        if silence.since < at < silence.until:
            self._timer(remind, silence, at)
        if silence.since + IDLE < silence.until:
            self._timer("idle", silence, silence.since + IDLE)

    def _end(self, silence: Silence, at: int, by: str, seq: int) -> None:
        del self._standing[silence.number]
        self._changed = True
        self._over[silence.number] = silence._replace(ended=at, ended_by=by)
        self._timer("over", silence, at)
        self._out.timers_cleared += [
            (INBOX, f"{TIMER}:{what}:{silence.number}", None) for what in ("end", "soon", "long", "idle")
        ]
        if silence.member:
            self._out.unsnoozed.append(silence.name)
        if silence.reminded:
            self._tell(GONE, {"silence": silence.name}, silence, at, seq)

    def _remind(self, silence: Silence, why: str, due: Due) -> None:
        self._put(silence._replace(reminded=due.moment))
        told = {
            "silence": silence.name, "why": why, "about": silences.words(silence), "by": silence.by, "reason": silence.reason,
            "until": iso(silence.until), "kept": silence.kept,
        }  # fmt: skip
        self._tell(FORGOTTEN, told, silence, due.moment, due.seq)

    def _tell(self, kind: str, payload: dict[str, object], silence: Silence, at: int, seq: int) -> None:
        id_ = derived_id(SOURCE, f"{kind}:{silence.number}:{seq}", "system", "silences", 0)
        told = payload | ({"audience": f"member:{silence.member}"} if silence.member else {})
        envelope = {
            "id": id_, "event": kind, "version": SCHEMA_VERSION, "source": SOURCE, "timestamp": iso(at), "payload": told, "hops": 1,
        }  # fmt: skip
        body = orjson.dumps(envelope)
        self._out.records.append(Record("event", SOURCE, id_, kind, body, PRINCIPAL, at, None, caused_by=seq, hops=1))

    def _about(self, silence: Silence, kind: str, source: str, entity: str | None, domain: str, facts: Facts) -> bool:
        fits = (
            (not silence.type or matches(silence.type, kind))
            and (not silence.entity or silence.entity == entity)
            and (not silence.domain or (bool(domain) and matches(silence.domain, domain)))
            and (not silence.source or _glob(silence.source).match(source) is not None)
        )
        if not fits or not silence.when:
            return fits
        try:
            return compiled(silence.when).holds(facts)
        except (Unanswered, Misconfigured) as error:
            self._put(silence._replace(errors=silence.errors + 1, error=str(error)[:200]))
            return False

    def _put(self, silence: Silence) -> None:
        self._standing[silence.number] = silence
        self._changed = True

    def _timer(self, what: str, silence: Silence, due: int) -> None:
        self._out.timers.append(TimerRow(INBOX, f"{TIMER}:{what}:{silence.number}", due))


@lru_cache(maxsize=4)
def _read(stored: bytes) -> dict[int, Silence]:
    """Shared between batches: copy before changing."""
    return silences.read(stored)


@lru_cache(maxsize=256)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
