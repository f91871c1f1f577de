"""`quarantine`: events that are held until a person has judged them."""

from __future__ import annotations

import click

from eventctl.cli import exceptions, ids, moving
from eventctl.cli.session import Lister, Session, json_option


@click.group(cls=Lister)
def quarantine() -> None:
    """Events held for a person to judge: trust doubts who says so, or a cartridge asked."""


@quarantine.command("list", short_help="List what is held.")
@click.option("--pipeline", default="", metavar="NAME", help="Held by this pipeline only.")
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 1_000), help="How many.")
@click.option("--before", metavar="ID", help="Only older ones than this record: the next page.")
@json_option
@click.pass_obj
def list_(session: Session, /, pipeline: str, limit: int, before: str | None, as_json: bool) -> None:
    """List held events, newest first.

    \b
    eventctl quarantine list
    """
    empty = "Nothing is held."
    exceptions.show_list(
        session, "quarantined", as_json, pipeline=pipeline, limit=limit, before=before, empty=empty, command="quarantine"
    )


@quarantine.command(short_help="Show a held event in full.")
@click.argument("given", metavar="ID", shell_complete=ids.HELD)
@json_option
@click.pass_obj
def show(session: Session, /, given: str, as_json: bool) -> None:
    """Show a held event, who says so, and why it is held.

    \b
    eventctl quarantine show e42
    """
    verbs = f"`eventctl quarantine release {given}` or `eventctl quarantine discard {given}`"
    exceptions.show_one(session, "quarantined", given, as_json, noun="held event", verbs=verbs)


@quarantine.command(short_help="Let held events go on.")
@click.argument("given", metavar="ID...", nargs=-1, required=True, shell_complete=ids.HELD)
@click.option("--pipeline", default="", metavar="NAME", help="Where it is held, if in several places.")
@json_option
@click.pass_obj
def release(session: Session, /, given: tuple[str, ...], pipeline: str, as_json: bool) -> None:
    """Let held events go on, once each; trust asks no more questions about them.

    \b
    eventctl quarantine release e42
    """
    moving.control(session, "quarantine.release", "quarantined", given, as_json, pipeline=pipeline, noun="held event")


@quarantine.command(short_help="Drop held events.")
@click.argument("given", metavar="ID...", nargs=-1, required=True, shell_complete=ids.HELD)
@click.option("--pipeline", default="", metavar="NAME", help="Where it is held, if in several places.")
@json_option
@click.pass_obj
def discard(session: Session, /, given: tuple[str, ...], pipeline: str, as_json: bool) -> None:
    """Drop held events. They stay in the log, with your name beside the decision.

    \b
    eventctl quarantine discard e42 e43
    """
    moving.control(session, "quarantine.discard", "quarantined", given, as_json, pipeline=pipeline, noun="held event")
