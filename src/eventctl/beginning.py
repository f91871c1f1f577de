"""What a workspace begins with, as text: its settings with a line on every section, a member's file, a domain of one's own.

Settings that are there already are added to: a line that stands is never changed, moved or taken out. What cannot be added that
way is refused, with the lines to write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import tomlkit

from eventctl import tomledit
from eventctl.errors import Misconfigured
from eventctl.suggest import parse_toml
from eventctl.tomledit import Edit

LEVELS = ("L1", "L2", "L3")
ROLES = ("admin", "member")
OUTSIDE = "customer-relations"
"""The domain that speaks with people outside: a person confirms what is done there, and what comes from there is judged strictly."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Person(NamedTuple):
    """A member, as they are wished for. `domains` are those that they decide for."""

    name: str
    role: str = "member"
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a workspace. `domains` None: all that are shipped. `level` is for everything, `levels` by domain."""

    domains: tuple[str, ...] | None = None
    members: tuple[Person, ...] = ()
    level: str = ""
    levels: Mapping[str, str] = field(default_factory=dict)


class Added(NamedTuple):
    """Settings to be added to: the edit, what is new in it, and what is left as it stands, in sentences."""

    edit: Edit
    new: list[str]
    kept: list[str]


def read_domain(text: str) -> str:
    """The name of a domain. Raises ValueError with a sentence."""
    if not _NAME.fullmatch(text):
        raise ValueError(f"a domain's name is lower-case letters, digits, '-' and '_', not {text[:40]!r}")
    return text


def read_member(text: str) -> Person:
    """`bob`, `bob:admin` or `bob:member:marketing,finance`. Raises ValueError with a sentence."""
    name, _, rest = text.partition(":")
    role, _, domains = rest.partition(":")
    if not _NAME.fullmatch(name):
        raise ValueError(f"a member's name is lower-case letters, digits, '-' and '_', not {name[:40]!r}")
    if (role or "member") not in ROLES:
        raise ValueError(f"a role is admin or member, not {role[:40]!r}")
    return Person(name, role or "member", tuple(read_domain(one.strip()) for one in domains.split(",") if one.strip()))


def read_level(text: str) -> tuple[str, str]:
    """`L3`, for everything, or `marketing=L2`: the domain ("" for everything) and the level. Raises ValueError with a sentence."""
    domain, _, level = text.rpartition("=")
    if level.upper() not in LEVELS:
        raise ValueError(f"a level is L1, L2 or L3, not {level[:40]!r}")
    return read_domain(domain) if domain else "", level.upper()


def first(name: str, wish: Wish, domains: Sequence[str]) -> str:
    """The settings of a new workspace with these domains."""
    outside = OUTSIDE in domains
    levels = {**({OUTSIDE: "L1"} if outside else {}), **wish.levels}
    members = "\n".join(_section(("members", person.name), _as_told(person)) for person in wish.members)
    parts = [_HEAD.format(name=name) + members]
    parts += [_AUTONOMY + _section(("autonomy",), {"default": wish.level or "L3"})]
    parts += [_LEVELS + _section(("autonomy", "domains"), levels)] if levels else []
    parts += [_TRUST] + ([_OUTSIDE + _section(("trust", "domains"), {OUTSIDE: "strict"})] if outside else []) + [_REST]
    return "\n".join(parts)


def added(path: Path, wish: Wish, *, new_domains: Sequence[str] = ()) -> Added:
    """The settings in a file with what is wished for and missing, ready to be written.

    Raises `Misconfigured` when they cannot be read, or added to without changing a line.
    """
    wanted: list[tuple[tuple[str, ...], Any, str]] = [
        (("members", person.name), _as_told(person), f"{person.name} is {_role(person)}") for person in wish.members
    ]
    if wish.level:
        wanted.append((("autonomy", "default"), wish.level, f"the level is {wish.level}"))
    outside = OUTSIDE in new_domains
    levels = {**({OUTSIDE: "L1"} if outside else {}), **wish.levels}
    wanted += [(("autonomy", "domains", name), level, f"the level of {name} is {level}") for name, level in levels.items()]
    wanted += [(("trust", "domains", OUTSIDE), "strict", f"{OUTSIDE} is judged strictly")] if outside else []
    text = path.read_bytes().decode(errors="replace").removeprefix(tomledit.BOM)
    data, kept, missing = parse_toml(text, path.name), list[str](), list[tuple[tuple[str, ...], Any, str]]()
    for key, value, said in wanted:
        there = tomledit.at(data, key)
        if there is None:
            missing.append((key, value, said))
        elif there != value and not (key[0] == "members" and _same(there, value)):
            kept.append(f"{'.'.join(key)} stays as it is; asked for was: {said}")

    def check(after: str) -> None:
        if not _keeps(text, after):
            what = "it cannot be added to without changing a line of yours"
            raise Misconfigured(what, where=path.name, hint=f"write it by hand: {'; '.join(said for _, _, said in missing)}")

    edit = tomledit.edit(path, [(key, value) for key, value, _ in missing], where=path.name, check=check)
    return Added(edit, [said for _, _, said in missing], kept)


def member_file(name: str) -> str:
    """The file of a new member."""
    return f"""\
