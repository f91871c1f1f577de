"""`member`: the people of a workspace, what they may do and which domains they decide for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eventctl.cli import changing, ids
from eventctl.cli.render import Cell, Screen, document, listing
from eventctl.cli.session import Lister, Session, json_option
from eventctl.cli.who import principal
from eventctl.errors import UsageError

if TYPE_CHECKING:
    from eventctl.beginning import Person
    from eventctl.store import Store

ROLE = click.Choice(["admin", "member"])


NAME = click.argument("name", metavar="NAME", shell_complete=ids.MEMBERS)
DOMAIN = click.option(
    "--domain",
    "serves",
    multiple=True,
    metavar="D",
    shell_complete=ids.DOMAINS,
    help="A domain that they decide for; may be repeated.",
)


@click.group(cls=Lister)
def member() -> None:
    """The people of this workspace. Without a verb: the list.

    A member works from the inbox and decides for their domains and for themselves; an admin changes the workspace.
    """


@member.command("list", short_help="List members, their roles and domains.")
@json_option
@click.pass_obj
def list_(session: Session, /, as_json: bool) -> None:
    """List the members. `*` marks the one who asks.

    \b
    eventctl member list
    """
    from eventctl import company

    there = company.members(session.paths())
    me = principal(session).subject
    if as_json:
        listing([_form(each, me) for each in there.values()])
        return
    screen = Screen(session)
    if not there:
        screen.say(
            f"No members yet: everybody who can open this workspace is its admin. `eventctl member add {me} --role admin`"
        )
        return
    rows = [["*" if each.name == me else "", Cell(each.name, bold=True), each.role, _domains(each)] for each in there.values()]
    screen.table(("", "name", "role", "decides for"), rows)


@member.command(short_help="Show a member, and what waits for them.")
@NAME
@json_option
@click.pass_obj
def show(session: Session, /, name: str, as_json: bool) -> None:
    """Show a member: their role, the domains they decide for, and how many decisions wait for them.

    \b
    eventctl member show bob
    """
    from eventctl import company

    paths = session.paths()
    found = company.member(paths, name)
    with session.reading() as store:
        waiting = [f"d{number}" for number in _waiting(store, found)]
    folder = f"personal/{name}/"
    own = folder if (paths.root / folder).is_dir() else None
    if as_json:
        document({**_form(found, principal(session).subject), "folder": own, "decisions": waiting})
        return
    screen = Screen(session)
    screen.title(name)
    screen.fields(
        [
            ("role", found.role),
            ("decides for", _domains(found)),
            ("their own", own),
            ("waiting", f"{', '.join(waiting)}: `eventctl decisions`" if waiting else "no decision"),
        ],
        indent=2,
    )


@member.command(short_help="Bring a member in.")
@click.argument("name", metavar="NAME")
@click.option("--role", type=ROLE, default="member", show_default=True, help="What they may do.")
@DOMAIN
@json_option
@click.pass_obj
def add(session: Session, /, name: str, role: str, serves: tuple[str, ...], as_json: bool) -> None:
    """Bring a member in, in eventctl.toml, with a folder of their own. An admin may.

    \b
    eventctl member add bob --domain marketing --domain finance
    eventctl member add cy --role admin
    """
    from eventctl import company
    from eventctl.beginning import Person, read_member

    try:
        read_member(name if ":" not in name else "")
    except ValueError as wrong:
        raise UsageError(str(wrong)) from None
    done = company.add_member(session.paths(), Person(name, role, serves), principal=principal(session), now=session.now())
    changing.answer(session, done, as_json)


@member.command("set", short_help="Change a member's role or domains.")
@NAME
@click.option("--role", type=ROLE, help="What they may do.")
@DOMAIN
@click.option("--no-domains", is_flag=True, help="They decide for no domain.")
@json_option
@click.pass_obj
def set_(session: Session, /, name: str, role: str | None, serves: tuple[str, ...], no_domains: bool, as_json: bool) -> None:
    """Change what a member may do, or which domains they decide for: those that are named take the place of all before.

    \b
    eventctl member set bob --domain marketing
    eventctl member set bob --role admin --no-domains
    """
    from eventctl import company

    if serves and no_domains:
        raise UsageError("either domains or none", hint="leave --no-domains out")
    if role is None and not serves and not no_domains:
        raise UsageError("what is to change?", hint="say --role, --domain or --no-domains")
    done = company.set_member(
        session.paths(), name, role=role, serves=serves if serves or no_domains else None, principal=principal(session),
        now=session.now(),
    )  # fmt: skip
    changing.answer(session, done, as_json)


@member.command(short_help="Let a member go; their folder stays.")
@NAME
@json_option
@click.pass_obj
def remove(session: Session, /, name: str, as_json: bool) -> None:
    """Take a member out of eventctl.toml. Their folder stays; what they have done keeps their name.

    \b
    eventctl member remove bob
    """
    from eventctl import company

    done = company.remove_member(session.paths(), name, principal=principal(session), now=session.now())
    changing.answer(session, done, as_json)
    folder = session.paths().root / "personal" / name
    if not as_json and folder.is_dir():
        Screen(session).say(f"personal/{name}/ stays, with the cartridges in it: remove it, and they stop")


def _waiting(store: Store, person: Person) -> list[int]:
    """The decisions that wait for this member, oldest first."""
    if person.role == "admin":
        rows = store.views.decisions(("held", "window"), limit=50)
    else:
        rows = store.views.decisions(("held", "window"), domains=person.domains, owners=(person.name,), limit=50)
    return sorted(row.number for row in rows)


def _domains(person: Person) -> str:
    return "everything" if person.role == "admin" else ", ".join((*person.domains, "themselves"))


def _form(person: Person, me: str) -> dict[str, Any]:
    return {"name": person.name, "role": person.role, "domains": list(person.domains), "you": person.name == me}
