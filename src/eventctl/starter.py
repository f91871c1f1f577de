"""A new workspace: its settings file, the content that eventctl ships, and an empty log. Safe to do again.

What was copied is remembered by hash in `.eventctl/shipped.json`. A later `make` adds what is new, brings files up to date that
nobody has edited, and leaves edited and removed ones alone.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import orjson

import eventctl
from eventctl import beginning, workspace
from eventctl.beginning import Person, Wish
from eventctl.tomledit import Change
from eventctl.workspace import Paths

SHIPPED = ("company", "cartridges", "personal", "helpdesk")
RECORD = "shipped.json"
DOMAINS, MEMBERS = "company/domains", "personal"

_SPOKEN_OF = re.compile(r"\bdomain\.([a-z0-9][a-z0-9_-]*)\.")


@dataclass(slots=True)
class Made:
    """What `make` did; paths are relative to the root.

    `members` are new; `settings` says what was added to settings that were there, `kept` what stayed though something else was wished
    for.
    """

    root: Path
    member: str
    new_workspace: bool = False
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    members: list[Person] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


Told = Callable[[Paths, str, Sequence[Change]], None]
"""Hears which keys of which file are about to be changed in a workspace that is there."""


def _nobody(paths: Paths, file: str, changes: Sequence[Change]) -> None:
    return


def make(root: Path, *, name: str, member: str, i_know: bool = False, wish: Wish | None = None, told: Told = _nobody) -> Made:
    """Make or complete the workspace in `root`, with what is wished for. `i_know` allows a network file system.

    `member` is who asks: the admin of a new workspace, unless the wish names another. Raises `Misconfigured` on a network file
    system, or where settings cannot be added to, `OSError` where it may not write.
    """
    wish = wish or Wish()
    root.mkdir(parents=True, exist_ok=True)
    paths = Paths(root.resolve())
    made = Made(paths.root, identifier(member) or "me", new_workspace=not paths.config.exists())
    workspace.prepare(paths, i_know=i_know)
    _open_store(paths)
    chosen, asked = _domains(paths, made, wish)
    if made.new_workspace:
        wish = _peopled(wish, made.member)
        text = beginning.first(identifier(name) or "workspace", wish, chosen)
        _write(paths.config, text.encode())
        made.members = list(wish.members)
    elif wish != Wish():
        done = beginning.added(paths.config, wish, new_domains=asked)
        made.settings, made.kept = done.new, done.kept
        if done.edit.changes:
            told(paths, paths.config.name, done.edit.changes)
            done.edit.write()
        for domain in asked:
            told(paths, f"{DOMAINS}/{domain}/domain.toml", [Change((*DOMAINS.split("/"), domain), None, "a domain")])
        new = {change.key[1] for change in done.edit.changes if change.key[0] == "members"}
        made.members = [person for person in wish.members if person.name in new]
    _copy_shipped(paths, made, frozenset(chosen), frozenset(asked))
    _write_own(paths, made, asked)
    return made


def shipped_domains() -> dict[str, str]:
    """The domains that are shipped, each with its summary."""
    folder = content() / DOMAINS
    files = sorted(folder.glob("*/domain.toml")) if "company" in SHIPPED else []
    return {file.parent.name: str(tomllib.loads(file.read_text("utf-8")).get("summary", "")) for file in files}


def _peopled(wish: Wish, member: str) -> Wish:
    """The wish with an admin: who asks, where it names none."""
    if any(person.role == "admin" for person in wish.members):
        return wish
    others = tuple(person for person in wish.members if person.name != member)
    return replace(wish, members=(Person(member, "admin"), *others))


def _domains(paths: Paths, made: Made, wish: Wish) -> tuple[list[str], list[str]]:
    """The domains that this workspace has from now on, and those of them that are new to it because they were asked for."""
    shipped, folder = list(shipped_domains()), paths.root / DOMAINS
    there = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    known = {path.split("/")[2] for path in _recorded(paths) if path.startswith(f"{DOMAINS}/")}
    if made.new_workspace or not (there or known):
        usual = shipped if wish.domains is None else []
        standing = list(there)
    else:
        usual = []
        standing = [*there, *sorted(known.difference(there))]
    chosen = list(dict.fromkeys([*standing, *usual, *(wish.domains or ())]))
    return chosen, [name for name in wish.domains or () if name not in there]


def _write_own(paths: Paths, made: Made, asked: Iterable[str]) -> None:
    """Files that nobody ships: of members who are new here, and of domains that are the workspace's own."""
    files = {f"{MEMBERS}/{person.name}/member.toml": beginning.member_file(person.name) for person in made.members}
    shipped = shipped_domains()
    for domain in asked:
        if domain not in shipped:
            files |= {f"{DOMAINS}/{domain}/{name}": text for name, text in beginning.domain_files(domain).items()}
    for relative, text in files.items():
        target = paths.root / relative
        if not target.exists():
            _write(target, text.encode())
            made.added.append(relative)


