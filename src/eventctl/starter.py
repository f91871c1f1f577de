"""A new workspace: its settings file, the content that eventctl ships, and an empty log. Safe to do again.

What was copied is remembered by hash in `.eventctl/shipped.json`. A later `make` adds what is new, brings files up to date that
nobody has edited, and leaves edited and removed ones alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import orjson

import eventctl
from eventctl import workspace
from eventctl.workspace import Paths

SHIPPED = ("company", "cartridges", "personal", "helpdesk")
RECORD = "shipped.json"

TEMPLATE = """\
# The settings of {name}. `eventctl config check` says what is wrong here, `eventctl config show` what holds.
# A JSON Schema of this file, for your editor: `eventctl config schema`.

[members.{member}]
role = "admin"

# Who is believed: permissive believes everybody, standard flags sources that it does not know, strict holds them.
[trust]
strictness = "standard"
# rules = [{{ source = "cron-*", channel = "cli", verdict = "accept" }}]

# What people outside say is hostile until shown otherwise.
[trust.domains]
customer-relations = "strict"

# How long the log keeps events. What people still have to look at stays.
[retention]
events = "90d"

# Library cartridges (see cartridges/) that run for the whole workspace.
# [enable]
# threshold = {{ types = "job.failed", count = 5, window = "1h" }}
"""


@dataclass(slots=True)
class Made:
    """What `make` did; paths are relative to the root."""

    root: Path
    member: str
    new_workspace: bool = False
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def make(root: Path, *, name: str, member: str, i_know: bool = False) -> Made:
    """Make or complete the workspace in `root`. `i_know` allows a network file system.

    Raises `Misconfigured` on a network file system, `OSError` where it may not write.
    """
    root.mkdir(parents=True, exist_ok=True)
    paths = Paths(root.resolve())
    made = Made(paths.root, identifier(member) or "me", new_workspace=not paths.config.exists())
    workspace.prepare(paths, i_know=i_know)
    if made.new_workspace:
        settings = TEMPLATE.format(name=identifier(name) or "workspace", member=made.member)
        _write(paths.config, settings.encode())
    _copy_shipped(paths, made)
    _open_store(paths)
    return made


def identifier(text: str) -> str:
    """The text as a bare key of TOML that is easy to type: small letters, digits, `-` and `_`."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:60]


def content() -> Path:
    """Where the shipped content stands: in the package, or beside it in a source tree."""
    package = Path(eventctl.__file__).parent
    packed = package / "_content"
    return packed if packed.is_dir() else package.parent.parent


def _copy_shipped(paths: Paths, made: Made) -> None:
    record = paths.state_dir / RECORD
    source = content()
    if source.resolve() == paths.root:
        return  # the repository is a workspace itself, and has all of it
    known: dict[str, str] = orjson.loads(record.read_bytes()) if record.exists() else {}
    for relative in _shipped_files(source):
        data = (source / relative).read_bytes()
        target = paths.root / relative
        now = _hash(target.read_bytes()) if target.is_file() else None
        before, wanted = known.get(relative), _hash(data)
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


def _shipped_files(source: Path) -> Iterator[str]:
    for top in SHIPPED:
        for path in sorted((source / top).rglob("*")):
            parts = path.relative_to(source).parts
            if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in parts):
                yield "/".join(parts)


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
