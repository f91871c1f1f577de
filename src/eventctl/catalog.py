"""The catalog: which event types there are, what each means, and the lives they take part in.

It is put together from parts, one mapping each in the form of `event_types.toml`: what eventctl ships, what plugins bring, what
domains declare. A type or life with a mistake is left out and named; the rest stands. A catalog never changes: a reload makes
another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, NamedTuple

from eventctl.declaration import SHAPES, Part, TypePart, json_schema, read_part, shipped_parts
from eventctl.errors import NotFound, Problem
from eventctl.lint import absent_fields, audience_mistakes, loose_ends
from eventctl.lives import DEFAULT_AGEING, Ageing, Life, Path, Role, Template, field_path, is_audience
from eventctl.nearest import did_you_mean
from eventctl.occurrence import identity_prefix
from eventctl.suggest import Key, at, salvage
from eventctl.terminal import Clause
from eventctl.terminal import parse as parse_terminal
from eventctl.times import DAY

__all__ = ["Action", "Catalog", "EventType", "json_schema", "load", "read_part", "shipped_parts"]

_RESOLVES: Role = "resolves"
UNDECLARED_MAX = 4096
"""Undeclared types whose entry is kept at hand. Senders choose these names, so there is an end to them."""


class Action(NamedTuple):
    """Something that may be done about an event, and the type that says it was done."""

    summary: str
    emits: str


@dataclass(frozen=True, slots=True)
class EventType:
    """What is declared about a type. Times are microseconds; `lives` pairs a life's full name with what this type does to it.

    An undeclared type has `declared` False, level 1, no identity and no life. A `reserved` one may come from the platform only.
    """

    type: str
    summary: str = ""
    level: int = 1
    domain: str = ""
    visibility: str = "local"
    actionable: bool = False
    failure: bool = False
    identity: tuple[str, ...] = ()
    window: int = DAY
    on_duplicate: str = "drop"
    lives: tuple[tuple[str, Role], ...] = ()
    meaningful: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    payload: Mapping[str, str] = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None
    terminal_when: tuple[Clause, ...] = ()
    actions: Mapping[str, Action] = field(default_factory=dict)
    audience: str = "workspace"
    ageing: Ageing = DEFAULT_AGEING
    owner: str = ""
    declared: bool = False
    reserved: bool = False
    identity_paths: tuple[Path, ...] = ()
    meaningful_paths: tuple[Path, ...] = ()
    prefix: bytes = b""
    audience_template: Template | None = None

    def audience_for(self, payload: Mapping[str, Any]) -> str:
        """Who should see a notification of this event. A payload that names nobody leaves it to the workspace."""
        if self.audience_template is None:
            return self.audience
        filled = self.audience_template.fill({"payload": payload}, payload)
        return filled if is_audience(filled) else "workspace"

    @property
    def defaults(self) -> tuple[int, str, str]:
        """Level, domain and visibility of an event that states none."""
        return self.level, self.domain, self.visibility


class Catalog:
    """The declared types and lives. `version` names this exact content."""

    __slots__ = ("_lives", "_reserved", "_types", "_undeclared", "version")

    def __init__(self, types: Iterable[EventType] = (), lives: Iterable[Life] = (), reserved: Iterable[str] = ()) -> None:
        self._types = {entry.type: entry for entry in sorted(types, key=lambda entry: entry.type)}
        self._lives = {life.name: life for life in sorted(lives, key=lambda life: life.name)}
        self._reserved = tuple(sorted(f"{namespace}." for namespace in reserved))
        self._undeclared: dict[str, EventType] = {}
        content = [_content(entry) for entry in self._types.values()] + [
            (life.name, life.key, [title.text for title in life.titles]) for life in self._lives.values()
        ]
        self.version = sha256(repr([content, self._reserved]).encode(errors="backslashreplace")).hexdigest()[:16]

    def entry(self, name: str) -> EventType:
        """What is declared about a type, or what holds for undeclared ones."""
        return self._types.get(name) or self._undeclared.get(name) or self._undeclared_entry(name)

    def _undeclared_entry(self, name: str) -> EventType:
        if len(self._undeclared) >= UNDECLARED_MAX:
            self._undeclared.clear()
        entry = self._undeclared[name] = EventType(name, reserved=f"{name}.".startswith(self._reserved))
        return entry

    def life(self, name: str) -> Life:
        """A life by its full name. Raises NotFound."""
        try:
            return self._lives[name]
        except KeyError:
            raise NotFound(f"no life is called {name!r}", hint=did_you_mean(name, self._lives)) from None

    def lives(self) -> list[Life]:
        """Every life, by name."""
        return list(self._lives.values())

    def types(self) -> list[str]:
        """Every declared type, sorted."""
        return list(self._types)

    def __iter__(self) -> Iterator[EventType]:
        return iter(self._types.values())

    def __len__(self) -> int:
        return len(self._types)

    def declared(self, name: str) -> bool:
        """Whether the type is declared."""
        return name in self._types

    def owner(self, name: str) -> str:
        """Who declared the type; "" for nobody."""
        return self.entry(name).owner

    def payload_schema(self, name: str) -> dict[str, Any]:
        """The JSON Schema of a type's payload; any object when nothing is declared."""
        entry = self.entry(name)
        about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name, "type": "object"}
        if entry.summary:
            about["description"] = entry.summary
        if entry.schema is not None:
            return {**about, **entry.schema}
        return {
            **about,
            "properties": {name: SHAPES[shape.removesuffix("?")] for name, shape in entry.payload.items()},
            "required": [name for name, shape in entry.payload.items() if not shape.endswith("?")],
        }