def identifier(text: str) -> str:
    """The text as a bare key of TOML that is easy to type: small letters, digits, `-` and `_`."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:60]


def content() -> Path:
    """Where the shipped content stands: in the package, or beside it in a source tree."""
    package = Path(eventctl.__file__).parent
    packed = package / "_content"
    return packed if packed.is_dir() else package.parent.parent


def _copy_shipped(paths: Paths, made: Made, chosen: frozenset[str], asked: frozenset[str]) -> None:
    record = paths.state_dir / RECORD
    source = content()
    if source.resolve() == paths.root:
        return  # the repository is a workspace itself, and has all of it
    known = _recorded(paths)
    for relative in _shipped_files(source, chosen):
        data = (source / relative).read_bytes()
        target = paths.root / relative
        now = _hash(target.read_bytes()) if target.is_file() else None
        again = _domain(relative) in asked  # its folder is gone, and it is wanted back
        before, wanted = None if again else known.get(relative), _hash(data)
        if now == wanted:
            known[relative] = wanted
        elif now is None and before is not None:
            made.removed.append(relative)
        elif now is None or now == before:
            _write(target, data)
            (made.added if now is None else made.updated).append(relative)
            known[relative] = wanted
        else:
            made.edited.append(relative)
    _write(record, orjson.dumps(known, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2), 0o600)


def _recorded(paths: Paths) -> dict[str, str]:
    record = paths.state_dir / RECORD
    known: dict[str, str] = orjson.loads(record.read_bytes()) if record.exists() else {}
    return known


def _shipped_files(source: Path, chosen: frozenset[str]) -> Iterator[str]:
    """What is shipped of these domains and of no others, relative to where it stands."""
    others = set(shipped_domains()) - chosen
    for top in SHIPPED:
        for path in sorted((source / top).rglob("*")):
            parts = path.relative_to(source).parts
            if not path.is_file() or any(part == "__pycache__" or part.startswith(".") for part in parts):
                continue
            relative = "/".join(parts)
            if _domain(relative) not in others and not (top == MEMBERS and _about(source / top / parts[1]) & others):
                yield relative


def _domain(relative: str) -> str:
    """The domain that a file belongs to, or nothing."""
    return relative.split("/")[2] if relative.startswith(f"{DOMAINS}/") and relative.count("/") > 2 else ""


@cache
def _about(folder: Path) -> frozenset[str]:
    """The domains that the files of a member speak of: without them they would have nothing to say."""
    files = [path for path in folder.rglob("*") if path.suffix in (".py", ".toml")] if folder.is_dir() else []
    return frozenset(name for file in files for name in _SPOKEN_OF.findall(file.read_text("utf-8")))


def _write(target: Path, data: bytes, mode: int | None = None) -> None:
    """Whole or not at all: what is there is replaced in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{target.name}.{os.getpid()}.new")
    aside.write_bytes(data)
    if mode is not None:
        aside.chmod(mode)
    aside.replace(target)


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()


def _open_store(paths: Paths) -> None:
    if not paths.db.exists():
        from eventctl.sqlite_store import SqliteStore

        SqliteStore.create(paths.db).close()
