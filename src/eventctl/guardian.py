"""The guardian: looks at a package before it is let in, and says what a person should know. It reads and executes nothing.

What it says is `accept`, `ask` (a person has to have seen the reasons) or `refuse`. A judge of another kind, from a plugin, can
only be stricter than the rules here; one that fails or is not there means `ask`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from eventctl import inspection, lookalikes, manifest
from eventctl.catalog import Catalog
from eventctl.contracts import Candidate, Guardian
from eventctl.dag.reads import STAGES
from eventctl.inspection import Sight
from eventctl.installed import folder_of
from eventctl.nearest import did_you_mean
from eventctl.obeyed import NOT_OBEYED
from eventctl.package import Package
from eventctl.patterns import matches
from eventctl.plugins import judged
from eventctl.rule import SHAPING_KINDS
from eventctl.shapes import written_duration

RULES = "rules"
"""The judge that is meant when `[guardian] judge` says nothing."""

CODE_READ = 64 * 1024
"""Bytes of code that a person still reads; the longest shipped cartridge has 6 kB."""

Say = Literal["accept", "ask", "refuse"]
Severity = Literal["note", "ask", "refuse"]


class Reason(NamedTuple):
    """One thing that was seen. The verdict is the severest of all reasons; a note changes nothing."""

    severity: Severity
    sentence: str


class Asked(NamedTuple):
    """What a package asks for, each sorted.

    Executors to call, secrets, hosts, types to emit, slots to annotate, modules to import, and the effects of a rule.
    """

    calls: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    emits: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()


class Difference(NamedTuple):
    """What is asked for beyond the version before, as lines like `call agent`; `gone` is what is asked for no more.

    `wider` are patterns that cover one of before (`emit deploy.** (was deploy.*)`). Everything is new when nothing was before.
    """

    new: tuple[str, ...] = ()
    wider: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class Cost(NamedTuple):
    """What one event took in a backtest, in milliseconds."""

    mean_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guardian says, why (the severest first), what the package asks for, and how that differs from before."""

    verdict: Say
    reasons: tuple[Reason, ...]
    permissions: Asked
    diff: Difference

    def as_json(self) -> dict[str, object]:
        """For `--json` and the body of a decision."""
        return {
            "verdict": self.verdict,
            "reasons": [reason._asdict() for reason in self.reasons],
            "permissions": {kind: list(names) for kind, names in self.permissions._asdict().items()},
            "diff": {kind: list(lines) for kind, lines in self.diff._asdict().items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A package that wants in. `place` is `library`, `domain:<name>` or `member:<name>`, `origin` as in `InstalledRow`.

    `before` is the active version of this id at this place, `before_origin` its origin. `runs` is how it would run: `worker`, or
    `in-process` for a digest that is trusted. `downgrade` is whether an older version is meant. `cost` is from a backtest, if one ran.
    """

    package: Package
    place: str
    origin: str
    runs: str = "worker"
    before: Package | None = None
    before_origin: str = ""
    downgrade: bool = False
    cost: Cost | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """What the workspace knows.

    `ids` are all its cartridges, each with where it stands (a path or a place), `slots` who annotates a slot in the pipeline of this
    place, `calls` the executors that there are.
    `judge`, `imports` and `cost_us` are the domain's `[guardian]`; `guardians` the judges that plugins brought, by name.
    """

    catalog: Catalog
    ids: Mapping[str, Collection[str]] = field(default_factory=dict)
    slots: Mapping[str, str] = field(default_factory=dict)
    calls: Collection[str] = ()
    judge: str = RULES
    imports: Collection[str] = ()
    cost_us: int | None = None
    guardians: Mapping[str, Guardian] = field(default_factory=dict)


def judge(case: Case, premises: Premises) -> Verdict:
    """What is to be said about this case. Never raises for anything that the package holds."""
    sight = inspection.look(case.package.code)
    asks = _asked(case.package, sight)
    diff = difference(asks, asked(case.before) if case.before else None)
    reasons = [
        *_identity(case, premises),
        *_permissions(case, premises, asks, diff),
        *_emits(case, premises.catalog, asks),
        *_slots(asks, case, premises),
        *_place(case, premises),
        *_code(sight, premises.imports),
        *_cost(case, premises.cost_us),
    ]
    verdict = _severest(reasons)
    if premises.judge != RULES and verdict != "refuse":
        reasons += _other_judge(case, premises, Verdict(verdict, tuple(reasons), asks, diff))
    reasons = sorted(dict.fromkeys(reasons), key=lambda reason: -_SEVERITIES.index(reason.severity))
    return Verdict(_severest(reasons), tuple(reasons), asks, diff)


def asked(package: Package) -> Asked:
    """What a package asks for, read off its manifest and its code."""
    return _asked(package, inspection.look(package.code))


def lines(asks: Asked) -> dict[str, tuple[str, str]]:
    """What is asked for as people read it: `call agent` -> ("calls", "agent")."""
    return {f"{_VERBS[kind]} {name}": (kind, name) for kind, names in asks._asdict().items() for name in names}


def difference(now: Asked, before: Asked | None) -> Difference:
    """What `now` asks for beyond `before`."""
    if before is None:
        return Difference(new=tuple(lines(now)))
    old, asks = lines(before), lines(now)
    new, wider = [], []
    for line, (kind, name) in asks.items():
        if line in old:
            continue
        covered = [was for was_kind, was in old.values() if was_kind == kind == "emits" and _covers(name, was)]
        if covered:
            wider.append(f"{line} (was {', '.join(covered)})")
        else:
            new.append(line)
    return Difference(tuple(new), tuple(wider), tuple(line for line in old if line not in asks))


def publisher(origin: str) -> str:
    """Who a package comes from, as far as that is known: `pip:<name>`, or `local` for what lay on a disk."""
    return origin.partition("==")[0] if origin.startswith("pip:") else "local"


_SEVERITIES: tuple[Severity, ...] = ("note", "ask", "refuse")
_SAYS: Mapping[Severity, Say] = {"note": "accept", "ask": "ask", "refuse": "refuse"}
_VERBS = {
    "calls": "call",
    "secrets": "secret",
    "hosts": "host",
    "emits": "emit",
    "slots": "annotate",
    "imports": "import",
    "effects": "effect",
}
_PLACE = re.compile(r"library|(domain|member):[a-z0-9][a-z0-9_-]{0,63}")
_QUIET = ("annotate", "notify", "window", "emit")
"""Effects of a rule that people see. The others change or hide what is shown, or do something."""


def _severest(reasons: Collection[Reason]) -> Say:
    return _SAYS[max((reason.severity for reason in reasons), key=_SEVERITIES.index, default="note")]


def _asked(package: Package, sight: Sight) -> Asked:
    written, rule = package.manifest, package.manifest.rule
    calls, effects = set(written.permissions.calls), set(rule.effects if rule else ())
    if rule is not None and rule.window is not None and rule.window.kind in SHAPING_KINDS:
        effects.add(rule.window.kind)
    calls |= set(rule.calls if rule else ())
    imports = {_module(name) for name in sight.imports if inspection.reach(name) != ""}
    asks = (calls, written.permissions.secrets, written.permissions.hosts, written.emits, written.annotates, imports, effects)
    return Asked(*(tuple(sorted(set(names))) for names in asks))


def _module(name: str) -> str:
    return name if name.startswith(("eventctl.", ".", "urllib.")) else name.partition(".")[0]


def _covers(pattern: str, other: str) -> bool:
    """Whether a pattern takes in another one: `deploy.**` does `deploy.*` and `deploy.failed`."""
    if "*" not in pattern or pattern == other:
        return False
    plain = other.replace("**", "x.x").replace("*", "x")
    return matches(pattern, plain) and not ("**" in other and "**" not in pattern)


def _permissions(case: Case, premises: Premises, asks: Asked, diff: Difference) -> Iterator[Reason]:
    first = case.before is None
    told = {line: kind for line, (kind, _) in lines(asks).items()}
    for line in diff.new:
        kind = told[line]
        quiet = kind in ("emits", "slots", "imports") or (kind == "effects" and line.split()[1] in _QUIET)
        if not first and kind != "imports":
            yield Reason("ask", f"asks for something that the version before did not: {line}")
        elif not quiet:
            yield Reason("ask", f"asks for: {line}")
    for line in diff.wider:
        yield Reason("ask", f"asks for more than the version before: {line}")
    for name in asks.calls:
        if premises.calls and name not in premises.calls:
            yield Reason("ask", f"calls {name!r}, and there is no executor of that name here")
    for key, names in (("secrets", asks.secrets), ("hosts", asks.hosts)):
        if names:
            yield Reason(
                "note",
                f"permissions.{key} ({', '.join(names)[:200]}): {NOT_OBEYED['cartridge.toml'].get(f'permissions.{key}', 'obeyed')}",
            )
    if "**" in case.package.manifest.consumes:
        yield Reason("note", "hears every event: it consumes **")


def _emits(case: Case, catalog: Catalog, asks: Asked) -> Iterator[Reason]:
    kind, _, owner = case.place.partition(":")
    for pattern in asks.emits:
        if kind in ("domain", "member") and not pattern.startswith(f"{kind}.{owner}."):
            yield Reason("refuse", f"emits {pattern}, which is outside of {kind}.{owner}.**")
            continue
        if kind == "library" and pattern.startswith("*"):
            yield Reason("refuse", f"emits {pattern}, which may be a type of any domain")
            continue
        chosen = [name for name in catalog.types() if name == pattern or matches(pattern, name)]
        reserved = next((name for name in chosen if catalog.entry(name).reserved), None)
        if reserved:
            yield Reason("refuse", f"emits {pattern}: {reserved} may come from the platform only")
        elif not chosen:
            yield Reason("ask", f"emits {pattern}, which no event_types.toml declares; it will be left out until one does")


def _slots(asks: Asked, case: Case, premises: Premises) -> Iterator[Reason]:
    for slot in asks.slots:
        if slot in STAGES:
            yield Reason("refuse", f"annotates {slot!r}, a slot of the system's own")
        elif premises.slots.get(slot, case.package.id) != case.package.id:
            yield Reason("refuse", f"annotates {slot!r}, which {premises.slots[slot]} annotates here already")


def _identity(case: Case, premises: Premises) -> Iterator[Reason]:
    """Who it says that it is: a name that is another's, an older version, another origin."""
    id_, version, before = case.package.id, case.package.manifest.version, case.before
    for other in sorted(premises.ids):
        if other != id_ and lookalikes.skeleton(other) == lookalikes.skeleton(id_):
            yield Reason(
                "refuse", f"is called {id_}, which can be taken for {other}: 0 and o, 1 and l, - and nothing look alike"
            )
        elif other != id_ and lookalikes.one_off(other, id_):
            yield Reason("ask", f"is called {id_}, one letter away from {other}")
    folder = folder_of(case.place) if _PLACE.fullmatch(case.place) else ""
    here = [path for path in premises.ids.get(id_, ()) if folder and path.startswith(f"{folder}/")]
    if here:
        yield Reason("refuse", f"a cartridge of this id stands here as a file, {min(here)}: take that away first")
    if before is None:
        return
    was = before.manifest.version
    if before.digest == case.package.digest:
        yield Reason("note", f"is what is installed here already, {version}")
    elif _order(version) < _order(was):
        severity: Severity = "note" if case.downgrade else "refuse"
        yield Reason(
            severity,
            f"is version {version}, and {was} is installed: a step back" + ("" if case.downgrade else " has to be meant"),
        )
    elif version == was:
        yield Reason("ask", f"has the version {version} of what is installed, and other files")
    old, new = publisher(case.before_origin or case.origin), publisher(case.origin)
    if old != new:
        yield Reason("ask" if "local" in (old, new) else "refuse", f"comes from {new}, and what is installed came from {old}")


def _place(case: Case, premises: Premises) -> Iterator[Reason]:
    written = case.package.manifest
    if not _PLACE.fullmatch(case.place):
        yield Reason("refuse", f"{case.place[:80]!r} is no place: library, domain:<name> or member:<name>")
    for name in written.requires:
        if name not in premises.ids:
            hint = did_you_mean(name, premises.ids)
            yield Reason(
                "ask",
                f"requires {name!r}, which is not here: it is left out until it is" + (f" ({hint})" if "mean" in hint else ""),
            )
    if case.place.startswith("member:") and (written.requires or written.after):
        yield Reason("refuse", "has requires or after, and a member's cartridge stands alone")
    if written.runs == "sandbox":
        yield Reason("refuse", "runs in a sandbox only, and there is none in this version; it never runs in a weaker place")
    elif written.runs == "worker" and case.runs == "in-process":
        yield Reason("ask", "is written for a worker, and would run in eventctl's own process with all your rights")
    elif case.runs == "in-process" and not written.rule:
        yield Reason("ask", "would run in eventctl's own process, with all your rights: nothing holds it to its permissions")
    elif "runs" in written.model_fields_set and written.runs == "in-process":
        yield Reason("note", "wants to run in eventctl's own process: it gets a worker until an admin trusts these very files")
    if written.api != manifest.API:
        yield Reason("refuse", f"was written for api {written.api}, and this eventctl has {manifest.API}")


def _code(sight: Sight, allowed: Collection[str]) -> Iterator[Reason]:
    for name in sight.imports:
        parts = name.split(".")
        reaches = inspection.reach(name)
        if any(".".join(parts[:end]) in allowed for end in range(1, len(parts) + 1)):
            if reaches != "":
                yield Reason("note", f"imports {name}, which [guardian] imports allows")
        elif reaches is None:
            yield Reason(
                "ask", f"imports {name}, which is none of the plain modules: it has to be installed, and may do anything"
            )
        elif reaches:
            yield Reason("refuse", f"imports {name}, which reaches {reaches}")
        elif parts[0] in inspection.CHANGING:
            yield Reason("note", f"imports {parts[0]}: {inspection.CHANGING[parts[0]]}")
    for line, what in sight.hiding:
        asks = what.startswith(("`getattr`", "the text"))
        yield Reason("ask" if asks else "refuse", f"line {line}: {what}")
    for line, what in sight.doing:
        yield Reason("refuse", f"line {line}: {what} when it is loaded, and not when an event comes")
    for line, what in sight.calling:
        yield Reason("ask", f"line {line}: {what} when it is loaded, and not when an event comes")
    if sight.size > CODE_READ:
        yield Reason("ask", f"has {sight.size:,} bytes of code: more than anybody reads")


def _cost(case: Case, allowed_us: int | None) -> Iterator[Reason]:
    if allowed_us is None:
        return
    if case.cost is None:
        yield Reason("note", "no backtest has measured what a run costs")
    elif case.cost.p95_ms * 1_000 > allowed_us:
        took = f"{case.cost.mean_ms:.3g} ms for an event on average and {case.cost.p95_ms:.3g} ms for a slow one"
        yield Reason("ask", f"took {took}, and [guardian] cost allows {written_duration(allowed_us)}")


def _other_judge(case: Case, premises: Premises, ruled: Verdict) -> Iterator[Reason]:
    guardian = premises.guardians.get(premises.judge)
    if guardian is None:
        hint = did_you_mean(premises.judge, [RULES, *premises.guardians])
        yield Reason(
            "ask", f"[guardian] judge names {premises.judge!r}, and no plugin brings it" + (f" ({hint})" if hint else "")
        )
        return
    package = case.package
    candidate = Candidate(
        package.id,
        package.manifest.version,
        case.place,
        case.origin,
        package.digest,
        package.manifest.model_dump(mode="json", exclude_defaults=True),
        package.files,
        tuple(lines(ruled.permissions)),
        (*ruled.diff.new, *ruled.diff.wider),
        tuple(reason.sentence for reason in ruled.reasons),
        ruled.verdict,
    )
    said = judged(guardian, candidate)
    severity: Severity = next(mark for mark, say in _SAYS.items() if say == said.verdict)
    yield from (Reason(severity, f"{premises.judge}: {reason}") for reason in said.reasons or [f"says {said.verdict}"])


def _order(version: str) -> tuple[list[int], bool, str]:
    """Versions in their order: 1.9 < 1.10, 1.0-rc < 1.0 = 1.0.0."""
    number = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    digits = number[0] if number else ""
    parts = [int(part) for part in digits.split(".")] if digits else []
    while parts and not parts[-1]:
        parts.pop()
    rest = version[len(digits) :].partition("+")[0]
    return parts, not rest, rest
