"""`verify`: nothing is lost, doubled or damaged."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eventctl.audit import Finding, audit
from eventctl.cli.render import Cell, Screen, document
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.who import principal, require
from eventctl.errors import EventctlError

if TYPE_CHECKING:
    from eventctl.sqlite_store import SqliteStore


@click.command(cls=Verb, short_help="Check that nothing is lost, doubled or damaged.")
@click.option("--rebuild", is_flag=True, help="Fold the whole log again, aside, and compare what comes out.")
@json_option
@click.pass_obj
def verify(session: Session, /, rebuild: bool, as_json: bool) -> None:
    """Check the database file, the hash of every record, and that every record is accounted for. Changes nothing.

    \b
    eventctl verify
    eventctl verify --rebuild
    """
    from eventctl.sqlite_store import SqliteStore

    require(principal(session), "operate")
    store = SqliteStore.open(session.paths().db, role="reader")
    try:
        findings = audit(store)
        if rebuild:
            findings.append(_rebuilt(session, store))
    finally:
        store.close()
    _answer(session, findings, as_json)


def _rebuilt(session: Session, store: SqliteStore) -> Finding:
    """Fold a copy, so that a runner may go on meanwhile; from the newest snapshot when the log's beginning was trimmed."""
    from eventctl.backup import back_up
    from eventctl.cli.wiring import house_of
    from eventctl.memory_store import MemoryStore
    from eventctl.rebuild import rebuild
    from eventctl.snapshots import Snapshots
    from eventctl.sqlite_store import SqliteStore
    from eventctl.system_pipeline import SystemPipeline

    pipelines = (
        house_of(session).build(MemoryStore()).pipelines
    )  # the store is only read, and building writes down what it learns
    system = next(pipeline for pipeline in pipelines if isinstance(pipeline, SystemPipeline))
    with tempfile.TemporaryDirectory(prefix="eventctl-verify-") as folder, ExitStack() as closing:
        newest = Snapshots(store).newest() if store.meta("trimmed.log") else None
        copied = back_up(session.paths().db, Path(folder) / "copy.db")
        source = SqliteStore.open(copied.path, role="reader")
        closing.callback(source.close)
        aside = SqliteStore.create(Path(folder) / "state.db", role="scratch", reserve_bytes=0)
        closing.callback(aside.close)
        try:
            if newest:
                Snapshots(aside).load(newest, copied.path)
            done = rebuild(source, aside, system, after=newest.tail if newest else 0)
        except EventctlError as wrong:
            return Finding("rebuild", False, str(wrong))
    since = f" since the snapshot at e{newest.pos}" if newest else ""
    said = f"the log folds to the same inbox again, up to e{done.pos} with {done.moves:,} moves{since}"
    return Finding(
        "rebuild",
        done.same,
        said if done.same else f"the log folds to another inbox ({done.found[:12]}, not {done.expected[:12]})",
    )


def _answer(session: Session, findings: list[Finding], as_json: bool) -> None:
    if as_json:
        document({"ok": all(found.ok for found in findings), "items": [found._asdict() for found in findings]})
    else:
        screen = Screen(session)
        screen.table(("", "what", ""), [[_mark(found), found.name, found.said] for found in findings])
    if not all(found.ok for found in findings):
        raise click.exceptions.Exit(1)


def _mark(found: Finding) -> Cell:
    return Cell("ok", fg="green") if found.ok else Cell("WRONG", fg="red", bold=True)
