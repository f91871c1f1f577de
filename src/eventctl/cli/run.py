"""`run`: the process that stays, or one that works until nothing is owed."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from eventctl.cli.params import DURATION
from eventctl.cli.render import Screen, count, document
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.who import principal, require
from eventctl.errors import TryLater, UsageError
from eventctl.text import safe_text
from eventctl.times import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventctl.errors import Problem
    from eventctl.runner import StepReport

PATIENCE = 30 * SECOND
COUNTED = ("passed", "applied", "dropped", "quarantined", "dead", "waiting", "emitted")


class SessionClock:
    """The wall clock that the session goes by, and this machine's monotonic one."""

    def __init__(self, session: Session) -> None:
        self.now = session.now

    def monotonic(self) -> float:
        return time.monotonic()


class Stopped(Exception):
    """A signal asked for an end: between two steps is a good place for one."""


@click.command(cls=Verb, short_help="Work on what comes in, until stopped or until idle.")
@click.option("--until-idle", is_flag=True, help="Work on what is there in this process, then end.")
@click.option("--patience", type=DURATION, metavar="TIME", help="With --until-idle: wait so long for retries (default: 30s).")
@click.option("--i-know", is_flag=True, help="Allow a network file system: only one machine will ever open it.")
@json_option
@click.pass_obj
def run(session: Session, /, until_idle: bool, patience: int | None, i_know: bool, as_json: bool) -> None:
    """Work on what comes in. Ctrl-C, SIGTERM or SIGHUP finishes what is on its way and ends with 0.

    One process works on a workspace; a second one ends with 69 and names the first.

    \b
    eventctl run
    eventctl run --until-idle
    """
    require(principal(session), "operate")
    if until_idle:
        _until_idle(session, PATIENCE if patience is None else patience, as_json, i_know=i_know)
        return
    if as_json or patience is not None:
        raise UsageError("--json and --patience go with --until-idle")
    _stay(session, i_know=i_know)


def _stay(session: Session, *, i_know: bool) -> None:
    from eventctl import supervisor

    paths = session.paths()

    def say(sentence: str) -> None:
        sys.stderr.write(f"{safe_text(sentence)}\n")

    say(f"working on {paths.root}; Ctrl-C ends it")
    raise click.exceptions.Exit(supervisor.run(paths, session.env, say=say, i_know=i_know))


def _until_idle(session: Session, patience: int, as_json: bool, *, i_know: bool) -> None:
    from eventctl import app

    totals: dict[str, dict[str, int]] = {}
    idle, stopped = True, False
    with (
        _until_told() as check,
        app.open(
            session.paths().root, env=session.env, clock=SessionClock(session), no_plugins=session.no_plugins, i_know=i_know
        ) as here,
    ):
        _warn(session, here.problems)

        def each(report: StepReport) -> None:
            _add(totals, report)
            check()

        try:
            idle = here.run_until_idle(patience_s=patience / SECOND, each=each)
        except Stopped:
            stopped = True
    if as_json:
        document({"idle": idle and not stopped, "pipelines": totals})
    else:
        _show(Screen(session), totals, stopped)
    if not idle:
        raise TryLater("something is still owed", hint="`eventctl status` says what; the next run tries again")


@contextmanager
def _until_told() -> Iterator[Any]:
    """Gives a function that raises `Stopped` once SIGINT, SIGTERM or, unless it is ignored, SIGHUP has come."""
    told: list[int] = []

    def check() -> None:
        if told:
            raise Stopped

    ends = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
        ends.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda got, _: told.append(got)) for number in ends}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _add(totals: dict[str, dict[str, int]], report: StepReport) -> None:
    for name, advanced in report.pipelines.items():
        sums = totals.setdefault(name, dict.fromkeys(COUNTED, 0))
        for field in COUNTED:
            sums[field] += getattr(advanced, field)


def _warn(session: Session, problems: Sequence[Problem]) -> None:
    """What a person must know now: mistakes that leave something out. Warnings are for `config check`."""
    screen = Screen(session)
    for problem in problems:
        if not problem.warning:
            screen.say(f"left out: {problem}")


def _show(screen: Screen, totals: dict[str, dict[str, int]], stopped: bool) -> None:
    for name, sums in totals.items():
        if not sums["passed"]:
            continue
        shares = [f"{sums[field]:,} {field}" for field in COUNTED[1:] if sums[field]]
        screen.line(f"{name}: {count(sums['passed'], 'record')}", ", ".join(shares))
    if not any(sums["passed"] for sums in totals.values()):
        screen.line("nothing to do")
    if stopped:
        screen.say("stopped; the rest waits for the next run")
