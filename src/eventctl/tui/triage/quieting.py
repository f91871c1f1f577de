"""The forms that keep something quiet: a snooze for oneself, a silence for what comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from eventctl import patterns
from eventctl.silences import LONGEST, REASON_MAX, Silence
from eventctl.times import DAY, HOUR, WEEK, format_duration, from_datetime, parse_duration, to_datetime
from eventctl.tui.dialogs import Field
from eventctl.tui.look import said

if TYPE_CHECKING:
    from eventctl.notification import Notification
    from eventctl.store import Store

MORNING = 9
"""The hour at which a snooze until tomorrow ends, where the machine stands."""

SNOOZES = {"1h": HOUR, "4h": 4 * HOUR, "3d": 3 * DAY, "1w": WEEK}
TOMORROW = "tomorrow"

EVERYBODY, MINE = "everybody", "mine"


def snooze_fields() -> list[Field]:
    """How long it is to be left out."""
    choices = [
        ("1h", "1 hour"), ("4h", "4 hours"), (TOMORROW, f"until tomorrow {MORNING}:00"), ("3d", "3 days"), ("1w", "1 week")
    ]  # fmt: skip
    own = Field("own", "or for", hint="90m, 2d 12h: goes before what is chosen above", check=_optional(parse_duration))
    return [Field("for", "for", choices=choices), own]


def snoozed_until(values: Mapping[str, Any], now: int) -> int:
    """When the snooze of a filled-in form ends, in microseconds since 1970 UTC."""
    own = values["own"].strip()
    if own:
        return now + parse_duration(own)
    return tomorrow(now) if values["for"] == TOMORROW else now + SNOOZES[values["for"]]


def tomorrow(now: int) -> int:
    """Tomorrow morning, by the clock on the wall here."""
    today = to_datetime(now).astimezone().date()
    morning = datetime.combine(today + timedelta(days=1), datetime.min.time()).replace(hour=MORNING)
    return from_datetime(morning.astimezone())


class Alike:
    """What several rows have in common, as far as a silence can say it; "" where they differ."""

    def __init__(self, store: Store, rows: Iterable[Notification]) -> None:
        found = list(rows)
        records = [store.views.record(row.seq) for row in found]
        self.type = _one(row.type for row in found)
        self.entity = _one(row.entity or "" for row in found)
        self.domain = _one(row.domain for row in found)
        self.source = _one(record.source if record else "" for record in records)


def silence_fields(alike: Alike, *, mine_only: bool) -> list[Field]:
    """What is to be quiet, for whom, for how long and why, beginning with what the rows have in common."""
    whom = [(MINE, "for me")] if mine_only else [(MINE, "for me"), (EVERYBODY, "for everybody")]
    return [
        Field("type", "type", alike.type, hint="like deployment.*", check=_optional(patterns.check)),
        Field("entity", "entity", alike.entity, hint="about any"),
        Field("source", "source", alike.source, hint="from any; * and ? stand for others"),
        Field("domain", "domain", alike.domain, hint="of any", check=_optional(patterns.check)),
        Field("for", "for", "1d", hint="2h, 3d", check=_lasting),
        Field("reason", "reason", hint="who misses it is told", check=_reason),
        Field("whom", "for whom", choices=whom),
    ]


def silence_mistakes(values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the form as a whole: a silence is about something."""
    return {} if any(values[name].strip() for name in ("type", "entity", "source", "domain")) else {
        "type": "a silence is about something; ** is everything"
    }  # fmt: skip


def silence(values: Mapping[str, Any], member: str, now: int) -> Silence:
    """The silence of a filled-in form, as `silences.add` takes it."""
    said_of = {name: values[name].strip() for name in ("type", "entity", "source", "domain", "reason")}
    until = now + parse_duration(values["for"].strip())
    return Silence(0, "", 0, until, member=member if values["whom"] == MINE else "", **said_of)


def _one(values: Iterable[str]) -> str:
    """The one value that all have and that can be typed. One with signs that no keyboard has would come back as another."""
    found = set(values)
    value = found.pop() if len(found) == 1 else ""
    return value if value == said(value, len(value) + 1) else ""


def _optional(check: Callable[[str], object]) -> Callable[[str], str]:
    def judge(text: str) -> str:
        try:
            check(text.strip()) if text.strip() else None
        except ValueError as wrong:
            return str(wrong)
        return ""

    return judge


def _lasting(text: str) -> str:
    try:
        lasts = parse_duration(text.strip())
    except ValueError as wrong:
        return str(wrong)
    return "" if 0 < lasts <= LONGEST else f"a silence ends within {format_duration(LONGEST)}"


def _reason(text: str) -> str:
    return "" if 0 < len(text.strip()) <= REASON_MAX else f"a reason has 1 to {REASON_MAX} characters"
