"""The manifest: everything that is to be known about a cartridge without executing it.

Three forms hold one: a folder (`cartridge.toml` beside `cartridge.py`), one file with a `# /// cartridge` block, and a `.toml`
rule without code. Reading is static: the block is text and the code is only looked through for its `process`.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from eventctl import times
from eventctl.errors import Misconfigured, Problem
from eventctl.lines import lines_of, with_lines
from eventctl.lives import field_path
from eventctl.nearest import did_you_mean
from eventctl.regular import read_regular
from eventctl.rule import Rule
from eventctl.rule import mistakes as rule_mistakes
from eventctl.shapes import STORED, Duration, Patterns, Size, Slug, Slugs, Strings, Written
from eventctl.suggest import FILE_MAX, at, check, parse_toml, read_toml

API = 1
"""The version of the contract between eventctl and cartridges."""

CODE = "cartridge.py"
MANIFEST = "cartridge.toml"

_SLOT = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,63}")
_SETTING = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OPEN, _CLOSE = "# /// cartridge", "# ///"


def _slot(text: str) -> str:
    if not _SLOT.fullmatch(text):
        raise ValueError(f"a slot is lower-case letters, digits, '_' and '-', beginning with a letter, not {text[:40]!r}")
    return text


def _version(text: str) -> str:
    if not _VERSION.fullmatch(text):
        raise ValueError(f"a version begins with a digit, like '1.0.0', not {text[:40]!r}")
    return text


def _key(text: str) -> str:
    first, _, rest = text.partition(".")
    if (first == "payload") != bool(rest) or first not in ("entity", "source", "event", "domain", "payload"):
        raise ValueError(f"state belongs to entity, source, event, domain or payload.<field>, not {text[:40]!r}")
    field_path(text)
    return text


def _api(number: int) -> int:
    if number != API:
        raise ValueError(f"was written for api {number}, and this eventctl has {API}")
    return number


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


_KEY_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": 8}]}

Key = Annotated[
    tuple[str, ...],
    Field(strict=False, max_length=8),
    BeforeValidator(_listed),
    AfterValidator(lambda names: tuple(map(_key, names))),
    WithJsonSchema(_KEY_SCHEMA),
]
"""Dotted fields of an event, written as one or as a list; an empty list means one for all events."""

Slots = tuple[Annotated[str, AfterValidator(_slot)], ...]


class Setting(Written):
    """A setting that the cartridge takes. One without a default must be given."""

    type: Literal["str", "int", "float", "bool", "duration", "list", "choice"]
    default: Any = None
    help: str = ""
    choices: Strings = ()

    @model_validator(mode="after")
    def _fitting(self) -> Setting:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("a choice has choices" if self.type == "choice" else "only a choice has choices")
        if self.default is not None:
            self.value(self.default)
        return self

    def value(self, given: Any) -> Any:
        """What a cartridge gets for what people wrote; a duration as a timedelta. Raises ValueError with a sentence."""
        if self.type == "duration" and isinstance(given, str):
            return timedelta(microseconds=times.parse_duration(given))
        if self.type == "choice" and given not in self.choices:
            raise ValueError(f"is one of {', '.join(self.choices)}, not {str(given)[:40]!r}")
        kinds: dict[str, tuple[type, ...]] = {"float": (int, float), "list": (list,), "bool": (bool,), "int": (int,)}
        kind = kinds.get(self.type, (str,) if self.type != "duration" else ())
        if not isinstance(given, kind) or (isinstance(given, bool) and self.type != "bool"):
            raise ValueError(f"is of type {self.type}, not {str(given)[:40]!r}")
        return float(given) if isinstance(given, int) and self.type == "float" else given


class Permissions(Written):
    """What it may ask for beyond its own state: calls by executor, secrets by name, hosts for `fetch`."""

    calls: Strings = ()
    secrets: Strings = ()
    hosts: Strings = ()


class Limits(Written):
    """What one run may take: time in microseconds, memory in bytes. None follows the workspace."""

    time: Duration | None = None
    memory: Size | None = None


class _Head(Written):
    """What every form of cartridge says of itself."""

    id: Slug
    summary: Annotated[str, Field(min_length=1, max_length=500)]
    consumes: Patterns
    version: Annotated[str, AfterValidator(_version)] = "0.1.0"
    api: Annotated[int, AfterValidator(_api)] = API
    after: Slugs = ()
    requires: Slugs = ()

    @field_validator("after", "requires")
    @classmethod
    def _others(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("id") in names:
            raise ValueError("a cartridge cannot name itself here")
        return names


class CodeFile(_Head):
    """The manifest of a cartridge in code. `key` holds the dotted fields of the event that its state belongs to."""

    emits: Patterns = ()
    annotates: Annotated[Slots, Field(strict=False)] = ()
    key: Key = ("entity",)
    ordered: Literal["entity", "none"] = "entity"
    on_error: Literal["retry", "skip", "disable"] = "retry"
    runs: Literal["in-process", "worker", "sandbox"] = "in-process"
    settings: dict[str, Setting] = Field(default_factory=dict)
    permissions: Permissions = Permissions()
    limits: Limits = Limits()

    @field_validator("settings")
    @classmethod
    def _named(cls, settings: dict[str, Setting]) -> dict[str, Setting]:
        for name in settings:
            if not _SETTING.fullmatch(name):
                raise ValueError(f"a setting's name is lower-case letters, digits and '_', not {name[:40]!r}")
        return settings


class RuleFile(Rule, _Head):
    """The file of a rule without code."""


class Manifest(CodeFile):
    """A cartridge's manifest, whatever its form; `rule` stands in place of code, and `lines` says where each of its keys does."""

    rule: Rule | None = None
    lines: dict[str, int] = Field(default_factory=dict)


