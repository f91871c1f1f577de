"""A recorded week of a small team, played into a workspace: what came in when it came in, shifted so that it ends now.

The recording is made by `tools/week`. A line is `{"at": when it arrived, "line": an envelope}`, or `"raw"` with the text of something
that was no envelope. Events go in by the door that `emit` uses; only the clock is the recording's.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson

from eventctl import starter
from eventctl.decode import decode, to_record
from eventctl.errors import NotFound, Refused
from eventctl.times import HOUR, SECOND, parse_iso

if TYPE_CHECKING:
    from eventctl.frames import RejectRow
    from eventctl.store import Record, Store

RECORDING = "demo/week.ndjson.gz"
PRINCIPAL = "cli:demo"
CHANNEL = "cli"
MEMBER = "ada"
ALIGN = 300 * SECOND
"""The shift is a multiple of correlation's window, so that what was one burst in the recording is one burst now."""

_INSTANT = re.compile(rb"(?<=\")\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z(?=\")")


class Line(NamedTuple):
    """What arrived, at `at` (microseconds since 1970 UTC)."""

    at: int
    raw: bytes


@dataclass(slots=True)
class Played:
    """What became of the lines: `events` are new in the log, `repeats` were there already, `rejects` were no events."""

    events: int = 0
    repeats: int = 0
    rejects: int = 0


def lines(recording: Path, now: int) -> list[Line]:
    """The recording in the order of arrival, its last line at most five minutes before `now`. Raises `NotFound`."""
    try:
        rows = [orjson.loads(row) for row in gzip.decompress(recording.read_bytes()).splitlines()]
    except FileNotFoundError:
        hint = "it is part of the package; install eventctl again"
        raise NotFound("the demo's recording is missing", where=str(recording), hint=hint) from None
    shift = (now - parse_iso(rows[-1]["at"])) // ALIGN * ALIGN
    return [Line(parse_iso(row["at"]) + shift, _shifted(row, shift)) for row in rows]


def _shifted(row: dict[str, object], shift: int) -> bytes:
    """The line with every instant in it moved; what was no envelope stays as it was."""
    if "raw" in row:
        return str(row["raw"]).encode()
    by = timedelta(microseconds=shift)
    return _INSTANT.sub(lambda found: _moved(found[0], by), orjson.dumps(row["line"]))


def _moved(instant: bytes, by: timedelta) -> bytes:
    moved = datetime.fromisoformat(instant.decode()).astimezone(UTC) + by
    return moved.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


def hours(tape: list[Line]) -> Iterator[list[Line]]:
    """The lines by the hour that they arrived in."""
    for _, lines_ in groupby(tape, key=lambda line: line.at // HOUR):
        yield list(lines_)


def play(store: Store, hour: list[Line], played: Played) -> None:
    """Append lines as they arrived, durable when this returns, and count what became of them."""
    records, rejects = judged(hour)
    answers = store.append(records, rejects=rejects)
    repeats = sum(answer.duplicate for answer in answers)
    played.events += len(answers) - repeats
    played.repeats += repeats
    played.rejects += len(rejects)


def judged(piece: list[Line]) -> tuple[list[Record], list[RejectRow]]:
    """The lines as the log takes them: records, and what never becomes one with its reason."""
    records: list[Record] = []
    rejects: list[RejectRow] = []
    for line in piece:
        try:
            records.append(to_record(decode(line.raw, now=line.at), principal=PRINCIPAL, at=line.at))
        except Refused as refused:
            rejects.append((CHANNEL, line.at, str(refused), line.raw))
    return records, rejects


def recording() -> Path:
    """Where the shipped recording stands."""
    return starter.content() / RECORDING
