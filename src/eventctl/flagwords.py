"""Flags typed as one line of words: `level:workflow`, `--level=workflow` and `--level workflow` mean the same.

So a line from a shell can be used as it is. Words that are no flag are looked for, and so is whatever stands in quotes. Where a
vocabulary has a `where`, all from there on is its value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from eventctl import flags
from eventctl.errors import UsageError


class Flag(NamedTuple):
    """A word of a query: the field that it fills, how its value is read, and what that is, for people ("" where it takes none)."""

    field: str
    read: Callable[[str, int], Any]
    wants: str = ""
    many: bool = False


def plain(text: str, _: int) -> str:
    """The text as it stands."""
    return text


def pattern(text: str, _: int) -> str:
    """A pattern of dotted names. Raises ValueError with a sentence."""
    return flags.pattern(text)


NEAR = 0.75
"""How like a flag a name is that was meant to be one: `tpye` is as far from `type`, `service` is farther from `since`."""

_WORD = re.compile(r"(?P<dash>--)?(?P<name>[A-Za-z]+)(?P<sep>[:=])?")
_QUOTED = re.compile(r"""'(?P<single>[^']*)(?:'|$)|"(?P<double>(?:\\.|[^"\\])*)(?:"|\\?$)""", re.DOTALL)
_BARE = re.compile(r"\S*")
_SHELL_REST = re.compile(r"\s*$|\s+-")


def fields(words: str, known: Mapping[str, Flag], now: int, elsewhere: Collection[str] = ()) -> dict[str, Any]:
    """What a line of words asks for, by the fields that its flags fill. `elsewhere` are flags of the same command that choose nothing.

    Raises `UsageError`, which names the word and what it wants.
    """
    said: dict[str, Any] = {}
    for name, value in _spoken(words, known, elsewhere):
        flag = known[name]
        try:
            read = flag.read(value, now)
        except ValueError as wrong:
            raise UsageError(str(wrong), where=name) from None
        said[flag.field] = [*said.get(flag.field, ()), read] if flag.many else read
    return said


def _spoken(words: str, known: Mapping[str, Flag], elsewhere: Collection[str]) -> Iterator[tuple[str, str]]:
    """The names of flags with their values, in order; what is looked for goes by the name of `text`, which is always known."""
    at = 0
    while (at := _skipped(words, at)) < len(words):
        quoted = words[at] in "'\""
        found = None if quoted else _WORD.match(words, at)
        name = _flag(found, words, at, known, elsewhere) if found else ""
        if found is None or not name:
            value, at = _value(words, at)
            if value in elsewhere and not quoted:
                raise UsageError(f"{value} does not say which ones", where=value, hint="leave it out")
            yield "text", value
        elif name == "where":
            value, at = _expression(words, found, known[name])
            yield name, value
        elif not known[name].wants:
            at = found.end()
            if found["sep"]:
                raise UsageError("takes no value: it is said or left out", where=name)
            yield name, ""
        else:
            value, at = _value(words, found.end() if found["sep"] else _skipped(words, found.end()))
            if not value:
                raise UsageError(f"wants {known[name].wants}", where=name)
            yield name, value


def _flag(found: re.Match[str], words: str, at: int, known: Mapping[str, Flag], elsewhere: Collection[str]) -> str:
    """The name of the flag that a word is, or "" for a text. Raises `UsageError` for one that was meant to be a flag."""
    name, end = found["name"].lower(), found.end()
    dashed, valued = found["dash"] is not None, found["sep"] == ":" or bool(found["dash"] and found["sep"])
    alone = end == len(words) or words[end].isspace()
    if name in known and (valued or (alone and not found["sep"] and (dashed or name == "where" or not known[name].wants))):
        return name
    word = _BARE.match(words, at)
    if word is None or word[0] in elsewhere or not (dashed or valued):
        return ""
    near = get_close_matches(name, known, n=1, cutoff=NEAR)
    if not near and not dashed:
        return ""
    hint = f"did you mean {near[0]}{':' if known[near[0]].wants else ''}? " if near else ""
    raise UsageError(f"{found[0]!r} is no word of a filter", hint=f"{hint}In quotes it is looked for")


def _skipped(words: str, at: int) -> int:
    while at < len(words) and words[at].isspace():
        at += 1
    return at


def _value(words: str, at: int) -> tuple[str, int]:
    """A value, in quotes or up to the next space, and where it ends. A quote that nothing closes goes to the end: it is being typed."""
    found = _QUOTED.match(words, at)
    if found is None:
        bare = _BARE.match(words, at)
        return (bare[0], bare.end()) if bare else ("", at)
    return re.sub(r'\\(["\\$`])', r"\1", found["double"]) if found["single"] is None else found["single"], found.end()


def _expression(words: str, found: re.Match[str], flag: Flag) -> tuple[str, int]:
    """The condition behind `where`: all the rest, or what a shell would take where it is quoted as for a shell."""
    start = _skipped(words, found.end())
    if found["dash"] and start < len(words) and words[start] in "'\"":
        value, end = _value(words, start)
        if _SHELL_REST.match(words, end):
            return value, end
    if not words[start:].strip():
        raise UsageError(f"wants {flag.wants}", where="where")
    return words[start:].strip(), len(words)
