"""What a declaration says that cannot work: fields that its payload lacks, lives without an end, types that nobody declares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from eventctl.declaration import TypePart
from eventctl.errors import Problem
from eventctl.lives import Life, Template, is_audience
from eventctl.nearest import did_you_mean
from eventctl.obeyed import NOT_OBEYED

if TYPE_CHECKING:
    from eventctl.catalog import Catalog


def audience_mistakes(spec: TypePart, where: str) -> Iterator[Problem]:
    if "{" not in spec.audience:
        if not is_audience(spec.audience):
            yield Problem(f"{where}.audience", f"is workspace, domain:<name> or member:<name>, not {spec.audience[:40]!r}")
        return
    try:
        Template(spec.audience)
    except ValueError as error:
        yield Problem(f"{where}.audience", str(error))


def absent_fields(spec: TypePart, lives: Sequence[Life], where: str) -> Iterator[Problem]:
    """Fields that something relies on and a declared payload does not have."""
    declared = set(spec.payload)
    if isinstance(spec.payload_schema, dict) and not {"$ref", "allOf", "anyOf", "oneOf"} & set(spec.payload_schema):
        declared = set(spec.payload_schema.get("properties", ()))
    if not declared:
        return
    uses = [(key, field) for key in ("identity", "meaningful", "silent") for field in getattr(spec, key)]
    uses += [(f"key of the life {life.name!r}", field) for life in lives for field in life.key]
    for use, field in uses:
        if field.partition(".")[0] not in declared:
            yield Problem(where, f"{field!r} ({use}) is no field of its payload", did_you_mean(field, declared))
    for life in lives:
        absent = [[path[0] for path in title.fields if path[0] not in declared] for title in life.titles]
        for name in absent[-1] if all(absent) else ():
            what = f"has no field {name!r}, so the title of the life {life.name!r} will show a ? there"
            yield Problem(where, what, did_you_mean(name, declared), warning=True)
    if lives and spec.meaningful and set(spec.meaningful) <= {field for life in lives for field in life.key}:
        yield Problem(where, "meaningful fields are the life's key, which never changes", warning=True)


def loose_ends(catalog: Catalog) -> Iterator[Problem]:
    """What only the whole catalog shows: lives without beginning or end, names of types that nobody declares."""
    for life in catalog.lives():
        roles = {role for entry in catalog for name, role in entry.lives if name == life.name}
        where = f"{life.owner}: {life.name}"
        if not roles & {"opens", "reopens"}:
            yield Problem(where, "no type opens this life", 'one says lives = { … = "opens" }', warning=True)
        begins = [entry for entry in catalog if (life.name, "resolves") not in entry.lives and life.name in dict(entry.lives)]
        ends = bool(begins) and all(any(clause.kind == "elapsed" for clause in entry.terminal_when) for entry in begins)
        if "resolves" not in roles and not ends:
            yield Problem(where, "no type resolves this life: its notifications stay until somebody does", warning=True)
    for entry in catalog:
        where = f"{entry.owner}: {entry.type}"
        wanted = [(f"action {name!r} emits", action.emits) for name, action in entry.actions.items()]
        wanted += [("terminal_when waits for", clause.text) for clause in entry.terminal_when if clause.kind == "event"]
        for use, name in wanted:
            if not catalog.declared(name):
                yield Problem(
                    where, f"{use} {name!r}, which nobody declares", did_you_mean(name, catalog.types()), warning=True
                )
        for clause in entry.terminal_when:
            if clause.kind in NOT_OBEYED["terminal_when"]:
                yield Problem(f"{where}: terminal_when", NOT_OBEYED["terminal_when"][clause.kind], "take it out", warning=True)
            if clause.kind == "text":
                hint = "clauses: '7d elapsed', 'event <type>', joined by OR"
                yield Problem(where, f"terminal_when says {clause.text!r}, which ends nothing by itself", hint, warning=True)
