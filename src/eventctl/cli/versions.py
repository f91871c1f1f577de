"""What `cartridge list` and `show` say of where a cartridge came from: a file, a plugin, or an installation with its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventctl.cli.render import Cell, Screen, listing, local, utc
from eventctl.installed import unit_path
from eventctl.lifecycle import short

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eventctl.store import InstalledRow, Unit


def row_of(rows: Iterable[InstalledRow], path: str) -> InstalledRow | None:
    """What is installed and active under the path of a unit."""
    return next((row for row in rows if row.active and unit_path(row.place, row.id) == path), None)


def of(rows: Sequence[InstalledRow], path: str, unit: Unit | None) -> dict[str, Any]:
    """Origin, digest, tier, state and versions of one cartridge, as JSON."""
    row = row_of(rows, path)
    here = [each for each in rows if unit_path(each.place, each.id) == path]
    origin = row.origin if row else "plugin" if path.startswith("plugin:") else "file"
    return {
        "origin": origin, "digest": row.digest if row else None, "trusted": bool(row and row.runs == "in-process"),
        "state": unit.state if unit else "active", "strikes": unit.strikes if unit else 0,
        "versions": [each.version for each in sorted(here, key=lambda each: each.at)],
    }  # fmt: skip


def fields(rows: Sequence[InstalledRow], path: str) -> list[tuple[str, object]]:
    """The same for a card; nothing for what was not installed."""
    row = row_of(rows, path)
    if row is None:
        return []
    others = [each for each in rows if (each.place, each.id) == (row.place, row.id) and not each.active]
    trusted = "trusted by this digest: inside the runner" if row.runs == "in-process" else "not trusted: in a worker"
    return [
        ("origin", row.origin), ("digest", row.digest), ("trust", trusted), ("installed", f"{local(row.at)} by {row.by}, d{row.decision}"),
        ("versions before", ", ".join(f"{each.version} ({short(each.digest)})" for each in others)),
    ]  # fmt: skip


def show(screen: Screen, rows: Sequence[InstalledRow], *, as_json: bool) -> None:
    """Every version that was ever installed and not removed for good, the newest of each cartridge first."""
    ordered = sorted(rows, key=lambda row: (row.place, row.id, -row.at))
    if as_json:
        listing([{**row._asdict(), "at": utc(row.at), "path": unit_path(row.place, row.id)} for row in ordered])
        return
    if not rows:
        screen.say("Nothing was installed: `eventctl cartridge install SOURCE` does.")
        return
    screen.table(
        ("cartridge", "version", "state", "runs", "digest", "since", "by", "origin"),
        [
            [
                f"{row.place}/{row.id}", row.version, Cell("active", fg="green") if row.active else Cell("kept", dim=True),
                row.runs, short(row.digest), screen.ago(row.at), row.by, row.origin,
            ]
            for row in ordered
        ],
    )  # fmt: skip
