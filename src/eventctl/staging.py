"""Looks at a cartridge before it comes in: reads it from where it is, judges it, and puts it in its place on paper.

Everything here reads. A candidate's code is parsed, never executed; `tried` runs it over the log, and is asked for after a person has
agreed to that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from eventctl import archives, backtest, guardian, package, pipsource
from eventctl.discovery import Found
from eventctl.errors import Conflict, NotFound, Problem, UsageError
from eventctl.installed import LIBRARY, PREFIX, pipeline_of, place_of, scope_of
from eventctl.lifecycle import stored
from eventctl.package import BadPackage, Package

if TYPE_CHECKING:
    from eventctl.discovery import Domain
    from eventctl.guardian import Cost, Verdict
    from eventctl.house import House
    from eventctl.store import InstalledRow, Store


class Staged(NamedTuple):
    """A package in memory, and where it came from: `file:/an/absolute/path`, or `pip:NAME==VERSION`."""

    package: Package
    origin: str


def stage(source: str, *, env: Mapping[str, str]) -> Staged:
    """Read a folder, a file, an archive, or `pip:NAME[==VERSION]`. Raises BadPackage with every reason, NotFound, Unavailable."""
    if source.startswith(pipsource.PREFIX):
        files, origin = pipsource.fetch(source, env=env)
        return Staged(package.of(files, where=origin), origin)
    path = Path(source).expanduser()
    return Staged(package.of(archives.read(path), where=source), f"file:{path.resolve()}")


class Ground:
    """A workspace as it stands, for what may come to it."""

    def __init__(self, house: House, store: Store) -> None:
        self.house = house
        self.store = store
        self.scan = house.scan(store)
        self._planned = house.planned(self.scan)

    def place(self, place: str) -> str:
        """The place, if it is one of this workspace. Raises `NotFound`, `UsageError`."""
        kind, _, name = place.partition(":")
        members = {*self.house.settings()[0].members, *self.scan.member_settings}
        known = {"domain": [domain.name for domain in self.scan.domains], "member": sorted(members)}.get(kind)
        if place == LIBRARY or (known is not None and name in known):
            return place
        if known is None or not name:
            raise UsageError(f"{place!r} is no place for a cartridge", hint="one is library, domain:marketing or member:ada")
        raise NotFound(f"there is no {kind} {name!r}", hint=f"there are {', '.join(known) or 'none'}")

    def local(self, place: str, id_: str) -> Found | None:
        """The file that people wrote for this id in this place."""
        return next((found for found in self._at(place, id_) if not found.path.startswith(PREFIX)), None)

    def locals(self, id_: str) -> list[Found]:
        """Every file that people wrote for this id."""
        return [found for found in self.scan.found if found.manifest.id == id_ and not found.path.startswith(PREFIX)]

    def judge(
        self,
        given: Package,
        place: str,
        origin: str,
        *,
        runs: str = "worker",
        before: InstalledRow | None = None,
        downgrade: bool = False,
        cost: Cost | None = None,
    ) -> Verdict:
        """What the guardian of the place says."""
        try:
            last = stored(self.store, before.digest) if before else None
        except (BadPackage, NotFound):
            last = None  # a version that cannot be read any more is no measure of a new one
        case = guardian.Case(
            package=given, place=place, origin=origin, runs=runs, before=last,
            before_origin=before.origin if before else "", downgrade=downgrade, cost=cost,
        )  # fmt: skip
        return guardian.judge(case, self._guarded(place, given.id))

    def clash(self, place: str, id_: str) -> None:
        """Raises `Conflict` where a file of this id stands: two of one id in one place are nobody's wish."""
        file = self.local(place, id_)
        if file is not None:
            raise Conflict(
                f"a file has the id {id_!r} in {place}", where=file.path, hint="rename it, or take it away; then install this"
            )

    def mistakes(self, found: Found, *, left: Found | None = None) -> list[Problem]:
        """What would be wrong with this cartridge in its place, or because of it, that is not wrong now. `left` is where it was."""
        gone = [_key(found), *([_key(left)] if left else [])]
        others = [each for each in self.scan.found if _key(each) not in gone]
        planned = self.house.planned(
            replace(self.scan, found=[*others, found]), enable=[found.manifest.id] if found.scope == "library" else ()
        )
        own = f"eventctl.toml: enable.{found.manifest.id}"
        asleep = found.manifest.id not in self.house.settings()[0].enable
        new = self._new(planned.problems)
        return [each for each in new if not (asleep and each.where.startswith(own))]

    def missed(self, place: str, id_: str) -> list[Problem]:
        """What would be wrong if nothing of this id stood in the place."""
        gone = (*scope_of(place), id_)
        kept = [each for each in self.scan.found if _key(each) != gone]
        return self._new(self.house.planned(replace(self.scan, found=kept)).problems)

    def tried(self, found: Found, *, since: int, reopen: Callable[[], Store] | None) -> backtest.Report:
        """The cartridge over what stands in the log. This runs its code, in a worker unless it is trusted."""
        return backtest.over(self.house, self.store, found, since=since, reopen=reopen)

    def _guarded(self, place: str, id_: str) -> guardian.Premises:
        ids: dict[str, set[str]] = {}
        for found in self.scan.found:
            installed = found.path.startswith(PREFIX)
            if not installed and _key(found) == (*scope_of(place), id_):
                continue  # the file that a promotion has put there before it was cut off; another one is a clash
            ids.setdefault(found.manifest.id, set()).add(place_of(found.scope, found.owner) if installed else found.path)
        plan = self._planned.plans.get(pipeline_of(place)) or ()
        slots = {slot: each.id for each in plan for slot in each.rights.annotates if each.id.rpartition("/")[2] != id_}
        own = self._domain(place)
        judged = own.file.guardian if own else None
        return guardian.Premises(
            catalog=self._planned.catalog, ids=ids, slots=slots, calls=sorted(self.house.plugins.executors),
            judge=(judged.judge if judged else "") or guardian.RULES, imports=judged.imports if judged else (),
            cost_us=judged.cost if judged else None, guardians=self.house.plugins.guardians,
        )  # fmt: skip

    def _domain(self, place: str) -> Domain | None:
        return next((domain for domain in self.scan.domains if f"domain:{domain.name}" == place), None)

    def _at(self, place: str, id_: str) -> list[Found]:
        return [found for found in self.scan.found if _key(found) == (*scope_of(place), id_)]

    def _new(self, problems: Any) -> list[Problem]:
        known = {
            (problem.where, problem.what) for problem in self._planned.problems
        }  # a hint may name the candidate, now that it is here
        return [problem for problem in problems if not problem.warning and (problem.where, problem.what) not in known]


def cost_of(report: backtest.Report) -> Cost | None:
    """What one event took, for the guardian; None where nothing ran. The slowest run stands in for the 95th percentile."""
    after = report.after
    if not after.runs:
        return None
    return guardian.Cost(after.total_ns / after.runs / 1e6, after.max_ns / 1e6)


def _key(found: Found) -> tuple[str, str, str]:
    return found.scope, found.owner, found.manifest.id
