"""`status`: how far everything has come, in one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from eventctl import client
from eventctl.cli import forms
from eventctl.cli.render import Cell, Screen, count, document
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.unfinished import Unfinished, unfinished
from eventctl.store import CursorRow
from eventctl.times import SECOND, format_duration
from eventctl.views import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventctl.dag.faults import Standing
    from eventctl.store import Store

STATES = ("applied", "dropped", "quarantined", "waiting", "dead")
"""What may have become of a record; a column that would hold only zeros is left out."""

FAULTS_MAX = 5


@click.command(cls=Verb, short_help="How far everything has come, in one screen.")
@json_option
@click.pass_obj
def status(session: Session, /, as_json: bool) -> None:
    """Say whether a runner works here, how far each pipeline has come, what holds it up, and what waits for a person.

    `unaccounted` counts records that no pipeline can say anything about: it is always 0.

    \b
    eventctl status
    eventctl status --json | jq .pipelines.system.lag
    """
    paths = session.paths()
    runner = client.ask_status(paths)
    with session.reading() as store:
        counts = store.views.counts()
        cursors = store.views.cursors()
        left = unfinished(store, [cursor for cursor, _ in cursors])
        blamed = blamed_in(store)
        faults = _faults(store)
        unknown = undeclared_of(store)
        epoch = store.epoch
    if as_json:
        items = [blame._asdict() for blame in blamed]
        told = {
            **_form(counts, cursors, left, session.now()),
            "cartridges": items,
            "rules": [each._asdict() for each in faults],
            "undeclared_types": len(unknown),
        }
        document({"workspace": str(paths.root), "epoch": epoch, "runner": runner, **told})
        return
    screen = Screen(session)
    screen.title(f"{paths.root}")
    screen.fields(_fields(runner, counts), indent=2)
    screen.line()
    if not cursors:
        screen.say("No pipeline has run yet: `eventctl run`")
        return
    states = [state for state in STATES if any(getattr(cursor, state) for cursor, _ in cursors)]
    rows = [_row(cursor, lag, states) for cursor, lag in cursors]
    screen.table(("pipeline", "at", "behind", *states), rows, right=range(1, 3 + len(states)))
    for open_ in left:
        screen.say(f"{open_.pipeline}: {open_.words(session.now())}")
    for blame in blamed:
        screen.say(f"{blame.id} {blame}: `eventctl cartridge show {blame.path}`")
    for fault in faults[:FAULTS_MAX]:
        screen.say(f"{fault.rule} {fault}: `eventctl cartridge show {fault.path}`")
    if len(faults) > FAULTS_MAX:
        screen.say(f"{len(faults) - FAULTS_MAX:,} more rules had no answer for some events: `eventctl status --json`")
    _hints(screen, runner, counts, cursors)
    if unknown:
        screen.say(undeclared_text(unknown))


def _faults(store: Store) -> list[Standing]:
    from eventctl.dag.faults import standing

    return standing(store)


def undeclared_of(store: Store) -> list[str]:
    """Types in the log that nobody declares, as the pipelines know it; none before they have run."""
    from eventctl.declared import META, Declared
    from eventctl.discoveries import undeclared

    written = store.meta(META)
    return undeclared(store.views, Declared.read(written)) if written else []


def undeclared_text(names: Sequence[str]) -> str:
    """What to say about types that nobody declares."""
    one = len(names) == 1
    return f"{names[0] if one else f'{len(names):,} event types'} {'is' if one else 'are'} declared by nobody: `eventctl events discover`"


class Blame(NamedTuple):
    """A cartridge that hung or ended the process, or is switched off."""

    id: str
    path: str
    state: str
    strikes: int
    reason: str

    def __str__(self) -> str:
        if self.state == "active":
            return f"hung or ended the process {'once' if self.strikes == 1 else f'{self.strikes} times'}"
        return f"is switched off ({self.reason})"


def blamed_in(store: Store) -> list[Blame]:
    """The cartridges that hung, ended the process or are switched off."""
    return [
        Blame(forms.value(unit.manifest).get("id", unit.path), unit.path, unit.state, unit.strikes, unit.reason)
        for unit in store.units().values()
        if unit.manifest and (unit.state != "active" or unit.strikes)
    ]


def held(cursor: CursorRow, lag: int) -> str:
    """Why a pipeline takes nothing new though there is more; "" when it does."""
    if not lag or not cursor.waiting:
        return ""
    from eventctl.dag.open_events import WAITING_MAX

    full = cursor.waiting >= WAITING_MAX
    return f"{cursor.waiting:,} events wait for answers, and {WAITING_MAX:,} may: it takes nothing new" if full else ""


def _form(counts: Counts, cursors: list[tuple[CursorRow, int]], left: Sequence[Unfinished], now: int) -> dict[str, Any]:
    open_ = {each.pipeline: each.form(now) for each in left}
    return {
        "log": {"records": counts.log_records, "tail": counts.log_tail},
        "feed": {"tail": counts.feed_tail},
        "pipelines": {
            cursor.pipeline: {
                **forms.cursor(cursor, lag),
                "held": held(cursor, lag) or None,
                "unfinished": open_.get(cursor.pipeline),
            }
            for cursor, lag in cursors
        },
        "notifications": {"open": counts.notifications_open, "unclaimed": counts.notifications_unclaimed},
        "outbox": {"owed": counts.outbox_owed, "dead": counts.outbox_dead, "unknown": counts.outbox_unknown},
        "decisions": {"held": counts.decisions_held},
        "rejects": counts.rejects,
        "unaccounted": counts.unaccounted,
    }


def _fields(runner: dict[str, Any] | None, counts: Counts) -> list[tuple[str, object]]:
    owed = [f"{counts.outbox_owed:,} owed"]
    owed += [f"{counts.outbox_dead:,} given up"] if counts.outbox_dead else []
    owed += [f"{counts.outbox_unknown:,} whose end nobody saw"] if counts.outbox_unknown else []
    return [
        ("runner", runner_words(runner)),
        ("log", f"{counts.log_records:,} records, newest e{counts.log_tail}" if counts.log_tail else "empty"),
        ("inbox", f"{counts.notifications_open:,} open, {counts.notifications_unclaimed:,} not taken by anyone"),
        ("effects", ", ".join(owed)),
        ("decisions", f"{counts.decisions_held:,} wait for a person" if counts.decisions_held else ""),
        ("rejects", f"{counts.rejects:,}"),
        ("unaccounted", f"{counts.unaccounted:,}"),
    ]


def runner_words(runner: dict[str, Any] | None) -> str:
    """What the supervisor says about itself, as half a sentence; None is said when there is none."""
    if runner is None:
        return "none"
    since = format_duration(int(float(runner.get("seconds", 0)) * SECOND))
    parts = [f"{runner.get('state')} for {since} (pid {runner.get('pid')})"]
    parts += [count(runner[f"{name}s"], name) for name in ("restart", "strike") if runner.get(f"{name}s")]
    return ", ".join(parts)


def _row(cursor: CursorRow, lag: int, states: Sequence[str]) -> list[object]:
    late = Cell(f"{lag:,}", fg="yellow" if lag else None)
    return [cursor.pipeline, f"{cursor.pos:,}", late, *(f"{getattr(cursor, state):,}" for state in states)]


def _hints(screen: Screen, runner: dict[str, Any] | None, counts: Counts, cursors: list[tuple[CursorRow, int]]) -> None:
    for cursor, lag in cursors:
        if why := held(cursor, lag):
            screen.say(f"{cursor.pipeline}: {why}")
    if runner is None and any(lag for _, lag in cursors):
        screen.say("nobody works on what came in: `eventctl run`")
    if any(cursor.quarantined for cursor, _ in cursors):
        screen.say("events wait for your judgement: `eventctl quarantine list`")
    if counts.decisions_held:
        screen.say("something wants to act and waits for a yes: `eventctl decisions list`")
    if any(cursor.dead for cursor, _ in cursors):
        screen.say("work failed for good: `eventctl dead-letter list`")
    if counts.unaccounted:
        screen.say("records are unaccounted for, which must not be: `eventctl verify`")
