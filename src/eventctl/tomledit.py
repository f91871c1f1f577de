"""Edits of TOML files that people write: a key is set or taken out, and every other line stays as it stood, comments and all.

An edit is checked twice: the new text must read back as the old content with the change and nothing else, and whoever asks for it
says what else must hold. It takes its place in one step (a file beside it, synced, then renamed), so a reader sees the old or the new.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from eventctl.errors import Conflict, Misconfigured
from eventctl.regular import read_regular
from eventctl.suggest import FILE_MAX, key_text, parse_toml

Name = Sequence[str]
Check = Callable[[str], None]

BOM = "\ufeff"


class Change(NamedTuple):
    """One key of a file: what it was and what it is, as plain values; None where it is not there."""

    key: tuple[str, ...]
    before: Any
    after: Any

    @property
    def name(self) -> str:
        """The key as TOML writes it."""
        return key_text(self.key)


class Edit(NamedTuple):
    """An edit that is ready: the file, its text before (None: there is none yet) and after, and what changes in it."""

    path: Path
    before: str | None
    after: str
    changes: list[Change]

    def write(self) -> None:
        """Put the new text in the file's place. Raises `Conflict` when the file is not what it was, `OSError`."""
        if _text(self.path) != self.before:
            raise Conflict("it has been changed in between", where=str(self.path), hint="try again")
        replace(self.path, self.after)


def edit(path: Path, wanted: Sequence[tuple[Name, Any]], *, where: str = "", check: Check = lambda _: None) -> Edit:
    """Set each key to its value (None takes it out), in order; what a key has already is no change.

    `check` is given the new text and raises what it finds wrong. Raises `Misconfigured` when the file cannot be read, or edited without
    touching anything else.
    """
    shown = where or path.name
    before = _text(path)
    mark = BOM if (before or "").startswith(BOM) else ""
    text = (before or "").removeprefix(mark)
    changes: list[Change] = []
    for key, value in wanted:
        there = at(parse_toml(text, shown), key)
        if there != value:
            text = _edited(text, key, value, shown)
            changes.append(Change(tuple(key), there, value))
    if changes:
        check(text)
    return Edit(path, before, mark + text, changes)


