"""Writes the pages that the code itself knows best: `docs/cli.md`, `docs/settings.md` and the keys in `docs/dashboard.md`.

`python -m tools.reference` writes them.

`tests/test_docs.py` makes them again and compares.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import get_args, get_origin

import click
from pydantic import BaseModel

from eventctl import declaration, discovery, manifest, rule, settings
from eventctl.cli import COMMANDS, EXIT_CODES, SECTIONS, cli
from eventctl.obeyed import NOT_OBEYED
from eventctl.times import DAY
from tools import dashboardkeys, keys

DOCS = Path(__file__).resolve().parents[1] / "docs"
INTRODUCTION = (
    "Stdout is data, stderr is messages. Data commands take `--json`: one object with `schema_version`, and `items` for a list; times "
    "in JSON are UTC. People type short ids: `e12` is a record, `n7` a notification."
)
NOTE = "<!-- Made by `python -m tools.reference`; edits are lost. -->"


def command_page() -> str:
    """`docs/cli.md`: every command, in the order of `eventctl --help`."""
    parts = [
        "# The command line",
        NOTE,
        INTRODUCTION,
        f"{EXIT_CODES} A wrapped command returns its child's.",
        "## Options of every command",
        options(cli),
    ]
    for title, commands in SECTIONS.items():
        parts.append(f"## {title}")
        for name in commands:
            parts += describe(load(name), f"eventctl {name}", 3)
    return "\n\n".join(parts) + "\n"


def load(name: str) -> click.Command:
    module, _, attribute = COMMANDS[name][0].partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    return command


def describe(command: click.Command, path: str, depth: int) -> Iterator[str]:
    """A command, and below it the commands of its group."""
    words = [path, *(argument_text(param) for param in command.params if isinstance(param, click.Argument))]
    if isinstance(command, click.Group):
        words.append("COMMAND")
    yield f"{'#' * depth} `{path}`"
    yield f"`{' '.join(words)}`"
    yield help_text(command)
    table = options(command)
    if table:
        yield table
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.commands[name]
            if not inner.hidden:
                yield from describe(inner, f"{path} {name}", depth + 1)


def argument_text(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper().replace("_", "-")
    name += "..." if argument.nargs == -1 and not name.endswith("...") else ""
    return name if argument.required or name.startswith("[") else f"[{name}]"


def help_text(command: click.Command) -> str:
    """The help as Markdown: paragraphs as they are, blocks that click must not rewrap as code."""
    paragraphs = inspect.cleandoc(command.help or command.short_help or "").split("\n\n")
    shown: list[str] = []
    for paragraph in paragraphs:
        if paragraph.startswith("\b"):
            shown.append("```console\n" + paragraph.removeprefix("\b").strip("\n") + "\n```")
        else:
            shown.append(" ".join(paragraph.split()))
    return "\n\n".join(shown)


def options(command: click.Command) -> str:
    """The options as a table; what every command takes stands once, at the top of the page."""
    rows = []
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            names = ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
            value = "" if param.is_flag or param.count else f" {param.metavar or kind(param.type)}"
            default = f" Default: `{param.default}`." if param.show_default and isinstance(param.default, str | int) else ""
            help_ = " ".join((param.help or "").split())
            rows.append(f"| {names}{value} | {help_}{default} |")
    return "\n".join(["| option | |", "|---|---|", *rows]) if rows else ""


def kind(type_: click.ParamType[object]) -> str:
    if isinstance(type_, click.Choice):
        return " \\| ".join(str(choice) for choice in type_.choices)
    return type_.name.upper()


def settings_page() -> str:
    """`docs/settings.md`: every key of the files that people write."""
    with NamedTemporaryFile(suffix=".toml") as empty:  # a file that cannot be read has more held than usual
        defaults = {row.key: row.value for row in settings.explain(Path(empty.name))}
    parts = [
        "# The files that people write",
        NOTE,
        (
            "Durations are written `10s 5m 2h 7d`, levels `infrastructure operational workflow business` (or 0 to 3), patterns are dotted: "
            "`*` is one part, `**` the rest. Unknown keys are refused with a suggestion; all mistakes are told at once by "
            "`eventctl config check`. `eventctl config schema` prints JSON Schemas for your editor."
        ),
        "## eventctl.toml",
        (
            "Every key can be overridden by a variable: `EVENTCTL_RETENTION__EVENTS=30d`. A running `eventctl run` takes a change of the "
            "file up by itself, but for what says otherwise."
        ),
    ]
    for section, field in settings.Settings.model_fields.items():
        model = model_of(field.annotation)
        named = "" if isinstance(field.annotation, type) or model is None else ".<name>"
        if model is None:
            rows = [(f"{section}.<cartridge>", "a table", "", keys.SETTINGS[f"{section}.<cartridge>"])]
        else:
            path = f"{section}{named}"
            rows = [
                (key, kind_, shown(defaults.get(key, default)), meant("eventctl.toml", key, keys.SETTINGS))
                for key, kind_, default in deep(model, path)
            ]
        parts += [f"### [{section}{named}]", inspect.getdoc(model) or "" if model else "", table(rows)]
    parts += [
        "## cartridge.toml",
        "Also the `# /// cartridge` block of a cartridge in one file.",
        written("cartridge.toml", manifest.CodeFile, keys.MANIFEST),
        "## <id>.toml, a rule without code",
        "[Rules](rules.md) says what they mean, with examples.",
        table([(key, kind_, shown(default), keys.RULE[key]) for key, kind_, default in rule_fields()]),
        "## event_types.toml",
        written("event_types.toml", declaration.Part, keys.EVENT_TYPES),
        "## domain.toml",
        written("domain.toml", discovery.DomainFile, keys.DOMAIN),
        "## member.toml",
        written("member.toml", discovery.MemberFile, keys.MEMBER),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def written(file: str, model: type[BaseModel], sentences: dict[str, str]) -> str:
    """The keys of a file and of the tables in it."""
    return table([(key, kind_, shown(default), meant(file, key, sentences)) for key, kind_, default in nested(model, "")])


def meant(file: str, key: str, sentences: dict[str, str]) -> str:
    """What a key is for, and that it is not obeyed where that is so."""
    parts = ["*" if part.startswith("<") else part for part in key.split(".")]
    for pattern, sentence in NOT_OBEYED.get(file, {}).items():
        if parts[: pattern.count(".") + 1] == pattern.split("."):
            return f"{sentences[key]} **{sentence[0].upper()}{sentence[1:]}.**"
    return sentences[key]


def nested(model: type[BaseModel], path: str) -> Iterator[tuple[str, str, object]]:
    """Own keys first, then those of inner tables that are worth a row of their own."""
    yield from fields(model, path)
    for name, field in model.model_fields.items():
        inner = model_of(field.annotation)
        if inner is not None and not path:
            several = not isinstance(field.annotation, type)
            yield from fields(inner, f"{name}.<name>" if several else name)


def rule_fields() -> Iterator[tuple[str, str, object]]:
    """The keys of a rule's file and of its tables, those of the file itself first."""
    yield from fields(manifest.RuleFile, "")
    for name in ("window", *rule.EFFECTS):
        yield from fields(getattr(rule, name.capitalize()), name)


