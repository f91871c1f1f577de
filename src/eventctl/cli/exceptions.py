"""What `quarantine` and `dead-letter` share: records that a pipeline could not simply apply, listed, shown, and answered."""

from __future__ import annotations

from typing import Any

from eventctl.cli import forms
from eventctl.cli.render import Screen, document, json_text, listing, local
from eventctl.cli.session import Session
from eventctl.cli.shortid import number
from eventctl.errors import NotFound
from eventctl.store import ExceptionRow, LogRow, Store


def show_list(
    session: Session, state: str, as_json: bool, *, pipeline: str, limit: int, before: str | None, empty: str, command: str
) -> None:
    """Print the exceptions in `state`, newest first."""
    with session.reading() as store:
        below = number(before, "e", "record") if before else None
        rows = store.views.exceptions(states=[state], pipeline=pipeline, limit=limit, before=below)
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
        document({"record": _record(record), "items": [forms.exception(row) for row in rows]})
        return
    screen = Screen(session)
    screen.title(f"e{rows[0].seq}  {record.type if record else 'trimmed from the log'}")
    for row in rows:
        pairs = [("where", _where(row)), ("reason", row.reason), ("attempts", row.attempts or None)]
        screen.fields(pairs, indent=2)
    if record is not None:
        screen.fields([("source", record.source), ("by", record.principal), ("at", local(record.at))], indent=2)
        screen.line()
        screen.block(json_text(forms.value(record.body)))
    screen.say(f"then: {verbs}")


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
        return [f"e{row.seq}", "", "trimmed from the log", "", _where(row), row.reason]
    return [f"e{row.seq}", screen.ago(record.at), record.type, record.source, _where(row), row.reason]


def _where(row: ExceptionRow) -> str:
    return f"{row.pipeline}/{row.cartridge}" if row.cartridge else row.pipeline
