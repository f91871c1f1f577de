"""`dead-letter`: work that failed for good. It is ours to mend, and then to try again."""

from __future__ import annotations

import click

from eventctl.cli import exceptions, ids, moving
from eventctl.cli.session import Lister, Session, json_option


@click.group(cls=Lister)
def deadletter() -> None:
    """Work that failed for good: a cartridge raised again and again, or a batch could not be written with this record in it."""


@deadletter.command("list", short_help="List what failed for good.")
@click.option("--pipeline", default="", metavar="NAME", help="Of this pipeline only.")
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 1_000), help="How many.")
@click.option("--before", metavar="ID", help="Only older ones than this record: the next page.")
@json_option
@click.pass_obj
def list_(session: Session, /, pipeline: str, limit: int, before: str | None, as_json: bool) -> None:
    """List dead letters, newest first.

    \b
    eventctl dead-letter list
    """
    empty = "Nothing has failed for good."
    exceptions.show_list(
        session, "dead", as_json, pipeline=pipeline, limit=limit, before=before, empty=empty, command="dead-letter"
    )


@deadletter.command(short_help="Show a dead letter in full.")
@click.argument("given", metavar="ID", shell_complete=ids.DEAD)
@json_option
@click.pass_obj
def show(session: Session, /, given: str, as_json: bool) -> None:
    """Show the event, which cartridge failed on it, and how.

    \b
    eventctl dead-letter show e42
    """
    verbs = f"mend the cartridge and `eventctl dead-letter retry {given}`, or `eventctl dead-letter discard {given}`"
    exceptions.show_one(session, "dead", given, as_json, noun="dead letter", verbs=verbs)


@deadletter.command(short_help="Run dead letters again.")
@click.argument("given", metavar="ID...", nargs=-1, required=True, shell_complete=ids.DEAD)
@click.option("--pipeline", default="", metavar="NAME", help="Where it failed, if in several places.")
@json_option
@click.pass_obj
def retry(session: Session, /, given: tuple[str, ...], pipeline: str, as_json: bool) -> None:
    """Run dead letters again, with the cartridges as they are now.

    \b
    eventctl dead-letter retry e42
    """
    moving.control(session, "dead.retry", "dead", given, as_json, pipeline=pipeline, noun="dead letter")


@deadletter.command(short_help="Give dead letters up.")
@click.argument("given", metavar="ID...", nargs=-1, required=True, shell_complete=ids.DEAD)
@click.option("--pipeline", default="", metavar="NAME", help="Where it failed, if in several places.")
@json_option
@click.pass_obj
def discard(session: Session, /, given: tuple[str, ...], pipeline: str, as_json: bool) -> None:
    """Give dead letters up. The events stay in the log.

    \b
    eventctl dead-letter discard e42
    """
    moving.control(session, "dead.discard", "dead", given, as_json, pipeline=pipeline, noun="dead letter")
