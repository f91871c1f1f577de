"""One cartridge on one screen: what its manifest says, how it stands, where it runs and with which settings."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl import manifest as manifests
from eventctl.cli.render import Screen, local
from eventctl.errors import NotFound, UsageError
from eventctl.installed import unit_path
from eventctl.nearest import did_you_mean
from eventctl.store import LOG_PIPELINE, Unit
from eventctl.times import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventctl.cli.cartridgelook import Looked
    from eventctl.composition import Composition
    from eventctl.dag.faults import Standing
    from eventctl.errors import Problem
    from eventctl.manifest import Manifest
    from eventctl.totals import Totals


class Place(NamedTuple):
    """A pipeline that runs it, on which level (from 0), with which settings."""

    pipeline: str
    level: int
    settings: dict[str, Any]
    tier: str = "in-process"


class Card(NamedTuple):
    """A cartridge and its unit; `problems` are those that stand in its files or settings, `faults` what it had no answer for.

    `counted` is how often it ran, in all pipelines together; None for one that no plan has.
    """

    manifest: Manifest
    unit: Unit
    of: str
    places: list[Place]
    problems: list[Problem]
    faults: list[Standing]
    counted: Totals | None = None


def places_of(path: str, composed: Composition) -> list[Place]:
    """Where the cartridge of this path runs."""
    shaping = [Place(LOG_PIPELINE, 0, {})] if path in composed.shaping_units else []
    return shaping + [
        Place(name, plan.level(each.id), {key: _written(value) for key, value in each.settings.items()}, each.runs)
        for name, plan in composed.plans.items()
        for each in plan
        if each.unit == path
    ]


def find(looked: Looked, given: str) -> Card:
    """The one cartridge that an id or a path names; what is switched off counts too. Raises `NotFound`, `UsageError`."""
    standing = {found.path: (found.manifest, f"{found.scope} {found.owner}".strip()) for found in looked.found}
    for path, unit in looked.units.items():
        if path not in standing and unit.manifest and not path.startswith("plugin:"):
            standing[path] = (manifests.undump(unit.manifest), "")
    chosen = [path for path, (read, _) in standing.items() if given in (read.id, path)]
    if not chosen:
        hint = did_you_mean(given, [read.id for read, _ in standing.values()])
        raise NotFound(
            f"there is no cartridge {given!r}", hint=hint or "`eventctl cartridge list` shows all; `check` names mistakes"
        )
    if len(chosen) > 1:
        removed = {unit_path(row.place, row.id) for row in looked.rows} - {
            unit_path(row.place, row.id) for row in looked.rows if row.active
        }
        chosen = [path for path in chosen if path not in removed] or chosen
    if len(chosen) > 1:
        raise UsageError(f"{given!r} is {len(chosen)} cartridges", hint=f"say which: {', '.join(chosen)}")
    path = chosen[0]
    read, of = standing[path]
    unit = looked.units.get(path) or Unit(path, 0, 0, 0, read.version, b"")
    problems = [problem for problem in looked.problems if path in problem.where or f".{read.id}" in problem.where]
    return Card(
        read, unit, of, places_of(path, looked.composed), problems, [fault for fault in looked.faults if fault.path == path]
    )


def form(card: Card) -> dict[str, Any]:
    """The card as JSON."""
    return {
        "id": card.manifest.id, "version": card.manifest.version, "of": card.of, "path": card.unit.path,
        "state": "suspended" if any(fault.suspended for fault in card.faults) else card.unit.state, "reason": card.unit.reason, "strikes": card.unit.strikes,
        "manifest": {name: value for name, value in orjson.loads(manifests.dump(card.manifest)).items() if name != "lines"},
        "runs": [place._asdict() for place in card.places],
        "problems": [problem._asdict() for problem in card.problems],
        "mode": given.mode if (given := card.manifest.rule) else "live",
        "errors": [fault._asdict() for fault in card.faults],
        "counts": card.counted.form() if card.counted else None,
    }  # fmt: skip


def fields(card: Card, more: Sequence[tuple[str, object]] = ()) -> list[tuple[str, object]]:
    """How it stands and what it says, as names and values; an empty value says nothing. `more` says where it came from."""
    given = card.manifest
    runs = ", ".join(
        place.pipeline
        if place.pipeline == LOG_PIPELINE
        else f"{place.pipeline} (level {place.level + 1}{_apart(place, given)})"
        for place in card.places
    )
    return [
        ("file", card.unit.path), ("of", card.of), ("state", _state(card.unit, card.faults)), ("runs in", runs or "nothing"), ("has run", _ran(card.counted)), *more,
        *_rule_fields(given), ("consumes", ", ".join(given.consumes)), ("emits", ", ".join(given.emits)), ("annotates", ", ".join(given.annotates)),
        ("after", ", ".join(given.after)), ("requires", ", ".join(given.requires)),
        ("may call", ", ".join(given.permissions.calls)), ("state by", ", ".join(given.key) or "nothing: one for all"), ("on error", given.on_error if given.rule is None else ""),
    ]  # fmt: skip


def settings(card: Card) -> list[tuple[str, list[list[object]]]]:
    """Its settings in each pipeline: a heading, and rows of name, value, type and what it is for."""
    given, told = card.manifest, []
    for place in card.places or [Place("", 0, {})]:
        rows = [
            [name, _plain(place.settings.get(name, setting.default)), setting.type, setting.help]
            for name, setting in given.settings.items()
        ]
        told.append((f"Settings in {place.pipeline}" if len(card.places) > 1 else "Settings", rows))
    return told if given.settings else []


def show(screen: Screen, card: Card, more: Sequence[tuple[str, object]] = ()) -> None:
    """Print the card; `more` says where it came from."""
    given = card.manifest
    screen.title(f"{given.id}  {given.version}")
    screen.sentence(given.summary)
    screen.line()
    screen.fields(fields(card, more), indent=2)
    for heading, rows in settings(card):
        screen.line()
        screen.heading(heading)
        screen.table(("setting", "value", "type", ""), rows)
    for fault in card.faults:
        screen.say(f"it {fault}")
    _show_problems(screen, card.problems)


def _apart(place: Place, given: Manifest) -> str:
    if place.tier != "worker":
        return ""
    return ", in a worker" if given.runs == "worker" else ", in a worker since its first strike"


def _ran(counted: Totals | None) -> str:
    """How often it ran, how long that took and when it last did."""
    if counted is None:
        return ""
    if not counted.calls:
        return "never"
    from eventctl.drawing import milliseconds

    times = f"{counted.calls:,} times" if counted.calls > 1 else "once"
    errors = f", {counted.errors:,} error{'s' * (counted.errors != 1)}" if counted.errors else ""
    return f"{times}{errors}; 95 of 100 within {milliseconds(counted.p95_ns)}, last {local(counted.last)}"


def _rule_fields(given: Manifest) -> list[tuple[str, object]]:
    rule = given.rule
    if rule is None:
        return []
    window = rule.window
    counted = f"{window.kind} within {format_duration(window.within)}" if window else ""
    shadow = "shadow: it notes what it would do, and does nothing" if rule.mode == "shadow" else ""
    return [("mode", shadow), ("when", rule.when or ""), ("window", counted), ("effects", ", ".join(rule.effects))]


def _show_problems(screen: Screen, problems: Sequence[Problem]) -> None:
    for problem in problems:
        screen.say(f"{'warning' if problem.warning else 'wrong'}: {problem}")


def _state(unit: Unit, faults: Sequence[Standing]) -> str:
    if any(fault.suspended for fault in faults):
        return "suspended"
    strikes = {0: "", 1: "1 strike"}.get(unit.strikes, f"{unit.strikes} strikes")
    said = "active" if unit.state == "active" else f"switched off: {unit.reason}"
    return f"{said} ({strikes})" if strikes else said


def _written(value: Any) -> Any:
    return format_duration(int(value / timedelta(microseconds=1))) if isinstance(value, timedelta) else value


def _plain(value: Any) -> object:
    return value if isinstance(value, str) or value is None else orjson.dumps(value).decode()
