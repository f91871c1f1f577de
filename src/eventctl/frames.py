"""Messages of the append socket, and records as one.

    message = length (4 bytes, big-endian) + head length (4 bytes) + head (JSON object) + blobs (raw bytes, one after another)

Record bodies travel as blobs: they are bytes already, and quoting them as JSON again would cost more than the socket does. What
comes out of here is checked for shape only; the decoder has judged a body before it was sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Any

import orjson

from eventctl.errors import Refused
from eventctl.principal import PLATFORM
from eventctl.store import Record

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
CHUNK_RECORDS = 500
KIND = "event"
"""The only kind of record that comes through a socket: a timer or an answer is the runner's own, a move is a commit of its own."""

_LENGTH = Struct(">I")

RejectRow = tuple[str, int, str, bytes]


def pack(head: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """One message. Raises `Refused` when it is over the limit."""
    text = orjson.dumps(head)
    body = b"".join((_LENGTH.pack(len(text)), text, *blobs))
    if len(body) > MESSAGE_BYTES_MAX:
        raise Refused(f"a message of {len(body)} bytes; the socket takes {MESSAGE_BYTES_MAX}")
    return _LENGTH.pack(len(body)) + body


class Reader:
    """Cuts a byte stream into messages."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[tuple[dict[str, Any], memoryview]]:
        """The messages that are complete now, as (head, blobs). Raises `Refused` on anything that is not one."""
        self._buffer += data
        while len(self._buffer) >= 4:
            (size,) = _LENGTH.unpack_from(self._buffer)
            if not 4 <= size <= MESSAGE_BYTES_MAX:
                raise Refused(f"a message says it has {size} bytes")
            if len(self._buffer) < 4 + size:
                return
            message = bytes(memoryview(self._buffer)[4 : 4 + size])
            del self._buffer[: 4 + size]
            yield _split(message)


def _split(message: bytes) -> tuple[dict[str, Any], memoryview]:
    (size,) = _LENGTH.unpack_from(message)
    try:
        head = orjson.loads(message[4 : 4 + size])
    except orjson.JSONDecodeError as error:
        raise Refused(f"the head of a message is not JSON: {error}") from None
    if not isinstance(head, dict):
        raise Refused("the head of a message is not an object")
    return head, memoryview(message)[4 + size :]


def pack_append(records: Sequence[Record], rejects: Sequence[RejectRow]) -> bytes:
    """The request that asks for these to be appended."""
    head = {
        "op": "append",
        "records": [
            (r.kind, r.source, r.id, r.type, r.principal, r.at, r.entity, r.caused_by, r.hops, len(r.body)) for r in records
        ],
        "rejects": [(channel, at, reason, len(raw)) for channel, at, reason, raw in rejects],
    }
    return pack(head, [r.body for r in records] + [reject[3] for reject in rejects])


def unpack_append(head: dict[str, Any], blobs: memoryview) -> tuple[list[Record], list[RejectRow]]:
    """What a request asks for. Raises `Refused` when it has another shape."""
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        if size < 0 or at + size > len(blobs):
            raise Refused("an append request's lengths do not add up")
        at += size
        return bytes(blobs[at - size : at])

    try:
        records = [_record(row, take(row[9])) for row in head["records"]]
        rejects = [(str(row[0]), int(row[1]), str(row[2]), take(row[3])) for row in head["rejects"]]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise Refused(f"an append request has a wrong shape: {error!r}") from None
    return records, rejects


def _record(row: Sequence[Any], body: bytes) -> Record:
    kind, source, id_, type_, principal, at, entity, caused_by, hops, _ = row
    if kind != KIND:
        raise Refused(f"a {kind!r} record does not come through the socket")
    texts = (source, id_, type_, principal)
    if not all(isinstance(text, str) for text in texts) or not (entity is None or isinstance(entity, str)):
        raise TypeError("a name is not a string")
    if principal.partition(":")[0] in PLATFORM:
        raise Refused(f"nobody outside speaks as {principal[:60]!r}")
    numbers = (at, hops, 0 if caused_by is None else caused_by)
    if not all(type(number) is int for number in numbers):
        raise TypeError("a number is not an integer")
    return Record(kind, source, id_, type_, body, principal, at, entity, caused_by, hops)


def chunks(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Runs of records that fit one message each."""
    start, size = 0, 0
    for index, record in enumerate(records):
        size += len(record.body) + 200
        if index > start and (size > CHUNK_BYTES or index - start >= CHUNK_RECORDS):
            yield records[start:index]
            start, size = index, len(record.body) + 200
    if start < len(records):
        yield records[start:]
