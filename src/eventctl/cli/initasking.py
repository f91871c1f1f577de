"""What `init` asks on a terminal: four questions, each with an answer that Enter takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import click

from eventctl import beginning
from eventctl.beginning import OUTSIDE, Person, Wish
from eventctl.cli.render import Screen
from eventctl.errors import UsageError

T = TypeVar("T")
INDENT = "  "


def wished(domains: tuple[str, ...], members: tuple[str, ...], levels: tuple[str, ...], shipped: Mapping[str, str]) -> Wish:
    """What the flags say. Raises `UsageError` with the flag and what is wrong with it."""
    read = [_flag("--level", beginning.read_level, text) for text in levels]
    people = [_flag("--member", beginning.read_member, text) for text in members]
    for name, what in (("--member", [one.name for one in people]), ("--level", [domain for domain, _ in read])):
        twice = next((one for one in what if what.count(one) > 1), None)
        if twice is not None:
            raise UsageError(f"{name} is said twice{f' about {twice}' if twice else ''}")
    chosen = tuple(dict.fromkeys(_flag("--domain", lambda text: _domain(text, shipped), text) for text in domains))
    by_domain = {domain: level for domain, level in read if domain}
    return Wish(chosen or None, tuple(people), next((level for domain, level in read if not domain), ""), by_domain)


def asked(screen: Screen, root: Path, wish: Wish, member: str, shipped: Mapping[str, str]) -> tuple[Wish, str]:
    """The wish with an answer to everything that it does not say, and who asks. What was given by flags is not asked about."""
    screen.title(f"A new workspace in {root.resolve()}")
    screen.line("Enter takes what stands in brackets. Nothing is written before the last answer.", indent=2)
    if wish.domains is None and shipped:
        wish = replace(wish, domains=_domains(screen, shipped))
    if not wish.members:
        wish, member = _members(screen, wish, member)
    if not wish.level and not wish.levels:
        wish = _levels(screen, wish, wish.domains if wish.domains is not None else tuple(shipped))
    screen.line()
    return wish, member


def _domains(screen: Screen, shipped: Mapping[str, str]) -> tuple[str, ...]:
    screen.line()
    screen.heading("Domains")
    screen.line(
        "What your work is about. Each brings event types and cartridges; a name of your own makes an empty one.", indent=2
    )
    screen.line()
    widest = max(map(len, shipped))
    for name, summary in shipped.items():
        screen.line(f"  {name.ljust(widest)}", _first_words(summary))
    screen.line()

    def read(text: str) -> tuple[str, ...]:
        if text == "all":
            return tuple(shipped)
        return tuple(dict.fromkeys(_domain(one, shipped) for one in text.replace(",", " ").split()))

    return _ask("Which, with blanks between them", "all", read)


def _members(screen: Screen, wish: Wish, member: str) -> tuple[Wish, str]:
    screen.line()
    screen.heading("Members")
    screen.line("Who works here. You are the first, and an admin. Others: bob, bob:admin, bob:member:marketing.", indent=2)
    screen.line()
    mine = _ask("Your name", member, _named)
    people = [Person(mine, "admin")]
    while other := _ask("Another member", "nobody", lambda text: None if text == "nobody" else beginning.read_member(text)):
        people = [one for one in people if one.name != other.name] + [other]
    return replace(wish, members=tuple(people)), mine


def _levels(screen: Screen, wish: Wish, domains: tuple[str, ...]) -> Wish:
    screen.line()
    screen.heading("Autonomy")
    screen.line("What cartridges and agents may do without asking. Reading and notifying is never asked about.", indent=2)
    screen.line()
    for level, said in (
        ("L1", "asks first, and does nothing until a member has said yes"),
        ("L2", "acts, tells you, and can be undone for ten minutes; what is new to it is asked about"),
        ("L3", "acts"),
    ):
        screen.line(f"  {level}", said)
    screen.line()
    level = _ask("Level", "L3", _level)
    levels = {}
    if OUTSIDE in domains:
        levels[OUTSIDE] = _ask(f"Level of {OUTSIDE}, where it acts in front of people outside", "L1", _level)
    return replace(wish, level=level, levels=levels)


def _ask(question: str, usual: str, read: Callable[[str], T]) -> T:
    """The answer, read; asked again when it cannot be."""

    def value(text: str) -> T:
        try:
            return read(text.strip())
        except ValueError as wrong:
            raise click.UsageError(str(wrong)) from None

    answer: T = click.prompt(INDENT + question, default=usual, value_proc=value)
    return answer


def _flag(name: str, read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as wrong:
        raise UsageError(str(wrong), where=name) from None


def _level(text: str) -> str:
    domain, level = beginning.read_level(text)
    if domain:
        raise ValueError("a level is L1, L2 or L3")
    return level


def _named(text: str) -> str:
    if ":" in text:
        raise ValueError("you are an admin in any case: say your name alone")
    return beginning.read_member(text).name


def _domain(text: str, shipped: Mapping[str, str]) -> str:
    """A domain's name; one that looks like a slip of a shipped one's is asked about."""
    name = beginning.read_domain(text)
    close = [] if name in shipped else get_close_matches(name, shipped, n=1, cutoff=0.75)
    if close:
        raise ValueError(f"did you mean {close[0]}? {name!r} would be a new domain, and looks like a slip of the pen")
    return name


def _first_words(summary: str) -> str:
    return summary.partition(". ")[0].partition(": ")[0].rstrip(".")
