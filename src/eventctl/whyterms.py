"""The terms of an expression over one event, with their values: for sentences, and as plain data.

Values are data from strangers. They are quoted as JSON and cut; whoever prints a sentence passes it through `safe_text`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from eventctl.times import format_duration, from_datetime, iso

VALUE_MAX = 80
"""Characters of a value within a sentence."""

FIELDS_MAX = 8

_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
_FIELD = re.compile(
    r"(?<![\w.])(?:event|source|level|domain|entity|principal|now|payload|annotations)\b(?:\.[A-Za-z_]\w*\b(?!\s*\())*(?!\s*\()"
)
_TABLES = ("payload", "annotations")


class Missing(NamedTuple):
    """In place of the value of a field that the event does not have."""


class Term(NamedTuple):
    """A part of an expression. `value` is its own, `why` in its place the reason why it has none.

    `fields` are the values in it, by name; `parts` what `||` or `!` make it of.
    """

    text: str
    value: Any
    why: str
    fields: dict[str, Any]
    parts: tuple[Term, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it is true."""
        return self.value is True and not self.why

    def sentence(self) -> str:
        """It in half a sentence: `payload.spent > 10.0` is false (payload.spent is 9)."""
        said = f"`{self.text}` has no answer: {self.why}" if self.why else f"`{self.text}` is {quoted(self.value)}"
        given = [(name, value) for name, value in self.fields.items() if not (self.why and isinstance(value, Missing))]
        inside = [part.sentence() for part in self.parts] or [named(name, value) for name, value in given]
        return f"{said} ({', '.join(inside)})" if inside else said

    def form(self) -> dict[str, Any]:
        """It as plain data; a field that is missing has no entry in `fields`."""
        fields = {name: plain(value) for name, value in self.fields.items() if not isinstance(value, Missing)}
        missing = [name for name, value in self.fields.items() if isinstance(value, Missing)]
        return {
            "term": self.text, "value": None if self.why else plain(self.value), "no_answer": self.why or None, "fields": fields,
            "missing": missing, "parts": [part.form() for part in self.parts],
        }  # fmt: skip


def terms(text: str, facts: Any) -> list[Term]:
    """What has to be true for an expression to be true, each with its value over the event of these `Facts`, in their order."""
    from eventctl.expressions import conjuncts

    return [_term(part, facts) for part in conjuncts(text)]


def value(text: str, facts: Any) -> Term:
    """An expression that is no condition, with its value."""
    return _asked(text, facts, ())


def quoted(value: Any) -> str:
    """A value within a sentence."""
    text = orjson.dumps(plain(value), default=str).decode()
    return text if len(text) <= VALUE_MAX else text[: VALUE_MAX - 1] + "…"


def named(name: str, value: Any) -> str:
    """A field and its value: `payload.spent is 9`."""
    if isinstance(value, Missing):
        return f"there is no {name}"
    if name in _TABLES and isinstance(value, Mapping):
        return f"{name} has {quoted(list(value))}"
    return f"{name} is {quoted(value)}"


def plain(value: Any) -> Any:
    """A value as JSON holds it; times and durations as text."""
    if isinstance(value, datetime):
        return iso(from_datetime(value))
    if isinstance(value, timedelta):
        return format_duration(value // timedelta(microseconds=1))
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _term(text: str, facts: Any) -> Term:
    from eventctl.expressions import parts_of

    conditions = [part for part in parts_of(text) if part != text]
    sides = [part for part in conditions if text.startswith(part) or text.endswith(part)]
    joined = [part for part in conditions if any(operator in part for operator in ("==", "!=", "<", ">", " in ", "("))]
    compound = text.startswith("!") or len(joined) > 1 or (joined and joined[0] not in sides)
    return _asked(text, facts, tuple(_asked(part, facts, ()) for part in joined) if compound else ())


def _asked(text: str, facts: Any, parts: tuple[Term, ...]) -> Term:
    from eventctl.errors import Misconfigured
    from eventctl.expressions import Unanswered, compiled

    try:
        return Term(text, compiled(text, wants="any").value(facts), "", _fields(text, facts), parts)
    except Unanswered as none:
        return Term(text, None, str(none), _fields(text, facts), parts)
    except Misconfigured as wrong:  # a part of something longer, which makes no sense alone
        return Term(text, None, str(wrong), {}, parts)


def _fields(text: str, facts: Any) -> dict[str, Any]:
    names = list(dict.fromkeys(_FIELD.findall(_QUOTED.sub("''", text))))
    found = {name: _look_up(facts.known, name) for name in names[:FIELDS_MAX]}
    return {name: value for name, value in found.items() if name != text}


def _look_up(known: Mapping[str, Any], path: str) -> Any:
    found: Any = iso(known["now"]) if path == "now" else known
    for part in path.split(".") if path != "now" else ():
        if not isinstance(found, Mapping) or part not in found:
            return Missing()
        found = found[part]
    return found
