"""`dashboard`: the workspace on a terminal that stays open."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from eventctl.cli.session import Session, Verb
from eventctl.errors import NotFound, UsageError
from eventctl.text import safe_text

if TYPE_CHECKING:
    from eventctl.tui.app import Opening

ROOMS = ("inbox", "decisions", "live", "cartridges", "held", "health")


@click.command(cls=Verb, short_help="Open the workspace on this terminal: inbox, decisions, health.")
@click.argument("words", nargs=-1, metavar="[WORDS]...")
@click.option("--no-run", is_flag=True, help="Only look: start no runner when there is none.")
@click.option("--room", type=click.Choice(ROOMS), help="Which screen to begin with (default: where you were).")
@click.option("--theme", metavar="NAME", default="", help="Which colours: eventctl-dark, eventctl-light; ctrl+p lists all.")
@click.pass_obj
def dashboard(session: Session, /, words: tuple[str, ...], no_run: bool, room: str | None, theme: str) -> None:
    """Open the inbox, what waits for a yes, the stream, and the health of the workspace; all by keyboard, `?` says how.

    WORDS are what the inbox is asked for, as they would be typed into its filter. When nobody works on the workspace, a runner is started, and ended with
    the dashboard; one that is there already is left alone. A bare `eventctl` on a terminal opens it too.

    \b
    eventctl dashboard
    eventctl dashboard level:workflow timeout
    eventctl dashboard --no-run --room health
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the dashboard needs a terminal", hint="`eventctl inbox` prints what wants attention")
    _require_store(session)
    from eventctl.tui.app import Opening

    opened(session, Opening(" ".join(words), room or "", theme, run=not no_run))


def opened(session: Session, opening: Opening) -> None:
    """Open it, stay until it is left, and end the runner that it has started."""
    from eventctl.tui.app import Dashboard
    from eventctl.tui.terminal import until_hung_up

    app = Dashboard(session, opening)
    try:
        with until_hung_up(app):
            app.run()
    finally:
        app.runner.end(_say)
    if app.return_code:
        raise click.exceptions.Exit(app.return_code)


def wanted(session: Session) -> bool:
    """Whether a bare `eventctl` means the dashboard: a person at a terminal that can show it, inside a workspace with a store."""
    env = session.env
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or (env.get("TERM") or "dumb") == "dumb" or env.get("CI"):
        return False
    try:
        return session.paths().db.exists()
    except NotFound:
        return False


def _require_store(session: Session) -> None:
    paths = session.paths()
    if not paths.db.exists():
        raise NotFound("the workspace has no state yet", where=str(paths.root), hint="`eventctl init` makes it")


def _say(sentence: str) -> None:
    sys.stderr.write(f"{safe_text(sentence)}\n")
    sys.stderr.flush()
