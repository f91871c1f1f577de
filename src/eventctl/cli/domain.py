"""`domain`: the parts of a workspace, each with event types, cartridges and people of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eventctl.cli import changing, ids
from eventctl.cli.render import Cell, Screen, document, listing
from eventctl.cli.session import Lister, Session, json_option
from eventctl.cli.who import principal
from eventctl.errors import UsageError

if TYPE_CHECKING:
    from eventctl.discovery import Domain, Scan
    from eventctl.settings import Settings

SHOWN_MAX = 20


@click.group(cls=Lister)
def domain() -> None:
    """The domains of this workspace. Without a verb: the list."""


@domain.command("list", short_help="List domains, with what each has and how freely it acts.")
@json_option
@click.pass_obj
def list_(session: Session, /, as_json: bool) -> None:
    """List the domains: how many event types and cartridges each has, how freely it acts, and who decides for it.

    \b
    eventctl domain list
    """
    scan, given = _read(session)
    forms = [_form(each, scan, given) for each in scan.domains]
    if as_json:
        listing(forms)
        return
    screen = Screen(session)
    if not forms:
        screen.say("No domains yet. `eventctl domain add NAME` makes one.")
        return
    rows = [
        [Cell(each["name"], bold=True), len(each["types"]), len(each["cartridges"]), each["level"], ", ".join(each["members"]), each["summary"]]
        for each in forms
    ]  # fmt: skip
    screen.table(("name", "types", "cartridges", "level", "members", "about"), rows, right=(1, 2))


@domain.command(short_help="Show a domain.")
@click.argument("name", metavar="NAME", shell_complete=ids.DOMAINS)
@json_option
@click.pass_obj
def show(session: Session, /, name: str, as_json: bool) -> None:
    """Show a domain: its event types and cartridges, what may act there without asking and why, and who decides.

    \b
    eventctl domain show marketing
    """
    from eventctl import company

    company.domain(session.paths(), name)
    scan, given = _read(session)
    form = _form(next(each for each in scan.domains if each.name == name), scan, given)
    with session.reading() as store:
        waiting = [f"d{row.number}" for row in store.views.decisions(("held", "window"), domains=(name,))]
    if as_json:
        document({**form, "decisions": waiting[::-1]})
        return
    screen = Screen(session)
    screen.title(name)
    screen.fields(
        [
            ("about", form["summary"]),
            ("level", f"{form['level']} ({form['why']})"),
            ("trust", form["trust"]),
            ("decide here", ", ".join(form["members"]) or "admins"),
            ("event types", _several(form["types"])),
            ("cartridges", _several(form["cartridges"])),
            ("waiting", f"{', '.join(waiting[::-1])}: `eventctl decisions`" if waiting else "no decision"),
        ],
        indent=2,
    )


@domain.command(short_help="Make a domain of your own.")
@click.argument("name", metavar="NAME")
@click.option("--summary", default="", metavar="TEXT", help="What it is about, in a sentence.")
@json_option
@click.pass_obj
def add(session: Session, /, name: str, summary: str, as_json: bool) -> None:
    """Make company/domains/NAME/ with a domain.toml and an event_types.toml to write in. An admin may.

    \b
    eventctl domain add logistics --summary "What leaves the house, and when."
    """
    from eventctl import company

    try:
        done = company.add_domain(session.paths(), name, summary=summary, principal=principal(session), now=session.now())
    except ValueError as wrong:
        raise UsageError(str(wrong)) from None
    changing.answer(session, done, as_json)
    if not as_json:
        Screen(session).say(
            f"next: say what happens there in company/domains/{name}/event_types.toml, and put cartridges beside it"
        )


def _read(session: Session) -> tuple[Scan, Settings]:
    from eventctl import discovery, settings

    paths = session.paths()
    with session.reading() as store:
        known = store.units()
    return discovery.scan(paths.root, known), settings.load(paths.config, session.env)[0]


def _form(each: Domain, scan: Scan, given: Settings) -> dict[str, Any]:
    from eventctl.matrix import matrix_of

    name, file = each
    ruling = matrix_of(given, scan.domains).level("", "", name)
    part = next((data for origin, data in scan.parts if origin == f"company/domains/{name}/event_types.toml"), {})
    return {
        "name": name,
        "summary": file.summary,
        "types": sorted(f"{part.get('namespace')}.{type_}" for type_ in part.get("types", {})),
        "cartridges": sorted(found.manifest.id for found in scan.found if (found.scope, found.owner) == ("domain", name)),
        "level": ruling.level,
        "why": ruling.why,
        "trust": given.trust.domains.get(name) or file.guardian.trust or given.trust.strictness,
        "members": sorted(person for person, each in given.members.items() if name in each.domains),
    }


def _several(names: list[str]) -> str:
    rest = len(names) - SHOWN_MAX
    return ", ".join(names[:SHOWN_MAX]) + (f" and {rest} more" if rest > 0 else "") or "none yet"
