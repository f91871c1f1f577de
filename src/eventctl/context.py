"""The context: what one run of a cartridge may ask for, and the outcome it collects.

Nothing here writes. Plain methods note what the run wants, after checking it against the manifest, so that a mistake is raised
on the line that made it. Awaited methods become an `Ask` for the trampoline. When the run is over the context is closed: a
reference kept for later is of no use to anybody.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl import times
from eventctl.decode import decode
from eventctl.errors import Refused
from eventctl.event import HOPS_MAX, SCHEMA_VERSION, Event, Level
from eventctl.ids import derived_id
from eventctl.patterns import matches
from eventctl.trampoline import Ask, Mistake

if TYPE_CHECKING:
    from eventctl.catalog import Catalog
    from eventctl.contracts import Decision
    from eventctl.decode import Decoded
    from eventctl.store import LogRow

NOTICE = "notice.raised"
WITHDRAWN = "notice.withdrawn"
VALUE_MAX = 262_144
"""Bytes of one annotation, of one key's state, of a call's arguments: as much as an event may have."""

HISTORY_MAX = 1_000
EMITS_MAX = 100
CALLS_MAX = 100
"""What one run may emit, and how often it may call. A cartridge that needs more is a loop that nobody meant."""

ASKS_MAX = 1_000
NAMES_MAX = 10_000
"""What one run in a worker may await, and how many names it may set of state, annotations and timers each: the runner goes through all
of it each time that it looks after the run."""

EMIT = "emit"
"""The executor that makes an event: its cartridge needs the right to emit that, and no other."""

PERFORMED, PROPOSED = 5_000_000, 6_000_000
"""Where the ordinals of events begin that are made of a call or a decision, and of a proposal: far above what a run emits itself."""

SUMMARY_MAX = 300
_ACTION = re.compile(r"[a-z][a-z0-9_-]{0,63}")

Undo = tuple[str, Mapping[str, Any]]

FREE_FIELDS = frozenset(
    {
        "entity",
        "description",
        "level",
        "domain",
        "visibility",
        "idempotency_key",
        "actions",
        "terminal_when",
        "resolution_shape",
    }
)
"""The fields of a new event that its cartridge may state; the others follow from the event that caused it."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Who a cartridge is and what its manifest allows. `audiences` are whom its notices may be for, the first by default."""

    pipeline: str
    cartridge: str
    emits: tuple[str, ...] = ()
    annotates: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ("workspace",)

    @property
    def name(self) -> str:
        """Unique in the workspace: the owner of its state and its timers, the source of its events."""
        return f"{self.pipeline}/{self.cartridge}"


class Deal(NamedTuple):
    """Something that is to be done, checked against the manifest. `args` is JSON, `emit` the envelope of the event that `emit` makes.

    `form` is who wants to hear of its end: `call` its result, `decide` how it was decided, `propose` nobody.
    """

    form: str
    number: int
    action: str
    name: str
    args: bytes
    summary: str = ""
    undo: Undo | None = None
    emit: Mapping[str, Any] | None = None
    title: str = ""
    rule: bool = False


class TimerSet(NamedTuple):
    """A timer that a run wants: when it is due (microseconds), and what it will be told then."""

    due: int
    body: Mapping[str, Any]


@dataclass(slots=True)
class Outcome:
    """What one run asked for. `verdict` is "", `dropped` or `quarantined`; `hopeless` says why no further attempt can help.

    `expires` is when the state under this key may be forgotten (microseconds), None for never.
    """

    annotations: dict[str, bytes] = field(default_factory=dict)
    states: dict[str, bytes] = field(default_factory=dict)
    expires: int | None = None
    timers: dict[str, TimerSet] = field(default_factory=dict)
    emitted: list[Decoded] = field(default_factory=list)
    proposed: list[Deal] = field(default_factory=list)
    verdict: str = ""
    reason: str = ""
    hopeless: str = ""


