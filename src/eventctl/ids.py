"""Names for things: new ones that sort by time, and derived ones that come out the same when a run is repeated.

What is hashed is packed first, each part with its kind and length, so that no two tuples make the same bytes
(`"a:b", "c"` and `"a", "b:c"` differ, and so do `1` and `"1"`, None and `""`).
"""

from __future__ import annotations

import os
from hashlib import sha256
from uuid import UUID, uuid5

_DERIVED = UUID("6f0c1f6e-2f4b-5c6e-9d55-0e1a7c3b9a10")
"""The namespace of derived ids. Changing it would give every derived event a second life on replay."""


def uuid7(now_us: int) -> str:
    """A new id (RFC 9562 version 7): 48 bits of milliseconds, 12 of the rest of the microsecond clock, 62 at random."""
    milliseconds, rest = divmod(now_us, 1_000)
    random = int.from_bytes(os.urandom(8), "big")
    head = milliseconds & 0xFFFF_FFFF_FFFF
    text = f"{head:012x}7{rest * 4096 // 1000:03x}{random & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def derived_id(parent_source: str, parent_id: str, pipeline: str, cartridge: str, ordinal: int) -> str:
    """The id of the `ordinal`-th event that a cartridge makes of a parent: the same on every run (UUIDv5)."""
    return str(uuid5(_DERIVED, packed(parent_source, parent_id, pipeline, cartridge, ordinal).decode()))


def outbox_id(seq: int, pipeline: str, rule: str, name: str, target: str) -> str:
    """The id of an owed effect, 32 hex digits: planning it twice owes it once."""
    return sha256(packed(seq, pipeline, rule, name, target)).hexdigest()[:32]


def packed(*parts: str | int | None) -> bytes:
    """The parts as bytes from which exactly they could be read back. Text must be encodable: no lone surrogates."""
    return b"".join(_pack(part) for part in parts)


def _pack(part: str | int | None) -> bytes:
    if part is None:
        return b"n0:"
    kind, data = (b"s", part.encode()) if isinstance(part, str) else (b"i", b"%d" % part)
    return b"%s%d:%s" % (kind, len(data), data)
