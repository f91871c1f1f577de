"""`demo`: the recorded week, from the first line to the inbox, in a workspace that is gone afterwards unless it is kept."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eventctl import demo as recorded
from eventctl import starter, workspace
from eventctl.cli.render import Screen, count, document
from eventctl.cli.session import Session, Verb, json_option
from eventctl.errors import UsageError
from eventctl.notification import Notification
from eventctl.store import Keys
from eventctl.text import safe_text
from eventctl.times import SECOND
from eventctl.views import InboxFilter

if TYPE_CHECKING:
    from eventctl.app import Workspace
    from eventctl.workspace import Paths

SHOWN = 12
EXPLAINED = "domain.software-development.deploy.failed"
"""What the demo explains: it came in over some steps, a cartridge said something about it, and it still stands."""


@click.command(cls=Verb, short_help="Watch a team's week go through, from a recording.")
@click.option("--keep", type=click.Path(path_type=Path), metavar="DIR", help="Keep the workspace, in this new folder.")
@json_option
@click.pass_obj
def demo(session: Session, /, keep: Path | None, as_json: bool) -> None:
    """Play a recorded week of a small team, and show the inbox that it leaves.

    Webhooks, builds, cron jobs, alerts, deploys and coding agents; with repeats, a burst, a crash cascade, late arrivals and lines
    that are no events. Ends with why one thing stands in the inbox.

    \b
    eventctl demo
    eventctl demo --keep ~/week
    """
    if keep is not None and workspace.Paths(keep).db.exists():
        raise UsageError(f"{safe_text(keep)} holds a workspace already", hint="name a new folder")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what the commands below say on stderr keeps its place
    with _folder(keep) as root:
        paths = workspace.at(starter.make(root, name="demo", member=recorded.MEMBER).root)
        inner = replace(session, workspace=str(root), member=recorded.MEMBER, agent=None, no_plugins=True, json=False)
        facts, explained = _play(inner, paths)
        if as_json:
            document({**facts, "workspace": str(root) if keep else None})
            return
        _tell(inner, facts)
        _type(inner, "inbox", "-n", str(SHOWN))
        _type(inner, "why", f"e{explained.seq}")
        _next(Screen(session), keep, explained)


class _Clock:
    """Stands where the tape is, and goes on from there like this machine's: timers and ages come out as they did that week."""

    def __init__(self) -> None:
        self.set(0)

    def set(self, at: int) -> None:
        self._at = at
        self._set = time.monotonic()

    def now(self) -> int:
        return self._at + int((time.monotonic() - self._set) * SECOND)

    def monotonic(self) -> float:
        return self.now() / SECOND


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep.expanduser().resolve()
        return
    with tempfile.TemporaryDirectory(prefix="eventctl-demo-") as folder:
        yield Path(folder)


def _play(session: Session, paths: Paths) -> tuple[dict[str, float], Notification]:
    """Everything that the demo does, and what it came to; with the notification that is worth explaining."""
    from eventctl import app

    now = session.now()
    tape = recorded.lines(recorded.recording(), now)
    played = recorded.Played()
    clock = _Clock()
    clock.set(tape[0].at)
    began = time.monotonic()
    with app.open(paths.root, env=session.env, clock=clock, no_plugins=True) as here, _progress(session, len(tape)) as advance:
        here.step()  # opens every pipeline's place before anything comes in
        for hour in recorded.hours(tape):
            recorded.play(here.store, hour, played)
            clock.set(hour[-1].at)
            here.run_until_idle()
            advance(len(hour))
        clock.set(now)
        here.run_until_idle()
        return _facts(here, played, time.monotonic() - began), _worth_explaining(here)


def _facts(here: Workspace, played: recorded.Played, seconds: float) -> dict[str, float]:
    counts = here.views.counts()
    dropped = sum(cursor.dropped for cursor, _ in here.views.cursors() if cursor.pipeline == "system")
    return {
        "lines": played.events + played.repeats + played.rejects,
        "events": played.events - dropped,
        "repeats": played.repeats + dropped,
        "rejects": played.rejects,
        "notifications": here.store.snapshot(Keys()).notification_last,
        "open": counts.notifications_open,
        "unaccounted": counts.unaccounted,
        "seconds": round(seconds, 2),
    }


def _worth_explaining(here: Workspace) -> Notification:
    page = here.views.inbox(InboxFilter(types=(EXPLAINED,), resolved=False), limit=1)
    items = page.items or here.views.inbox(InboxFilter(), limit=1).items
    return items[0].notification


def _tell(session: Session, facts: dict[str, float]) -> None:
    screen = Screen(session)
    screen.title("A week of Tideline: five people who rent out kayaks, their jobs, builds, alerts and agents")
    lines, events, repeats = (count(int(facts[key]), key[:-1]) for key in ("lines", "events", "repeats"))
    notifications = count(int(facts["notifications"]), "notification")
    screen.fields(
        [
            ("came in", f"{lines}: {events}, {repeats} dropped, {int(facts['rejects'])} rejected as no events"),
            ("came of it", f"{notifications}; later events settled all but {int(facts['open'])}"),
            ("took", f"{facts['seconds']:.1f} s; every event was on the disk before it was counted"),
        ],
        indent=2,
    )  # fmt: skip


def _type(session: Session, *words: str) -> None:
    """Run a command as if it had been typed, below a line that shows it."""
    from eventctl.cli import cli

    click.echo()
    click.secho(f"$ eventctl {' '.join(words)}", bold=True, color=session.wants_color(sys.stdout))
    sys.stdout.flush()
    cli.main(list(words), obj=session, standalone_mode=False)


def _next(screen: Screen, keep: Path | None, explained: Notification) -> None:
    screen.line()
    screen.line("Try next:")
    if keep is None:
        steps = [
            ("eventctl demo --keep week", "the same, in a folder to look around in"),
            ("eventctl init", "a workspace of your own, here"),
            ("eventctl exec -- make test", "record how a command went"),
        ]
    else:
        here = f"eventctl -w {safe_text(keep)}"
        steps = [
            (f"{here} inbox show n{explained.id}", "its whole life"),
            (f"{here} inbox resolve n{explained.id} -m 'rolled back'", "settle it"),
            (f"{here} rejects", "what never became an event"),
            (f"{here} log tail", "the records themselves"),
        ]
    widest = max(len(command) for command, _ in steps)
    for command, reason in steps:
        screen.line(f"  {command.ljust(widest)}", reason)


@contextmanager
def _progress(session: Session, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, a line elsewhere; on stderr, because it is no data. What it gives moves it on."""
    if not (sys.stderr.isatty() and session.wants_color(sys.stderr)):
        click.echo(f"playing {total:,} lines of a recording ...", err=True)
        yield lambda _by: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("a week, hour by hour"), BarColumn(), MofNCompleteColumn(), TextColumn("lines"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda by: bar.advance(task, by)
