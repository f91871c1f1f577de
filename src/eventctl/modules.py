"""The code of cartridges: imported on the first event that needs it, by path and hash, beside everybody else's modules.

A module gets a name made of its path and hash and stands in `sys.modules` only while it is being executed (dataclasses look
their own module up there), so two cartridges of one name never meet and an old version goes when nobody holds it. `sys.path` is
not touched: a cartridge is one file. What is executed are the bytes whose hash was found, or nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from eventctl.regular import read_regular
from eventctl.trampoline import Crumb, Place, guarded

if TYPE_CHECKING:
    from eventctl.dag.apart import Apart


class LoadFailed(Exception):
    """A cartridge's code cannot be had: trying again is of no use until its file changes."""


class Code(NamedTuple):
    """Where a cartridge's code stands. `files` are all its files, the code last; `hash` is `digest` of their contents.

    `process` is the function itself when a plugin brought it. `text` is the code of an installed package, out of the store and
    verified there; `files` then only names it.
    """

    files: tuple[Path, ...] = ()
    hash: str = ""
    process: Any = None
    text: bytes | None = None


def digest(contents: Sequence[bytes]) -> str:
    """SHA-256 over contents in their order, each with its length before it."""
    return sha256(b"".join(b"%d:" % len(content) + content for content in contents)).hexdigest()


class Modules:
    """The functions that have been loaded. One for a workspace; a reload keeps it, and drops what nobody runs any more.

    `apart` runs the code that must not run here; without it, such a cartridge does not run at all.
    """

    def __init__(self, apart: Apart | None = None) -> None:
        self.apart = apart
        self._loaded: dict[Code, Any] = {}
        self._failed: dict[Code, LoadFailed] = {}

    def loaded(self, code: Code) -> bool:
        """Whether the function is at hand."""
        return code.process is not None or code in self._loaded

    def process(self, code: Code, place: Place, crumb: Crumb) -> Any:
        """The function `process`. Raises LoadFailed, and the same again without trying, when there is none."""
        if code.process is not None:
            return code.process
        found = self._loaded.get(code)
        if found is not None:
            return found
        if code in self._failed:
            raise self._failed[code]
        ended = guarded(lambda: _execute(code), place, crumb)
        if ended.error is not None:
            failure = ended.error if isinstance(ended.error, LoadFailed) else LoadFailed(_why(ended.error))
            self._failed[code] = failure
            raise failure from ended.error
        self._loaded[code] = ended.value
        return ended.value

    def keep(self, codes: Sequence[Code]) -> None:
        """Forget all but these, failures included."""
        wanted = set(codes)
        self._loaded = {code: found for code, found in self._loaded.items() if code in wanted}
        self._failed = {}
        if self.apart is not None:
            self.apart.keep(codes)


def source(code: Code) -> bytes:
    """The text of the code, the bytes whose hash was found. Raises LoadFailed when the file holds others by now."""
    if code.text is not None:
        return code.text
    path = code.files[-1]
    try:
        contents = [read_regular(file) for file in code.files]
    except OSError as error:
        raise LoadFailed(f"{path.name} cannot be read: {error.strerror or error}") from error
    if digest(contents) != code.hash:
        raise LoadFailed(f"{path.name} has changed since it was looked at; the next reload takes it as it is now")
    return contents[-1]


def _execute(code: Code) -> Any:
    path, text = code.files[-1], source(code)
    name = f"eventctl_cartridge_{sha256(f'{path}:{code.hash}'.encode()).hexdigest()[:24]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)  # noqa: S102 - running cartridges is what this is for
    finally:
        del sys.modules[name]
    process = module.__dict__.get("process")
    if not callable(process):
        raise LoadFailed(f"{path.name} has no function process(event, context)")
    return process


def _why(error: BaseException) -> str:
    where = f" at line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
    return f"its code does not load: {type(error).__name__}: {error}{where}"
