"""How a decision stands, as a list shows it: whose turn it is, in which words, and how much of its time is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from eventctl import decisions
from eventctl.errors import NotPermitted
from eventctl.times import HOUR, MINUTE, SECOND
from eventctl.tui.look import Cell, said

if TYPE_CHECKING:
    from eventctl.principal import Principal
    from eventctl.store import DecisionRow

MINE, BACK, OTHERS, UNDER_WAY, ENDED = range(5)
"""Whose turn it is: the one who looks decides; it can still be taken back; others decide; nobody's, it happens; it is over."""

HEADS = ("Waits for you", "Acts, or has acted: can be taken back", "Waits for others", "On its way", "Ended")

ENDS = {
    "done": Cell("✔ done", "good"), "undone": Cell("↶ taken back", "muted"), "denied": Cell("✗ denied", "muted"),
    "expired": Cell("⌛ expired", "muted"), "failed": Cell("✗ failed", "bad"), "unknown": Cell("? nobody saw its end", "bad"),
}  # fmt: skip


class Words(NamedTuple):
    """What does not change about a decision while its row does not, safe to show."""

    asker: str
    level: str
    summary: str


def words(row: DecisionRow) -> Words:
    """What is said about it in a list."""
    level = str(orjson.loads(row.body).get("level", ""))
    return Words(said(decisions.asker(row), 60), said(level, 4), said(decisions.summary_of(row)))


def may(who: Principal, verb: str, row: DecisionRow) -> bool:
    """Whether `who` may do that to it."""
    try:
        decisions.permit(who, verb, row)
    except NotPermitted:
        return False
    return True


def over(row: DecisionRow, now: int) -> bool:
    """Whether its time has come."""
    return row.due is not None and row.due <= now


def turn(row: DecisionRow, who: Principal, now: int) -> int:
    """Whose turn it is. What has expired and is not written down yet is nobody's."""
    if row.state == "held" and not over(row, now):
        return MINE if may(who, "approve", row) or may(who, "deny", row) else OTHERS
    if row.state in ("window", "done") and row.due is not None and not over(row, now):
        return BACK
    return ENDED if row.state in ENDS else UNDER_WAY


def state(row: DecisionRow, who: Principal, now: int) -> Cell:
    """How it stands, in a word or three."""
    if row.state == "held":
        if over(row, now):
            return ENDS["expired"]
        if turn(row, who, now) == MINE:
            return Cell("◆ waits for you", "warn")
        return Cell(f"◇ waits for {said(row.domain or row.owner or 'an admin', 30)}", "muted")
    if row.state == "window":
        return Cell("◑ acts now", "accent") if over(row, now) else Cell("◷ acts by itself", "accent")
    if row.state == "done" and turn(row, who, now) == BACK:
        return Cell("↶ done, undo?", "accent")
    if row.state in ENDS:
        return ENDS[row.state]
    return Cell("◐ on its way", "accent") if row.state == "approved" else Cell("◑ is taken back", "accent")


def left(row: DecisionRow, now: int) -> Cell:
    """How much of its time is left, nothing where it has none; urgent ones stand out."""
    if row.due is None or row.state not in ("held", "window", "done") or over(row, now):
        return Cell("")
    rest = row.due - now
    tone = "bad" if rest < 5 * MINUTE else "warn" if rest < HOUR or row.state != "held" else "muted"
    return Cell(clock(rest), tone)


def clock(us: int) -> str:
    """A time that runs down: `9:58`, `3:04:05`, `2d 05h`; a second that has begun counts whole."""
    seconds = -(-us // SECOND)
    hours, rest = divmod(seconds, 3_600)
    if hours >= 24:
        return f"{hours // 24}d {hours % 24:02}h"
    minutes = f"{rest // 60:02}" if hours else f"{rest // 60}"
    return f"{f'{hours}:' if hours else ''}{minutes}:{rest % 60:02}"