def load(path: Path, *, shown: str = "") -> Manifest:
    """The manifest of the cartridge at `path`, a folder or a `.py` file, its code looked through and never executed.

    `shown` is how messages name it (default: the path). Raises Misconfigured with every mistake.
    """
    where = shown or str(path)
    if path.is_dir() or path.name == MANIFEST:
        folder = path if path.is_dir() else path.parent
        where = where if path.name == MANIFEST else f"{where}/{MANIFEST}"
        code = where.removesuffix(MANIFEST) + CODE
        return _checked(lambda: read_toml(folder / MANIFEST, where), where, _read_code(folder / CODE), code)
    if path.suffix == ".toml":
        return of_rule(_readable(path, where), where)
    if path.suffix != ".py":
        raise Misconfigured("is no cartridge: one is a folder, a .py file or a .toml rule", where=where)
    return of_file(_readable(path, where), where)


def of_file(source: bytes, where: str) -> Manifest:
    """The manifest of a cartridge in one file of code, given as its bytes. Raises Misconfigured with every mistake."""
    return _checked(lambda: read_block(_text(source, where), where), where, source, where)


def of_folder(written: bytes, code: bytes, where: str, code_where: str) -> Manifest:
    """The manifest of a cartridge that is a folder, given as its bytes and those of its code. Raises Misconfigured as well."""
    return _checked(lambda: parse_toml(_text(written, where), where), where, code, code_where)


def of_rule(written: bytes, where: str) -> Manifest:
    """The manifest of a rule without code, given as its bytes. Raises Misconfigured as well."""
    return read_rule(_text(written, where), where)


def from_mapping(data: Mapping[str, Any], where: str) -> Manifest:
    """A manifest that a plugin brings as a mapping. Raises Misconfigured with every mistake."""
    return _manifest(check(CodeFile, data, where))


def read_rule(text: str, where: str = "the rule") -> Manifest:
    """The manifest of a rule without code, its expressions checked. Raises Misconfigured with every mistake and its line."""
    data, lines = parse_toml(text, where), lines_of(text)
    try:
        written = check(RuleFile, data, where)
    except Misconfigured as error:
        raise Misconfigured.listing(with_lines(error.problems, lines, where)) from None
    rule = Rule.model_construct(written.model_fields_set & Rule.model_fields.keys(), **_fields(written, Rule))
    problems = rule_mistakes(rule, where)
    if problems:
        raise Misconfigured.listing(with_lines(problems, lines, where))
    head = {**_fields(written, _Head), "annotates": rule.annotates, "rule": rule, "lines": lines, **_may(rule)}
    if rule.window:
        head["key"] = rule.window.per
    return Manifest.model_construct({"id", "summary", "consumes", *head}, **head)


def _may(rule: Rule) -> dict[str, Any]:
    """What follows from a rule's effects about what it may do."""
    return {"emits": rule.emits, "permissions": Permissions(calls=rule.calls)}


def dump(manifest: Manifest) -> bytes:
    """The checked manifest as JSON, for `undump`."""
    return manifest.model_dump_json(exclude_defaults=True, by_alias=True).encode()


def undump(stored: bytes) -> Manifest:
    """A manifest that `dump` stored. Raises ValueError for one that this version would not have let through."""
    manifest = Manifest.model_validate(orjson.loads(stored), context=STORED)
    if manifest.rule is not None and manifest.rule.propose is not None:  # an older version let it do less
        return manifest.model_copy(update=_may(manifest.rule))
    return manifest


