"""Which rule is asked about: one of the workspace by its id, or a file that may stand nowhere in it; and how it stands today."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from eventctl.backtest import Stage, Staged
from eventctl.errors import Misconfigured, NotFound, UsageError
from eventctl.nearest import did_you_mean
from eventctl.system.rulings import Ruling
from eventctl.whyrule import Asked, suspended

if TYPE_CHECKING:
    from eventctl.discovery import Found
    from eventctl.house import House
    from eventctl.store import Store, Unit


def asked(house: House, store: Store, given: str) -> Asked:
    """The rule that `given` names: an id, `owner/id` where several have it, or a path.

    Raises NotFound, UsageError where it could be several or is code, and Misconfigured with the mistakes of its file.
    """
    stage = Stage(house, store)
    path = Path(given)
    by_path = path.suffix == ".toml" or path.is_file()
    found = stage.place(path) if by_path else _named(stage, house, given)
    if found.manifest.rule is None:
        raise UsageError(f"{found.manifest.id} is a cartridge in code", hint="`why` explains rules without code")
    staged = stage.set(found, found)
    units = stage.scan.units
    stands = stage.standing(found)
    unit = units.get(found.path)
    changed = (unit.mtime // 1_000 if unit and not by_path else 0) or (path.stat().st_mtime_ns // 1_000 if by_path else 0)
    ruling = _ruling(staged, found)
    said = list(_standing(house, stage, found, stands, unit, suspended(store, found, ruling)))
    return Asked(
        found, staged.planned.catalog, staged.subject.names, staged.subject.slots, _sees(staged, found), ruling,
        staged.planned.system.rules, said, changed,
    )  # fmt: skip


def _named(stage: Stage, house: House, given: str) -> Found:
    owner, _, id_ = given.rpartition("/")
    same = [each for each in stage.scan.found if each.manifest.id == id_ and owner in ("", each.owner)]
    if len(same) > 1:
        names = ", ".join(f"{each.owner}/{id_}" if each.owner else each.path for each in same)
        raise UsageError(f"{given!r} could be {len(same)} rules", hint=f"say which: {names}")
    if same:
        return same[0]
    off = [path for path in stage.scan.units if Path(path).stem == id_ and (house.paths.root / path).is_file()]
    if off:
        return stage.place(house.paths.root / off[0])
    wrong = [problem for problem in stage.scan.problems if f"/{id_}.toml" in problem.where]
    if wrong:
        raise Misconfigured.listing(wrong)
    rules = [each.manifest.id for each in stage.scan.found if each.manifest.rule is not None]
    hint = did_you_mean(id_, rules) or "`eventctl cartridge list` shows all; a path to a file is taken too"
    raise NotFound(f"there is no rule {given!r}", hint=hint)


def _ruling(staged: Staged, found: Found) -> Ruling | None:
    """The rule as shaping runs it."""
    rules, id_ = staged.planned.system.rules, found.manifest.id
    named = [rules.get(label) for label in (f"{found.owner}/{id_}", id_)]
    return next((each for each in named if each is not None and each.hash == found.code.hash), None)


def _sees(staged: Staged, found: Found) -> frozenset[str]:
    """The slots of cartridges that run before it."""
    return frozenset(
        other.slots_in + slot
        for plan in staged.plans
        for own in plan
        if own.unit == found.path
        for other in plan
        if plan.level(other.id) < plan.level(own.id)
        for slot in other.rights.annotates
    )


def _standing(
    house: House, stage: Stage, found: Found, stands: Found | None, unit: Unit | None, off: str
) -> Iterator[tuple[str, str]]:
    """What is unlike a rule that does its work, today."""
    if stands is None and (unit is None or unit.state == "active"):
        yield "not_installed", "It stands nowhere in the workspace: it is a file that nobody runs"
    elif stands is not None and stands.code.hash != found.code.hash:
        yield "another", f"It is not what runs: {stands.path} is"
    elif found.scope == "library" and not _runs(house, stage, found):
        yield (
            "not_enabled",
            f"It is not switched on: `[enable]` in eventctl.toml does not name {found.manifest.id}, and nobody requires it",
        )
    if unit is not None and unit.state != "active":
        yield "disabled", f"It is switched off: {unit.reason}"
    if off:
        yield "suspended", f"It is suspended: {off}"
    if found.manifest.rule is not None and found.manifest.rule.mode == "shadow":
        yield "shadow", "It is in shadow mode: it notes what it would do, and does nothing"


def _runs(house: House, stage: Stage, found: Found) -> bool:
    """Whether the workspace runs what stands in its library."""
    planned = house.planned(stage.scan)
    speaks = any(each.unit == found.path for plan in planned.plans.values() for each in plan)
    label = planned.system.rules.get(found.manifest.id)
    return speaks or (label is not None and label.hash == found.code.hash)
