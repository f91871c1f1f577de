"""What two trials of a cartridge came to, side by side: what people would hear that they did not, and what they would not.

notified, unnotified      a notification that is there after, or was there before
regrouped                 one whose event belongs to another notification now
level, title              the same notification, at another level or with other words
silenced, unsilenced      the same notification, kept quiet or not any more
told, untold              notices that the cartridge makes
emitted, unemitted        other events that it makes
reworded                  either of these, with other contents
annotated                 what it says beside events
failed                    events at which it fails now, or does not any more
asked, unasked            what autonomy decides about that it did not, or does not any more
calls                     calls that nobody has answered: they are named, and never made
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from eventctl.account import Account, Failure, Made, Name, Shown
from eventctl.event import Level

NOTICES = ("notice.raised", "notice.withdrawn")
QUIET_STATES = frozenset({"waiting"})
"""What waits for an answer is told as a call."""


class Change(NamedTuple):
    """One difference: at which event (`e123`, or the name of a timer that came due), and in words how it was and is."""

    event: Name
    before: str
    after: str


@dataclass(slots=True)
class Difference:
    """By kind, in the order of the log. Kinds without a difference are left out."""

    changes: dict[str, list[Change]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything but calls without an answer differs."""
        return any(kind != "calls" for kind in self.changes)

    @property
    def counts(self) -> dict[str, int]:
        """How many differences of each kind there are."""
        return {kind: len(changes) for kind, changes in self.changes.items()}

    def add(self, kind: str, event: Name, before: object = "", after: object = "") -> None:
        """Note one."""
        self.changes.setdefault(kind, []).append(Change(event, str(before), str(after)))


def compare(before: Account, after: Account) -> Difference:
    """How the second trial differs from the first."""
    found = Difference()
    _notices(before, after, found)
    _events(before.events, after.events, found)
    _annotations(before, after, found)
    for event, was, now in _pairs(_failures(before), _failures(after)):
        found.add("failed", event, _failure(was), _failure(now))
    was_asked, is_asked = set(before.asked.values()), set(after.asked.values())
    for event, what in after.asked.values():
        if (event, what) not in was_asked:
            found.add("asked", event, "", what)
    for event, what in before.asked.values():
        if (event, what) not in is_asked:
            found.add("unasked", event, what, "")
    for event, what in after.calls.values():
        found.add("calls", event, "", what)
    causes = {**before.events, **after.events}
    changes = {
        kind: [change._replace(event=_cause(change.event, causes)) for change in changes]
        for kind, changes in found.changes.items()
    }
    return Difference({kind: sorted(changes, key=_place) for kind, changes in changes.items()})


def _cause(event: Name, made: Mapping[str, Made]) -> Name:
    """The event of the log that led to one that a trial made; a timer that came due in it has only a name of its own."""
    while event in made:
        event = made[event].event
    return event


def _notices(before: Account, after: Account, found: Difference) -> None:
    gone = {key: one for key, one in before.notices.items() if key not in after.notices}
    for key, one in after.notices.items():
        was = before.notices.get(key)
        if was is not None:
            _same_notice(was, one, found)
        elif not _moved(key, gone, before):
            found.add("notified", one.event, "", _titled(one))
    for key, one in gone.items():
        others = [other for other in after.touched.get(one.event, ()) if other != key and other in after.notices]
        if others:
            found.add("regrouped", one.event, _titled(one), _titled(after.notices[others[0]]))
        else:
            found.add("unnotified", one.event, _titled(one), "")


def _moved(key: tuple[str, str, Name], gone: Mapping[Any, Shown], before: Account) -> bool:
    """Whether a notification only took another's place: its event belonged to one that is not there any more."""
    return any(other in gone for other in before.touched.get(key[2], ()))


def _same_notice(was: Shown, now: Shown, found: Difference) -> None:
    if was.level != now.level:
        found.add("level", now.event, f"{now.title}: {_level(was.level)}", _level(now.level))
    if was.title != now.title:
        found.add("title", now.event, was.title, now.title)
    if now.silenced_by.startswith("n") and not was.silenced_by:
        found.add("regrouped", now.event, now.title, "gathered in a group")
    elif bool(was.silenced_by) != bool(now.silenced_by):
        kind, by = ("silenced", now.silenced_by) if now.silenced_by else ("unsilenced", was.silenced_by)
        found.add(kind, now.event, now.title, by)


def _events(before: Mapping[str, Made], after: Mapping[str, Made], found: Difference) -> None:
    for id_, now in after.items():
        was = before.get(id_)
        if was is None:
            found.add("told" if now.type in NOTICES else "emitted", now.event, "", _said(now))
        elif (was.type, was.body) != (now.type, now.body):
            found.add("reworded", now.event, _said(was), _said(now))
    for id_, was in before.items():
        if id_ not in after:
            found.add("untold" if was.type in NOTICES else "unemitted", was.event, _said(was), "")


def _annotations(before: Account, after: Account, found: Difference) -> None:
    for (event, slot), value in after.annotations.items():
        was = before.annotations.get((event, slot))
        if was != value:
            found.add("annotated", event, _noted(slot, was), _noted(slot, value))
    for (event, slot), value in before.annotations.items():
        if (event, slot) not in after.annotations:
            found.add("annotated", event, _noted(slot, value), "")


def _failures(account: Account) -> dict[Name, Failure]:
    return {event: failure for event, failure in account.failures.items() if failure.state not in QUIET_STATES}


def _pairs(
    before: Mapping[Name, Failure], after: Mapping[Name, Failure]
) -> Iterable[tuple[Name, Failure | None, Failure | None]]:
    for event in {**before, **after}:
        was, now = before.get(event), after.get(event)
        if was != now:
            yield event, was, now


def _failure(failure: Failure | None) -> str:
    return f"{failure.state}: {failure.reason}" if failure else ""


def _titled(one: Shown) -> str:
    return f"{one.title} ({_level(one.level)}, {one.audience})"


def _level(level: int) -> str:
    return Level(level).name.lower() if 0 <= level <= 3 else str(level)


def _said(made: Made) -> str:
    try:
        payload = orjson.loads(made.body)["payload"]
    except (orjson.JSONDecodeError, KeyError):
        return made.type  # one of very many: only its hash was kept
    if made.type in NOTICES:
        return f"{payload['title']}" + (" (withdrawn)" if made.type != NOTICES[0] else "")
    return f"{made.type} {orjson.dumps(payload).decode()}"


def _noted(slot: str, value: bytes | None) -> str:
    if value is None:
        return ""
    try:
        return f"{slot} = {value.decode()}"
    except UnicodeDecodeError:
        return slot


def _place(change: Change) -> tuple[int, str]:
    """Events of the log in their order, then what was made in the trial."""
    number = change.event[1:]
    return (int(number), "") if change.event[:1] == "e" and number.isdigit() else (1 << 62, change.event)
