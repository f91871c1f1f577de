"""What people read, over the in-memory tables: plain filters and sorts, the reference for what SQLite must answer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from eventctl.memory_tables import Tables, is_open
from eventctl.patterns import matches
from eventctl.store import DUPLICATE_OF, LOG_PIPELINE
from eventctl.viewing import (
    FIND_MAX,
    TRACE_CHILDREN_MAX,
    TRACE_PARENTS_MAX,
    ascending,
    check_filter,
    check_step,
    fold_hash,
    parse_token,
    place,
    token,
    words_of,
)
from eventctl.views import Counts, InboxFilter, InboxItem, InboxPage, LogFilter, SourceSeen, Trace, TypeSeen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventctl.notification import MemberView, Notification
    from eventctl.store import CursorRow, DecisionRow, ExceptionRow, LogRow, OutboxRow, Reject


class MemoryViews:
    """The reads behind every command and screen."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def version(self) -> int:
        return self._tables.commits

    def inbox(self, want: InboxFilter, *, limit: int = 50, after: str = "") -> InboxPage:
        check_filter(want)
        order = want.order
        behind = ascending(parse_token(after, order), order) if after else None
        places = {row.id: ascending(place(row, order), order) for row in self._tables.notifications.rows.values()}
        items: list[InboxItem] = []
        for row in sorted(self._wanted(want), key=lambda row: places[row.id]):
            if behind is None or places[row.id] > behind:
                view = self._tables.member_views.rows.get((want.member, row.id))
                seen = (view.seen if view else 0) >= row.news
                items.append(InboxItem(row, seen, view.snooze_until if view else None))
        more = limit and len(items) > limit
        return InboxPage(items[:limit], token(items[limit - 1].notification, order) if more else "")

    def inbox_count(self, want: InboxFilter, *, most: int = 1_000) -> int:
        check_filter(want)
        return len(self._wanted(want)[:most])

    def notification(self, number: int) -> Notification | None:
        return self._tables.notifications.rows.get(number)

    def life(self, number: int, *, limit: int = 200) -> list[LogRow]:
        seqs = sorted(seq for held, seq in self._tables.touched.rows if held == number)
        log = self._tables.log.rows
        return [log[seq] for seq in seqs[max(len(seqs) - limit, 0) :] if seq in log]

    def member_views(self, number: int) -> list[MemberView]:
        return sorted(view for view in self._tables.member_views.rows.values() if view.notification == number)

    def record(self, seq: int) -> LogRow | None:
        return self._tables.log.rows.get(seq)

    def find(self, text: str) -> list[LogRow]:
        found = [row for row in self._tables.log.rows.values() if text and row.id.startswith(text)]
        return sorted(found, key=lambda row: (row.id, row.source))[:FIND_MAX]

    def log(self, want: LogFilter, *, limit: int = 50, before: int | None = None, above: int = 0) -> list[LogRow]:
        words = words_of(want.text)
        rows = [row for row in self._tables.log.rows.values() if above < row.seq and (before is None or row.seq < before)]
        return [row for row in reversed(rows) if _logged(row, want) and _holds(words, (row.type, row.source), row.body)][:limit]

    def trace(self, seq: int) -> Trace | None:
        tables = self._tables
        record = tables.log.rows.get(seq)
        if record is None:
            return None
        numbers = sorted(number for number, at in tables.touched.rows if at == seq)
        reason = f"{DUPLICATE_OF}{seq}"
        repeats = [row.seq for row in tables.exceptions.rows.values() if row.state == "dropped" and row.reason == reason]
        return Trace(
            record=record,
            parents=self._parents(record),
            children=[row for row in tables.log.rows.values() if row.caused_by == seq][:TRACE_CHILDREN_MAX],
            exceptions=sorted(row for row in tables.exceptions.rows.values() if row.seq == seq),
            annotations=dict(sorted(tables.annotations.rows.get(seq, {}).items())),
            feed=[row for row in tables.feed.rows.values() if row.seq == seq],
            notifications=[tables.notifications.rows[number] for number in numbers if number in tables.notifications.rows],
            outbox=[row for row in tables.outbox.rows.values() if row.seq == seq],
            duplicates=sorted(repeats)[:TRACE_CHILDREN_MAX],
            duplicates_count=len(repeats),
        )

    def exceptions(
        self, *, states: Sequence[str] = (), pipeline: str = "", limit: int = 50, before: int | None = None
    ) -> list[ExceptionRow]:
        found = [
            row
            for row in self._tables.exceptions.rows.values()
            if (not states or row.state in states)
            and (not pipeline or row.pipeline == pipeline)
            and (before is None or row.seq < before)
        ]
        found.sort(key=lambda row: (-row.seq, row.pipeline))
        return [row for row in found if len(found) <= limit or row.seq >= found[limit - 1].seq]

    def rejects(self, *, limit: int = 50, before: int | None = None) -> list[Reject]:
        rows = sorted(self._tables.rejects.rows.values(), reverse=True)
        return [row for row in rows if before is None or row.id < before][:limit]

    def outbox(self, *, states: Sequence[str] = (), limit: int = 50, after: str = "") -> list[OutboxRow]:
        rows = list(self._tables.outbox.rows.values())
        ends = [number for number, row in enumerate(rows) if row.id == after]
        rows = rows[: ends[0] if ends else 0] if after else rows
        return [row for row in reversed(rows) if not states or row.state in states][:limit]

    def decisions(
        self,
        states: Sequence[str] = (),
        *,
        domains: Sequence[str] = (),
        owners: Sequence[str] = (),
        after: int | None = None,
        limit: int = 50,
    ) -> list[DecisionRow]:
        found = [
            row
            for row in self._tables.decisions.rows.values()
            if (not states or row.state in states)
            and (not (domains or owners) or row.domain in domains or row.owner in owners)
            and (after is None or row.number < after)
        ]
        return sorted(found, reverse=True)[:limit]

    def decision(self, number: int) -> DecisionRow | None:
        return self._tables.decisions.rows.get(number)

    def decisions_about(self, seq: int) -> list[DecisionRow]:
        return sorted(row for row in self._tables.decisions.rows.values() if row.seq == seq)

    def cursors(self) -> list[tuple[CursorRow, int]]:
        tables = self._tables
        rows = [row for _, row in sorted(tables.cursors.rows.items())]
        return [(row, len(tables.log.rows if row.pipeline == LOG_PIPELINE else tables.feed.rows) - row.pos) for row in rows]

    def types_seen(self, *, limit: int = 200, since: int | None = None, only: str = "") -> list[TypeSeen]:
        rows = self._tables.log.rows.values()
        first = min((row.seq for row in rows if since is None or row.at >= since), default=None)
        seen: dict[str, list[int]] = {}
        for row in rows:
            if row.kind == "event" and first is not None and row.seq >= first and only in ("", row.type):
                seen.setdefault(row.type, []).append(row.seq)
        found = [TypeSeen(name, len(seqs), max(seqs), min(seqs)) for name, seqs in seen.items()]
        return sorted(found, key=lambda each: (-each.events, each.type))[:limit]

    def type_names(self, *, limit: int = 10_000) -> list[str]:
        return sorted({row.type for row in self._tables.log.rows.values() if row.kind == "event"})[:limit]

    def sources(self, *, limit: int = 200) -> list[SourceSeen]:
        seen: dict[str, list[int]] = {}
        for row in self._tables.log.rows.values():
            seen.setdefault(row.source, []).append(row.seq)
        found = [SourceSeen(source, len(seqs), max(seqs)) for source, seqs in seen.items()]
        heard = [each for each in found if self._tables.log.rows[each.newest].kind == "event"]
        return sorted(heard, key=lambda each: -each.newest)[:limit]

    def rate(self, since: int, step: int) -> list[tuple[int, int]]:
        check_step(step)
        rows = self._tables.log.rows.values()
        return sorted(Counter(row.at // step * step for row in rows if row.kind == "event" and row.at >= since).items())

    def counts(self) -> Counts:
        tables = self._tables
        open_ones = [row for row in tables.notifications.rows.values() if is_open(row)]
        states = [row.state for row in tables.outbox.rows.values()]
        return Counts(
            log_records=len(tables.log.rows),
            log_tail=len(tables.log.rows),
            feed_tail=len(tables.feed.rows),
            notifications_open=len(open_ones),
            notifications_unclaimed=sum(row.agent_state == "none" for row in open_ones),
            outbox_owed=sum(state in ("pending", "retry", "sending") for state in states),
            outbox_dead=states.count("dead"),
            outbox_unknown=states.count("unknown"),
            rejects=len(tables.rejects.rows),
            decisions_held=sum(row.state == "held" for row in tables.decisions.rows.values()),
            unaccounted=sum(self._unaccounted(row) for row in tables.cursors.rows.values()),
        )

    def projection_hash(self) -> str:
        tables = self._tables
        return fold_hash(
            (row for _, row in sorted(tables.notifications.rows.items())),
            sorted(tables.touched.rows),
            (view for _, view in sorted(tables.member_views.rows.items())),
        )

    def _wanted(self, want: InboxFilter) -> list[Notification]:
        tables, words = self._tables, words_of(want.text)
        found = []
        for row in tables.notifications.rows.values():
            newest = tables.log.rows.get(row.seq)
            view = tables.member_views.rows.get((want.member, row.id))
            if _wanted(row, view, want) and _holds(words, (row.title,), newest.body if newest else b""):
                found.append(row)
        return found

    def _unaccounted(self, row: CursorRow) -> int:
        rows = self._tables.log.rows if row.pipeline == LOG_PIPELINE else self._tables.feed.rows
        passed = min(row.pos, len(rows)) - self._tables.origins.rows[row.pipeline]
        return abs(passed - (row.applied + row.dropped + row.quarantined + row.dead + row.waiting))

    def _parents(self, record: LogRow) -> list[LogRow]:
        parents: list[LogRow] = []
        while len(parents) < TRACE_PARENTS_MAX:
            parent = self._tables.log.rows.get((parents[-1] if parents else record).caused_by or 0)
            if parent is None:
                break
            parents.append(parent)
        return parents


def _wanted(row: Notification, view: MemberView | None, want: InboxFilter) -> bool:
    return (
        (want.archived or row.archived_at is None)
        and (want.resolved or row.agent_state != "resolved")
        and (not want.types or any(matches(pattern, row.type) for pattern in want.types))
        and (not want.domains or any(matches(pattern, row.domain) for pattern in want.domains))
        and row.level >= want.level_min
        and (not want.states or row.agent_state in want.states)
        and (not want.audience or row.audience in want.audience)
        and want.entity in (None, row.entity)
        and _within(row.updated_at, want.since, want.until)
        and not (want.unseen and (view.seen if view else 0) >= row.news)
        and not (want.hide_silenced_at is not None and (row.silenced_until or 0) > want.hide_silenced_at)
        and not (want.silenced_at is not None and (row.silenced_until or 0) <= want.silenced_at)
        and not (want.hide_snoozed_at is not None and view is not None and (view.snooze_until or 0) > want.hide_snoozed_at)
    )


def _logged(row: LogRow, want: LogFilter) -> bool:
    return (
        (not want.types or any(matches(pattern, row.type) for pattern in want.types))
        and (not want.kinds or row.kind in want.kinds)
        and (not want.sources or row.source in want.sources)
        and want.entity in (None, row.entity)
        and _within(row.at, want.since, want.until)
    )


def _within(moment: int, since: int | None, until: int | None) -> bool:
    return (since is None or moment >= since) and (until is None or moment < until)


def _holds(words: Sequence[tuple[str, str]], plain: Sequence[str], body: bytes) -> bool:
    """As SQLite's LIKE compares: only A to Z have two cases, which is how bytes have them."""
    texts = [text.encode("utf-8", "surrogatepass").lower() for text in plain]
    return all(
        any(word.encode().lower() in text for text in texts) or as_json.encode().lower() in body.lower()
        for word, as_json in words
    )
