"""What `quarantine` and `dead-letter` share: records that a pipeline could not simply apply, listed, shown, and answered."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, NamedTuple

from eventctl.cli import forms
from eventctl.cli.render import Screen, document, json_text, listing, local
from eventctl.cli.session import Session
from eventctl.cli.shortid import number
from eventctl.errors import NotFound
from eventctl.reasons import in_words
from eventctl.store import ExceptionRow, LogRow, Store

PAGE = 500


def show_list(
    session: Session,
    state: str,
    as_json: bool,
    *,
    pipeline: str,
    limit: int,
    before: str | None,
    empty: str,
    command: str,
    wanted: Wanted | None = None,
) -> None:
    """Print the exceptions in `state`, newest first; only those that are `wanted`."""
    with session.reading() as store:
        below = number(before, "e", "record") if before else None
        if wanted is None:
            rows = store.views.exceptions(states=[state], pipeline=pipeline, limit=limit, before=below)
        else:
            rows = list(islice(matching(store, state, wanted, pipeline=pipeline, before=below), limit))
        records = {row.seq: store.views.record(row.seq) for row in rows}
    if as_json:
        listing([{**forms.exception(row), "record": _record(records[row.seq])} for row in rows])
        return
    screen = Screen(session)
    if not rows:
        screen.say(empty)
        return
    screen.table(("id", "age", "type", "source", "where", "reason"), [_row(screen, row, records[row.seq]) for row in rows])
    screen.say(f"see one: `eventctl {command} show e{rows[0].seq}`")
    if len(rows) >= limit:
        screen.say(f"older ones: --before e{rows[-1].seq}")


def show_one(session: Session, state: str, given: str, as_json: bool, *, noun: str, verbs: str) -> None:
    """Print one record and what each pipeline in `state` says about it."""
    with session.reading() as store:
        rows = standing(store, state, given, noun=noun)
        record = store.views.record(rows[0].seq)
    if as_json:
        items = [{**forms.exception(row), "because": in_words(row.reason)} for row in rows]
        document({"record": _record(record), "items": items})
        return
    screen = Screen(session)
    screen.title(f"e{rows[0].seq}  {record.type if record else 'trimmed from the log'}")
    for row in rows:
        pairs = [("where", where(row)), ("reason", in_words(row.reason)), ("attempts", row.attempts or None)]
        screen.fields(pairs, indent=2)
    if record is not None:
        screen.fields([("source", record.source), ("by", record.principal), ("at", local(record.at))], indent=2)
        screen.line()
        screen.block(json_text(forms.value(record.body)))
    screen.say(f"then: {verbs}")


class Wanted(NamedTuple):
    """Shell patterns over what a record says it is from and over why it stands here; "" for any."""

    source: str = ""
    reason: str = ""

    def has(self, row: ExceptionRow, record: LogRow | None) -> bool:
        """Whether an exception is meant. One whose record was trimmed has no source."""
        fits = not self.reason or fnmatchcase(row.reason, self.reason)
        return fits and (not self.source or (record is not None and fnmatchcase(record.source, self.source)))


def matching(
    store: Store, state: str, wanted: Wanted, *, pipeline: str = "", before: int | None = None
) -> Iterator[ExceptionRow]:
    """All exceptions in `state` that are wanted, newest first, read in pages."""
    while rows := store.views.exceptions(states=[state], pipeline=pipeline, limit=PAGE, before=before):
        for row in rows:
            if wanted.has(row, store.views.record(row.seq) if wanted.source else None):
                yield row
        before = rows[-1].seq


def standing(store: Store, state: str, given: str, *, noun: str, pipeline: str = "") -> list[ExceptionRow]:
    """The exceptions of one record in `state`. Raises `NotFound`."""
    seq = number(given, "e", "record")
    rows = store.views.exceptions(states=[state], pipeline=pipeline, limit=1, before=seq + 1)
    found = [row for row in rows if row.seq == seq]
    if not found:
        raise NotFound(f"e{seq} is no {noun}", hint=f"`eventctl why e{seq}` says what became of it")
    return found


def _record(row: LogRow | None) -> dict[str, Any] | None:
    return None if row is None else forms.record(row)


def _row(screen: Screen, row: ExceptionRow, record: LogRow | None) -> list[object]:
    if record is None:
        return [f"e{row.seq}", "", "trimmed from the log", "", where(row), row.reason]
    return [f"e{row.seq}", screen.ago(record.at), record.type, record.source, where(row), row.reason]


def where(row: ExceptionRow) -> str:
    """The pipeline that says so, and its cartridge."""
    return f"{row.pipeline}/{row.cartridge}" if row.cartridge else row.pipeline
