"""One cartridge tried in a test: the real pipelines over a store in memory, and everything that it said.

The cartridge stands alone, as in its examples: with what it requires or comes after, and nobody else. Calls get the answers that they
are given, time goes where it is told, and nothing is written or sent.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from inspect import getsourcefile, iscoroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from eventctl import decisions as deciding
from eventctl import manifest as manifests
from eventctl.autonomy import Level
from eventctl.backtest import Stage, Staged
from eventctl.breadcrumb import NoCrumb
from eventctl.context import NOTICE, WITHDRAWN
from eventctl.contracts import Answer, CallFailed, Process
from eventctl.dag.case import as_event, state_key
from eventctl.dag.reads import STAGES
from eventctl.decode import decode, to_record
from eventctl.discovery import CARTRIDGES, DOMAINS, MEMBERS, Found
from eventctl.enrichments import PREFIX
from eventctl.errors import Misconfigured, TryLater
from eventctl.event import Event
from eventctl.event import Level as EventLevel
from eventctl.house import House
from eventctl.kit import PRINCIPAL, Clock, instant, span
from eventctl.manifest import Manifest
from eventctl.memory_store import MemoryStore
from eventctl.modules import Code, LoadFailed, Modules
from eventctl.plan import Cartridge, Plan
from eventctl.principal import ROLES, Principal
from eventctl.ran import Call, Decided, Drop, Failure, Notice, Ran, Timer
from eventctl.rehearsal import Rehearsal
from eventctl.shapes import written_duration
from eventctl.store import Committed, Keys, LogRow, Operations, OutboxRow
from eventctl.times import SECOND, from_datetime, to_datetime
from eventctl.trampoline import Place
from eventctl.workspace import CONFIG, Paths, at

Answers = Mapping[str | tuple[Any, ...], Any]


class CartridgeFailed(AssertionError):
    """The cartridge raised, or did what no cartridge may do. Its own error is the cause of this one."""


def run_cartridge(
    cartridge: str | Path | Process,
    events: Event | Iterable[Event],
    *,
    settings: Mapping[str, Any] | None = None,
    answers: Answers | None = None,
    annotations: Mapping[str, Any] | None = None,
    now: str | datetime | Clock | None = None,
    after: str | timedelta | int = 0,
    manifest: Mapping[str, Any] | None = None,
    event_types: str | Path = "",
    into: str = "",
    level: Level | None = None,
    decide: Mapping[str, str] | None = None,
    raising: bool = True,
    crashing: bool = False,
) -> Ran:
    """Let events happen to a cartridge, one after the other, and say what it did.

    `cartridge` is a file or folder, or a function with a `manifest` (what that does not say is as usual, and it consumes the types of
    `events`; without one it has that of its own file). In a workspace it stands in
    its place, with the types and settings there; elsewhere in the library, or `into` a domain (`domain:shop`), with the types of
    `event_types` (TOML, or a file). `settings` go before those of the workspace.
    `answers` are by executor: a value, a function of the arguments, `CallFailed("why")`; `("command", ...)` is `"command"`. A call
    without one stays open. `annotations` stand beside every event before the cartridge sees it.
    Events come in at their own moments, or from `now` on a second apart; then `after` goes by, and timers come due.
    `level` is what autonomy says about what it wants to do; `decide` what a person says to it, by action: `approve` or `deny`.
    With `crashing` every commit fails once, so everything is run twice, as after a kill.

    Raises `CartridgeFailed` when it failed at an event, unless `raising` is False; `Misconfigured` for what could not run at all.
    """
    given = (events,) if isinstance(events, Event) else tuple(events)
    stage = _stage(cartridge, event_types, into)
    found = _found(stage, cartridge, manifest, into, sorted({event.event for event in given}))
    watch = _Watch()
    alone = callable(cartridge) or _home(Path(cartridge).resolve()) is None
    placed, asked = _settled(found, settings or {}, alone=alone)
    if placed.manifest.rule is None:
        placed = replace(placed, code=watch.over(placed))
    staged = stage.alone(placed)
    staged = replace(staged, plans=tuple(_with_settings(plan, placed, asked) for plan in staged.plans))
    store = _Crashing() if crashing else MemoryStore()
    trial = _Trial(store, staged, answers or {}, level, decide or {})
    seqs = trial.play(given, now, span(after), annotations or {})
    ran = _told(trial, staged, seqs, watch)
    if raising and ran.failures:
        first = ran.failures[0]
        said = f"{placed.manifest.id} failed at event {first.event} ({given[first.event].event}): {first.reason}"
        raise CartridgeFailed(said) from (watch.errors[0] if watch.errors else None)
    return ran


class _Trial(Rehearsal):
    """A rehearsal of one cartridge, with a hand that answers and decides."""

    def __init__(
        self, store: MemoryStore, staged: Staged, answers: Answers, level: Level | None, decide: Mapping[str, str]
    ) -> None:
        planned = staged.planned
        gate = planned.gate if level is None else replace(planned.gate, autonomy=replace(planned.gate.autonomy, default=level))
        super().__init__(store, planned.system, staged.plans, planned.catalog, planned.modules, gate=gate)
        self.catalog = planned.catalog
        self._said = {name if isinstance(name, str) else name[0]: value for name, value in answers.items()}
        self._decide = decide

    def play(
        self, events: Sequence[Event], now: str | datetime | Clock | None, after: int, annotations: Mapping[str, Any]
    ) -> list[int]:
        """Bring them in; the number of each."""
        seqs: list[int] = []
        moment = instant(now, 0) - SECOND
        for event in events:
            own = event.at or from_datetime(event.timestamp)
            moment = moment + SECOND if now is not None or own <= moment else own
            self.wait(moment)
            decoded = decode(event.body, now=moment, trusted_chain=True)
            record = to_record(decoded, principal=event.principal or PRINCIPAL, at=moment)
            seqs.append(self.store.append([record])[0].seq)
            slots = {slot if slot in STAGES else PREFIX + slot: value for slot, value in annotations.items()}
            beside = [(seqs[-1], slot, orjson.dumps(value)) for slot, value in slots.items()]
            self.store.commit(Operations(annotations=beside))
            self.settle()
        self.wait(self.now + after)
        self.settle()
        return seqs

    def settle(self) -> None:
        while True:
            try:
                super().settle()
            except TryLater:  # the crash: what was not committed is done again from its start
                continue
            if not self._person():
                return

    def answer_to(self, row: OutboxRow) -> Answer | None:
        if row.name not in self._said:
            return None
        said = self._said[row.name]
        if callable(said) and not isinstance(said, type):
            said = said(orjson.loads(row.body).get("args", {}))
        return Answer(False, error=str(said)) if isinstance(said, CallFailed) else Answer(True, said)

    def _person(self) -> bool:
        """Decide what is held, as it was said; whether anything was."""
        verbs: Mapping[str, Callable[..., deciding.Decided]] = {"approve": deciding.approve, "deny": deciding.deny}
        who, moved = Principal("cli", "test", ROLES["admin"]), False
        for row in self.store.views.decisions(("held",), limit=1_000):
            verb = self._decide.get(orjson.loads(row.body)["action"])
            if verb is not None:
                verbs[verb](self.store, row.number, principal=who, now=self.now)
                moved = True
        return moved


class _Crashing(MemoryStore):
    """A store whose commits of pipelines fail once each, as when the process was killed before them."""

    def __init__(self) -> None:
        super().__init__()
        self._tried: set[tuple[str, int]] = set()

    def commit(self, operations: Operations, *, durable: bool = False) -> Committed:
        moved = operations.advance
        if moved is not None and (moved.pipeline, moved.expected) not in self._tried:
            self._tried.add((moved.pipeline, moved.expected))
            raise TryLater("the process was killed")
        return super().commit(operations, durable=durable)


class _Watch:
    """Sees what the function raises, and whether it left its event as it was."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.spoilt: set[int] = set()

    def over(self, found: Found) -> Code:
        """The code with the function watched. Raises `Misconfigured` when it does not load."""
        try:
            process = Modules().process(found.code, Place("test", found.manifest.id, 0), NoCrumb())
        except LoadFailed as failure:
            raise Misconfigured(str(failure), where=found.path) from failure.__cause__

        async def watched(event: Event, context: Any) -> Any:
            before = orjson.dumps(event.data)
            try:
                value = process(event, context)
                return await value if iscoroutine(value) else value
            except Exception as error:
                self.errors.append(error)
                raise
            finally:
                if orjson.dumps(event.data) != before:
                    self.spoilt.add(event.seq)

        return Code(found.code.files, found.code.hash, watched)