def _content(entry: EventType) -> list[Any]:
    return [
        entry.type, entry.summary, entry.level, entry.domain, entry.visibility, entry.actionable, entry.failure, entry.identity,
        entry.window, entry.on_duplicate, entry.lives, entry.meaningful, entry.silent, entry.payload, entry.schema,
        entry.terminal_when, entry.actions, entry.audience, entry.ageing,
    ]  # fmt: skip


def load(parts: Iterable[tuple[str, Mapping[str, Any]]], *, ageing: Ageing = DEFAULT_AGEING) -> tuple[Catalog, list[Problem]]:
    """The catalog of these parts, each with its origin (a file, a plugin), and every mistake in them.

    Of two declarations of one type or life the first stands. A reserved namespace belongs to the origin that first claims it.
    """
    loading = _Loading(ageing)
    for origin, data in parts:
        loading.read(origin, data)
    return loading.finish()


def _unit(key: Key) -> Key:
    return key[:2] if key and key[0] in ("types", "lives") else key[:1]


class _Loading:
    """Parts on their way to a catalog: first all lives, then the types that take part in them, then what both leave open."""

    def __init__(self, ageing: Ageing) -> None:
        self._ageing = ageing
        self._parts: list[tuple[str, Part, set[str]]] = []
        self._lives: dict[str, Life] = {}
        self._types: dict[str, EventType] = {}
        self._reserved: dict[str, str] = {}
        self._problems: list[Problem] = []

    def read(self, origin: str, data: Mapping[str, Any]) -> None:
        part, _, problems = salvage(Part, data, origin, _unit)
        self._problems += problems
        if part is None:
            return
        self._parts.append((origin, part, set(data["lives"]) if isinstance(data.get("lives"), Mapping) else set()))
        if part.reserved:
            self._reserved.setdefault(part.namespace, origin)
        for name, spec in part.lives.items():
            self._add_life(f"{part.namespace}.{name}", tuple(spec.key), spec.title, at(origin, ("lives", name)), origin)

    def _add_life(self, full: str, key: tuple[str, ...], title: tuple[str, ...], where: str, origin: str) -> None:
        if full in self._lives:
            self._problems.append(Problem(where, f"the life {full!r} is declared by {self._lives[full].owner} already"))
            return
        try:
            self._lives[full] = Life.declare(full, key, title, origin)
        except ValueError as error:
            self._problems.append(Problem(where, str(error)))

    def finish(self) -> tuple[Catalog, list[Problem]]:
        for origin, part, written in self._parts:
            for name, spec in part.types.items():
                self._add_type(origin, part, name, spec, written)
        for entry in list(self._types.values()):
            self._wait(entry)
        catalog = Catalog(self._types.values(), self._lives.values(), self._reserved)
        return catalog, [*self._problems, *loose_ends(catalog)]

    def _add_type(self, origin: str, part: Part, name: str, spec: TypePart, written: set[str]) -> None:
        full, where = f"{part.namespace}.{name}", at(origin, ("types", name))
        mistakes = [*self._ownership(origin, full, where), *audience_mistakes(spec, where)]
        lives: list[tuple[str, Role]] = []
        for life, role in spec.lives.items():
            life_name = next((n for n in (f"{part.namespace}.{life}", life) if n in self._lives), None)
            if life_name is None:
                hint = "it is left out for a mistake of its own" if life in written else did_you_mean(life, part.lives)
                mistakes.append(Problem(f"{where}.lives", f"no life is called {life!r}", hint))
            else:
                lives.append((life_name, role))
        mistakes += absent_fields(spec, [self._lives[life] for life, _ in lives], where)
        if any(not mistake.warning for mistake in mistakes):
            self._problems += mistakes
            return
        self._problems += mistakes
        if spec.silent and not spec.meaningful:
            spec = spec.model_copy(update={"meaningful": _loud(spec, [self._lives[life] for life, _ in lives])})
        self._types[full] = _entry(full, part, spec, tuple(lives), origin, self._ageing, self._held(full, spec))

    def _wait(self, entry: EventType) -> None:
        """A type that another one's `terminal_when` waits for resolves the lives of that one."""
        for name in [clause.text for clause in entry.terminal_when if clause.kind == "event" and clause.text in self._types]:
            other = self._types[name]
            more = tuple((life, _RESOLVES) for life, _ in entry.lives if life not in dict(other.lives))
            where = f"{entry.owner}: {entry.type}: terminal_when"
            for life, role in other.lives:
                if life in dict(entry.lives) and role != _RESOLVES:
                    what = f"waits for {name!r}, which {role} the life {life!r} and does not end it"
                    self._problems.append(Problem(where, what, warning=True))
            for ended in [self._lives[life] for life, _ in more]:
                lost = [field for field in ended.key if other.payload and field.partition(".")[0] not in other.payload]
                if lost:
                    what = f"waits for {name!r}, whose payload lacks {lost[0]!r}, a key of the life {ended.name!r}"
                    self._problems.append(Problem(where, what, warning=True))
            self._types[name] = replace(other, lives=(*other.lives, *more))

    def _held(self, full: str, spec: TypePart) -> bool:
        inside = any(full.startswith(f"{namespace}.") for namespace in self._reserved)
        return inside if spec.reserved is None else spec.reserved

    def _ownership(self, origin: str, full: str, where: str) -> Iterator[Problem]:
        if full in self._types:
            yield Problem(where, f"the type {full!r} is declared by {self._types[full].owner} already")
        for namespace, owner in self._reserved.items():
            if full.startswith(f"{namespace}.") and owner != origin:
                yield Problem(where, f"the namespace {namespace!r} is reserved by {owner}", "choose a namespace of your own")


