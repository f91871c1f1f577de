"""What the views of every store share: the orders of the inbox, the tokens of its pages, the hash of the fold."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import orjson

from eventctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventctl.notification import MemberView, Notification
    from eventctl.views import InboxFilter, Order

RESOLVED_RANK = 1 << 58
OPEN_RANK = 2 << 58
TRACE_PARENTS_MAX = 64
TRACE_CHILDREN_MAX = 100
FIND_MAX = 10
TEXT_MAX = 1_000
"""Characters of a text to look for; SQLite takes expressions of at most 1,000 parts within each other."""

_VER = 26
"""Where `ver` stands in a Notification; `changed_pos` is the last field."""


def rank(row: Notification) -> int:
    """The order of the inbox as one number: open before resolved before archived, then level, then the newest change."""
    where = 0 if row.archived_at is not None else RESOLVED_RANK if row.agent_state == "resolved" else OPEN_RANK
    return where | row.level << 56 | row.updated_at


_TOKEN = re.compile(
    r"(?:(?P<order>age|oldest|domain|entity)\.)?(?P<number>-?[0-9a-f]{1,15})\.(?P<id>[0-9]{1,18})(?:\.(?P<name>(?:[0-9a-f]{2})*))?"
)


class Place(NamedTuple):
    """Where a row stands in an order: the name that it goes by ("" for none), its rank or time, its id."""

    name: str
    number: int
    id: int


def place(row: Notification, order: Order) -> Place:
    """Where it stands."""
    if order in ("age", "oldest"):
        return Place("", row.updated_at, row.id)
    name = {"domain": row.domain, "entity": row.entity or ""}.get(order, "")
    return Place(name, rank(row), row.id)


def token(row: Notification, order: Order = "level") -> str:
    """Names a row of the inbox, so that the next page starts below it even if it has moved since."""
    name, number, id_ = place(row, order)
    if order == "level":
        return f"{number:x}.{id_}"
    named = [name.encode("utf-8", "replace").hex()] if order in ("domain", "entity") else []
    return ".".join([order, f"{number:x}", str(id_), *named])


def parse_token(text: str, order: Order = "level") -> Place:
    """The place that a token of this order names. Raises `UsageError`."""
    found = _TOKEN.fullmatch(text)
    if found is None or (found["order"] or "level") != order or (found["name"] is not None) != (order in ("domain", "entity")):
        raise UsageError("this is no page token of this order", where=text[:40], hint="leave it out to start at the top")
    name = bytes.fromhex(found["name"] or "").decode("utf-8", "replace")
    return Place(name, int(found["number"], 16), int(found["id"]))


def check_filter(want: InboxFilter) -> None:
    """Raises `UsageError` where seen or snoozed is asked for without saying by whom."""
    if not want.member and (want.unseen or want.hide_snoozed_at is not None):
        raise UsageError("unseen and snoozed are a member's own", where="member", hint="say whose inbox it is")


def check_step(step: int) -> None:
    """Raises `UsageError` for a step that leads nowhere."""
    if step < 1:
        raise UsageError("a step is at least a microsecond long", where=f"step {step}")


def words_of(text: str) -> list[tuple[str, str]]:
    """The words to look for, each as it stands in plain text and as it stands in JSON. Raises `UsageError` for more than fits in a search."""
    if len(text) > TEXT_MAX:
        raise UsageError(f"a text to look for has at most {TEXT_MAX:,} characters", where=text[:40])
    try:
        return [(word, orjson.dumps(word)[1:-1].decode()) for word in text.split()]
    except TypeError:  # half of a character
        raise UsageError("this is no text", where=ascii(text[:40])) from None


def ascending(row: Place, order: Order) -> tuple[object, ...]:
    """What sorts places in their order, the first one lowest."""
    name, number, id_ = row
    if order in ("level", "age"):
        return -number, -id_
    return (number, id_) if order == "oldest" else (not name and order == "entity", name, -number, -id_)


def fold_hash(
    notifications: Iterable[Notification], touched: Iterable[tuple[int, int]], member_views: Iterable[MemberView]
) -> str:
    """SHA-256 over all three in the order they are given (by their keys).

    Two fields of a notification are left out: `ver`, which counts writes, and so depends on how many events shared a batch, and
    `changed_pos`, which depends on when a move met the pipeline.
    """
    digest = sha256()
    for row in notifications:
        digest.update(repr((*row[:_VER], row.news)).encode("utf-8", "surrogatepass"))
    digest.update(b"|")
    for pair in touched:
        digest.update(b"%d.%d;" % pair)
    digest.update(b"|")
    for view in member_views:
        digest.update(repr(tuple(view)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
