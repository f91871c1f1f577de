"""The cartridges of a workspace as lines of a list: what stands where, in which state, how often it ran. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from eventctl.cli.cartridgelook import broken, runs_of
from eventctl.drawing import milliseconds
from eventctl.installed import PREFIX, place_of, unit_path
from eventctl.store import LOG_PIPELINE
from eventctl.tui.look import Cell, said
from eventctl.tui.rows import Column, Row

if TYPE_CHECKING:
    from eventctl.cli.cartridgelook import Looked
    from eventctl.discovery import Found
    from eventctl.store import InstalledRow
    from eventctl.totals import Totals

COLUMNS = (
    Column("state", 14, snug=True), Column("cartridge", 18), Column("version", 8, wide=64, snug=True), Column("runs in", 14, wide=106),
    Column("origin", 7, wide=125), Column("ran", 8, right=True, wide=72, snug=True), Column("errors", 6, right=True, wide=72),
    Column("p95", 9, right=True, wide=88), Column("summary", 0),
)  # fmt: skip

ACTIVE, SHADOW, IDLE, SUSPENDED, OFF, BROKEN, KEPT = (
    "active", "shadow", "not enabled", "suspended", "switched off", "broken", "kept"
)  # fmt: skip
STATES = {
    ACTIVE: Cell("● active", "good"), SHADOW: Cell("◌ shadow", "accent"), IDLE: Cell("○ not enabled", "muted"),
    SUSPENDED: Cell("◼ suspended", "bad"), OFF: Cell("✗ switched off", "bad"), BROKEN: Cell("⚠ broken", "bad"),
    KEPT: Cell("▪ kept", "muted"),
}  # fmt: skip
"""State -> how it is shown. `kept` was removed, and can be brought back."""

FIELDS = ("id", "place", "state", "origin")
"""Words of the filter that look in one field: `state:broken`."""

WORKSPACE, LIBRARY = "workspace", "library"


class Entry(NamedTuple):
    """One cartridge in one place. `path` names it; `where` is the place it is listed under, `place` the one it belongs to.

    `says` is its summary, or why it does not run. `kept` is how many versions from before there are.
    """

    path: str
    id: str
    version: str
    where: str
    place: str
    state: str
    runs: tuple[str, ...]
    origin: str
    says: str
    kept: int = 0
    digest: str = ""

    @property
    def installed(self) -> bool:
        """Whether it was installed: it is no file of the workspace and no plugin's."""
        return self.path.startswith(PREFIX)

    @property
    def own(self) -> bool:
        """Whether it is a file of the workspace."""
        return not self.path.startswith((PREFIX, "plugin:"))


def entries(looked: Looked) -> list[Entry]:
    """Every cartridge, by place: the workspace's, the domains', the members', the rest of the library."""
    runs, suspended = runs_of(looked.composed), {fault.path for fault in looked.faults if fault.suspended}
    rows = {unit_path(row.place, row.id): row for row in looked.rows if row.active}
    kept: dict[str, int] = {}
    for version in looked.rows:
        path = unit_path(version.place, version.id)
        kept[path] = kept.get(path, 0) + (not version.active)
    found = [_standing(looked, each, tuple(runs.get(each.path, ())), suspended, rows, kept) for each in looked.found]
    named = {each.path for each in found}
    for unit, name in looked.off():
        if unit.path not in named:
            row = rows.get(unit.path)
            place = row.place if row else _place_by(unit.path)
            found.append(
                Entry(
                    unit.path, name, row.version if row else "", place, place, OFF, (), _origin(unit.path, row), unit.reason,
                    kept.get(unit.path, 0), row.digest if row else "",
                )
            )  # fmt: skip
            named.add(unit.path)
    found += _left_out(looked, named, rows, kept)
    found += _removed(looked.rows, rows)
    return sorted(found, key=_order)


def _standing(
    looked: Looked,
    each: Found,
    runs: tuple[str, ...],
    suspended: set[str],
    rows: Mapping[str, InstalledRow],
    kept: Mapping[str, int],
) -> Entry:
    given, why = each.manifest, broken(looked, each)
    state = ACTIVE if runs else IDLE
    if each.path in suspended:
        state = SUSPENDED
    elif why and not runs:
        state = BROKEN
    elif runs and given.rule is not None and given.rule.mode == "shadow":
        state = SHADOW
    place = place_of(each.scope, each.owner)
    own = each.scope == "library" and ("workspace" in runs or LOG_PIPELINE in runs)
    row = rows.get(each.path)
    return Entry(
        each.path, given.id, given.version, WORKSPACE if own else place, place, state, runs, _origin(each.path, row),
        why if state == BROKEN else given.summary, kept.get(each.path, 0), row.digest if row else "",
    )  # fmt: skip


