"""Reading files that people write: a regular one, or none. A pipe would wait for ever, a device may have no end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_regular(path: Path, limit: int = -1) -> bytes:
    """The first `limit` bytes of a file, all of them without one. Raises `OSError`, also for a pipe, a device or a folder.

    It is looked at before it is opened, which alone may set a device going, and again when it is open: it may have been replaced.
    """
    _require(path, path.stat())
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _require(path, os.fstat(handle))
        file = os.fdopen(handle, "rb", closefd=False)
        return file.read(limit)
    finally:
        os.close(handle)


def _require(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
