"""`inbox act`: taking an action that a notification offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from eventctl.cli import forms, ids
from eventctl.cli.render import Screen, document
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.shortid import notification, number

if TYPE_CHECKING:
    from eventctl.acting import Taken
    from eventctl.store import Store

SAID = {"done": "done", "held": "waits for a person", "window": "acts by itself soon", "approved": "is on its way"}


@click.command("act", cls=Verb, short_help="Take an action that it offers.")
@click.argument("given", metavar="ID", shell_complete=ids.NOTIFICATIONS)
@click.argument("action")
@click.option("--payload", metavar="JSON", help="What the new event says besides, a JSON object.")
@json_option
@click.pass_obj
def act(session: Session, /, given: str, action: str, payload: str | None, as_json: bool) -> None:
    """Take an action that a notification offers: the event that says so goes into the log, and who took it is kept.

    A person decides by it. An agent (--agent) asks: autonomy says whether it is done at once or waits for a person.

    \b
    eventctl inbox show n7
    eventctl inbox act n7 retry
    eventctl inbox act n7 retry --payload '{"sha": "b2"}'
    """
    from eventctl import client

    more = payload_of(payload)
    wanted = number(given, "n", "notification")
    take = taking(session)
    with client.short(session.paths()) as store:
        notification(store.views, f"n{wanted}")
        taken = take(store, wanted, action, more)
    _answer(session, action, taken, as_json)


def taking(session: Session) -> Callable[[Store, int, str, Mapping[str, Any]], Taken]:
    """What takes an action of a notification with a payload, for whoever asks, by the files as they are now.

    Composes all files of the workspace, so it is called where no store is held; what it gives makes one durable move, and raises what
    `acting.take` raises.
    """
    from eventctl import acting
    from eventctl.cli.who import principal
    from eventctl.cli.wiring import house_of
    from eventctl.matrix import matrix_of

    who, house = principal(session), house_of(session)
    scan = house.scan()
    catalog, terms = house.catalog(scan)[0], matrix_of(house.settings()[0], scan.domains)

    def take(store: Store, wanted: int, action: str, given: Mapping[str, Any]) -> Taken:
        return acting.take(
            store, wanted, action, principal=who, now=session.now(), catalog=catalog, terms=terms, given=given,
            agent=who.subject if session.agent else None,
        )  # fmt: skip

    return take


def payload_of(text: str | None) -> Mapping[str, Any]:
    """The payload that somebody typed: a JSON object, or nothing. Raises `UsageError` for everything else."""
    from eventctl import strictjson
    from eventctl.decode import LIMITS
    from eventctl.errors import Refused, UsageError

    if text is None:
        return {}
    try:
        value, _ = strictjson.read(text, bytes_max=LIMITS.bytes, depth_max=LIMITS.depth)
    except Refused as wrong:
        raise UsageError(f"the payload {wrong.what}", hint="""quote it for the shell: --payload '{"n": 1}'""") from None
    if not isinstance(value, dict):
        raise UsageError("the payload is a JSON object", hint="""like --payload '{"n": 1}'""")
    return value


def _answer(session: Session, action: str, taken: Taken, as_json: bool) -> None:
    row, decision = taken.notification, taken.decision
    if as_json:
        told = {"decision": f"d{decision.number}", "state": decision.state, "move": taken.move, "event": taken.event}
        document({**forms.notification(row), "action": action, **told})
        return
    screen = Screen(session)
    screen.line(f"n{row.id}  {action}: {came_of(taken)}", row.title)
    if decision.state in ("held", "window"):
        screen.say(f"`eventctl decisions show d{decision.number}` says what a person can do about it")


def came_of(taken: Taken) -> str:
    """What came of an action, in words, with the decision that it is."""
    event = f" (e{taken.event})" if taken.event else ""
    return f"{SAID.get(taken.decision.state, taken.decision.state)}{event}, d{taken.decision.number}"
