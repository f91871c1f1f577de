"""`autonomy`: what may act without asking, why, and what people decided lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eventctl.cli import changing, ids
from eventctl.cli.params import PATTERN
from eventctl.cli.render import Screen, document, listing
from eventctl.cli.session import Noun, Session, Verb, json_option
from eventctl.cli.who import principal
from eventctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventctl.autonomy import Autonomy
    from eventctl.discovery import Found
    from eventctl.evidence import Evidence, Scope

LEVEL = click.Choice(["L1", "L2", "L3"])
TYPE = click.option("--type", "type_", type=PATTERN, metavar="PATTERN", help="For events of these types: deployment.*.")
CARTRIDGE = click.option("--cartridge", default="", metavar="ID", help="For this cartridge: ID, or DOMAIN/ID.")
DOMAIN = click.option("--domain", default="", metavar="D", shell_complete=ids.DOMAINS, help="For this domain.")


@click.group(cls=Noun)
def autonomy() -> None:
    """What may act without asking: L1 asks first, L2 acts and can be undone, L3 acts.

    The most specific word holds: of a type, then of a cartridge, of a domain, of the workspace.
    """


@autonomy.command(short_help="Show every level that is set, and where.")
@json_option
@click.pass_obj
def show(session: Session, /, as_json: bool) -> None:
    """Show the levels that hold, the most specific first, and how long things can be undone and wait.

    \b
    eventctl autonomy show
    """
    from eventctl.shapes import written_duration

    matrix = matrix_in(session)
    rows = levels(matrix)
    terms = {"window": written_duration(matrix.window), "expires": written_duration(matrix.expires), "after": matrix.after}
    if as_json:
        listing([dict(zip(("for", "level", "file"), row, strict=True)) for row in rows], **terms)
        return
    screen = Screen(session)
    screen.table(("for", "level", "from"), rows)
    screen.say(
        f"L2: can be undone for {terms['window']}, and asks until a person has approved its kind {matrix.after} times. "
        f"What is held waits for {terms['expires']}."
    )


@autonomy.command("set", cls=Verb, short_help="Set a level: for types, a cartridge, a domain, or everything.")
@click.argument("level", type=LEVEL, metavar="LEVEL", required=False)
@TYPE
@CARTRIDGE
@DOMAIN
@click.option("--default", "default_", is_flag=True, help="For everything that nothing else is said about.")
@click.option("--reset", is_flag=True, help="Take the level out again, instead of setting one.")
@click.option("--dry-run", is_flag=True, help="Change nothing; show what would change, and what people decided lately.")
@json_option
@click.pass_obj
def set_(
    session: Session,
    /,
    level: str | None,
    type_: str | None,
    cartridge: str,
    domain: str,
    default_: bool,
    reset: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Set a level in eventctl.toml: L1, L2 or L3, for one of the four. An admin may; the log keeps who did.

    \b
    eventctl autonomy set L2 --domain marketing
    eventctl autonomy set L1 --type 'deployment.*' --dry-run
    eventctl autonomy set --reset --cartridge marketing/ad-spend
    """
    from eventctl import company
    from eventctl.evidence import Scope

    if (level is None) != reset:
        raise UsageError("say a level or --reset", hint="eventctl autonomy set L2 --domain marketing")
    named = {"types": type_, "cartridges": cartridge, "domains": domain}
    said = [(table, name) for table, name in named.items() if name]
    if len(said) + default_ != 1:
        raise UsageError("for what?", hint="say one of --type, --cartridge, --domain and --default")
    paths = session.paths()
    if domain:
        company.domain(paths, domain)
    key = ("autonomy", *(said[0] if said else ("default",)))
    done = company.change(
        paths, [(key, level)], verb=company.AUTONOMY, principal=principal(session), now=session.now(), dry=dry_run
    )
    found = evidence_of(session, Scope(type_ or "", cartridge, domain))
    if as_json:
        changing.answer(session, done, as_json, dry=dry_run, evidence=_form(found))
        return
    changing.answer(session, done, as_json, dry=dry_run)
    for sentence in _sentences(found, level):
        Screen(session).line(sentence)
    if cartridge and level and not _named(session, cartridge) and not _is_agent(session, cartridge):
        Screen(session).say(f"there is no cartridge and no agent {cartridge!r} yet: `eventctl cartridge list`")


