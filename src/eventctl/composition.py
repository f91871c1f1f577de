"""Puts what was found together: which cartridges run in which pipeline, with which rights and settings. Reads nothing.

    domain:<name>    a domain's cartridges, and an instance of each library cartridge that they require
    workspace        the library cartridges that `[enable]` names, and those that they require
    members          all members' cartridges, side by side: they are leaves, and each speaks to its member only

What does not fit is left out with a `Problem`, whoever requires it says so, and the rest runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from eventctl.catalog import Catalog
from eventctl.context import Rights
from eventctl.contracts import CartridgeSpec
from eventctl.dag.reads import STAGES
from eventctl.discovery import CARTRIDGES, DOMAINS, GONE, Found, Scan
from eventctl.discovery import MEMBERS as MEMBERS_IN
from eventctl.errors import Misconfigured, Problem
from eventctl.graph import Graph, Node, build, owning
from eventctl.kept import Kept
from eventctl.lines import with_lines
from eventctl.manifest import MANIFEST, Manifest, check_settings, from_mapping
from eventctl.modules import Code, LoadFailed, Modules
from eventctl.nearest import did_you_mean
from eventctl.obeyed import warnings
from eventctl.patterns import matches
from eventctl.plan import Cartridge, Plan, Tier
from eventctl.rulecheck import personal
from eventctl.ruling import Shared, process_of, slots
from eventctl.store import Unit
from eventctl.system.rulings import Shaper
from eventctl.trampoline import Crumb, Place
from eventctl.typecheck import TypeCheck

WORKSPACE, MEMBERS = "workspace", "members"
SHELVES = (f"{CARTRIDGES}/", "plugin:", "installed:library/")
"""How the paths of library cartridges begin: files, plugins, what was installed."""


@dataclass(slots=True)
class Composition:
    """The plans by pipeline (only those that have a cartridge), and what was left out of them and why.

    `shaping` are the rules that the system pipeline runs, as data, `shaping_units` their files.
    """

    plans: dict[str, Plan] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    shaping: list[Shaper] = field(default_factory=list)
    shaping_units: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Place:
    """A pipeline that is being put together: who is in it, and what its cartridges may do."""

    pipeline: str
    found: tuple[Found, ...]
    settings: Mapping[str, Mapping[str, Any]]
    settings_in: str
    domain: str = ""


class Outcome(NamedTuple):
    """What became of one cartridge in one place: it stands as a node, or it shapes, or it has a mistake and is neither."""

    problems: Sequence[Problem]
    standing: tuple[Node, Cartridge] | None = None
    shaper: Shaper | None = None


class Before(NamedTuple):
    """What compositions of one workspace share: outcomes, and the facts that its rules ask about in turn."""

    outcomes: Kept[Outcome]
    facts: Shared

    @classmethod
    def empty(cls) -> Before:
        """Nothing has been composed yet."""
        return cls(Kept(), Shared())


@dataclass(slots=True)
class _Members:
    """The cartridges of one pipeline that have no mistake of their own, and the ids of those that have one."""

    standing: list[tuple[Node, Cartridge]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)


def compose(
    scan: Scan,
    catalog: Catalog,
    *,
    enable: Mapping[str, Mapping[str, Any]] | None = None,
    plugged: Iterable[tuple[str, CartridgeSpec]] = (),
    before: Before | None = None,
) -> Composition:
    """The plans of a workspace. `enable` is that section of its settings, `plugged` the cartridges of plugins.

    With `before`, what has not changed since the composition before is taken over from it.
    """
    composing = _Composing(scan, catalog, enable or {}, before or Before.empty())
    composing.plug(plugged)
    return composing.compose()


def emptied(scan: Scan, pipelines: Iterable[str]) -> dict[str, Plan]:
    """Plans without a cartridge, for those of these pipelines that may have lost theirs because they were switched off.

    Such a pipeline goes on and passes everything, as one does that has others left; its struck events become dead letters. One
    whose cartridges are gone, or were never right, stands still and keeps what it has not read.
    """
    off = [unit.path for unit in scan.units.values() if unit.state != "active" and unit.reason != GONE]
    shared = any(path.startswith(SHELVES) for path in off)
    places = {WORKSPACE} if shared else set()
    places |= {MEMBERS for path in off if path.startswith((f"{MEMBERS_IN}/", "installed:member:"))}
    borrowing = {found.owner for found in scan.found if found.scope == "domain"} if shared else set()
    places |= {
        f"domain:{domain.name}"
        for domain in scan.domains
        if domain.name in borrowing
        or any(path.startswith((f"{DOMAINS}/{domain.name}/", f"installed:domain:{domain.name}/")) for path in off)
    }
    return {name: Plan(name, (), Graph((), {})) for name in pipelines if name in places}


class _Composing:
    def __init__(self, scan: Scan, catalog: Catalog, enable: Mapping[str, Mapping[str, Any]], before: Before) -> None:
        self._scan = scan
        self._catalog = catalog
        self._enable = enable
        self._library: dict[str, Found] = {}
        self._problems: list[Problem] = []
        self._shaping: list[Shaper] = []
        self._shaping_units: set[str] = set()
        self._shared = before.facts
        self._outcomes = before.outcomes
        self._types = TypeCheck(catalog)
        self._owners = {found.manifest.id: found.owner for found in scan.found if found.scope == "domain"}
        for found in scan.found:
            if found.scope == "library":
                self._shelve(found)

    def plug(self, plugged: Iterable[tuple[str, CartridgeSpec]]) -> None:
        """Put the cartridges of plugins into the library."""
        for plugin, spec in plugged:
            where = f"plugin:{plugin}/{spec.manifest.get('id', '?')}"
            try:
                manifest = from_mapping(spec.manifest, where)
            except Misconfigured as error:
                self._problems += error.problems
                continue
            self._problems += warnings(MANIFEST, manifest, where)
            off = self._scan.units.get(where)
            if off is not None and off.state != "active":
                self._problems.append(Problem(where, f"is switched off: {off.reason}"))
                continue
            self._shelve(Found(manifest, "library", "", where, Code(hash=manifest.version, process=spec.process)))

    def compose(self) -> Composition:
        pipelines = {place.pipeline: self._members(place) for place in self._places()}
        self._outcomes.turn()
        kept, clashes = owning(node for members in pipelines.values() for node, _ in members.standing)
        self._problems += clashes
        standing = set(kept)
        plans: dict[str, Plan] = {}
        for pipeline, members in pipelines.items():
            nodes = [node for node, _ in members.standing if node in standing]
            refused = members.refused | {node.id for node, _ in members.standing if node not in standing}
            graph, problems = build(nodes, refused)
            self._problems += problems
            cartridges: dict[str, Cartridge] = {}
            for node, cartridge in members.standing:
                cartridges.setdefault(node.id, cartridge)
            if graph.levels:
                plans[pipeline] = Plan(pipeline, list(cartridges.values()), graph)
        return Composition(
            plans, list(dict.fromkeys([*self._scan.problems, *self._problems])), self._shaping, frozenset(self._shaping_units)
        )

    def _shelve(self, found: Found) -> None:
        name = found.manifest.id
        first = self._library.setdefault(name, found)
        if first is not found:
            what = f"the library has a cartridge {name!r} already, from {first.path}"
            self._problems.append(Problem(found.path, what, "rename one of them"))

    def _left_out(self) -> set[str]:
        """What the library has and cannot give, mistaken or switched off: its own problem says why."""
        wrong = [problem.where for problem in (*self._scan.problems, *self._problems) if not problem.warning]
        files = [where.split("/")[1].split(".")[0].split(":")[0] for where in wrong if where.startswith(SHELVES)]
        return set(files)

    def _places(self) -> Iterator[_Place]:
        for domain in self._scan.domains:
            own = [found for found in self._scan.found if found.scope == "domain" and found.owner == domain.name]
            found = (*own, *self._borrowed(own))
            where = f"company/domains/{domain.name}/domain.toml: settings"
            self._unclaimed(domain.file.settings, found, f"{DOMAINS}/{domain.name}", where)
            if own:
                yield _Place(f"domain:{domain.name}", found, domain.file.settings, where, domain.name)
        enabled = [self._library[name] for name in self._enable if name in self._library]
        for name in self._enable.keys() - self._library.keys() - self._left_out():
            what = f"the library has no cartridge {name!r}"
            self._problems.append(Problem(f"eventctl.toml: enable.{name}", what, did_you_mean(name, self._library)))
        if enabled:
            yield _Place(WORKSPACE, (*enabled, *self._borrowed(enabled)), self._enable, "eventctl.toml: enable")
        personal = tuple(found for found in self._scan.found if found.scope == "personal")
        for member, settings in self._scan.member_settings.items():
            theirs = [found for found in personal if found.owner == member]
            self._unclaimed(settings, theirs, f"{MEMBERS_IN}/{member}", f"{MEMBERS_IN}/{member}/member.toml: settings")
        if personal:
            yield _Place(MEMBERS, personal, {}, "personal")

    def _unclaimed(self, settings: Iterable[str], found: Iterable[Found], folder: str, where: str) -> None:
        """Settings for a cartridge that is not there; one that is in the folder with a mistake is named for that."""
        ids = [each.manifest.id for each in found]
        for name in settings:
            if name not in ids and not any(path.startswith(f"{folder}/{CARTRIDGES}/{name}") for path in self._scan.units):
                what = f"there is no cartridge {name!r} here to give them to"
                self._problems.append(Problem(f"{where}.{name}", what, did_you_mean(name, ids), warning=True))

    def _borrowed(self, own: Sequence[Found]) -> list[Found]:
        """The library cartridges that these require and do not have themselves, and what those require in turn."""
        have = {found.manifest.id for found in own}
        borrowed: list[Found] = []
        todo = list(own)
        while todo:
            for name in todo.pop().manifest.requires:
                if name not in have and name in self._library:
                    have.add(name)
                    borrowed.append(self._library[name])
                    todo.append(self._library[name])
        return borrowed

    def _members(self, place: _Place) -> _Members:
        members = _Members()
        here = {found.manifest.id for found in place.found}
        for found in place.found:
            given = self._given(place, found)
            foreign = list(self._foreign(found, here)) if found.manifest.requires else []
            # Settings as text: in a comparison 1, 1.0 and true are one.
            basis = found, self._scan.units.get(found.path), repr(given) if given else "", self._catalog.version, foreign
            make = partial(self._outcome, place, found, given, foreign)
            outcome = self._outcomes.get((place.pipeline, found.path), basis, make)
            self._problems += outcome.problems
            if outcome.standing is not None:
                members.standing.append(outcome.standing)
            elif outcome.shaper is not None:
                self._shaping.append(outcome.shaper)
                self._shaping_units.add(found.path)
            else:
                members.refused.add(found.manifest.id)
        return members

    def _outcome(self, place: _Place, found: Found, given: Mapping[str, Any], foreign: Sequence[Problem]) -> Outcome:
        """What becomes of a cartridge here. Follows from nothing but what `_members` names as its basis, and its place."""
        problems = [*self._mistakes(place, found), *foreign]
        problems = with_lines(problems, found.manifest.lines, found.path) if found.manifest.lines else problems
        settings, wrong = self._settings(place, found, given)
        problems += wrong
        if any(not problem.warning for problem in problems):
            return Outcome(problems)
        if found.manifest.rule is not None and found.manifest.rule.shaping:
            return Outcome(problems, shaper=_shaper(place, found))
        cartridge = _instance(place, found, settings, self._shared, _tier(found, self._scan.units.get(found.path)))
        return Outcome(problems, (_node(found, cartridge), cartridge))

    def _given(self, place: _Place, found: Found) -> Mapping[str, Any]:
        settings = self._scan.member_settings.get(found.owner, {}) if found.scope == "personal" else place.settings
        return settings.get(found.manifest.id, {})

    def _settings(self, place: _Place, found: Found, given: Mapping[str, Any]) -> tuple[dict[str, Any], Sequence[Problem]]:
        where = f"personal/{found.owner}/member.toml: settings" if found.scope == "personal" else place.settings_in
        try:
            return check_settings(found.manifest, given, where=f"{where}.{found.manifest.id}"), ()
        except Misconfigured as error:
            return {}, error.problems

    def _mistakes(self, place: _Place, found: Found) -> Iterator[Problem]:
        manifest, where = found.manifest, found.path
        if manifest.runs == "sandbox" or (manifest.runs == "worker" and found.code.process is not None):
            what = f"runs = {manifest.runs!r}: there is none for it here, and it never runs in a weaker place"
            yield Problem(f"{where}: runs", what, "it stays switched off")
        for slot in manifest.annotates:
            if slot in STAGES:
                yield Problem(f"{where}: annotates", f"the slot {slot!r} belongs to a stage of the system", "rename the slot")
        if found.scope == "personal" and (manifest.requires or manifest.after):
            what = "a member's cartridge stands alone: it has no requires and no after"
            yield Problem(where, what, "what it needs from others it finds in their events")
        for pattern in manifest.emits:
            problem = self._emits(place, found, pattern)
            if problem:
                yield Problem(f"{where}: {_says_emits(manifest, pattern)}", *problem)
        yield from self._types.mistakes(manifest, where)
        if manifest.rule is not None and found.scope == "personal":
            yield from personal(manifest.rule, found.owner, where)

    def _emits(self, place: _Place, found: Found, pattern: str) -> tuple[str, str] | None:
        """Why a cartridge may not say that it emits this, and what to do; None when it may."""
        if found.scope == "personal" and not pattern.startswith(theirs := f"member.{found.owner}."):
            return (
                f"{pattern!r} is outside of {theirs}**",
                f"a member's cartridge emits types of personal/{found.owner}/event_types.toml",
            )
        own = f"domain.{place.domain}."
        if found.scope == "domain" and not pattern.startswith(own):
            return f"{pattern!r} is outside of {own}**", "a domain emits its own types; others subscribe to them"
        if (
            found.scope == "library"
            and pattern.startswith(("domain.", "member.", "*"))
            and not (place.domain and pattern.startswith(own))
        ):
            whose = "a member's" if pattern.startswith("member.") else "a domain's"
            return f"{pattern!r} may be {whose} type, and this is no cartridge of theirs", "emit types of its own"
        types = self._catalog.types() if "*" in pattern else [pattern] if self._catalog.declared(pattern) else []
        chosen = [name for name in types if matches(pattern, name)]
        if not chosen:
            return f"no event_types.toml declares {pattern!r}", did_you_mean(pattern, self._catalog.types())
        reserved = next((name for name in chosen if self._catalog.entry(name).reserved), None)
        return (f"{reserved!r} may come from the platform only", "emit a type of its own") if reserved else None

    def _foreign(self, found: Found, here: set[str]) -> Iterator[Problem]:
        for name in found.manifest.requires:
            other = self._owners.get(name)
            if name not in here and other is not None:
                what = f"{name!r} is a cartridge of the domain {other}, and no domain depends on another's"
                yield Problem(f"{found.path}: requires", what, "consume the events of that domain instead")


def _tier(found: Found, unit: Unit | None) -> Tier:
    """Where a cartridge runs: where its manifest says, and once it has hung or crashed here, in a worker. Rules and plugins stay."""
    if found.manifest.rule is not None or found.code.process is not None:
        return "in-process"
    return "worker" if found.manifest.runs == "worker" or (unit is not None and unit.strikes) else "in-process"


def _instance(place: _Place, found: Found, settings: Mapping[str, Any], shared: Shared, tier: Tier) -> Cartridge:
    manifest, rule = found.manifest, found.manifest.rule
    borrowed = found.scope == "library" and place.pipeline != WORKSPACE
    personal = found.scope == "personal"
    rights = Rights(
        pipeline=place.pipeline,
        cartridge=f"{found.owner}/{manifest.id}" if personal else manifest.id,
        emits=manifest.emits,
        annotates=slots(manifest),
        calls=manifest.permissions.calls,
        audiences=_audiences(place, found),
    )
    return Cartridge(
        rights=rights,
        consumes=manifest.consumes,
        code=found.code if rule is None else Code(hash=found.code.hash, process=process_of(rule, manifest, shared)),
        unit=found.path,
        version=manifest.version,
        key=manifest.key,
        ordered=manifest.ordered == "entity",
        on_error=manifest.on_error if rule is None else "suspend",
        settings=settings,
        limit_s=manifest.limits.time / 1e6 if manifest.limits.time else None,
        slots_in=f"{found.owner}/" if personal else f"{place.domain}/" if borrowed else "",
        requires=manifest.requires,
        runs=tier,
        memory=manifest.limits.memory,
    )


def _shaper(place: _Place, found: Found) -> Shaper:
    if found.scope == "personal":
        return Shaper("personal", found.owner, found.manifest, found.code.hash)
    return Shaper("domain" if place.domain else "workspace", place.domain, found.manifest, found.code.hash)


def _says_emits(manifest: Manifest, pattern: str) -> str:
    """The key that says that a cartridge emits this."""
    rule = manifest.rule
    if rule is None:
        return "emits"
    return "emit.event" if rule.emit is not None and rule.emit.event == pattern else "propose.emits"


def _audiences(place: _Place, found: Found) -> tuple[str, ...]:
    if found.scope == "personal":
        return (f"member:{found.owner}",)
    return ("workspace", f"domain:{place.domain}" if place.domain else "domain:*", "member:*")


def _node(found: Found, cartridge: Cartridge) -> Node:
    manifest = found.manifest
    owned = tuple(cartridge.slots_in + slot for slot in slots(manifest))
    return Node(cartridge.id, found.path, manifest.consumes, owned, manifest.after, manifest.requires)


def trial(old: Mapping[str, Plan], new: Mapping[str, Plan], modules: Modules, crumb: Crumb) -> list[Problem]:
    """Load the code that has changed of cartridges that were running, and name what does not load: then keep the old plans."""
    problems = []
    for pipeline, plan in new.items():
        running = old.get(pipeline)
        for cartridge in plan:
            before = running.get(cartridge.id) if running else None
            if before is None or before is cartridge or before.code == cartridge.code or not modules.loaded(before.code):
                continue
            if cartridge.runs == "worker":  # not a line of it is executed here
                continue
            try:
                modules.process(cartridge.code, Place(pipeline, cartridge.id, 0), crumb)
            except LoadFailed as failure:
                problems.append(Problem(cartridge.unit, str(failure)))
    return problems
