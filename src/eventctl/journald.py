"""Lines of `journalctl -o json` as envelopes.

An entry is an object of strings, except that bytes come as an array of numbers, a repeated field as an array of values, and a
field above 4096 bytes as null. The cursor names the entry for good, so it is the event's id: the same line piped in twice is one
event. What systemd itself says about a unit (by MESSAGE_ID) has types with a life of its own; everything else is an entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventctl.times import iso

# systemd's catalog, `man systemd.journal-fields` and sd-messages.h
UNIT_MESSAGES = {
    "be02cf6855d2428ba40df7e9d022f03d": "journal.unit.failed",  # its start job failed
    "d9b373ed55a64feb8242e02dbe79a49c": "journal.unit.failed",  # it entered the failed state
    "fe6faa94e7774663a0da52717891d8ef": "journal.unit.failed",  # the kernel killed one of its processes for memory
    "39f53479d3a045ac8e11786248231fbf": "journal.unit.started",
}
ALERT_PRIORITY = 2
"""`crit` and worse: somebody should look even when no unit failed."""

LEVEL_BY_PRIORITY = (2, 2, 2, 1, 1, 0, 0, 0)
"""From emerg to debug: workflow for crit and worse, operational for err and warning, infrastructure below."""

DESCRIPTION_MAX = 300


def envelope(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The event that a journal entry is. Raises ValueError with a sentence when it is no journal entry."""
    stamp = _text(entry.get("__REALTIME_TIMESTAMP"))
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 16):
        raise ValueError("a journal entry has __REALTIME_TIMESTAMP in microseconds; pipe in `journalctl -o json`")
    priority = _priority(entry)
    host = _text(entry.get("_HOSTNAME")) or "localhost"
    about = UNIT_MESSAGES.get(_text(entry.get("MESSAGE_ID")))
    unit = _text(entry.get("UNIT") or entry.get("USER_UNIT")) if about else ""
    unit = unit or _text(entry.get("_SYSTEMD_UNIT"))
    identifier = _text(entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM"))
    message = _text(entry.get("MESSAGE"))
    payload = {
        "host": host, "unit": unit, "identifier": identifier, "priority": priority, "message": message,
        "pid": _text(entry.get("_PID")), "transport": _text(entry.get("_TRANSPORT")), "message_id": _text(entry.get("MESSAGE_ID")),
    }  # fmt: skip
    made: dict[str, Any] = {
        "event": about or ("journal.alert" if priority <= ALERT_PRIORITY else "journal.entry"),
        "source": f"journald:{host}",
        "timestamp": iso(int(stamp)),
        "description": message.strip().split("\n")[0][:DESCRIPTION_MAX],
        "payload": {name: value for name, value in payload.items() if value != ""},
    }
    cursor = _text(entry.get("__CURSOR"))
    if cursor:
        made["id"] = cursor
    if about is None:
        made["level"] = LEVEL_BY_PRIORITY[priority]
    if unit or identifier:
        made["entity"] = f"eventctl://unit/{host}/{unit or identifier}"
    return made


def _priority(entry: Mapping[str, Any]) -> int:
    text = _text(entry.get("PRIORITY"))
    return int(text) if text in tuple("01234567") else 6


def _text(value: Any) -> str:
    """A field as text: bytes decoded, repeated values joined, NUL (which no event may hold) made visible."""
    if value is None:
        return ""
    if isinstance(value, list):
        if value and all(isinstance(part, int) and 0 <= part < 256 for part in value):
            value = bytes(value).decode(errors="backslashreplace")
        else:
            value = ", ".join(_text(part) for part in value if not isinstance(part, list))
    return str(value).replace("\0", "␀")