@autonomy.command(short_help="Say what holds for a type, and which key says so.")
@click.argument("type_", metavar="TYPE")
@CARTRIDGE
@DOMAIN
@json_option
@click.pass_obj
def explain(session: Session, /, type_: str, cartridge: str, domain: str, as_json: bool) -> None:
    """Say how freely a cartridge may act at an event of TYPE, which key says so, and what people decided lately.

    \b
    eventctl autonomy explain deployment.failed --cartridge rollback --domain software-development
    """
    from eventctl.autonomy import of_member
    from eventctl.evidence import Scope, suggested
    from eventctl.patterns import is_type

    if not is_type(type_):
        raise UsageError(f"an event type is dotted lower-case parts, not {type_[:60]!r}", hint="`eventctl events` lists them")
    own, _, id_ = cartridge.rpartition("/")
    owners = {(found.scope, found.owner) for found in _named(session, cartridge)}
    scope, owner = next(iter(owners)) if len(owners) == 1 else ("", "")
    own = own or (owner if scope == "domain" else "")
    mine = scope == "personal" and not domain
    ruling = of_member(owner) if mine else matrix_in(session).level(type_, id_, domain or own)
    found = evidence_of(session, Scope(type_, cartridge, domain))
    next_ = "" if mine else suggested(found, ruling.level)
    words = f"eventctl autonomy set {next_} {f'--cartridge {cartridge}' if cartridge else f'--type {type_}'}" if next_ else ""
    if as_json:
        document(
            {
                "type": type_, "cartridge": cartridge or None, "domain": domain or own or None, "level": ruling.level,
                "why": ruling.why, "evidence": _form(found), "suggested": next_ or None,
            }
        )  # fmt: skip
        return
    screen = Screen(session)
    screen.title(f"{ruling.level}: {MEANS[ruling.level]}")
    screen.fields([("because of", ruling.why), *((("lately", sentence)) for sentence in _sentences(found, next_))], indent=2)
    if next_:
        screen.say(f"to think about: `{words} --dry-run`")


MEANS = {"L1": "asks first", "L2": "acts, and can be undone for a while", "L3": "acts"}


def _named(session: Session, cartridge: str) -> list[Found]:
    """The cartridges that an id, or an owner and an id, names."""
    from eventctl.cli.cartridgelook import look

    own, _, id_ = cartridge.rpartition("/")
    return [found for found in look(session).found if found.manifest.id == id_ and own in ("", found.owner)] if id_ else []


def _is_agent(session: Session, name: str) -> bool:
    from eventctl import settings

    return name in settings.load(session.paths().config, session.env)[0].agents


def matrix_in(session: Session) -> Autonomy:
    """What holds here, as the files say it."""
    from eventctl import discovery, settings
    from eventctl.matrix import matrix_of

    paths = session.paths()
    with session.reading() as store:
        known = store.units()
    return matrix_of(settings.load(paths.config, session.env)[0], discovery.scan(paths.root, known).domains)


def levels(matrix: Autonomy) -> list[Sequence[str]]:
    """What for, the level, and the file that says so, the most specific first."""
    ours = "eventctl.toml"
    rows: list[Sequence[str]] = []
    rows += [(f"type {name}", level, ours) for name, level in sorted(matrix.types.items())]
    rows += [(f"cartridge {name}", level, ours) for name, level in sorted(matrix.cartridges.items())]
    own = [(name, said, f"company/domains/{name}/domain.toml") for name, said in sorted(matrix.own.items())]
    rows += [
        (f"cartridge {name}/{id_}", level, file) for name, said, file in own for id_, level in sorted(said.cartridges.items())
    ]
    rows += [(f"domain {name}", level, ours) for name, level in sorted(matrix.domains.items())]
    rows += [(f"domain {name}", said.default, file) for name, said, file in own if said.default and name not in matrix.domains]
    return [*rows, ("everything else", matrix.default, ours)]


def evidence_of(session: Session, scope: Scope) -> Evidence:
    """What people decided lately about those. Walks the decisions of a month."""
    from eventctl import settings
    from eventctl.evidence import gather

    after = settings.load(session.paths().config, session.env)[0].autonomy.after
    with session.reading() as store:
        return gather(store.views, scope, after=after, now=session.now())


def _sentences(found: Evidence, level: str | None) -> list[str]:
    from eventctl.evidence import words, would

    return [part for part in (words(found), would(found, level) if level else "") if part]


def _form(found: Evidence) -> dict[str, Any]:
    from eventctl.evidence import DAYS, words

    return {
        "days": DAYS, "asked": found.asked, "approved": found.approved, "denied": found.denied, "expired": found.expired,
        "waiting": found.waiting, "alone": found.alone, "undone": found.undone, "failed": found.failed,
        "would_have_held": {level: found.held_by(level) for level in ("L1", "L2", "L3")}, "words": words(found),
    }  # fmt: skip
