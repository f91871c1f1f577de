"""The stages of the system pipeline: trust, dedup, enrichment, correlation, classification, shaping, projection, in this order.

A stage is made once, with the catalog and its settings. For the events of a batch it says what it must know (`prepare`, where it
must), then opens a run over what the store answered (`begin`). The run judges them in their order and says which ones end here. It
sees the committed state and what this batch has done so far, never past its own event, and writes into the batch's operations only.
The same records give the same operations however they are cut into batches.

Events are handed over many at a time, not one by one: calls alone were a tenth of what an event costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, final, runtime_checkable

import orjson

from eventctl.store import Keys, LogRow, Operations, Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventctl.catalog import EventType
    from eventctl.system.anomaly import Sighting
    from eventctl.system.classification import Classified
    from eventctl.system.shaped import Shaped
    from eventctl.system.trust import Judgement

_NOTHING: dict[str, Any] = {}


class Verdict(NamedTuple):
    """Why an event does not go on: `dropped`, `quarantined`, or `rejected` (dropped, and its bytes kept as a reject)."""

    state: Literal["dropped", "quarantined", "rejected"]
    reason: str


@final
class Item:
    """An event on its way through the stages: decoded once, with what the stages found out about it.

    `seq` and `at` are its own number and moment of ingestion, whenever it is judged; `moment` is the ingestion of the record that
    brings it in now, later than `at` when it was released or retried. `trusted` passes it through trust unjudged.
    `entity` is the log's, `lives` (life, key, role) of what it does to lives, `keyless` a life whose key it lacks, `repeat_of` an
    earlier seq of the same occurrence, `bucket` the window that it counts in, `filed` where classification put it. `judgement` is
    what trust has against it, `sighting` its pair of type and source, `shape` what shaping knows of it. A `plain`
    event takes part in no life and nobody doubts it: only stages for every event see it. `body` is empty once it was let go of;
    `kept` holds on to it for a stage that reads it later.
    """

    __slots__ = (
        "__dict__", "at", "body", "bucket", "data", "entity", "entry", "hops", "id", "key", "moment", "payload", "plain",
        "principal", "seq", "sighting", "source", "type",
    )  # fmt: skip

    # What few events have stands here until one has it.
    filed: Classified
    lives: Sequence[tuple[str, str, str]] = ()
    missing: str | None = None
    keyless: str | None = None
    repeat_of: int | None = None
    judgement: Judgement | None = None
    shape: Shaped | None = None
    suspect = attenuated = False
    why = "accept"
    trusted = False
    kept = False

    def __init__(self, row: LogRow, entry: EventType) -> None:
        self.seq, _, self.source, self.id, self.type, self.body, self.principal, self.at, self.entity, _, self.hops = row
        self.moment = self.at
        self.data = data = orjson.loads(self.body)
        self.payload: dict[str, Any] = data.get("payload") or _NOTHING
        self.entry = entry
        self.key: bytes | None = None
        self.sighting: Sighting | None = None
        self.bucket = 0
        self.plain = False

    def let_go(self) -> None:
        """Forget the event's body, unless a stage still reads it.

        Four events of five end as a position in the feed. A batch that keeps their bodies leaves the processor's cache, and is
        planned in twice the time when another process shares it.
        """
        if not self.entry.lives and not self.suspect and self.shape is None:
            self.plain = True
            self.data = self.payload = _NOTHING
            if not self.kept:
                self.body = b""


class Ended(NamedTuple):
    """An event that does not go on, and why."""

    item: Item
    verdict: Verdict


class Run(Protocol):
    """A stage at work on one batch."""

    name: str
    every: bool
    """Whether plain events are judged too."""

    def judge(self, items: Sequence[Item]) -> Sequence[Ended]:
        """Do this stage's work for the events, in their order, and say which of them end here."""

    def end(self) -> None:
        """The batch is through: write what was kept for the end."""


class Stage(Protocol):
    """One of the six."""

    name: str

    def begin(self, snapshot: Snapshot, out: Operations) -> Run:
        """A run over one batch."""


@runtime_checkable
class Prepares(Protocol):
    """A stage that must know something, or reads the event before it is let go."""

    name: str

    def prepare(self, items: Sequence[Item], keys: Keys) -> None:
        """Add what this stage must know about these events. Asking twice for the same is no harm."""
