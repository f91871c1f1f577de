"""Expressions: CEL over one event, checked for types before they are used and unable to do anything but answer.

The library is loaded when the first expression is compiled, and an expression is compiled when it is first asked. It has no loops
but over lists, a budget for those, and regular expressions that take linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any, Literal

from eventctl import times
from eventctl.errors import Misconfigured, Problem
from eventctl.suggest import did_you_mean

Wants = Literal["bool", "any", "number"]

VARIABLES = {
    "event": "STRING",
    "source": "STRING",
    "level": "INT",
    "domain": "STRING",
    "entity": "STRING",
    "payload": "map",
    "annotations": "map",
    "now": "TIMESTAMP",
    "principal": "STRING",
}
"""What an expression may name. `entity` is "" for an event without one; `now` is the moment of ingestion."""


class Unanswered(Exception):
    """An expression has no answer for this event: a field is missing, or two values cannot be compared. The text says what."""


class Facts:
    """What expressions may ask about one event. The library's own form of it is made once, for all of them."""

    __slots__ = ("_activation", "_known")

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        level: int = 1,
        domain: str = "",
        annotations: Mapping[str, Any] | None = None,
        now: int = 0,
        principal: str = "",
    ) -> None:
        self._known = {
            "event": data.get("event") or "",
            "source": data.get("source") or "",
            "level": int(level),
            "domain": domain,
            "entity": data.get("entity") or "",
            "payload": data.get("payload") or {},
            "annotations": annotations or {},
            "now": times.to_datetime(now),
            "principal": principal,
        }
        self._activation: Any = None

    @property
    def known(self) -> Mapping[str, Any]:
        """The variables with their values."""
        return self._known

    @property
    def activation(self) -> Any:
        if self._activation is None:
            try:
                self._activation = _environment().Activation(self._known)
            except (RuntimeError, TypeError, ValueError, OverflowError) as error:
                raise Unanswered(f"the event cannot be asked: {error}") from None
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
            raise Unanswered(f"it gives {_named(value)}, neither true nor false")
        return value

    def value(self, facts: Facts) -> Any:
        """Its value: None, bool, int, float, str, list or dict, a datetime or a timedelta. Raises Unanswered."""
        try:
            answer = self._program.eval(facts.activation)
            if answer.type() == _library().Type.ERROR:
                raise Unanswered(_sentence(str(answer.value())))
            return answer.plain_value()
        except (RuntimeError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise Unanswered(_sentence(str(error))) from None


@lru_cache(maxsize=8192)
def compiled(text: str, *, wants: Wants = "bool") -> Expression:
    """The expression, ready to be asked. Raises Misconfigured with the position marked."""
    program, problems = _compile(text, "an expression", wants)
    if problems:
        raise Misconfigured.listing(problems)
    return Expression(text, program)


def mistakes(text: str, where: str, wants: Wants = "bool") -> list[Problem]:
    """Everything that is wrong with an expression, with the position marked; nothing is kept."""
    return _compile(text, where, wants)[1]


def terms(text: str, facts: Facts) -> list[tuple[str, Any]]:
    """The parts of an expression with their values, in the order they are written; an Unanswered in place of a value."""
    return []


@cache
def _library() -> Any:
    from cel_expr_python import cel  # type: ignore[import-untyped]  # its stubs stand there, without the mark that says so

    return cel


@cache
def _environment() -> Any:
    cel = _library()
    kinds = {name: getattr(cel.Type, kind, None) for name, kind in VARIABLES.items()}
    table = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return cel.NewEnv(variables={name: kind or table for name, kind in kinds.items()})


def _compile(text: str, where: str, wants: Wants) -> tuple[Any, list[Problem]]:
    try:
        program = _environment().compile(text)
    except RuntimeError as error:
        return None, [Problem(where, str(error))]
    return program, []


def _named(value: Any) -> str:
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a table", type(None): "nothing"}
    return names.get(type(value), f"a {type(value).__name__}")


def _sentence(raw: str) -> str:
    return raw
