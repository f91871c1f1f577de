"""A rule without code: what the tables of its `<id>.toml` may hold, and whether they make sense together.

A rule says when it holds, over which window, and what follows. Rules that *speak* (notify, emit, annotate, propose) run as
cartridges in the pipeline of their owner; rules that *shape* (set, group, silence) run inside the system pipeline, as data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from eventctl import expressions, recurring, times
from eventctl.errors import Problem
from eventctl.lives import field_path, is_audience
from eventctl.shapes import STORED, Duration, LevelNumber, Slug, Strings, TypeName, Written
from eventctl.templates import fields as template_fields
from eventctl.templates import mistakes as template_mistakes

LATENESS_MAX = times.WEEK
"""Windows count in the event's own time, and an event that came later than this after its time is not counted by any."""

WITHIN_MAX = 366 * times.DAY
COUNT_MAX = 10_000
"""The longest window and the highest count: what a window remembers has an end."""

DISTINCT_MAX = 200
"""The highest count of distinct values: they are remembered themselves, at up to a kilobyte for each of these."""

EXPRESSION_MAX = 4_000
"""Characters of one expression. The longest of the shipped rules has 80."""

WORDS_MAX = 64
"""Words of a command."""

Kind = Literal["threshold", "sequence", "absence", "flap", "rate", "inhibit"]
SHAPING_KINDS = ("flap", "inhibit")

_NEEDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "threshold": (("count",), ("distinct",)),
    "sequence": (("after", "then"), ()),
    "absence": (("expect",), ("after",)),
    "flap": (("value", "count"), ()),
    "rate": (("value",), ("change", "percent")),
    "inhibit": (("after",), ("until",)),
}
"""By kind: the keys that it must have, and those that it may have, beside `within`, `per` and `lateness`."""

