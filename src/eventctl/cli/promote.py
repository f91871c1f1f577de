"""`cartridge promote`: move a cartridge to more people, from a member to a domain, from a domain to the library."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import click

from eventctl.cli import ids
from eventctl.cli.consent import Agreed, agree, carry_out, ground_of, nothing_to_do, refuse, show, told
from eventctl.cli.params import DURATION
from eventctl.cli.render import Screen
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.who import principal
from eventctl.errors import Conflict, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventctl.discovery import Found
    from eventctl.lifecycle import Done, Proposal
    from eventctl.staging import Ground
    from eventctl.store import Store

    Finish = Callable[[Session, Proposal, Agreed], tuple[Proposal, Done]]

RANKS = ("member", "domain", "library")


@click.command(cls=Verb, short_help="Move a cartridge to more people.")
@click.argument("given", metavar="ID", shell_complete=ids.CARTRIDGES)
@click.option("--to", required=True, metavar="PLACE", help="Where to: domain:NAME or library.")
@click.option("--backtest", "since", type=DURATION, metavar="DURATION", help="Try it there over so much of the log first: 7d.")
@click.option("--yes", "-y", is_flag=True, help="Agree beforehand.")
@click.option("--ask", is_flag=True, help="Leave it for an admin to approve (what is installed).")
@json_option
@click.pass_obj
def promote(session: Session, /, given: str, to: str, since: int | None, yes: bool, ask: bool, as_json: bool) -> None:
    """Move the cartridge ID to PLACE: what is installed as it is, and files with their examples into the folder there.

    An admin does. The report of a backtest stands beside the decision. Done again after a crash, it is finished.

    \b
    eventctl cartridge promote ad-spend --to domain:marketing --backtest 7d
    eventctl cartridge promote personal/ada/cartridges/ad-spend.toml --to library
    """
    from eventctl import lifecycle

    agreed, who = Agreed(yes, ask, as_json), principal(session)
    lifecycle.permit_asking(who) if ask else lifecycle.permit(who, "promote", to)
    with session.reading() as store:
        ground = ground_of(session, store)
        ground.place(to)
        left = _chosen(ground, given, to)
        if left is None:
            _finished(session, ground, given, to, agreed)
            return
        _upward(left, to)
        proposal, found, finish = _files(session, ground, left, to) if _is_file(left) else _installed(session, ground, left, to)
        proposal = replace(proposal, verdict=_verdict(ground, proposal))
        if not as_json:
            show(Screen(session), proposal, found.manifest)
        refuse(proposal, ground.mistakes(found, left=left))
        if since is not None:
            proposal = _tried(session, ground, proposal, found, since, agreed)
            refuse(proposal, [])
            if not as_json:
                show(Screen(session), proposal, found.manifest)
    if not ask:
        agree(f"Promote {proposal.id} {proposal.version} to {to}?", agreed)
    proposal, done = finish(session, proposal, agreed)
    told(session, proposal, done, agreed)


def _chosen(ground: Ground, given: str, to: str) -> Found | None:
    """The one cartridge that is meant, where it stands now; None when it stands in `to` already and nowhere else."""
    from eventctl.installed import place_of

    named = [
        found
        for found in ground.scan.found
        if given in (found.manifest.id, found.path, found.path.removesuffix("/cartridge.toml"))
    ]
    if not named:
        raise NotFound(f"there is no cartridge {given!r}", hint="`eventctl cartridge list` shows all")
    below = [found for found in named if place_of(found.scope, found.owner) != to]
    if len(below) > 1:
        paths = ", ".join(found.path for found in below)
        raise UsageError(f"{given!r} is {len(below)} cartridges", hint=f"say which: {paths}")
    return below[0] if below else None


def _upward(left: Found, to: str) -> None:
    from eventctl.installed import place_of

    place = place_of(left.scope, left.owner)
    if RANKS.index(to.partition(":")[0]) <= RANKS.index(place.partition(":")[0]):
        raise UsageError(
            f"{left.manifest.id} is in {place}: {to} is not more people", hint="a promotion goes to a domain or the library"
        )


def _is_file(found: Found) -> bool:
    from eventctl.installed import PREFIX

    return not found.path.startswith(PREFIX)


def _installed(session: Session, ground: Ground, left: Found, to: str) -> tuple[Proposal, Found, Finish]:
    from eventctl import lifecycle
    from eventctl.installed import found_of, place_of

    who, place = principal(session), place_of(left.scope, left.owner)
    ground.clash(to, left.manifest.id)

    def propose(store: Store) -> Proposal:
        return lifecycle.promoting(store, place, left.manifest.id, to, who=who, now=session.now())

    def finish(session: Session, shown: Proposal, agreed: Agreed) -> tuple[Proposal, Done]:
        def again(store: Store) -> Proposal:
            now = propose(store)
            return replace(now, verdict=shown.verdict, backtest=shown.backtest, before=shown.before, left=shown.left)

        return carry_out(session, again, agreed)

    proposal = propose(ground.store)
    runs = proposal.after.runs if proposal.after else "worker"
    return proposal, found_of(lifecycle.stored(ground.store, proposal.digest), to, runs), finish


def _files(session: Session, ground: Ground, left: Found, to: str) -> tuple[Proposal, Found, Finish]:
    from eventctl import archives, carrying, discovery, lifecycle, package
    from eventctl.installed import folder_of, scope_of
    from eventctl.manifest import MANIFEST

    root = ground.house.paths.root
    at = root / left.path.removesuffix(f"/{MANIFEST}")
    folder = root / folder_of(to)
    target = folder / at.name
    shown = target.relative_to(root).as_posix()
    other = ground.local(to, left.manifest.id)
    if other is not None and other.path.removesuffix(f"/{MANIFEST}") != shown:
        raise Conflict(
            f"another cartridge has the id {left.manifest.id!r} in {to}", where=other.path, hint="rename one of them"
        )
    if other is None and _there(ground, to, left.manifest.id):
        raise Conflict(
            f"{left.manifest.id!r} is installed in {to}", hint=f"`eventctl cartridge remove {to}/{left.manifest.id}` first"
        )
    files = carrying.read(at)
    carrying.fits(files, folder)
    whole = target if other is not None else at  # where an attempt was cut off, its examples may have gone already
    given = package.of(archives.read(whole), where=left.path)

    def finish(session: Session, shown_one: Proposal, agreed: Agreed) -> tuple[Proposal, Done]:
        if agreed.ask:
            raise UsageError("files are promoted by an admin, at once", hint="an admin leaves out --ask")
        carrying.put(files, folder)
        made = carry_out(session, lambda _store: replace(shown_one, call=_call(shown_one, target)), agreed)
        carrying.leave(at, files)
        carrying.tidy(at.parent, carrying.read(target))
        return made

    source = at.relative_to(root).as_posix()
    found = discovery.one(at, shown, *scope_of(to))
    return lifecycle.carrying(to, given, source, shown, ""), found, finish


def _there(ground: Ground, place: str, id_: str) -> bool:
    return any(row.active for row in ground.store.installed() if (row.place, row.id) == (place, id_))


def _call(proposal: Proposal, target: Path) -> str:
    """Names this one promotion: the files as they came to stand there. Doing it again names it the same."""
    stat = target.stat()
    told = f"promote:{proposal.carried}:{proposal.digest}:{stat.st_mtime_ns}:{stat.st_ino}"
    return sha256(told.encode()).hexdigest()[:32]


def _verdict(ground: Ground, proposal: Proposal, cost: Any = None) -> Any:
    from eventctl import archives, lifecycle, package

    runs, origin = "in-process", ""
    if proposal.carried:
        given, origin = package.of(archives.read(ground.house.paths.root / proposal.carried[0])), f"file:{proposal.carried[0]}"
    else:
        given = lifecycle.stored(ground.store, proposal.digest)
        if proposal.after is not None:
            runs, origin = proposal.after.runs, proposal.after.origin
    return ground.judge(given, proposal.place, origin, runs=runs, before=proposal.before, cost=cost)


def _tried(session: Session, ground: Ground, proposal: Proposal, found: Found, since: int, agreed: Agreed) -> Proposal:
    from eventctl.cli.backtest import brief, reopening
    from eventctl.staging import cost_of

    if found.manifest.rule is None and not proposal.carried:
        agree("A backtest executes its code, in a worker. Try it?", agreed)
    report = ground.tried(found, since=session.now() - since, reopen=reopening(session))
    return replace(proposal, verdict=_verdict(ground, proposal, cost_of(report)), backtest=brief(report))


def _finished(session: Session, ground: Ground, given: str, to: str, agreed: Agreed) -> None:
    """It stands there already: what an earlier attempt left behind is put away, and that is all."""
    from eventctl import carrying
    from eventctl.installed import folder_of
    from eventctl.manifest import MANIFEST

    root, id_ = ground.house.paths.root, given
    for found in ground.scan.found:
        if given in (found.manifest.id, found.path) and _is_file(found):
            id_ = found.manifest.id
            files = carrying.read(root / found.path.removesuffix(f"/{MANIFEST}"))
            places = [f"member:{name}" for name in ground.scan.member_settings] + [
                f"domain:{one.name}" for one in ground.scan.domains
            ]
            for place in places:
                carrying.tidy(root / folder_of(place), files)
    nothing_to_do(session, f"{id_} stands in {to} already", agreed, id=id_, place=to)
