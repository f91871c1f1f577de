"""A member's event types: a leaf of the company. What is declared there is for that member, and changes nothing for anybody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventctl.errors import Problem
from eventctl.suggest import at


def part_of(member: str, data: Mapping[str, Any], path: str) -> tuple[dict[str, Any], list[Problem]]:
    """The member's part of the catalog, without the types that reach beyond it, and what is wrong with those.

    A type is told to its member unless it says the same; it belongs to no domain, and to lives of its own only.
    """
    problems: list[Problem] = []
    types: dict[str, Any] = {}
    given = data.get("types")
    for name, spec in given.items() if isinstance(given, Mapping) else ():
        wrong = list(_beyond(member, spec)) if isinstance(spec, Mapping) else []
        problems += [Problem(at(path, ("types", name, key)), what, hint) for key, what, hint in wrong]
        if not wrong:
            types[name] = {**spec, "audience": f"member:{member}", "domain": ""} if isinstance(spec, Mapping) else spec
    kept = {key: value for key, value in data.items() if key not in ("domain", "reserved")}
    for key in ("domain", "reserved"):
        if data.get(key):
            problems.append(Problem(at(path, (key,)), f"a member's types have no {key!r}", "take it out"))
    return ({**kept, "types": types} if isinstance(given, Mapping) else kept), problems


def _beyond(member: str, spec: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    own = f"member:{member}"
    wrong = []
    if spec.get("audience", own) != own:
        wrong.append(("audience", f"a member's events are told to {own}, not to {spec['audience']!r}", "leave audience out"))
    if spec.get("domain"):
        wrong.append(("domain", f"a member's type belongs to no domain, not to {spec['domain']!r}", "take it out"))
    lives = spec.get("lives")
    beyond = [life for life in lives if "." in str(life)] if isinstance(lives, Mapping) else []
    wrong += [("lives", f"the life {life!r} may be somebody else's", "name one of its own, without dots") for life in beyond]
    return wrong
