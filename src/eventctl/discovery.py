"""Finds what people have put into a workspace: cartridges, domains and their event types. Reads; never executes.

    cartridges/                                                   the library
    company/domains/<name>/{domain.toml,event_types.toml}         a domain, its part of the catalog
    company/domains/<name>/cartridges/                            its cartridges
    personal/<member>/{member.toml,event_types.toml,cartridges/}  a member's
    helpdesk/                                                     input from outside: never a cartridge, whatever lies there

A cartridge is a `.py` file or a folder with `cartridge.toml` and `cartridge.py`. What has a mistake is left out and named, and the
rest stands. A file that has not changed since the last look costs one `stat`: its manifest is kept, checked, in the store.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import Field

from eventctl import helpdesk, leaf
from eventctl import manifest as manifests
from eventctl.autonomy import Level
from eventctl.declaration import read_part
from eventctl.enrichments import EnrichmentSettings
from eventctl.errors import Misconfigured, Problem
from eventctl.manifest import CODE, MANIFEST, Manifest
from eventctl.modules import Code, digest
from eventctl.obeyed import warnings
from eventctl.regular import read_regular
from eventctl.shapes import Duration, LevelNumber, Slug, Strings, Written
from eventctl.store import Unit
from eventctl.suggest import Key, at, read_toml, salvage

LIBRARY, DOMAINS, MEMBERS, CARTRIDGES = "cartridges", "company/domains", "personal", "cartridges"
GONE = "it is not there any more"
_NO_UNITS = ("examples", "tests")
EXAMPLES = (".examples.toml", ".examples")
"""How the name of a file or folder ends that holds the examples of a cartridge which is one file: `ad-spend.examples.toml`."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

Scope = Literal["library", "domain", "personal"]
W = TypeVar("W", bound=Written)


class Guardian(Written):
    """Who judges for a domain. `trust` is how strictly its events are judged, where eventctl.toml does not say it.

    `imports` are modules that a package for it may import beyond the plain ones, `cost` what one of its runs may take (microseconds).
    """

    judge: str = ""
    trust: Literal["permissive", "standard", "strict"] | None = None
    imports: Strings = ()
    cost: Duration | None = None


class DomainAutonomy(Written):
    """What the domain's cartridges may do without asking, where eventctl.toml does not say it; `cartridges` are by id."""

    default: Level | None = None
    cartridges: dict[str, Level] = Field(default_factory=dict)


class DomainFile(Written):
    """`domain.toml`. `settings` are those of its cartridges, and of library cartridges that they require, by id."""

    summary: str = ""
    guardian: Guardian = Guardian()
    enrichment: dict[Slug, EnrichmentSettings] = Field(default_factory=dict)
    autonomy: DomainAutonomy = DomainAutonomy()
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)


class MemberFile(Written):
    """`member.toml`. `settings` are those of the member's cartridges, by id."""

    minimum: LevelNumber | None = None
    quiet: Strings = ()
    digest: str = ""
    channels: Strings = ()
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A cartridge as it was found. `owner` is its domain or member; `path` is relative to the workspace.

    `warned` is what its file says and nobody obeys.
    """

    manifest: Manifest
    scope: Scope
    owner: str
    path: str
    code: Code
    warned: tuple[Problem, ...] = ()


class Domain(NamedTuple):
    """A domain, with what its file says."""

    name: str
    file: DomainFile


@dataclass(slots=True)
class Scan:
    """What there is. `parts` are for `catalog.load`; `member_settings` are by member, then cartridge.

    `units` is what is known now, for the next scan; `changed` those rows of it that the store does not have yet.
    """

    found: list[Found] = field(default_factory=list)
    domains: list[Domain] = field(default_factory=list)
    member_settings: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    parts: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    units: dict[str, Unit] = field(default_factory=dict)
    changed: list[Unit] = field(default_factory=list)


class _Stat(NamedTuple):
    """What tells that a file has not changed; for several files the sums of it."""

    mtime: int
    size: int
    inode: int


def scan(root: Path, known: Mapping[str, Unit], *, before: Iterable[Found] = ()) -> Scan:
    """Look at a workspace. `known` are the store's units, `before` what the last scan of this process found."""
    scanner = _Scanner(root, known, {found.path: found for found in before})
    scanner.library()
    for name in scanner.names(DOMAINS):
        scanner.domain(name)
    for name in scanner.names(MEMBERS):
        scanner.member(name)
    scanner.gone()
    scanner.scan.problems += helpdesk.strays(root)
    return scanner.scan


