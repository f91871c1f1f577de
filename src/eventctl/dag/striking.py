"""What a strike means for a cartridge: from the first on it runs in a worker, at the third it is switched off.

A plugin's function and a rule without code cannot run anywhere else: they are switched off at the second.
"""

from __future__ import annotations

from typing import NamedTuple

import orjson

from eventctl.store import Unit

STRIKES_MAX = 3
FIXED_MAX = 2


class Stricken(NamedTuple):
    """A unit after its strike. `off` says that this switched it off, `moves` that it runs in a worker from now on."""

    unit: Unit
    off: bool
    moves: bool


def strike(unit: Unit, reason: str) -> Stricken:
    """Book one strike."""
    strikes, movable = unit.strikes + 1, can_move(unit)
    off = unit.state == "active" and strikes >= (STRIKES_MAX if movable else FIXED_MAX)
    struck = unit._replace(strikes=strikes)
    return Stricken(struck._replace(state="disabled", reason=reason) if off else struck, off, movable and strikes == 1)


def can_move(unit: Unit) -> bool:
    """Whether a cartridge is code that can be had as text."""
    return not unit.path.startswith("plugin:") and "rule" not in written(unit)


def written(unit: Unit) -> dict[str, object]:
    """The manifest of a unit as it is kept; empty where there is none."""
    try:
        manifest = orjson.loads(unit.manifest)
    except orjson.JSONDecodeError:
        return {}
    return manifest if isinstance(manifest, dict) else {}
