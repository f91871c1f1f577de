"""The wiring: the one place that knows which parts a workspace is made of.

`open` gives a program (and the command line) a workspace; `running` gives the runner's process its engine. Both put the same parts
together. Nothing is built before it is asked for: a workspace that is only read opens one connection.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import orjson

from eventctl import __version__, agents, client, discovery, helpdesk, plugins, settings, strictjson, workspace
from eventctl import catalog as catalogs
from eventctl.advance import Pipeline, undisturbed
from eventctl.announce import announce
from eventctl.breadcrumb import NoCrumb
from eventctl.builtin import Builtin
from eventctl.catalog import Catalog
from eventctl.composition import Before, compose, emptied, trial
from eventctl.dag.gate import Gate
from eventctl.dag_pipeline import DagPipeline
from eventctl.declared import META, Declared
from eventctl.decode import decode, to_record
from eventctl.discovery import Found, Scan
from eventctl.enriching import enrichers
from eventctl.errors import NotFound, Problem
from eventctl.inbox import Inbox
from eventctl.installed import VERSION, Shelf, cartridge_of, damaged, pipeline_of
from eventctl.invoked import Counting
from eventctl.matrix import gate_of, unknown_agents
from eventctl.modules import Modules
from eventctl.outbox import Outbox
from eventctl.plan import Plan
from eventctl.plugins import Plugins
from eventctl.principal import ROLES, Principal
from eventctl.reload import Built, Reload
from eventctl.retention import Keep, Retention
from eventctl.runner import LOG_BATCHES, Clock, Engine, MachineClock, StepReport, Wake
from eventctl.settings import Settings
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Appended, Operations, Record, Store, Unit
from eventctl.system.anomaly import Anomalies
from eventctl.system.correlation import Correlation, Thresholds
from eventctl.system.rulings import Rulings, Shaper
from eventctl.system.trust import Trust
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import MINUTE, SECOND, now_us
from eventctl.trampoline import Crumb
from eventctl.views import Views
from eventctl.workers import Workers
from eventctl.workspace import Paths

PIECE = 500


class Emitted(NamedTuple):
    """Where an event stands in the log; `duplicate` says that it stood there before."""

    id: str
    seq: int
    duplicate: bool


class Running(NamedTuple):
    """An engine that holds its workspace, the store under it, and what was left out when it was built."""

    engine: Engine
    store: SqliteStore
    problems: Sequence[Problem]


@contextmanager
def running(
    paths: Paths,
    env: Mapping[str, str],
    *,
    crumb: Crumb,
    clock: Clock | None = None,
    watch: bool = False,
    checkpointer: bool = False,
    no_plugins: bool = False,
) -> Iterator[Running]:
    """An engine for a block. The caller holds the runner's lock, or is the child of who does. `watch` reloads what changes."""
    ticks = clock or MachineClock()
    with ExitStack() as closing:
        store = SqliteStore.open(paths.db, role="runner", checkpointer=checkpointer)
        closing.callback(store.close)
        wake = Wake()
        closing.callback(wake.close)
        house = House(paths, env, crumb, no_plugins=no_plugins, now=ticks.now)
        before = store.meta(VERSION)
        built = house.build(store)
        closing.callback(house.workers.close)
        outbox = Outbox(store, house.plugins.executors, wake=wake.wake, jitter=random.Random().random)
        closing.callback(outbox.close)
        reload = Reload(paths, house.build, built, now=ticks.now, wake=wake.wake, installed=before)
        closing.callback(reload.close)
        if watch:
            reload.watch()
        given = house.settings()[0]
        engine = Engine(
            store,
            built.pipelines,
            outbox,
            clock=ticks,
            wake=wake,
            reload=reload,
            limit=given.runner.batch,
            log_limit=LOG_BATCHES * given.runner.batch,
            counting=Counting(given.runner.promote_after),
        )
        engine.chore = Upkeep(store, Keep(given.retention.events, given.retention.size), engine).work
        yield Running(engine, store, built.problems)


class Upkeep:
    """Retention for the pipelines that an engine runs, whichever these are after a reload."""

    def __init__(self, store: SqliteStore, keep: Keep, engine: Engine) -> None:
        self._engine = engine
        self._live: set[str] = set()
        self._retention = Retention(store, keep, self._live, _expired)

    def work(self, now: int) -> bool:
        """One slice; whether there is more to do."""
        self._live.clear()
        self._live.update(pipeline.name for pipeline in self._engine.pipelines)
        return self._retention.work(now)


