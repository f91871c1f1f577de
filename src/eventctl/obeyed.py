"""What people may write and this version does not obey yet: whoever writes it is told, so that nothing is taken and ignored.

A test reads the code and holds this table to be complete: every key of the files that people write is read somewhere, or it
stands here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from eventctl.errors import Problem
from eventctl.suggest import Key, at

_YET = "not obeyed by this version"

NOT_OBEYED: dict[str, dict[str, str]] = {
    "eventctl.toml": {
        "workspace.name": f"a name for other machines comes with the mesh; {_YET}",
        "sources.*": f"fetching events comes with deliveries; {_YET}",
        "channels.*": f"sending notifications out comes with deliveries; {_YET}",
    },
    "domain.toml": {},
    "member.toml": {
        "minimum": f"what is worth sending comes with deliveries; {_YET}",
        "quiet": f"quiet hours come with deliveries; {_YET}",
        "digest": f"a digest comes with deliveries; {_YET}",
        "channels": f"sending notifications out comes with deliveries; {_YET}",
    },
    "cartridge.toml": {
        "permissions.secrets": f"secrets come with deliveries; {_YET}",
        "permissions.hosts": f"fetching comes with deliveries; {_YET}",
    },
    "terminal_when": {
        "seen": f"what ends when it is seen comes with deliveries; {_YET}",
        "action": f"what ends when an action is taken comes with deliveries; {_YET}",
    },
}
"""By file, then by key (`*` is any name, and a table stands for all that is in it); and the clauses of `terminal_when` by kind."""


def unobeyed(file: str, given: Mapping[str, Any] | BaseModel) -> Iterator[tuple[Key, str]]:
    """Each key that is set and not obeyed, with the sentence that says so. `file` is the kind of file, like `domain.toml`."""
    for pattern, sentence in NOT_OBEYED[file].items():
        for key in _given(given, pattern.split("."), ()):
            yield key, sentence


def warnings(file: str, given: Mapping[str, Any] | BaseModel, where: str) -> list[Problem]:
    """The same as warnings about the file at `where`."""
    return [Problem(at(where, key), sentence, "take it out", warning=True) for key, sentence in unobeyed(file, given)]


def _given(value: Any, parts: list[str], key: Key) -> Iterator[Key]:
    if not parts:
        yield key
        return
    first, *rest = parts
    names = value.model_fields_set if isinstance(value, BaseModel) else value if isinstance(value, Mapping) else ()
    for name in sorted(names):
        if first in ("*", name):
            inner = getattr(value, name) if isinstance(value, BaseModel) else value[name]
            yield from _given(inner, rest, (*key, name))
