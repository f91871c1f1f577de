"""What a cartridge did in a test, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from eventctl.event import Event
from eventctl.memory_store import MemoryStore


class Notice(NamedTuple):
    """What `context.notify` told. `audience` is like `workspace` or `member:ada`; a withdrawn one resolves that of its key."""

    title: str
    level: str
    audience: str
    key: str
    withdrawn: bool
    payload: dict[str, Any]


class Timer(NamedTuple):
    """A timer that has not come due."""

    key: str
    due: datetime
    body: dict[str, Any]


class Call(NamedTuple):
    """A call that was made once its event had been run. `state` is `done`, `dead` (it failed) or `pending` (nobody answered)."""

    name: str
    args: dict[str, Any]
    state: str


class Decided(NamedTuple):
    """What the cartridge wanted to do: `state` as in `eventctl decisions`, `body` what people are shown."""

    action: str
    call: str
    args: dict[str, Any]
    state: str
    body: dict[str, Any]


class Drop(NamedTuple):
    """An event that the cartridge ended: `dropped` or `quarantined`. `event` counts the given ones from 0."""

    event: int
    state: str
    reason: str


class Failure(NamedTuple):
    """An event that the cartridge failed at, and is tried again with (`retry`) or given up (`dead`)."""

    event: int
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ran:
    """Everything that a cartridge said. `annotations` are those of the last event, `beside` those of each, by slot.

    `state` is what it remembers, by key (the events' entity, unless the manifest says otherwise); `spoilt` are the events whose data it
    changed (its own copy: nobody else sees that, and it is a habit worth losing). `store` has the rest.
    """

    events: tuple[Event, ...]
    beside: tuple[dict[str, Any], ...]
    emitted: tuple[Event, ...]
    notices: tuple[Notice, ...]
    state: dict[str, dict[str, Any]]
    timers: tuple[Timer, ...]
    calls: tuple[Call, ...]
    decisions: tuple[Decided, ...]
    drops: tuple[Drop, ...]
    failures: tuple[Failure, ...]
    spoilt: tuple[int, ...]
    store: MemoryStore

    @property
    def annotations(self) -> dict[str, Any]:
        return self.beside[-1] if self.beside else {}

    def told(self) -> dict[str, Any]:
        """All of it as plain data: two runs that came to the same are equal."""
        whole = {name: getattr(self, name) for name in self.__slots__ if name not in ("events", "emitted", "store", "spoilt")}
        return {**whole, "emitted": [event.data for event in self.emitted]}
