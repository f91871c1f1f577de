"""What plugs in: a cartridge, the context it is given, an executor. One screen each, nothing else is promised.

A cartridge is a coroutine that never waits for the world. It reads the event and the context, says what it wants through the
context, and returns the event (go on) or None (drop it). Its run writes nothing: what it asked for is an outcome that is
committed together with the cursor, or not at all. It may be run again with the same event, from the top, at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from logging import LoggerAdapter

    from eventctl.catalog import Catalog
    from eventctl.event import Event


class Process(Protocol):
    """The one function of a cartridge; a plain function with the same arguments is accepted too."""

    async def __call__(self, event: Event, context: Context) -> Event | None: ...


class State(Protocol):
    """A cartridge's own memory, addressed by the `key` its manifest declares (default: the event's entity)."""

    async def get(self, name: str, default: Any = None) -> Any:
        """The JSON value last set under this name, as committed or set earlier in this batch."""

    def set(self, name: str, value: Any) -> None:
        """Remember a JSON value; None forgets it."""


class Context(Protocol):
    """What a cartridge may ask for. The same object in-process, in a worker and in the sandbox."""

    @property
    def now(self) -> datetime:
        """When the event was ingested (UTC). Never the wall clock, so that a run can be repeated."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The cartridge's settings, complete and checked against its manifest."""

    @property
    def catalog(self) -> Catalog:
        """The declared event types and lives."""

    @property
    def log(self) -> LoggerAdapter[Any]:
        """A logger that carries the cartridge's id and the event's number."""

    @property
    def state(self) -> State:
        """The cartridge's own memory."""

    async def history(self, pattern: str = "**", *, limit: int = 100, entity: str | None = None) -> Sequence[Event]:
        """Earlier events of the event's entity (or of `entity`), newest first, never past this event."""

    async def annotations(self) -> Mapping[str, Any]:
        """What stages and earlier levels have annotated about this event, by slot."""

    async def call(self, name: str, args: Mapping[str, Any]) -> Any:
        """Ask an executor. Returns the recorded answer, or parks the event until there is one and runs it again.

        Raises `CallFailed` when the executor gave up.
        """

    async def decide(
        self,
        action: str,
        call: str,
        args: Mapping[str, Any],
        *,
        summary: str,
        undo: tuple[str, Mapping[str, Any]] | None = None,
    ) -> Decision:
        """Do something that autonomy decides about: at once, with a time to take it back, or when a person has said yes.

        `action` names it for people and for the settings, `call` and `args` are an executor's (`emit` takes `event` and `payload`),
        `undo` a call that takes it back. Parks the event until it is done, denied or expired: `ordered = "none"` lets others pass.
        """

    def propose(
        self,
        action: str,
        call: str,
        args: Mapping[str, Any],
        *,
        summary: str,
        undo: tuple[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """The same without waiting for how it ends."""

    def annotate(self, slot: str, value: Any) -> None:
        """Say something about the event, as JSON, under a slot that the manifest declares in `annotates`."""

    def emit(self, event: str, payload: Mapping[str, Any], **fields: Any) -> None:
        """A new event of a type that the manifest declares in `emits`; caused by this one, with an id derived from it."""

    def notify(
        self, title: str, *, level: int | str = "workflow", audience: str = "", withdraw: bool = False, **fields: Any
    ) -> None:
        """A notice: a notification of its own, made by emitting `notice.raised`; `withdraw` resolves the one of the same key.

        `audience` is `workspace`, `domain:<name>` or `member:<name>`: by default the workspace, for a member's cartridge the member.
        """

    def timer(self, key: str, after: timedelta, body: Mapping[str, Any] | None = None) -> None:
        """Wake this cartridge once, `after` the event's ingestion; the same key replaces."""

    def drop(self, reason: str) -> None:
        """End the event for this pipeline, with a reason. Nothing else that this run asked for happens."""

    def quarantine(self, reason: str) -> None:
        """Hold the event for a person to judge. Nothing else that this run asked for happens."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How `context.decide` ended: `done` (with the executor's `result`), `denied`, `expired`, `undone`, or `failed` (with `error`).

    `by` is who decided: a principal, "" where autonomy let it act by itself.
    """

    outcome: str
    by: str = ""
    result: Any = None
    error: str = ""


class CallFailed(Exception):
    """A call's executor gave up; the reason is the message."""


@dataclass(frozen=True, slots=True)
class CartridgeSpec:
    """A cartridge that a plugin brings: its manifest as a mapping, and the function."""

    manifest: Mapping[str, Any]
    process: Process


@dataclass(frozen=True, slots=True)
class Request:
    """One attempt of a call. `id` is the same for every attempt: give it to whoever can tell a repeat by it.

    `seq` is the number of the event that owes it, 0 where nobody says.
    """

    id: str
    name: str
    args: Mapping[str, Any]
    attempt: int
    deadline_s: float
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What an executor says. `ok` False with `again` asks for another attempt, `after_s` when; the runtime decides.

    `result` is JSON and becomes what `context.call` returns; `error` is one sentence.
    """

    ok: bool
    result: Any = None
    error: str = ""
    again: bool = False
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A package that wants in, as a judge sees it: data from a stranger, nothing of which has been executed.

    `place` is `library`, `domain:<name>` or `member:<name>`, `origin` where it came from. `manifest` is JSON, `files` are all its
    files by name. `asks` are lines like `call agent`, `new` those that the version before did not have; `reasons` is what the rules
    said, and `verdict` what they came to.
    """

    id: str
    version: str
    place: str
    origin: str
    digest: str
    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]
    asks: Sequence[str] = ()
    new: Sequence[str] = ()
    reasons: Sequence[str] = ()
    verdict: str = "accept"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge says: `accept`, `ask` (a person has to look) or `refuse`, and why, a sentence each."""

    verdict: str
    reasons: Sequence[str] = ()


class Guardian(Protocol):
    """Judges packages where `[guardian] judge` names it, after the rules, and can only be stricter than they are."""

    name: str

    def judge(self, candidate: Candidate) -> Judgement:
        """Look at it. Raising, or anything that is no judgement, means `ask`."""


class Enricher(Protocol):
    """Knows something about events from elsewhere. `name` is the slot that it is annotated in, `consumes` patterns of types."""

    name: str
    consumes: Sequence[str]

    def enrich(self, events: Sequence[Event]) -> Sequence[Any]:
        """What is known about each, as JSON, in their order; None for nothing. At most 50 at a time, and soon: the log waits."""


class Executor(Protocol):
    """Performs one kind of call, outside any transaction, on a thread of the outbox.

    It may also say: `acts = False` when it changes nothing in the world, so that autonomy lets it be; `deadline_s` when an attempt of it
    may take longer than the usual 60 s; `stop()` ends all of its attempts at once, when the runner ends.
    """

    name: str

    def execute(self, request: Request) -> Answer:
        """Do it once. Raising counts as `Answer(ok=False, again=True)` with the exception as its error."""
