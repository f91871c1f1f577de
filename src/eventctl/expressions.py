"""Expressions: CEL over one event, checked for types before they are used and unable to do anything but answer.

The library is loaded when the first expression is compiled, and an expression is compiled when it is first asked. It has no loops
but over lists, a budget for those, and regular expressions that take linear time. Its own words never reach people: see
`complaints`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Literal

import orjson

from eventctl import times
from eventctl.complaints import VARIABLES, complaint, marked, named, unanswerable, wrong_type
from eventctl.errors import Misconfigured, Problem

Wants = Literal["bool", "any", "number"]

CACHED_MAX = 8_192
"""Compiled expressions at hand: 10 kB each in the worst case, and 1,000 rules rarely have more than 2,000."""

_FAILURES = (RuntimeError, TypeError, ValueError, OverflowError, RecursionError, SystemError)
"""What the library raises for values that it cannot take."""


class Unanswered(Exception):
    """An expression has no answer for this event: a field is missing, or two values cannot be compared. The text says what."""


class Facts:
    """What expressions may ask about one event. The library's own form of it is made once, for all of them.

    `data` is the envelope; `level`, `domain` and `entity` are what holds for it, `now` its ingestion in microseconds.
    """

    __slots__ = ("_activation", "_known")

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        level: int = 1,
        domain: str = "",
        entity: str | None = None,
        annotations: Mapping[str, Any] | None = None,
        now: int = 0,
        principal: str = "",
    ) -> None:
        self._known: dict[str, Any] = {
            "event": data.get("event") or "",
            "source": data.get("source") or "",
            "level": int(level),
            "domain": domain,
            "entity": entity or data.get("entity") or "",
            "payload": data.get("payload") or {},
            "annotations": annotations or {},
            "now": now,
            "principal": principal,
        }
        self._activation: Any = None

    @property
    def known(self) -> Mapping[str, Any]:
        """The variables with their values; `now` in microseconds."""
        return self._known

    @property
    def activation(self) -> Any:
        """The variables as the library holds them. Raises Unanswered for values that it cannot hold."""
        if self._activation is None:
            try:
                orjson.dumps([self._known["payload"], self._known["annotations"]])  # deep nesting would end the process
                moment = times.to_datetime(self._known["now"])
                self._activation = _environment().Activation({**self._known, "now": moment})
            except _FAILURES as error:
                raise Unanswered(unanswerable(str(error))) from None
        return self._activation


class Expression:
    """A checked expression. Asking it changes nothing."""

    __slots__ = ("_program", "text")

    def __init__(self, text: str, program: Any) -> None:
        self.text = text
        self._program = program

    def holds(self, facts: Facts) -> bool:
        """Whether it is true. Raises Unanswered, also for an answer that is neither true nor false."""
        value = self.value(facts)
        if not isinstance(value, bool):
            raise Unanswered(f"it gives {named(value)}, neither true nor false")
        return value

    def value(self, facts: Facts) -> Any:
        """Its value: None, bool, int, float, str, list or dict, a datetime or a timedelta. Raises Unanswered."""
        activation = facts.activation
        try:
            answer = self._program.eval(activation)
            value = answer.plain_value()
        except _FAILURES as error:
            raise Unanswered(unanswerable(str(error))) from None
        if isinstance(value, str) and answer.type() == _library().Type.ERROR:
            raise Unanswered(unanswerable(value))
        return value


@lru_cache(maxsize=CACHED_MAX)
def compiled(text: str, *, wants: Wants = "bool") -> Expression:
    """The expression, ready to be asked. Raises Misconfigured with the position marked."""
    program, problems = _compile(text, "the expression", wants)
    if problems:
        raise Misconfigured.listing(problems)
    return Expression(text, program)


def mistakes(text: str, where: str, wants: Wants = "bool") -> list[Problem]:
    """Everything that is wrong with an expression, each with its column and the place marked. Nothing is kept."""
    return _compile(text, where, wants)[1] or _patterns(text, where)


def terms(text: str, facts: Facts) -> list[tuple[str, Any]]:
    """The parts of an expression and their values, as written: what `&&`, `||` and `!` join, and what is compared.

    Constants are left out. In place of a value stands the `Unanswered` of a part that has none.
    """
    found: dict[str, Any] = {}
    for part in parts_of(text):
        try:
            found[part] = compiled(part, wants="any").value(facts)
        except Unanswered as none:
            found[part] = none
        except Misconfigured:  # a part of something longer, which makes no sense alone
            continue
    return list(found.items())


def conjuncts(text: str) -> list[str]:
    """What `&&` joins in the outermost place, as written: each has to be true. The whole text where it joins nothing there."""
    text = _bare(text)
    if any(len(_split(text, operators)) > 1 for operators in _LOGIC[:2]):
        return [text]
    return _split(text, _LOGIC[2])


def parts_of(text: str) -> list[str]:
    """The parts of an expression that can be asked on their own, the outermost first, in the order they are written."""
    text = _bare(text)
    for operators in _LOGIC:
        sides = _split(text, operators)
        if len(sides) > 1:
            return [part for side in sides for part in parts_of(side)]
    if text.startswith("!"):
        return parts_of(text[1:])
    sides = [_bare(side) for side in _split(text, _COMPARISONS)]
    return [text, *(side for side in sides if len(sides) > 1 and _NAME.match(side))]


_LOGIC: tuple[tuple[str, ...], ...] = (("?", ":"), ("||",), ("&&",))
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">", " in ")
_NAME = re.compile(r"(?!true\b|false\b|null\b|timestamp\(|duration\(|[rRbB]{1,2}['\"])[A-Za-z_(]")
_PIECE = re.compile(
    r"""[rR]?(?:\"{3}.*?\"{3}|'{3}.*?'{3})|[rR](?:"[^"]*"|'[^']*')|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
    r"""|\|\||&&|[=!<>]=|\sin\s|//[^\n]*|.""",
    re.DOTALL,
)
"""A text, an operator of two characters, a comment, or one character."""


