"""`cartridge graph`: the order in which cartridges run, how often each has, and how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eventctl.cli.cartridgelook import counts_of, look
from eventctl.cli.render import Screen, listing
from eventctl.cli.session import Session, Verb
from eventctl.errors import NotFound
from eventctl.store import LOG_PIPELINE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventctl.cli.cartridgelook import Looked
    from eventctl.drawing import Drawn, Picture
    from eventctl.plan import Plan
    from eventctl.totals import Totals


@click.command(cls=Verb, short_help="Draw the order in which cartridges run.")
@click.argument("pipeline", required=False, metavar="[PIPELINE]")
@click.option("--format", "form", type=click.Choice(["text", "mermaid", "dot", "json"]), default="text", help="How to draw it.")
@click.option("--counts/--no-counts", default=True, help="Say how often each has run, and how long that takes.")
@click.pass_obj
def graph(session: Session, /, pipeline: str | None, form: str, counts: bool) -> None:
    """Draw the cartridges of PIPELINE (default: of all) level by level. Counts are at most 5 s old.

    \b
    eventctl cartridge graph
    eventctl cartridge graph domain:marketing --format mermaid
    """
    from eventctl import drawing
    from eventctl.text import safe_text

    looked = look(session)
    counted = counts_of(session, looked.composed) if counts else None
    found = pictures(looked, counted)
    if pipeline is not None and pipeline not in found:
        raise NotFound(f"no pipeline {pipeline!r} has cartridges", hint=f"there are {', '.join(found) or 'none'}")
    chosen = [picture for name, picture in found.items() if pipeline in (None, name)]
    if form == "json":
        listing([drawing.as_json(picture) for picture in chosen])
        return
    if form == "mermaid":
        drawings = [drawing.as_mermaid(*chosen)] if chosen else []
    else:
        drawings = [drawing.as_text(picture) if form == "text" else drawing.as_dot(picture) for picture in chosen]
    for drawn in drawings:
        click.echo(safe_text(drawn, newline=True))
    if not chosen:
        Screen(session).say("No pipeline has cartridges.")


def pictures(looked: Looked, counted: Mapping[tuple[str, str], Totals] | None) -> dict[str, Picture]:
    """By pipeline: the rules that shape first, as they run in the system pipeline; then those that have a plan."""
    from eventctl.drawing import Picture
    from eventctl.graph import Graph

    off: dict[str, list[tuple[str, str]]] = {}
    for unit, name in looked.off():
        off.setdefault(_pipeline_of(unit.path), []).append((name, unit.reason))
    found: dict[str, Picture] = {}
    shaping = tuple(f"{rule.owner}/{rule.manifest.id}" if rule.owner else rule.manifest.id for rule in looked.composed.shaping)
    if shaping:
        plain = Graph((shaping,), dict.fromkeys(shaping, ()))
        found[LOG_PIPELINE] = Picture(LOG_PIPELINE, plain, _suspended(looked, shaping))
    for name, plan in looked.composed.plans.items():
        found[name] = _picture(plan, counted, off.pop(name, []))
    for name, left in off.items():
        found[name] = Picture(name, Graph(), {}, left)
    return found


def _picture(plan: Plan, counted: Mapping[tuple[str, str], Totals] | None, off: list[tuple[str, str]]) -> Picture:
    from eventctl.drawing import Picture, drawn

    mine = None if counted is None else {id_: totals for (name, id_), totals in counted.items() if name == plan.pipeline}
    apart = {each.id: "in a worker" for each in plan if each.runs == "worker"}
    return Picture(plan.pipeline, plan.graph, drawn(apart, mine, [each.id for each in plan]), off)


def _suspended(looked: Looked, shaping: tuple[str, ...]) -> dict[str, Drawn]:
    from eventctl.drawing import Drawn

    rules = {fault.rule for fault in looked.faults if fault.suspended}
    return {name: Drawn("suspended") for name in shaping if {name, name.rpartition("/")[2]} & rules}


def _pipeline_of(path: str) -> str:
    """Where a unit would run if it were not switched off; a library's for the workspace, whoever else requires it."""
    from eventctl.composition import SHELVES, WORKSPACE
    from eventctl.installed import PREFIX, pipeline_of

    if path.startswith(SHELVES):
        return WORKSPACE
    if path.startswith(PREFIX):
        return pipeline_of(path.removeprefix(PREFIX).rpartition("/")[0])
    parts = path.split("/")
    return pipeline_of(f"member:{parts[1]}" if parts[0] == "personal" else f"domain:{parts[2]}")
