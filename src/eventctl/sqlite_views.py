"""What people read, over SQLite: every list walks one index from where the page before ended."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING, Any

from eventctl import sqlite_inbox
from eventctl import sqlite_reads as reads
from eventctl.sqlite_connection import Connection, guarded
from eventctl.sqlite_inbox import marks
from eventctl.sqlite_reads import (
    DECISION_COLUMNS,
    LOG_COLUMNS,
    NOTIFICATION_COLUMNS,
    OUTBOX_COLUMNS,
    decision_row,
    exception_row,
    feed_row,
    log_row,
    member_view,
    notification_row,
)
from eventctl.sqlite_tally import Tally
from eventctl.store import DUPLICATE_OF, LOG_PIPELINE, Reject
from eventctl.viewing import (
    FIND_MAX,
    OPEN_RANK,
    TRACE_CHILDREN_MAX,
    TRACE_PARENTS_MAX,
    check_filter,
    check_step,
    fold_hash,
    token,
)
from eventctl.views import Counts, InboxFilter, InboxItem, InboxPage, LogFilter, SourceSeen, Trace, TypeSeen

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from eventctl.notification import MemberView, Notification
    from eventctl.store import CursorRow, DecisionRow, ExceptionRow, LogRow, OutboxRow

SEQ_MAX = 2**63 - 1


class SqliteViews:
    """The reads behind every command and screen, on the store's own connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._tally = Tally()

    @property
    def _db(self) -> sqlite3.Connection:
        return self.connection.db

    @guarded
    def version(self) -> int:
        # What others commit changes data_version and not total_changes; with our own it is the other way round.
        others: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        return others << 40 | self._db.total_changes

    @guarded
    def inbox(self, want: InboxFilter, *, limit: int = 50, after: str = "") -> InboxPage:
        check_filter(want)
        statement, given = sqlite_inbox.page(want, NOTIFICATION_COLUMNS, limit + 1, after)
        items = [_inbox_item(row) for row in self._db.execute(statement, given)]
        more = len(items) > limit
        return InboxPage(items[:limit], token(items[limit - 1].notification, want.order) if more and limit else "")

    @guarded
    def inbox_count(self, want: InboxFilter, *, most: int = 1_000) -> int:
        check_filter(want)
        found: int = self._db.execute(*sqlite_inbox.counting(want, most)).fetchone()[0]
        return found

    @guarded
    def notification(self, number: int) -> Notification | None:
        statement = f"SELECT {NOTIFICATION_COLUMNS} FROM notification AS n WHERE id = ?"
        row = self._db.execute(statement, (number,)).fetchone()
        return None if row is None else notification_row(row)

    @guarded
    def life(self, number: int, *, limit: int = 200) -> list[LogRow]:
        statement = f"""SELECT {LOG_COLUMNS} FROM log WHERE seq IN
          (SELECT seq FROM notification_event WHERE notification = ? ORDER BY seq DESC LIMIT ?) ORDER BY seq"""
        return list(map(log_row, self._db.execute(statement, (number, limit))))

    @guarded
    def member_views(self, number: int) -> list[MemberView]:
        rows = self._db.execute("SELECT * FROM member_view WHERE notification = ? ORDER BY member", (number,))
        return list(map(member_view, rows))

    @guarded
    def record(self, seq: int) -> LogRow | None:
        row = self._db.execute(f"SELECT {LOG_COLUMNS} FROM log WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else log_row(row)

    @guarded
    def find(self, text: str) -> list[LogRow]:
        if not text:
            return []
        statement = f"SELECT {LOG_COLUMNS} FROM log WHERE id >= ? AND id < ? ORDER BY id, source LIMIT {FIND_MAX}"
        return list(map(log_row, self._db.execute(statement, (text, text + "\U0010ffff"))))

    @guarded
    def log(self, want: LogFilter, *, limit: int = 50, before: int | None = None, above: int = 0) -> list[LogRow]:
        from eventctl.patterns import matches

        where, given = self._log_conditions(want, before, above)
        only = " AND ".join(where)
        if not want.types:
            index = "INDEXED BY log_entity" if want.entity is not None else "NOT INDEXED"
            statement = f"SELECT {LOG_COLUMNS} FROM log {index} WHERE {only} ORDER BY seq DESC LIMIT ?"
            return list(map(log_row, self._db.execute(statement, (*given, limit))))
        # One ordered range per type, merged: a rare type is found without walking past all the others.
        types = set(want.types)
        if any("*" in pattern for pattern in types):
            types = {name for name in self._distinct("log", "type") if any(matches(pattern, name) for pattern in want.types)}
        statement = f"SELECT seq FROM log INDEXED BY log_type WHERE type = ? AND {only} ORDER BY seq DESC LIMIT ?"
        seqs = [row[0] for name in types for row in self._db.execute(statement, (name, *given, limit))]
        return self._records(nlargest(limit, seqs))

    @guarded
    def trace(self, seq: int) -> Trace | None:
        record = self.record(seq)
        if record is None:
            return None
        db, here = self._db, (seq,)
        repeat = (f"{DUPLICATE_OF}{seq}",)
        repeats = f"FROM exception INDEXED BY exception_repeat WHERE state = 'dropped' AND reason GLOB '{DUPLICATE_OF}*' AND reason = ?"
        notifications = f"""SELECT {NOTIFICATION_COLUMNS} FROM notification_event AS e
          CROSS JOIN notification AS n ON n.id = e.notification WHERE e.seq = ? ORDER BY n.id"""
        children = f"SELECT {LOG_COLUMNS} FROM log WHERE caused_by = ? ORDER BY seq LIMIT {TRACE_CHILDREN_MAX}"
        annotations = "SELECT slot, value FROM annotation WHERE seq = ? ORDER BY slot"
        return Trace(
            record=record,
            parents=self._parents(record),
            children=list(map(log_row, db.execute(children, here))),
            exceptions=self._exceptions_at(seq),
            annotations=dict(db.execute(annotations, here).fetchall()),
            feed=list(map(feed_row, db.execute("SELECT pos, seq, type, why FROM feed WHERE seq = ? ORDER BY pos", here))),
            notifications=[notification_row(row) for row in db.execute(notifications, here)],
            outbox=reads.outbox_rows(db.execute(f"SELECT {OUTBOX_COLUMNS} FROM outbox WHERE seq = ? ORDER BY rowid", here)),
            duplicates=[row[0] for row in db.execute(f"SELECT seq {repeats} ORDER BY seq LIMIT {TRACE_CHILDREN_MAX}", repeat)],
            duplicates_count=db.execute(f"SELECT count(*) {repeats}", repeat).fetchone()[0],
        )

    @guarded
    def exceptions(
        self, *, states: Sequence[str] = (), pipeline: str = "", limit: int = 50, before: int | None = None
    ) -> list[ExceptionRow]:
        # One ordered range per pipeline and state, merged.
        ranges: list[tuple[str, ...]] = [(state,) for state in dict.fromkeys(states)] or [()]
        found: list[ExceptionRow] = []
        for name in [pipeline] if pipeline else self._distinct("exception", "pipeline"):
            for state in ranges:
                given = (*state, name, SEQ_MAX if before is None else before, limit)
                source = reads.exceptions_in(state) if state else f"SELECT {reads.EXCEPTION_COLUMNS} FROM exception WHERE true"
                statement = f"{source} AND pipeline = ? AND seq < ? ORDER BY seq DESC LIMIT ?"
                found += map(exception_row, self._db.execute(statement, given))
        found.sort(key=lambda row: (-row.seq, row.pipeline))
        # A page never ends inside a record, whose other pipelines the next page would miss.
        return [row for row in found if len(found) <= limit or row.seq >= found[limit - 1].seq]

    @guarded
    def rejects(self, *, limit: int = 50, before: int | None = None) -> list[Reject]:
        statement = "SELECT * FROM reject WHERE id < ? ORDER BY id DESC LIMIT ?"
        return [Reject(*row) for row in self._db.execute(statement, (SEQ_MAX if before is None else before, limit))]

    @guarded
    def outbox(self, *, states: Sequence[str] = (), limit: int = 50, after: str = "") -> list[OutboxRow]:
        where, given = ["true"], list[Any](states)
        if states:
            where.append(f"state IN ({marks(states)})")
            where += [] if "done" in states else ["state <> 'done'"]
        if after:
            where.append("rowid < (SELECT rowid FROM outbox WHERE id = ?)")
            given.append(after)
        statement = f"SELECT {OUTBOX_COLUMNS} FROM outbox WHERE {' AND '.join(where)} ORDER BY rowid DESC LIMIT ?"
        return reads.outbox_rows(self._db.execute(statement, (*given, limit)))

    @guarded
    def decisions(
        self,
        states: Sequence[str] = (),
        *,
        domains: Sequence[str] = (),
        owners: Sequence[str] = (),
        after: int | None = None,
        limit: int = 50,
    ) -> list[DecisionRow]:
        where, given = ["number < ?"], list[Any]([SEQ_MAX if after is None else after])
        whose = [(column, values) for column, values in (("domain", domains), ("owner", owners)) if values]
        if whose:
            where.append(f"({' OR '.join(f'{column} IN ({marks(values)})' for column, values in whose)})")
            given += [value for _, values in whose for value in values]
        statement = f"SELECT {DECISION_COLUMNS} FROM decision {{}} WHERE {' AND '.join(where)} ORDER BY number DESC LIMIT ?"
        if not states:
            return list(map(decision_row, self._db.execute(statement.format("NOT INDEXED"), (*given, limit))))
        # One ordered range per state, merged: what waits is rare among all that has ended.
        of_state = statement.format("INDEXED BY decision_state").replace("WHERE ", "WHERE state = ? AND ", 1)
        found = [row for state in dict.fromkeys(states) for row in self._db.execute(of_state, (state, *given, limit))]
        return list(map(decision_row, nlargest(limit, found)))

    @guarded
    def decision(self, number: int) -> DecisionRow | None:
        row = self._db.execute(f"SELECT {DECISION_COLUMNS} FROM decision WHERE number = ?", (number,)).fetchone()
        return None if row is None else decision_row(row)

    @guarded
    def decisions_about(self, seq: int) -> list[DecisionRow]:
        statement = f"SELECT {DECISION_COLUMNS} FROM decision WHERE seq = ? ORDER BY number"
        return list(map(decision_row, self._db.execute(statement, (seq,))))

    @guarded
    def cursors(self) -> list[tuple[CursorRow, int]]:
        tails = {"log": reads.tail(self._db, "log"), "feed": reads.tail(self._db, "feed")}
        rows = reads.cursors(self._db)
        return [(row, tails["log" if row.pipeline == LOG_PIPELINE else "feed"] - row.pos) for row in rows]

    @guarded
    def types_seen(self, *, limit: int = 200, since: int | None = None, only: str = "") -> list[TypeSeen]:
        chosen = "AND type = ?" if only else ""
        begin = "" if since is None else "AND seq >= (SELECT min(seq) FROM log INDEXED BY log_at WHERE at >= ?)"
        statement = f"""SELECT type, count(*), max(seq), min(seq) FROM log INDEXED BY log_type WHERE kind = 'event' {chosen} {begin}
          GROUP BY type ORDER BY count(*) DESC, type LIMIT ?"""
        given = [*([only] if only else []), *([] if since is None else [since]), limit]
        return [TypeSeen(*row) for row in self._db.execute(statement, given)]

    @guarded
    def type_names(self, *, limit: int = 10_000) -> list[str]:
        statement = """WITH RECURSIVE each (type) AS (SELECT min(type) FROM log INDEXED BY log_type
            UNION ALL SELECT (SELECT min(type) FROM log INDEXED BY log_type WHERE type > each.type) FROM each WHERE type NOTNULL)
          SELECT type FROM each
          WHERE EXISTS (SELECT 1 FROM log INDEXED BY log_type WHERE log.type = each.type AND kind = 'event') LIMIT ?"""
        return [row[0] for row in self._db.execute(statement, (limit,))]

    @guarded
    def sources(self, *, limit: int = 200) -> list[SourceSeen]:
        statement = """SELECT s.source, events, newest FROM
            (SELECT source, count(*) AS events, max(seq) AS newest FROM log INDEXED BY log_identity GROUP BY source) AS s
          CROSS JOIN log ON seq = newest WHERE kind = 'event' ORDER BY newest DESC LIMIT ?"""
        return [SourceSeen(*row) for row in self._db.execute(statement, (limit,))]

    @guarded
    def rate(self, since: int, step: int) -> list[tuple[int, int]]:
        check_step(step)
        statement = """SELECT at / ?1 * ?1 AS start, count(*) FROM log INDEXED BY log_at WHERE at >= ?2 AND kind = 'event'
          GROUP BY start ORDER BY start"""
        return list(self._db.execute(statement, (step, since)))

    @guarded
    def counts(self) -> Counts:
        db = self._db
        states = dict(db.execute("SELECT state, count(*) FROM outbox WHERE state <> 'done' GROUP BY state").fetchall())
        held = "SELECT count(*), coalesce(sum(agent_state = 'none'), 0) FROM notification INDEXED BY notification_rank"
        is_open, unclaimed = db.execute(f"{held} WHERE rank >= ?", (OPEN_RANK,)).fetchone()
        records, unaccounted = self._tally.balance(db)
        return Counts(
            log_records=records,
            log_tail=reads.tail(db, "log"),
            feed_tail=reads.tail(db, "feed"),
            notifications_open=is_open,
            notifications_unclaimed=unclaimed,
            outbox_owed=sum(states.get(state, 0) for state in ("pending", "retry", "sending")),
            outbox_dead=states.get("dead", 0),
            outbox_unknown=states.get("unknown", 0),
            rejects=db.execute("SELECT count(*) FROM reject").fetchone()[0],
            unaccounted=unaccounted,
            decisions_held=db.execute("SELECT count(*) FROM decision WHERE state = 'held'").fetchone()[0],
        )

    @guarded
    def projection_hash(self) -> str:
        db = self._db
        return fold_hash(
            map(notification_row, db.execute(f"SELECT {NOTIFICATION_COLUMNS} FROM notification AS n ORDER BY id")),
            db.execute("SELECT notification, seq FROM notification_event ORDER BY notification, seq"),
            map(member_view, db.execute("SELECT * FROM member_view ORDER BY member, notification")),
        )

    def _log_conditions(self, want: LogFilter, before: int | None, above: int) -> tuple[list[str], list[Any]]:
        where, given = ["seq < ? AND seq > ?"], list[Any]([SEQ_MAX if before is None else before, above])
        for column, values in (("kind", want.kinds), ("source", want.sources)):
            if values:
                where.append(f"{column} IN ({marks(values)})")
                given += values
        if want.entity is not None:
            where.append("entity = ?")
            given.append(want.entity)
        # Clocks jump, so `at` decides; the index on it says where in the log the walk may stop. Of 100,000 records the newest 100
        # are found in 0.03 ms; without its name SQLite walks the log from its beginning, in 33 ms.
        if want.since is not None:
            where.append("at >= ? AND seq >= (SELECT min(seq) FROM log INDEXED BY log_at WHERE at >= ?)")
            given += [want.since, want.since]
        if want.until is not None:
            where.append("at < ? AND seq <= (SELECT max(seq) FROM log WHERE at < ?)")
            given += [want.until, want.until]
        held, words = sqlite_inbox.holding(want.text, ("type", "source"), "body")
        return where + held, given + words

    def _distinct(self, table: str, column: str) -> Iterator[str]:
        """The values of an index's first column, one seek each."""
        statement = f"SELECT min({column}) FROM {table} WHERE {column} > ?"
        value = ""
        while (value := self._db.execute(statement, (value,)).fetchone()[0]) is not None:
            yield value

    def _records(self, seqs: list[int]) -> list[LogRow]:
        statement = f"SELECT {LOG_COLUMNS} FROM want CROSS JOIN log ON seq = a"
        return sorted((log_row(row) for row in reads.by_key(self._db, statement, seqs)), key=lambda row: -row.seq)

    def _parents(self, record: LogRow) -> list[LogRow]:
        parents: list[LogRow] = []
        above = record.caused_by
        while above is not None and len(parents) < TRACE_PARENTS_MAX and (parent := self.record(above)) is not None:
            parents.append(parent)
            above = parent.caused_by
        return parents

    def _exceptions_at(self, seq: int) -> list[ExceptionRow]:
        pairs = [(name, seq) for name in self._distinct("exception", "pipeline")]
        found = reads.by_pair(self._db, reads.EXCEPTIONS, pairs)
        return sorted(map(exception_row, found))


def _inbox_item(row: Sequence[Any]) -> InboxItem:
    notification = notification_row(row[:-2])
    seen, snooze_until = row[-2:]
    return InboxItem(notification, (seen or 0) >= notification.news, snooze_until)
