"""What is held, what failed for good, and what was refused: chosen by a line of words, read as a list, drawn as rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import orjson

from eventctl.cli.exceptions import Wanted, matching, where
from eventctl.moves import DECIDES
from eventctl.reasons import in_words
from eventctl.store import LOG_PIPELINE, Keys
from eventctl.tui.look import Cell, age, said
from eventctl.tui.rows import Column, Row
from eventctl.views import LogFilter

if TYPE_CHECKING:
    from eventctl.store import ExceptionRow, LogRow, Reject, Store

LIST_MAX = 2_000
"""So many of a list are shown, the newest; a filter finds the others, and what is done to all is done to all."""

MOVES_MAX = 2_000
"""Of the moves that no pipeline has come to yet, so many are looked at, the newest."""

PAGE = 500

Place = tuple[str, int]
"""Where something is held: the pipeline, and the number of its record."""

Asked = Mapping[Place, tuple[str, int]]
"""What was asked about what: the verb, and the number of the move; 0 for one that is on its way."""


class Kind(NamedTuple):
    """One of the lists. `verbs` are what may be done, by the names of their keys."""

    name: str
    title: str
    state: str
    noun: str
    verbs: Mapping[str, str]
    columns: tuple[Column, ...]
    empty: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "quarantine", "Quarantine", "quarantined", "held event", {"release": "quarantine.release", "discard": "quarantine.discard"},
            (
                Column("id", 8, snug=True), Column("age", 4, right=True), Column("state", 9, snug=True),
                Column("pipeline", 26, wide=110, snug=True), Column("type", 26, snug=True),
                Column("source", 16, wide=90, snug=True), Column("reason", 0),
            ),
            "Nothing is held.",
        ),
        Kind(
            "dead", "Dead letters", "dead", "dead letter", {"retry": "dead.retry", "discard": "dead.discard"},
            (
                Column("id", 8, snug=True), Column("age", 4, right=True), Column("state", 9, snug=True), Column("tries", 5, right=True),
                Column("pipeline", 26, wide=84, snug=True), Column("type", 26, snug=True), Column("source", 16, wide=110, snug=True), Column("reason", 0),
            ),
            "Nothing has failed for good.",
        ),
        Kind(
            "rejects", "Rejects", "", "reject", {},
            (Column("id", 8), Column("age", 4, right=True), Column("channel", 8), Column("begins with", 30, wide=90), Column("reason", 0)),
            "Nothing was refused.",
        ),
    )
}  # fmt: skip


class Choice(NamedTuple):
    """What a line of words chooses: shell patterns over source and reason, a pipeline, and words that stand anywhere in it."""

    wanted: Wanted = Wanted()
    pipeline: str = ""
    words: tuple[str, ...] = ()

    def has(self, *texts: str) -> bool:
        """Whether every word stands in one of the texts; A to Z are the same as a to z."""
        hay = "\n".join(texts).lower()
        return all(word in hay for word in self.words)


def choice(line: str) -> Choice:
    """`source:GLOB reason:GLOB pipeline:NAME`, as `quarantine list` has them, and words; the last of one name counts."""
    named = {"source": "", "reason": "", "pipeline": ""}
    words = []
    for part in line.split():
        name, colon, value = part.partition(":")
        if colon and name in named:
            named[name] = value
        else:
            words.append(part.lower())
    return Choice(Wanted(named["source"], named["reason"]), named["pipeline"], tuple(words))


class Item(NamedTuple):
    """What is held somewhere, with its record; None when the log has let go of it."""

    row: ExceptionRow
    record: LogRow | None

    @property
    def key(self) -> str:
        """Names it in a list."""
        return f"e{self.row.seq} {self.row.pipeline}"

    @property
    def place(self) -> Place:
        """Names it in the store."""
        return self.row.pipeline, self.row.seq


class Listed(NamedTuple):
    """What one reading of a list gave. `more` says that there are others; `asked` is what was asked about these."""

    items: list[Item]
    rejects: list[Reject]
    more: bool
    asked: Asked


def read(store: Store, kind: Kind, want: Choice, limit: int, known: Asked) -> Listed:
    """The newest of a list that are wanted. `known` are moves that were made here."""
    if not kind.state:
        rejects = list(islice(_rejects(store, want), limit + 1))
        return Listed([], rejects[:limit], len(rejects) > limit, {})
    rows = list(islice(chosen(store, kind, want), limit + 1))
    records = store.snapshot(Keys(records=[row.seq for row in rows])).records
    items = [Item(row, records.get(row.seq)) for row in rows[:limit]]
    return Listed(items, [], len(rows) > limit, asked(store, rows, known))


def chosen(store: Store, kind: Kind, want: Choice) -> Iterator[ExceptionRow]:
    """All that is wanted of what is held or dead, newest first."""
    for row in matching(store, kind.state, want.wanted, pipeline=want.pipeline):
        if not want.words or want.has(*_texts(row, store.views.record(row.seq))):
            yield row


def asked(store: Store, rows: Iterable[ExceptionRow], known: Asked) -> Asked:
    """What was asked about these and has not come to its pipeline yet, by anybody."""
    at = {cursor.pipeline: cursor.pos for cursor, _ in store.views.cursors()}
    newest = LogFilter(kinds=("move",), types=tuple(DECIDES))
    found = dict(known)
    for move in store.views.log(newest, limit=MOVES_MAX, above=at.get(LOG_PIPELINE, 0)):
        body = orjson.loads(move.body)
        found.setdefault((body["pipeline"], body["seq"]), (body["verb"], move.seq))
    wanted = {(row.pipeline, row.seq) for row in rows}
    return {place: said for place, said in found.items() if place in wanted and not _met(store, at, place[0], said[1])}


def _met(store: Store, at: Mapping[str, int], pipeline: str, move: int) -> bool:
    """Whether a pipeline has come to a move that names it."""
    if not move or at.get(LOG_PIPELINE, 0) < move:
        return False
    trace = store.views.trace(move) if pipeline != LOG_PIPELINE else None
    return all(row.pos <= at.get(pipeline, 0) for row in (trace.feed if trace else ()))


def _rejects(store: Store, want: Choice) -> Iterator[Reject]:
    before = None
    while page := store.views.rejects(limit=PAGE, before=before):
        for row in page:
            fits = not want.wanted.reason or fnmatchcase(row.reason, want.wanted.reason)
            if fits and want.has(row.reason, row.channel, row.raw.decode(errors="replace")):
                yield row
        before = page[-1].id


def _texts(row: ExceptionRow, record: LogRow | None) -> Iterator[str]:
    yield from (row.reason, row.pipeline, row.cartridge, row.entity or "")
    if record is not None:
        yield from (record.type, record.source, record.body.decode(errors="replace"))


def item_row(kind: Kind, item: Item, said_of: Asked, now: int, *, gone: bool = False) -> Row:
    """A line of what is held or dead. `gone` is one that is decided and stays for as long as somebody looks at it."""
    row, record = item.row, item.record
    verb = said_of.get(item.place, ("", 0))[0].rpartition(".")[2]
    state = Cell("✓ decided", "good") if gone else Cell(f"→ {verb}", "accent") if verb else Cell(kind.noun.split()[0], "warn")
    tries = [Cell(str(row.attempts or ""), "muted")] if kind.name == "dead" else []
    cells = (
        Cell(f"e{row.seq}", "muted"), Cell(age(record.at, now) if record else "", "muted"), state, *tries, Cell(said(where(row), 60), "muted"),
        Cell(said(record.type, 60) if record else "trimmed from the log"), Cell(said(record.source, 60) if record else "", "muted"),
        Cell(said(in_words(row.reason))),
    )  # fmt: skip
    return Row(item.key, cells)


def reject_row(reject: Reject, now: int) -> Row:
    """A line of what was refused."""
    cells = (
        Cell(f"r{reject.id}", "muted"), Cell(age(reject.at, now), "muted"), Cell(said(reject.channel, 20), "muted"),
        Cell(said(reject.raw[:200], 60), "muted"), Cell(said(reject.reason)),
    )  # fmt: skip
    return Row(f"r{reject.id}", cells)