def deep(model: type[BaseModel], path: str) -> Iterator[tuple[str, str, object]]:
    """Own keys, and in the place of a table those of the table."""
    for key, kind_, default in fields(model, path):
        inner = model.model_fields.get(key.removeprefix(f"{path}."))
        if inner is not None and isinstance(inner.annotation, type) and issubclass(inner.annotation, BaseModel):
            yield from deep(inner.annotation, key)
        else:
            yield key, kind_, default


def fields(model: type[BaseModel], path: str) -> Iterator[tuple[str, str, object]]:
    """(key, kind, default) of a model's fields."""
    properties = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        key = field.alias or name
        default = field.get_default(call_default_factory=True) if not field.is_required() else REQUIRED
        yield f"{path}.{key}" if path else key, schema_kind(properties[key]), default


def model_of(annotation: object) -> type[BaseModel] | None:
    """The model that a field holds, alone or in a table of several."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is dict:
        return model_of(get_args(annotation)[1])
    return None


def schema_kind(schema: dict[str, object]) -> str:
    """What a JSON Schema asks for, in a word or two."""
    if "enum" in schema:
        return " ".join(f"`{value}`" for value in schema["enum"] if not isinstance(value, int))  # type: ignore[attr-defined]  # JSON
    if "examples" in schema:
        return " ".join(f"`{value}`" for value in schema["examples"])  # type: ignore[attr-defined]  # JSON
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return schema_kind(schema[key][0])  # type: ignore[index]  # JSON
    kinds = {"string": "text", "integer": "a number", "boolean": "`true` `false`", "array": "a list", "object": "a table"}
    return kinds.get(str(schema.get("type")), "a table" if "$ref" in schema else "any value")


REQUIRED = object()


def shown(default: object) -> str:
    """A default as people would write it; nothing where there is none."""
    if default is REQUIRED:
        return "required"
    if isinstance(default, BaseModel) or default in (None, "", (), [], {}):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if default == DAY:
        return "`24h`"
    if isinstance(default, dict):
        return ", ".join(f"{name} `{value}`" for name, value in default.items())
    return f"`{default}`"


def table(rows: Iterable[tuple[str, str, str, str]]) -> str:
    lines = [f"| `{key}` | {kind_} | {default} | {meaning} |" for key, kind_, default, meaning in rows]
    return "\n".join(["| key | kind | default | |", "|---|---|---|---|", *lines])


def dashboard_page() -> str:
    """`docs/dashboard.md` as it is written, with its tables of keys made anew."""
    return dashboardkeys.with_keys((DOCS / "dashboard.md").read_text("utf-8"))


PAGES = {"cli.md": command_page, "settings.md": settings_page, "dashboard.md": dashboard_page}


def main() -> None:
    """Write all pages, or those that are named."""
    for name, page in PAGES.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        (DOCS / name).write_text(page(), "utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
