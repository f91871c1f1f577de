"""`helpdesk/`: where input from outside lies. It speaks with nobody's authority, and nothing that lies there is ever run.

A stream that is read from a file in it comes in as `file:helpdesk`, whoever typed the command, and trust judges that channel
strictly. No link is followed out of the folder, so a stranger who may write there cannot have other files read in.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from eventctl.errors import NotFound, NotPermitted, Problem

if TYPE_CHECKING:
    from eventctl.principal import Principal

FOLDER = "helpdesk"
CHANNEL = "file"
STRICT = {CHANNEL: "strict"}
"""How the channel is judged where `[trust.channels]` does not say it."""

LOOKED_AT_MAX = 1_000
NAMED_MAX = 5
"""So many entries are looked at, and so many named: strangers choose how many there are."""


def lies_in(root: Path, path: Path) -> bool:
    """Whether a file lies in the helpdesk of the workspace in `root`: by its name, or by where its name leads to."""
    return _within(root, path) is not None


def speaker(who: Principal, root: Path, path: Path) -> Principal:
    """Who says what stands in a file: who reads it in, or nobody in particular when it lies in the helpdesk.

    What may be emitted is what the reader may emit: an agent does not get further by a detour.
    """
    return who._replace(channel=CHANNEL, subject=FOLDER) if lies_in(root, path) else who


def opened(root: Path, path: Path) -> BinaryIO:
    """A file of the helpdesk, for reading. Raises `NotPermitted` for what leads out of it or is no regular file, `NotFound`."""
    parts = _within(root, path)
    folder = os.open(os.path.realpath(root / FOLDER), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in parts[:-1] if parts else ():
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = below
        handle = os.open(parts[-1] if parts else ".", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise NotFound("there is no such file", where=str(path)) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise NotPermitted(
                "is a link, and none is followed out of helpdesk/", where=str(path), hint="copy the file"
            ) from None
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NotPermitted("is no regular file, and only those are read in helpdesk/", where=str(path))
    return os.fdopen(handle, "rb")


def strays(root: Path) -> list[Problem]:
    """Cartridges that lie in the helpdesk, as warnings: nobody runs them, and whoever put one there should know."""
    found: list[Problem] = []
    for shown in _code(root):
        if len(found) == NAMED_MAX:
            what = f"more than {NAMED_MAX} cartridges lie in {FOLDER}/, and none is taken from there"
            return [*found, Problem(f"{FOLDER}/", what, "look at them there", warning=True)]
        what = "lies where input from outside lies, and no cartridge is ever taken from there"
        found.append(Problem(shown, what, "read it; then put it into a domain, or remove it", warning=True))
    return found


def _code(root: Path) -> Iterator[str]:
    """Files that could be cartridges, by name; at most 1,000 entries are looked at, and links are not followed."""
    todo, looked = [root / FOLDER], 0
    while todo and looked < LOOKED_AT_MAX:
        try:
            with os.scandir(todo.pop()) as entries:
                found = sorted(islice(entries, LOOKED_AT_MAX - looked), key=lambda entry: entry.name)
        except OSError:  # it is not there, may not be read, or is deeper than a path can say
            continue
        looked += len(found)
        folders = [Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False)]
        todo += reversed(folders)
        for entry in found:
            if entry.name.endswith((".py", ".toml")) and Path(entry.path) not in folders:
                yield Path(entry.path).relative_to(root).as_posix()


def _within(root: Path, path: Path) -> tuple[str, ...] | None:
    """The names from the helpdesk down to a file, None when it is not in it. Where it leads to counts before what it is called."""
    jail = os.path.realpath(root / FOLDER)
    there = _below(jail, os.path.realpath(path))
    if there is not None:
        return there
    named = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow the very links that are asked about
    for parent in named.parents:
        if os.path.realpath(parent) == jail:
            return named.relative_to(parent).parts
    return None


def _below(folder: str, path: str) -> tuple[str, ...] | None:
    return Path(path).relative_to(folder).parts if path == folder or path.startswith(folder.rstrip("/") + "/") else None
