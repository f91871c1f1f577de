"""Sees whether anything was touched: an inventory of everything in some folders, before and after."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple


class Seen(NamedTuple):
    """What tells that something was touched: written, replaced, linked to, or made another kind of thing."""

    inode: int
    mode: int
    links: int
    size: int
    mtime: int
    content: str


def inventory(root: Path, *, leave: tuple[str, ...] = (), busy: tuple[str, ...] = ()) -> dict[str, Seen]:
    """Everything below a folder, the folder as well, by its path.

    What begins with `leave` is left out. In the folders of `busy` something may come and go again.
    """
    found: dict[str, Seen] = {}
    todo = [root]
    while todo:
        path = todo.pop()
        name = str(path.relative_to(root))
        if any(f"{name}/".startswith(part) for part in leave):
            continue
        stat = path.lstat()
        content = ""
        if path.is_symlink():
            content = os.readlink(path)  # noqa: PTH115 - also of a link to nothing
        elif path.is_file():
            content = sha256(path.read_bytes()).hexdigest()
        elif path.is_dir():
            todo += path.iterdir()
        mtime = 0 if name in busy else stat.st_mtime_ns
        found[name] = Seen(
            stat.st_ino,
            stat.st_mode,
            stat.st_nlink if not path.is_dir() else 0,
            stat.st_size if path.is_file() else 0,
            mtime,
            content,
        )
    return found


def touched(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The paths that are new, gone or not what they were."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def loaded() -> set[str]:
    """The modules that somebody other than Python and what is installed here brought."""
    return {
        name for name, module in sys.modules.items() if "eventctl_cartridge" in name or name in ("cartridge", "conftest_evil")
    }
