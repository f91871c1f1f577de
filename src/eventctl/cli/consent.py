"""What a person is shown before a cartridge comes in, moves or goes; how they agree; and what is said when it is done."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from eventctl import client
from eventctl.cli.render import Screen, document
from eventctl.cli.session import Session
from eventctl.cli.who import principal
from eventctl.errors import Misconfigured, NotFound, Problem, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from eventctl.autonomy import Autonomy
    from eventctl.lifecycle import Done, Proposal
    from eventctl.manifest import Manifest
    from eventctl.staging import Ground
    from eventctl.store import Store

PAST = {
    "install": "installed", "promote": "promoted", "remove": "removed", "rollback": "rolled back to", "trust": "trusted",
}  # fmt: skip
FULL_RIGHTS = (
    "This code will run inside the runner with all of your rights: it can read and write every file that you can, use the network, "
    "see every secret of this process, and change what eventctl itself does. No permission in its manifest limits it there. Trust it "
    "only when you have read it, all of it."
)
VERDICTS = {
    "accept": "has nothing against it", "ask": "asks you to look at this first", "refuse": "refuses it",
}  # fmt: skip
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip", ".whl")


def is_package(source: Path | None) -> bool:
    """Whether a source is read as a package only: an archive, or something for pip."""
    return source is not None and (str(source).endswith(ARCHIVES) or str(source).startswith("pip:"))


class Agreed(NamedTuple):
    """How a person answers before they are asked: `--yes`, `--ask`, `--json`."""

    yes: bool = False
    ask: bool = False
    as_json: bool = False


def show(screen: Screen, proposal: Proposal, manifest: Manifest | None) -> None:
    """Print what would be done: to what, from where, what it may, what the guardian says, where it will run."""
    from eventctl.lifecycle import short, spoken

    given, after, before = manifest, proposal.after, proposal.before
    screen.title(f"{spoken(proposal.do)} {proposal.id} {proposal.version}")
    if given is not None:
        screen.sentence(given.summary)
    screen.line()
    was = f"{before.version} ({short(before.digest)})" if before else "nothing"
    come = proposal.left.place if proposal.left else proposal.carried[0] if proposal.carried else ""
    rows: list[tuple[str, object]] = [("place", proposal.place), ("from", come), ("there now", "" if proposal.carried else was)]
    if given is not None:
        rows += [
            ("consumes", ", ".join(given.consumes)),
            ("emits", ", ".join(given.emits)),
            ("annotates", ", ".join(given.annotates)),
        ]
        rows += [("requires", ", ".join(given.requires)), ("effects", ", ".join(given.rule.effects) if given.rule else "")]
    if proposal.verdict is not None:
        asked, diff = proposal.verdict.permissions, proposal.verdict.diff
        rows += [("may call", ", ".join(asked.calls)), ("secrets", ", ".join(asked.secrets)), ("hosts", ", ".join(asked.hosts))]
        rows += [("imports", ", ".join(asked.imports))]
        rows += [("new", ", ".join(diff.new)), ("wider", ", ".join(diff.wider)), ("no more", ", ".join(diff.gone))]
    rows += [
        ("runs", _where(after.runs if after else "", given) if after or proposal.carried else ""),
        ("origin", after.origin if after else ""), ("digest", proposal.digest),
    ]  # fmt: skip
    if proposal.backtest:
        counts = ", ".join(f"{number:,} {kind}" for kind, number in proposal.backtest["counts"].items() if number)
        rows.append(("backtest", f"{proposal.backtest['records']:,} records: {counts or 'no difference'}"))
    if proposal.verdict is not None:
        rows.append(("guardian", VERDICTS[proposal.verdict.verdict]))
    screen.fields(rows, indent=2)
    for reason in proposal.verdict.reasons if proposal.verdict else ():
        screen.line(f"{reason.severity}:", reason.sentence, indent=4)


def _where(runs: str, manifest: Manifest | None) -> str:
    if manifest is not None and manifest.rule is not None:
        return "as data: a rule has no code"
    if runs == "in-process":
        return "inside the runner, with all of your rights (trusted by this digest)"
    return (
        "in a worker: a process of its own with nothing of yours in it"
        if runs
        else "inside the runner, as a file of this workspace"
    )


def refuse(proposal: Proposal, problems: list[Problem]) -> None:
    """Raises `Misconfigured` for what nobody can agree to: the guardian refuses it, or it would not work in its place."""
    if proposal.verdict is not None and proposal.verdict.verdict == "refuse":
        why = next((each.sentence for each in proposal.verdict.reasons if each.severity == "refuse"), "it says not why")
        hint = "" if "--downgrade" in why else "no consent changes that"
        raise Misconfigured(f"the guardian refuses {proposal.id}: {why}", where=proposal.place, hint=hint)
    if problems:
        raise Misconfigured.listing(problems)


def agree(question: str, given: Agreed, *, words: str = "") -> None:
    """Ask a person. Raises `UsageError` where there is none to ask, `Abort` on a no."""
    if words:
        click.echo(textwrap.fill(words, shutil.get_terminal_size().columns), err=True)
    if given.yes:
        return
    if not at_a_terminal():
        raise UsageError(
            "nobody is here to agree to it", hint="--yes agrees beforehand; --ask leaves it for an admin to approve"
        )
    if not click.confirm(question, err=True):
        click.echo("nothing was changed", err=True)
        raise click.exceptions.Exit(1)


def at_a_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()


def carry_out(session: Session, make: Callable[[Store], Proposal], given: Agreed) -> tuple[Proposal, Done]:
    """Do it, or leave it for an admin, under the writer's lock; `make` proposes once more what was agreed to."""
    from eventctl import lifecycle

    who, now = principal(session), session.now()
    terms = _terms(session) if given.ask else None
    with client.short(session.paths()) as store:
        proposal = make(store)
        if terms is not None:
            return proposal, lifecycle.ask(store, proposal, who=who, now=now, terms=terms)
        return proposal, lifecycle.carry_out(store, proposal, who=who, now=now)


