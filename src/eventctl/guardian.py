"""The guardian: looks at a package before it is let in, and says what a person should know. It reads and executes nothing.

What it says is `accept`, `ask` (a person has to have seen the reasons) or `refuse`. A judge of another kind, from a plugin, can
only be stricter than the rules here; one that fails or is not there means `ask`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from eventctl.catalog import Catalog
from eventctl.contracts import Guardian
from eventctl.package import Package

RULES = "rules"
"""The judge that is meant when `[guardian] judge` says nothing."""

Say = Literal["accept", "ask", "refuse"]
Severity = Literal["note", "ask", "refuse"]


class Reason(NamedTuple):
    """One thing that was seen. The verdict is the severest of all reasons; a note changes nothing."""

    severity: Severity
    sentence: str


class Asked(NamedTuple):
    """What a package asks for: executors to call, secrets, hosts, types to emit, slots to annotate, modules to import. Sorted."""

    calls: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    emits: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


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
        raise NotImplementedError


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
class House:
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


def judge(case: Case, house: House) -> Verdict:
    """What is to be said about this case. Never raises for anything that the package holds."""
    raise NotImplementedError


def asked(package: Package) -> Asked:
    """What a package asks for, read off its manifest and its code."""
    raise NotImplementedError


def difference(now: Asked, before: Asked | None) -> Difference:
    """What `now` asks for beyond `before`."""
    raise NotImplementedError