def _left_out(looked: Looked, named: set[str], rows: Mapping[str, InstalledRow], kept: Mapping[str, int]) -> Iterator[Entry]:
    """Files and packages that cannot be read as cartridges: only their mistakes speak of them."""
    for problem in looked.problems:
        path = problem.where if problem.where.startswith(PREFIX) else problem.where.partition(":")[0]
        inside = f"/{path}".partition("/cartridges/")[2]
        if problem.warning or path in named or not (path in rows or inside):
            continue
        named.add(path)
        row = rows.get(path)
        place = row.place if row else _place_by(path)
        name = row.id if row else path.removesuffix("/cartridge.toml").rpartition("/")[2].partition(".")[0]
        yield Entry(
            path, name, row.version if row else "", place, place, BROKEN, (), _origin(path, row), problem.what, kept.get(path, 0),
            row.digest if row else "",
        )  # fmt: skip


def _removed(all_: Iterable[InstalledRow], rows: Mapping[str, InstalledRow]) -> Iterator[Entry]:
    """What was removed: the version that was active last stands for those that are kept."""
    gone: dict[str, list[InstalledRow]] = {}
    for row in all_:
        if unit_path(row.place, row.id) not in rows:
            gone.setdefault(unit_path(row.place, row.id), []).append(row)
    for path, versions in gone.items():
        last = max(versions, key=lambda row: row.at)
        says = f"removed; `r` brings {last.version} back"
        yield Entry(
            path, last.id, last.version, last.place, last.place, KEPT, (), _origin(path, last), says, len(versions), last.digest
        )


def _place_by(path: str) -> str:
    """The place that the path of a file says."""
    if path.startswith(PREFIX):
        return path.removeprefix(PREFIX).rpartition("/")[0]
    parts = path.split("/")
    if parts[:2] == ["company", "domains"] and len(parts) > 2:
        return f"domain:{parts[2]}"
    return f"member:{parts[1]}" if parts[0] == "personal" and len(parts) > 1 else LIBRARY


def _origin(path: str, row: InstalledRow | None) -> str:
    if path.startswith("plugin:"):
        return "plugin"
    if not path.startswith(PREFIX):
        return "file"
    return "package" if row is None or not row.origin.startswith("pip:") else "pip"


def _order(entry: Entry) -> tuple[int, str, str, str]:
    rank = {WORKSPACE: 0, "domain": 1, "member": 2, LIBRARY: 3}
    return rank.get(entry.where.partition(":")[0], 4), entry.where, entry.id, entry.path


def fits(entry: Entry, words: str) -> bool:
    """Whether every word of the filter fits: `state:broken` looks in one field, any other word in all that is said of it."""
    for word in words.casefold().split():
        field, colon, text = word.partition(":")
        if colon and field in FIELDS:
            held = {
                "id": entry.id, "state": entry.state.replace(" ", "-"), "origin": entry.origin, "place": f"{entry.where} {entry.place}"
            }[field]  # fmt: skip
            if text not in held.casefold():
                return False
        elif word not in f"{entry.id} {entry.says} {entry.path} {' '.join(entry.runs)}".casefold():
            return False
    return True


def row(entry: Entry, counted: Totals | None) -> Row:
    """The line of one. What strangers wrote in it is safe."""
    ran = counted if counted is not None and counted.calls else None
    cells = (
        STATES[entry.state],
        Cell(said(entry.id, 64), "strong"),
        Cell(said(entry.version, 64), "muted"),
        Cell(said(", ".join(entry.runs))),
        Cell(entry.origin, "muted"),
        Cell(f"{ran.calls:,}" if ran else "", "muted"),
        Cell(f"{ran.errors:,}" if ran and ran.errors else "", "bad"),
        Cell(milliseconds(ran.p95_ns) if ran else "", "muted"),
        Cell(said(entry.says), "bad" if entry.state in (BROKEN, OFF) else ""),
    )
    return Row(entry.path, cells, said(heading(entry.where)))


def heading(where: str) -> str:
    """How a place is headed."""
    kind, _, name = where.partition(":")
    return {"workspace": "Workspace", "library": "Library: runs where something requires or enables it"}.get(
        kind, f"{kind.capitalize()} {name}"
    )
