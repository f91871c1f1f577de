"""`cartridge rollback`: go back to the version from before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from eventctl.cli import ids
from eventctl.cli.consent import Agreed, Prepared, agree, carry_out, ground_of, look_at, told, which
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.who import principal

if TYPE_CHECKING:
    from eventctl.guardian import Cost, Verdict
    from eventctl.lifecycle import Proposal
    from eventctl.staging import Ground
    from eventctl.store import Store


@click.command(cls=Verb, short_help="Go back to the version from before.")
@click.argument("given", metavar="ID", shell_complete=ids.CARTRIDGES)
@click.option("--to", default="", metavar="VERSION", help="To this version, or the beginning of its digest.")
@click.option("--domain", metavar="D", shell_complete=ids.DOMAINS, help="The one of this domain.")
@click.option("--member", "for_member", metavar="NAME", shell_complete=ids.MEMBERS, help="The one of this member.")
@click.option("--yes", "-y", is_flag=True, help="Agree beforehand.")
@click.option("--ask", is_flag=True, help="Leave it for an admin to approve.")
@json_option
@click.pass_obj
def rollback(
    session: Session,
    /,
    given: str,
    to: str,
    domain: str | None,
    for_member: str | None,
    yes: bool,
    ask: bool,
    as_json: bool,
) -> None:
    """Make the version of ID active again that was so before, or the one that --to names. Once more goes forward again.

    A version comes back with the strikes that it had, and runs where it ran: in a worker, unless its digest is trusted.

    \b
    eventctl cartridge rollback deploy-watch
    eventctl cartridge rollback deploy-watch --to 1.1.0
    """
    from eventctl import lifecycle

    agreed, who = Agreed(yes, ask, as_json), principal(session)
    with session.reading() as store:
        place, id_ = which(store, given, domain, for_member)
        lifecycle.permit_asking(who) if ask else lifecycle.permit(who, "rollback", place)
        prepared = prepare(session, ground_of(session, store), place, id_, to)
        look_at(session, prepared, agreed)
    if not ask:
        agree(prepared.question, agreed)
    told(session, *carry_out(session, prepared, agreed), agreed)


def prepare(session: Session, ground: Ground, place: str, id_: str, to: str = "") -> Prepared:
    """What going back would be: to the version of before, or to the one that `to` names. Raises `NotFound`, `Conflict`."""
    from eventctl import lifecycle
    from eventctl.installed import found_of

    who = principal(session)
    ground.clash(place, id_)
    proposal = lifecycle.rolling_back(ground.store, place, id_, to=to, who=who, now=session.now())
    package = lifecycle.stored(ground.store, proposal.digest)
    after = proposal.after
    runs, origin = (after.runs, after.origin) if after else ("worker", "")
    found = found_of(package, place, runs)

    def judge(cost: Cost | None) -> Verdict:
        return ground.judge(package, place, origin, runs=runs, before=proposal.before, downgrade=True, cost=cost)

    def propose(store: Store) -> Proposal:
        return lifecycle.rolling_back(store, place, id_, to=proposal.digest, who=who, now=session.now())

    return Prepared(
        proposal=replace(proposal, verdict=judge(None)), manifest=package.manifest,
        question=f"Roll {id_} in {place} back to {proposal.version}?", propose=propose, found=found, judge=judge,
        problems=ground.mistakes(found),
    )  # fmt: skip
