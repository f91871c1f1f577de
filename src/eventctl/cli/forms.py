"""What rows look like in JSON: names, instants as UTC text, bodies as values. Stable, and the same in every command."""

from __future__ import annotations

from typing import Any

import orjson

from eventctl.cli.params import LEVEL_NAMES
from eventctl.cli.render import utc
from eventctl.notification import Notification
from eventctl.store import CursorRow, DecisionRow, ExceptionRow, LogRow, OutboxRow, Reject
from eventctl.times import FOREVER
from eventctl.views import InboxItem
from eventctl.whymoved import moved


def record(row: LogRow, *, body: bool = True) -> dict[str, Any]:
    """A record of the log; `body` False leaves the envelope out."""
    form: dict[str, Any] = {
        "seq": row.seq, "short": f"e{row.seq}", "kind": row.kind, "type": row.type, "source": row.source, "id": row.id,
        "principal": row.principal, "at": utc(row.at), "entity": row.entity, "caused_by": row.caused_by, "hops": row.hops,
    }  # fmt: skip
    return {**form, "body": value(row.body)} if body else form


def notification(row: Notification) -> dict[str, Any]:
    """A notification as everybody sees it."""
    return {
        "number": row.id, "short": f"n{row.id}", "title": row.title, "life": row.life, "life_key": value(row.life_key.encode()),
        "audience": row.audience, "level": row.level, "level_name": LEVEL_NAMES[row.level], "domain": row.domain, "type": row.type,
        "entity": row.entity, "actionable": row.actionable, "state": row.agent_state, "agent": row.agent,
        "silenced_by": row.silenced_by, "silenced_until": _until(row),
        "lease_until": utc(row.lease_due), "claimed_at": utc(row.claimed_at), "resolved_at": utc(row.resolved_at),
        "resolution": value(row.resolution), "archived_at": utc(row.archived_at), "created_at": utc(row.created_at),
        "updated_at": utc(row.updated_at), "opened_seq": row.opened_seq, "seq": row.seq, "version": row.ver,
    }  # fmt: skip


def _until(row: Notification) -> str | None:
    """When the silence ends; None where nobody knows yet: what is gathered waits for its group."""
    return utc(row.silenced_until) if row.silenced_until is not None and row.silenced_until < FOREVER else None


def item(item: InboxItem) -> dict[str, Any]:
    """A notification as one member sees it."""
    return {**notification(item.notification), "seen": item.seen, "snoozed_until": utc(item.snooze_until)}


def exception(row: ExceptionRow) -> dict[str, Any]:
    """What a pipeline did with a record when it was not plainly applied."""
    return {
        "pipeline": row.pipeline, "seq": row.seq, "short": f"e{row.seq}", "state": row.state, "cartridge": row.cartridge,
        "reason": row.reason, "attempts": row.attempts, "due": utc(row.due), "entity": row.entity,
    }  # fmt: skip


def decision(row: DecisionRow) -> dict[str, Any]:
    """Something that may act, and what was made of it; what will be done stands in `args`."""
    body = value(row.body)
    names = ("action", "summary", "args", "undo", "by", "level", "why", "known", "form", "result", "error")
    return {
        "number": row.number, "short": f"d{row.number}", "state": row.state, "call": row.call, "kind": row.kind, "executor": row.name,
        "pipeline": row.pipeline, "seq": row.seq or None, "domain": row.domain or None, "owner": row.owner or None,
        "asked_at": utc(row.asked_at), "due": utc(row.due), "decided_by": row.decided_by or None, "decided_at": utc(row.decided_at),
        "approved": row.approved, "version": row.ver, **{name: body.get(name) for name in names},
    }  # fmt: skip


def owed(row: OutboxRow) -> dict[str, Any]:
    """An effect that is owed or was done."""
    return {
        "id": row.id, "kind": row.kind, "name": row.name, "pipeline": row.pipeline, "seq": row.seq, "state": row.state,
        "attempts": row.attempt, "next_at": utc(row.next_at) if row.state in ("pending", "retry") else None,
        "answer_seq": row.answer_seq, "body": value(row.body),
    }  # fmt: skip


def reject(row: Reject) -> dict[str, Any]:
    """What never became an event. `raw` is text; bytes that are not UTF-8 are shown as escapes."""
    return {
        "number": row.id, "short": f"r{row.id}", "channel": row.channel, "at": utc(row.at), "reason": row.reason,
        "raw": row.raw.decode(errors="backslashreplace"),
    }  # fmt: skip


def cursor(row: CursorRow, lag: int) -> dict[str, Any]:
    """How far a pipeline has come, and what became of what it passed."""
    return {
        "cursor": row.pos, "lag": lag, "applied": row.applied, "dropped": row.dropped, "quarantined": row.quarantined,
        "waiting": row.waiting, "dead": row.dead,
    }  # fmt: skip


def value(body: bytes | None) -> Any:
    """JSON bytes as a value; None for none."""
    return None if body is None else orjson.loads(body)


def description(row: LogRow) -> str:
    """One line that says what a record is about, for a list."""
    if row.kind != "event":
        return moved(row)
    body = value(row.body)
    return str(body.get("description") or "") if isinstance(body, dict) else ""