def _expired(pipeline: str, reason: str, now: int) -> Record:
    return announce("system.pipeline.expired", {"pipeline": pipeline, "reason": reason}, now=now, by="runner", entity=pipeline)


class Planned(NamedTuple):
    """The system pipeline, the plans of the others by name, what they share, and what was left out."""

    system: SystemPipeline
    plans: Mapping[str, Plan]
    catalog: Catalog
    modules: Modules
    problems: Sequence[Problem]
    gate: Gate


class House:
    """What a workspace's pipelines are built from. Settings and plugins are read once, when they are first asked for."""

    def __init__(
        self,
        paths: Paths,
        env: Mapping[str, str],
        crumb: Crumb,
        *,
        no_plugins: bool = False,
        now: Callable[[], int] = now_us,
    ) -> None:
        self.paths = paths
        self._env = env
        self._crumb = crumb
        self._no_plugins = no_plugins or plugins.prevented(env)
        self._now = now
        self.workers = Workers()
        self._modules = Modules(self.workers)
        self._composed = Before.empty()
        self._shelf = Shelf()

    @cached_property
    def plugins(self) -> Plugins:
        """What is installed. Read once: a plugin that comes or goes does so with the next process."""
        disabled = self.settings()[0].plugins.disabled
        loaded = plugins.load(
            disabled,
            no_plugins=self._no_plugins,
            builtin=Builtin(self._env, logging.getLogger("eventctl.log"), str(self.paths.root)),
            version=__version__,
        )
        loaded.executors["agent"] = agents.executor(self.paths, self._env, lambda: self.settings()[0].agents, now=self._now)
        return loaded

    def settings(self) -> tuple[Settings, list[Problem]]:
        """The settings as they are now, and what is wrong with them."""
        return settings.load(self.paths.config, self._env)

    def catalog(self, scan: Scan | None = None) -> tuple[Catalog, list[Problem]]:
        """The declared event types and lives, and what was left out. `scan` is what was found in the workspace."""
        found = discovery.scan(self.paths.root, {}) if scan is None else scan
        ageing = self.settings()[0].ageing.value()
        return catalogs.load([*self.plugins.event_types, *found.parts], ageing=ageing)

    def scan(self, store: Store | None = None) -> Scan:
        """What stands in the workspace now; `store` knows what has been read before and what is switched off."""
        return self._scanned(store)

    def _scanned(self, store: Store | None, before: Iterable[Found] = ()) -> Scan:
        found = discovery.scan(self.paths.root, _with_plugged(store.units() if store else {}, self.plugins), before=before)
        if store is not None:
            self._shelf.join(found, store.installed(), store.package)
        return found

    def planned(self, scan: Scan, *, enable: Iterable[str] = ()) -> Planned:
        """The parts of the pipelines that would run what was found. Nothing is written, and no code loaded.

        `enable` are library cartridges that run for the workspace beside those of its settings, where nobody else runs them.
        """
        given, problems = self.settings()
        catalog, undeclared = self.catalog(scan)
        borrowed = {name for found in scan.found for name in found.manifest.requires}
        also: dict[str, Mapping[str, Any]] = {name: {} for name in enable if name not in borrowed}
        composed = compose(scan, catalog, enable=also | dict(given.enable), plugged=self.plugins.cartridges)
        wrong = [*problems, *undeclared, *composed.problems, *unknown_agents(given, scan.found)]
        system, mistaken = self._system(given, catalog, scan, composed.shaping)
        gate = gate_of(given, scan.domains, self.plugins.executors)
        return Planned(system, composed.plans, catalog, self._modules, [*wrong, *mistaken], gate)

    def _system(
        self, given: Settings, catalog: Catalog, scan: Scan, shaping: Iterable[Shaper]
    ) -> tuple[SystemPipeline, list[Problem]]:
        declared = [(self.paths.config.name, "", given.enrichment)]
        declared += [(f"{discovery.DOMAINS}/{name}/domain.toml", name, file.enrichment) for name, file in scan.domains]
        stage, problems = enrichers(
            self.paths.root, declared, self.plugins.enrichers.values(), budget_us=given.runner.enrichment_budget
        )
        rules, told = Rulings(shaping), given.correlation
        counts = Thresholds(told.burst, told.cascade, told.degraded, told.window // MINUTE)
        return SystemPipeline(catalog, _trust(given, scan), Correlation(counts), enrichers=stage, rules=rules), problems

    def build(self, store: Store, running: Built | None = None) -> Built:
        """Pipelines from the files as they are now; `running` are those that their counters are taken over from.

        Code that has changed and was at work is loaded on trial. What was learnt about files is written down.
        """
        with undisturbed():  # ten thousand files make as many objects, and none is garbage: a reload took 1.7 times as long
            return self._built(store, running)

    def _built(self, store: Store, running: Built | None) -> Built:
        given, problems = self.settings()
        self.workers.limit_s = given.runner.hang_deadline / SECOND
        scan = self._scanned(store, running.found if running else ())
        catalog, undeclared = self.catalog(scan)
        composed = compose(scan, catalog, enable=given.enable, plugged=self.plugins.cartridges, before=self._composed)
        before = {old.name: old for old in (running.pipelines if running else ()) if isinstance(old, DagPipeline)}
        plans = {name: old.plan for name, old in before.items()}
        failures = trial(plans, composed.plans, self._modules, self._crumb)
        self._modules.keep([cartridge.code for plan in (*plans.values(), *composed.plans.values()) for cartridge in plan])
        system, mistaken = self._system(given, catalog, scan, composed.shaping)
        pipelines: list[Pipeline] = [system]
        gate = gate_of(given, scan.domains, self.plugins.executors)
        standing = [cursor.pipeline for cursor in store.cursors() if cursor.pipeline not in composed.plans]
        for name, plan in (composed.plans | emptied(scan, standing)).items():
            counted = before[name].invocations if name in before else None
            budget_ns = given.runner.in_process_budget * 1_000
            made = DagPipeline(
                plan, catalog, modules=self._modules, crumb=self._crumb, invocations=counted, budget_ns=budget_ns, gate=gate
            )
            pipelines.append(made)
        written = store.units()
        changed = [unit for unit in scan.units.values() if written.get(unit.path) != unit]
        declared = Declared.of(catalog).text()
        if changed or store.meta(META) != declared:
            told = _switched_on(composed.plans, written, self._now()) + _damaged(written, scan.units, self._now())
            store.commit(Operations(units=changed, meta={META: declared}, records=told))
        off = {unit.path for unit in scan.units.values() if unit.state != "active"}
        wrong = [*problems, *self.plugins.problems, *undeclared, *composed.problems, *mistaken, *failures]
        wrong += unknown_agents(given, scan.found)
        return Built(pipelines, [found._replace(warning=True) if found.where in off else found for found in wrong], scan.found)


def _with_plugged(units: Mapping[str, Unit], plugged: Plugins) -> dict[str, Unit]:
    """The units, with one for each cartridge of a plugin: strikes are booked there. A new version begins without any."""
    known = dict(units)
    for plugin, spec in plugged.cartridges:
        path, version = f"plugin:{plugin}/{spec.manifest.get('id', '?')}", str(spec.manifest.get("version", ""))
        if path not in known or known[path].hash != version:
            known[path] = Unit(path, 0, 0, 0, version, orjson.dumps({"id": spec.manifest.get("id", "?")}))
    return known


def _switched_on(plans: Mapping[str, Plan], before: Mapping[str, Unit], now: int) -> list[Record]:
    """What tells people that a cartridge has been changed that was switched off."""
    return [
        announce("system.cartridge.enabled", {"pipeline": name, "cartridge": each.id}, now=now, by="runner", entity=each.id)
        for name, plan in plans.items()
        for each in plan
        if each.unit in before and before[each.unit].state == "disabled"
    ]


def _damaged(before: Mapping[str, Unit], units: Mapping[str, Unit], now: int) -> list[Record]:
    """What tells people that the stored files of a cartridge are not those that were installed."""
    return [
        announce(
            "system.cartridge.disabled",
            {"pipeline": pipeline_of(place), "cartridge": cartridge_of(place, name), "reason": reason},
            now=now, by="runner", entity=name, description=f"{name}: {reason}",
        )
        for place, name, reason in damaged(before, units)
    ]  # fmt: skip


def _trust(given: Settings, scan: Scan) -> Trust:
    """Who is believed: as the workspace says, and for a domain that it does not name, as that one's own file does."""
    trust, anomalies = given.trust, given.trust.anomalies
    own = {name: file.guardian.trust for name, file in scan.domains if file.guardian.trust is not None}
    odd = Anomalies(anomalies.first_seen, anomalies.oversized, anomalies.unlike_schema, anomalies.size, anomalies.sizes)
    channels = {**helpdesk.STRICT, **trust.channels}
    return Trust(trust.strictness, trust.rules, {**own, **trust.domains}, channels=channels, anomalies=odd)


class Workspace:
    """An open workspace. Use it as a context manager, or close it.

    Emitting and reading work beside a runner. `step` and `run_until_idle` run the pipelines in this process, and raise
    `Unavailable` while another runner holds the workspace. Not safe to share between threads.
    """

    def __init__(
        self, paths: Paths, *, env: Mapping[str, str], clock: Clock, who: Principal, no_plugins: bool, i_know: bool
    ) -> None:
        self.paths = paths
        self._i_know = i_know
        self._env = env
        self._clock = clock
        self._who = who
        self._no_plugins = no_plugins
        self._closing = ExitStack()
        self._running: Running | None = None
        self._reader: SqliteStore | None = None
        self._appender = self._closing.enter_context(client.Appender(paths))
        self.inbox = Inbox(
            lambda: self.views, self._writing, who, clock.now, lambda: settings.load(paths.config, env)[0].inbox.lease
        )

    @property
    def store(self) -> SqliteStore:
        """The runner's store once this process runs the pipelines, a read-only one before."""
        if self._running is not None:
            return self._running.store
        if self._reader is None:
            self._reader = SqliteStore.open(self.paths.db, role="reader")
            self._closing.callback(self._reader.close)
        return self._reader

    @property
    def views(self) -> Views:
        """What people read."""
        return self.store.views

    @property
    def engine(self) -> Engine:
        """The engine, made on first use: from then on this process is the workspace's runner."""
        return self._run().engine

    @property
    def pipelines(self) -> list[Pipeline]:
        """The pipelines of this workspace, `system` first."""
        return self.engine.pipelines

    @property
    def problems(self) -> Sequence[Problem]:
        """What is written in this workspace and does not load."""
        return self._run().problems

    def emit(self, event: str, source: str, payload: Mapping[str, Any] | None = None, **fields: Any) -> Emitted:
        """Append one event, durable when this returns. `fields` are the envelope's others: entity, level, description, id ...

        Raises `Refused` with the field and the reason, `TryLater` when the disk is full.
        """
        return self.emit_many([{"event": event, "source": source, "payload": {} if payload is None else payload, **fields}])[0]

    def emit_many(self, envelopes: Iterable[Mapping[str, Any]]) -> list[Emitted]:
        """Append envelopes in their order, in transactions of up to 500. One that is refused raises before any is appended."""
        now = self._clock.now()
        records = [
            to_record(decode(strictjson.written(envelope), now=now), principal=str(self._who), at=now) for envelope in envelopes
        ]
        return [Emitted(record.id, row.seq, row.duplicate) for record, row in zip(records, self._append(records), strict=True)]

    def step(self) -> StepReport:
        """Do everything that is due, once."""
        return self.engine.step()

    def run_until_idle(self, *, patience_s: float = 30.0, each: Callable[[StepReport], None] | None = None) -> bool:
        """Step until nothing is owed; see `Engine.run_until_idle`."""
        return self.engine.run_until_idle(patience_s=patience_s, each=each)

    def close(self) -> None:
        """Let go of everything. What was emitted stays."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(self) -> Running:
        if self._running is None:
            self._closing.enter_context(workspace.running(self.paths, i_know=self._i_know))
            self._running = self._closing.enter_context(
                running(
                    self.paths, self._env, crumb=NoCrumb(), clock=self._clock, checkpointer=True, no_plugins=self._no_plugins
                )
            )
        return self._running

    def _append(self, records: Sequence[Record]) -> list[Appended]:
        if self._running is None:
            return self._appender.append(records)
        return [row for at in range(0, len(records), PIECE) for row in self._running.store.append(records[at : at + PIECE])]

    @contextmanager
    def _writing(self) -> Iterator[Store]:
        if self._running is not None:
            yield self._running.store
            return
        with client.short(self.paths) as store:
            yield store


def open(
    path: str | os.PathLike[str] | None = None,
    *,
    env: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
    who: Principal | None = None,
    no_plugins: bool = False,
    i_know: bool = False,
) -> Workspace:
    """The workspace in `path`, or the one that the current folder belongs to. Raises `NotFound` when there is none.

    `who` is stamped on what is emitted and moved (default: `socket:` and the account's name, with an admin's rights).
    `i_know` lets this process run a workspace that lies on a network file system.
    """
    paths = workspace.at(Path(path).expanduser()) if path is not None else workspace.find(Path.cwd(), env)
    if not paths.db.exists():
        raise NotFound("the workspace has no state yet", where=str(paths.root), hint="`eventctl init` makes it")
    account = Principal("socket", env.get("USER") or str(os.getuid()), ROLES["admin"])
    return Workspace(paths, env=env, clock=clock or MachineClock(), who=who or account, no_plugins=no_plugins, i_know=i_know)
