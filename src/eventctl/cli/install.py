"""`cartridge install`: bring in a cartridge from a folder, a file, an archive or a package of pip."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from eventctl.cli import ids
from eventctl.cli.backtest import tried
from eventctl.cli.consent import Agreed, Prepared, agree, carry_out, ground_of, look_at, nothing_to_do, placed, told
from eventctl.cli.params import DURATION
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.who import principal
from eventctl.errors import UsageError

if TYPE_CHECKING:
    from eventctl.discovery import Found
    from eventctl.guardian import Cost, Verdict
    from eventctl.lifecycle import Proposal
    from eventctl.staging import Ground, Staged
    from eventctl.store import Store


@click.command(cls=Verb, short_help="Bring in a cartridge: judged, shown, and never executed before you agree.")
@click.argument("source", metavar="SOURCE")
@click.option("--domain", metavar="D", shell_complete=ids.DOMAINS, help="For this domain (default: for the library).")
@click.option("--member", "for_member", metavar="NAME", shell_complete=ids.MEMBERS, help="For this member alone.")
@click.option("--backtest", "since", type=DURATION, metavar="DURATION", help="Try it over so much of the log first: 7d.")
@click.option("--downgrade", is_flag=True, help="It is meant to be older than what is there.")
@click.option("--yes", "-y", is_flag=True, help="Agree beforehand, but not to more than the version before may.")
@click.option("--wider", is_flag=True, help="With --yes: agree to more than that too.")
@click.option("--ask", is_flag=True, help="Leave it for an admin to approve.")
@json_option
@click.pass_obj
def install(
    session: Session,
    /,
    source: str,
    domain: str | None,
    for_member: str | None,
    since: int | None,
    downgrade: bool,
    yes: bool,
    wider: bool,
    ask: bool,
    as_json: bool,
) -> None:
    """Bring in the cartridge at SOURCE: a folder, a file, a .tar.gz, .zip or .whl, or `pip:NAME==VERSION`.

    It is read and judged, and you see what it asks for before you agree. Nothing of it is executed before; after, it runs in a
    worker: see `cartridge trust`. What was there stays, for `cartridge rollback`.

    \b
    eventctl cartridge install ./deploy-watch --domain software-development
    eventctl cartridge install deploy-watch-1.2.0.tar.gz --backtest 7d
    """
    from eventctl import lifecycle
    from eventctl.staging import stage

    given, place, who = Agreed(yes, ask, as_json), placed(domain, for_member), principal(session)
    lifecycle.permit_asking(who) if ask else lifecycle.permit(who, "install", place)
    staged = stage(source, env=session.env)
    with session.reading() as store:
        ground = ground_of(session, store)
        prepared = prepare(session, ground, staged, place, downgrade=downgrade)
        if prepared.said:
            proposal = prepared.proposal
            nothing_to_do(session, prepared.said, given, id=proposal.id, place=place, digest=proposal.digest)
            return
        look_at(session, prepared, given)
        if since is not None:
            prepared = tried(session, ground, prepared, since, given)
            look_at(session, prepared, given)
    if not ask:
        if yes and not wider:
            _no_wider(prepared.proposal)
        agree(prepared.question, given)
    told(session, *carry_out(session, prepared, given), given)


def prepare(session: Session, ground: Ground, staged: Staged, place: str, *, downgrade: bool = False) -> Prepared:
    """What installing this in the place would be. Raises `NotFound` for a place that is none, `Conflict` where a file has its id."""
    from eventctl import lifecycle
    from eventctl.installed import found_of

    ground.place(place)
    ground.clash(place, staged.package.id)
    who = principal(session)

    def propose(store: Store) -> Proposal:
        return lifecycle.installing(store, staged.package, place, staged.origin, who=who, now=session.now())

    proposal = propose(ground.store)
    runs = proposal.after.runs if proposal.after else "worker"

    def judge(cost: Cost | None) -> Verdict:
        return ground.judge(
            staged.package, place, staged.origin, runs=runs, before=proposal.before, downgrade=downgrade, cost=cost
        )

    found = found_of(staged.package, place, runs)
    there = _there(ground, proposal, found)
    said = f"{proposal.id} {proposal.version} is installed in {place} already ({lifecycle.short(proposal.digest)})"
    return Prepared(
        proposal=replace(proposal, verdict=judge(None)), manifest=staged.package.manifest,
        question=f"Install {proposal.id} {proposal.version} in {place}?", propose=propose, found=found, judge=judge,
        problems=[] if there else ground.mistakes(found), said=said if there else "",
    )  # fmt: skip


def asks_more(proposal: Proposal) -> list[str]:
    """What an update asks for beyond what is there; nothing for a first installation, which is looked at whole."""
    if proposal.before is None or proposal.verdict is None or proposal.before.digest == proposal.digest:
        return []
    return [*proposal.verdict.diff.new, *proposal.verdict.diff.wider]


def _no_wider(proposal: Proposal) -> None:
    """Raises `UsageError` for an update that asks for more than what is there: agreeing blindly does not go so far."""
    more = asks_more(proposal)
    if more and proposal.before is not None:
        what = f"{proposal.id} {proposal.version} asks for more than {proposal.before.version}: {', '.join(more[:5])}"
        raise UsageError(what, hint="--yes does not agree to that: look at it, then add --wider")


def _there(ground: Ground, proposal: Proposal, found: Found) -> bool:
    """Whether this very version stands there, and is at work: one that was switched off may be given another chance."""
    unit = ground.scan.units.get(found.path)
    same = proposal.before is not None and proposal.before.digest == proposal.digest
    return same and unit is not None and unit.state == "active"
