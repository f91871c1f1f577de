"""`doctor`: whether this machine and this workspace are in a state to work."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import click

from eventctl import __version__, client, workspace
from eventctl.cli.backup import size
from eventctl.cli.render import Cell, Screen, count, document
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.status import undeclared_of
from eventctl.errors import EventctlError

if TYPE_CHECKING:
    from eventctl.workspace import Paths

FREE_MIN = 500 << 20
"""Bytes of free disk below which somebody should know: a week of a busy workspace is about half of that."""

SQLITE_MIN = (3, 38, 0)
"""RETURNING, STRICT tables and JSON functions are all there."""


_ISOLATION = {
    "no_network": "an end of the network (user namespaces)",
    "no_files": "an end of files (Landlock)",
    "no_processes": "an end of processes and sockets (seccomp)",
    "no_new_privs": "no_new_privs",
    "dies_with_parent": "dying with the runner",
    "memory": "a limit of memory",
}
"""What may be missing on a machine: in a container without namespaces, on another system, under an old kernel."""


class Check(NamedTuple):
    """`ok`, `warn` or `fail`, about what, a sentence, and what to do about it."""

    state: str
    name: str
    said: str
    hint: str = ""


@click.command(cls=Verb, short_help="Check this machine and this workspace.")
@json_option
@click.pass_obj
def doctor(session: Session, /, as_json: bool) -> None:
    """Look at Python, SQLite, the workspace, its files, its disk and what is written in it. Ends with 1 when something is broken.

    \b
    eventctl doctor
    """
    checks = list(_checks(session))
    if as_json:
        document({"ok": all(check.state != "fail" for check in checks), "items": [check._asdict() for check in checks]})
    else:
        _show(Screen(session), checks)
    if any(check.state == "fail" for check in checks):
        raise click.exceptions.Exit(1)


def _checks(session: Session) -> Iterator[Check]:
    yield Check("ok", "eventctl", f"{__version__} on Python {sys.version.split()[0]} ({sys.platform})")
    old = sqlite3.sqlite_version_info < SQLITE_MIN
    yield Check(
        "fail" if old else "ok", "sqlite", sqlite3.sqlite_version, "a newer Python brings a newer SQLite" if old else ""
    )
    yield _workers()
    try:
        paths = session.paths()
    except EventctlError as missing:
        yield Check("warn", "workspace", missing.what, missing.hint)
        return
    yield Check("ok", "workspace", str(paths.root))
    yield from quick(paths)
    yield from _guarded(_runner, paths)
    yield from _written(session)
    yield from _plugins(session)


def quick(paths: Paths) -> Iterator[Check]:
    """What can be seen of a workspace in milliseconds and without starting anything."""
    for check in (_filesystem, _private, _disk, _store):
        yield from _guarded(check, paths)


def _workers() -> Check:
    """What a worker would have here, found out by a process that tries it."""
    from eventctl import confinement

    had = confinement.possible()
    missing = [said for name, said in _ISOLATION.items() if not had.get(name)]
    if not missing:
        return Check("ok", "workers", "no network, no files, no processes, limits: all of it can be had here")
    return Check("warn", "workers", f"run without: {', '.join(missing)}", "docs/isolation.md says what that means")


def _guarded(check: Callable[[Paths], Iterator[Check]], paths: Paths) -> Iterator[Check]:
    """What a check raises is what it has found."""
    try:
        yield from check(paths)
    except (EventctlError, OSError) as wrong:
        hint = wrong.hint if isinstance(wrong, EventctlError) else ""
        yield Check("fail", check.__name__.strip("_"), str(wrong), hint)


def _filesystem(paths: Paths) -> Iterator[Check]:
    workspace.refuse_network(paths.root)
    yield Check("ok", "file system", "local")


def _private(paths: Paths) -> Iterator[Check]:
    folder = paths.state_dir
    if not folder.exists():
        return
    loose = [path.name for path in (folder, *folder.iterdir()) if not path.is_symlink() and path.stat().st_mode & 0o077]
    foreign = folder.stat().st_uid != os.getuid()
    if foreign:
        yield Check("fail", "private", f"{folder} belongs to somebody else", "work as the account that made it")
    elif loose:
        yield Check("warn", "private", f"others may read {', '.join(sorted(loose)[:5])}", f"chmod -R go= {folder}")
    else:
        yield Check("ok", "private", "nobody else can read the state")


def _disk(paths: Paths) -> Iterator[Check]:
    free = shutil.disk_usage(paths.root).free
    state = "ok" if free >= FREE_MIN else "warn"
    yield Check(state, "disk", f"{size(free)} free", "" if state == "ok" else "make room: a full disk refuses new events")


def _store(paths: Paths) -> Iterator[Check]:
    from eventctl.sqlite_store import SqliteStore

    store = SqliteStore.open(paths.db, role="reader")
    try:
        counts = store.views.counts()
        unknown = undeclared_of(store)
    finally:
        store.close()
    yield Check("ok", "store", f"{size(paths.db.stat().st_size)}, {count(counts.log_records, 'record')}")
    if counts.unaccounted:
        yield Check("fail", "accounts", f"{counts.unaccounted:,} records are unaccounted for", "eventctl verify")
    if counts.outbox_unknown:
        said = f"{count(counts.outbox_unknown, 'effect')} may have happened or not"
        yield Check("warn", "effects", said, "eventctl status")
    if unknown:
        shown = ", ".join(unknown[:3]) + (", …" if len(unknown) > 3 else "")
        said = f"{count(len(unknown), 'event type')} declared by nobody: {shown}"
        yield Check("ok", "types", said, "eventctl events discover")


def _runner(paths: Paths) -> Iterator[Check]:
    told = client.ask_status(paths)
    if told is not None:
        state = "ok" if told.get("state") == "running" else "warn"
        yield Check(state, "runner", f"{told.get('state')} (pid {told.get('pid')})")
    elif workspace.held(paths):
        yield Check(
            "warn", "runner", "a process holds the workspace and does not answer", "`eventctl run --until-idle` may be at work"
        )
    else:
        yield Check("ok", "runner", "none; `eventctl run` starts one")


def _written(session: Session) -> Iterator[Check]:
    from eventctl.cli.config import problems_of

    try:
        problems = problems_of(session)
    except EventctlError as wrong:
        yield Check("fail", "settings", str(wrong), wrong.hint)
        return
    if problems:
        yield Check("warn", "settings", f"{count(len(problems), 'mistake')}, the first: {problems[0]}", "eventctl config check")
    else:
        yield Check("ok", "settings", "everything that is written here is in order")


def _plugins(session: Session) -> Iterator[Check]:
    from eventctl.cli.plugin import installed

    found = installed(session)
    for problem in found.problems:
        yield Check("warn", "plugin", f"{problem.where} {problem.what}", problem.hint)
    names = ", ".join(f"{name} {version}".strip() for name, version in found.versions.items())
    yield Check("ok", "plugins", names)


def _show(screen: Screen, checks: list[Check]) -> None:
    colors = {"ok": "green", "warn": "yellow", "fail": "red"}
    screen.table(("", "what", ""), [[Cell(check.state, fg=colors[check.state]), check.name, check.said] for check in checks])
    for check in checks:
        if check.hint:
            screen.say(f"{check.name}: {check.hint}")
