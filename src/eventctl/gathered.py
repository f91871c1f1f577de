"""Groups: one notification that stands for many lives. Its members stay rows of their own, kept out of sight by it.

A group's row counts its open members in `watched`, and says so in its title. It is news when it opens, and again whenever there are
twice as many as when it was news last: a storm of a thousand is news ten times.
"""

from __future__ import annotations

from typing import Any

import orjson

from eventctl.notification import Notification

LIFE = "group:"
"""The life of a rule's groups is this and the rule's id; no declared life has a colon."""


def is_group(row: Notification) -> bool:
    """Whether it stands for others."""
    return row.life.startswith(LIFE)


def group_of(row: Notification) -> int | None:
    """The number of the group that a notification is gathered in."""
    by = row.silenced_by
    return int(by[1:]) if by is not None and by[0] == "n" else None


def begun(row: Notification, title: str) -> Notification:
    """A new group, with its first member."""
    return _counted(row, {"open": 1, "told": 1, "title": title})


def joined(row: Notification, title: str) -> Notification:
    """The group with one more open member."""
    held = _held(row)
    now = {**held, "open": held["open"] + 1, "title": title}
    if now["open"] < 2 * held["told"]:
        return _counted(row, now)
    return _counted(row._replace(news=row.news + 1), {**now, "told": now["open"]})


def left(row: Notification, at: int) -> Notification:
    """The group with one open member less. Without any it is resolved."""
    held = _held(row)
    after = _counted(row, {**held, "open": max(0, held["open"] - 1)})._replace(updated_at=at)
    if held["open"] > 1 or row.agent_state == "resolved":
        return after
    settled = orjson.dumps({"summary": "all that it gathered is resolved"})
    return after._replace(agent_state="resolved", resolved_at=at, lease_due=None, resolution=settled)


def members(row: Notification) -> int:
    """How many of those that it gathers are open."""
    return int(_held(row)["open"])


def _held(row: Notification) -> dict[str, Any]:
    held: dict[str, Any] = orjson.loads(row.watched or b"{}")
    return {"open": 0, "told": 1, "title": row.title, **held}


def _counted(row: Notification, held: dict[str, Any]) -> Notification:
    return row._replace(watched=orjson.dumps(held), title=f"{held['title']} ({held['open']} open)")
