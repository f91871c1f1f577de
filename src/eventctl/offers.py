"""The actions that an event offers: those of its type, and those that its sender wrote into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from eventctl.store import LogRow


class Offer(NamedTuple):
    """An action: what it is for, the type of the event that taking it emits, and whether the event's type offers it, or only its sender."""

    name: str
    summary: str
    emits: str
    declared: bool


def offers(actions: Mapping[str, Sequence[str]], record: LogRow) -> list[Offer]:
    """What a record offers, of whose type `actions` are (summary, emits) by name. Only an event offers anything."""
    if record.kind != "event":
        return []
    declared = [Offer(name, each[0], each[1], True) for name, each in actions.items()]
    own = orjson.loads(record.body).get("actions") or {}
    written = [Offer(name, str(each["description"]), str(each["produces"]), False) for name, each in own.items()]
    return declared + [each for each in written if each.name not in actions]
