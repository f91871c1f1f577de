"""Changes of the workspace itself: who is a member, which domains there are, what may act without asking.

What people write stays the only truth: a change is an edit of their file, and a record of it, which says who made it and what stood
there before. The record is durable before the file changes, so that nobody's rights ever change without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl import beginning, client, tomledit
from eventctl.beginning import Person
from eventctl.discovery import DOMAINS, MEMBERS, DomainFile
from eventctl.errors import Conflict, Misconfigured, NotFound, NotPermitted
from eventctl.ids import uuid7
from eventctl.nearest import did_you_mean
from eventctl.principal import Principal, allowed
from eventctl.settings import Settings
from eventctl.store import Record
from eventctl.suggest import parse_toml, read_toml, salvage
from eventctl.tomledit import Change, Edit
from eventctl.workspace import CONFIG, Paths

if TYPE_CHECKING:
    from eventctl.shapes import Written
    from eventctl.store import Store

AUTONOMY = "autonomy.set"
CHANGE = "workspace.change"

Wanted = Sequence[tuple[Sequence[str], Any]]


class Changed(NamedTuple):
    """What was changed in a file, and the number of the record that says so (0: nothing had to, or it was only looked at)."""

    file: str
    changes: list[Change]
    seq: int = 0


def permit(principal: Principal, verb: str) -> None:
    """Raises `NotPermitted` unless the principal may change the workspace that way."""
    if not allowed(principal, verb):
        where = "on the command line" if principal.channel != "cli" else "see [members] in eventctl.toml"
        raise NotPermitted(f"{principal.subject} may not do that: {verb}", hint=f"an admin may: {where}")


def change(
    paths: Paths, wanted: Wanted, *, verb: str, principal: Principal, now: int, file: str = CONFIG, dry: bool = False
) -> Changed:
    """Set keys of a settings file (None takes one out) as an admin; with `dry` only say what that would change.

    Raises `NotPermitted`, `Conflict` where nobody would be an admin any more, `Misconfigured` where the file would have a mistake that
    it does not have now.
    """
    permit(principal, verb)
    if dry:
        return Changed(file, _edit(paths, wanted, file).changes)
    with client.short(paths) as store:
        edit = _edit(paths, wanted, file)
        if not edit.changes:
            return Changed(file, [])
        seq = _tell(store, verb, file, edit.changes, principal, now)
        edit.write()
    return Changed(file, edit.changes, seq)


def members(paths: Paths) -> dict[str, Person]:
    """The members as eventctl.toml names them, in its order."""
    given = _read(paths.config, CONFIG).get("members", {})
    found, _, _ = salvage(Settings, {"members": given}, CONFIG, lambda key: key[:3])
    read = found.members if found else {}
    return {name: Person(name, each.role, each.domains) for name, each in read.items()}


def member(paths: Paths, name: str) -> Person:
    """The member of that name. Raises `NotFound` with the names that there are."""
    there = members(paths)
    if name not in there:
        raise NotFound(f"there is no member {name!r}", where=CONFIG, hint=_options(name, there))
    return there[name]


def domains(paths: Paths) -> list[str]:
    """The names of the domains that have a folder."""
    folder = paths.root / DOMAINS
    return sorted(entry.name for entry in folder.iterdir() if _is_domain(entry)) if folder.is_dir() else []


def domain(paths: Paths, name: str) -> str:
    """The name, if there is such a domain. Raises `NotFound` with the names that there are."""
    there = domains(paths)
    if name not in there:
        raise NotFound(f"there is no domain {name!r}", where=f"{DOMAINS}/", hint=_options(name, there))
    return name


def add_member(paths: Paths, person: Person, *, principal: Principal, now: int) -> Changed:
    """Bring a member in, with a file of their own. Raises `Conflict` for one who is there."""
    permit(principal, CHANGE)
    there = members(paths)
    if person.name in there:
        raise Conflict(
            f"{person.name} is a member already", where=CONFIG, hint=f"`eventctl member set {person.name}` changes them"
        )
    if not there and person.role != "admin":
        raise Conflict("the first member is an admin", where=CONFIG, hint=f"eventctl member add {person.name} --role admin")
    for each in person.domains:
        domain(paths, each)
    said: dict[str, Any] = {"role": person.role, **({"domains": list(person.domains)} if person.domains else {})}
    done = change(paths, [(("members", person.name), said)], verb=CHANGE, principal=principal, now=now)
    file = paths.root / MEMBERS / person.name / "member.toml"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        tomledit.replace(file, beginning.member_file(person.name))
    return done


def set_member(
    paths: Paths, name: str, *, role: str | None, serves: Sequence[str] | None, principal: Principal, now: int
) -> Changed:
    """Give a member another role, other domains, or both; None leaves that as it is."""
    permit(principal, CHANGE)
    member(paths, name)
    for each in serves or ():
        domain(paths, each)
    wanted: list[tuple[Sequence[str], Any]] = []
    if role is not None:
        wanted.append((("members", name, "role"), role))
    if serves is not None:
        wanted.append((("members", name, "domains"), list(serves) or None))
    return change(paths, wanted, verb=CHANGE, principal=principal, now=now)


def remove_member(paths: Paths, name: str, *, principal: Principal, now: int) -> Changed:
    """Let a member go; their folder stays."""
    permit(principal, CHANGE)
    member(paths, name)
    return change(paths, [(("members", name), None)], verb=CHANGE, principal=principal, now=now)


def add_domain(paths: Paths, name: str, *, summary: str, principal: Principal, now: int) -> Changed:
    """Make a domain with its files. Raises `Conflict` when it is there, ValueError for a name that is none."""
    permit(principal, CHANGE)
    folder = paths.root / DOMAINS / beginning.read_domain(name)
    if folder.exists():
        raise Conflict(f"there is a domain {name} already", where=f"{DOMAINS}/{name}/", hint=f"`eventctl domain show {name}`")
    made = Change((*DOMAINS.split("/"), name), None, summary or "a domain")
    with client.short(paths) as store:
        seq = _tell(store, CHANGE, f"{DOMAINS}/{name}/domain.toml", [made], principal, now)
        (folder / "cartridges").mkdir(parents=True)
        for file, text in beginning.domain_files(name).items():
            tomledit.replace(folder / file, text)
        if summary:
            tomledit.edit(folder / "domain.toml", [(("summary",), summary)]).write()
    return Changed(f"{DOMAINS}/{name}/domain.toml", [made], seq)


def note(paths: Paths, file: str, changes: Sequence[Change], *, principal: Principal, now: int) -> None:
    """Say in the log who is about to make these changes of a file: what autonomy allows, and everything else."""
    by_verb = (
        (AUTONOMY, [each for each in changes if each.key[0] == "autonomy"]),
        (CHANGE, [each for each in changes if each.key[0] != "autonomy"]),
    )
    with client.short(paths) as store:
        for verb, mine in by_verb:
            if mine:
                permit(principal, verb)
                _tell(store, verb, file, mine, principal, now)


def _edit(paths: Paths, wanted: Wanted, file: str) -> Edit:
    path, model = paths.root / file, Settings if file == CONFIG else DomainFile
    before = _mistakes(model, _read(path, file), file)

    def check(text: str) -> None:
        data = parse_toml(text, file)
        new = [problem for problem in _mistakes(model, data, file) if problem not in before]
        if new:
            raise Misconfigured.listing(new)
        if model is Settings:
            _keeps_an_admin(data)

    return tomledit.edit(path, wanted, where=file, check=check)


def _mistakes(model: type[Written], data: Mapping[str, Any], where: str) -> list[Any]:
    return salvage(model, data, where, lambda key: key[:3])[2]


def _keeps_an_admin(data: Mapping[str, Any]) -> None:
    """A workspace without members is everybody's who can open it, and one without an admin nobody's."""
    there = data.get("members")
    roles = [each.get("role") for each in there.values() if isinstance(each, dict)] if isinstance(there, dict) else []
    if "admin" not in roles:
        raise Conflict("nobody would be an admin any more", where=CONFIG, hint="make somebody else an admin first")


def _tell(store: Store, verb: str, file: str, changes: Sequence[Change], principal: Principal, now: int) -> int:
    said = [{"key": each.name, "before": each.before, "after": each.after} for each in changes]
    body = orjson.dumps({"verb": verb, "file": file, "changes": said})
    return store.append([Record("move", "move", uuid7(now), verb, body, str(principal), now)])[0].seq


def _read(path: Path, shown: str) -> dict[str, Any]:
    return read_toml(path, shown) if path.exists() else {}


def _is_domain(entry: Path) -> bool:
    return entry.is_dir() and not entry.name.startswith((".", "_"))


def _options(name: str, there: Mapping[str, Any] | Sequence[str]) -> str:
    return did_you_mean(name, there) if there else "there is none yet"
