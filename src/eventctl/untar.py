"""The members of a tar file, read strictly: plain files and folders in the ustar form, and nothing that changes a name or a size.

What pax writes beside a member (times, owners, a comment) is passed over by a list of known keys; any other key, like `path`,
`size` or what marks a sparse file, is refused, and so are GNU's long names: there two readers see two things. After the end, only
zeros.
"""

from __future__ import annotations

from typing import NamedTuple

from eventctl.package import BYTES_MAX, FILES_MAX, BadPackage, name_mistake, refused
from eventctl.text import safe_text

BLOCK = 512

_FILE, _FOLDER, _PAX, _PAX_ALL = (b"0", b"\0"), b"5", b"x", b"g"
_KINDS = {
    b"1": "a hard link",
    b"2": "a link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"7": "a contiguous file",
    b"D": "a folder of GNU's dumps",
    b"K": "a long name of GNU's",
    b"L": "a long name of GNU's",
    b"M": "the rest of a file from another tape",
    b"S": "a sparse file",
}
_PASSED = frozenset(("atime", "comment", "ctime", "gid", "gname", "mtime", "uid", "uname", "LIBARCHIVE.creationtime"))
_PAX_MAX = 4_096


class _Header(NamedTuple):
    """A member's header. `size` in bytes."""

    name: str
    size: int
    kind: bytes


def members(raw: bytes, where: str) -> dict[str, bytes]:
    """The files in a tar by name. Raises BadPackage."""
    files: dict[str, bytes] = {}
    seen: set[str] = set()
    at = count = total = 0
    while True:
        block = raw[at : at + BLOCK]
        if len(block) < BLOCK:
            raise BadPackage("is no tar, or is cut off: it has no end", where=where)
        if not any(block):
            break
        header = _header(block, where)
        count += 1
        total += header.size
        if count > 2 * FILES_MAX or len(seen) >= FILES_MAX:
            raise BadPackage(f"holds more than {FILES_MAX} files", where=where)
        if total > BYTES_MAX:
            raise BadPackage(f"holds more than {BYTES_MAX:,} bytes", where=where)
        begin, at = at + BLOCK, at + BLOCK + -(-header.size // BLOCK) * BLOCK
        if at > len(raw) or any(raw[begin + header.size : at]):
            raise refused(where, header.name, "is cut off, or has something hidden behind it")
        content = raw[begin : begin + header.size]
        if header.kind in (_PAX, _PAX_ALL):
            _check_pax(content, header.name, where)
        else:
            _take(files, seen, header, content, where)
    if raw[at:].strip(b"\0"):
        raise BadPackage("has something after its end: a second archive, or data that is hidden there", where=where)
    return files


def _take(files: dict[str, bytes], seen: set[str], header: _Header, content: bytes, where: str) -> None:
    name = header.name.removeprefix("./")
    folder = header.kind == _FOLDER
    if header.kind not in _FILE and not folder:
        kind = _KINDS.get(header.kind, "of a kind that is not known here")
        raise refused(where, header.name, f"is {kind}, and a package holds plain files")
    name = name[:-1] if folder and name.endswith("/") else name
    if folder and name in ("", "."):
        return
    mistake = name_mistake(name)
    if mistake:
        raise refused(where, header.name, f"its name {mistake}")
    if name.casefold() in seen:
        raise refused(where, header.name, "is there twice")
    seen.add(name.casefold())
    if folder and content:
        raise refused(where, header.name, "is a folder with content")
    if not folder:
        files[name] = content


def _header(block: bytes, where: str) -> _Header:
    raw_name = _until_zero(block[:100])
    magic, prefix = block[257:265], block[345:500]
    shown = repr(raw_name[:60])[2:-1]
    if magic not in (b"ustar\x0000", b"ustar  \0"):
        raise BadPackage("is no tar, or one of before 1988", where=where)
    plain = sum(block) - sum(block[148:156]) + 8 * 32
    if _octal(block[148:156]) != plain:
        raise refused(where, shown, "is damaged: the checksum of its header does not fit")
    size = _octal(block[124:136])
    if size is None:
        raise refused(where, shown, "has a size that is no octal number")
    if magic == b"ustar  \0" and any(prefix):
        raise refused(where, shown, "has GNU fields where others read a part of its name")
    if magic != b"ustar  \0" and any(prefix):
        raw_name = _until_zero(prefix) + b"/" + raw_name
    try:
        return _Header(raw_name.decode(), size, block[156:157])
    except UnicodeDecodeError:
        raise refused(where, shown, "its name is not UTF-8") from None


def _until_zero(field: bytes) -> bytes:
    """The text of a field; what follows its end has to be zeros, or it stays in and is found to be no name."""
    text, _, rest = field.partition(b"\0")
    return field if any(rest) else text


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _check_pax(content: bytes, name: str, where: str) -> None:
    """Each record is `<length> <key>=<value>\\n`, and its key one of those that change nothing."""
    if len(content) > _PAX_MAX:
        raise refused(where, name, "has more to say about a member than a member may hold")
    at = 0
    while at < len(content):
        digits, _, _ = content[at : at + 6].partition(b" ")
        if not digits.isdigit() or int(digits) < len(digits) + 4 or at + int(digits) > len(content):
            raise refused(where, name, "has a pax header that is damaged")
        record, at = content[at + len(digits) + 1 : at + int(digits)], at + int(digits)
        key = record.partition(b"=")[0].decode(errors="replace")
        if key not in _PASSED or not record.endswith(b"\n"):
            what = f"has a pax header {safe_text(key, limit=40)!r}: it may give a member another name, size or kind"
            raise refused(where, name, what, "pack it with `tar --format=ustar`")
