"""`backup` and `restore`: the workspace's memory, the one file that cannot be written again."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from eventctl import backup as backups
from eventctl import workspace
from eventctl.backup import Copied
from eventctl.cli.render import Screen, document
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.who import principal, require
from eventctl.sqlite_connection import take_lock

UNITS = (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10))


@click.command(cls=Verb, short_help="Copy the workspace's memory while it runs.")
@click.argument("target", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@json_option
@click.pass_obj
def backup(session: Session, /, target: Path | None, as_json: bool) -> None:
    """Copy the workspace's memory to FILE (default: .eventctl/backups/) while everything goes on working. The copy is checked.

    \b
    eventctl backup
    eventctl backup /mnt/safe/monday.db
    """
    require(principal(session), "operate")
    paths = session.paths()
    if target is None:
        folder = paths.state_dir / "backups"
        folder.mkdir(mode=0o700, exist_ok=True)
        target = folder / f"{datetime.fromtimestamp(session.now() / 1e6, UTC):%Y%m%dT%H%M%SZ}.db"
    _answer(session, backups.back_up(paths.db, target), "backed up", as_json)


@click.command(cls=Verb, short_help="Put a backup in the place of the workspace's memory.")
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def restore(session: Session, /, source: Path, yes: bool, as_json: bool) -> None:
    """Put a backup in the place of the workspace's memory. What was there is kept beside it.

    No runner may be at work. Whatever was owed is marked `unknown`: it may have been sent after the backup was taken.

    \b
    eventctl restore .eventctl/backups/20261120T030000Z.db
    """
    require(principal(session), "restore")
    paths = session.paths()
    found = backups.inspect(source)
    if not yes:
        said = f"Replace the memory of {paths.root} with {source.name}, which ends at e{found.tail}?"
        click.confirm(said, abort=True, err=True)
    with workspace.running(paths):
        writers = take_lock(paths.writer_lock)
        try:
            done = backups.restore(source, paths.db, session.now())
        finally:
            os.close(writers)
    _answer(session, done, "restored", as_json)


def _answer(session: Session, done: Copied, said: str, as_json: bool) -> None:
    if as_json:
        document({"path": str(done.path), "bytes": done.bytes, "tail": done.tail, "unknown": done.unknown})
        return
    screen = Screen(session)
    screen.line(f"{said} to e{done.tail}", f"{done.path} ({size(done.bytes)})")
    if done.unknown:
        screen.say(f"{done.unknown:,} owed effects may have been sent since the backup; they are marked unknown")


def size(number: int) -> str:
    """Bytes for people: `1.4 MB`."""
    return next((f"{number / unit:.1f} {name}" for name, unit in UNITS if number >= unit), f"{number} bytes")
