"""The ids that people type: `e42` a record, `n7` a notification, `d3` a decision, `r3` a reject, `s42` a silence, or the beginning of a long id.

A bare number is what the command is about. Whatever was typed must name one thing: two candidates are an error that lists them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson

from eventctl.errors import NotFound, UsageError

if TYPE_CHECKING:
    from eventctl.notification import Notification
    from eventctl.store import DecisionRow, LogRow
    from eventctl.views import Views

_SHORT = re.compile(r"([endrs]?)([0-9]{1,18})", re.IGNORECASE)
PREFIX_MIN = 4
"""Characters that are enough for the beginning of a long id."""


def parse(text: str) -> tuple[str, int] | None:
    """(`e` | `n` | `d` | `r` | `s` | "", number) for a short id; None when it is not one."""
    found = _SHORT.fullmatch(text.strip())
    return (found[1].lower(), int(found[2])) if found else None


def number(text: str, letter: str, noun: str) -> int:
    """The number of a `noun` whose ids begin with `letter`; the letter may be left out."""
    short = parse(text)
    if short is None or short[0] not in ("", letter):
        raise UsageError(f"{text!r} is no {noun}", hint=f"a {noun} is named {letter} and its number, like {letter}42")
    return short[1]


def notification(views: Views, text: str) -> Notification:
    """The notification that `n7` or `7` names."""
    wanted = number(text, "n", "notification")
    found = views.notification(wanted)
    if found is None:
        raise NotFound(f"there is no notification n{wanted}", hint="`eventctl inbox list --archived` shows all there are")
    return found


def decision(views: Views, text: str) -> DecisionRow:
    """The decision that `d3` or `3` names, or the one that the notification `n12` tells of."""
    short = parse(text)
    wanted = _told_by(views, text) if short is not None and short[0] == "n" else number(text, "d", "decision")
    found = views.decision(wanted)
    if found is None:
        raise NotFound(f"there is no d{wanted}", hint="`eventctl decisions list --all` shows what there is")
    return found


def _told_by(views: Views, text: str) -> int:
    told = notification(views, text)
    newest = views.record(told.seq)
    if newest is None or not newest.type.startswith("decision."):
        raise UsageError(f"n{told.id} is about no decision", hint="`eventctl decisions list` shows what waits for one")
    return int(orjson.loads(newest.body)["payload"]["number"])


def record(views: Views, text: str) -> LogRow:
    """The record that `e42`, `42`, or the beginning of its id names."""
    short = parse(text)
    if short and short[0] in ("", "e"):
        found = views.record(short[1])
        if found is None and short[0]:
            raise NotFound(f"there is no record e{short[1]}", hint="`eventctl log show` lists the newest ones")
        if found is not None:
            return found
    return _by_prefix(views, text)


def _by_prefix(views: Views, text: str) -> LogRow:
    hint = "a record is named like e42, or by the beginning of its id; `eventctl log show` lists the newest ones"
    found = views.find(text)  # in the order of their ids: a whole one comes before those that only begin with it
    candidates = [row for row in found if row.id == text] or (found if len(text) >= PREFIX_MIN else [])
    if not candidates:
        raise NotFound(f"there is no record {text!r}", hint=hint)
    if len(candidates) > 1:
        shown = ", ".join(f"e{row.seq} {row.type}" for row in candidates)
        raise UsageError(f"{text!r} could be {len(candidates)} records", hint=f"say which: {shown}")
    return candidates[0]