def check_settings(manifest: Manifest, given: Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
    """The cartridge's settings, complete: what is given, else the default; durations as timedelta.

    Raises Misconfigured with every mistake.
    """
    where = where or f"settings of {manifest.id}"
    problems = [
        Problem(where, f"{manifest.id} has no setting {name!r}", did_you_mean(str(name), manifest.settings))
        for name in given
        if name not in manifest.settings
    ]
    values: dict[str, Any] = {}
    for name, setting in manifest.settings.items():
        value = given.get(name, setting.default)
        if value is None:
            problems.append(Problem(where, f"{manifest.id} needs {name!r}: {setting.help or setting.type}"))
            continue
        try:
            values[name] = setting.value(value)
        except ValueError as error:
            problems.append(Problem(at(where, (name,)), str(error)))
    if problems:
        raise Misconfigured.listing(problems)
    return values


def read_block(source: str, where: str = "the cartridge") -> dict[str, Any]:
    """The table in the `# /// cartridge` block of a file's text. Raises Misconfigured; line numbers are the file's."""
    lines = source.splitlines()
    starts = [number for number, line in enumerate(lines) if line.rstrip() == _OPEN]
    if len(starts) != 1:
        what = "has no `# /// cartridge` block" if not starts else "has more than one `# /// cartridge` block"
        raise Misconfigured(what, where=where, hint="" if starts else "`eventctl cartridge new` shows one")
    content: list[str] = []
    for line in lines[starts[0] + 1 :]:
        if line.rstrip() == _CLOSE:
            # Empty lines in place of what stands before the block, so that TOML's line numbers are those of the file.
            return parse_toml("\n" * (starts[0] + 1) + "\n".join(content), where)
        if not line.startswith("#"):
            break
        content.append(line[2:] if line.startswith("# ") else line[1:])
    number = starts[0] + len(content) + 2
    raise Misconfigured(
        f"the `# /// cartridge` block does not end: line {number} is neither `# ///` nor a comment", where=where
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema of `cartridge.toml`, for editors."""
    return _schema(CodeFile, MANIFEST)


def rule_schema() -> dict[str, Any]:
    """The JSON Schema of a rule's file, for editors."""
    return _schema(RuleFile, "a rule without code")


def _schema(model: type[Written], title: str) -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(), "title": title}


def _fields(written: Written, model: type[Written]) -> dict[str, Any]:
    return {name: getattr(written, name) for name in model.model_fields}


def _manifest(written: CodeFile) -> Manifest:
    return Manifest.model_construct(set(written.model_fields_set), **_fields(written, CodeFile))


def _checked(read: Callable[[], Mapping[str, Any]], where: str, source: bytes | Misconfigured, code_where: str) -> Manifest:
    code = [Problem(code_where, source.what)] if isinstance(source, Misconfigured) else _code_mistakes(source, code_where)
    try:
        manifest = _manifest(check(CodeFile, read(), where))
    except Misconfigured as error:
        raise Misconfigured.listing([*error.problems, *code]) from None
    if code:
        raise Misconfigured.listing(code)
    return manifest


def _read_code(path: Path) -> bytes | Misconfigured:
    try:
        source = read_regular(path, FILE_MAX + 1)
    except OSError as error:
        return Misconfigured(f"cannot be read: {error.strerror or error}")
    return source if len(source) <= FILE_MAX else Misconfigured(f"is larger than {FILE_MAX:,} bytes")


def _readable(path: Path, where: str) -> bytes:
    source = _read_code(path)
    if isinstance(source, Misconfigured):
        raise Misconfigured(source.what, where=where)
    return source


def _text(source: bytes, where: str) -> str:
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Misconfigured(f"is not UTF-8 (byte {error.start})", where=where) from None


def _code_mistakes(source: bytes, where: str) -> list[Problem]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in somebody's string is theirs to keep
            tree = ast.parse(source)
    except SyntaxError as error:
        return [Problem(f"{where}:{error.lineno or 1}", f"is not Python: {error.msg}")]
    except (ValueError, RecursionError, MemoryError) as error:
        return [Problem(where, f"is not Python: {error or 'nested too deep'}")]
    wanted = "async def process(event: Event, context: Context) -> Event | None"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "process":
            if _takes_two(node.args):
                return []
            return [Problem(f"{where}:{node.lineno}", "process takes two arguments, event and context", f"write `{wanted}`")]
    return [Problem(where, "has no function process", f"write `{wanted}`")]


def _takes_two(arguments: ast.arguments) -> bool:
    plain = len(arguments.posonlyargs) + len(arguments.args)
    required = plain - len(arguments.defaults)
    keywords = any(default is None for default in arguments.kw_defaults)
    return required <= 2 and (plain >= 2 or arguments.vararg is not None) and not keywords
