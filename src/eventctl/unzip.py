"""The members of a zip file, read strictly: what its directory says and what stands before each member have to agree.

    [header name extra data (descriptor)]*  [directory entry]*  end of directory

The pieces follow each other without a gap from the first byte to the last: nothing overlaps, nothing is hidden between or after.
Stored and deflated members; no encryption, no zip64 (a package is small), no comments, no parts.
"""

from __future__ import annotations

import stat
import struct
import zlib
from typing import NamedTuple

from eventctl.package import BYTES_MAX, FILES_MAX, BadPackage, name_mistake, refused

_END = struct.Struct("<4s4H2IH")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_HEADER = struct.Struct("<4s5H3I2H")
_DESCRIPTOR = struct.Struct("<3I")

_ENCRYPTED, _DESCRIBED, _UTF8 = 0x1, 0x8, 0x800
_KNOWN_FLAGS = 0x6 | _DESCRIBED | _UTF8  # 0x6: how hard the packer tried
_STORED, _DEFLATED = 0, 8
_COMMITS = (40, 64)
"""Hexadecimal digits of the commit that `git archive`, and so every forge, leaves as the comment of a zip. No other comment is read."""

_RENAMING = {0x0001: "zip64", 0x7075: "another name"}
"""Extra fields that say another size or another name than the header does."""


