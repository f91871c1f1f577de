"""What the views of every store share: the order of the inbox, the tokens of its pages, the hash of the fold."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from eventctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventctl.notification import MemberView, Notification
    from eventctl.views import InboxFilter

RESOLVED_RANK = 1 << 58
OPEN_RANK = 2 << 58
TRACE_PARENTS_MAX = 64
TRACE_CHILDREN_MAX = 100
FIND_MAX = 10

_VER = 26
"""Where `ver` stands in a Notification; `changed_pos` is the last field."""


def rank(row: Notification) -> int:
    """The order of the inbox as one number: open before resolved before archived, then level, then the newest change."""
    where = 0 if row.archived_at is not None else RESOLVED_RANK if row.agent_state == "resolved" else OPEN_RANK
    return where | row.level << 56 | row.updated_at


def token(row: Notification) -> str:
    """Names a row of the inbox, so that the next page starts below it even if it has moved since."""
    return f"{rank(row):x}.{row.id}"


def parse_token(text: str) -> tuple[int, int]:
    """The (rank, id) of a token. Raises `UsageError`."""
    above, _, number = text.partition(".")
    try:
        return int(above, 16), int(number)
    except ValueError:
        raise UsageError("this is no page token", where=text[:40], hint="leave it out to start at the top") from None


def check_filter(want: InboxFilter) -> None:
    """Raises `UsageError` where seen or snoozed is asked for without saying by whom."""
    if not want.member and (want.unseen or want.hide_snoozed_at is not None):
        raise UsageError("unseen and snoozed are a member's own", where="member", hint="say whose inbox it is")


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
