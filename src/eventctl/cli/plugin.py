"""`plugin`: what plugs in, from which package, and what did not load. Also the way to the commands that plugins bring."""

from __future__ import annotations

from typing import Any

import click

from eventctl.cli.render import Cell, Screen, count, listing
from eventctl.cli.session import Lister, Session, json_option
from eventctl.errors import NotFound
from eventctl.plugins import BUILTIN, Plugins, load, prevented

KINDS = ("command", "executor", "cartridge")


@click.group(cls=Lister)
def plugin() -> None:
    """Packages that add to eventctl: event types, cartridges, executors, commands. Install one with pip; it is found by itself."""


@plugin.command("list", short_help="List plugins and what they bring.")
@json_option
@click.pass_obj
def list_(session: Session, /, as_json: bool) -> None:
    """List every plugin with its version and what it brings, and name what does not load.

    \b
    eventctl plugin list
    """
    found = installed(session)
    if as_json:
        problems = [problem._asdict() for problem in found.problems]
        listing([_form(found, name) for name in found.versions], disabled=found.disabled, problems=problems)
        return
    screen = Screen(session)
    rows: list[list[object]] = [[name, version, _brings(found, name)] for name, version in found.versions.items()]
    rows += [[Cell(name, dim=True), "", Cell("disabled in eventctl.toml", dim=True)] for name in found.disabled]
    screen.table(("plugin", "version", "brings"), rows)
    for problem in found.problems:
        screen.say(problem)
    if session.no_plugins or prevented(session.env):
        screen.say("plugins are not loaded: --no-plugins or EVENTCTL_NO_PLUGINS says so")


def command_named(name: str, session: Session) -> click.Command | None:
    """The command that a plugin brings under this name."""
    return installed(session).commands.get(name)


def installed(session: Session) -> Plugins:
    """What plugs in here: what the workspace disables is left out; without a workspace, nothing is."""
    from eventctl.cli.wiring import house_of

    try:
        return house_of(session).plugins
    except NotFound:
        return load(no_plugins=session.no_plugins or prevented(session.env))


def _form(found: Plugins, name: str) -> dict[str, Any]:
    brought = {
        f"{kind}s": sorted(item for (of, item), owner in found.owners.items() if (of, owner) == (kind, name)) for kind in KINDS
    }
    return {"name": name, "version": found.versions[name], "event_types": _parts(found, name), **brought}


def _brings(found: Plugins, name: str) -> str:
    form = _form(found, name)
    words = [f"{kind} {item}" for kind in KINDS for item in form[f"{kind}s"]]
    if form["event_types"]:
        words.append(count(form["event_types"], "family of event types", "families of event types"))
    return ", ".join(words)


def _parts(found: Plugins, name: str) -> int:
    origin = BUILTIN if name == BUILTIN else f"plugin {name}"
    return sum(of == origin for of, _ in found.event_types)