class CartridgeContext:
    """One run's context. Implements `contracts.Context`.

    It reads the record and not the cartridge's own copy of the event, which the cartridge may do with as it likes.
    """

    __slots__ = ("_calls", "_catalog", "_log", "_open", "_record", "_rights", "_settings", "_state", "outcome")

    def __init__(self, record: LogRow, rights: Rights, *, catalog: Catalog, settings: Mapping[str, Any]) -> None:
        self._record = record
        self._rights = rights
        self._catalog = catalog
        self._settings = settings
        self._state: CartridgeState | None = None
        self._log: logging.LoggerAdapter[Any] | None = None
        self._calls = 0
        self._open = True
        self.outcome = Outcome()

    @property
    def now(self) -> datetime:
        return times.to_datetime(self._record.at)

    @property
    def settings(self) -> Mapping[str, Any]:
        return self._settings

    @property
    def catalog(self) -> Catalog:
        return self._catalog

    @property
    def log(self) -> logging.LoggerAdapter[Any]:
        if self._log is None:
            about = {"cartridge": self._rights.name, "seq": self._record.seq}
            self._log = logging.LoggerAdapter(logging.getLogger("eventctl.cartridge"), about)
        return self._log

    @property
    def state(self) -> CartridgeState:
        if self._state is None:
            self._state = CartridgeState(self)
        return self._state

    async def history(self, pattern: str = "**", *, limit: int = 100, entity: str | None = None) -> Sequence[Event]:
        self.check_open("history")
        about = entity if entity is not None else self._record.entity
        found: Sequence[Event] = await Ask("history", about, pattern, max(0, min(limit, HISTORY_MAX)))
        return found

    async def annotations(self) -> Mapping[str, Any]:
        self.check_open("annotations")
        found: Mapping[str, Any] = await Ask("annotations")
        return found

    async def call(self, name: str, args: Mapping[str, Any]) -> Any:
        self.check_open("call")
        deal = self._counted(self._deal("call", self._calls, name, name, args))
        return await Ask("call", name, deal.number, deal.args, *([deal.emit] if deal.emit is not None else []))

    async def decide(
        self, action: str, call: str, args: Mapping[str, Any], *, summary: str, undo: Undo | None = None
    ) -> Decision:
        self.check_open("decide")
        deal = self._counted(self._deal("decide", self._calls, action, call, args, summary, undo))
        decision: Decision = await Ask("decide", deal)
        return decision

    def propose(
        self,
        action: str,
        call: str,
        args: Mapping[str, Any],
        *,
        summary: str,
        undo: Undo | None = None,
        title: str = "",
        rule: bool = False,
    ) -> None:
        """`title` is what a held proposal is called in the inbox, `rule` that a rule without code speaks: both are for rules only."""
        self.check_open("propose")
        proposed = self.outcome.proposed
        if len(proposed) >= CALLS_MAX:
            raise Mistake(f"it proposed {CALLS_MAX} things for one event")
        deal = self._deal("propose", len(proposed), action, call, args, summary, undo)
        proposed.append(deal._replace(title=str(title)[:SUMMARY_MAX], rule=rule))

    def annotate(self, slot: str, value: Any) -> None:
        self.check_open("annotate")
        if slot not in self._rights.annotates:
            raise Mistake(f"it annotates {slot!r}, which its manifest does not name: annotates = [{slot!r}]")
        self.outcome.annotations[slot] = as_json(value, f"the annotation {slot!r}")

    def emit(self, event: str, payload: Mapping[str, Any], **fields: Any) -> None:
        self.check_open("emit")
        self._may_emit(event)
        self._emit(event, payload, fields)

    def notify(
        self, title: str, *, level: int | str = "workflow", audience: str = "", withdraw: bool = False, **fields: Any
    ) -> None:
        self.check_open("notify")
        audiences = self._rights.audiences
        chosen = audience or audiences[0]
        if not any(chosen == allowed or (allowed.endswith("*") and chosen.startswith(allowed[:-1])) for allowed in audiences):
            raise Mistake(f"its notices are for {' or '.join(audiences)}, not for {chosen!r}")
        payload = {
            "key": title,
            "title": title,
            **{name: fields.pop(name) for name in ("key", "text") if name in fields},
            **fields.pop("payload", {}),
            "by": self._rights.name,
            "audience": chosen,
        }
        self._emit(
            WITHDRAWN if withdraw else NOTICE, payload, {"description": title, **fields, "level": int(Level.parse(level))}
        )

    def timer(self, key: str, after: timedelta, body: Mapping[str, Any] | None = None) -> None:
        self.check_open("timer")
        wait = after // timedelta(microseconds=1)
        if wait <= 0:
            raise Mistake(f"the timer {key!r} is for {after}: a timer is for later")
        as_json(dict(body or {}), f"the body of the timer {key!r}")
        self.outcome.timers[key] = TimerSet(self._record.at + wait, dict(body or {}))

    def drop(self, reason: str) -> None:
        self.check_open("drop")
        self._judge("dropped", reason)

    def quarantine(self, reason: str) -> None:
        self.check_open("quarantine")
        self._judge("quarantined", reason)

    def close(self) -> None:
        """The run is over."""
        self._open = False

    def check_open(self, what: str) -> None:
        """Raises Mistake when the run is over."""
        if not self._open:
            raise Mistake(
                f"{what} was asked of a context whose run is over (e{self._record.seq}): a context belongs to one run of one event"
            )

    def _judge(self, verdict: str, reason: str) -> None:
        self.outcome.verdict = verdict
        self.outcome.reason = str(reason)[:300] or "no reason given"

    def _may_emit(self, event: str) -> None:
        if not any(matches(pattern, event) for pattern in self._rights.emits):
            raise Mistake(f"it emits {event!r}, which its manifest does not name: emits = [{event!r}]")

    def _counted(self, deal: Deal) -> Deal:
        if self._calls >= CALLS_MAX:
            raise Mistake(f"it made {CALLS_MAX} calls for one event")
        self._calls += 1
        return deal

    def _deal(
        self,
        form: str,
        number: int,
        action: str,
        name: str,
        args: Mapping[str, Any],
        summary: str = "",
        undo: Undo | None = None,
    ) -> Deal:
        """What is wanted, as far as its manifest allows it. Raises Mistake."""
        given = as_json(dict(args), f"the arguments of the call {name!r}")
        emit = None
        if name == EMIT:
            emit = self._wished(dict(args), (PROPOSED if form == "propose" else PERFORMED) + number)
        else:
            self._may_call(name)
        if form == "call":
            return Deal(form, number, action, name, given, emit=emit)
        if not isinstance(action, str) or not _ACTION.fullmatch(action):
            raise Mistake(f"an action is lower-case letters, digits, '_' and '-', not {str(action)[:40]!r}")
        said = str(summary).strip()[:SUMMARY_MAX]
        if not said:
            raise Mistake(f"the action {action!r} has no summary: people are asked whether it may be done")
        self.hop(f"the action {action!r}")
        if undo is not None:
            self._may_call(undo[0])
            as_json(dict(undo[1]), f"the arguments of the undo {undo[0]!r}")
            undo = (undo[0], dict(undo[1]))
        return Deal(form, number, action, name, given, said, undo, emit)

    def _may_call(self, name: str) -> None:
        if name not in self._rights.calls:
            raise Mistake(f"it calls {name!r}, which its manifest does not name: [permissions] calls = [{name!r}]")

    def _wished(self, args: dict[str, Any], ordinal: int) -> Mapping[str, Any]:
        """The envelope of an event that is made later, by the executor `emit`; what cannot enter the log is a mistake now."""
        event, payload = args.pop("event", None), args.pop("payload", {})
        if not isinstance(event, str) or not isinstance(payload, Mapping):
            raise Mistake("`emit` takes event, the type of the new event, and payload, a table")
        self._may_emit(event)
        if self._catalog.entry(event).reserved:
            raise Mistake(f"it emits {event!r}, which may come from the platform only")
        envelope = self._envelope(event, payload, args, ordinal)
        self._decoded(envelope)
        return envelope

    def _emit(self, kind: str, payload: Mapping[str, Any], fields: dict[str, Any]) -> None:
        emitted = self.outcome.emitted
        envelope = self._envelope(kind, payload, fields, len(emitted))
        if len(emitted) >= EMITS_MAX:
            raise Mistake(f"it emitted {EMITS_MAX} events for one event")
        emitted.append(self._decoded(envelope))

    def hop(self, what: str) -> int:
        """One step further from where it began. Raises Mistake when that is too far, and no attempt can help."""
        hops = self._record.hops + 1
        if hops > HOPS_MAX:
            hopeless = f"{what} would be {hops} hops from where it began; {HOPS_MAX} are allowed: this goes round in a loop"
            self.outcome.hopeless = hopeless
            raise Mistake(hopeless)
        return hops

    def _envelope(self, kind: str, payload: Mapping[str, Any], fields: Mapping[str, Any], ordinal: int) -> dict[str, Any]:
        unknown = sorted(fields.keys() - FREE_FIELDS)
        if unknown:
            raise Mistake(f"a new event cannot be given {unknown[0]!r}; it can be given {', '.join(sorted(FREE_FIELDS))}")
        if not self._catalog.declared(kind):
            raise Mistake(f"it emits {kind!r}, which no event_types.toml declares")
        parent, hops = self._record, self.hop(kind)
        return {
            "id": self._derived_id(ordinal),
            "event": kind,
            "version": SCHEMA_VERSION,
            "source": self._rights.name,
            "timestamp": times.iso(parent.at),
            "entity": parent.entity,
            **fields,
            "payload": dict(payload),
            "caused_by": parent.id,
            "hops": hops,
            "trace": orjson.loads(parent.body).get("trace"),
        }

    def _decoded(self, envelope: Mapping[str, Any]) -> Decoded:
        kind = envelope["event"]
        try:
            return decode(as_json(envelope, f"the event {kind!r}"), now=self._record.at, trusted_chain=True)
        except Refused as refused:
            raise Mistake(f"the event {kind!r} cannot enter the log: {refused}") from None

    def _derived_id(self, ordinal: int) -> str:
        parent = self._record
        return derived_id(parent.source, parent.id, self._rights.pipeline, self._rights.cartridge, ordinal)


