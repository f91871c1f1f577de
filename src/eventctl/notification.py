"""A notification, the living object that people and agents handle, and each member's own side of it."""

from __future__ import annotations

from typing import NamedTuple


class Notification(NamedTuple):
    """The living object that people and agents handle. Unique by (life, life_key) while not resolved and not archived.

    `ver` counts every change and is what a writer must have seen; `news` counts the changes that people should look at: a member
    has seen it when their `seen` is not below `news`. `due` is when ageing next looks at it. `seq` is the newest event of its
    life, `opened_seq` the first; `title` is rendered once, when an event of its life arrives. `silenced_by` keeps it out of sight until
    `silenced_until`: `s<number>` a silence, `rule:<id>` a rule, `n<number>` the notification that it is gathered in.
    """

    id: int
    life: str
    life_key: str
    audience: str
    level: int
    domain: str
    type: str
    entity: str | None
    title: str
    actionable: bool
    seq: int
    opened_seq: int
    created_at: int
    updated_at: int
    agent_state: str = "none"
    agent: str | None = None
    lease_token: int = 0
    lease_due: int | None = None
    claimed_at: int | None = None
    resolved_at: int | None = None
    resolution: bytes | None = None
    archived_at: int | None = None
    silenced_by: str | None = None
    silenced_until: int | None = None
    due: int | None = None
    watched: bytes | None = None
    ver: int = 1
    news: int = 1
    changed_pos: int = 0


class MemberView(NamedTuple):
    """One member's own side of a notification: the `news` they have seen, and until when they want to hear nothing.

    `snoozed_by` is the silence or rule of theirs that snoozed it; None when they did it by hand.
    """

    member: str
    notification: int
    seen: int
    snooze_until: int | None = None
    snoozed_by: str | None = None


class Snooze(NamedTuple):
    """A silence or rule of a member's keeps a notification from them until then. What they have seen stays as it is."""

    member: str
    notification: int
    until: int
    by: str
