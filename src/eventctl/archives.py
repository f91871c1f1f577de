"""Reads the files of a package out of a folder, a file, a tar, a zip or a wheel, into memory. Nothing is extracted to a disk.

Every limit holds before and while something is inflated. What an archive says in two places has to agree, and whatever is no
plain file - links, devices, pipes, encrypted or sparse members - is refused with its name.
"""

from __future__ import annotations

from pathlib import Path


def read(source: Path) -> dict[str, bytes]:
    """The files at `source` by name, the one folder that holds them all taken off. Raises BadPackage, NotFound.

    Folders are read without following a link. `.tar`, `.tar.gz`, `.tgz`, `.zip` and `.whl` are archives; `.py` and `.toml` one file
    (and `<stem>.examples.toml` beside it).
    """
    raise NotImplementedError
