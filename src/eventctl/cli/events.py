"""`events`: which types are declared, which were seen, and what each one means."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eventctl.cli.params import LEVEL, LEVEL_NAMES, MOMENT, PATTERN
from eventctl.cli.render import Screen, count, document, json_text, listing
from eventctl.cli.session import Lister, Session, json_option
from eventctl.errors import Conflict, NotFound, UsageError
from eventctl.patterns import matches
from eventctl.times import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventctl.catalog import Catalog, EventType
    from eventctl.discoveries import Discovery
    from eventctl.discovery import Scan
    from eventctl.errors import Problem
    from eventctl.house import House

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
            "nobody declares it: events of it are kept and passed on, and nobody is told. What they hold: "
            f"`eventctl events discover {name}`; to declare it: `eventctl events adopt {name}`"
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


@events.command(short_help="Show what came in that nobody declared, or not like this.")
@click.argument("wanted", metavar="[TYPE-PATTERN]", required=False, type=PATTERN)
@click.option("--since", type=MOMENT, metavar="TIME", help="Ingested since then: 30d, or 2026-11-20T10:00:00Z.")
@click.option("--drift", is_flag=True, help="Only declared types whose payloads are unlike their declaration.")
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@json_option
@click.pass_obj
def discover(session: Session, /, wanted: str | None, since: int | None, drift: bool, limit: int, as_json: bool) -> None:
    """List types that nobody declares and payloads that have drifted from their declaration; or show one TYPE with its schema.

    Counts are of the whole log. A list looks at the newest 200 events of a type, one type at the newest 1,000.

    \b
    eventctl events discover
    eventctl events discover 'domain.marketing.**' --since 30d
    eventctl events discover domain.marketing.ad.paused
    """
    from eventctl import discoveries
    from eventctl.cli import discovered
    from eventctl.cli.wiring import catalog_of

    catalog = catalog_of(session)
    screen = Screen(session)
    with session.reading() as store:
        if wanted is not None and "*" not in wanted:
            one = _looked(discoveries.look(store.views, catalog, wanted, since=since), wanted, store.views.type_names())
            if as_json:
                document(discovered.form(one))
            else:
                discovered.show_one(screen, one, catalog.owner(wanted))
            return
        found = discoveries.discover(store.views, catalog, pattern=wanted or "**", since=since, drift=drift, limit=limit)
    if as_json:
        listing([discovered.form(each) for each in found.items], more=found.more)
    elif found.items:
        discovered.show_all(screen, found)
    else:
        screen.say(
            "Every payload is as it is declared." if drift else "Everything that came in is declared, and is as it is declared."
        )


@events.command(short_help="Declare a type that came in undeclared.")
@click.argument("name", metavar="TYPE")
@click.option("--domain", metavar="D", help="The domain that takes it in (default: the one in its name).")
@click.option("--file", type=click.Path(path_type=Path), metavar="PATH", help="Another event_types.toml: a plugin's.")
@click.option("--level", type=LEVEL, default="operational", metavar="LEVEL", help="How much it matters (default: operational).")
@click.option("--summary", default="", metavar="TEXT", help="What it means, in a sentence.")
@click.option("--dry-run", is_flag=True, help="Show what would be written.")
@json_option
@click.pass_obj
def adopt(
    session: Session,
    /,
    name: str,
    domain: str | None,
    file: Path | None,
    level: int,
    summary: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write the declaration of TYPE, as its newest 1,000 events look, to the end of its domain's event_types.toml.

    The rest of the file stays as it is. Nested payloads get a JSON Schema beside it. Identity and lives are proposed as comments:
    what an event means only a person can say.

    \b
    eventctl events adopt domain.marketing.ad.paused --dry-run
    eventctl events adopt domain.marketing.ad.paused --level workflow
    """
    from eventctl import adoption, discoveries, discovery
    from eventctl.cli import discovered
    from eventctl.cli.wiring import house_of

    if domain and file:
        raise UsageError("--domain and --file exclude each other")
    house, root = house_of(session), session.paths().root
    scan = discovery.scan(root, {})
    declared = house.catalog(scan)[0]
    if declared.declared(name):
        raise Conflict(f"{name!r} is declared already", where=declared.owner(name), hint="change it there")
    if declared.entry(name).reserved:
        raise UsageError(f"{name!r} is in a namespace that is reserved", hint="send it under a name of your own")
    with session.reading() as store:
        found = _looked(discoveries.look(store.views, declared, name), name, store.views.type_names())
    folders = {each.name: root / discovery.DOMAINS / each.name for each in scan.domains}
    target = file.absolute() if file else adoption.place(root, name, domain=domain or "", domains=folders)
    inside = target.resolve().is_relative_to(root.resolve()) and any(target.parent == folder for folder in folders.values())
    shown = str(target.relative_to(root)) if inside else str(target)
    made = adoption.draft(found, target, level=level, summary=summary, shown=shown)
    if not dry_run:
        adoption.write(made, partial(_mistakes, house, scan, shown if inside else ""))
    if as_json:
        document(discovered.adoption_form(made, written=not dry_run))
    else:
        discovered.show_adoption(Screen(session), made, written=not dry_run)


def _mistakes(house: House, scan: Scan, origin: str, part: Mapping[str, Any]) -> list[Problem]:
    """What the loader has against a part of the catalog as it would be; `origin` is the file of this workspace that it replaces."""
    from eventctl import catalog

    if not origin:
        return [problem for problem in catalog.load([("the file", part)])[1] if not problem.warning]
    parts = [(name, part if name == origin else data) for name, data in scan.parts]
    parts += [] if origin in dict(scan.parts) else [(origin, part)]
    known = house.catalog(scan)[1]
    return [found for found in house.catalog(replace(scan, parts=parts))[1] if not found.warning and found not in known]


def _looked(found: Discovery | None, name: str, known: list[str]) -> Discovery:
    if found is not None:
        return found
    from eventctl.nearest import did_you_mean

    hint = did_you_mean(name, known) or "`eventctl events discover` lists what came in"
    raise NotFound(f"no event of the type {name!r} is in the log", hint=hint)


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
