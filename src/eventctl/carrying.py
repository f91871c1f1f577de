"""Carries the files of a cartridge into another folder, so that it is whole in one of the two places, or in both, whenever the process dies.

    .x.py.promoting     everything is written aside, and is on the disk
    x.py                each is put in its place in one step, the cartridge itself last
    .x.py.promoted      what stood in the old place goes one after the other, the cartridge itself last; then it is deleted

What begins with a dot is no cartridge to anybody. Doing it again finishes what was begun, and finds nothing to do where all is done.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from eventctl import failpoints
from eventctl.discovery import EXAMPLES
from eventctl.errors import Conflict, Misconfigured
from eventctl.manifest import MANIFEST
from eventctl.regular import read_regular

ASIDE, LEFT = ".promoting", ".promoted"
IGNORED = ("__pycache__",)

Files = Mapping[str, bytes]
"""A path below the folder that the cartridge stands in (`x.py`, `x/cartridge.py`) -> what is in it."""


def entries(path: Path) -> list[Path]:
    """What stands in a folder of cartridges for the one at `path`: its examples, and last the file or folder itself."""
    at = path.parent if path.name == MANIFEST else path
    if at.is_dir():
        return [at]
    beside = [at.with_name(at.stem + ending) for ending in EXAMPLES]
    return [*(each for each in beside if os.path.lexists(each)), at]


def read(path: Path) -> dict[str, bytes]:
    """All files of the cartridge at `path`. Raises Misconfigured for a link, or what is no file: neither is carried anywhere."""
    return {name: data for entry in entries(path) for name, data in _below(entry, entry.parent)}


def fits(files: Files, folder: Path) -> list[str]:
    """What of the files does not stand in `folder` yet, by its first part. Raises Conflict where another one of them stands."""
    missing = []
    for top in dict.fromkeys(name.partition("/")[0] for name in files):
        there = folder / top
        if not os.path.lexists(there):
            missing.append(top)
        elif dict(_below(there, folder)) != _of(files, top):
            raise Conflict("another one stands there", where=str(there), hint="rename it, or take it away")
    return missing


def put(files: Files, folder: Path) -> None:
    """Write the files into `folder`, whole, under their names. Raises Conflict where another one of them stands."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = fits(files, folder)
    for top in missing:
        _clear(folder / f".{top}{ASIDE}")
        for name, data in _of(files, top).items():
            _write(folder / f".{top}{ASIDE}{name.removeprefix(top)}", data)
    _sync(folder)
    failpoints.reach("promote.after_copy")
    for top in missing:
        (folder / f".{top}{ASIDE}").rename(folder / top)
        _sync(folder)
        failpoints.reach("promote.after_rename")


def leave(path: Path, files: Files) -> None:
    """Take the files away from where they stood. Raises Conflict, and leaves them, when they have changed since they were read."""
    if dict(read(path).items() - files.items()):
        raise Conflict("it was changed while it was promoted", where=str(path), hint="it stands in both places now: keep one")
    for entry in entries(path):
        entry.rename(entry.with_name(f".{entry.name}{LEFT}"))
        _sync(entry.parent)
        failpoints.reach("promote.after_leaving")
    tidy(path.parent if path.name != MANIFEST else path.parent.parent, files)


def tidy(folder: Path, files: Files) -> None:
    """Delete what an earlier promotion of these files has left behind in `folder`, and nothing that is different."""
    for top in dict.fromkeys(name.partition("/")[0] for name in files):
        left = folder / f".{top}{LEFT}"
        if not os.path.lexists(left):
            continue
        wanted = {name.replace(top, left.name, 1): data for name, data in _of(files, top).items()}
        if all(wanted.get(name) == data for name, data in _below(left, folder)):
            _clear(left)


def _of(files: Files, top: str) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name == top or name.startswith(f"{top}/")}


def _below(entry: Path, base: Path) -> Iterator[tuple[str, bytes]]:
    mode = entry.lstat().st_mode
    if stat.S_ISDIR(mode):
        for each in sorted(entry.iterdir()):
            if each.name not in IGNORED:
                yield from _below(each, base)
    elif stat.S_ISREG(mode):
        yield entry.relative_to(base).as_posix(), read_regular(entry)
    else:
        raise Misconfigured("is no file, and only files are carried", where=str(entry), hint="put a copy in its place")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
