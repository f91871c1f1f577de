"""Puts what is installed beside what people wrote: verified against its digest, and placed as if a file stood there. Executes nothing.

The store keeps the files of a package and says which version is active in which place. What runs is what was looked at, or nothing:
a package that lacks a byte, or has another one, is left out and named. Its unit is `installed:<place>/<id>`, with the digest as its
hash: a new version begins without strikes, and one that comes back finds those that it had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from eventctl import manifest as manifests
from eventctl.discovery import CARTRIDGES, DOMAINS, MEMBERS, Found, Scan, Scope
from eventctl.errors import Problem
from eventctl.manifest import Manifest
from eventctl.modules import Code
from eventctl.package import BadPackage, Package, unpack
from eventctl.store import InstalledRow, Unit

PREFIX = "installed:"
VERSION = "installed"
"""The fact that changes with every change to what is installed: a runner looks at it between its steps."""

DAMAGED = "its stored files are not those that were installed"
MISSING = "its stored files are not here"
BROKEN = (DAMAGED, MISSING)
LIBRARY = "library"
_SCOPES: Mapping[str, Scope] = {"library": "library", "domain": "domain", "member": "personal"}
_EARLIER = "@"


def unit_path(place: str, id_: str) -> str:
    """How an installed cartridge is called where a file would be named by its path."""
    return f"{PREFIX}{place}/{id_}"


def scope_of(place: str) -> tuple[Scope, str]:
    """The scope of a place, and whose it is."""
    kind, _, owner = place.partition(":")
    return _SCOPES[kind], owner


def place_of(scope: Scope, owner: str) -> str:
    """The place of what belongs to this owner."""
    return {"library": LIBRARY, "domain": f"domain:{owner}", "personal": f"member:{owner}"}[scope]


def folder_of(place: str) -> str:
    """Where the files of a place stand, relative to the workspace."""
    scope, owner = scope_of(place)
    above = {"library": "", "domain": f"{DOMAINS}/{owner}/", "personal": f"{MEMBERS}/{owner}/"}[scope]
    return f"{above}{CARTRIDGES}"


def pipeline_of(place: str) -> str:
    """Where a cartridge of this place runs; one of the library for the workspace, whoever else requires it."""
    return {"library": "workspace", "member": "members"}.get(place.partition(":")[0], place)


def cartridge_of(place: str, id_: str) -> str:
    """Its name in that pipeline."""
    return f"{place.partition(':')[2]}/{id_}" if place.startswith("member:") else id_


def runs_of(manifest: Manifest, runs: str) -> Manifest:
    """The manifest as it holds here: in a worker until this digest is trusted, and never in a weaker place than it asks for."""
    if manifest.rule is not None or runs == "in-process" or manifest.runs != "in-process":
        return manifest
    return manifest.model_copy(update={"runs": "worker"})


def found_of(package: Package, place: str, runs: str) -> Found:
    """A package as it would be found in a place."""
    scope, owner = scope_of(place)
    path = unit_path(place, package.id)
    code = Code((Path(path, package.code_name),), package.digest, text=package.code)
    return Found(runs_of(package.manifest, runs), scope, owner, path, code)


class Shelf:
    """Reads packages out of a store, and verifies their bytes each time; what they say is parsed once."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, bytes], Package] = {}

    def package(self, digest: str, body: bytes) -> Package:
        """The package of these bytes. Raises BadPackage when they are not those of the digest."""
        key = digest, sha256(body).digest()
        if key not in self._read:
            self._read[key] = unpack(body, digest)
        return self._read[key]

    def join(self, scan: Scan, rows: Iterable[InstalledRow], body: Callable[[str], bytes | None]) -> None:
        """Add what is installed and active to what was found. `body` gives the stored bytes of a digest."""
        there = {(each.scope, each.owner, each.manifest.id): each for each in scan.found}
        for row in rows:
            if row.active:
                self._add(scan, row, body(row.digest), there.get((*scope_of(row.place), row.id)))

    def _add(self, scan: Scan, row: InstalledRow, body: bytes | None, local: Found | None) -> None:
        path = unit_path(row.place, row.id)
        if body is None:
            return _broken(scan, row, MISSING)
        try:
            package = self.package(row.digest, body)
        except BadPackage:
            return _broken(scan, row, DAMAGED)
        unit = _unit(scan, path, row.digest, package.manifest)
        if unit.state != "active":
            hint = f"`eventctl cartridge rollback {row.id}`, or install another version"
            scan.problems.append(Problem(path, f"is switched off: {unit.reason}", hint))
            return None
        if row.place.startswith("domain:") and row.place[7:] not in [domain.name for domain in scan.domains]:
            what = f"it is installed for the domain {row.place[7:]!r}, which is not there any more"
            scan.problems.append(Problem(path, what, f"`eventctl cartridge remove {row.id}`"))
            return None
        if local is not None:
            scan.problems += _clash(path, local, row.id)
            return None
        scan.found.append(found_of(package, row.place, row.runs))
        return None


def damaged(before: Mapping[str, Unit], now: Mapping[str, Unit]) -> Iterator[tuple[str, str, str]]:
    """(place, id, reason) of what is found broken now and was not before."""
    for path, unit in now.items():
        if path.startswith(PREFIX) and unit.state != "active" and unit.reason in BROKEN:
            known = before.get(path)
            if known is None or (known.state, known.reason, known.hash) != (unit.state, unit.reason, unit.hash):
                place, _, id_ = path.removeprefix(PREFIX).rpartition("/")
                yield place, id_, unit.reason


def _clash(path: str, local: Found, id_: str) -> Iterator[Problem]:
    yield Problem(
        path, f"the id {id_!r} is taken here by {local.path}", f"`eventctl cartridge remove {id_}`, or rename the file"
    )
    yield Problem(
        local.path, f"{id_!r} is installed here as well: this file stands, and what was installed is left out", warning=True
    )


def _broken(scan: Scan, row: InstalledRow, reason: str) -> None:
    """What it was is not to be had: it is switched off until the bytes are back, or another version is installed."""
    path = unit_path(row.place, row.id)
    unit = _unit(scan, path, row.digest, None)
    _remember(scan, unit._replace(state="disabled", reason=reason))
    scan.problems.append(Problem(path, reason, "it is left out: install it again"))


def _unit(scan: Scan, path: str, digest: str, manifest: Manifest | None) -> Unit:
    """The unit of this version, with the strikes that it had; the one of another version is put aside."""
    known = scan.units.get(path)
    if known is not None and known.hash != digest:
        _remember(scan, known._replace(path=_aside(path, known.hash), manifest=b""))
        known = scan.units.get(_aside(path, digest))
    written = manifests.dump(manifest) if manifest is not None else known.manifest if known else b""
    if known is None:
        unit = Unit(path, 0, 0, 0, digest, written)
    else:
        back = manifest is not None and known.reason in BROKEN
        unit = known._replace(path=path, manifest=written)
        unit = unit._replace(state="active", reason="") if back else unit
    if scan.units.get(path) != unit:
        _remember(scan, unit)
    return unit


def _aside(path: str, digest: str) -> str:
    """Where the strikes of a version are kept that is not active."""
    return f"{path}{_EARLIER}{digest}"


def _remember(scan: Scan, unit: Unit) -> None:
    scan.units[unit.path] = unit
    scan.changed.append(unit)
