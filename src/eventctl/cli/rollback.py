"""`cartridge rollback`: go back to the version from before."""

from __future__ import annotations

from dataclasses import replace

import click

from eventctl.cli import ids
from eventctl.cli.consent import Agreed, agree, carry_out, ground_of, refuse, show, told, which
from eventctl.cli.render import Screen
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.who import principal


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
    from eventctl.installed import found_of

    agreed, who = Agreed(yes, ask, as_json), principal(session)
    with session.reading() as store:
        place, id_ = which(store, given, domain, for_member)
        lifecycle.permit_asking(who) if ask else lifecycle.permit(who, "rollback", place)
        ground = ground_of(session, store)
        ground.clash(place, id_)
        proposal = lifecycle.rolling_back(store, place, id_, to=to, who=who, now=session.now())
        package = lifecycle.stored(store, proposal.digest)
        after = proposal.after
        runs, origin = (after.runs, after.origin) if after else ("worker", "")
        verdict = ground.judge(package, place, origin, runs=runs, before=proposal.before, downgrade=True)
        proposal = replace(proposal, verdict=verdict)
        if not as_json:
            show(Screen(session), proposal, package.manifest)
        refuse(proposal, ground.mistakes(found_of(package, place, runs)))
    if not ask:
        agree(f"Roll {id_} in {place} back to {proposal.version}?", agreed)
    kept = proposal
    proposal, done = carry_out(
        session,
        lambda store: replace(
            lifecycle.rolling_back(store, place, id_, to=kept.digest, who=who, now=session.now()),
            verdict=kept.verdict, before=kept.before,
        ),
        agreed,
    )  # fmt: skip
    told(session, proposal, done, agreed)
