"""The inbox of an open workspace, for programs: what stands in it, and the moves that people and agents make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from eventctl import moves
from eventctl.moves import Moved
from eventctl.principal import Principal
from eventctl.store import Store
from eventctl.views import InboxFilter, InboxPage, Views


class Inbox:
    """`writing` gives the store for one move, `lease` how long a claim holds that does not say.

    `who` makes the moves; an agent's name is given where one is meant.
    """

    def __init__(
        self,
        views: Callable[[], Views],
        writing: Callable[[], AbstractContextManager[Store]],
        who: Principal,
        now: Callable[[], int],
        lease: Callable[[], int],
    ) -> None:
        self._views = views
        self._writing = writing
        self._who = who
        self._now = now
        self._lease = lease

    def list(self, want: InboxFilter | None = None, *, limit: int = 50, after: str = "") -> InboxPage:
        """A page of notifications: open ones first by level, then newest change first."""
        return self._views().inbox(want or InboxFilter(), limit=limit, after=after)

    def claim(self, number: int, *, agent: str, lease: int | None = None) -> Moved:
        """Take a notification to work on, for `lease` microseconds (default: the setting). Raises `Conflict` when somebody else holds it."""
        return self._make(moves.claim, number, agent=agent, lease=self._lease() if lease is None else lease)

    def start(self, number: int, *, agent: str, token: int | None = None) -> Moved:
        """Say that work on it has begun."""
        return self._make(moves.start, number, agent=agent, token=token)

    def release(self, number: int, *, agent: str, token: int | None = None) -> Moved:
        """Give it back."""
        return self._make(moves.release, number, agent=agent, token=token)

    def resolve(
        self, number: int, *, agent: str, resolution: Mapping[str, Any] | None = None, token: int | None = None
    ) -> Moved:
        """Say how it was settled."""
        return self._make(moves.resolve, number, agent=agent, resolution=resolution, token=token)

    def reopen(self, number: int, *, agent: str) -> Moved:
        """Take back that it was resolved."""
        return self._make(moves.reopen, number, agent=agent)

    def seen(self, number: int, *, member: str, news: int | None = None) -> Moved:
        """Mark as seen for a member."""
        return self._make(moves.seen, number, member=member, news=news)

    def unseen(self, number: int, *, member: str) -> Moved:
        """Mark as not seen for a member."""
        return self._make(moves.unseen, number, member=member)

    def snooze(self, number: int, *, member: str, until: int) -> Moved:
        """Let a member hear nothing of it until then (microseconds since 1970 UTC)."""
        return self._make(moves.snooze, number, member=member, until=until)

    def unsnooze(self, number: int, *, member: str) -> Moved:
        """End a member's snooze."""
        return self._make(moves.unsnooze, number, member=member)

    def archive(self, number: int) -> Moved:
        """Put it away."""
        return self._make(moves.archive, number)

    def unarchive(self, number: int) -> Moved:
        """Bring it back."""
        return self._make(moves.unarchive, number)

    def _make(self, move: Callable[..., Moved], number: int, **details: Any) -> Moved:
        with self._writing() as store:
            return move(store, number, principal=self._who, now=self._now(), **details)
