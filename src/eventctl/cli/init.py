"""`init`: a workspace to work in."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from eventctl import starter, workspace
from eventctl.beginning import Wish
from eventctl.cli.initasking import asked, wished
from eventctl.cli.render import Screen, count, document
from eventctl.cli.session import Session, Verb, json_option, os_user
from eventctl.cli.who import principal, require
from eventctl.errors import UsageError
from eventctl.text import safe_text
from eventctl.tomledit import Change
from eventctl.workspace import CONFIG, Paths


@click.command(cls=Verb, short_help="Make a workspace.")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--user", is_flag=True, help="Make the one that every directory without its own uses.")
@click.option("--name", help="What to call it (default: this machine's name).")
@click.option(
    "--domain", "domains", multiple=True, metavar="NAME", help="A domain; may be repeated (default: all four shipped)."
)
@click.option(
    "--member", "members", multiple=True, metavar="NAME[:ROLE[:DOMAINS]]", help="A member, like bob:member:marketing."
)
@click.option("--level", "levels", multiple=True, metavar="[DOMAIN=]LEVEL", help="What may act without asking: L1, L2, L3.")
@click.option("--yes", is_flag=True, help="Ask nothing: what is not said is as usual.")
@click.option("--i-know", is_flag=True, help="Allow a network file system: only one machine will ever open it.")
@json_option
@click.pass_obj
def init(
    session: Session,
    folder: Path | None,
    user: bool,
    name: str | None,
    domains: tuple[str, ...],
    members: tuple[str, ...],
    levels: tuple[str, ...],
    yes: bool,
    i_know: bool,
    as_json: bool,
) -> None:
    """Make a workspace in FOLDER (default: here), with settings, example content and an empty log.

    On a terminal it asks what the flags do not say. Safe to run again: it adds what is missing, flags add what they name, and no
    line that you have edited is touched.

    \b
    eventctl init
    eventctl init ~/work --domain marketing --domain finance
    eventctl init ~/work --member ada:admin --member bob:member:marketing
    eventctl init ~/work --level L3 --level customer-relations=L1
    eventctl init --user
    """
    named = folder or (Path(session.workspace).expanduser() if session.workspace else None)
    if user and named:
        raise UsageError("--user names the place itself", hint="leave the folder out")
    root = workspace.default(session.env) if user else named or Path.cwd()
    member = session.member or session.env.get("EVENTCTL_MEMBER") or os_user(session.env)
    shipped = starter.shipped_domains()
    wish = wished(domains, members, levels, shipped)
    if (root / CONFIG).exists():
        _allowed(replace(session, workspace=str(root)), wish)
    elif not (yes or as_json) and _terminal():
        wish, member = asked(Screen(session), root, wish, starter.identifier(member) or "me", shipped)
    made = starter.make(
        root, name=name or platform.node().split(".")[0], member=member, i_know=i_know, wish=wish, told=_recorded(session)
    )
    if as_json:
        document(
            {
                "workspace": str(made.root), "created": made.new_workspace, "added": made.added,
                "updated": made.updated, "edited": made.edited, "removed": made.removed,
                "members": [person.name for person in made.members], "settings": made.settings, "kept": made.kept,
            }
        )  # fmt: skip
        return
    _show(Screen(session), made)


def _terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _allowed(session: Session, wish: Wish) -> None:
    """What flags add to a workspace that is there is an admin's to add."""
    if wish.domains or wish.members:
        require(principal(session), "workspace.change")
    if wish.level or wish.levels:
        require(principal(session), "autonomy.set")


def _recorded(session: Session) -> starter.Told:
    """What is changed in a workspace that is there stands in its log, with who did it."""

    def told(paths: Paths, file: str, changes: Sequence[Change]) -> None:
        from eventctl import company

        here = replace(session, workspace=str(paths.root))
        company.note(paths, file, changes, principal=principal(here), now=session.now())

    return told


def _all(names: list[str]) -> str:
    """`ada`, `ada and bob`, `ada, bob and carl`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _settings(made: starter.Made) -> str:
    if not made.new_workspace:
        return "; ".join(made.settings) or "kept as it is"
    admins = [person.name for person in made.members if person.role == "admin"]
    others = [person.name for person in made.members if person.role != "admin"]
    said = f"settings; {admins[0]} is the admin" if len(admins) == 1 else f"settings; {_all(admins)} are admins"
    return f"{said}, {_all(others)} {'is a member' if len(others) == 1 else 'are members'}" if others else said


def _show(screen: Screen, made: starter.Made) -> None:
    screen.title(f"{'A new workspace' if made.new_workspace else 'This workspace is complete'}: {made.root}")
    pairs = [("eventctl.toml", _settings(made))]
    for words, files in (("added", made.added), ("brought up to date", made.updated)):
        tops = sorted({file.split("/")[0] + "/" for file in files})
        pairs += [(top, f"{count(sum(file.startswith(top) for file in files), 'file')} {words}") for top in tops]
    if made.edited:
        pairs.append(("kept", f"{count(len(made.edited), 'file')} that you have edited"))
    if made.removed:
        pairs.append(("left out", f"{count(len(made.removed), 'file')} that you have removed"))
    pairs.append((".eventctl/", "the log, private to you"))
    screen.fields(pairs, indent=2)
    for sentence in made.kept:
        screen.say(sentence)
    if not made.new_workspace:
        return
    steps = {
        **({} if made.root == Path.cwd() else {f"cd {safe_text(shlex.quote(str(made.root)))}": ""}),
        "eventctl exec -- make test": "record how a command went",
        "eventctl run --until-idle": "work on what came in",
        "eventctl inbox": "see what wants attention",
    }
    screen.line()
    screen.line("Try next:")
    widest = max(len(command) for command, reason in steps.items() if reason)
    for command, reason in steps.items():
        screen.line(f"  {command.ljust(widest)}", reason)