_SLOT = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_ACTION = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def _expression(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: an expression asks something, like payload.spent > 100.0")
    if len(text) > EXPRESSION_MAX:
        raise ValueError(f"has {len(text):,} characters; {EXPRESSION_MAX:,} are allowed")
    return text


def _field(text: str) -> str:
    first, _, rest = text.partition(".")
    if (first == "payload") != bool(rest) or first not in ("entity", "source", "event", "domain", "payload"):
        near = get_close_matches(text, ("entity", "source", "event", "domain"), n=1)
        meant = near[0] if near else "payload.<field>" if first == "payload" else f"payload.{text[:40]}"
        what = f"a window belongs to entity, source, event, domain or payload.<field>, not to {text[:40]!r}"
        raise ValueError(f"{what}: did you mean {meant!r}?")
    field_path(text)
    return text


def _slot(text: str) -> str:
    if not _SLOT.fullmatch(text):
        raise ValueError(f"a slot is lower-case letters, digits, '_' and '-', beginning with a letter, not {text[:40]!r}")
    return text


def _action(text: str) -> str:
    if not _ACTION.fullmatch(text):
        raise ValueError(f"an action is lower-case letters, digits, '_' and '-', not {text[:40]!r}")
    return text


def _audience(text: str) -> str:
    if text and not is_audience(text):
        raise ValueError(f"an audience is workspace, domain:<name> or member:<name>, not {text[:40]!r}")
    return text


def _every(text: str) -> str:
    recurring.parse(text)
    return text


def _timezone(text: str) -> str:
    recurring.zone(text)
    return text


def _instant(value: Any, info: ValidationInfo) -> int:
    if isinstance(value, str):
        return times.parse_iso(value)
    if info.context is STORED and isinstance(value, int):
        return value
    raise ValueError(f"a time is text like '2026-12-01T00:00:00Z', not {str(value)[:40]!r}")


def _json(value: Any) -> Any:
    """TOML has dates and infinite numbers, and JSON has none."""
    if isinstance(value, dict):
        return {name: _json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    if isinstance(value, str | bool | int) or (isinstance(value, float) and isfinite(value)):
        return value
    raise ValueError(f"a value is text, a number, true or false, a list or a table, not {value!s:.40}: write it in quotes")


Cel = Annotated[str, AfterValidator(_expression)]
"""An expression in CEL, the Common Expression Language."""

Template = Annotated[str, Field(max_length=EXPRESSION_MAX)]
"""Text with fields of the event in braces: `{payload.name}`."""

Value = Annotated[Any, BeforeValidator(_json)]
Payload = Annotated[dict[str, Any], BeforeValidator(lambda value: _json(value) if isinstance(value, dict) else value)]


class Window(Written):
    """What a rule counts or waits for. Durations are microseconds; `per` names the fields whose values each have a window."""

    kind: Kind
    within: Duration
    per: Annotated[tuple[Annotated[str, AfterValidator(_field)], ...], Field(strict=False, max_length=8)] = ("entity",)
    lateness: Duration | None = None
    count: Annotated[int, Field(ge=1, le=COUNT_MAX)] | None = None
    distinct: Cel | None = None
    after: Cel | None = None
    then: Cel | None = None
    expect: Cel | None = None
    until: Cel | None = None
    value: Cel | None = None
    change: float | None = None
    percent: float | None = None

    @model_validator(mode="after")
    def _possible(self) -> Window:
        for sentence in self._impossible():
            raise ValueError(sentence)
        return self

    def _impossible(self) -> Iterator[str]:
        needs, may = _NEEDS[self.kind]
        article = "an" if self.kind[0] in "aeiou" else "a"
        keys = [name for names in _NEEDS.values() for part in names for name in part]
        given = [name for name in dict.fromkeys(keys) if getattr(self, name) is not None]
        missing = [name for name in needs if name not in given]
        extra = [name for name in given if name not in (*needs, *may)]
        if missing:
            yield f"{article} {self.kind} needs {' and '.join(repr(name) for name in missing)}"
        if extra:
            yield f"{article} {self.kind} has no {extra[0]!r}; it takes {', '.join((*needs, *may))}, within, per and lateness"
        if self.kind == "rate" and (self.change is None) == (self.percent is None):
            yield "a rate needs either 'change' (by how much) or 'percent' (of the value before)"
        if self.distinct and self.count and self.count > DISTINCT_MAX:
            yield f"distinct values are remembered one by one: count at most {DISTINCT_MAX} of them"
        if self.change == 0 or self.percent == 0:
            yield "a change of 0 is no change: say by how much, negative for a fall"
        if self.change is not None and not isfinite(self.change):
            yield "change is a number"
        if not 0 < self.within <= WITHIN_MAX:
            yield f"within is longer than 0 and at most {times.format_duration(WITHIN_MAX)}"
        if self.lateness is not None and self.lateness > LATENESS_MAX:
            yield f"lateness is at most {times.format_duration(LATENESS_MAX)}: what comes later is not counted"


class Notify(Written):
    """A notice. `key` tells one from another: the same key again updates the notification that stands."""

    title: Annotated[Template, Field(min_length=1)]
    text: Template = ""
    level: LevelNumber = 2
    key: Template = ""
    audience: Annotated[str, AfterValidator(_audience)] = ""


class Emit(Written):
    """A new event of a declared type. Fields that are not given follow from the event that the rule matched."""

    event: TypeName
    payload: Payload = Field(default_factory=dict)
    entity: Template | None = None
    level: LevelNumber | None = None
    description: Template = ""


class Annotate(Written):
    """What is noted about the event, beside it, under a slot of this rule."""

    slot: Annotated[str, AfterValidator(_slot)]
    value: Value = True


Words = Annotated[tuple[Template, ...], Field(strict=False, min_length=1, max_length=WORDS_MAX)]
"""A command: each word a template that stays one word, never a shell's line."""


class Propose(Written):
    """Something that is to be done: an event, a command or an agent's work. Autonomy decides whether it is, and who is asked."""

    action: Annotated[str, AfterValidator(_action)]
    summary: Annotated[Template, Field(min_length=1)]
    emits: TypeName | None = None
    payload: Payload = Field(default_factory=dict)
    command: Words | None = None
    agent: Slug | None = None
    instructions: Template = ""
    undo: Words | None = None
    title: Template = ""

    @model_validator(mode="after")
    def _one_way(self) -> Propose:
        ways = [name for name in ("emits", "command", "agent") if getattr(self, name) is not None]
        if len(ways) != 1:
            said = "nothing to do" if not ways else " and ".join(ways)
            raise ValueError(f"has {said}: it has one of emits, command, agent")
        for name, way in (("payload", "emits"), ("instructions", "agent")):
            if getattr(self, name) and ways != [way]:
                raise ValueError(f"{name} belongs to {way}")
        if self.agent is not None and not self.instructions.strip():
            raise ValueError("an agent is given instructions")
        if template_fields(self.instructions):
            raise ValueError("instructions hold no places: an agent is given the event apart from them, as data")
        if self.undo is not None and self.emits is not None:
            raise ValueError("an event cannot be taken back: undo belongs to command or agent")
        return self

    @property
    def calls(self) -> tuple[str, ...]:
        """The executors that it may call."""
        return ("agent", *(("command",) if self.undo else ())) if self.agent else ("command",) if self.command else ()


class Set(Written):
    """What the event counts as, before anybody sees it."""

    level: LevelNumber


class Group(Written):
    """One notification for all events that agree in these fields."""

    by: Annotated[Strings, Field(min_length=1, max_length=8)]
    title: Template = ""

    @model_validator(mode="after")
    def _fields(self) -> Group:
        for text in self.by:
            _field(text)
        return self


class Silence(Written):
    """Who would be told is not. It ends: `for` from the match on, at an instant, or with each time of the week in `every`."""

    for_: Duration | None = Field(default=None, alias="for")
    until: Annotated[int, BeforeValidator(_instant)] | None = None
    every: Annotated[tuple[Annotated[str, AfterValidator(_every)], ...], Field(strict=False)] = ()
    timezone: Annotated[str, AfterValidator(_timezone)] = ""
    reason: Template = ""

    @model_validator(mode="after")
    def _ending(self) -> Silence:
        ends = [name for name, given in (("for", self.for_), ("until", self.until), ("every", self.every)) if given]
        if len(ends) > 1:
            raise ValueError(f"has {' and '.join(ends)}: a silence ends in one way")
        if self.for_ == 0:
            raise ValueError("for is longer than 0")
        if self.timezone and not self.every:
            raise ValueError("timezone belongs to every")
        return self


SPEAKING = ("notify", "emit", "annotate", "propose")
SHAPING = ("set", "group", "silence")
EFFECTS = (*SPEAKING, *SHAPING)


class Rule(Written):
    """When a rule holds and what follows from it. Each effect stands once or not at all."""

    when: Cel | None = None
    mode: Literal["live", "shadow"] = "live"
    window: Window | None = None
    notify: Notify | None = None
    emit: Emit | None = None
    annotate: Annotate | None = None
    propose: Propose | None = None
    set: Set | None = None
    group: Group | None = None
    silence: Silence | None = None

    @property
    def shaping(self) -> bool:
        """Whether it acts inside the system pipeline, on the event itself, rather than speak about it."""
        return bool(self.window and self.window.kind in SHAPING_KINDS) or any(
            getattr(self, name) is not None for name in SHAPING
        )

    @property
    def effects(self) -> list[str]:
        """The names of its effects, as they are written."""
        return [name for name in EFFECTS if getattr(self, name) is not None]

    @property
    def emits(self) -> tuple[str, ...]:
        """The types of the events that it may bring about."""
        proposed = self.propose.emits if self.propose else None
        return tuple(dict.fromkeys([*([self.emit.event] if self.emit else []), *([proposed] if proposed else [])]))

    @property
    def calls(self) -> tuple[str, ...]:
        """The executors that it may call."""
        return self.propose.calls if self.propose else ()

    @property
    def annotates(self) -> tuple[str, ...]:
        """The slots that it writes, when it speaks."""
        return (self.annotate.slot,) if self.annotate else ()

    def templates(self) -> Iterator[tuple[str, str]]:
        """Every template with its key, those in lists and tables too."""
        for name in self.effects:
            effect = getattr(self, name)
            for field in effect.model_fields_set if isinstance(effect, Written) else ():
                yield from _texts(getattr(effect, field), f"{name}.{field}")

    def expressions(self) -> Iterator[tuple[str, str]]:
        """Every expression with its key."""
        if self.when:
            yield "when", self.when
        for name in _EXPRESSIONS if self.window else ():
            if text := getattr(self.window, name):
                yield f"window.{name}", text

    def texts(self) -> Iterator[str]:
        """Every expression and template."""
        yield from (text for _, text in self.expressions())
        yield from (text for _, text in self.templates())

    @model_validator(mode="after")
    def _sensible(self) -> Rule:
        for sentence in self._senseless():
            raise ValueError(sentence)
        return self

    def _senseless(self) -> Iterator[str]:
        kind = self.window.kind if self.window else ""
        speaks = [name for name in self.effects if name in SPEAKING]
        shapes = [name for name in self.effects if name in SHAPING]
        if speaks and shapes:
            yield (
                f"[{speaks[0]}] speaks about the event and [{shapes[0]}] changes what it counts as: "
                "they happen in two places, write two rules"
            )
        if kind in SHAPING_KINDS and speaks:
            yield f"the window {kind!r} mutes what it matches, and [{speaks[0]}] speaks: write two rules"
        if kind == "absence" and shapes:
            yield f"an absence has no event that [{shapes[0]}] could change; it can notify, emit or propose"
        if kind == "absence" and self.annotate:
            yield "an absence has no event to annotate; it can notify, emit or propose"
        if not self.effects and kind not in SHAPING_KINDS:
            yield f"has no effect: it needs one of [{'], ['.join(EFFECTS)}]"
        if self.silence and not kind and not (self.silence.for_ or self.silence.until or self.silence.every):
            yield "a silence ends: give it for, until or every"


def mistakes(rule: Rule, where: str) -> list[Problem]:
    """What is wrong in a rule's expressions and templates, each with its key."""
    problems = list(expressions.mistakes(rule.when, f"{where}: when")) if rule.when else []
    for name in _EXPRESSIONS:
        text = getattr(rule.window, name) if rule.window else None
        if text is not None:
            problems += expressions.mistakes(text, f"{where}: window.{name}", _wants(rule, name))
    for key, text in rule.templates():
        problems += [Problem(f"{where}: {key}", what, hint) for what, hint in template_mistakes(text, window=bool(rule.window))]
    return problems


_EXPRESSIONS = ("distinct", "after", "then", "expect", "until", "value")


def _wants(rule: Rule, name: str) -> expressions.Wants:
    if name not in ("distinct", "value"):
        return "bool"
    return "number" if rule.window and rule.window.kind == "rate" else "any"


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, f"{key}.{name}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{key}[{number}]")