def one(path: Path, shown: str, scope: Scope, owner: str) -> Found:
    """The cartridge at `path`, as if it stood at `shown` in a workspace. Raises Misconfigured with every mistake."""
    checked = manifests.load(path, shown=shown)
    files = (path / MANIFEST, path / CODE) if path.is_dir() else (path,)
    shown = f"{shown}/{MANIFEST}" if path.is_dir() else shown
    return Found(checked, scope, owner, shown, Code(files, digest([read_regular(file) for file in files])))


class _Scanner:
    def __init__(self, root: Path, known: Mapping[str, Unit], before: Mapping[str, Found]) -> None:
        self._root = root
        self._known = known
        self._before = before
        self.scan = Scan(units=dict(known))
        self._seen: set[str] = set()

    def names(self, folder: str) -> list[str]:
        """The names of domains or members, sorted; none when their folder is not there."""
        found = []
        for entry in _entries(self._root / folder):
            if not entry.is_dir():
                continue
            if _NAME.fullmatch(entry.name):
                found.append(entry.name)
            else:
                what = "a folder here has a name of lower-case letters, digits and '-'"
                self.scan.problems.append(Problem(f"{folder}/{entry.name}", what, "rename it"))
        return found

    def library(self) -> None:
        self._cartridges("library", "", LIBRARY)

    def domain(self, name: str) -> None:
        folder = f"{DOMAINS}/{name}"
        before, path = len(self.scan.problems), f"{folder}/domain.toml"
        file = self._written(DomainFile, path)
        spoilt = at(path, ("autonomy",))
        if any(each.where == path or each.where.startswith(spoilt) for each in self.scan.problems[before:] if not each.warning):
            file = file.model_copy(update={"autonomy": DomainAutonomy(default="L1")})  # mistaken, it lets nothing act
        self.scan.domains.append(Domain(name, file))
        self._event_types(f"domain.{name}", f"{folder}/event_types.toml")
        self._cartridges("domain", name, f"{folder}/{CARTRIDGES}")

    def member(self, name: str) -> None:
        folder = f"{MEMBERS}/{name}"
        self.scan.member_settings[name] = self._written(MemberFile, f"{folder}/member.toml").settings
        self._event_types(f"member.{name}", f"{folder}/event_types.toml")
        self._cartridges("personal", name, f"{folder}/{CARTRIDGES}")

    def gone(self) -> None:
        """Files that were known and are not there: their rows say so, and let go of the manifest."""
        for path, unit in self._known.items():
            if path not in self._seen and unit.reason != GONE and not path.startswith(("plugin:", "installed:")):
                self._remember(unit._replace(manifest=b"", state="disabled", reason=GONE, strikes=0))

    def _written(self, model: type[W], path: str) -> W:
        """A file of a domain or member as its model, without what is mistaken in it; its defaults when there is no file."""
        if not (self._root / path).exists():
            return model()
        try:
            data = read_toml(self._root / path, path)
        except Misconfigured as error:
            self.scan.problems += error.problems
            return model()
        file, _, problems = salvage(model, data, path, _first_key)
        self.scan.problems += [*problems, *warnings(Path(path).name, file or model(), path)]
        return file or model()

    def _event_types(self, own: str, path: str) -> None:
        """The types of a domain or member, in its own namespace; a member's concern nobody else."""
        if not (self._root / path).exists():
            return
        try:
            origin, data = read_part(self._root / path, shown=path)
        except Misconfigured as error:
            self.scan.problems += error.problems
            return
        namespace, (kind, _, name) = data.get("namespace"), own.partition(".")
        if isinstance(namespace, str) and namespace != own and not namespace.startswith(f"{own}."):
            what = f"the types of this {kind} begin with {own!r}, not {namespace!r}"
            self.scan.problems.append(Problem(f"{path}: namespace", what, f'namespace = "{own}"'))
            return
        if kind == "member":
            data, problems = leaf.part_of(name, data, path)
            self.scan.problems += problems
        self.scan.parts.append((origin, data))

    def _cartridges(self, scope: Scope, owner: str, folder: str) -> None:
        if helpdesk.lies_in(self._root, self._root / folder):
            what = "leads into helpdesk/, and no cartridge is ever taken from there"
            self.scan.problems.append(Problem(folder, what, "read what lies there; then copy it"))
            return
        for path, files, stat in self._units(folder):
            self._seen.add(path)
            try:
                self._cartridge(scope, owner, path, files, stat)
            except Misconfigured as error:
                self.scan.problems += error.problems

    def _units(self, folder: str) -> Iterator[tuple[str, tuple[str, ...], _Stat]]:
        """Each cartridge's path, its files (relative to the workspace, the code last) and their stat."""
        for entry in _entries(self._root / folder):
            path = f"{folder}/{entry.name}"
            if entry.is_symlink():
                self.scan.problems.append(Problem(path, "is a link, and a cartridge stands where it is", "copy it here"))
            elif entry.name.endswith(EXAMPLES):
                continue
            elif entry.name.endswith((".py", ".toml")):
                yield path, (path,), _stat([entry.path])
            elif entry.is_dir() and entry.name not in _NO_UNITS:
                files = (f"{path}/{MANIFEST}", f"{path}/{CODE}")
                try:
                    yield files[0], files, _stat([f"{entry.path}/{MANIFEST}", f"{entry.path}/{CODE}"])
                except FileNotFoundError as error:
                    missing = Path(error.filename).name
                    self.scan.problems.append(Problem(path, f"is no cartridge: it has no {missing}"))

    def _cartridge(self, scope: Scope, owner: str, path: str, files: tuple[str, ...], stat: _Stat) -> None:
        unit = self._known.get(path)
        if unit is None or (unit.mtime, unit.size, unit.inode) != stat or not unit.manifest:
            unit = self._read(path, files, stat, unit)
            self._remember(unit)
        if unit.state != "active":
            self.scan.problems.append(Problem(path, f"is switched off: {unit.reason}", "change it, and it gets another chance"))
            return
        found = self._before.get(path)
        if found is None or found.code.hash != unit.hash:
            checked = _undump(unit) or manifests.load(self._root / path, shown=path)
            code = Code(tuple(self._root / file for file in files), unit.hash)
            found = Found(checked, scope, owner, path, code, (*warnings(MANIFEST, checked, path), *_misnamed(checked, path)))
        self.scan.problems += found.warned
        self.scan.found.append(found)

    def _read(self, path: str, files: tuple[str, ...], stat: _Stat, known: Unit | None) -> Unit:
        """The unit's row after a look into its files. Strikes stay with the content that earned them."""
        try:
            hashed = digest([read_regular(self._root / file) for file in files])
        except OSError as error:
            raise Misconfigured(f"cannot be read: {error.strerror or error}", where=path) from error
        checked = manifests.dump(manifests.load(self._root / path, shown=path))
        if known is not None and known.hash == hashed and known.reason != GONE:
            return known._replace(mtime=stat.mtime, size=stat.size, inode=stat.inode, manifest=checked)
        return Unit(path, *stat, hashed, checked)

    def _remember(self, unit: Unit) -> None:
        self.scan.units[unit.path] = unit
        self.scan.changed.append(unit)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not entry.name.startswith((".", "_"))]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found, key=lambda entry: entry.name)


def _stat(paths: Iterable[str]) -> _Stat:
    stats = [os.stat(path) for path in paths]  # noqa: PTH116 - for ten thousand files a Path each costs more than the stat
    return _Stat(
        sum(stat.st_mtime_ns for stat in stats), sum(stat.st_size for stat in stats), sum(stat.st_ino for stat in stats)
    )


def _undump(unit: Unit) -> Manifest | None:
    """The manifest as it was stored; None for one that an older version let through and this one does not."""
    try:
        return manifests.undump(unit.manifest)
    except ValueError:
        return None


def _misnamed(manifest: Manifest, path: str) -> list[Problem]:
    """A file is looked for by its name: its examples stand beside it, and people type its id."""
    name = path.removesuffix(f"/{MANIFEST}").rpartition("/")[2].removesuffix(".py").removesuffix(".toml")
    if name == manifest.id:
        return []
    what = f"it is called {name!r}, and the cartridge in it {manifest.id!r}"
    return [Problem(path, what, "let the file have the name of the cartridge", warning=True)]


def _first_key(key: Key) -> Key:
    return key[:2] if key and key[0] in ("settings", "enrichment") else key[:1]
