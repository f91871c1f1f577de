"""What shaping did to an event, and what keeps a notification quiet, in sentences: from what was noted beside the event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from eventctl.event import Level
from eventctl.notification import Notification
from eventctl.store import SHADOW, SHAPED
from eventctl.times import FOREVER, parse_iso

When = Callable[[int], str]


def silenced(value: bytes, when: When) -> list[str]:
    """One sentence for each silence that kept an event quiet; what rules did is said by `whyspoke`."""
    return [sentence(each, when) for each in orjson.loads(value) if "rule" not in each]


def shadowed(slot: str) -> str:
    """The rule that says in this slot what it would have done (`big`, `ada/big`); "" for another slot."""
    owner, slash, name = slot.rpartition("/")
    return (
        f"{owner}{slash}{name.removeprefix(SHADOW)}"
        if name.startswith(SHADOW)
        else slot[len(SHADOW) :]
        if slot.startswith(SHADOW)
        else ""
    )


def quiet(row: Notification, annotations: Mapping[str, bytes], now: int, when: When) -> list[str]:
    """Why a notification is out of sight, if it is. `annotations` are those of its newest event."""
    by, until = row.silenced_by, row.silenced_until
    if by is None or until is None or until <= now:
        return []
    if by.startswith("n"):
        return [f"It is gathered in {by}, which stands for it as long as it is open."]
    noted = orjson.loads(annotations[SHAPED]) if SHAPED in annotations else []
    own = [each for each in noted if by in (each.get("silence"), f"rule:{each.get('rule')}") and each["effect"] == "silence"]
    if own:
        return [sentence(own[0], when)]
    end = "" if until >= FOREVER else f" until {when(until)}"
    return [f"{by.removeprefix('rule:')} keeps it quiet{end}."]


def sentence(said: Mapping[str, Any], when: When, *, shadow: bool = False) -> str:
    """What one rule or silence did to an event; `shadow` says that it only would have."""
    who = f"The rule {said['rule']}" if "rule" in said else f"The silence {said.get('silence')}, set by {said.get('by')},"
    values: dict[str, Any] = said.get("values") or {}
    counted = f", having counted {values['count']} since {when(parse_iso(values['since']))}" if "count" in values else ""
    if shadow:
        return f"{who} is in shadow mode; it would have done [{said['effect']}]{counted}."
    if said["effect"] == "set":
        before, after = values["level"]
        return f"{who} set its level to {_level(after)}; it was {_level(before)}{counted}."
    if said["effect"] == "group":
        by = ", ".join(f"{field} {value}" for field, value in values.get("by", {}).items())
        return f"{who} gathered it with others of the same {by}{counted}."
    whom = f"from {said['member']}" if said.get("member") else "from everybody"
    reason = f": {said['reason']}" if said.get("reason") else ""
    return f"{who} keeps it quiet, {whom}, until {when(parse_iso(said['until']))}{counted}{reason}."


def _level(number: int) -> str:
    return Level(number).name.lower()
