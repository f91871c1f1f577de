"""`cartridge install`: bring in a cartridge from a folder, a file, an archive or a package of pip."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from eventctl.cli import ids
from eventctl.cli.consent import Agreed, agree, carry_out, ground_of, nothing_to_do, placed, refuse, show, told
from eventctl.cli.params import DURATION
from eventctl.cli.render import Screen
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.who import principal
from eventctl.errors import UsageError

if TYPE_CHECKING:
    from eventctl.discovery import Found
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
        ground.place(place)
        ground.clash(place, staged.package.id)

        def propose(store: Store) -> Proposal:
            return lifecycle.installing(store, staged.package, place, staged.origin, who=who, now=session.now())

        proposal = _judged(ground, propose(store), staged, downgrade)
        found = _found(proposal, staged)
        if _there(ground, proposal, found):
            said = f"{proposal.id} {proposal.version} is installed in {place} already ({lifecycle.short(proposal.digest)})"
            nothing_to_do(session, said, given, id=proposal.id, place=place, digest=proposal.digest)
            return
        screen = Screen(session)
        if not as_json:
            show(screen, proposal, staged.package.manifest)
        refuse(proposal, ground.mistakes(found))
        if since is not None:
            proposal = _tried(session, ground, proposal, staged, found, since, given, downgrade=downgrade)
            refuse(proposal, [])
            if not as_json:
                show(screen, proposal, staged.package.manifest)
    if not ask:
        if yes and not wider:
            _no_wider(proposal)
        agree(f"Install {proposal.id} {proposal.version} in {place}?", given)
    kept = proposal
    proposal, done = carry_out(
        session, lambda store: replace(propose(store), verdict=kept.verdict, backtest=kept.backtest, before=kept.before), given
    )
    told(session, proposal, done, given)


def _no_wider(proposal: Proposal) -> None:
    """Raises `UsageError` for an update that asks for more than what is there: agreeing blindly does not go so far."""
    if proposal.before is None or proposal.verdict is None or proposal.before.digest == proposal.digest:
        return
    more = [*proposal.verdict.diff.new, *proposal.verdict.diff.wider]
    if more:
        what = f"{proposal.id} {proposal.version} asks for more than {proposal.before.version}: {', '.join(more[:5])}"
        raise UsageError(what, hint="--yes does not agree to that: look at it, then add --wider")


def _judged(ground: Ground, proposal: Proposal, staged: Staged, downgrade: bool, cost: Any = None) -> Proposal:
    runs = proposal.after.runs if proposal.after else "worker"
    verdict = ground.judge(
        staged.package, proposal.place, staged.origin, runs=runs, before=proposal.before, downgrade=downgrade, cost=cost
    )
    return replace(proposal, verdict=verdict)


def _found(proposal: Proposal, staged: Staged) -> Found:
    from eventctl.installed import found_of

    return found_of(staged.package, proposal.place, proposal.after.runs if proposal.after else "worker")


def _there(ground: Ground, proposal: Proposal, found: Found) -> bool:
    """Whether this very version stands there, and is at work: one that was switched off may be given another chance."""
    unit = ground.scan.units.get(found.path)
    same = proposal.before is not None and proposal.before.digest == proposal.digest
    return same and unit is not None and unit.state == "active"


def _tried(
    session: Session,
    ground: Ground,
    proposal: Proposal,
    staged: Staged,
    found: Found,
    since: int,
    given: Agreed,
    *,
    downgrade: bool,
) -> Proposal:
    from eventctl.cli.backtest import brief, reopening
    from eventctl.staging import cost_of

    if found.manifest.rule is None:
        agree("A backtest executes its code, in a worker. Try it?", given)
    report = ground.tried(found, since=session.now() - since, reopen=reopening(session))
    return replace(_judged(ground, proposal, staged, downgrade, cost_of(report)), backtest=brief(report))