class CartridgeState:
    """The run's view of its cartridge's memory: what it set itself, over what is committed or set earlier in the batch."""

    __slots__ = ("_context",)

    def __init__(self, context: CartridgeContext) -> None:
        self._context = context

    async def get(self, name: str, default: Any = None) -> Any:
        self._context.check_open("state.get")
        written = self._context.outcome.states
        value = orjson.loads(written[name]) if name in written else await Ask("state", name)
        return default if value is None else value

    def set(self, name: str, value: Any) -> None:
        self._context.check_open("state.set")
        self._context.outcome.states[name] = as_json(value, f"the state {name!r}")

    def expire(self, at: int | None) -> None:
        """Say with what is set that all of it may be forgotten from then on (microseconds of ingestion time).

        For rules only, whose windows come out the same without it: when it goes is up to retention, and a rebuild does not know.
        """
        self._context.check_open("state.expire")
        self._context.outcome.expires = at


def as_json(value: Any, what: str) -> bytes:
    """The value as JSON. Raises Mistake for what JSON cannot hold, or what is too long."""
    try:
        data = orjson.dumps(value)
    except TypeError as error:
        raise Mistake(f"{what} cannot be JSON: {error}") from None
    if len(data) > VALUE_MAX:
        raise Mistake(f"{what} has {len(data):,} bytes; {VALUE_MAX:,} are allowed")
    return data
