"""`rejects`: what never became an event, with the reason."""

from __future__ import annotations

import click

from eventctl.cli import forms, ids
from eventctl.cli.render import Screen, document, listing, local
from eventctl.cli.session import Lister, Session, json_option
from eventctl.cli.shortid import number
from eventctl.errors import NotFound


@click.group(cls=Lister)
def rejects() -> None:
    """What never became an event: refused where it came in, and kept for a while so that it can be mended."""


@rejects.command("list", short_help="List what was refused.")
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@click.option("--before", metavar="ID", help="Only older ones than this: the next page.")
@json_option
@click.pass_obj
def list_(session: Session, /, limit: int, before: str | None, as_json: bool) -> None:
    """List the newest rejects, newest first.

    \b
    eventctl rejects list
    """
    with session.reading() as store:
        rows = store.views.rejects(limit=limit, before=number(before, "r", "reject") if before else None)
    if as_json:
        listing([forms.reject(row) for row in rows])
        return
    screen = Screen(session)
    if not rows:
        screen.say("Nothing was refused.")
        return
    screen.table(
        ("id", "age", "channel", "reason", "begins with"),
        [[f"r{row.id}", screen.ago(row.at), row.channel, row.reason, row.raw[:60]] for row in rows],
    )
    if len(rows) == limit:
        screen.say(f"older ones: --before r{rows[-1].id}")


@rejects.command(short_help="Show what was refused in full.")
@click.argument("given", metavar="ID", shell_complete=ids.REJECTS)
@json_option
@click.pass_obj
def show(session: Session, /, given: str, as_json: bool) -> None:
    """Show one reject with its raw text.

    \b
    eventctl rejects show r3
    """
    wanted = number(given, "r", "reject")
    with session.reading() as store:
        rows = store.views.rejects(limit=1, before=wanted + 1)
    if not rows or rows[0].id != wanted:
        raise NotFound(f"there is no reject r{wanted}", hint="`eventctl rejects list` shows the ones that are kept")
    row = rows[0]
    if as_json:
        document(forms.reject(row))
        return
    screen = Screen(session)
    screen.title(f"r{row.id}  refused {screen.ago(row.at)}")
    screen.fields([("reason", row.reason), ("channel", row.channel), ("at", local(row.at))], indent=2)
    screen.line()
    screen.block(row.raw)
