"""Silences: which notifications are kept quiet, for whom, until when, and why. A maintenance window is one that comes again.

Setting and ending one is a move. It is only appended: it takes effect where it stands in the log, when the system pipeline comes to
it, so that a rebuild gives the same. A silence is named after its record: `s42` was set by e42. What stands is one row of state,
which every batch reads; what is over is kept in a second one for people to look at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from eventctl import expressions, patterns, recurring
from eventctl.errors import Conflict, Misconfigured, NotFound, NotPermitted, UsageError
from eventctl.ids import uuid7
from eventctl.principal import Principal, allowed
from eventctl.store import LOG_PIPELINE, Keys, LogRow, Record, StateRow, Store
from eventctl.times import DAY, format_duration

SET, ENDED = "silence.set", "silence.ended"

OWNER = "system/silences"
STANDING, OVER = (OWNER, "standing"), (OWNER, "over")
"""The two rows of state."""

STANDING_MAX = 200
"""Silences that stand at a time. Their row is read with every batch: 200 are about 60 kB."""

OVER_MAX = 100
RECURRING_FOR = 90 * DAY
"""How long a recurring silence goes on when nobody says."""

LONGEST = 366 * DAY
REASON_MAX = 500


class Silence(NamedTuple):
    """A silence. Times are microseconds since 1970 UTC; what is empty does not narrow it down.

    `member` is whose view it touches, "" for the whole workspace. `type` is a dotted pattern, `source` one with * and ?, `when` an
    expression. With `every` it is on at those times of the week only. `kept` counts the events that it kept quiet, `last` is when.
    """

    number: int
    by: str
    since: int
    until: int
    member: str = ""
    type: str = ""
    source: str = ""
    entity: str = ""
    domain: str = ""
    when: str = ""
    every: tuple[str, ...] = ()
    timezone: str = ""
    reason: str = ""
    kept: int = 0
    last: int = 0
    errors: int = 0
    error: str = ""
    reminded: int = 0
    ended: int = 0
    ended_by: str = ""

    @property
    def name(self) -> str:
        """How people call it: `s42`."""
        return f"s{self.number}"

    def quiet_until(self, at: int) -> int | None:
        """Until when it is on at this moment, without a gap; None when it is not."""
        if not self.since <= at < self.until or self.ended:
            return None
        if not self.every:
            return self.until
        over = recurring.ends(self.every, self.timezone, at)
        return None if over is None else min(over, self.until)


def add(store: Store, wanted: Silence, *, principal: Principal, now: int) -> Silence:
    """Set a silence from `now` on. `number`, `by` and `since` of `wanted` are filled in here.

    Raises `NotPermitted` for another's view or, without being an admin, for the workspace; `UsageError` for one that makes no sense.
    """
    _permit(principal, SET, wanted.member)
    silence = wanted._replace(by=principal.subject, since=now)
    _check(silence)
    if len(standing(store)) >= STANDING_MAX:
        raise Conflict(f"{STANDING_MAX} silences stand already", hint="`eventctl silence list` shows them; end some")
    seq = _append(store, SET, _written(silence), principal, now)
    return silence._replace(number=seq)


def end(store: Store, number: int, *, principal: Principal, now: int) -> Silence:
    """End a silence: what it keeps quiet and is still open comes back. Raises `NotFound`, `Conflict` or `NotPermitted`."""
    found = standing(store).get(number)
    if found is None:
        over = ended(store).get(number)
        if over is not None:
            raise Conflict(f"s{number} is over already", hint="`eventctl silence list --all` shows since when")
        raise NotFound(f"there is no silence s{number}", hint="`eventctl silence list` shows what there is")
    _permit(principal, ENDED, found.member)
    _append(store, ENDED, {"silence": number, "member": found.member}, principal, now, caused_by=number)
    return found._replace(ended=now, ended_by=principal.subject)


def standing(store: Store) -> dict[int, Silence]:
    """The silences that stand by number, with what has been said and the pipeline has not come to yet."""
    found = read(store.snapshot(Keys(states=[STANDING])).states.get(STANDING))
    for row in _unread(store):
        if row.type == SET:
            found[row.seq] = of_record(row)
        elif row.type == ENDED:
            found.pop(int(orjson.loads(row.body)["silence"]), None)
    return found


def ended(store: Store) -> dict[int, Silence]:
    """The newest of those that are over, by number."""
    over = read(store.snapshot(Keys(states=[OVER])).states.get(OVER))
    at = read(store.snapshot(Keys(states=[STANDING])).states.get(STANDING))
    for row in _unread(store):
        number = int(orjson.loads(row.body)["silence"]) if row.type == ENDED else 0
        if number in at:
            over[number] = at[number]._replace(ended=row.at, ended_by=row.principal.partition(":")[2])
    return over


def of_record(row: LogRow) -> Silence:
    """The silence that a `silence.set` record sets."""
    said = orjson.loads(row.body)
    known = {name: said[name] for name in Silence._fields if name in said}
    return Silence(**{**known, "number": row.seq, "since": row.at, "every": tuple(said.get("every", ()))})


def read(stored: bytes | None) -> dict[int, Silence]:
    """What a row of state holds, by number, oldest first."""
    rows: list[dict[str, Any]] = orjson.loads(stored) if stored else []
    made = [Silence(**{**row, "every": tuple(row.get("every", ()))}) for row in rows]
    return {silence.number: silence for silence in made}


def row(which: tuple[str, str], silences: Iterable[Silence]) -> StateRow:
    """The row of state that holds these."""
    rows = [_written(silence) for silence in silences]
    return StateRow(*which, orjson.dumps(rows) if rows else None)


def words(silence: Silence) -> str:
    """What it is about, in words: `deployment.* from ci/*`."""
    parts = [silence.type or "everything"]
    parts += [f"from {silence.source}"] if silence.source else []
    parts += [f"about {silence.entity}"] if silence.entity else []
    parts += [f"of the domain {silence.domain}"] if silence.domain else []
    parts += [f"where {silence.when}"] if silence.when else []
    return " ".join(parts)


def _written(silence: Silence) -> dict[str, Any]:
    """Its fields, without those that hold nothing."""
    defaults = Silence._field_defaults
    return {name: value for name, value in silence._asdict().items() if name not in defaults or value != defaults[name]}


def _append(
    store: Store, verb: str, said: dict[str, Any], principal: Principal, now: int, *, caused_by: int | None = None
) -> int:
    body = orjson.dumps({"verb": verb, **said})
    return store.append([Record("move", "move", uuid7(now), verb, body, str(principal), now, caused_by=caused_by)])[0].seq


def _unread(store: Store) -> list[LogRow]:
    cursor = store.cursor(LOG_PIPELINE)
    after, found = cursor.pos if cursor else 0, []
    while rows := store.read_log(after, 1_000, kinds=("move",)):
        found += [row for row in rows if row.type in (SET, ENDED)]
        after = rows[-1].seq
    return found


def _permit(principal: Principal, verb: str, member: str) -> None:
    if allowed(principal, verb, member):
        return
    what = f"{principal.subject} may not {'set' if verb == SET else 'end'} a silence for {member or 'the whole workspace'}"
    raise NotPermitted(what, hint="ask an admin; `--mine` keeps it quiet for yourself" if not member else "it is theirs to say")


def _check(silence: Silence) -> None:
    if not (silence.type or silence.source or silence.entity or silence.domain or silence.when):
        raise UsageError(
            "a silence is about something", hint="say --type, --source, --entity, --domain or --when; `--type '**'` is all"
        )
    if not silence.reason.strip() or len(silence.reason) > REASON_MAX:
        raise UsageError(f"a silence has a reason of 1 to {REASON_MAX} characters", hint="--reason 'disks are being replaced'")
    if not silence.since < silence.until <= silence.since + LONGEST:
        raise UsageError(f"a silence ends in the future, within {format_duration(LONGEST)}", hint="--for 2h, or --until TIME")
    try:
        for text in silence.every:
            recurring.parse(text)
        recurring.zone(silence.timezone)
        if silence.type:
            patterns.check(silence.type)
        if silence.when:
            expressions.compiled(silence.when)
    except ValueError as error:
        raise UsageError(str(error)) from None
    except Misconfigured as error:
        raise UsageError(str(error.problems[0]) if error.problems else error.what, where="when") from None
