"""`cartridge trust`: let what was installed run inside the runner, by its digest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from eventctl.cli import ids
from eventctl.cli.consent import FULL_RIGHTS, Agreed, Prepared, agree, carry_out, ground_of, look_at, told, which
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.who import principal
from eventctl.errors import Conflict

if TYPE_CHECKING:
    from eventctl.lifecycle import Proposal
    from eventctl.staging import Ground
    from eventctl.store import Store


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

    agreed, who = Agreed(yes, as_json=as_json), principal(session)
    with session.reading() as store:
        place, id_ = which(store, given, domain, for_member)
        lifecycle.permit(who, "trust", place)
        prepared = prepare(ground_of(session, store), place, id_, revoke=revoke)
        look_at(session, prepared, agreed)
    agree(prepared.question, agreed, words=prepared.words)
    told(session, *carry_out(session, prepared, agreed), agreed)


def prepare(ground: Ground, place: str, id_: str, *, revoke: bool = False) -> Prepared:
    """What trusting the active version would be, or with `revoke` trusting it no more. Raises `NotFound`, `Conflict`."""
    from eventctl import lifecycle
    from eventctl.installed import found_of

    def propose(store: Store) -> Proposal:
        return lifecycle.trusting(store, place, id_, revoke=revoke)

    proposal = propose(ground.store)
    package = lifecycle.stored(ground.store, proposal.digest)
    if package.manifest.rule is not None:
        raise Conflict(f"{id_} is a rule: it has no code to trust", hint="it is data, and runs inside the runner as it is")
    runs = "worker" if revoke else "in-process"
    origin = proposal.after.origin if proposal.after else ""
    verdict = ground.judge(package, place, origin, runs=runs, before=proposal.before)
    question = f"Trust {id_} {proposal.version}, {proposal.digest}?" if not revoke else f"Let {id_} run in a worker again?"
    return Prepared(
        proposal=replace(proposal, verdict=verdict), manifest=package.manifest, question=question, propose=propose,
        problems=[] if revoke else ground.mistakes(found_of(package, place, runs)), binding=not revoke,
        words="" if revoke else FULL_RIGHTS,
    )  # fmt: skip
