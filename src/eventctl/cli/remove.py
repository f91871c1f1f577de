"""`cartridge remove`: take away what was installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eventctl.cli import ids
from eventctl.cli.consent import Agreed, Prepared, agree, carry_out, ground_of, look_at, told, which
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.who import principal
from eventctl.errors import Conflict, NotFound

if TYPE_CHECKING:
    from eventctl.lifecycle import Proposal
    from eventctl.staging import Ground
    from eventctl.store import Store


@click.command(cls=Verb, short_help="Take away what was installed.")
@click.argument("given", metavar="ID", shell_complete=ids.CARTRIDGES)
@click.option("--domain", metavar="D", shell_complete=ids.DOMAINS, help="The one of this domain.")
@click.option("--member", "for_member", metavar="NAME", shell_complete=ids.MEMBERS, help="The one of this member.")
@click.option("--for-good", is_flag=True, help="All its versions too: then there is nothing to roll back to.")
@click.option("--yes", "-y", is_flag=True, help="Agree beforehand.")
@click.option("--ask", is_flag=True, help="Leave it for an admin to approve.")
@json_option
@click.pass_obj
def remove(
    session: Session,
    /,
    given: str,
    domain: str | None,
    for_member: str | None,
    for_good: bool,
    yes: bool,
    ask: bool,
    as_json: bool,
) -> None:
    """Take away the installed cartridge ID. Its versions stay, and `cartridge rollback` brings it back; its state stays too.

    \b
    eventctl cartridge remove deploy-watch
    eventctl cartridge remove domain:marketing/ad-spend --for-good
    """
    from eventctl import lifecycle

    agreed, who = Agreed(yes, ask, as_json), principal(session)
    with session.reading() as store:
        ground = ground_of(session, store)
        _is_no_file(ground, given)
        place, id_ = which(store, given, domain, for_member)
        lifecycle.permit_asking(who) if ask else lifecycle.permit(who, "remove", place)
        prepared = prepare(ground, place, id_, for_good=for_good)
        look_at(session, prepared, agreed)
    if not ask:
        agree(prepared.question, agreed)
    told(session, *carry_out(session, prepared, agreed), agreed)


def prepare(ground: Ground, place: str, id_: str, *, for_good: bool = False) -> Prepared:
    """What taking it away would be. Raises `NotFound`, and `Conflict` where others need it."""
    from eventctl import lifecycle

    def propose(store: Store) -> Proposal:
        return lifecycle.removing(store, place, id_, for_good=for_good)

    proposal = propose(ground.store)
    missed = ground.missed(place, id_) if proposal.before else []
    if missed:
        raise Conflict(f"others need {id_}: {missed[0].what}", where=missed[0].where, hint="change those first, then remove it")
    question = f"Remove {id_} from {place}{', with all its versions' if for_good else ''}?"
    return Prepared(proposal=proposal, manifest=None, question=question, propose=propose)


def _is_no_file(ground: Ground, given: str) -> None:
    files = ground.locals(given)
    if files and not any(row.id == given for row in ground.store.installed()):
        raise NotFound(
            f"{given!r} was not installed: it is a file of this workspace", where=files[0].path, hint="delete the file"
        )
