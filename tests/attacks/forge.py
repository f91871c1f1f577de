"""Makes archives byte by byte, so that they can say what no archiver would: other sizes, names and kinds than there are."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field

GOOD = '''"""Says what it saw."""


async def process(event, context):
    context.annotate("{slot}", True)
    return event
'''


def manifest(id: str = "night-watch", *, slot: str = "", **more: str) -> str:
    """A `cartridge.toml` that nothing is wrong with, and what is to be wrong with it."""
    keys = {"id": f'"{id}"', "summary": '"Watches."', "consumes": '["job.*"]', "version": '"1.0.0"'}
    keys["annotates"] = f'["{slot or id}"]'
    keys |= more
    return "".join(f"{key} = {value}\n" for key, value in keys.items())


def folder(code: str = "", written: str = "", **more: str) -> dict[str, bytes]:
    """The files of a cartridge: good ones, but for what is given."""
    return {
        "cartridge.toml": (written or manifest(**more)).encode(),
        "cartridge.py": (code or GOOD.format(slot="night-watch")).encode(),
    }


def canary(path: str) -> str:
    """Code that leaves a file behind as soon as anybody runs it."""
    return f'with open({path!r}, "w") as file:\n    file.write("fired")\n\n\n{GOOD.format(slot="night-watch")}'


def tar_member(
    name: str | bytes,
    content: bytes = b"",
    *,
    kind: bytes = b"0",
    link: str = "",
    size: bytes | None = None,
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    checksum: bytes | None = None,
    padding: bytes = b"\0",
) -> bytes:
    """A header and its content."""
    raw = name if isinstance(name, bytes) else name.encode()
    block = b"".join(
        (
            raw[:100].ljust(100, b"\0"),
            b"0000644\x00",
            b"0000000\x00" * 2,
            size if size is not None else b"%011o\0" % len(content),
            b"00000000000\0" + b" " * 8 + kind + link.encode().ljust(100, b"\0"),
            magic.ljust(8, b"\0"),
            b"\0" * 80,
            prefix.ljust(155, b"\0"),
            b"\0" * 12,
        )
    )
    block = block[:148] + (checksum or b"%06o\0 " % sum(block)) + block[156:]
    gap = -len(content) % 512
    return block + content + (padding * gap)[:gap]


def pax(*records: tuple[str, str], kind: bytes = b"x") -> bytes:
    """A member with pax records, for the one that follows."""
    body = b""
    for key, value in records:
        rest = f" {key}={value}\n".encode()
        size = len(rest) + 1
        size = len(rest) + len(str(len(rest) + len(str(size))))
        body += str(size).encode() + rest
    return tar_member("PaxHeader", body, kind=kind)


def tar(*members: bytes, end: bytes = b"\0" * 1024) -> bytes:
    return b"".join(members) + end


def tar_of(files: dict[str, bytes], *more: bytes) -> bytes:
    return tar(*(tar_member(name, content) for name, content in files.items()), *more)


def gzip(raw: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(raw) + packer.flush()


def deflated(raw: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(raw) + packer.flush()


def zeros(size: int) -> bytes:
    """So many zeros, deflated; a million at a time, so that making a bomb takes little memory."""
    packer = zlib.compressobj(9, wbits=-15)
    made = io.BytesIO()
    block = b"\0" * 1_000_000
    for _ in range(size // len(block)):
        made.write(packer.compress(block))
    made.write(packer.flush())
    return made.getvalue()


@dataclass
class Member:
    """A member of a zip. What is None is told as it is; `local_*` is what its own header says in place of that."""

    name: str | bytes
    content: bytes = b""
    method: int = 8
    packed: bytes | None = None
    size: int | None = None
    crc: int | None = None
    flags: int = 0
    mode: int = 0o100644
    attributes: int | None = None
    extra: bytes = b""
    comment: bytes = b""
    local_name: bytes | None = None
    local_size: int | None = None
    local_method: int | None = None
    descriptor: bytes = b""
    offset: int | None = None
    hidden: bool = False
    before: bytes = field(default=b"")


def zip_of(*members: Member, before: bytes = b"", gap: bytes = b"", after: bytes = b"", count: int | None = None) -> bytes:
    """A zip of these. `before`, `gap` and `after` stand where nothing should; `count` is what the end says."""
    out, directory, listed = before, b"", 0
    for member in members:
        raw = member.name if isinstance(member.name, bytes) else member.name.encode()
        packed = (
            member.packed if member.packed is not None else deflated(member.content) if member.method == 8 else member.content
        )
        size = len(member.content) if member.size is None else member.size
        crc = zlib.crc32(member.content) if member.crc is None else member.crc
        flags = member.flags | (0 if raw.isascii() else 0x800)
        attributes = member.mode << 16 if member.attributes is None else member.attributes
        out += member.before
        at = len(out) if member.offset is None else member.offset
        local_name = raw if member.local_name is None else member.local_name
        local = (0, 0, 0) if flags & 0x8 else (crc, len(packed), size if member.local_size is None else member.local_size)
        method = member.method if member.local_method is None else member.local_method
        header = struct.pack("<4s5H3I2H", b"PK\3\4", 20, flags, method, 0, 0x21, *local, len(local_name), len(member.extra))
        if member.offset is None:
            out += header + local_name + member.extra + packed + member.descriptor
        if member.hidden:
            continue
        listed += 1
        entry = struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 0x314, 20, flags, member.method, 0, 0x21, crc, len(packed), size,
            len(raw), len(member.extra), len(member.comment), 0, 0, attributes, at,
        )  # fmt: skip
        directory += entry + raw + member.extra + member.comment
    out += gap
    told = listed if count is None else count
    return out + directory + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, told, told, len(directory), len(out), 0) + after


def zipped(files: dict[str, bytes], *more: Member, **lies: bytes) -> bytes:
    return zip_of(*(Member(name, content) for name, content in files.items()), *more, **lies)
