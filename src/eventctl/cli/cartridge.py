"""`cartridge`: the steps that events go through: which there are, whether they are in order, how they stand, and a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eventctl.cli import ids, versions
from eventctl.cli.backtest import backtest
from eventctl.cli.cartridgegraph import graph
from eventctl.cli.cartridgelook import Looked, broken, counts_by_unit, look, runs_of
from eventctl.cli.cartridgetest import cartridge_test
from eventctl.cli.consent import is_package
from eventctl.cli.install import install
from eventctl.cli.params import PATTERN
from eventctl.cli.promote import promote
from eventctl.cli.remove import remove
from eventctl.cli.render import Cell, Screen, count, document, json_text, listing
from eventctl.cli.rollback import rollback
from eventctl.cli.session import Lister, Session, json_option
from eventctl.cli.trust import trust
from eventctl.errors import Conflict, Misconfigured, NotFound, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from eventctl.discovery import Found
    from eventctl.totals import Totals

MISCONFIGURED = 78
MANIFEST = "cartridge.toml"

TEMPLATE = '''\
# /// cartridge
# id = "{id}"
# version = "0.1.0"
# summary = "{summary}"
# consumes = ["{consumes}"]
# annotates = ["{id}"]
# [settings]
# loud = {{ type = "bool", default = false, help = "Tell people too." }}
# ///
"""{summary}"""

from eventctl import Context, Event


async def process(event: Event, context: Context) -> Event | None:
    """Count what came in about this event's entity. Returning the event lets it go on; `None` drops it."""
    count = await context.state.get("count", 0) + 1
    context.state.set("count", count)
    context.annotate("{id}", {{"count": count}})
    if context.settings["loud"]:
        context.notify(f"{{event.entity or event.source}}: {{event.event}} number {{count}}", payload={{"key": event.entity}})
    return event