def _stage(cartridge: str | Path | Process, event_types: str | Path, into: str) -> Stage:
    """The workspace that it stands in, or one made for it."""
    home = None if callable(cartridge) else _home(Path(cartridge).resolve())
    if home is not None and not event_types:
        return Stage(House(at(home), {}, NoCrumb(), no_plugins=True), None)
    return _made(event_types.read_text("utf-8") if isinstance(event_types, Path) else event_types, into)[0]


def _home(path: Path) -> Path | None:
    for folder in path.parents:
        if (folder / CONFIG).exists():
            inside = path.relative_to(folder).as_posix()
            return folder if inside.startswith((f"{CARTRIDGES}/", f"{DOMAINS}/", f"{MEMBERS}/")) else None
    return None


@cache
def _made(event_types: str, into: str) -> tuple[Stage, TemporaryDirectory[str]]:
    """A workspace with these types and nothing else, and its folder, which stays as long as the process."""
    folder = TemporaryDirectory(prefix="eventctl-test-")
    root = Path(folder.name)
    (root / CONFIG).write_text("")
    said = str(tomllib.loads(event_types).get("namespace", "")) if event_types else ""
    names = {said.removeprefix("domain.").split(".")[0]} if said.startswith("domain.") else set()
    names |= {into.removeprefix("domain:")} if into.startswith("domain:") else set()
    for name in names:
        (root / DOMAINS / name).mkdir(parents=True)
        if said.startswith(f"domain.{name}"):
            (root / DOMAINS / name / "event_types.toml").write_text(event_types)
    if event_types and not names:
        raise Misconfigured(f"event types of a test are a domain's: namespace = 'domain.shop', not {said!r}")
    if into.startswith("member:"):
        (root / MEMBERS / into.removeprefix("member:")).mkdir(parents=True)
    return Stage(House(Paths(root), {}, NoCrumb(), no_plugins=True), None), folder