def told(session: Session, proposal: Proposal, done: Done, given: Agreed, **more: Any) -> None:
    """Say what was done."""
    from eventctl.lifecycle import evidence, short

    if given.as_json:
        body = {name: value for name, value in evidence(proposal).items() if name != "after"}
        document({**body, "decision": done.decision, "move": done.seq or None, "held": done.held, **more})
        return
    screen = Screen(session)
    if done.held:
        screen.line(f"d{done.decision}", f"waits for an admin: `eventctl decisions approve d{done.decision}`")
        return
    where = f"from {proposal.left.place} to {proposal.place}" if proposal.left else f"in {proposal.place}"
    screen.line(
        f"{PAST[proposal.do]} {proposal.id} {proposal.version}", f"{where} ({short(proposal.digest)}, d{done.decision})"
    )
    if client.run_info(session.paths()) is None:
        screen.say("no runner is at work: it holds from the next `eventctl run` on")


def nothing_to_do(session: Session, said: str, given: Agreed, **more: Any) -> None:
    """Say that it is so already."""
    if given.as_json:
        document({"done": "already", "said": said, **more})
        return
    Screen(session).line(said)


def placed(domain: str | None, for_member: str | None) -> str:
    """The place that the options name; the library without any."""
    if domain and for_member:
        raise UsageError("a cartridge is for a domain or for a member, not both")
    return f"domain:{domain}" if domain else f"member:{for_member}" if for_member else "library"


def which(store: Store, given: str, domain: str | None = None, for_member: str | None = None) -> tuple[str, str]:
    """(place, id) of what is installed under an id, an id with its place (`domain:shop/till`), or as a list names it."""
    from eventctl import lifecycle
    from eventctl.installed import PREFIX

    place, _, id_ = given.removeprefix(PREFIX).rpartition("/")
    if place:
        return place, id_
    if domain or for_member:
        return placed(domain, for_member), id_
    found = lifecycle.places(store, id_)
    standing = [row.place for row in store.installed() if row.id == id_ and row.active]
    chosen = standing or found
    if not chosen:
        raise NotFound(
            f"no cartridge {id_!r} is installed", hint="`eventctl cartridge list` shows what is; a file is its own to delete"
        )
    if len(chosen) > 1:
        raise UsageError(
            f"{id_!r} is installed in {len(chosen)} places", hint=f"say which: {', '.join(f'{each}/{id_}' for each in chosen)}"
        )
    return chosen[0], id_


def ground_of(session: Session, store: Store) -> Ground:
    """The workspace as it stands, to judge by."""
    from eventctl.cli.wiring import house_of
    from eventctl.staging import Ground

    return Ground(house_of(session), store)


def _terms(session: Session) -> Autonomy:
    """How long what is held waits."""
    from eventctl.autonomy import Autonomy
    from eventctl.settings import load

    given = load(session.paths().config, session.env)[0].autonomy
    return Autonomy(expires=getattr(given, "expires", Autonomy().expires))
