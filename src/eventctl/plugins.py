"""Plugins: packages with an entry point in the group `eventctl`, asked once, each by itself, what they bring.

A plugin that does not load, or that fails when it is asked, is named and left out whole; the others stand. eventctl's own part
comes in by the same hooks, first, so that nothing can take its place. Loading executes a plugin's code: `EVENTCTL_NO_PLUGINS=1`,
`--no-plugins` and `[plugins] disabled` prevent it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pluggy

from eventctl import hookspecs
from eventctl.contracts import Candidate, CartridgeSpec, Enricher, Executor, Guardian, Judgement
from eventctl.errors import Problem
from eventctl.nearest import did_you_mean
from eventctl.text import safe_text

if TYPE_CHECKING:
    import click

    from eventctl.event import Event

GROUP = "eventctl"
BUILTIN = "eventctl"
"""The name of eventctl's own part."""

_log = logging.getLogger("eventctl.plugins")


@dataclass(slots=True)
class Plugins:
    """What plugins bring, and what went wrong. Built in first, then by name.

    `event_types` are (origin, part) for `catalog.load`, `cartridges` (plugin, spec); `owners` names the plugin of each (kind, name)
    among executors, enrichers, guardians, commands and cartridges; `versions` has every plugin that is loaded, `disabled` those that were not to be.
    """

    event_types: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    cartridges: list[tuple[str, CartridgeSpec]] = field(default_factory=list)
    executors: dict[str, Executor] = field(default_factory=dict)
    enrichers: dict[str, Enricher] = field(default_factory=dict)
    guardians: dict[str, Guardian] = field(default_factory=dict)
    commands: dict[str, click.Command] = field(default_factory=dict)
    owners: dict[tuple[str, str], str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    disabled: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class _Found(NamedTuple):
    name: str
    version: str
    package: str
    load: Callable[[], object]


class _Wrong(Exception):
    """What a plugin does that its author has to mend."""


def prevented(env: Mapping[str, str]) -> bool:
    """Whether the environment says to load nothing but eventctl itself."""
    return env.get("EVENTCTL_NO_PLUGINS", "") not in ("", "0")


def load(
    disabled: Collection[str] = frozenset(), *, no_plugins: bool = False, builtin: object = None, version: str = ""
) -> Plugins:
    """Everything that is installed and not `disabled`. `builtin` is eventctl's own plugin; it is always loaded. Never fails."""
    plugins = Plugins()
    if builtin is not None:
        _take(plugins, _Found(BUILTIN, version, "eventctl", lambda: builtin))
    if no_plugins:
        return plugins
    found = _installed(plugins)
    for name in disabled:
        if name not in found:
            where = "eventctl.toml: plugins.disabled"
            plugins.problems.append(Problem(where, f"no plugin is called {name!r}", did_you_mean(name, found), warning=True))
    for name, plugin in found.items():
        if name in disabled:
            plugins.disabled.append(name)
        else:
            _take(plugins, plugin)
    return plugins


def _installed(plugins: Plugins) -> dict[str, _Found]:
    found: dict[str, _Found] = {}
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        package, version = (point.dist.name, point.dist.version) if point.dist else ("an unknown package", "")
        other = BUILTIN if point.name == BUILTIN else found[point.name].package if point.name in found else None
        if other == package and point.name != BUILTIN:  # one package on two entries of the path
            continue
        if other is not None:
            what = f"{package} and {other} both bring a plugin of this name; the one of {package} is left out"
            plugins.problems.append(Problem(f"plugin {point.name}", what, "uninstall one of them"))
            continue
        found[point.name] = _Found(point.name, version, package, point.load)
    return found


def _take(plugins: Plugins, found: _Found) -> None:
    where = f"plugin {found.name}"
    try:
        brought = _ask(plugins, found, where)
    except _Wrong as error:
        why = str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's code runs here; whatever it raises is theirs
        _log.debug("%s failed", where, exc_info=True)
        why = safe_text(f"{type(error).__name__}: {error}", limit=300)
    else:
        plugins.versions[found.name] = found.version
        _add(plugins, found.name, brought)
        return
    hint = f"mend or uninstall {found.package}, or name {found.name!r} in [plugins] disabled"
    plugins.problems.append(Problem(where, f"is left out: {why}", hint))


def _ask(plugins: Plugins, found: _Found, where: str) -> dict[str, list[Any]]:
    """Load a plugin and call its hooks. Each has a manager to itself: nothing that one does to a call reaches another."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    plugin = found.load()
    manager.register(plugin, found.name)
    callers = manager.get_hookcallers(plugin) or []
    if not callers:
        raise _Wrong("it has no function marked with `@hookimpl`")
    for caller in callers:
        if not caller.has_spec() and not all(impl.optionalhook for impl in caller.get_hookimpls()):
            hooks = [name for name in vars(hookspecs) if name.startswith("eventctl_")]
            problem = Problem(where, f"there is no hook {caller.name!r}; nobody calls it", did_you_mean(caller.name, hooks))
            plugins.problems.append(problem)
    return {kind: _called(manager, kind) for kind in _FITS}


def _called(manager: pluggy.PluginManager, kind: str) -> list[Any]:
    name = f"eventctl_register_{kind}"
    brought: list[Any] = []
    for result in getattr(manager.hook, name)():
        if not isinstance(result, list | tuple):
            raise _Wrong(f"{name} returned {type(result).__name__}, not a list")
        for item in result:
            if not _FITS[kind](item):
                raise _Wrong(f"{name} returned {type(item).__name__} among what should be {kind.replace('_', ' ')}")
        brought += result
    return brought


def _named(item: Any, method: str) -> bool:
    return isinstance(getattr(item, "name", None), str) and callable(getattr(item, method, None))


def _patterns(given: Any) -> bool:
    return isinstance(given, list | tuple) and all(isinstance(pattern, str) for pattern in given)


_FITS: dict[str, Callable[[Any], bool]] = {
    "event_types": lambda item: isinstance(item, Mapping),
    "cartridges": lambda item: isinstance(item, CartridgeSpec) and isinstance(item.manifest, Mapping),
    "executors": lambda item: _named(item, "execute"),
    "enrichers": lambda item: _named(item, "enrich") and _patterns(getattr(item, "consumes", None)),
    "guardians": lambda item: _named(item, "judge"),
    "commands": lambda item: _named(item, "invoke"),
}
"""What a plugin can bring, and what each of it must be."""


def _add(plugins: Plugins, name: str, brought: Mapping[str, list[Any]]) -> None:
    plugins.event_types += [(BUILTIN if name == BUILTIN else f"plugin {name}", part) for part in brought["event_types"]]
    for executor in brought["executors"]:
        if _owned(plugins, "executor", executor.name, name):
            plugins.executors[executor.name] = executor
    for enricher in brought["enrichers"]:
        if _owned(plugins, "enricher", enricher.name, name):
            plugins.enrichers[enricher.name] = enricher
    for guardian in brought["guardians"]:
        if _owned(plugins, "guardian", guardian.name, name):
            plugins.guardians[guardian.name] = guardian
    for command in brought["commands"]:
        if _owned(plugins, "command", command.name, name):
            plugins.commands[command.name] = command
    for spec in brought["cartridges"]:
        if _owned(plugins, "cartridge", str(spec.manifest.get("id", "")), name):
            plugins.cartridges.append((name, spec))


def _owned(plugins: Plugins, kind: str, item: str, name: str) -> bool:
    """Whether this is the first plugin to bring it. The clash names both."""
    owner = plugins.owners.get((kind, item))
    if owner is None:
        plugins.owners[kind, item] = name
        return True
    what = f"the {kind} {item!r} is brought by {owner} already; the one of {name} is left out"
    plugins.problems.append(Problem(f"plugin {name}", what, f"name one of them in [plugins] disabled: {owner} or {name}"))
    return False


def enrich(enricher: Enricher, events: Sequence[Event], limit: int) -> tuple[list[bytes | None], str]:
    """What an enricher says about these events, as JSON, and "" - or nothing, and why it could not. Never raises.

    A value of more than `limit` bytes is one that cannot be used.
    """
    try:
        values = [None if value is None else orjson.dumps(value) for value in enricher.enrich(events)]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's code runs here; whatever it raises is theirs
        _log.debug("enricher %s failed", enricher.name, exc_info=True)
        return [], safe_text(f"{type(error).__name__}: {error}", limit=300)
    if len(values) != len(events):
        return [], f"it gave {len(values)} values for {len(events)} events"
    largest = max((len(value) for value in values if value is not None), default=0)
    if largest > limit:
        return [], f"it gave a value of {largest:,} bytes, and {limit:,} are enough"
    return values, ""


def judged(guardian: Guardian, candidate: Candidate) -> Judgement:
    """What a judge says; `ask`, and why, for one that fails or says what is no judgement. Never raises."""
    try:
        said = guardian.judge(candidate)
        verdict, reasons = said.verdict, [safe_text(reason, limit=500) for reason in said.reasons[:50]]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's code runs here; whatever it raises is theirs
        _log.debug("guardian %s failed", guardian.name, exc_info=True)
        return Judgement("ask", [f"the judge failed: {safe_text(f'{type(error).__name__}: {error}', limit=300)}"])
    if verdict not in ("accept", "ask", "refuse"):
        return Judgement("ask", [f"the judge said {safe_text(repr(verdict), limit=40)}, which is no verdict", *reasons])
    return Judgement(verdict, reasons)
