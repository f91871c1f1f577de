"""`cartridge promote`: move a cartridge to more people, from a member to a domain, from a domain to the library."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import click

from eventctl.cli import ids
from eventctl.cli.backtest import tried
from eventctl.cli.consent import Agreed, Prepared, agree, carry_out, ground_of, look_at, nothing_to_do, told
from eventctl.cli.params import DURATION
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.who import principal
from eventctl.errors import Conflict, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventctl.discovery import Found
    from eventctl.guardian import Cost, Verdict
    from eventctl.lifecycle import Proposal
    from eventctl.staging import Ground
    from eventctl.store import Store

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
        left = chosen(ground, given, to)
        if left is None:
            _finished(session, ground, given, to, agreed)
            return
        prepared = prepare(session, ground, left, to)
        look_at(session, prepared, agreed)
        if since is not None:
            prepared = tried(session, ground, prepared, since, agreed)
            look_at(session, prepared, agreed)
    if not ask:
        agree(prepared.question, agreed)
    told(session, *carry_out(session, prepared, agreed), agreed)


def chosen(ground: Ground, given: str, to: str) -> Found | None:
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


def prepare(session: Session, ground: Ground, left: Found, to: str) -> Prepared:
    """What moving `left` to a place of more people would be. Raises `UsageError` where that is none, `Conflict` where its id is taken."""
    from eventctl.installed import place_of

    ground.place(to)
    place = place_of(left.scope, left.owner)
    if RANKS.index(to.partition(":")[0]) <= RANKS.index(place.partition(":")[0]):
        raise UsageError(
            f"{left.manifest.id} is in {place}: {to} is not more people", hint="a promotion goes to a domain or the library"
        )
    return _files(ground, left, to) if _is_file(left) else _installed(session, ground, left, to)


def _is_file(found: Found) -> bool:
    from eventctl.installed import PREFIX

    return not found.path.startswith(PREFIX)


def _installed(session: Session, ground: Ground, left: Found, to: str) -> Prepared:
    from eventctl import lifecycle
    from eventctl.installed import found_of, place_of

    who, place = principal(session), place_of(left.scope, left.owner)
    ground.clash(to, left.manifest.id)

    def propose(store: Store) -> Proposal:
        return lifecycle.promoting(store, place, left.manifest.id, to, who=who, now=session.now())

    proposal = propose(ground.store)
    package = lifecycle.stored(ground.store, proposal.digest)
    runs, origin = (proposal.after.runs, proposal.after.origin) if proposal.after else ("worker", "")
    found = found_of(package, to, runs)

    def judge(cost: Cost | None) -> Verdict:
        return ground.judge(package, to, origin, runs=runs, before=proposal.before, cost=cost)

    return Prepared(
        proposal=replace(proposal, verdict=judge(None)), manifest=found.manifest, question=_question(proposal), propose=propose,
        found=found, judge=judge, problems=ground.mistakes(found, left=left),
    )  # fmt: skip


def _files(ground: Ground, left: Found, to: str) -> Prepared:
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
    source = at.relative_to(root).as_posix()
    proposal = lifecycle.carrying(to, given, source, shown, "")
    found = discovery.one(at, shown, *scope_of(to))
    standing = package.of(archives.read(at))

    @contextmanager
    def around() -> Iterator[None]:
        carrying.put(files, folder)
        yield
        carrying.leave(at, files)
        carrying.tidy(at.parent, carrying.read(target))

    def judge(cost: Cost | None) -> Verdict:
        return ground.judge(standing, to, f"file:{source}", runs="in-process", cost=cost)

    return Prepared(
        proposal=replace(proposal, verdict=judge(None)), manifest=found.manifest, question=_question(proposal),
        propose=lambda _store: replace(proposal, call=_call(proposal, target)), found=found, judge=judge,
        problems=ground.mistakes(found, left=left), around=around,
    )  # fmt: skip


def _question(proposal: Proposal) -> str:
    return f"Promote {proposal.id} {proposal.version} to {proposal.place}?"


def _there(ground: Ground, place: str, id_: str) -> bool:
    return any(row.active for row in ground.store.installed() if (row.place, row.id) == (place, id_))


def _call(proposal: Proposal, target: Path) -> str:
    """Names this one promotion: the files as they came to stand there. Doing it again names it the same."""
    stat = target.stat()
    told = f"promote:{proposal.carried}:{proposal.digest}:{stat.st_mtime_ns}:{stat.st_ino}"
    return sha256(told.encode()).hexdigest()[:32]


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
