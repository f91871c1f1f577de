"""Nothing that people may write is taken and ignored: each key is read by the code that obeys it, or is told to be not obeyed.

A key counts as read where a function outside its own module names it and the table that it stands in. That is no proof that it
is obeyed, and it is a proof that nobody forgot it: the tests of each part say the rest.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel, create_model

import eventctl
from eventctl.catalog import EventType, shipped_parts
from eventctl.declaration import Part, TypePart
from eventctl.discovery import DomainFile, MemberFile
from eventctl.manifest import CodeFile, RuleFile
from eventctl.obeyed import NOT_OBEYED, unobeyed
from eventctl.settings import Settings
from eventctl.shapes import Written

ROOT = Path(eventctl.__file__).parent
FORMS = {"settings", "manifest", "declaration", "obeyed", "shapes", "lint"}
"""Modules that say what may be written, and whose own look at it does not count."""

FILES: dict[str, tuple[type[BaseModel], set[str], set[str]]] = {
    "eventctl.toml": (Settings, {"given", "settings", "section"}, FORMS),
    "cartridge.toml": (CodeFile, {"manifest", "given", "read"}, FORMS - {"manifest"}),
    "<id>.toml": (RuleFile, {"manifest", "rule"}, FORMS | {"rule"}),
    "domain.toml": (DomainFile, {"file"}, FORMS),
    "member.toml": (MemberFile, {"_written"}, FORMS),
    "event_types.toml": (Part, {"part"}, FORMS),
}
"""For each file its model, the names that its content goes by in the code, and the modules that do not count."""

FOR_READERS = {"domain.toml: summary"}
"""A sentence for whoever opens the file promises nothing."""

SELF_READ = {"cartridge.toml: api", "<id>.toml: api", "cartridge.toml: settings.*.type", "cartridge.toml: settings.*.choices"}
"""What the reader of the file itself obeys: it refuses what does not fit."""


@cache
def functions() -> list[tuple[str, frozenset[str]]]:
    """Every function of the package: its module, and the attributes, names and words in it."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        found += [
            (module, frozenset(words(node))) for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
    return found


def words(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute):
            yield inner.attr
        elif isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.arg):
            yield inner.arg
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys of a file: a table of several names counts as `*`, one without a model as a leaf."""
    for name, field in model.model_fields.items():
        inner, several = table_of(field.annotation)
        below = (*path, name, *(["*"] if several else []))
        if inner is None:
            yield (*path, name)
        else:
            yield from leaves(inner, below)


def table_of(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) is UnionType:
        return next((found for each in get_args(annotation) if (found := table_of(each)[0])), None), False
    if get_origin(annotation) is dict:
        return table_of(get_args(annotation)[1])[0], True
    return None, False


def is_read(key: tuple[str, ...], called: Iterable[str], except_in: set[str]) -> bool:
    """Whether a function names the key together with its table (at the top: with what the file's content is called)."""
    tables = [part for part in key[:-1] if part != "*"]
    near = {tables[-1], f"_{tables[-1]}"} if tables else set(called)
    leaf = {key[-1], f"_{key[-1]}"}
    return any(said & leaf and said & near for module, said in functions() if module not in except_in)


def ignored(file: str, model: type[BaseModel]) -> list[str]:
    """The keys that nobody reads and no table excuses."""
    _, called, except_in = FILES[file]
    wrong = []
    for key in leaves(model):
        name = f"{file}: {'.'.join(key)}"
        excused = name in FOR_READERS | SELF_READ or any(
            key[: len(parts)] == parts for parts in (tuple(pattern.split(".")) for pattern in NOT_OBEYED.get(file, ()))
        )
        if not excused and not is_read(key, called, except_in):
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("file", [file for file in FILES if file != "event_types.toml"])
def test_every_key_is_read_somewhere_or_said_to_be_not_obeyed(file):
    assert [] == ignored(file, FILES[file][0])


def test_every_key_of_an_event_type_is_read_from_the_catalog():
    forms = FORMS | {"catalog", "cli.events"}
    fields = ["schema" if name == "payload_schema" else name for name in TypePart.model_fields]
    assert set(fields) <= set(EventType.__dataclass_fields__)
    unread = [
        name for name in fields if not is_read((name,), {"entry"}, forms) and not is_read((f"{name}_for",), {"entry"}, forms)
    ]
    # The other keys say what an event is, for its readers: `events show` and `events schema` print them.
    assert {"summary", "window", "payload", "schema", "actions", "visibility", "silent"} >= set(unread)


def test_what_is_said_to_be_not_obeyed_is_a_key_of_its_file():
    for file, keys in NOT_OBEYED.items():
        there = list(leaves(FILES[file][0])) if file in FILES else [("seen",), ("action",)]
        for pattern in keys:
            parts = tuple(pattern.split("."))
            assert any(key[: len(parts)] == parts for key in there), f"{file}: {pattern}"
            assert keys[pattern].endswith("not obeyed by this version") or "not obeyed by this version:" in keys[pattern]


@pytest.mark.parametrize(
    ("section", "leaf"), [("runner", "banana"), ("retention", "lease"), ("correlation", "strictness"), ("inbox", "burst")]
)
def test_a_key_that_nobody_reads_is_caught(section, leaf):
    inner = create_model("Inner", __base__=Written, **{leaf: (int, 5)})
    model = create_model("Made", __base__=Written, **{section: (inner, ...)})
    assert [f"eventctl.toml: {section}.{leaf}"] == ignored("eventctl.toml", model)


@pytest.mark.parametrize(
    ("file", "given", "keys"),
    [
        ("eventctl.toml", {"sources": {"a": {}, "b": {}}, "members": {"x": {"role": "admin", "domains": []}}}, 2),
        ("eventctl.toml", {"trust": {"strictness": "strict"}, "sources": {}}, 0),
        ("domain.toml", DomainFile.model_validate({"guardian": {"judge": "rules"}, "summary": "s"}), 0),
        ("member.toml", MemberFile(digest="08:30", quiet=("22:00-07:00",)), 2),
        ("cartridge.toml", {"permissions": {"hosts": ["a"]}, "limits": {"memory": 5, "time": 1}}, 1),
    ],
)
def test_what_is_set_and_not_obeyed_is_found(file, given, keys):
    assert keys == len(list(unobeyed(file, given)))


# --- what the platform says -------------------------------------------------------------------------------------------------------


def reserved() -> Iterator[str]:
    for part in shipped_parts():
        for name, spec in part.get("types", {}).items():
            if spec.get("reserved", part.get("reserved", False)):
                yield f"{part['namespace']}.{name}"


def unspoken(types: Iterable[str], texts: Mapping[str, str]) -> list[str]:
    """The types whose name stands in no module as a word of its own."""
    said = {node.value for text in texts.values() for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
    return [name for name in types if name not in said]


def test_every_type_that_only_the_platform_may_emit_is_emitted_by_some_code():
    texts = {str(path): path.read_text("utf-8") for path in sorted(ROOT.rglob("*.py")) if "cli" not in path.parts}
    assert len(list(reserved())) > 12
    assert [] == unspoken(reserved(), texts)
    assert ["system.banana.peeled"] == unspoken(["system.banana.peeled"], texts)
