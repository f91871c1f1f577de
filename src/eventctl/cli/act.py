"""`inbox act`: taking an action that a notification offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from eventctl.cli import forms, ids
from eventctl.cli.render import Screen, document
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.shortid import notification, number

if TYPE_CHECKING:
    from eventctl.acting import Taken

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
    from eventctl import acting, client
    from eventctl.cli.who import principal
    from eventctl.cli.wiring import house_of
    from eventctl.matrix import matrix_of

    more = _object(payload)
    wanted, who = number(given, "n", "notification"), principal(session)
    house = house_of(session)
    scan = house.scan()
    terms = matrix_of(house.settings()[0], scan.domains)
    with client.short(session.paths()) as store:
        notification(store.views, f"n{wanted}")
        taken = acting.take(
            store, wanted, action, principal=who, now=session.now(), catalog=house.catalog(scan)[0], terms=terms, given=more,
            agent=who.subject if session.agent else None,
        )  # fmt: skip
    _answer(session, action, taken, as_json)


def _object(text: str | None) -> Mapping[str, Any]:
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
    words = SAID.get(decision.state, decision.state)
    event = f" (e{taken.event})" if taken.event else ""
    screen.line(f"n{row.id}  {action}: {words}{event}, d{decision.number}", row.title)
    if decision.state in ("held", "window"):
        screen.say(f"`eventctl decisions show d{decision.number}` says what a person can do about it")
