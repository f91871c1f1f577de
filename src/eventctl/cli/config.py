"""`config`: the settings that hold, and every mistake in what people write."""

from __future__ import annotations

from contextlib import suppress

import click

from eventctl.cli.render import Screen, count, json_text, listing
from eventctl.cli.session import Noun, Session, json_option
from eventctl.errors import Misconfigured, NotFound, Problem

SCHEMAS = {
    "settings": "eventctl.toml",
    "event-types": "event_types.toml",
    "cartridge": "cartridge.toml, and the block in a cartridge's file",
    "rule": "<id>.toml, a rule without code",
    "envelope": "an event",
}
MISCONFIGURED = 78
UNREADABLE = (
    "eventctl.toml cannot be read, and who is a member and what is trusted is not guessed: "
    "`eventctl run` refuses to start, and one that is running keeps the settings it has"
)


@click.group(cls=Noun)
def config() -> None:
    """The workspace's settings, and whether everything that people write here is in order."""


@config.command(short_help="Show the settings that hold, and where each comes from.")
@click.option("--changed", is_flag=True, help="Leave out what is at its default.")
@json_option
@click.pass_obj
def show(session: Session, /, changed: bool, as_json: bool) -> None:
    """Show every setting with its value and its origin: a default, the file, or a variable. Secrets are hidden.

    \b
    eventctl config show --changed
    """
    from eventctl.settings import explain

    rows = [row for row in explain(session.paths().config, session.env) if not (changed and row.origin == "default")]
    if as_json:
        listing([row._asdict() for row in rows])
        return
    Screen(session).table(("setting", "value", "from"), [[row.key, _shown(row.value), row.origin] for row in rows])


@config.command(short_help="Name every mistake in what people write.")
@json_option
@click.pass_obj
def check(session: Session, /, as_json: bool) -> None:
    """Read the settings, event types and cartridges, run nothing, and name every mistake: file, key, and what was meant.

    Ends with 78 when something is left out because of a mistake; warnings alone end with 0.

    \b
    eventctl config check
    """
    problems = problems_of(session)
    wrong = [problem for problem in problems if not problem.warning]
    if as_json:
        listing([problem._asdict() for problem in problems], ok=not wrong)
    else:
        tell(Screen(session), problems, rest="what has none works" if _readable(session) else UNREADABLE)
    if wrong:
        raise click.exceptions.Exit(MISCONFIGURED)


@config.command(short_help="Print the JSON Schema of a file that people write.")
@click.argument("what", type=click.Choice(list(SCHEMAS)), default="settings", metavar="[WHAT]")
def schema(what: str) -> None:
    """Print the JSON Schema of WHAT: settings (default), event-types, cartridge, rule or envelope. Editors complete and check with it.

    \b
    eventctl config schema > eventctl.schema.json
    eventctl config schema event-types
    """
    from eventctl import catalog, envelope, manifest, settings

    sources = {
        "settings": settings.json_schema, "event-types": catalog.json_schema, "cartridge": manifest.json_schema,
        "rule": manifest.rule_schema, "envelope": envelope.json_schema,
    }  # fmt: skip
    click.echo(json_text(sources[what]()))


def problems_of(session: Session) -> list[Problem]:
    """Everything that is left out when this workspace is built, each mistake once. Of its state only what is installed counts."""
    from eventctl.cli.wiring import house_of
    from eventctl.memory_store import MemoryStore
    from eventctl.store import Operations

    aside = MemoryStore()
    with suppress(NotFound), session.reading() as store:
        rows = store.installed()
        bodies = {row.digest: store.package(row.digest) for row in rows if row.active}
        kept = [(digest, body) for digest, body in bodies.items() if body is not None]
        aside.commit(Operations(installed=rows, packages=kept))
    return list(dict.fromkeys(house_of(session).build(aside).problems))


def _readable(session: Session) -> bool:
    from eventctl.suggest import read_toml

    config = session.paths().config
    try:
        read_toml(config, config.name)
    except Misconfigured:
        return False
    return True


def tell(screen: Screen, problems: list[Problem], *, rest: str = "what has none works") -> None:
    """Print every mistake: where, what, and what to do; `rest` says what that means for everything else."""
    if not problems:
        screen.line("everything is in order")
        return
    for problem in problems:
        screen.line("warning:" if problem.warning else "wrong:", problem.where)
        screen.line("", problem.what, indent=2)
        for line in problem.mark.splitlines():
            screen.line("", line, indent=6)
        screen.line("", problem.hint, indent=2) if problem.hint else None
    wrong = sum(not problem.warning for problem in problems)
    counted = [count(number, noun) for number, noun in ((wrong, "mistake"), (len(problems) - wrong, "warning")) if number]
    screen.say(f"{' and '.join(counted)} in what is written here; " + (rest if wrong else "everything works"))


def _shown(value: object) -> object:
    """A value as TOML writes it, nearly."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(inner)}" for name, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
