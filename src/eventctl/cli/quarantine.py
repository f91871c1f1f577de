"""`quarantine`: events that are held until a person has judged them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson

from eventctl.cli import exceptions, ids, moving
from eventctl.cli.exceptions import Wanted, matching
from eventctl.cli.session import Lister, Session, json_option
from eventctl.errors import UsageError

if TYPE_CHECKING:
    from eventctl.store import ExceptionRow, LogRow, Store

F = TypeVar("F", bound=Callable[..., Any])

NO_RULE = {
    "reserved_type": "no rule lets others say what only the platform may",
    "malformed_level": "no rule mends a level that is none",
    "rule": "put it before the rule that holds its events now: the first that fits holds",
    "first_seen": "what it has sent once and was released is known from then on",
    "oversized": "[trust.anomalies] says what is done with what is too large",
    "unlike_schema": "[trust.anomalies] says what is done with a payload unlike its declaration",
}
"""What a rule that accepts a source does not do about a reason."""


@click.group(cls=Lister)
def quarantine() -> None:
    """Events held for a person to judge: trust doubts who says so or what it looks like, or a cartridge asked."""


def _choice(command: F) -> F:
    """The options that choose among what is held."""
    for option in (
        click.option("--reason", default="", metavar="PATTERN", help="Held for this reason only, like 'unknown_*'."),
        click.option("--source", default="", metavar="PATTERN", help="From this source only, like 'cron-*'."),
        click.option("--pipeline", default="", metavar="NAME", help="Held by this pipeline only."),
    ):
        command = option(command)
    return command


@quarantine.command("list", short_help="List what is held.")
@_choice
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 1_000), help="How many.")
@click.option("--before", metavar="ID", help="Only older ones than this record: the next page.")
@json_option
@click.pass_obj
def list_(session: Session, /, pipeline: str, source: str, reason: str, limit: int, before: str | None, as_json: bool) -> None:
    """List held events, newest first.

    \b
    eventctl quarantine list
    eventctl quarantine list --reason 'unknown_*'
    """
    wanted = Wanted(source, reason)
    exceptions.show_list(
        session, "quarantined", as_json, pipeline=pipeline, limit=limit, before=before, empty="Nothing is held.",
        command="quarantine", wanted=wanted if any(wanted) else None,
    )  # fmt: skip


@quarantine.command(short_help="Show a held event in full.")
@click.argument("given", metavar="ID", shell_complete=ids.HELD)
@json_option
@click.pass_obj
def show(session: Session, /, given: str, as_json: bool) -> None:
    """Show a held event, who says so, and what made it suspicious.

    \b
    eventctl quarantine show e42
    """
    verbs = f"`eventctl quarantine release {given}` or `eventctl quarantine discard {given}`"
    exceptions.show_one(session, "quarantined", given, as_json, noun="held event", verbs=verbs)


@quarantine.command(short_help="Let held events go on.")
@click.argument("given", metavar="[ID...]", nargs=-1, shell_complete=ids.HELD)
@click.option("--all", "everything", is_flag=True, help="Everything that is held, or what --source and --reason choose of it.")
@_choice
@click.option(
    "--trust-source", is_flag=True, help="Print the rule for eventctl.toml with which these sources are not held again."
)
@json_option
@click.pass_obj
def release(
    session: Session, /, given: tuple[str, ...], everything: bool, pipeline: str, source: str, reason: str, trust_source: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Let held events go on, once each; trust asks no more questions about them. Nothing is edited: a rule is only printed.

    \b
    eventctl quarantine release e42
    eventctl quarantine release --all --source 'cron-*' --trust-source
    """
    records: dict[int, LogRow | None] = {}

    def chosen(store: Store) -> Iterable[ExceptionRow]:
        for row in _chosen(store, given, everything, pipeline, Wanted(source, reason)):
            if trust_source:
                records[row.seq] = store.views.record(row.seq)
            yield row

    def told(rows: list[ExceptionRow]) -> dict[str, list[str]]:
        return rules([(row, records[row.seq]) for row in rows]) if trust_source else {}

    moving.decide(session, "quarantine.release", chosen, as_json, told=told)


@quarantine.command(short_help="Drop held events.")
@click.argument("given", metavar="[ID...]", nargs=-1, shell_complete=ids.HELD)
@click.option("--all", "everything", is_flag=True, help="Everything that is held, or what --source and --reason choose of it.")
@_choice
@json_option
@click.pass_obj
def discard(
    session: Session, /, given: tuple[str, ...], everything: bool, pipeline: str, source: str, reason: str, as_json: bool
) -> None:
    """Drop held events. They stay in the log, with your name beside the decision.

    \b
    eventctl quarantine discard e42 e43
    eventctl quarantine discard --all --reason 'oversized*'
    """
    wanted = Wanted(source, reason)
    moving.decide(session, "quarantine.discard", lambda store: _chosen(store, given, everything, pipeline, wanted), as_json)


def _chosen(store: Store, given: tuple[str, ...], everything: bool, pipeline: str, wanted: Wanted) -> Iterable[ExceptionRow]:
    """The rows that the words of a command mean. What is chosen at once is found before anything is done."""
    if bool(given) == everything:
        raise UsageError("name what you mean: ids, or --all", hint="`eventctl quarantine list` shows what is held")
    if given and any(wanted):
        raise UsageError("--source and --reason choose among all: say --all with them, and no ids")
    if everything:
        return list(matching(store, "quarantined", wanted, pipeline=pipeline))
    return moving.standing_rows(store, "quarantined", given, pipeline=pipeline, noun="held event")


def rules(held: Iterable[tuple[ExceptionRow, LogRow | None]]) -> dict[str, list[str]]:
    """The entries for `[trust] rules` that make these sources known on their channels, and what they do not help against."""
    found: dict[str, None] = {}
    notes: dict[str, None] = {}
    for row, record in held:
        if record is None:
            continue
        source = orjson.dumps(re.sub(r"([*?\[])", r"[\1]", record.source)).decode()  # a name that strangers chose is no pattern
        found[f'{{ source = {source}, channel = "{record.principal.partition(":")[0]}", verdict = "accept" }}'] = None
        for reason in row.reason.split("; "):
            code = reason.partition(":")[0]
            if code in NO_RULE:
                notes[f"({code}: {NO_RULE[code]})"] = None
    if not found:
        return {}
    return {
        "heading": ["to trust them from now on, add to `rules` of [trust] in eventctl.toml:"],
        "rules": list(found),
        "notes": list(notes),
    }
