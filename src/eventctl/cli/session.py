"""One call of the command line: which workspace, who asks, in which colours. Made once, handed to every command.

Nothing is looked up before a command wants it; `emit` pays for no settings, a list for no catalog.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from eventctl.errors import NotPermitted
from eventctl.times import now_us

if TYPE_CHECKING:
    from eventctl.errors import Refused
    from eventctl.principal import Principal
    from eventctl.store import Record, Store
    from eventctl.workspace import Paths


@dataclass(slots=True)
class Session:
    """What the words around a command said. `env` and `now` are the only ways to the environment and the clock."""

    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    now: Callable[[], int] = now_us
    workspace: str | None = None
    member: str | None = None
    agent: str | None = None
    color: str = "auto"
    debug: bool = False
    no_plugins: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        """A program that an agent runs speaks for the agent, whoever's account it runs in."""
        self.agent = self.agent or self.env.get("EVENTCTL_AGENT") or None

    def paths(self) -> Paths:
        """The workspace to work in. Raises `NotFound` when there is none."""
        from pathlib import Path

        from eventctl.workspace import at, find

        return at(Path(self.workspace).expanduser()) if self.workspace else find(Path.cwd(), self.env)

    @contextmanager
    def reading(self) -> Iterator[Store]:
        """The workspace's store, to look at."""
        from eventctl.sqlite_store import SqliteStore

        store = SqliteStore.open(self.paths().db, role="reader")
        try:
            yield store
        finally:
            store.close()

    def producer(self) -> Principal:
        """Who brings something in: an agent, a member, or whoever is logged in. Needs no settings."""
        from eventctl.principal import ROLES, Principal

        if self.agent:
            return Principal("cli", self.agent, ROLES["agent"])
        name = self.member or self.env.get("EVENTCTL_MEMBER") or os_user(self.env)
        return Principal("cli", name, ROLES["producer"])

    def wants_color(self, stream: Any) -> bool:
        """`--color` decides; then NO_COLOR, FORCE_COLOR and TERM=dumb; then whether a person is looking."""
        if self.color != "auto":
            return self.color == "always"
        if self.env.get("NO_COLOR"):
            return False
        if self.env.get("FORCE_COLOR") or self.env.get("CLICOLOR_FORCE"):
            return True
        return self.env.get("TERM") != "dumb" and bool(stream.isatty())


def os_user(env: Mapping[str, str]) -> str:
    """The name of the account this runs as."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a number that has no name
        return env.get("USER") or str(os.getuid())


def unallowed(principal: Principal, record: Record) -> str:
    """Why the principal may not bring this record in; "" when it may."""
    from eventctl.principal import allowed

    return "" if allowed(principal, "emit", record.type) else f"{principal.subject} may not emit {record.type}"


def refusal(wrong: Refused) -> str:
    """Why something was refused, as one sentence that begins with the field."""
    return f"{wrong.where} {wrong.what}" if wrong.where else wrong.what


def remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """The callback of a shared option: keeps what was said in the session, wherever in the line it stood."""
    if value and param.name:
        setattr(ctx.ensure_object(Session), param.name, value)


def _named(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None and not value.strip():
        raise click.BadParameter("a name is not empty", ctx, param)
    speaker = ctx.ensure_object(Session).env.get("EVENTCTL_AGENT")
    if param.name == "agent" and value and speaker and value != speaker:
        raise NotPermitted(f"{speaker} does not speak for {value}", hint="EVENTCTL_AGENT says which agent this is")
    remember(ctx, param, value)


def _shared(*names: str, hidden: bool, **more: Any) -> click.Option:
    return click.Option(names, expose_value=False, hidden=hidden, **{"callback": remember, **more})


def _options(*, hidden: bool) -> list[click.Parameter]:
    return [
        _shared("-w", "--workspace", hidden=hidden, metavar="DIR", help="The workspace (or EVENTCTL_WORKSPACE)."),
        _shared(
            "--as", "member", hidden=hidden, callback=_named, metavar="NAME", help="The member who asks (or EVENTCTL_MEMBER)."
        ),
        _shared("--agent", hidden=hidden, callback=_named, metavar="NAME", help="The agent who asks (or EVENTCTL_AGENT)."),
        _shared("--color", hidden=hidden, type=click.Choice(["auto", "always", "never"]), help="When to use colour."),
    ]


SHARED = _options(hidden=False)


class Verb(click.Command):
    """A command that takes the shared options too, so that `inbox list -w DIR` works like `-w DIR inbox list`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _options(hidden=True)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text("Every command also takes -w DIR, --as NAME, --agent NAME and --color WHEN.")


class Noun(click.Group):
    """A group of verbs."""

    command_class = Verb


class Lister(Noun):
    """A group whose verb may be left out: then it lists."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def _remember_json(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    ctx.ensure_object(Session).json = value
    return value


json_option = click.option("--json", "as_json", is_flag=True, callback=_remember_json, help="Print JSON.")
