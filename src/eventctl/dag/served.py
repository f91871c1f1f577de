"""What a run elsewhere asks for and wants done, judged here: by the same context that a run in this process would have.

Everything that comes in is taken for hostile. An ask goes through the context's own method, which checks it against the manifest;
what the run wants done is asked again of that context, call by call. An honest worker has been told of every mistake on the line
that made it, by a context of its own; so a mistake that is found only here is one of a worker that does not tell the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any

import orjson

from eventctl.context import CALLS_MAX, EMITS_MAX, NAMES_MAX, SUMMARY_MAX, CartridgeContext
from eventctl.contracts import CallFailed
from eventctl.dag.apart import Finished, Hostile
from eventctl.dag.reads import Reads
from eventctl.event import Event
from eventctl.modules import LoadFailed
from eventctl.trampoline import PARK, Ask, Ended, Mistake, RaisedElsewhere, Struck


def answering(context: CartridgeContext, reads: Reads) -> Callable[[Any], bytes]:
    """What answers the asks of one run elsewhere: `[verb, arguments...]` -> `{"is": value}`, `{"raises": [kind, text]}`, `{"parks": true}`."""

    def answer(asked: Any) -> bytes:
        try:
            value = reads.answer(_ask(context, asked))
        except (CallFailed, Mistake) as error:
            return orjson.dumps({"raises": [type(error).__name__, str(error)]})
        if value is PARK:
            return b'{"parks":true}'
        return orjson.dumps({"is": value}, default=_plain)

    return answer


def _plain(value: Any) -> Any:
    if isinstance(value, Event):
        return [value.body.decode(), value.seq, value.at, value.principal, value.defaults]
    raise TypeError


def _ask(context: CartridgeContext, asked: Any) -> Ask:
    """The ask that a run in this process would have come to. Raises Mistake as it would, Hostile for what is no ask."""
    match asked:
        case ["state", str(name)]:
            return Ask("state", name)
        case ["annotations"]:
            return _awaited(context.annotations())
        case ["history", str() | None as entity, str(pattern), int(limit)]:
            return _awaited(context.history(pattern, limit=limit, entity=entity))
        case ["call", str(name), str(args)]:
            return _awaited(context.call(name, _parsed(args)))
        case ["decide", str(text)]:
            wanted = _decision(_parsed(text))
            return _awaited(context.decide(**wanted))
        case _:
            raise Hostile("it asked for what there is not")


def _awaited(coroutine: Coroutine[Any, Any, Any]) -> Ask:
    try:
        ask = coroutine.send(None)
    except StopIteration:
        raise Hostile("it asked for what needs no answer") from None
    finally:
        coroutine.close()
    assert isinstance(ask, Ask)  # noqa: S101 - a context yields nothing else
    return ask


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Hostile("it asked with what is not JSON") from None
    if not isinstance(value, dict):
        raise Hostile("it asked with what is no object")
    return value


def _decision(wanted: Mapping[str, Any], *more: str) -> dict[str, Any]:
    """The arguments of `decide` and `propose`, with their types as they must be."""
    undo = wanted.get("undo")
    good = wanted.keys() == {"action", "call", "args", "summary", "undo", *more} and isinstance(wanted["args"], dict)
    good = good and all(isinstance(wanted[name], str) for name in ("action", "call", "summary", *more))
    if undo is not None:
        good = good and isinstance(undo, list) and len(undo) == 2 and isinstance(undo[0], str) and isinstance(undo[1], dict)
    if not good:
        raise Hostile("it wants something decided that has another shape")
    return {**wanted, "undo": (undo[0], undo[1]) if undo is not None else None}


def elsewhere(finished: Finished, context: CartridgeContext, event: Event) -> Ended:
    """How a run elsewhere ended, as one here would have, with what it wants done in this context."""
    if finished.how == "failed":
        return Ended("raised", error=LoadFailed(finished.text))
    if finished.how == "struck":
        return Ended("raised", error=Struck(finished.text))
    hopeless = finished.asked.get("hopeless")
    try:
        if finished.how == "returned":
            done(context, finished.asked)
    except Hostile as hostile:
        return Ended("raised", error=Struck(f"did not keep to what a worker says: {hostile}"), ns=finished.ns)
    finally:
        context.close()
    if hopeless and isinstance(hopeless, str):
        context.outcome.hopeless = hopeless[:SUMMARY_MAX]
    if finished.how == "raised":
        return Ended("raised", error=RaisedElsewhere(finished.kind, finished.text), ns=finished.ns)
    if finished.how == "returned" and finished.value == "nothing":
        context.outcome.verdict = context.outcome.verdict or "dropped"
    return Ended(finished.how, event if finished.value == "event" else None, ns=finished.ns)


def done(context: CartridgeContext, asked: Any) -> None:
    """Ask of this context what the run elsewhere wants done. Raises Hostile, whatever is wrong with it."""
    try:
        _done(context, asked)
    except Mistake as mistake:
        raise Hostile(f"it wants what it may not: {mistake}") from None
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise Hostile(f"what it wants has another shape: {type(error).__name__}") from None


def _done(context: CartridgeContext, asked: Any) -> None:
    wanted = _mapping(asked)
    for slot, text in _pairs(wanted, "annotations"):
        context.annotate(slot, orjson.loads(text))
    for name, text in _pairs(wanted, "states"):
        context.state.set(name, orjson.loads(text))
    for key, text in _pairs(wanted, "timers"):
        wait, body = orjson.loads(text)
        context.timer(key, timedelta(microseconds=int(wait)), _mapping(body))
    said = _list(wanted.get("said", []), EMITS_MAX)
    for verb, text in said:
        _say(context, verb, orjson.loads(text))
    for text in _list(wanted.get("proposed", []), CALLS_MAX):
        context.propose(**_decision(_mapping(orjson.loads(text)), "title"))
    verdict, reason = wanted.get("verdict", ""), str(wanted.get("reason", ""))
    if verdict not in ("", "dropped", "quarantined"):
        raise ValueError(verdict)
    if verdict:
        (context.drop if verdict == "dropped" else context.quarantine)(reason)


def _say(context: CartridgeContext, verb: Any, wanted: Any) -> None:
    if verb == "emit":
        event, payload, fields = wanted
        context.emit(_text(event), _mapping(payload), **_mapping(fields))
    elif verb == "notify":
        title, options = wanted
        context.notify(title, **_mapping(options))
    else:
        raise ValueError(verb)


def _pairs(wanted: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    return [(_text(key), _text(text)) for key, text in _list(wanted.get(name, []), NAMES_MAX)]


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise TypeError
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