class _Entry(NamedTuple):
    """What the directory says about a member. `offset` is where its header stands."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def members(raw: bytes, where: str) -> dict[str, bytes]:
    """The files in a zip by name. Raises BadPackage."""
    entries = _directory(raw, where)
    total = sum(entry.size for entry in entries)
    if total > BYTES_MAX:
        raise BadPackage(f"holds {total:,} bytes, and {BYTES_MAX:,} are enough", where=where)
    files: dict[str, bytes] = {}
    seen: set[str] = set()
    at = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset != at:
            kind = "overlaps another member" if entry.offset < at else "has something hidden before it"
            raise refused(where, entry.name, kind)
        content, at = _member(raw, entry, where)
        folded = entry.name.casefold().rstrip("/")
        if folded in seen:
            raise refused(where, entry.name, "is there twice")
        seen.add(folded)
        if not entry.name.endswith("/"):
            files[entry.name] = content
    if at != _END.unpack_from(raw, _end(raw))[6]:
        raise BadPackage("has something hidden between its members and its directory", where=where)
    return files


def _end(raw: bytes) -> int:
    """Where the end of the directory stands, the last thing in the file but for the commit that git writes; -1 when it does not."""
    for comment in (0, *_COMMITS):
        start = len(raw) - _END.size - comment
        if start >= 0 and raw[start : start + 4] == b"PK\5\6" and not raw[len(raw) - comment :].strip(b"0123456789abcdef"):
            return start
    return -1


def _directory(raw: bytes, where: str) -> list[_Entry]:
    start = _end(raw)
    if start < 0:
        what = "is no zip, is cut off, or has something after its end: a comment, a second archive, or hidden data"
        raise BadPackage(what, where=where)
    _, disk, first_disk, here, count, size, at, comment = _END.unpack_from(raw, start)
    if disk or first_disk or here != count or comment != len(raw) - start - _END.size or at + size != start:
        raise BadPackage(
            "has a directory that does not fit: it is in parts, damaged, or made to be read in two ways", where=where
        )
    if count > FILES_MAX:
        raise BadPackage(f"holds {count} files, and {FILES_MAX} are enough", where=where)
    entries = []
    for _ in range(count):
        if at + _ENTRY.size > start or raw[at : at + 4] != b"PK\1\2":
            raise BadPackage("has a directory that is damaged", where=where)
        entry, at = _entry(raw, at, where)
        entries.append(entry)
    if at != start:
        raise BadPackage("has more in its directory than it says", where=where)
    return entries


def _entry(raw: bytes, at: int, where: str) -> tuple[_Entry, int]:
    fields = _ENTRY.unpack_from(raw, at)
    flags, method, crc, packed, size = fields[3], fields[4], *fields[7:10]
    name_size, extra_size, comment_size, _, _, attributes, offset = fields[10:17]
    at += _ENTRY.size
    raw_name, extra = raw[at : at + name_size], raw[at + name_size : at + name_size + extra_size]
    name = _name(raw_name, where)
    if flags & _ENCRYPTED:
        raise refused(where, name, "is encrypted")
    if flags & ~_KNOWN_FLAGS or method not in (_STORED, _DEFLATED):
        raise refused(where, name, "is packed in a way that is not read here", "stored and deflated members are")
    if comment_size:
        raise refused(where, name, "has a comment, where anything could be hidden")
    _check_extra(extra, name, where)
    _check_kind(attributes, name, size, where)
    return _Entry(name, raw_name, flags, method, crc, packed, size, offset), at + name_size + extra_size


def _name(raw_name: bytes, where: str) -> str:
    try:
        name = raw_name.decode()
    except UnicodeDecodeError:
        raise refused(where, repr(raw_name[:60]), "its name is not UTF-8") from None
    mistake = name_mistake(name.removesuffix("/"))
    if mistake:
        raise refused(where, name, f"its name {mistake}")
    return name


def _check_extra(extra: bytes, name: str, where: str) -> None:
    at = 0
    while at < len(extra):
        kind, size = struct.unpack_from("<2H", extra, at) if at + 4 <= len(extra) else (0, len(extra))
        if at + 4 + size > len(extra):
            raise refused(where, name, "has an extra field that is damaged")
        if kind in _RENAMING:
            raise refused(where, name, f"has an extra field that says {_RENAMING[kind]}: two readers would see two files")
        at += 4 + size


def _check_kind(attributes: int, name: str, size: int, where: str) -> None:
    folder = name.endswith("/")
    kind = stat.S_IFMT(attributes >> 16)  # whoever made it: some readers go by this alone
    if kind == stat.S_IFLNK:
        raise refused(where, name, "is a link, and a package holds plain files")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise refused(where, name, "is a device, a pipe or a socket, and a package holds plain files")
    if (kind == stat.S_IFDIR and not folder) or (kind == stat.S_IFREG and folder) or (attributes & 0x10 and not folder):
        raise refused(where, name, "is a folder by its kind and a file by its name, or the other way round")
    if folder and size:
        raise refused(where, name, "is a folder with content")


def _member(raw: bytes, entry: _Entry, where: str) -> tuple[bytes, int]:
    """A member's content, and where the next one begins. What its own header says is what the directory says."""
    at = entry.offset
    if at + _HEADER.size > len(raw) or raw[at : at + 4] != b"PK\3\4":
        raise refused(where, entry.name, "does not stand where the directory says")
    _, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _HEADER.unpack_from(raw, at)
    at += _HEADER.size
    told = (raw[at : at + name_size], flags, method, crc, packed, size)
    described = bool(flags & _DESCRIBED)
    later = (0, 0, 0) if described and not (crc or packed or size) else (entry.crc, entry.packed, entry.size)
    if told != (entry.raw_name, entry.flags, entry.method, *later):
        raise refused(where, entry.name, "says one thing in its own header and another in the directory")
    _check_extra(raw[at + name_size : at + name_size + extra_size], entry.name, where)
    at += name_size + extra_size
    content = _inflated(raw[at : at + entry.packed], entry, where)
    at += entry.packed
    return content, _after_descriptor(raw, at, entry, where) if described else at


def _inflated(packed: bytes, entry: _Entry, where: str) -> bytes:
    if len(packed) != entry.packed:
        raise refused(where, entry.name, "is cut off")
    content = packed
    if entry.method == _DEFLATED:
        inflater = zlib.decompressobj(wbits=-15)
        try:
            content = inflater.decompress(packed, entry.size + 1)
        except zlib.error:
            raise refused(where, entry.name, "is damaged") from None
        if len(content) <= entry.size and (not inflater.eof or inflater.unused_data):
            raise refused(where, entry.name, "does not end where it says")
    if len(content) != entry.size:
        raise refused(where, entry.name, "has another size than it says")
    if zlib.crc32(content) != entry.crc:
        raise refused(where, entry.name, "is damaged: its checksum does not fit")
    return content


def _after_descriptor(raw: bytes, at: int, entry: _Entry, where: str) -> int:
    at += 4 if raw[at : at + 4] == b"PK\7\x08" else 0
    told = _DESCRIPTOR.unpack_from(raw, at) if at + _DESCRIPTOR.size <= len(raw) else ()
    if told != (entry.crc, entry.packed, entry.size):
        raise refused(where, entry.name, "says one thing after its data and another in the directory")
    return at + _DESCRIPTOR.size
