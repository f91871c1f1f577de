"""All that the store holds about one notification, read at once: what a screen shows of it then fits together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from eventctl import whyshaped
from eventctl.cli import inbox
from eventctl.cli.render import local

if TYPE_CHECKING:
    from eventctl.notification import MemberView, Notification
    from eventctl.offers import Offer
    from eventctl.store import DecisionRow, LogRow, OutboxRow, Store

OWING_MAX = 20
"""Of so many records of the life, the newest, it is asked what they owe; each costs a tenth of a millisecond."""

LIFE_MAX = 200
"""Records of a life that are shown, the newest."""

DECISION = "decision."


class Effect(NamedTuple):
    """Something that is owed, and the answer to it, if there is one."""

    row: OutboxRow
    answer: LogRow | None

    @property
    def error(self) -> str:
        """Why its last attempt came to nothing; "" when it has not, or has not ended."""
        return str(orjson.loads(self.answer.body).get("error") or "") if self.answer else ""


class Subject(NamedTuple):
    """A notification, and everything about it. `newest` is None when the log has let go of it; `cut` says that the life is longer."""

    row: Notification
    newest: LogRow | None
    life: list[LogRow]
    cut: bool
    members: list[MemberView]
    offers: list[Offer]
    notes: dict[str, bytes]
    effects: list[Effect]
    decisions: list[DecisionRow]

    def fields(self, now: int) -> list[tuple[str, object]]:
        """As `inbox show` has them."""
        seen_by = [view.member for view in self.members if view.seen >= self.row.news]
        return inbox.fields(self.row, seen_by, whyshaped.quiet(self.row, self.notes, now, local), now)

    @property
    def body(self) -> dict[str, object]:
        """The newest event as it was sent; empty when it is gone."""
        body: dict[str, object] = orjson.loads(self.newest.body) if self.newest else {}
        return body

    @property
    def length(self) -> str:
        """How much of its life is shown."""
        return f"the newest {len(self.life)}" if self.cut else f"{len(self.life)}"

    @property
    def acted(self) -> list[tuple[DecisionRow, str, str]]:
        """The decisions that are actions taken, in the order of asking: each with the name of its action and who took it."""
        bodies = [(row, orjson.loads(row.body)) for row in self.decisions]
        taken = [(row, body) for row, body in bodies if body.get("form") == "act"]
        return [(row, str(body.get("action")), str(body.get("by")).rpartition("/")[2]) for row, body in taken]

    @property
    def decision(self) -> int | None:
        """The number of the decision that this notification tells of; None for all others."""
        if self.newest is None or not self.newest.type.startswith(DECISION):
            return None
        payload = self.body.get("payload")
        number = payload.get("number") if isinstance(payload, dict) else None
        return number if isinstance(number, int) else None


def read(store: Store, number: int) -> Subject | None:
    """What there is; None when there is no such notification, or no more."""
    views = store.views
    row = views.notification(number)
    if row is None:
        return None
    life = views.life(number, limit=LIFE_MAX + 1)
    traces = [trace for each in life[-OWING_MAX:] if (trace := views.trace(each.seq)) is not None]
    newest = next((trace for trace in traces if trace.record.seq == row.seq), None) or views.trace(row.seq)
    owed = [effect for trace in traces for effect in trace.outbox]
    effects = [Effect(each, views.record(each.answer_seq) if each.answer_seq else None) for each in owed]
    decisions = [each for trace in traces for each in views.decisions_about(trace.record.seq)]
    return Subject(
        row, newest.record if newest else None, life[-LIFE_MAX:], len(life) > LIFE_MAX, views.member_views(number),
        inbox.offered(store, row), newest.annotations if newest else {}, effects, decisions,
    )  # fmt: skip
