"""Moves from the command line: one durable commit for each, an answer for each, and a stop at the first that may not be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from eventctl import client, moves
from eventctl.cli import forms
from eventctl.cli.exceptions import standing
from eventctl.cli.render import Screen, listing, local
from eventctl.cli.session import Session
from eventctl.cli.shortid import notification, number
from eventctl.cli.who import member, principal
from eventctl.errors import UsageError

if TYPE_CHECKING:
    from eventctl.moves import Moved
    from eventctl.store import ExceptionRow, Store

MEMBERS = ("seen", "unseen", "snooze", "unsnooze")
"""Moves of a member's own side; the others are of the one who does the work."""

LATER = "it happens when a runner comes to it: `eventctl run --until-idle`"
"""What is said where no runner works."""

WORKERS = ("claim", "start", "release", "resolve", "reopen")


def move(session: Session, verb: str, given: tuple[str, ...], as_json: bool, *, said: str, **args: Any) -> None:
    """Make the move on each notification, in order, and print what came of it."""
    numbers = [number(each, "n", "notification") for each in given]
    who = principal(session)
    if verb in MEMBERS:
        args["member"] = member(session)
    elif verb in WORKERS:
        args["agent"] = who.subject
    done: list[Moved] = []
    try:
        with client.short(session.paths()) as store:
            for each in numbers:  # one that is mistyped is no reason to have moved those before it
                notification(store.views, f"n{each}")
            for each in numbers:
                details = {**args, "token": _claim(session, each)} if "token" in args and args["token"] is None else args
                moved = getattr(moves, verb)(store, each, principal=who, now=session.now(), **details)
                done.append(moved)
    finally:
        _answer(session, verb, done, as_json, said)


def _claim(session: Session, number: int) -> int | None:
    """The claim of the agent that this runs for, where it is about its notification: one that is over then fences what it left behind."""
    mine = session.env.get("EVENTCTL_AGENT") == session.agent and session.env.get("EVENTCTL_NOTIFICATION") == f"n{number}"
    token = session.env.get("EVENTCTL_CLAIM", "") if mine else ""
    return int(token) if token.isdecimal() else None


def control(
    session: Session, verb: str, state: str, given: tuple[str, ...], as_json: bool, *, pipeline: str, noun: str
) -> None:
    """Ask the pipelines that hold these records to go on with them, or to let them be."""
    decide(session, verb, lambda store: standing_rows(store, state, given, pipeline=pipeline, noun=noun), as_json)


def decide(
    session: Session,
    verb: str,
    chosen: Callable[[Store], Iterable[ExceptionRow]],
    as_json: bool,
    *,
    told: Callable[[list[ExceptionRow]], dict[str, list[str]]] = lambda _: {},
) -> None:
    """The same for rows that `chosen` finds, each by a durable move. `told` says what else is to be said about those asked for."""
    who = principal(session)
    asked: list[tuple[ExceptionRow, int]] = []
    try:
        with client.short(session.paths()) as store:
            for row in chosen(store):
                seq = moves.control(store, verb, row.seq, principal=who, now=session.now(), pipeline=row.pipeline)
                asked.append((row, seq))
    finally:
        _answer_control(session, verb, asked, as_json, told([row for row, _ in asked]))


def standing_rows(store: Store, state: str, given: Iterable[str], *, pipeline: str, noun: str) -> Iterator[ExceptionRow]:
    """The one exception in `state` that each id names. Raises `NotFound`, `UsageError` for one that stands in several pipelines."""
    for each in given:
        found = standing(store, state, each, noun=noun, pipeline=pipeline)
        if len(found) > 1:
            names = ", ".join(row.pipeline for row in found)
            raise UsageError(f"e{found[0].seq} stands in several pipelines", hint=f"say --pipeline with one of {names}")
        yield found[0]


def _answer(session: Session, verb: str, done: list[Moved], as_json: bool, said: str) -> None:
    if as_json:
        listing([{**forms.notification(each.notification), "move": each.seq or None, **_token(verb, each)} for each in done])
        return
    screen = Screen(session)
    for each in done:
        row = each.notification
        lease = f" until {local(row.lease_due)[11:16]} (claim {row.lease_token})" if verb == "claim" and row.lease_due else ""
        words = f"{said}{lease}" if each.seq else f"{said} already"
        screen.line(f"n{row.id}  {words}", row.title)


def _token(verb: str, each: Moved) -> dict[str, int]:
    return {"token": each.notification.lease_token} if verb in WORKERS else {}


def _answer_control(
    session: Session, verb: str, asked: list[tuple[ExceptionRow, int]], as_json: bool, told: dict[str, list[str]]
) -> None:
    if as_json:
        items = [{"seq": row.seq, "pipeline": row.pipeline, "verb": verb, "move": move} for row, move in asked]
        listing(items, **told)
        return
    screen = Screen(session)
    for row, move in asked:
        screen.line(f"e{row.seq}", f"{verb} asked of {row.pipeline} (e{move})")
    for line in (line for lines in told.values() for line in lines):
        screen.line(line)
    if asked and client.run_info(session.paths()) is None:
        screen.say(LATER)
