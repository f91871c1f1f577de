"""A stream of lines on its way into the log: decoded one by one, appended in groups, the bad ones kept as rejects.

A group goes off when it is full or when the input pauses, so that a pipe that trickles is as durable as one that pours.
"""

from __future__ import annotations

import select
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from eventctl.cli.session import refusal, unallowed
from eventctl.decode import Limits, decode, to_record
from eventctl.errors import Refused

if TYPE_CHECKING:
    from eventctl.client import Appender
    from eventctl.principal import Principal
    from eventctl.store import Record

GROUP = 500
CHUNK = 1 << 16
LINE_MAX = Limits().bytes + 1
"""One byte more than an event may have: a longer line is cut here, and then refused for its size."""

Numbered = tuple[int, bytes]


@dataclass(slots=True)
class Counts:
    """How a stream came in. `first` and `last` are the seqs of what is new."""

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    first: int | None = None
    last: int | None = None


@dataclass(slots=True)
class Intake:
    """Takes raw envelopes to the log. `complain(number, reason)` is told of each one that is refused."""

    appender: Appender
    principal: Principal
    now: Callable[[], int]
    complain: Callable[[int, str], None]
    counts: Counts = field(default_factory=Counts)
    _records: list[Record] = field(default_factory=list)
    _rejects: list[tuple[str, int, str, bytes]] = field(default_factory=list)

    @property
    def pending(self) -> int:
        """Lines that were read and are not in the log, good and bad ones."""
        return len(self._records) + len(self._rejects)

    def take(self, number: int, raw: bytes, envelope: Callable[[bytes], bytes] | None = None) -> None:
        """Judge a line; `envelope` turns one of another format into ours first."""
        now = self.now()
        try:
            decoded = decode(envelope(raw) if envelope else raw, now=now)
            record = to_record(decoded, principal=str(self.principal), at=now)
            reason = unallowed(self.principal, record)
        except Refused as wrong:
            reason = refusal(wrong)
        except ValueError as wrong:
            reason = str(wrong)
        if not reason:
            self._records.append(record)
            return
        self.counts.refused += 1
        self._rejects.append((self.principal.channel, now, reason, raw))
        self.complain(number, reason)

    def flush(self) -> None:
        """Append what was taken. Durable when it returns."""
        records, rejects = self._records, self._rejects
        appended = self.appender.append(records, rejects=rejects)
        self._records, self._rejects = [], []
        new = [each.seq for each in appended if not each.duplicate]
        self.counts.accepted += len(new)
        self.counts.duplicates += len(appended) - len(new)
        if new:
            self.counts.first = self.counts.first if self.counts.first is not None else new[0]
            self.counts.last = new[-1]


def pour(intake: Intake, groups: Iterable[list[Numbered]], envelope: Callable[[bytes], bytes] | None = None) -> None:
    """Take every line of every group, one append a group."""
    for group in groups:
        for number, raw in group:
            intake.take(number, raw, envelope)
        intake.flush()


def pour_envelopes(intake: Intake, envelopes: Iterable[dict[str, Any]]) -> None:
    """The same for envelopes that a reader of ours made."""
    for number, envelope in enumerate(envelopes, start=1):
        intake.take(number, orjson.dumps(envelope))
        if number % GROUP == 0:
            intake.flush()
    intake.flush()


class Lines:
    """The lines of a stream, numbered from 1, in groups. SIGINT and SIGTERM end it after the group that is on its way."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._reading = False
        self._stopped = False

    def groups(self) -> Iterator[list[Numbered]]:
        """Up to 500 lines at a time, fewer when no more are there yet; blank lines count and are left out."""
        with self._stoppable():
            number, rest, group = 0, b"", list[Numbered]()
            while chunk := self._read():
                *whole, tail = chunk.split(b"\n")
                if whole:
                    whole[0], rest = (rest + whole[0])[:LINE_MAX], b""
                for text in whole:
                    number += 1
                    if stripped := _stripped(text, number):
                        group.append((number, stripped))
                    if len(group) >= GROUP:
                        yield group
                        group = []
                rest = (rest + tail)[:LINE_MAX]
                if group and not self._more_at_once():
                    yield group
                    group = []
            if stripped := _stripped(rest, number + 1):
                group.append((number + 1, stripped))
            if group:
                yield group

    def _read(self) -> bytes:
        if self._stopped:
            return b""
        self._reading = True
        try:
            return self._stream.read1(CHUNK) if hasattr(self._stream, "read1") else self._stream.read(CHUNK)
        except KeyboardInterrupt:
            self._stopped = True
            return b""
        finally:
            self._reading = False

    def _more_at_once(self) -> bool:
        try:
            return bool(select.select([self._stream.fileno()], [], [], 0)[0])
        except (OSError, ValueError):  # no file behind it: what is there is all there
            return True

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        def stop(_number: int, _frame: object) -> None:
            self._stopped = True
            if self._reading:
                raise KeyboardInterrupt

        try:
            before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: whoever owns it decides about signals
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _stripped(text: bytes, number: int) -> bytes:
    return (text.removeprefix(b"\xef\xbb\xbf") if number == 1 else text).strip()
