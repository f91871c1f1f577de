"""Every key of the dashboard, read from the bindings themselves, so that no list of them can be behind."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import NamedTuple

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget

from eventctl import tui
from eventctl.tui.room import Room

HOUSE = "eventctl.tui"
BASES: tuple[type, ...] = (Room, Screen, Widget, App, DOMNode)
"""Where a class stops being one of its own: what these hear is the same everywhere."""


class Key(NamedTuple):
    """Keys that do one thing, as people see them, what that is, and a sentence about it ("" for none)."""

    keys: str
    does: str
    more: str = ""


class Section(NamedTuple):
    """The keys of one place, under its name."""

    title: str
    keys: tuple[Key, ...]


def of_class(kind: type, shown: Callable[[Binding], str]) -> tuple[Key, ...]:
    """What a class hears beyond what every screen and widget does; a key that a class takes from its base counts once."""
    return _grouped(_bindings(kind, lambda each: each in BASES), shown)


def sections(room: Screen[object], shown: Callable[[Binding], str]) -> list[Section]:
    """All keys, nearest first: of this screen, of what stands on it, everywhere, and of all other screens and dialogs."""
    here: list[type] = [type(room)]
    here += dict.fromkeys(type(node) for node in room.walk_children(Widget) if node.focusable or type(node).__module__ == HOUSE)
    here = [kind for kind in here if not issubclass(kind, App)]
    others = [kind for kind in ours() if kind not in here and not issubclass(kind, App)]
    found = [Section(said(kind), of_class(kind, shown)) for kind in here]
    found.append(Section("Everywhere", _grouped(_everywhere(type(room.app)), shown)))
    seen = {key for section in found for key in section.keys}
    found += [Section(said(kind), tuple(key for key in of_class(kind, shown) if key not in seen)) for kind in others]
    return [section for section in found if section.keys]


def ours() -> list[type]:
    """Every screen and widget of the dashboard that hears keys of its own."""
    found: dict[type, None] = {}
    for name in sorted(module.name for module in pkgutil.walk_packages(tui.__path__, f"{HOUSE}.")):
        for _, kind in inspect.getmembers(import_module(name), inspect.isclass):
            if kind.__module__.startswith(HOUSE) and issubclass(kind, DOMNode) and "BINDINGS" in vars(kind):
                found[kind] = None
    return list(found)


def said(kind: type) -> str:
    """What a class is, in the first sentence that is written about it."""
    words = " ".join((inspect.getdoc(kind) or kind.__name__).split("\n\n")[0].split())
    end = words.find(". ")
    return (words[:end] if end > 0 else words).rstrip(".")


def _everywhere(app: type) -> Iterator[Binding]:
    yield from _bindings(app, lambda each: each is DOMNode)
    yield Binding(App.COMMAND_PALETTE_BINDING, "command_palette", "Find any command, screen, theme or number by typing")
    for base in (Room, Screen):
        yield from Binding.make_bindings(vars(base).get("BINDINGS", ()))


def _bindings(kind: type, until: Callable[[type], bool]) -> Iterator[Binding]:
    """Those of a class and its bases, down to the first for which `until` holds; the nearest class has a key for itself."""
    taken: set[str] = set()
    for each in kind.__mro__:
        if until(each) and each is not kind:
            return
        mine = list(Binding.make_bindings(vars(each).get("BINDINGS", ())))
        yield from (binding for binding in mine if binding.key not in taken and binding.description)
        taken |= {binding.key for binding in mine}


def _grouped(bindings: Iterable[Binding], shown: Callable[[Binding], str]) -> tuple[Key, ...]:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for binding in bindings:
        names = groups.setdefault((binding.action, binding.description, binding.tooltip), [])
        if (name := shown(binding)) not in names:
            names.append(name)
    return tuple(Key(" ".join(names), does, more) for (_, does, more), names in groups.items())
