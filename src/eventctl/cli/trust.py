"""`cartridge trust`: let what was installed run inside the runner, by its digest."""

from __future__ import annotations

from dataclasses import replace

import click

from eventctl.cli import ids
from eventctl.cli.consent import FULL_RIGHTS, Agreed, agree, carry_out, ground_of, refuse, show, told, which
from eventctl.cli.render import Screen
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.who import principal
from eventctl.errors import Conflict


@click.command(cls=Verb, short_help="Let an installed cartridge run inside the runner, with all of your rights.")
@click.argument("given", metavar="ID", shell_complete=ids.CARTRIDGES)
@click.option("--domain", metavar="D", shell_complete=ids.DOMAINS, help="The one of this domain.")
@click.option("--member", "for_member", metavar="NAME", shell_complete=ids.MEMBERS, help="The one of this member.")
@click.option("--revoke", is_flag=True, help="Take it back: it runs in a worker again.")
@click.option("--yes", "-y", is_flag=True, help="Agree beforehand.")
@json_option
@click.pass_obj
def trust(
    session: Session, /, given: str, domain: str | None, for_member: str | None, revoke: bool, yes: bool, as_json: bool
) -> None:
    """Let the active version of the installed cartridge ID run inside the runner instead of in a worker. An admin does.

    It then has all of your rights, and nothing in its manifest limits it. What is trusted is this digest: another version, and
    this one with a byte changed, begins in a worker.

    \b
    eventctl cartridge show deploy-watch
    eventctl cartridge trust deploy-watch
    """
    from eventctl import lifecycle
    from eventctl.installed import found_of

    agreed, who = Agreed(yes, as_json=as_json), principal(session)
    with session.reading() as store:
        place, id_ = which(store, given, domain, for_member)
        lifecycle.permit(who, "trust", place)
        proposal = lifecycle.trusting(store, place, id_, revoke=revoke)
        package = lifecycle.stored(store, proposal.digest)
        if package.manifest.rule is not None:
            raise Conflict(f"{id_} is a rule: it has no code to trust", hint="it is data, and runs inside the runner as it is")
        ground = ground_of(session, store)
        runs = "worker" if revoke else "in-process"
        origin = proposal.after.origin if proposal.after else ""
        proposal = replace(proposal, verdict=ground.judge(package, place, origin, runs=runs, before=proposal.before))
        if not as_json:
            show(Screen(session), proposal, package.manifest)
        if not revoke:
            refuse(proposal, ground.mistakes(found_of(package, place, runs)))
    question = f"Trust {id_} {proposal.version}, {proposal.digest}?" if not revoke else f"Let {id_} run in a worker again?"
    agree(question, agreed, words="" if revoke else FULL_RIGHTS)
    kept = proposal
    proposal, done = carry_out(
        session,
        lambda store: replace(
            lifecycle.trusting(store, place, id_, revoke=revoke), verdict=kept.verdict, before=kept.before
        ),
        agreed,
    )  # fmt: skip
    told(session, proposal, done, agreed)
