"""`service`: the workspace keeps running, also after a reboot."""

from __future__ import annotations

import click

from eventctl.cli.render import Screen, document
from eventctl.cli.session import Noun, Session, json_option
from eventctl.cli.who import principal, require


@click.group(cls=Noun, short_help="Keep it running, also after a reboot.")
def service() -> None:
    """Have this machine's service manager run the workspace: systemd of this user on Linux, launchd on macOS.

    \b
    eventctl service install
    eventctl service status
    eventctl service remove
    """


@service.command()
@click.option("--print", "printed", is_flag=True, help="Print what would be written, and do nothing.")
@click.option("--replace", is_flag=True, help="Write it anew though it has been edited.")
@click.pass_obj
def install(session: Session, *, printed: bool, replace: bool) -> None:
    """Write a service for this workspace, start it, and have it started again after a reboot. Safe to run again.

    \b
    eventctl service install
    eventctl service install --print
    """
    from eventctl import service as services

    paths = session.paths()
    here, job = services.manager(session.env), services.job(paths, session.env)
    if printed:
        click.echo(here.text(job), nl=False)
        return
    require(principal(session), "operate")
    written = services.install(here, paths, job, replace=replace)
    screen = Screen(session)
    screen.line(f"{job.name} {'is installed and runs' if written else 'was there, and runs'}")
    screen.fields([("file", here.file(job)), ("runs", " ".join(job.command))], indent=2)
    if advice := here.advice():
        screen.say(advice)


@service.command()
@json_option
@click.pass_obj
def status(session: Session, *, as_json: bool) -> None:
    """Say whether it is installed and runs. Ends with 3 when it is not installed, with 1 when it does not run.

    \b
    eventctl service status
    """
    from eventctl import service as services

    here, job = services.manager(session.env), services.job(session.paths(), session.env)
    state = here.state(job)
    if as_json:
        document({**state._asdict(), "file": str(state.file)})
    else:
        screen = Screen(session)
        screen.title(state.name)
        said = state.detail if state.installed else "not installed: `eventctl service install`"
        boot = ("yes" if state.at_boot else "no") if state.installed else ""
        screen.fields([("state", said), ("pid", state.pid or ""), ("starts by itself", boot), ("file", state.file)], indent=2)
        if state.installed and (advice := here.advice()):
            screen.say(advice)
    if not state.installed or not state.running:
        raise click.exceptions.Exit(1 if state.installed else 3)


@service.command()
@click.pass_obj
def remove(session: Session) -> None:
    """Stop it and take away what `install` wrote. The workspace stays as it is.

    \b
    eventctl service remove
    """
    from eventctl import service as services

    require(principal(session), "operate")
    here, job = services.manager(session.env), services.job(session.paths(), session.env)
    services.remove(here, job)
    Screen(session).line(f"{job.name} is stopped and removed")
