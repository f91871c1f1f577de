"""Answers: what the log says about how a call, or a decision, ended. One to each, whoever gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from eventctl.store import Record
from eventctl.text import safe_text

if TYPE_CHECKING:
    from eventctl.contracts import Answer

BYTES_MAX = 256 * 1024
SOURCE = "outbox"
TYPE = "call.answered"


def answer_record(
    call: str, pipeline: str, seq: int, name: str, answer: Answer, now: int, *, ended: Mapping[str, Any] | None = None
) -> Record:
    """The record of an answer to `call`, owed by the event `seq` in `pipeline`. `ended` is what a decision adds: outcome and by whom."""
    more = dict(ended or {})
    error = safe_text(answer.error, limit=500)
    body = _body(call, pipeline, seq, name, answer.ok, answer.result if answer.ok else None, error, more)
    if len(body) > BYTES_MAX:
        error = f"the answer has {len(body)} bytes; {BYTES_MAX} are taken"
        body = _body(call, pipeline, seq, name, False, None, error, more)
    return Record("answer", SOURCE, call, TYPE, body, f"outbox:{name}", now, caused_by=seq)


def _body(
    call: str, pipeline: str, seq: int, name: str, ok: bool, result: Any, error: str, more: Mapping[str, Any]
) -> bytes:  # fmt: skip
    said = {"call": call, "pipeline": pipeline, "seq": seq, "name": name, "ok": ok, "result": result, "error": error}
    return orjson.dumps({**said, **more})