def _found(
    stage: Stage, cartridge: str | Path | Process, manifest: Mapping[str, Any] | None, into: str, consumes: list[str]
) -> Found:
    if not callable(cartridge):
        return stage.place(Path(cartridge).resolve(), into)
    read = _manifest_of(cartridge, manifest, consumes)
    kind, _, owner = into.partition(":")
    folder = {"domain": f"{DOMAINS}/{owner}/{CARTRIDGES}", "member": f"{MEMBERS}/{owner}/{CARTRIDGES}"}.get(kind, CARTRIDGES)
    scope: Any = {"domain": "domain", "member": "personal"}.get(kind, "library")
    return Found(read, scope, owner, f"{folder}/{read.id}.py", Code(hash="test", process=cartridge))


def _manifest_of(process: Callable[..., Any], manifest: Mapping[str, Any] | None, consumes: list[str]) -> Manifest:
    named = re.sub(r"[^a-z0-9]+", "-", getattr(process, "__name__", "").lower()).strip("-")
    name = named if len(named) > 1 and named[0].isalpha() else "process"
    if manifest is not None:
        usual = {"id": name, "summary": "Under test.", "consumes": consumes}
        return manifests.from_mapping({**usual, **manifest}, "the manifest of the test")
    file = getsourcefile(process)
    if file is None or not Path(file).is_file() or "# /// cartridge" not in Path(file).read_text("utf-8"):
        hint = "give one: run_cartridge(process, events, manifest={'annotates': ['x']})"
        raise Misconfigured(f"{name} has no manifest", where=file or "", hint=hint)
    return manifests.load(Path(file))


