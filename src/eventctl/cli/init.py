"""`init`: a workspace to work in."""

from __future__ import annotations

import platform
import shlex
from pathlib import Path

import click

from eventctl import starter, workspace
from eventctl.cli.render import Screen, count, document
from eventctl.cli.session import Session, Verb, json_option, os_user
from eventctl.errors import UsageError
from eventctl.text import safe_text


@click.command(cls=Verb, short_help="Make a workspace.")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--user", is_flag=True, help="Make the one that every directory without its own uses.")
@click.option("--name", help="What to call it (default: this machine's name).")
@click.option("--i-know", is_flag=True, help="Allow a network file system: only one machine will ever open it.")
@json_option
@click.pass_obj
def init(session: Session, folder: Path | None, user: bool, name: str | None, i_know: bool, as_json: bool) -> None:
    """Make a workspace in FOLDER (default: here), with settings, example content and an empty log.

    Safe to run again: it adds what is missing and never touches a file that you have edited.

    \b
    eventctl init
    eventctl init ~/work
    eventctl init --user
    """
    named = folder or (Path(session.workspace).expanduser() if session.workspace else None)
    if user and named:
        raise UsageError("--user names the place itself", hint="leave the folder out")
    root = workspace.default(session.env) if user else named or Path.cwd()
    member = session.member or session.env.get("EVENTCTL_MEMBER") or os_user(session.env)
    made = starter.make(root, name=name or platform.node().split(".")[0], member=member, i_know=i_know)
    if as_json:
        document(
            {
                "workspace": str(made.root), "created": made.new_workspace, "added": made.added,
                "updated": made.updated, "edited": made.edited, "removed": made.removed,
            }
        )  # fmt: skip
        return
    _show(Screen(session), made)


def _show(screen: Screen, made: starter.Made) -> None:
    screen.title(f"{'A new workspace' if made.new_workspace else 'This workspace is complete'}: {made.root}")
    pairs = [("eventctl.toml", f"settings; {made.member} is the admin" if made.new_workspace else "kept as it is")]
    for words, files in (("added", made.added), ("brought up to date", made.updated)):
        tops = sorted({file.split("/")[0] + "/" for file in files})
        pairs += [(top, f"{count(sum(file.startswith(top) for file in files), 'file')} {words}") for top in tops]
    if made.edited:
        pairs.append(("kept", f"{count(len(made.edited), 'file')} that you have edited"))
    if made.removed:
        pairs.append(("left out", f"{count(len(made.removed), 'file')} that you have removed"))
    pairs.append((".eventctl/", "the log, private to you"))
    screen.fields(pairs, indent=2)
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
