"""The tape: what arrived when. Everything else in this package writes on one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

END = datetime(2026, 11, 20, 16, 40, tzinfo=UTC)
START = END - timedelta(days=7)
DEV = "domain.software-development."
DESK = "domain.customer-relations."
NEWS = "domain.marketing."
STUDIO = "domain.creative-production."


def moment(day: int, clock: str) -> datetime:
    """A time of the week: day 0 is the Friday it starts on, 7 the Friday it ends on; `clock` is HH:MM or HH:MM:SS."""
    hours, minutes, seconds = (int(part) for part in (clock + ":00").split(":")[:3])
    midnight = START.replace(hour=0, minute=0)
    return midnight + timedelta(days=day, hours=hours, minutes=minutes, seconds=seconds)


def iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Tape:
    """Lines in any order; `text()` puts them in the order of their arrival."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self._lines: list[tuple[datetime, int, dict[str, Any]]] = []

    def add(
        self,
        at: datetime,
        source: str,
        event: str,
        description: str,
        payload: dict[str, Any],
        *,
        entity: str = "",
        ident: str = "",
        late: float = 0.0,
    ) -> datetime:
        """An envelope made at `at`, arriving a moment (and `late` seconds) later. Returns `at`, outside the week it adds nothing."""
        arrived = at + timedelta(seconds=late, milliseconds=self.rng.randint(12, 900))
        if at < START or arrived > END:
            return at
        line: dict[str, Any] = {"id": ident or self.delivery(), "event": event, "source": source, "timestamp": iso(at)}
        if entity:
            line["entity"] = f"eventctl://{entity}"
        line |= {"description": description, "payload": payload}
        self._put(arrived, {"line": line})
        return at

    def raw(self, at: datetime, text: str) -> None:
        """Something that is no envelope."""
        self._put(at, {"raw": text})

    def redeliver(self, after: datetime, before: datetime, source: str, share: float, delay: float) -> None:
        """What a sender repeats, word for word, because it never heard an answer: `share` of its lines, `delay` seconds later."""
        for arrived, _, line in list(self._lines):
            if after <= arrived < before and line.get("line", {}).get("source") == source and self.rng.random() < share:
                again = arrived + timedelta(seconds=delay + self.rng.random() * 20)
                if again < END:
                    self._put(again, line)

    def delivery(self) -> str:
        """A delivery's id, in the shape that webhooks have."""
        digits = f"{self.rng.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def sha(self) -> str:
        return f"{self.rng.getrandbits(40):010x}"

    def _put(self, arrived: datetime, line: dict[str, Any]) -> None:
        self._lines.append((arrived, len(self._lines), line))

    def text(self) -> str:
        """The recording: one JSON object a line, by arrival."""
        rows = (
            json.dumps({"at": iso(arrived), **line}, separators=(",", ":"))
            for arrived, _, line in sorted(self._lines, key=_when)
        )
        return "\n".join(rows) + "\n"


def _when(row: tuple[datetime, int, dict[str, Any]]) -> tuple[datetime, int]:
    return row[0], row[1]
