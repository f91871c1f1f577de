"""Where the keys of a TOML file stand: the line of each, for whoever has to correct one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from eventctl.errors import Problem

_TABLE = re.compile(r"\s*\[{1,2}\s*([A-Za-z0-9_.\"' -]+?)\s*\]{1,2}\s*(?:#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\s*=")
_UNKNOWN = re.compile(r"unknown key '([^']+)'")


def lines_of(text: str) -> dict[str, int]:
    """The line, from 1, of each table and of each key that begins a line, by dotted name; the first of a name counts."""
    found: dict[str, int] = {}
    table, quotes = "", ""
    for number, line in enumerate(text.splitlines(), 1):
        if quotes:
            quotes = "" if quotes in line else quotes
            continue
        if header := _TABLE.fullmatch(line):
            table = header[1]
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault(f"{table}.{key[1]}" if table else key[1], number)
            quotes = next((mark for mark in ('"""', "'''") if line.count(mark) == 1), "")
    return found


def with_lines(problems: Iterable[Problem], lines: Mapping[str, int], where: str) -> list[Problem]:
    """The same problems, each with the line of the key that it names, or of the nearest table around it: `rule.toml:7: when`."""
    return [problem._replace(where=_lined(problem, where, lines)) for problem in problems]


def _lined(problem: Problem, where: str, lines: Mapping[str, int]) -> str:
    key = problem.where.removeprefix(where).removeprefix(": ")
    if key == problem.where:  # it speaks of another file
        return problem.where
    unknown = _UNKNOWN.match(problem.what)
    around = ".".join(filter(None, (key, unknown[1] if unknown else "")))
    while around and around not in lines:
        around = around.rpartition("[")[0] if around.endswith("]") else around.rpartition(".")[0]
    number = f":{lines[around]}" if around else ""
    return f"{where}{number}: {key}" if key else f"{where}{number}"
