"""Reads the files of a package out of a folder, a file, a tar, a zip or a wheel, into memory. Nothing is extracted to a disk.

Every limit holds before and while something is inflated. The formats are read here and not by `tarfile` and `zipfile`, which follow
what an archive says in one place and do not look whether it says otherwise in another: here both places have to agree, every byte
belongs to something, and whatever is no plain file - links, devices, pipes, encrypted or sparse members - is refused by its name.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventctl import untar, unzip
from eventctl.errors import NotFound
from eventctl.manifest import CODE, MANIFEST
from eventctl.package import BYTES_MAX, FILES_MAX, BadPackage, name_mistake, refused
from eventctl.text import safe_text

ARCHIVE_MAX = BYTES_MAX + FILES_MAX * 2_048 + 65_536
"""Bytes of an archive, packed or not: the files, at most 2 kB about each, and padding."""

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_TARS = (".tar", ".tar.gz", ".tgz")
_ZIPS = (".zip", ".whl")
_ONE = (".py", ".toml")


def read(source: Path) -> dict[str, bytes]:
    """The files at `source` by name, the one folder that holds them all taken off. Raises BadPackage, NotFound.

    Folders are read without following a link. `.tar`, `.tar.gz`, `.tgz`, `.zip` and `.whl` are archives; `.py` and `.toml` one file
    with its examples beside it.
    """
    where, name = safe_text(source, limit=200), source.name.lower()
    try:
        found = source.lstat()
        if stat.S_ISLNK(found.st_mode):
            raise BadPackage("is a link", where=where, hint="name what it points to")
        if stat.S_ISDIR(found.st_mode):
            return _folder(source, where)
        if source.name in (MANIFEST, CODE):
            return _folder(source.parent, safe_text(source.parent, limit=200))
        if name.endswith(_ONE):
            return _one(source, where)
        with _opened(source.parent, links=True) as parent:
            if name.endswith(_TARS):
                raw = _file(parent, source.name, where, ARCHIVE_MAX)
                return _unwrapped(untar.members(raw if name.endswith(".tar") else _gunzip(raw, where), where))
            if name.endswith(_ZIPS):
                members = unzip.members(_file(parent, source.name, where, ARCHIVE_MAX), where)
                return _wheel(members, where) if name.endswith(".whl") else _unwrapped(members)
    except FileNotFoundError as error:
        raise NotFound("is not there", where=where) from error
    except OSError as error:
        raise BadPackage(f"cannot be read: {error.strerror or error}", where=where) from error
    except ValueError as error:  # a NUL in the name
        raise BadPackage("is no name of a file", where=where) from error
    kinds = ", ".join((*_TARS, *_ZIPS, *_ONE))
    raise BadPackage("is no package", where=where, hint=f"a package is a folder, or a file that ends in one of {kinds}")


@contextmanager
def _opened(folder: str | Path, parent: int | None = None, *, links: bool = False) -> Iterator[int]:
    """A descriptor of a folder. `links` follows one: the way to what the user named is theirs, what stands below it is not."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW), dir_fd=parent)
    try:
        yield handle
    finally:
        os.close(handle)