def _split(text: str, operators: tuple[str, ...]) -> list[str]:
    """The text cut at these operators, where they stand outside of brackets and quotes."""
    sides, depth = [""], 0
    for piece in _PIECE.findall(text):
        depth += (piece in "([{") - (piece in ")]}")
        if depth == 0 and (piece in operators or f" {piece.strip()} " in operators):
            sides.append("")
        else:
            sides[-1] += piece
    return [side.strip() for side in sides]


def _bare(text: str) -> str:
    """The text without brackets around all of it."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")"):
        depth = 0
        for number, piece in enumerate(pieces := _PIECE.findall(text)):
            depth += (piece == "(") - (piece == ")")
            if depth == 0 and number < len(pieces) - 1:
                return text
        text = text[1:-1].strip()
    return text


@cache
def _library() -> Any:
    from cel_expr_python import cel  # type: ignore[import-untyped]  # its stubs stand there, without the mark that says so

    return cel


@cache
def _environment() -> Any:
    kinds = _library().Type
    types = {"text": kinds.STRING, "int": kinds.INT, "time": kinds.TIMESTAMP, "table": kinds.Map(kinds.STRING, kinds.DYN)}
    return _library().NewEnv(variables={name: types[kind] for name, kind in VARIABLES.items()})


_PATTERN = re.compile(r"""\bmatches\(\s*(?:[^'"(),]*,\s*)?([rR]?(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))\s*\)""")


def _patterns(text: str, where: str) -> list[Problem]:
    """Regular expressions that stand there as they are and cannot be read; the library says so at the first event only."""
    found: list[Problem] = []
    for pattern in _PATTERN.finditer(text):
        answer = _environment().compile(f"''.matches({pattern[1]})").eval(data={})
        if answer.type() == _library().Type.ERROR:
            line = text.count("\n", 0, pattern.start(1)) + 1
            column = pattern.start(1) - (text.rfind("\n", 0, pattern.start(1)) + 1) + 1
            said = str(answer).partition("expression: ")[2] or str(answer)
            found.append(marked(line, column, f"is no regular expression: {said}", text, where))
    return found


def _compile(text: str, where: str, wants: Wants) -> tuple[Any, list[Problem]]:
    try:
        program = _environment().compile(text)
    except _FAILURES as error:
        return None, complaint(str(error), text, where)
    wrong = wrong_type(program.return_type().name(), wants)
    return program, [Problem(where, wrong)] if wrong else []
