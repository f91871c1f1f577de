"""What a person is shown before a cartridge comes in, moves or goes; how they agree; and what is said when it is done."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
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
    from eventctl.discovery import Found
    from eventctl.guardian import Cost, Verdict
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What somebody is asked to agree to: looked at from all sides, and not done.

    `propose` proposes it once more, over what stands there then. `found` is the candidate in its place, `judge` has the guardian look
    again, at what a trial took; both while the store is open that it was prepared over. `problems` are what nobody can agree to, as
    is the guardian's refusal where that is `binding`. `words` are said before the question. `said` is why there is nothing to do, "" when there is
    something. `around` does what is done to files before and after.
    """

    proposal: Proposal
    manifest: Manifest | None
    question: str
    propose: Callable[[Store], Proposal]
    found: Found | None = None
    judge: Callable[[Cost | None], Verdict] | None = None
    problems: list[Problem] = field(default_factory=list)
    binding: bool = True
    words: str = ""
    said: str = ""
    around: Callable[[], AbstractContextManager[None]] = nullcontext

    def tried(self, brief: Mapping[str, Any], cost: Cost | None) -> Prepared:
        """The same with the report of a backtest beside it, and judged by that too."""
        verdict = self.judge(cost) if self.judge else None
        return replace(self, proposal=replace(self.proposal, verdict=verdict, backtest=brief))


def show(screen: Screen, proposal: Proposal, manifest: Manifest | None) -> None:
    """Print what would be done: to what, from where, what it may, what the guardian says, where it will run."""
    from eventctl.lifecycle import spoken

    screen.title(f"{spoken(proposal.do)} {proposal.id} {proposal.version}")
    if manifest is not None:
        screen.sentence(manifest.summary)
    screen.line()
    screen.fields(fields(proposal, manifest), indent=2)
    for reason in proposal.verdict.reasons if proposal.verdict else ():
        screen.line(f"{reason.severity}:", reason.sentence, indent=4)


def fields(proposal: Proposal, manifest: Manifest | None) -> list[tuple[str, object]]:
    """The same as names and values, without the guardian's reasons."""
    from eventctl.lifecycle import short

    given, after, before = manifest, proposal.after, proposal.before
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
    return rows


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


def refuse(prepared: Prepared) -> None:
    """Raises `Misconfigured` for what nobody can agree to: the guardian refuses it, or it would not work in its place."""
    proposal = prepared.proposal
    if prepared.binding and proposal.verdict is not None and proposal.verdict.verdict == "refuse":
        why = next((each.sentence for each in proposal.verdict.reasons if each.severity == "refuse"), "it says not why")
        hint = "" if "--downgrade" in why else "no consent changes that"
        raise Misconfigured(f"the guardian refuses {proposal.id}: {why}", where=proposal.place, hint=hint)
    if prepared.problems:
        raise Misconfigured.listing(prepared.problems)


def look_at(session: Session, prepared: Prepared, given: Agreed) -> None:
    """Show it to a person. Raises `Misconfigured` for what nobody can agree to."""
    if not given.as_json:
        show(Screen(session), prepared.proposal, prepared.manifest)
    refuse(prepared)


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


def carry_out(session: Session, prepared: Prepared, given: Agreed) -> tuple[Proposal, Done]:
    """Do it, or leave it for an admin, under the writer's lock."""
    with client.short(session.paths()) as store:
        return settle(session, store, prepared, ask=given.ask)


def settle(session: Session, store: Store, prepared: Prepared, *, ask: bool) -> tuple[Proposal, Done]:
    """Propose once more what was agreed to, and do it; with `ask` leave it for an admin. Raises `Conflict`, `NotPermitted`."""
    from eventctl import lifecycle

    who, now, kept = principal(session), session.now(), prepared.proposal
    if ask and kept.carried:
        raise UsageError("files are promoted by an admin, at once", hint="an admin leaves out --ask")
    terms = _terms(session) if ask else None
    with prepared.around():
        proposal = replace(
            prepared.propose(store), verdict=kept.verdict, backtest=kept.backtest, before=kept.before, left=kept.left
        )
        if terms is not None:
            return proposal, lifecycle.ask(store, proposal, who=who, now=now, terms=terms)
        return proposal, lifecycle.carry_out(store, proposal, who=who, now=now)


def told(session: Session, proposal: Proposal, done: Done, given: Agreed, **more: Any) -> None:
    """Say what was done."""
    from eventctl.lifecycle import evidence

    if given.as_json:
        body = {name: value for name, value in evidence(proposal).items() if name != "after"}
        document({**body, "decision": done.decision, "move": done.seq or None, "held": done.held, **more})
        return
    screen = Screen(session)
    if done.held:
        screen.line(f"d{done.decision}", f"waits for an admin: `eventctl decisions approve d{done.decision}`")
        return
    screen.line(*outcome(proposal, done))
    if client.run_info(session.paths()) is None:
        screen.say("no runner is at work: it holds from the next `eventctl run` on")


def outcome(proposal: Proposal, done: Done) -> tuple[str, str]:
    """What was done, and where, with the digest and the decision."""
    from eventctl.lifecycle import short

    where = f"from {proposal.left.place} to {proposal.place}" if proposal.left else f"in {proposal.place}"
    return f"{PAST[proposal.do]} {proposal.id} {proposal.version}", f"{where} ({short(proposal.digest)}, d{done.decision})"


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