def _folder(source: Path, where: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with _opened(source) as handle:
        _walk(handle, "", files, [0], where)
    return files


def _walk(handle: int, prefix: str, files: dict[str, bytes], seen: list[int], where: str) -> None:
    """Everything below an open folder into `files`. `seen` counts files and folders."""
    with os.scandir(handle) as entries:
        found = []
        for entry in entries:
            seen[0] += 1
            if seen[0] > FILES_MAX:
                raise BadPackage(f"holds more than {FILES_MAX} files", where=where)
            found.append(entry)
    for entry in sorted(found, key=lambda entry: entry.name):
        name = prefix + entry.name
        mistake = name_mistake(name)
        if mistake:
            raise refused(where, name, f"its name {mistake}")
        kind = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(kind.st_mode):
            with _opened(entry.name, handle) as inner:
                _walk(inner, f"{name}/", files, seen, where)
        else:
            left = BYTES_MAX - sum(map(len, files.values()))
            files[name] = _file(handle, entry.name, f"{where}: {safe_text(name, limit=80)}", left)


def _one(source: Path, where: str) -> dict[str, bytes]:
    """A cartridge in one file, and the examples beside it: a file, a folder, or none."""
    examples = f"{source.stem}.examples"
    with _opened(source.parent, links=True) as handle:
        files = {source.name: _file(handle, source.name, where, BYTES_MAX)}
        for name in (f"{examples}.toml", examples):
            try:
                kind = os.stat(name, dir_fd=handle, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(kind.st_mode):
                with _opened(name, handle) as inner:
                    _walk(inner, f"{name}/", files, [len(files)], where)
            else:
                files[name] = _file(handle, name, f"{where}: {safe_text(name, limit=80)}", BYTES_MAX)
    return files


def _file(folder: int, name: str, where: str, limit: int) -> bytes:
    """A file's content: a plain one, with one name, that does not change while it is read.

    It is looked at before it is opened, which alone may set a device going, and again when it is open: it may have been replaced.
    """
    before = os.stat(name, dir_fd=folder, follow_symlinks=False)
    _plain(before, where)
    handle = os.open(name, _FLAGS, dir_fd=folder)
    try:
        now = os.fstat(handle)
        _plain(now, where)
        if now.st_size > limit:
            raise BadPackage(f"has {now.st_size:,} bytes, and {max(limit, 0):,} are enough", where=where)
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(now.st_size + 1)
        after = os.fstat(handle)
    finally:
        os.close(handle)
    told = {(seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns) for seen in (before, now, after)}
    if len(told) > 1 or len(content) != now.st_size:
        raise BadPackage("changed while it was read", where=where, hint="try again when nobody writes to it")
    return content


def _plain(found: os.stat_result, where: str) -> None:
    kinds = ((stat.S_ISLNK, "a link"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISDIR, "a folder"))
    if not stat.S_ISREG(found.st_mode):
        kind = next((kind for test, kind in kinds if test(found.st_mode)), "a device")
        raise BadPackage(f"is {kind}, and a package holds plain files", where=where)
    if found.st_nlink > 1:
        what = "is a hard link: the same file has another name elsewhere"
        raise BadPackage(what, where=where, hint="copy it, so that it is this package's own")


def _gunzip(raw: bytes, where: str) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        content = inflater.decompress(raw, ARCHIVE_MAX + 1)
    except zlib.error as error:
        raise BadPackage("is no gzip file, or a damaged one", where=where) from error
    if len(content) > ARCHIVE_MAX:
        raise BadPackage(f"inflates to more than {ARCHIVE_MAX:,} bytes", where=where)
    if not inflater.eof:
        raise BadPackage("is cut off", where=where)
    if inflater.unused_data:
        raise BadPackage("has something after its end: a second archive, or data that is hidden there", where=where)
    return content


def _unwrapped(files: dict[str, bytes]) -> dict[str, bytes]:
    """Without the one folder that holds everything, as in `deploy-tracker-1.2.0/cartridge.toml`."""
    tops = {name.partition("/")[0] for name in files}
    if len(tops) != 1 or not all("/" in name for name in files):
        return files
    return {name.partition("/")[2]: content for name, content in files.items()}


def _wheel(files: dict[str, bytes], where: str) -> dict[str, bytes]:
    """The one folder of a wheel that holds a manifest. Beside it only what describes the wheel may stand in it."""
    folders = [name.removesuffix(f"/{MANIFEST}") for name in sorted(files) if name.endswith(f"/{MANIFEST}")]
    if len(folders) != 1:
        what = f"has {len(folders)} folders with a {MANIFEST}, and a wheel brings one cartridge"
        raise BadPackage(what, where=where, hint="put each cartridge into a package of its own" if folders else "")
    inside, found = f"{folders[0]}/", {}
    if folders[0].partition("/")[0].endswith((".data", ".dist-info")):
        raise refused(where, folders[0], "is where a wheel keeps what pip copies elsewhere, and no place for a cartridge")
    for name, content in sorted(files.items()):
        if name.startswith(inside):
            if name != f"{inside}__init__.py" or content:  # an empty one is what build tools ask for
                found[name.removeprefix(inside)] = content
        elif not name.partition("/")[0].endswith(".dist-info"):
            raise refused(
                where, name, f"stands beside {folders[0]}, and pip would put it elsewhere", "leave it out of the wheel"
            )
    return found
