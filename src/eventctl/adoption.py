"""Taking an unknown event type into a domain: what its events had in common becomes a block of `event_types.toml`.

The block is appended and nothing else in the file changes by a byte. What a table of fields cannot say (nested fields, fields of
several types) goes into a JSON Schema beside the file. The result is read by the loader that reads it ever after before it takes
the file's place, so a file that worked is never replaced by one that does not. Names and texts come from strangers: they are
written so that TOML reads back what was sent and no screen obeys it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventctl.declaration import read_part
from eventctl.discoveries import Discovery
from eventctl.errors import Conflict, Misconfigured, NotFound, Problem, UsageError
from eventctl.event import Level
from eventctl.inference import Field, Shape, choices, ordered
from eventctl.nearest import did_you_mean
from eventctl.regular import read_regular
from eventctl.suggest import FILE_MAX
from eventctl.text import json_safe, safe_text
from eventctl.times import iso

LINE_MAX = 120
IDENTITY_MAX = 3
_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_SIMPLE = {
    frozenset({"string"}): "str", frozenset({"integer"}): "int", frozenset({"number"}): "float",
    frozenset({"integer", "number"}): "float", frozenset({"boolean"}): "bool", frozenset({"null"}): "any",
}  # fmt: skip
_SCALARS = frozenset({"string", "integer", "number", "boolean", "null"})
_OPENS = ("created", "failed", "fired", "opened", "raised", "received", "requested", "started", "triggered")
_RESOLVES = ("cancelled", "closed", "completed", "done", "finished", "published", "resolved", "succeeded")


@dataclass(frozen=True, slots=True)
class Adoption:
    """What would be written: `block` at the end of `file` (`before` is what stands there now; None: no file), and a schema beside it."""

    type: str
    file: Path
    before: bytes | None
    block: str
    schema_file: Path | None
    schema: str

    @property
    def content(self) -> bytes:
        """The file as it will be."""
        held = self.before or b""
        text = self.block.replace("\n", "\r\n") if b"\r\n" in held else self.block
        gap = b"" if held.endswith(b"\n") or not held else b"\n"
        return held + gap + text.encode()


def place(root: Path, type_: str, *, domain: str = "", domains: Mapping[str, Path]) -> Path:
    """The `event_types.toml` of the domain that a type's name speaks of. Raises `UsageError`, `NotFound`.

    `domains` are those that there are, with their folders.
    """
    first, _, rest = type_.partition(".")
    named, _, short = rest.partition(".")
    if first != "domain" or not short:
        hint = "declare it in a plugin's part of the catalog (`--file PATH`), or send it as domain.<name>." + type_
        raise UsageError(f"{type_!r} is no domain's: the types of a domain begin with domain.<name>.", hint=hint)
    if domain and domain != named:
        hint = f"leave `--domain` out, or say `--domain {named}`"
        raise UsageError(f"{type_!r} is outside the namespace of {domain!r}, which is 'domain.{domain}'", hint=hint)
    if named not in domains:
        hint = did_you_mean(named, domains) or f"make the folder company/domains/{named}"
        raise NotFound(f"there is no domain {named!r}", where=str(root), hint=hint)
    return domains[named] / "event_types.toml"


def draft(found: Discovery, file: Path, *, level: int = 1, summary: str = "", shown: str = "") -> Adoption:
    """The declaration of what was found, for the end of `file`. Writes nothing. Raises `UsageError`, `Misconfigured`."""
    file = file.resolve()  # a link to the file is kept, and what it leads to is edited
    before: bytes | None = None
    written: Any = ()
    namespace = ".".join(found.type.split(".")[: 2 if found.type.startswith("domain.") else 1])
    if file.exists():
        origin, data = read_part(file, shown=shown)
        before = read_regular(file, FILE_MAX)
        namespace, written = str(data.get("namespace", "")), data.get("types", ())
        if not namespace:
            raise Misconfigured("has no namespace", where=origin, hint='namespace = "…" in its first line')
    if not found.type.startswith(f"{namespace}."):
        raise UsageError(
            f"{found.type!r} is outside the namespace of this file, which is {namespace!r}", where=shown or str(file)
        )
    name = found.type.removeprefix(f"{namespace}.")
    if isinstance(written, dict) and name in written:
        hint = "`eventctl config check` says why it does not hold"
        raise Conflict(f"{found.type!r} is written there already", where=shown or str(file), hint=hint)
    simple = _simple(found.shape)
    schema_file = None if simple is not None else file.parent / f"{name}.schema.json"
    block = "" if before is not None else f"namespace = {quoted(namespace)}\n"
    block += "\n" + _block(found, name, level, summary, simple)
    return Adoption(found.type, file, before, block, schema_file, "" if simple is not None else _schema_text(found))


def write(adoption: Adoption, check: Callable[[Mapping[str, Any]], list[Problem]]) -> None:
    """Put the declaration in its place, all of it or nothing.

    `check` is given the file as it will be read and names what is wrong with it. Raises `Misconfigured` with that, and `Conflict`
    when the file has changed since the draft or a schema of that name stands there.
    """
    made: list[Path] = []
    try:
        if adoption.schema_file is not None:
            _new_file(adoption.schema_file, adoption.schema)
            made.append(adoption.schema_file)
        aside = _aside(adoption)
        made.append(aside)
        _confirm(adoption, check(_read(aside, adoption)))
        aside.replace(adoption.file)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise
    _sync(adoption.file.parent)


def _read(aside: Path, adoption: Adoption) -> dict[str, Any]:
    try:
        return read_part(aside, shown=str(adoption.file))[1]
    except Misconfigured as error:
        hint = "add it by hand: `--dry-run` prints the block"
        raise Misconfigured(f"cannot take a block at its end: {error.what}", where=error.where, hint=hint) from error


def _confirm(adoption: Adoption, problems: list[Problem]) -> None:
    if problems:
        raise Misconfigured.listing(problems)
    if (read_regular(adoption.file, FILE_MAX) if adoption.file.exists() else None) != adoption.before:
        raise Conflict("has changed since it was read", where=str(adoption.file), hint="do it again")


def _aside(adoption: Adoption) -> Path:
    """The new content in a hidden file of the same folder, on the disk, with the mode of what it replaces."""
    handle, name = tempfile.mkstemp(prefix=".event_types.", suffix=".new", dir=adoption.file.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(adoption.content)
        os.fchmod(handle, (adoption.file.stat().st_mode & 0o777) if adoption.before is not None else 0o644)
        file.flush()
        os.fsync(handle)
    return Path(name)


def _new_file(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise Conflict("stands there already", where=str(path), hint="take it away, or declare the type by hand") from None


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _schema_text(found: Discovery) -> str:
    import json

    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": found.type}
    return json_safe(json.dumps({**about, **found.schema}, ensure_ascii=False, indent=2)) + "\n"


def _simple(shape: Shape) -> dict[str, str] | None:
    """The payload as a table of fields, or None when such a table cannot say it."""
    found = {name: _word(field.shape) for name, field in ordered(shape.fields or {})}
    if None in found.values():
        return None
    always = {name for name, field in (shape.fields or {}).items() if field.always}
    return {name: f"{word}{'' if name in always else '?'}" for name, word in found.items()}


def _word(shape: Shape) -> str | None:
    if shape.kinds == {"object"}:
        return None if shape.fields else "object"
    if shape.kinds == {"array"}:
        plain = shape.items is None or (shape.items.kinds <= _SCALARS and len(shape.items.kinds) == 1)
        return "list" if plain else None
    return _SIMPLE.get(shape.kinds)


def _block(found: Discovery, name: str, level: int, summary: str, simple: Mapping[str, str] | None) -> str:
    times = "once" if found.count == 1 else f"{found.count:,} times"
    said = summary or f"Seen {times} since {iso(found.first_at)[:10]}; say here what it means."
    lines = [f"[types.{quoted(name)}]", f"summary = {quoted(said)}", f'level = "{Level(level).name.lower()}"']
    lines += _proposals(found, name)
    if simple is None:
        lines.append(f"schema = {quoted(f'{name}.schema.json')}")
    elif simple:
        lines += _remarks(found)
        fields = [f"{_key(field)} = {quoted(word)}" for field, word in simple.items()]
        inline = f"payload = {{ {', '.join(fields)} }}"
        lines += [inline] if len(inline) <= LINE_MAX else ["", f"[types.{quoted(name)}.payload]", *fields]
    elif found.shape.fields is None:
        lines.append("# its payload has so many different fields that they are data, and none is declared")
    return "\n".join(lines) + "\n"


def _remarks(found: Discovery) -> list[str]:
    """What was seen and a table of fields cannot say."""
    lines = []
    for name, field in ordered(found.shape.fields or {}):
        if texts := choices(field.shape, found.sampled if field.always else 0):
            lines.append(f"# {_key(name)} was one of {', '.join(quoted(text) for text in texts)}")
        elif field.shape.formats:
            lines.append(f"# {_key(name)} was always a {next(iter(field.shape.formats))}")
    return lines


def _proposals(found: Discovery, name: str) -> list[str]:
    """What only a person can say, as comments to take away or take on."""
    ids = [field for field, seen in ordered(found.shape.fields or {}) if _names(field, seen)][:IDENTITY_MAX]
    if not ids:
        return ["# identity = [ … ]  # the fields that make an occurrence: the same again within `window` is a duplicate"]
    listed = ", ".join(quoted(field) for field in ids)
    last = re.split(r"[._]", name)[-1]
    role = "opens" if last in _OPENS else "resolves" if last in _RESOLVES else "updates"
    life = re.sub(r"_?(id|uuid|key|number)$", "", ids[0]) if _BARE.fullmatch(ids[0]) else ""
    return [
        f"# identity = [{listed}]  # makes an occurrence: the same again within `window` is a duplicate",
        f"# lives = {{ {_key(life or 'thing')} = {quoted(role)} }}  # what stands in the inbox; needs a [lives.{_key(life or 'thing')}]",
    ]


def _names(name: str, field: Field) -> bool:
    """Whether a field may say which one it is: always there, one word or number, called like an id, and without a dot."""
    named = re.search(r"(^|[_-])(id|uuid|key|number|sha|slug)$", name.lower()) is not None or "uuid" in (
        field.shape.formats or ()
    )
    return named and field.always and _SIMPLE.get(field.shape.kinds) in ("str", "int") and "." not in name


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else quoted(name)


def quoted(text: str) -> str:
    """A text as a TOML string that reads back the same and holds nothing that a screen obeys or hides."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter == " " or (letter.isprintable() and safe_text(letter) == letter):
        return letter
    code = ord(letter)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
