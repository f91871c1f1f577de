"""What the dashboard takes up again at its next start: colours, the screen in front, and what each screen wants back.

One file for a workspace, an entry for each who looks. It is written whole and put in place by a rename, so a dashboard that is killed
leaves the file of before; two of them keep each other's entries, because each reads before it writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from eventctl.regular import read_regular

FORMAT = 1
SIZE_MAX = 1 << 20
"""Bytes. A larger file was not written here."""


class Memory(NamedTuple):
    """One person's or agent's. `rooms` is what each screen gave as its `memory`, by its name."""

    theme: str = ""
    room: str = ""
    rooms: Mapping[str, Mapping[str, Any]] = {}


class Remembered:
    """The file, for one who looks. `wrong` says what was found instead of a file of ours, and where it is now; "" for nothing."""

    def __init__(self, path: Path, who: str) -> None:
        self._path = path
        self._who = who
        self.wrong = ""

    def read(self) -> Memory:
        """What was kept last, or nothing. A file that cannot be understood is set aside."""
        return _memory(self._entries().get(self._who))

    def write(self, memory: Memory) -> None:
        """Keep this instead. Raises `OSError`."""
        entries = {**self._entries(), self._who: memory._asdict()}
        aside = self._path.with_suffix(".new")
        aside.unlink(missing_ok=True)
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(orjson.dumps({"format": FORMAT, "people": entries}, option=orjson.OPT_INDENT_2))
        aside.replace(self._path)

    def _entries(self) -> dict[str, Any]:
        try:
            written = orjson.loads(read_regular(self._path, SIZE_MAX))
        except FileNotFoundError:
            return {}
        except (OSError, orjson.JSONDecodeError):
            written = None
        if isinstance(written, dict) and written.get("format") == FORMAT and isinstance(written.get("people"), dict):
            return dict(written["people"])
        self._set_aside()
        return {}

    def _set_aside(self) -> None:
        there = self._path.with_suffix(".damaged")
        try:
            self._path.replace(there)
        except OSError as error:
            self.wrong = f"{self._path.name} is not what the dashboard wrote, and stays: {error.strerror}"
        else:
            self.wrong = f"{self._path.name} was not what the dashboard wrote; it is now {there.name}"


def _memory(entry: Any) -> Memory:
    """An entry with whatever in it is of the right shape."""
    if not isinstance(entry, dict):
        return Memory()
    theme, room, rooms = entry.get("theme"), entry.get("room"), entry.get("rooms")
    return Memory(
        theme if isinstance(theme, str) else "",
        room if isinstance(room, str) else "",
        {name: said for name, said in rooms.items() if isinstance(said, dict)} if isinstance(rooms, dict) else {},
    )