def _entry(
    full: str, part: Part, spec: TypePart, lives: tuple[tuple[str, Role], ...], origin: str, ageing: Ageing, reserved: bool
) -> EventType:
    def resolve(name: str) -> str:
        return f"{part.namespace}.{name}" if name in part.types else name

    clauses = parse_terminal(spec.terminal_when)
    return EventType(
        type=full,
        summary=spec.summary,
        level=spec.level,
        domain=next((d for d in (spec.domain, part.domain) if d is not None), _domain(part.namespace)),
        visibility=spec.visibility,
        actionable=spec.actionable,
        failure=spec.failure,
        identity=tuple(spec.identity),
        window=spec.window,
        on_duplicate=spec.on_duplicate,
        lives=lives,
        meaningful=tuple(spec.meaningful),
        silent=tuple(spec.silent),
        payload=spec.payload,
        schema=spec.payload_schema if isinstance(spec.payload_schema, dict) else None,
        terminal_when=tuple(c._replace(text=resolve(c.text)) if c.kind == "event" else c for c in clauses),
        actions={name: Action(action.summary, resolve(action.emits)) for name, action in spec.actions.items()},
        audience=spec.audience,
        ageing=ageing.override(**spec.ageing.model_dump()),
        owner=origin,
        declared=True,
        reserved=reserved,
        identity_paths=tuple(field_path(field) for field in spec.identity),
        meaningful_paths=tuple(field_path(field) for field in spec.meaningful),
        prefix=identity_prefix(full),
        audience_template=Template(spec.audience) if "{" in spec.audience else None,
    )


def _loud(spec: TypePart, lives: Iterable[Life]) -> tuple[str, ...]:
    """What is news where a type names only what is not: the other fields of its payload but the lives' keys, which never change."""
    quiet = {field.partition(".")[0] for field in (*spec.silent, *(field for life in lives for field in life.key))}
    return tuple(name for name in spec.payload if name not in quiet)


def _domain(namespace: str) -> str:
    first, _, rest = namespace.partition(".")
    return rest.partition(".")[0] if first == "domain" else ""
