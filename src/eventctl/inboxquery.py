"""What an inbox is asked for: the usual view, the same narrowed by flags, the flags typed as one line of words.

    level:workflow type:deployment.* unseen since:2h timeout where payload.slug == "api" && level > 1

The words are the flags of `inbox list`: `level:workflow`, `--level=workflow` and `--level workflow` mean the same, so that a line from a
shell can be used as it is. Words that are no flag are looked for, and so is whatever stands in quotes. From `where` on, all is one
condition in CEL over the newest event of a notification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import orjson

from eventctl import flags
from eventctl.errors import Misconfigured
from eventctl.flagwords import Flag, fields, pattern, plain
from eventctl.store import Keys
from eventctl.viewing import token
from eventctl.views import InboxFilter, InboxItem, Order

if TYPE_CHECKING:
    from eventctl.expressions import Facts
    from eventctl.notification import Notification
    from eventctl.store import LogRow, Store

STATES = ("none", "claimed", "in_progress", "resolved")
ORDERS: tuple[Order, ...] = get_args(Order)
LOOK_MAX = 5_000
"""Rows that one page of a condition looks at, at most: 0.13 s, and in another order than `level` the time to sort besides."""

CHUNK = 500
"""Rows that are read at once for a condition."""


class Query(NamedTuple):
    """Which notifications, and the condition in CEL that their newest events fulfil ("" for none)."""

    want: InboxFilter
    where: str = ""


class Page(NamedTuple):
    """A page of a query, and the token for the next one ("" when all has been looked at).

    `looked` is how many rows were looked at for it. Unless it is `whole`, that was the limit, and more may fit before the page is full.
    """

    items: list[InboxItem]
    next: str
    looked: int
    whole: bool


def usual(member: str, audience: tuple[str, ...], now: int) -> InboxFilter:
    """What is shown unless somebody says otherwise: what is open, for them, neither silenced nor snoozed. `member` is "" for an agent."""
    return InboxFilter(
        member=member, hide_snoozed_at=now if member else None, hide_silenced_at=now, resolved=False, audience=audience
    )


def narrowed(
    usually: InboxFilter,
    *,
    text: Sequence[str] = (),
    audience: Sequence[str] = (),
    resolved: bool = False,
    snoozed: bool = False,
    silenced: bool = False,
    others: bool = False,
    **filters: Any,
) -> InboxFilter:
    """The usual view with what flags say. `filters` are fields of `InboxFilter`."""
    want = replace(usually, text=" ".join(text), audience=tuple(audience) or (() if others else usually.audience), **filters)
    if resolved or want.archived or "resolved" in want.states:
        want = replace(want, resolved=True)
    if snoozed or silenced:
        want = replace(want, hide_snoozed_at=None)
    return replace(want, hide_silenced_at=None, silenced_at=usually.hide_silenced_at) if silenced else want


def query(words: str, *, member: str, audience: tuple[str, ...], now: int, order: Order = "level") -> Query:
    """What a line of words asks for. `order` is how it is sorted unless the words say so.

    Raises `UsageError`, which names the word and what it wants.
    """
    said = {"order": order, **fields(words, WORDS, now, _ELSEWHERE)}
    where = said.pop("where", "")
    return Query(narrowed(usual(member, audience, now), **said), where)


def page(store: Store, query: Query, *, limit: int, after: str = "", look: int = LOOK_MAX) -> Page:
    """A page of what fits. With a condition it looks at `look` rows at most, and `next` goes on from there.

    An event for which the condition has no answer does not fit. `level`, `domain` and `entity` are the notification's; one whose newest
    event retention has taken is asked with an empty payload. Raises `Misconfigured` for a wrong condition, with the place marked.
    """
    want = query.want
    if not query.where:
        found = store.views.inbox(want, limit=limit, after=after)
        return Page(found.items, found.next, len(found.items), True)
    holds = _condition(store, query.where)
    items: list[InboxItem] = []
    looked = 0
    while looked < look:
        # Any order but `level` sorts all that there is for every page: one of them is enough.
        size = min(look - looked, CHUNK if want.order == "level" else look)
        found = store.views.inbox(want, limit=size, after=after)
        for place, fits in enumerate(holds(found.items)):
            items += [found.items[place]] if fits else []
            if len(items) == limit:
                last = place == len(found.items) - 1
                after = found.next if last else token(found.items[place].notification, want.order)
                return Page(items, after, looked + place + 1, True)
        looked, after = looked + len(found.items), found.next
        if not after:
            return Page(items, "", looked, True)
    return Page(items, after, looked, False)


def _condition(store: Store, where: str) -> Callable[[Sequence[InboxItem]], Iterator[bool]]:
    """For each of some rows whether the condition holds."""
    from eventctl.expressions import Unanswered, compiled, mistakes  # the library of CEL comes along

    wrong = mistakes(where, "where")
    if wrong:
        raise Misconfigured(wrong[0].what, where=wrong[0].mark or wrong[0].where, hint=wrong[0].hint, problems=wrong)
    expression = compiled(where)

    def holds(items: Sequence[InboxItem]) -> Iterator[bool]:
        seqs = [item.notification.seq for item in items]
        known = store.snapshot(Keys(records=seqs, annotations=seqs if "annotations" in where else []))
        for item in items:
            row = item.notification
            try:
                yield expression.holds(_facts(row, known.records.get(row.seq), known.annotations.get(row.seq, {})))
            except Unanswered:
                yield False

    return holds


def _facts(row: Notification, newest: LogRow | None, annotations: Mapping[str, bytes]) -> Facts:
    from eventctl.enrichments import seen_as
    from eventctl.expressions import Facts

    data = orjson.loads(newest.body) if newest else {"event": row.type}
    noted = {seen_as(slot): orjson.loads(value) for slot, value in annotations.items()}
    return Facts(
        data, level=row.level, domain=row.domain, entity=row.entity, annotations=noted,
        now=newest.at if newest else row.updated_at, principal=newest.principal if newest else "",
    )  # fmt: skip


_SWITCHES = ("unseen", "resolved", "archived", "snoozed", "silenced", "others")

WORDS: Mapping[str, Flag] = {
    "type": Flag("types", pattern, "a pattern like deployment.*", many=True),
    "level": Flag("level_min", lambda text, _: flags.level(text), f"one of {', '.join(flags.LEVEL_NAMES)}"),
    "domain": Flag("domains", pattern, "a domain, or a pattern like ops.**", many=True),
    "entity": Flag("entity", plain, "an entity"),
    "state": Flag("states", lambda text, _: flags.choice(text, STATES), f"one of {', '.join(STATES)}", many=True),
    "audience": Flag("audience", plain, "workspace, domain:NAME or member:NAME", many=True),
    "since": Flag("since", flags.moment, "an age like 2h, or a time"),
    "until": Flag("until", flags.moment, "an age like 2h, or a time"),
    "text": Flag("text", plain, "words to look for", many=True),
    "order": Flag("order", lambda text, _: flags.choice(text, ORDERS), f"one of {', '.join(ORDERS)}"),
    **{name: Flag(name, lambda _text, _now: True) for name in _SWITCHES},
    "where": Flag("where", plain, "a condition in CEL"),
}
"""The words that a query knows, by the names that the flags of `inbox list` have."""

_ELSEWHERE = ("--limit", "-n", "--after", "--json")
"""Flags of `inbox list` that do not say which notifications."""
