"""What people and programs did that is no event: a move, a timer, an answer, each as half a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from eventctl.store import LogRow

VALUE_MAX = 300

VERBS = {
    "claim": "claimed", "start": "began work on", "release": "gave back", "resolve": "resolved", "reopen": "reopened", "seen": "saw",
    "unseen": "marked as unseen", "snooze": "snoozed", "unsnooze": "ended the snooze of", "archive": "archived",
    "unarchive": "brought back", "quarantine.release": "released", "quarantine.discard": "discarded",
    "dead.retry": "asked to retry", "dead.discard": "gave up", "decisions.approve": "approved", "decisions.deny": "denied",
    "decisions.undo": "took back", "act": "acted on",
}  # fmt: skip

LIFECYCLE = {
    "cartridge.installed": "installed", "cartridge.promoted": "promoted", "cartridge.removed": "removed",
    "cartridge.rolled_back": "rolled back to", "cartridge.trusted": "trusted",
}  # fmt: skip


def moved(record: LogRow) -> str:
    """A record that is no event, as half a sentence."""
    body = orjson.loads(record.body)
    subject = record.principal.partition(":")[2]
    if record.kind == "move":
        if "changes" in body:
            from eventctl import tomledit  # pydantic comes along

            return f"{subject} {tomledit.words(body['changes'])}"
        if record.type in LIFECYCLE:
            revoked = record.type == "cartridge.trusted" and body.get("runs") == "worker"
            did = "took back the trust in" if revoked else LIFECYCLE[record.type]
            return f"{subject} {did} {body['id']} {body['version']} {_place(body)} (d{body['decision']})"
        if "silence" in str(body.get("verb")):
            return f"{subject} {_silencing(record, body)}"
        about = next(
            (f" {at}{body[key]}" for at, key in (("d", "decision"), ("n", "notification"), ("e", "seq")) if key in body), ""
        )
        summary = body.get("resolution", {}).get("summary") if isinstance(body.get("resolution"), dict) else ""
        summary = summary or body.get("reason") or body.get("action")
        verb = str(body.get("verb", record.type))
        return f"{subject} {VERBS.get(verb, verb)}{about}" + (f" ({cut(str(summary))})" if summary else "")
    if record.kind == "timer":
        return f"the timer {body.get('key')} of {body.get('owner')} came due"
    return f"{body.get('name')} {'answered' if body.get('ok') else 'failed'} for e{body.get('seq')}"


def _place(body: Mapping[str, Any]) -> str:
    return f"from {body['from']} to {body['place']}" if body.get("from") else f"in {body['place']}"


def _silencing(record: LogRow, body: Mapping[str, Any]) -> str:
    if "silence" in body:
        return f"ended the silence s{body['silence']}"
    what = body.get("type") or body.get("source") or body.get("entity") or body.get("domain") or body.get("when")
    return f"silenced {what} as s{record.seq} ({cut(str(body.get('reason')))})"


def cut(text: str) -> str:
    return text if len(text) <= VALUE_MAX else text[: VALUE_MAX - 1] + "…"