# What is {name}'s own: settings of their cartridges, and how they want to be told. `eventctl config check` reads it too.

# Settings of a cartridge in personal/{name}/cartridges/, by its id; `eventctl cartridge show ID` says what it takes.
# [settings.my-reviews]
# me = "{name}"
"""


def domain_files(name: str) -> dict[str, str]:
    """The files of a domain that is nobody's but yours, by their names."""
    return {
        "domain.toml": f"""\
# What this domain is about, in a sentence.
summary = "{name.replace("-", " ").replace("_", " ").capitalize()}."

# Settings of its cartridges, and of library cartridges that they require, by id.
# [settings.threshold]
# count = 5
""",
        "event_types.toml": f"""\
# What can happen in this domain. `eventctl config check` says what is wrong here; docs/events.md explains every key.
namespace = "domain.{name}"

# A life is what stands in the inbox: an event opens it, another resolves it.
# [lives.order]
# key = ["order"]
# title = "Order {{order}}"

# [types."order.stuck"]
# summary = "An order does not go out."
# level = "workflow"
# payload = {{ order = "str" }}
# lives = {{ order = "opens" }}
""",
    }


def _section(path: Sequence[str], values: Mapping[str, Any]) -> str:
    """A table, with its header."""
    inner = tomlkit.table()
    inner.update(values)
    for name in reversed(path):
        outer = tomlkit.table(is_super_table=True)
        outer.append(name, inner)
        inner = outer
    return tomlkit.dumps(inner)


def _keeps(before: str, after: str) -> bool:
    """Whether every line is still there, in its order."""
    lines = iter(after.split("\n"))
    return all(line in lines for line in before.split("\n"))


def _role(person: Person) -> str:
    said = "an admin" if person.role == "admin" else "a member"
    return f"{said} for {', '.join(person.domains)}" if person.domains else said


def _as_told(person: Person) -> dict[str, Any]:
    return {"role": person.role, **({"domains": list(person.domains)} if person.domains else {})}


def _same(there: Any, value: dict[str, Any]) -> bool:
    """Whether a member is what was wished for; who was wished for without domains may have some."""
    return isinstance(there, dict) and {"role": "member", **there, **value} == {"role": "member", **there}


_HEAD = """\
# The settings of {name}. `eventctl config check` says what is wrong here, `eventctl config show` what holds.
# A JSON Schema of this file, for your editor: `eventctl config schema`.

# Who works here. An admin changes the workspace; a member works from the inbox, and decides for the domains that are named.
"""
_AUTONOMY = """\
# What may act without asking: L1 asks first, L2 acts and can be undone for ten minutes, L3 acts.
"""
_LEVELS = """\
# Where another level holds. What is done in front of people outside is asked about.
"""
_TRUST = """\
# Who is believed: permissive believes everybody, standard flags sources that it does not know, strict holds them.
[trust]
strictness = "standard"
# rules = [{ source = "cron-*", channel = "cli", verdict = "accept" }]
"""
_OUTSIDE = """\
# What people outside say is hostile until shown otherwise.
"""
_REST = """\
# What is read from files in helpdesk/ was written outside: it is held until somebody has looked.
[trust.channels]
file = "strict"

# How long the log keeps events. What people still have to look at stays.
[retention]
events = "90d"

# Library cartridges (see cartridges/) that run for the whole workspace.
# [enable]
# threshold = { types = "job.failed", count = 5, window = "1h" }
"""
