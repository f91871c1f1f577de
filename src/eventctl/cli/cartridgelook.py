"""What stands in a workspace, found and put together, as the commands about cartridges show it. Executes nothing."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from eventctl.errors import Misconfigured, NotFound, Problem
from eventctl.store import LOG_PIPELINE, InstalledRow, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventctl.autonomy import Autonomy
    from eventctl.cli.session import Session
    from eventctl.composition import Composition
    from eventctl.dag.faults import Standing
    from eventctl.discovery import Domain, Found
    from eventctl.plugins import Plugins
    from eventctl.totals import Totals


class Looked(NamedTuple):
    """What stands in the workspace: as it was found (with what plugins bring), and as it was put together."""

    found: list[Found]
    units: dict[str, Unit]
    composed: Composition
    problems: list[Problem]
    faults: list[Standing]
    rows: list[InstalledRow]
    domains: list[Domain]
    members: list[str]
    autonomy: Autonomy

    def off(self) -> Iterator[tuple[Unit, str]]:
        """Those that were switched off and still stand there as they were, with their ids; plugins' aside."""
        from eventctl import manifest

        for unit in self.units.values():
            if unit.state != "active" and unit.manifest and not unit.path.startswith("plugin:"):
                yield unit, manifest.undump(unit.manifest).id


def look(session: Session) -> Looked:
    """Look at the workspace of a session; one without a store yet has its files."""
    from eventctl import composition
    from eventctl.cli.wiring import house_of
    from eventctl.dag.faults import standing
    from eventctl.matrix import matrix_of

    house = house_of(session)
    settings, problems = house.settings()
    rows: list[InstalledRow] = []
    try:
        with session.reading() as store:
            scan, faults, rows = house.scan(store), standing(store), store.installed()
    except NotFound:
        scan, faults = house.scan(), []
    found = [*scan.found, *_plugged(house.plugins)]
    catalog, more = house.catalog()
    composed = composition.compose(scan, catalog, enable=settings.enable, plugged=house.plugins.cartridges)
    enabling = [problem for problem in problems if "enable" in problem.where]
    of_types = [problem for problem in more if problem.where.startswith(("company/", "personal/"))]
    wrong = list(dict.fromkeys([*enabling, *of_types, *composed.problems]))
    members, matrix = sorted({*settings.members, *scan.member_settings}), matrix_of(settings, scan.domains)
    return Looked(found, scan.units, composed, wrong, faults, rows, scan.domains, members, matrix)


def runs_of(composed: Composition) -> dict[str, list[str]]:
    """A cartridge's path -> the pipelines that run it."""
    runs = {path: [LOG_PIPELINE] for path in composed.shaping_units}
    for name, plan in composed.plans.items():
        for each in plan:
            runs.setdefault(each.unit, []).append(name)
    return runs


def broken(looked: Looked, found: Found) -> str:
    """Why it was left out, a circle or a second one of its kind; "" when nothing is wrong with its file."""
    wrong = [each for each in looked.problems if not each.warning and f"{each.where}:".startswith(f"{found.path}:")]
    return wrong[0].what if wrong else ""


def _plugged(plugins: Plugins) -> Iterator[Found]:
    """What plugins bring; a manifest with a mistake is named when all is put together."""
    from eventctl.discovery import Found
    from eventctl.manifest import from_mapping
    from eventctl.modules import Code

    for plugin, spec in plugins.cartridges:
        path = f"plugin:{plugin}/{spec.manifest.get('id', '?')}"
        with suppress(Misconfigured):
            yield Found(from_mapping(spec.manifest, path), "library", "", path, Code())


def counts_of(session: Session, composed: Composition) -> dict[tuple[str, str], Totals]:
    """How often each cartridge ran, by (pipeline, id); what has never run is left out."""
    from eventctl import totals

    with suppress(NotFound), session.reading() as store:
        return totals.read(store, names_of(composed))
    return {}


def names_of(composed: Composition) -> list[tuple[str, str]]:
    """All that run, as (pipeline, id)."""
    return [(name, each.id) for name, plan in composed.plans.items() for each in plan]


def counts_by_unit(session: Session, composed: Composition) -> dict[str, Totals]:
    """The same by file, for all pipelines that run it together."""
    return by_unit(composed, counts_of(session, composed))


def by_unit(composed: Composition, counted: Mapping[tuple[str, str], Totals]) -> dict[str, Totals]:
    """Counts by (pipeline, id), put together by file."""
    from eventctl import totals

    several: dict[str, list[Totals]] = {}
    for name, plan in composed.plans.items():
        for each in plan:
            several.setdefault(each.unit, []).append(counted.get((name, each.id), totals.NOTHING))
    return {unit: totals.together(of_unit) for unit, of_unit in several.items()}
