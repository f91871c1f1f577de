"""Templates: text with fields of an event in braces, `{payload.name}`. They fill in; they compute nothing.

What an event holds is data from strangers: a value that stands in braces itself is not filled in again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from eventctl.nearest import did_you_mean

_FIELD = re.compile(r"\{([a-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)\}")
_BRACES = re.compile(r"\{([^{}]*)\}")

WINDOW = "window"
WINDOW_FIELDS = ("window.count", "window.since", "window.value")
ROOTS = ("annotations", "caused_by", "description", "domain", "entity", "event", "hops", "id", "level", "now", "payload", "rule",
         "source", "timestamp", "trace", "visibility")  # fmt: skip
"""What a template may name; `window` too where there is one."""


def fields(template: str) -> list[str]:
    """The dotted paths that a template names."""
    return _FIELD.findall(template)


def mistakes(template: str, *, window: bool = False) -> Iterator[tuple[str, str]]:
    """What is in braces and can be filled with nothing: a sentence and a hint for each. `window` says that there is one."""
    for found in _BRACES.findall(template):
        root = found.split(".")[0]
        if not _FIELD.fullmatch(f"{{{found}}}"):
            yield (
                f"{{{found[:40]}}} is no field: braces hold a dotted name",
                "one is {payload.name}; a template computes nothing",
            )
        elif root == WINDOW and not window:
            yield "{window...} is what a window counted, and this rule has none", "give it a [window]"
        elif root == WINDOW and found not in WINDOW_FIELDS:
            yield f"a window has no {found.partition('.')[2]!r}", f"it has {', '.join(f'{{{name}}}' for name in WINDOW_FIELDS)}"
        elif root not in (*ROOTS, WINDOW):
            yield f"an event has no {root!r}", did_you_mean(root, ROOTS)
        elif root in ("payload", "annotations") and root == found:
            yield f"{{{root}}} is a whole table", f"name one of its fields, like {{{root}.name}}"


def render(template: str, data: Mapping[str, Any]) -> str:
    """The text with every field filled in; what is not there is empty."""
    return _FIELD.sub(lambda found: shown(look_up(data, found[1])), template)


def filled(value: Any, data: Mapping[str, Any]) -> Any:
    """The value with every text in it rendered. A text that is one field and nothing else becomes that field's own value."""
    if isinstance(value, str):
        whole = _FIELD.fullmatch(value)
        return look_up(data, whole[1]) if whole else render(value, data)
    if isinstance(value, Mapping):
        return {name: filled(inner, data) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [filled(inner, data) for inner in value]
    return value


def look_up(data: Mapping[str, Any], path: str) -> Any:
    """What stands at a dotted path; None where nothing does."""
    found: Any = data
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def shown(value: Any) -> str:
    """A value as text within a sentence: text as it is, nothing for nothing, all else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # no event holds it, and a plugin may
        return str(value)
