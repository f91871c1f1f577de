"""What the library of expressions says when one is wrong, or has no answer, in words for the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from eventctl.errors import Problem
from eventctl.nearest import did_you_mean

VARIABLES = {
    "event": "text",
    "source": "text",
    "level": "int",
    "domain": "text",
    "entity": "text",
    "payload": "table",
    "annotations": "table",
    "now": "time",
    "principal": "text",
}
"""What an expression may name, and of which kind each is. `entity` is "" for an event without one."""

FUNCTIONS = (
    "all", "bool", "bytes", "contains", "double", "duration", "dyn", "endsWith", "exists", "exists_one", "filter", "getDate",
    "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth",
    "getSeconds", "has", "int", "map", "matches", "size", "startsWith", "string", "timestamp", "type", "uint",
)  # fmt: skip

COMPLAINTS_MAX = 5
"""Of one expression. What stands after the first few is mostly their echo."""

_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): ((?:(?!\n \| |\nERROR: ).)*)", re.DOTALL)
_OVERLOAD = re.compile(r"no matching overloads? (?:found : |for ')(\S+?)'?(?: applied to ')?\((.*?)\)'?$", re.IGNORECASE)
_TOKEN = re.compile(r"token recognition error at: '(.*)'", re.DOTALL)
_INPUT = re.compile(
    r"(?:mismatched|extraneous) input '(.*?)' expecting|missing (.*?) at|no viable alternative at input '(.*?)'"
)
_KEY = re.compile(r'Key not found in map : "?(.*?)"?$')
_CODE = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$")

_OPERATORS = {
    "_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "_+_": "+", "_-_": "-", "_*_": "*",
    "_/_": "/", "_%_": "%", "_&&_": "&&", "_||_": "||", "!_": "!", "-_": "-", "@in": "in", "_?_:_": "? :", "_[_]": "[ ]",
}  # fmt: skip
_KINDS = {
    "string": "text", "int": "a whole number", "int64": "a whole number", "uint": "a whole number", "uint64": "a whole number",
    "double": "a number", "bool": "true or false", "null_type": "null", "null": "null", "dyn": "anything", "bytes": "bytes",
    "timestamp": "a time", "duration": "a duration", "list": "a list", "map": "a table", "type": "a type", "error": "an error",
}  # fmt: skip
_WORDS = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!", "is": "==", "True": "true", "False": "false",
          "None": "null"}  # fmt: skip


def complaint(raw: str, text: str, where: str) -> list[Problem]:
    """What the library found wrong with the expression `text`, each with its column and the place marked."""
    found = [
        marked(int(line), int(column), said.strip(), text, where) for line, column, said in _ERROR.findall(_CODE.sub("", raw))
    ]
    if not found:
        return [Problem(where, "is nested too deep" if "recursion" in raw else f"is no expression: {_CODE.sub('', raw)}")]
    syntax = [problem for problem in found if "cannot be read" in problem.what]
    return list(dict.fromkeys(syntax[:1] or found))[:COMPLAINTS_MAX]


def wrong_type(given: str, wants: str) -> str:
    """Why an expression that gives this type does not fit; "" when it does."""
    given = given.lower()
    fits = {"bool": ("bool", "dyn"), "number": ("int", "uint", "double", "dyn")}.get(wants, (given,))
    wanted = {"bool": "true or false", "number": "a number"}.get(wants, "")
    return "" if given in fits else f"gives {_kind(given)}, and here it should give {wanted}"


def unanswerable(raw: str) -> str:
    """Why an expression has no answer for an event."""
    said = _CODE.sub("", raw.strip())
    if key := _KEY.search(said):
        return f"there is no field {key[1]!r}"
    if overload := _OVERLOAD.search(said):
        return _refuses(overload[1], overload[2])
    if "Iteration budget" in said:
        return "it looks at too many values: lists in lists grow fast"
    if "construction from null" in said or "surrogates" in said or "valid UTF-8" in said:
        return "a text of the event is no Unicode"
    if "Recursion limit" in said:
        return "the event is nested too deep"
    if "SELECT to non-message" in said:
        return "a value has no fields, and one is asked for"
    if "out of range for" in said or "exceeds 64-bit" in said:
        return "a number of the event is larger than 64 bits"
    return said[:300] or "it has no answer"


def named(value: Any) -> str:
    """What kind of value this is, in words."""
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a table", type(None): "null"}
    return names.get(type(value), f"a {type(value).__name__}")


def marked(line: int, column: int, said: str, text: str, where: str) -> Problem:
    """A mistake at a line and a column of an expression (both from 1), in our words where there are any."""
    lines = text.splitlines() or [""]
    shown = lines[min(line, len(lines)) - 1].replace("\t", " ")
    at, what, hint = next(iter(_read(said, shown, column - 1)), (column - 1, said, ""))
    place = f"column {at + 1}" if len(lines) == 1 else f"line {line} of it, column {at + 1}"
    return Problem(where, f"{place}: {what}", hint, mark=f"{shown}\n{' ' * at}^")


def _read(said: str, shown: str, at: int) -> Iterator[tuple[int, str, str]]:
    """The place, the sentence and the hint of one complaint."""
    if undeclared := re.match(r"undeclared reference to '(.+?)'", said):
        root = undeclared[1].split(".")[0]
        starts = [
            word.start() for word in re.finditer(rf"(?<![\w.]){re.escape(root)}(?!\w)|(?<=\.){re.escape(root)}(?=\()", shown)
        ]
        start = max((start for start in starts if start <= at), default=at)
        if shown[at : at + 1] == "(":
            if root in FUNCTIONS:
                yield start, f"{root} does not take what stands in its brackets", ""
            yield start, f"there is no function {root!r}", did_you_mean(root, FUNCTIONS).replace("known here:", "there are")
        hint = f"write {_WORDS[root]}" if root in _WORDS else did_you_mean(root, VARIABLES)
        bare = "." not in undeclared[1] and "mean" not in hint and root not in _WORDS
        yield start, f"there is no {root!r}", f"{hint}; text stands in quotes: '{root}'" if bare else hint
    if overload := _OVERLOAD.search(said):
        yield at, _refuses(overload[1], overload[2]), _cure(overload[2])
    if operand := re.match(r"expression of type '(.+?)' cannot be the operand of a select", said):
        yield at, f"{_kind(operand[1])} has no fields", ""
    if said.startswith("Syntax error"):
        yield at, f"cannot be read {_syntax(said, shown[at:])}", _word_hint(said, shown, at)


def _syntax(said: str, rest: str) -> str:
    if token := _TOKEN.search(said):
        return "from here: a text has no end" if token[1][:1] in ("'", '"') else f"at {token[1].strip()!r}"
    found = _INPUT.search(said)
    given = next((part for part in found.groups() if part), "") if found else ""
    if not rest or "<EOF>" in said.partition("expecting")[0]:
        return f"to its end: {given} is missing" if "missing" in said else "to its end: something is missing"
    return f"from {(given or rest).strip(chr(39))[:20]!r} on"


def _word_hint(said: str, shown: str, at: int) -> str:
    words = re.findall(r"\w+", shown[: at + 4])
    if re.match(r",[0-9]{3}", shown[at:]):
        return "a number is written without commas"
    token = _TOKEN.search(said)
    if token and token[1].startswith("="):
        return "two values are compared with =="
    if "<EOF>" in said.partition("expecting")[0]:
        return ""
    return next((f"write {_WORDS[word]} for {word!r}" for word in reversed(words[-2:]) if word in _WORDS), "")


def _refuses(operator: str, types: str) -> str:
    kinds = [_kind(part) for part in re.split(r", (?![^(<]*[)>])", types)]
    return f"{_OPERATORS.get(operator, operator)} does not take {' and '.join(kinds)}"


def _cure(types: str) -> str:
    if "null_type" in types:
        return 'what an event does not say is "" here; a field that may be missing is asked for with has(payload.field)'
    if "Timestamp" in types and "string" in types:
        return "a time is written timestamp('2026-11-20T10:00:00Z')"
    if "Timestamp" in types or "Duration" in types:
        return "a duration is written duration('2h')"
    return (
        "double(), int() and string() change a value's kind"
        if "string" in types and ("int" in types or "double" in types)
        else ""
    )


def _kind(type_: str) -> str:
    name = re.split(r"[(<]", type_.lower().removeprefix("google.protobuf."))[0]
    return _KINDS.get(name, name)
