"""Which cartridge the runner is in, readable from outside at any instant and after its death.

A small file that runner and supervisor both map into memory. The runner writes it at every resume of a cartridge's coroutine and
clears it at every return (0.5 us together); nothing is flushed, the kernel keeps the page when the process dies.

    slot    name number, -, seq, since, limit     name number 0: in no cartridge
    names   length (2 bytes) + "pipeline NUL cartridge", number 1 first

`since` is CLOCK_MONOTONIC, the same for every process of the machine. A reader takes the slot twice and believes it when both are
equal: the runner may be in the middle of writing it.
"""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path
from struct import Struct
from typing import NamedTuple

LIMIT_S = 2.0
"""How long one resume of a cartridge may take before it counts as hung, unless settings or its manifest say otherwise."""

_SLOT = Struct("<iiqdd")
_NAMES_AT = 64
_SIZE = 16 * 1024  # 300 names of 50 bytes, then the table begins again
_LENGTH = Struct("<H")
_NOWHERE = b"\0\0\0\0"
_UNNAMED = ("?", "?")


class Crumb(NamedTuple):
    """Where the runner is: this cartridge of this pipeline, with record `seq`, for `since` (monotonic s), at most `limit_s`."""

    pipeline: str
    cartridge: str
    seq: int
    since: float
    limit_s: float

    def late(self, now: float) -> bool:
        """Whether it has been there for longer than it may. `now` is monotonic."""
        return now - self.since > self.limit_s


class Breadcrumb:
    """The runner's side: the `crumb` that pipelines tell where they are. Mapping it anew forgets what stood there."""

    __slots__ = ("_end", "_limit_s", "_map", "_numbers")

    def __init__(self, path: Path, *, limit_s: float = LIMIT_S) -> None:
        self._map = _mapped(path, write=True)
        self._map[:_NAMES_AT] = bytes(_NAMES_AT)
        self._limit_s = limit_s
        self._numbers: dict[tuple[str, str], int] = {}
        self._end = _NAMES_AT

    def enter(self, pipeline: str, cartridge: str, seq: int, limit_s: float | None = None) -> None:
        """A cartridge is about to run."""
        number = self._numbers.get((pipeline, cartridge)) or self._number(pipeline, cartridge)
        _SLOT.pack_into(self._map, 0, number, 0, seq, time.monotonic(), limit_s or self._limit_s)

    def leave(self) -> None:
        """It has given control back."""
        self._map[0:4] = _NOWHERE

    def close(self) -> None:
        """Unmap the file; nothing stands in it."""
        self.leave()
        self._map.close()

    def _number(self, pipeline: str, cartridge: str) -> int:
        name = f"{pipeline}\0{cartridge}".encode()[:1000]
        if self._end + 2 + len(name) > _SIZE:  # the slot is empty now, so nothing points at the names
            self._numbers.clear()
            self._end = _NAMES_AT
        _LENGTH.pack_into(self._map, self._end, len(name))
        self._map[self._end + 2 : self._end + 2 + len(name)] = name
        self._end += 2 + len(name)
        self._numbers[pipeline, cartridge] = len(self._numbers) + 1
        return len(self._numbers)


class Watch:
    """The supervisor's side: reads, never writes."""

    __slots__ = ("_map",)

    def __init__(self, path: Path) -> None:
        self._map = _mapped(path, write=False)

    def read(self) -> Crumb | None:
        """Where the runner is, or was when it died; None when in no cartridge, or just moving."""
        slot = self._map[: _SLOT.size]
        if slot[:4] == _NOWHERE or slot != self._map[: _SLOT.size]:
            return None
        number, _, seq, since, limit_s = _SLOT.unpack(slot)
        return Crumb(*self._name(number), seq, since, limit_s)

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()

    def _name(self, number: int) -> tuple[str, str]:
        at = _NAMES_AT
        for _ in range(number - 1):
            at += 2 + self._length(at)
            if at + 2 > _SIZE:  # a table being written anew
                return _UNNAMED
        pipeline, nul, cartridge = self._map[at + 2 : at + 2 + self._length(at)].decode(errors="replace").partition("\0")
        return (pipeline, cartridge) if nul else _UNNAMED

    def _length(self, at: int) -> int:
        length: int = _LENGTH.unpack_from(self._map, at)[0]
        return length


def _mapped(path: Path, *, write: bool) -> mmap.mmap:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        missing = _SIZE - os.fstat(file).st_size
        if missing > 0:  # real blocks: a mapped hole is a SIGBUS once the disk is full
            os.pwrite(file, bytes(missing), _SIZE - missing)
        return mmap.mmap(file, _SIZE, prot=mmap.PROT_READ | (mmap.PROT_WRITE if write else 0))
    finally:
        os.close(file)


class NoCrumb:
    """For who runs cartridges without being watched: a program's own process, a test."""

    def enter(self, pipeline: str, cartridge: str, seq: int, limit_s: float | None = None) -> None:
        """A cartridge is about to run."""

    def leave(self) -> None:
        """It has given control back."""
