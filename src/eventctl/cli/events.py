"""`events`: which types are declared, which were seen, and what each one means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eventctl.cli.params import LEVEL_NAMES, PATTERN
from eventctl.cli.render import Screen, count, document, json_text, listing
from eventctl.cli.session import Lister, Session, json_option
from eventctl.errors import NotFound
from eventctl.patterns import matches
from eventctl.times import format_duration

if TYPE_CHECKING:
    from eventctl.catalog import Catalog, EventType

SEEN_MAX = 10_000
SCHEMA_FILE = "envelope-schema.json"


@click.group(cls=Lister)
def events() -> None:
    """Event types: what is declared, and what came in."""


@events.command("list", short_help="List event types.")
@click.option("--domain", metavar="D", help="Of this domain.")
@click.option("--type", "pattern", type=PATTERN, metavar="PATTERN", help="Like deployment.* or domain.**.")
@click.option("--seen", is_flag=True, help="Only those that are in the log, the most frequent first; undeclared ones too.")
@json_option
@click.pass_obj
def list_(session: Session, /, domain: str | None, pattern: str | None, seen: bool, as_json: bool) -> None:
    """List the declared event types, with what eventctl does about each. Works without a workspace too.

    \b
    eventctl events list --domain marketing
    eventctl events list --seen
    """
    catalog = _catalog(session)
    counts = _seen(session) if seen else {}
    entries = [catalog.entry(name) for name in (counts if seen else catalog.types())]
    entries = [
        entry for entry in entries if domain in (None, entry.domain) and (pattern is None or matches(pattern, entry.type))
    ]
    if as_json:
        listing([{**_form(entry), **({"seen": counts[entry.type]} if seen else {})} for entry in entries])
        return
    screen = Screen(session)
    if not entries:
        screen.say("None found.")
        return
    head: tuple[str, ...] = ("type", "level", "visibility", "does", "summary")
    rows: list[list[object]] = [
        [entry.type, screen.level(entry.level), entry.visibility, _does(entry), entry.summary] for entry in entries
    ]
    if seen:
        head = ("seen", *head)
        rows = [[f"{counts[entry.type]:,}", *row] for entry, row in zip(entries, rows, strict=True)]
    screen.table(head, rows, right=(0,) if seen else ())


@events.command(short_help="Show what is declared about a type.")
@click.argument("name", metavar="TYPE")
@json_option
@click.pass_obj
def show(session: Session, /, name: str, as_json: bool) -> None:
    """Show what a type means: its level, what makes a repeat, the lives it takes part in, its payload.

    \b
    eventctl events show deployment.failed
    """
    catalog = _catalog(session)
    entry = catalog.entry(name)
    counts = _seen(session)
    if not entry.declared and name not in counts:
        raise _unknown(catalog, name)
    if as_json:
        document({**_form(entry), "seen": counts.get(name, 0), "schema": catalog.payload_schema(name)})
        return
    screen = Screen(session)
    screen.title(name)
    screen.fields(_fields(entry, counts.get(name, 0)), indent=2)
    if entry.payload:
        screen.line()
        screen.heading("payload")
        screen.fields(entry.payload.items(), indent=2)
    if not entry.declared:
        screen.say(
            "nobody declares it: events of it are kept and passed on, and nobody is told. Declare it in an event_types.toml."
        )


@events.command(short_help="Print the JSON Schema of an event, or of a type's payload.")
@click.argument("name", metavar="[TYPE]", required=False)
@click.option("--write", is_flag=True, help=f"Write it to a file instead (default: {SCHEMA_FILE}).")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Which file to write.")
@click.pass_obj
def schema(session: Session, /, name: str | None, write: bool, output: Path | None) -> None:
    """Print the JSON Schema of the envelope, or of the payload of TYPE.

    \b
    eventctl events schema
    eventctl events schema deployment.failed
    eventctl events schema --write
    """
    from eventctl import envelope

    if name is None:
        found = envelope.json_schema()
    else:
        catalog = _catalog(session)
        if not catalog.declared(name):
            raise _unknown(catalog, name)
        found = catalog.payload_schema(name)
    if not (write or output):
        click.echo(json_text(found))
        return
    file = output or Path(SCHEMA_FILE if name is None else f"{name}.schema.json")
    file.write_text(json_text(found) + "\n", encoding="utf-8")
    Screen(session).line("wrote", file)


def _catalog(session: Session) -> Catalog:
    """The workspace's catalog, or without one what eventctl ships."""
    from eventctl import catalog as catalogs
    from eventctl.cli.wiring import catalog_of

    try:
        session.paths()
    except NotFound:
        return catalogs.load([("eventctl", part) for part in catalogs.shipped_parts()])[0]
    return catalog_of(session)


def _seen(session: Session) -> dict[str, int]:
    """Type -> how many are in the log; nothing without a workspace."""
    try:
        with session.reading() as store:
            return {seen.type: seen.events for seen in store.views.types_seen(limit=SEEN_MAX)}
    except NotFound:
        return {}


def _unknown(catalog: Catalog, name: str) -> NotFound:
    from difflib import get_close_matches

    close = get_close_matches(name, catalog.types(), n=1)
    hint = f"did you mean {close[0]}?" if close else "`eventctl events list` shows what is declared"
    return NotFound(f"there is no event type {name!r}", hint=hint)


def _form(entry: EventType) -> dict[str, Any]:
    return {
        "type": entry.type, "summary": entry.summary, "level": entry.level, "level_name": LEVEL_NAMES[entry.level],
        "domain": entry.domain, "visibility": entry.visibility, "actionable": entry.actionable, "failure": entry.failure,
        "identity": list(entry.identity), "window": format_duration(entry.window), "on_duplicate": entry.on_duplicate,
        "lives": dict(entry.lives), "meaningful": list(entry.meaningful), "silent": list(entry.silent),
        "payload": dict(entry.payload), "audience": entry.audience, "declared": entry.declared, "owner": entry.owner,
        "reserved": entry.reserved, "actions": {name: action._asdict() for name, action in entry.actions.items()},
    }  # fmt: skip


def _fields(entry: EventType, seen: int) -> list[tuple[str, object]]:
    identity = (
        f"{', '.join(entry.identity)} within {format_duration(entry.window)}" if entry.identity else "its source and id only"
    )
    marks = [word for word, holds in (("actionable", entry.actionable), ("counts as a failure", entry.failure)) if holds]
    return [
        ("summary", entry.summary),
        ("declared by", entry.owner or "nobody"),
        ("level", LEVEL_NAMES[entry.level]),
        ("domain", entry.domain),
        ("for", entry.audience),
        ("visibility", entry.visibility),
        ("does", _does(entry) or "nothing: it is kept and passed on"),
        ("a repeat has", identity),
        ("news is", ", ".join(entry.meaningful)),
        ("is", ", ".join(marks)),
        ("from", "the platform only" if entry.reserved else ""),
        ("seen", count(seen, "time") if seen else "never"),
    ]


def _does(entry: EventType) -> str:
    return ", ".join(f"{role} {life}" for life, role in entry.lives)
