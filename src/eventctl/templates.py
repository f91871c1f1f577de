"""Templates: text with fields of an event in braces, `{payload.name}`. They fill in; they compute nothing.

What an event holds is data from strangers: a value that stands in braces itself is not filled in again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

_FIELD = re.compile(r"\{([a-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)\}")


def fields(template: str) -> list[str]:
    """The dotted paths that a template names."""
    return _FIELD.findall(template)


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
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
