"""What people decided lately, as evidence for how much may act without asking: counts, and sentences about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from eventctl.decisions import at_the_desk
from eventctl.patterns import matches
from eventctl.times import DAY

if TYPE_CHECKING:
    from eventctl.store import DecisionRow
    from eventctl.views import Views

DAYS = 30
LOOKED_MAX = 10_000
"""How many decisions are looked at, newest first: more than people take in a month."""

PAGE = 500
ENOUGH = 10
"""From so many on, all of them approved, another level is worth a thought."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which decisions: of types that fit the pattern, of a cartridge (`id` or `domain/id`), of a domain; empty does not narrow."""

    type: str = ""
    cartridge: str = ""
    domain: str = ""

    def covers(self, row: DecisionRow, body: Mapping[str, Any]) -> bool:
        """Whether a decision is one of these."""
        domain, _, cartridge = self.cartridge.rpartition("/")
        return (
            (not self.type or matches(self.type, str(body.get("type", ""))))
            and (not cartridge or cartridge == str(body.get("cartridge", "")).rpartition("/")[2])
            and (not domain or domain == row.domain)
            and (not self.domain or self.domain == row.domain)
        )


@dataclass(slots=True)
class Evidence:
    """How many were asked for; what people said of those that they were asked about; what acted without asking.

    `new` is how many L2 would have held: those whose kind a person had not approved often enough by then. `undone` are of both.
    """

    asked: int = 0
    approved: int = 0
    denied: int = 0
    expired: int = 0
    waiting: int = 0
    alone: int = 0
    undone: int = 0
    failed: int = 0
    new: int = 0

    @property
    def judged(self) -> int:
        """How many came to an end that a person gave, or did not give in time."""
        return self.approved + self.denied + self.expired

    def held_by(self, level: str) -> int:
        """How many of them a level would have held."""
        return {"L1": self.asked, "L2": self.new}.get(level, 0)


def gather(views: Views, scope: Scope, *, after: int, now: int) -> Evidence:
    """The evidence of the last `DAYS`, changes of the workspace itself aside. `after` is how many approvals make a kind known."""
    found = Evidence()
    for row in _recent(views, now - DAYS * DAY):
        body = orjson.loads(row.body)
        if at_the_desk(row) or not scope.covers(row, body):
            continue
        found.asked += 1
        found.new += int(body.get("known", 0)) < after
        found.approved += row.approved
        found.denied += row.state == "denied"
        found.expired += row.state == "expired"
        found.waiting += row.state == "held"
        found.undone += row.state in ("undone", "undoing")
        found.failed += row.state in ("failed", "unknown")
        found.alone += not row.approved and row.state in ("approved", "done", "undone", "undoing", "failed", "unknown")
    return found


def alike(views: Views, kind: str, *, now: int, most: int = 5) -> list[DecisionRow]:
    """The newest decisions of one kind within `DAYS`, newest first."""
    return list(islice((row for row in _recent(views, now - DAYS * DAY) if row.kind == kind), most))


def words(found: Evidence) -> str:
    """The evidence as half a sentence: `47 of 47 approved in 30 days`."""
    said = []
    if found.judged:
        said.append(f"{found.approved} of {found.judged} approved")
        said += [f"{number} {what}" for number, what in ((found.denied, "denied"), (found.expired, "expired")) if number]
    if found.alone:
        said.append(f"{found.alone} acted without asking")
    if found.undone:
        said.append(f"{found.undone} undone")
    if found.failed:
        said.append(f"{found.failed} failed")
    if not said:
        return f"nothing was decided in {DAYS} days"
    return f"{', '.join(said)} in {DAYS} days"


def would(found: Evidence, level: str) -> str:
    """What another level would have done about it; "" where nothing was asked for."""
    if not found.asked:
        return ""
    held = found.held_by(level)
    them = "all of them" if held == found.asked else f"{held} of them" if held else "none of them"
    return f"{level} would have held {them}"


def suggested(found: Evidence, level: str) -> str:
    """The level to think about: one step more where people have approved all of many and taken nothing back; else ""."""
    if level == "L1" and found.judged >= ENOUGH and found.approved == found.judged and not found.undone:
        return "L2"
    if level == "L2" and found.approved + found.alone >= ENOUGH and not (found.undone or found.denied or found.expired):
        return "L3"
    return ""


def _recent(views: Views, since: int) -> Iterator[DecisionRow]:
    after = None
    for _ in range(0, LOOKED_MAX, PAGE):
        page = views.decisions(after=after, limit=PAGE)
        for row in page:
            if row.asked_at < since:
                return
            yield row
        if len(page) < PAGE:
            return
        after = page[-1].number