def _settled(found: Found, settings: Mapping[str, Any], *, alone: bool) -> tuple[Found, dict[str, Any]]:
    """The cartridge with these as its defaults, and the checked values. It runs in this process: a worker is another test's matter."""
    written = {
        name: written_duration(span(value)) if isinstance(value, timedelta) else value for name, value in settings.items()
    }
    declared = found.manifest.settings
    defaults = {name: one.model_copy(update={"default": written.get(name, one.default)}) for name, one in declared.items()}
    read = found.manifest.model_copy(update={"settings": defaults, "runs": "in-process"})
    checked = manifests.check_settings(read, written, where="settings") if settings or alone else {}
    return replace(found, manifest=read), {name: checked[name] for name in written}


def _with_settings(plan: Plan, found: Found, settings: Mapping[str, Any]) -> Plan:
    def one(cartridge: Cartridge) -> Cartridge:
        mine = cartridge.unit == found.path
        return replace(cartridge, settings={**cartridge.settings, **settings}) if mine and settings else cartridge

    return Plan(plan.pipeline, [one(cartridge) for cartridge in plan], plan.graph)


def _told(trial: _Trial, staged: Staged, seqs: Sequence[int], watch: _Watch) -> Ran:
    store, names, slots = trial.store, staged.subject.names, staged.subject.slots
    mine = [each for plan in staged.plans for each in plan if each.rights.name in names]
    found = store.snapshot(Keys(records=[*seqs], annotations=[*seqs]))
    events = [as_event(found.records[seq], trial.catalog) for seq in seqs]
    beside = [
        {
            slot.rpartition("/")[2]: orjson.loads(value)
            for slot, value in found.annotations.get(seq, {}).items()
            if slot in slots
        }
        for seq in seqs
    ]
    made = [row for row in trial.made(0) if row.source in names]
    ended = [row for name in trial.names for row in store.exceptions_of(name, ("dropped", "quarantined", "dead", "retry"))]
    at_event = {seq: number for number, seq in reversed(list(enumerate(seqs)))}
    ends = sorted((at_event.get(row.seq, -1), row.state, row.reason) for row in ended)
    return Ran(
        tuple(events),
        tuple(beside),
        tuple(as_event(row, trial.catalog) for row in made if row.type not in (NOTICE, WITHDRAWN)),
        tuple(_notice(row) for row in made if row.type in (NOTICE, WITHDRAWN)),
        _memory(store, mine, events),
        _timers(store, names),
        _calls(store),
        _decisions(store),
        tuple(Drop(*end) for end in ends if end[1] in ("dropped", "quarantined")),
        tuple(Failure(*end) for end in ends if end[1] in ("dead", "retry")),
        tuple(sorted(at_event.get(seq, -1) for seq in watch.spoilt)),
        store,
    )


def _notice(row: LogRow) -> Notice:
    data = orjson.loads(row.body)
    payload = data["payload"]
    level = EventLevel(data["level"]).name.lower()
    return Notice(payload["title"], level, payload["audience"], payload["key"], row.type == WITHDRAWN, payload)


def _memory(store: MemoryStore, mine: Iterable[Cartridge], events: Iterable[Event]) -> dict[str, dict[str, Any]]:
    keys = {
        (each.rights.name, state_key(event.data, event.domain, each.key) if each.key != ("entity",) else event.entity or "")
        for each in mine
        for event in events
    }
    rows = store.snapshot(Keys(states=sorted(keys))).states
    return {key: orjson.loads(value) for (_, key), value in sorted(rows.items()) if value not in (b"", b"{}")}


def _timers(store: MemoryStore, names: frozenset[str]) -> tuple[Timer, ...]:
    rows = [row for row in store.due_timers(1 << 62, limit=1_000) if row.owner in names]
    return tuple(Timer(row.key, to_datetime(row.due), orjson.loads(row.body)["body"]) for row in rows)


def _calls(store: MemoryStore) -> tuple[Call, ...]:
    rows = store.views.outbox(limit=1_000)
    return tuple(Call(row.name, orjson.loads(row.body).get("args", {}), row.state) for row in reversed(rows))


def _decisions(store: MemoryStore) -> tuple[Decided, ...]:
    bodies = [(row, orjson.loads(row.body)) for row in reversed(store.views.decisions(limit=1_000))]
    return tuple(Decided(body["action"], row.name, body["args"], row.state, body) for row, body in bodies)
