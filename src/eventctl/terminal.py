"""When a notification is over by itself: `terminal_when`, clauses joined by OR.

    7d elapsed OR event deploy.succeeded

`elapsed` counts from the notification's newest event; `event` waits for one of that type whose payload has the same key. `seen` and
`action taken` are read and not obeyed yet. What is none of these is kept as text: it means something to people, and nothing here.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from eventctl import patterns, times

CLAUSES_MAX = 16


class Clause(NamedTuple):
    """One condition. `text` is the event type of `event` and the words of `text`; `us` the duration of `elapsed`."""

    kind: Literal["elapsed", "action", "seen", "event", "text"]
    text: str = ""
    us: int = 0


def parse(text: str) -> tuple[Clause, ...]:
    """The clauses in their order; never fails. Past `CLAUSES_MAX` clauses the rest is one piece of text."""
    parts = re.split(r"\s+OR\s+", text.strip(), maxsplit=CLAUSES_MAX - 1)
    return tuple(_clause(" ".join(part.split())) for part in parts if part.strip())


def _clause(text: str) -> Clause:
    if text == "seen":
        return Clause("seen")
    if text == "action taken":
        return Clause("action")
    first, _, rest = text.partition(" ")
    if first == "event" and patterns.is_type(rest):
        return Clause("event", rest)
    if text.endswith(" elapsed"):
        try:
            return Clause("elapsed", us=times.parse_duration(text.removesuffix(" elapsed")))
        except ValueError:
            return Clause("text", text)
    return Clause("text", text)
