"""What a workspace's pipelines are made of: its settings, plugins, files and what is installed, put together.

`planned` says what would run and writes nothing; `build` makes what does run, and takes over from what ran before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from eventctl import __version__, agents, discovery, helpdesk, plugins, settings
from eventctl import catalog as catalogs
from eventctl.advance import Pipeline, undisturbed
from eventctl.announce import announce
from eventctl.builtin import Builtin
from eventctl.catalog import Catalog
from eventctl.composition import Before, compose, emptied, trial
from eventctl.dag.gate import Gate
from eventctl.dag_pipeline import DagPipeline
from eventctl.declared import META, Declared
from eventctl.discovery import Found, Scan
from eventctl.enriching import enrichers
from eventctl.errors import Problem
from eventctl.installed import Shelf, cartridge_of, damaged, pipeline_of
from eventctl.matrix import gate_of, unknown_agents
from eventctl.modules import Modules
from eventctl.plan import Plan
from eventctl.plugins import Plugins
from eventctl.reload import Built
from eventctl.settings import Settings
from eventctl.store import Operations, Record, Store, Unit
from eventctl.system.anomaly import Anomalies
from eventctl.system.correlation import Correlation, Thresholds
from eventctl.system.rulings import Rulings, Shaper
from eventctl.system.trust import Trust
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import MINUTE, SECOND, now_us
from eventctl.trampoline import Crumb
from eventctl.workers import Workers
from eventctl.workspace import Paths


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

    def scan(self, store: Store | None = None, *, before: Iterable[Found] = ()) -> Scan:
        """What stands in the workspace now. `store` knows what was read before, what is switched off and what is installed.

        `before` is what a look found earlier: what has not changed since is taken over as it is.
        """
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
        scan = self.scan(store, before=running.found if running else ())
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