'''

RULE = """\
# {summary} `eventctl cartridge show {id}` says how it stands.
id       = "{id}"
summary  = "{summary}"
consumes = ["{consumes}"]
when     = "level >= 2"               # over event, source, level, domain, entity, payload, annotations, now
mode     = "shadow"                   # it only notes what it would do; without this line it does it

[notify]
title = "{{event}} from {{source}}"     # fields of the event in braces, {{payload.name}} too
level = "workflow"
"""


@click.group(cls=Lister)
def cartridge() -> None:
    """The steps that events go through: of domains, of members, and from the library. Nothing here executes them."""


for command in (backtest, cartridge_test, graph, install, promote, remove, rollback, trust):
    cartridge.add_command(command)


@cartridge.command("list", short_help="List cartridges and where they run.")
@click.option("--versions", "all_versions", is_flag=True, help="Every version that was installed, active or kept.")
@json_option
@click.pass_obj
def list_(session: Session, /, all_versions: bool, as_json: bool) -> None:
    """List every cartridge of the workspace and of plugins, and the pipelines that it runs in; `show` says all of one.

    \b
    eventctl cartridge list
    eventctl cartridge list --versions
    """
    looked = look(session)
    if all_versions:
        versions.show(Screen(session), looked.rows, as_json=as_json)
        return
    runs = runs_of(looked.composed)
    if as_json:
        counted = counts_by_unit(session, looked.composed)
        items = [_item(looked, found, runs.get(found.path, []), counted.get(found.path)) for found in looked.found]
        listing(items, problems=[problem._asdict() for problem in looked.problems])
        return
    screen, suspended = Screen(session), {fault.path for fault in looked.faults if fault.suspended}
    if not looked.found:
        screen.say("There are no cartridges here: `eventctl cartridge new` makes one, `eventctl init` brings examples.")
    else:
        screen.table(
            ("cartridge", "runs in", "summary"),
            [_row(found, runs.get(found.path, []), broken(looked, found), suspended) for found in looked.found] + _off(looked),
        )
    wrong = sum(not problem.warning for problem in looked.problems)
    if wrong:
        screen.say(f"{count(wrong, 'mistake')}: `eventctl cartridge check`")


@cartridge.command(short_help="Show one cartridge: what it says, how it stands, where it runs.")
@click.argument("given", metavar="ID|PATH", shell_complete=ids.CARTRIDGES)
@json_option
@click.pass_obj
def show(session: Session, /, given: str, as_json: bool) -> None:
    """Show a cartridge: its manifest, its settings, the pipelines that run it, its state and strikes. Executes nothing of it.

    \b
    eventctl cartridge show deploy-tracker
    """
    from eventctl.cli import cartridgecard

    looked = look(session)
    card = cartridgecard.find(looked, given)
    card = card._replace(counted=counts_by_unit(session, looked.composed).get(card.unit.path))
    if as_json:
        document({**cartridgecard.form(card), **versions.of(looked.rows, card.unit.path, card.unit)})
    else:
        cartridgecard.show(Screen(session), card, versions.fields(looked.rows, card.unit.path))


@cartridge.command(short_help="Read cartridges and name every mistake.")
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[SOURCE]")
@json_option
@click.pass_obj
def check(session: Session, /, path: Path | None, as_json: bool) -> None:
    """Read the cartridge at SOURCE, or all of the workspace, without executing anything. Ends with 78 when one has a mistake.

    SOURCE is a file or a folder, or what `cartridge install` takes: an archive, or pip:NAME.

    \b
    eventctl cartridge check
    eventctl cartridge check cartridges/threshold.py
    eventctl cartridge check deploy-watch-1.2.0.tar.gz
    """
    problems = look(session).problems if path is None else mistakes(session, path)
    wrong = [problem for problem in problems if not problem.warning]
    if as_json:
        listing([problem._asdict() for problem in problems], ok=not wrong)
    else:
        from eventctl.cli.config import tell

        tell(Screen(session), problems)
    if wrong:
        raise click.exceptions.Exit(MISCONFIGURED)


@cartridge.command(short_help="Write a new cartridge to begin with.")
@click.argument("name")
@click.option("--domain", metavar="D", shell_complete=ids.DOMAINS, help="For this domain (default: for the library).")
@click.option("--member", "for_member", metavar="NAME", shell_complete=ids.MEMBERS, help="For this member alone.")
@click.option(
    "--consumes", type=PATTERN, metavar="PATTERN", help="What it is given, like deployment.* (default: its domain's events)."
)
@click.option("--summary", metavar="TEXT", help="What it does, in one sentence.")
@click.option("--rule", is_flag=True, help="A rule without code, in the shadow until you take that line out.")
@json_option
@click.pass_obj
def new(
    session: Session,
    /,
    name: str,
    domain: str | None,
    for_member: str | None,
    consumes: str | None,
    summary: str | None,
    rule: bool,
    as_json: bool,
) -> None:
    """Write a cartridge that works, for you to change.

    \b
    eventctl cartridge new deploy-counter --domain software-development
    eventctl cartridge new loud-failures --member ada --consumes 'job.*' --rule
    """
    if domain and for_member:
        raise UsageError("a cartridge is for a domain or for a member, not both")
    folder = f"company/domains/{domain}" if domain else f"personal/{for_member}" if for_member else ""
    root = session.paths().root
    if domain and not (root / folder).is_dir():
        raise NotFound(f"there is no domain {domain!r}", where=str(root / folder), hint=_domains(root))
    target = root / folder / "cartridges" / f"{name}{'.toml' if rule else '.py'}"
    if target.exists():
        raise Conflict("there is a cartridge already", where=str(target), hint="choose another name")
    pattern = consumes or (f"domain.{domain}.**" if domain else "**")
    says = summary or ("Tells of events that matter." if rule else "Counts the events of an entity.")
    _write(target, (RULE if rule else TEMPLATE).format(id=name, summary=_quoted(says), consumes=_quoted(pattern)))
    if as_json:
        listing([{"id": name, "path": str(target)}])
        return
    screen = Screen(session)
    screen.line("wrote", target)
    if not folder:
        screen.say(f"it is in the library: a cartridge that requires it runs it, or [enable] {name} = {{}} in eventctl.toml")


def mistakes(session: Session, path: Path) -> list[Problem]:
    """What is wrong with one cartridge: a file, a folder or a package; in itself, and in its place if it stands in the workspace."""
    if is_package(path):
        return _packed(session, str(path))
    return _mistakes(path) or _in_place(session, path)


def _write(target: Path, text: str) -> None:
    """Write the cartridge if it is one; a name or pattern that makes none leaves nothing behind."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}")
    aside.write_text(text, encoding="utf-8")
    try:
        problems = _mistakes(aside, shown=target.name)
        if problems:
            raise Misconfigured.listing(problems)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def _mistakes(path: Path, shown: str = "") -> list[Problem]:
    from eventctl import manifest
    from eventctl.obeyed import warnings

    if not path.exists():
        raise NotFound("there is no such file", where=str(path))
    try:
        read = manifest.load(path, shown=shown or str(path))
    except Misconfigured as wrong:
        return list(wrong.problems)
    return warnings(manifest.MANIFEST, read, shown or str(path))


def _packed(session: Session, source: str) -> list[Problem]:
    """What is wrong with a package, as `cartridge install` would say it."""
    from eventctl.obeyed import warnings
    from eventctl.staging import stage

    try:
        staged = stage(source, env=session.env)
    except Misconfigured as wrong:
        return list(wrong.problems)
    return warnings(MANIFEST, staged.package.manifest, source)


def _in_place(session: Session, path: Path) -> list[Problem]:
    """What only the workspace can say about one of its cartridges: types that nobody declares, what its owner may not do."""
    try:
        place = path.resolve().relative_to(session.paths().root).as_posix()
        problems = look(session).problems
    except (ValueError, NotFound):
        return []  # a draft that stands elsewhere
    return [problem for problem in problems if problem.where.startswith((f"{place}:", f"{place}/")) or problem.where == place]


def _item(looked: Looked, found: Found, runs: list[str], counted: Totals | None) -> dict[str, Any]:
    came = versions.of(looked.rows, found.path, looked.units.get(found.path))
    counts = counted.form() if counted else None
    return {**_form(found, runs), **came, "broken": broken(looked, found) or None, "counts": counts}


def _form(found: Found, runs: list[str]) -> dict[str, Any]:
    given = found.manifest
    return {
        "id": given.id, "version": given.version, "summary": given.summary, "scope": found.scope, "owner": found.owner,
        "path": found.path, "pipelines": runs, "consumes": list(given.consumes), "emits": list(given.emits),
        "annotates": list(given.annotates), "requires": list(given.requires), "calls": list(given.permissions.calls),
        "mode": given.rule.mode if given.rule else "live", "form": "code" if given.rule is None else "rule",
    }  # fmt: skip


def _off(looked: Looked) -> list[list[object]]:
    """Those that were switched off, and still stand there as they were."""
    return [[name, Cell("nothing (switched off)", fg="red"), unit.reason] for unit, name in looked.off()]


def _row(found: Found, runs: list[str], broken: str, suspended: Collection[str]) -> list[object]:
    if found.path in suspended:
        return [found.manifest.id, Cell(f"{', '.join(runs)} (suspended)", fg="red"), found.manifest.summary]
    if broken and not runs:
        return [found.manifest.id, Cell("nothing (broken)", fg="red"), broken]
    rule = found.manifest.rule
    in_shadow = " (shadow)" if rule is not None and rule.mode == "shadow" else ""
    place = ", ".join(runs) + in_shadow if runs else Cell(f"nothing ({found.scope})", dim=True)
    return [found.manifest.id, place, found.manifest.summary]


def _domains(root: Path) -> str:
    folder = root / "company/domains"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return f"there are {', '.join(names)}" if names else "`eventctl init` brings four"


def _quoted(text: str) -> str:
    """The text as it may stand between double quotes, in TOML and in Python."""
    return json_text(text)[1:-1]