def at(data: Any, key: Name) -> Any:
    """What stands at a key; None for nothing."""
    for name in key:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def replace(path: Path, text: str) -> None:
    """Write a file in one step: beside it, synced, renamed; its mode stays, and a link to it."""
    path = path.resolve()
    making = path.with_name(f".{path.name}.{os.getpid()}.making")
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    try:
        handle = os.open(making, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            os.fchmod(handle, mode)  # what umask has taken
            file.write(text)
            file.flush()
            os.fsync(handle)
        making.rename(path)
    finally:
        making.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _edited(text: str, key: Name, value: Any, where: str) -> str:
    """The text with the change: by lines where the file has the shape that people write, else as the library sees fit."""
    before = parse_toml(text, where)
    wanted = [_with(before, key, value), _without_empty(_with(before, key, value), key)]
    for way in (_by_library, _by_lines) if value is not None and at(before, key) is not None else (_by_lines, _by_library):
        done = way(text, key, value)
        if done is not None and _reads(done) in wanted:
            return done
    done_what = "taken out" if value is None else "set"
    raise Misconfigured(
        f"{key_text(key)} cannot be {done_what} without touching other lines",
        where=where,
        hint="take it out by hand" if value is None else f"write it by hand: {_section(key, value)!r}",
    )


class _Block(NamedTuple):
    """The lines of a table with its header: from `begin` to before `end`, the last that says something being before `said`."""

    key: tuple[str, ...]
    begin: int
    said: int
    end: int


def _by_lines(text: str, key: Name, value: Any) -> str | None:
    """The text with whole lines added or taken out; None where this is not about whole lines."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    blocks = _blocks(lines)
    own = [block for block in blocks if block.key[: len(key)] == tuple(key)]
    if value is None:
        if not own:
            return None
        for block in reversed(own):  # what stands between it and the next header is about the next one
            gap = (
                block.begin > 0
                and not lines[block.begin - 1].strip()
                and not "".join(lines[block.said : block.said + 1]).strip()
            )
            del lines[block.begin - gap : block.said]
        return "".join(lines)
    if isinstance(value, Mapping):
        return None if own else _with_section(lines, blocks, key, _section(key, value))
    table = next((block for block in blocks if block.key == tuple(key[:-1])), None)
    if table is None:
        return _with_section(lines, blocks, key[:-1], _section(key, value))
    lines.insert(table.said, _line(key[-1], value))
    return "".join(lines)


def _with_section(lines: list[str], blocks: list[_Block], key: Name, section: str) -> str:
    """The lines with a new table behind the last of its kin, or at the end."""
    kin = [block for block in blocks if block.key[:1] == tuple(key[:1])]
    if not kin:
        gap = "\n" if "".join(lines).strip() else ""
        return "".join(lines) + gap + section
    lines.insert(kin[-1].said, f"\n{section}")
    return "".join(lines)


def _blocks(lines: list[str]) -> list[_Block]:
    """The tables with headers of their own, in order; the lines before the first header are the table ()."""
    headers = [((), 0), *((key, number) for number, line in enumerate(lines) if (key := _header(line)))]
    found = []
    for (key, begin), (_, end) in zip(headers, [*headers[1:], ((), len(lines))], strict=True):
        said = end
        while said > begin and (not lines[said - 1].strip() or lines[said - 1].lstrip().startswith("#")):
            said -= 1
        found.append(_Block(key, begin, said, end))
    return found


def _header(line: str) -> tuple[str, ...]:
    """The key of a table's header; () for any other line."""
    if not line.lstrip().startswith("[") or line.lstrip().startswith("[["):
        return ()
    data, key = _reads(line), list[str]()
    while data:
        if len(data) != 1 or not isinstance(inner := next(iter(data.values())), dict):
            return ()
        key.append(next(iter(data)))
        data = inner
    return tuple(key)


def _section(key: Name, value: Any) -> str:
    """A table, with its header."""
    table, values = (key, value) if isinstance(value, Mapping) else (key[:-1], {key[-1]: value})
    return f"[{key_text(table)}]\n" + "".join(_line(name, each) for name, each in values.items())


def _line(name: str, value: Any) -> str:
    import tomlkit

    return f"{key_text((name,))} = {tomlkit.item(value).as_string()}\n"


def _by_library(text: str, key: Name, value: Any) -> str | None:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        doc: Any = tomlkit.parse(text)
        table = doc
        for name in key[:-1]:
            if name not in table and value is not None:
                table[name] = tomlkit.inline_table()
            table = table[name]
        if value is None:
            del table[key[-1]]
        else:
            table[key[-1]] = value
        return tomlkit.dumps(doc)
    except (TOMLKitError, KeyError, TypeError, AttributeError, ValueError):
        return None


def _with(data: Mapping[str, Any], key: Name, value: Any) -> dict[str, Any]:
    head, rest = key[0], key[1:]
    inner = data.get(head)
    below = _with(inner if isinstance(inner, dict) else {}, rest, value) if rest else deepcopy(value)
    return {name: each for name, each in {**data, head: below}.items() if name != head or below is not None}


def _without_empty(data: dict[str, Any], key: Name) -> dict[str, Any]:
    """The data without the tables above a key that are empty now."""
    for depth in range(len(key) - 1, 0, -1):
        if at(data, key[:depth]) == {}:
            data = _with(data, key[:depth], None)
    return data


def _reads(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _text(path: Path) -> str | None:
    try:
        raw = read_regular(path, FILE_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    if len(raw) > FILE_MAX:
        raise Misconfigured(f"is larger than {FILE_MAX:,} bytes", where=str(path))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Misconfigured(f"is not UTF-8 (byte {error.start})", where=str(path)) from None


def words(changes: Sequence[Mapping[str, Any]]) -> str:
    """Changes as a record holds them (`key`, `before`, `after`), as half a sentence."""
    return "; ".join(_words(str(each["key"]), each["before"], each["after"]) for each in changes)


def _words(key: str, before: Any, after: Any) -> str:
    if after is None:
        return f"took out {key} (it was {_shown(before)})"
    return f"set {key} to {_shown(after)}" + ("" if before is None else f" (it was {_shown(before)})")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)
