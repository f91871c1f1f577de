"""What a trial came to, in a form that two trials can be compared in: nothing here depends on numbers that a trial has given.

    notices        (life, key, the event that opened it) -> as it stood at the end
    events         id of an event that the cartridge made -> its type and what it says
    annotations    (event, slot) -> value
    failures       event -> what became of it in the pipeline, where it was not plainly applied
    calls          event -> the call that nobody has answered
    asked          event -> what autonomy would have decided about, and how

An event is named as people name it (`e123`) when it stands in the log, and by its id when the trial made it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from eventctl.notification import Notification
from eventctl.store import ExceptionRow

KEPT_MAX = 10_000
"""Values of each kind that are kept as they are; of later ones only a hash, which is enough to compare them by."""

Name = str


class Shown(NamedTuple):
    """A notification at the end of a trial. `opened` is the moment (microseconds); `of` how many events its life has."""

    life: str
    key: str
    title: str
    level: int
    audience: str
    state: str
    event: Name
    opened: int
    of: int
    archived: bool
    silenced_by: str = ""


class Made(NamedTuple):
    """An event that the cartridge made. `event` is what it was made of."""

    type: str
    body: bytes
    at: int
    event: Name
    level: int


class Failure(NamedTuple):
    """What became of an event where it was not plainly applied: `dead`, `dropped`, `quarantined`, `retry`."""

    state: str
    cartridge: str
    reason: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The cartridge on trial. `names` are its instances (`domain:marketing/ad-spend`), `slots` where it annotates.

    A shaping rule has no instance; it runs in the system pipeline, under its `label`.
    """

    names: frozenset[str] = frozenset()
    slots: frozenset[str] = frozenset()
    label: str = ""


class Span(NamedTuple):
    """Which part of the log: `first` to `last` is folded, and what comes of records at `since` (microseconds) or later told."""

    first: int
    last: int
    since: int = 0


@dataclass(slots=True)
class Account:
    """What one trial came to, from the moment on that was asked about. Times are microseconds."""

    notices: dict[tuple[str, str, Name], Shown] = field(default_factory=dict)
    events: dict[str, Made] = field(default_factory=dict)
    annotations: dict[tuple[Name, str], bytes] = field(default_factory=dict)
    failures: dict[Name, Failure] = field(default_factory=dict)
    calls: dict[str, tuple[Name, str]] = field(default_factory=dict)
    asked: dict[str, tuple[Name, str]] = field(default_factory=dict)
    touched: dict[Name, list[tuple[str, str, Name]]] = field(default_factory=dict)
    records: int = 0
    runs: int = 0
    errors: int = 0
    total_ns: int = 0
    max_ns: int = 0
    moves_lost: int = 0
    held: str = ""

    def annotated(self, event: Name, slot: str, value: bytes) -> None:
        """The last value of a slot stands."""
        self.annotations[event, slot] = value if len(self.annotations) < KEPT_MAX else digest(value)

    def made(self, id_: str, made: Made) -> None:
        """An event was made."""
        self.events[id_] = made if len(self.events) < KEPT_MAX else made._replace(body=digest(made.body))

    def failed(self, event: Name, row: ExceptionRow) -> None:
        """An event ended otherwise than applied, or is to be tried again."""
        self.failures[event] = Failure(row.state, row.cartridge, row.reason)


def digest(value: bytes) -> bytes:
    """A long value in 16 bytes."""
    return value if len(value) <= 16 else blake2b(value, digest_size=16).digest()


def shown(row: Notification, event: Name, of: int) -> Shown:
    """A row as it is compared."""
    return Shown(
        row.life, row.life_key, row.title, row.level, row.audience, row.agent_state, event, row.created_at, of,
        row.archived_at is not None, row.silenced_by or "",
    )  # fmt: skip
