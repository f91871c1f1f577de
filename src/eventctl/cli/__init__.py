"""The command line. This room knows how people and scripts ask, and how they are answered; what is done is done further down.

`main` is the one place that prints a handled error and chooses an exit code. A command is a module of its own, imported when it
is called: `--help`, completion and `emit` read the map below and import nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from eventctl import __version__
from eventctl.cli.report import report
from eventctl.cli.session import SHARED, Session, remember
from eventctl.errors import EventctlError

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Start": {
        "init": ("eventctl.cli.init:init", "Make a workspace."),
        "dashboard": ("eventctl.cli.dashboard:dashboard", "Open the workspace on this terminal: inbox, decisions, health."),
        "demo": ("eventctl.cli.demo:demo", "Watch a team's week go through, from a recording."),
        "run": ("eventctl.cli.run:run", "Work on what comes in, until stopped or until idle."),
        "status": ("eventctl.cli.status:status", "How far everything has come, in one screen."),
        "doctor": ("eventctl.cli.doctor:doctor", "Check this machine and this workspace."),
        "service": ("eventctl.cli.service:service", "Keep it running, also after a reboot."),
    },
    "Bring events in": {
        "emit": ("eventctl.cli.emit:emit", "Append an event, or a stream of them."),
        "exec": ("eventctl.cli.execute:execute", "Run a command and record how it went."),
    },
    "Read and act": {
        "inbox": ("eventctl.cli.inbox:inbox", "What wants attention; claim it, resolve it, put it away."),
        "silence": ("eventctl.cli.silence:silence", "Keep notifications quiet, and bring back what still burns."),
        "why": ("eventctl.cli.why:why", "Explain a record or a notification, or why there is none."),
        "log": ("eventctl.cli.log:log", "The records themselves."),
        "events": ("eventctl.cli.events:events", "Event types: declared, and seen."),
    },
    "Company": {
        "domain": ("eventctl.cli.domain:domain", "The parts of the workspace, and who decides there."),
        "member": ("eventctl.cli.member:member", "The people, their roles and domains."),
        "autonomy": ("eventctl.cli.autonomy:autonomy", "What may act without asking, and why."),
        "decisions": ("eventctl.cli.decisions:decisions", "What waits for a person: approve it, deny it, undo it."),
    },
    "Mend": {
        "quarantine": ("eventctl.cli.quarantine:quarantine", "Events held for a person to judge."),
        "dead-letter": ("eventctl.cli.deadletter:deadletter", "Work that failed for good, and can be retried."),
        "rejects": ("eventctl.cli.rejects:rejects", "What never became an event."),
        "verify": ("eventctl.cli.verify:verify", "Check that nothing is lost, doubled or damaged."),
        "backup": ("eventctl.cli.backup:backup", "Copy the workspace's memory while it runs."),
        "restore": ("eventctl.cli.backup:restore", "Put a backup in the place of the workspace's memory."),
    },
    "Extend": {
        "cartridge": ("eventctl.cli.cartridge:cartridge", "The steps that events go through."),
        "config": ("eventctl.cli.config:config", "The workspace's settings, checked."),
        "plugin": ("eventctl.cli.plugin:plugin", "What plugs in, and from which package."),
        "completion": ("eventctl.cli.completion:completion", "Tab completion for bash, zsh and fish."),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict, 5 not permitted, 69 unavailable, "
    "74 I/O error, 75 try later, 78 configuration error."
)
INTERRUPTED = 130
"""What a shell shows for a program that Ctrl-C ended. Commands that stream or run end with 0 instead: stopping them is normal."""


IO_ERROR = 74


class Root(click.Group):
    """The group of all commands: finds them by name without importing the others, and is the one error boundary."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return _of_a_plugin(ctx, cmd_name)
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as missing:
            raise click.exceptions.NoSuchCommand(missing.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(map(len, COMMANDS))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), summary) for name, (_, summary) in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=entry[1]) for name, entry in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, print what went wrong if it is something a person can act on, and end with its exit code. Bugs pass through."""
        words = sys.argv[1:] if args is None else list(args)
        name = prog_name or "eventctl"
        session = extra.setdefault("obj", Session())
        self._main_shell_completion(extra, name, complete_var)
        code = self._guarded(name, words, session, extra)
        if standalone_mode:
            sys.exit(code)
        return code

    def _guarded(self, name: str, words: list[str], session: Session, extra: dict[str, Any]) -> int:
        """The exit code. click's own boundary is left out: it would print in its own form, and calls a closed pipe a failure."""
        try:
            with self.make_context(name, words, **extra) as ctx:
                self.invoke(ctx)
            sys.stdout.flush()
        except click.exceptions.Exit as done:
            return _flushed(done.exit_code)
        except BrokenPipeError:
            return _unheard()
        except (KeyboardInterrupt, EOFError, click.exceptions.Abort):
            sys.stderr.write("\n")  # closes the line that the terminal's ^C stands on
            return INTERRUPTED
        except (click.ClickException, EventctlError, OSError) as wrong:
            if session.debug:
                raise
            return _told(session, wrong)
        return 0


def _told(session: Session, wrong: click.ClickException | EventctlError | OSError) -> int:
    if isinstance(wrong, EventctlError):
        return report(session, wrong.what, where=wrong.where, hint=wrong.hint, code=wrong.exit_code)
    if isinstance(wrong, click.ClickException):
        return report(session, wrong.format_message(), hint=_help_hint(wrong), code=wrong.exit_code)
    return report(session, wrong.strerror or str(wrong), where=str(wrong.filename or ""), code=IO_ERROR)


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _unheard() or code
    return code


def _unheard() -> int:
    """Whoever read our output has seen enough. What is still buffered must not raise again while Python shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _help_hint(wrong: click.ClickException) -> str:
    ctx = getattr(wrong, "ctx", None)
    return f"see `{ctx.command_path} --help`" if ctx is not None else ""


def _of_a_plugin(ctx: click.Context, name: str) -> click.Command | None:
    """Only a word that is no command of ours is worth the time it takes to load the plugins."""
    if ctx.resilient_parsing or name.startswith("-"):
        return None
    from eventctl.cli.plugin import command_named

    return command_named(name, ctx.ensure_object(Session))


def _opens(ctx: click.Context) -> bool:
    """Whether the dashboard is what was meant; then it has been open."""
    from eventctl.cli.dashboard import dashboard, wanted

    if not wanted(ctx.ensure_object(Session)):
        return False
    ctx.invoke(dashboard)
    return True


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"eventctl {__version__}")
        ctx.exit()


@click.group(
    "eventctl",
    cls=Root,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EXIT_CODES + " Plugins may add commands: see `eventctl plugin list`.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version.")
@click.option("--no-plugins", is_flag=True, expose_value=False, callback=remember, help="Load nothing but eventctl itself.")
@click.option("--debug", is_flag=True, expose_value=False, callback=remember, help="Show the traceback of every error.")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """One durable log, one pipeline, one inbox for everything that happens while you are not looking.

    \b
    eventctl demo                        see it work
    eventctl init                        make a workspace here
    eventctl exec -- make test           record how a command went
    eventctl run                         work on what comes in
    eventctl inbox                       what wants attention
    """
    if ctx.invoked_subcommand is None:
        if sys.stdin.isatty() and _opens(ctx):
            return
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)


cli.params += SHARED


def main() -> None:
    """The `eventctl` program."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a screen that cannot show a letter
    cli.main()
