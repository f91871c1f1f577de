"""Taking an action that a notification offers: the event that says it was done, the decision, and the move, in one commit.

What is offered stands in the newest event's type (`actions` in event_types.toml) and in the event itself. A person who acts has
decided. An agent asks: autonomy says whether it may act at once, and it takes only what the workspace itself offers, never what
somebody wrote into an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from eventctl import decisions, moves
from eventctl.autonomy import Autonomy, Ruling
from eventctl.catalog import Catalog
from eventctl.decisions import Wish
from eventctl.decode import decode, to_record
from eventctl.drift import drifts
from eventctl.errors import Conflict, NotFound, NotPermitted, Refused, UsageError
from eventctl.event import HOPS_MAX, SCHEMA_VERSION
from eventctl.ids import outbox_id, uuid7
from eventctl.nearest import did_you_mean
from eventctl.notification import Notification
from eventctl.offers import Offer, offers
from eventctl.principal import Principal
from eventctl.store import DecisionRow, Keys, LogRow, Operations, Record, Store
from eventctl.times import iso

SOURCE = "inbox"
EMIT = "emit"
MISTAKES_MAX = 5


class Taken(NamedTuple):
    """What came of it. `event` is the number of the new event in the log, None while it waits for a decision."""

    move: int
    notification: Notification
    decision: DecisionRow
    event: int | None


class _Act(NamedTuple):
    """An action that is taken by somebody: all that goes into its event."""

    offer: Offer
    parent: LogRow
    payload: Mapping[str, Any]
    principal: Principal
    agent: str | None
    now: int


def take(
    store: Store,
    number: int,
    name: str,
    *,
    principal: Principal,
    now: int,
    catalog: Catalog,
    terms: Autonomy,
    given: Mapping[str, Any] | None = None,
    agent: str | None = None,
) -> Taken:
    """Take the action `name` of a notification. `given` goes over the payload that the newest event hands on.

    Raises `NotFound` for an action that is not offered, `UsageError` when the payload is unlike what the new event's type declares,
    `NotPermitted` for an agent that takes what only a sender offers, `Conflict` when it was asked for already or the row changed.
    """
    planned: list[tuple[DecisionRow, Record | None]] = []

    def plan(row: Notification) -> Operations:
        parent = store.snapshot(Keys(records=[row.seq])).records[row.seq]
        act = _checked(catalog, row, parent, name, given or {}, principal, agent, now)
        out, record = _done(store, row, act, None, terms) if agent is None else _asked(store, row, act, agent, terms)
        planned.append((out.decisions[0], record))
        return out

    moved = moves.act(store, number, name, principal=principal, now=now, plan=plan, agent=agent)
    decision, record = planned[-1]
    found = store.snapshot(Keys(decisions=[decision.call], identities=[(SOURCE, record.id)] if record else []))
    event = found.identities.get((SOURCE, record.id)) if record else None
    return Taken(moved.seq, moved.notification, found.decisions[decision.call], event.seq if event else None)


def _checked(
    catalog: Catalog, row: Notification, parent: LogRow, name: str, given: Mapping[str, Any], principal: Principal,
    agent: str | None, now: int,
) -> _Act:  # fmt: skip
    offered = {each.name: each for each in offers(catalog.entry(parent.type).actions, parent)}
    if name not in offered:
        there = did_you_mean(name, offered) or (f"it offers {', '.join(offered)}" if offered else "it offers none")
        raise NotFound(f"n{row.id} offers no action {name[:40]!r}", hint=there)
    offer = offered[name]
    if agent is not None and not offer.declared:
        what = f"{agent} may not take {name!r}: the event offers it, and its type {parent.type} does not"
        raise NotPermitted(what, hint=f"a person may: `eventctl inbox act n{row.id} {name}`")
    entry = catalog.entry(offer.emits)
    if not entry.declared:
        raise UsageError(
            f"{name!r} emits {offer.emits}, which no event_types.toml declares", hint="declare it, or leave the action"
        )
    if entry.reserved:
        raise NotPermitted(f"{name!r} emits {offer.emits}, which may come from the platform only")
    return _Act(offer, parent, _payload(catalog, offer, parent, given), principal, agent, now)


def _payload(catalog: Catalog, offer: Offer, parent: LogRow, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the event hands on of the fields that the new one has, and `given` over it. A type that declares none has them all."""
    schema = catalog.payload_schema(offer.emits)
    known: Mapping[str, Any] = orjson.loads(parent.body).get("payload") or {}
    fields = schema.get("properties") or {}
    payload = {name: value for name, value in known.items() if name in fields or not fields} | dict(given)
    wrong = [f"{drift.field} {drift.what}".strip() for drift in drifts(schema, payload)][:MISTAKES_MAX]
    if wrong:
        raise UsageError(
            f"the payload of {offer.emits}: {'; '.join(wrong)}", hint='say it with --payload \'{"field": "value"}\''
        )
    return payload


def _envelope(act: _Act) -> dict[str, Any]:
    """The new event. A person ends a chain, an agent goes on with it: what goes round in a loop ends."""
    parent = act.parent
    hops = 0 if act.agent is None else parent.hops + 1
    if hops > HOPS_MAX:
        raise Conflict(f"{act.offer.emits} would be {hops} hops from where it began; {HOPS_MAX} are allowed")
    told = {"entity": parent.entity, "trace": orjson.loads(parent.body).get("trace")}
    return {
        "id": uuid7(act.now), "event": act.offer.emits, "version": SCHEMA_VERSION, "source": SOURCE, "timestamp": iso(act.now),
        "payload": act.payload, "caused_by": parent.id, "hops": hops, **{name: value for name, value in told.items() if value},
    }  # fmt: skip


def _record(act: _Act, envelope: Mapping[str, Any]) -> Record:
    try:
        decoded = decode(orjson.dumps(envelope), now=act.now, trusted_chain=True)
    except Refused as refused:
        raise UsageError(f"the event {act.offer.emits} cannot enter the log: {refused}") from None
    return to_record(decoded, principal=str(act.principal), at=act.now, caused_by=act.parent.seq)


def _done(store: Store, row: Notification, act: _Act, ruling: Ruling | None, terms: Autonomy) -> tuple[Operations, Record]:
    """It is done in this commit: by a person, who decides by it (no `ruling`), or by an agent that need not ask."""
    record = _record(act, _envelope(act))
    wish = _wish(row, act, ruling or Ruling("L1", f"{act.principal} took the action"), record.id)
    body = {
        **wish.body, "level": wish.ruling.level, "why": wish.ruling.why, "known": 0, "window": terms.window, "result": {"id": record.id},
    }  # fmt: skip
    person = ruling is None
    decision = DecisionRow(
        decisions.next_number(store), wish.id, "done", wish.kind, wish.name, wish.pipeline, wish.seq, wish.domain, wish.owner, act.now,
        decided_by=str(act.principal) if person else "", decided_at=act.now, approved=person, body=orjson.dumps(body),
    )  # fmt: skip
    return Operations(records=[record], decisions=[decision]), record


def _asked(store: Store, row: Notification, act: _Act, agent: str, terms: Autonomy) -> tuple[Operations, Record | None]:
    """An agent asks, for each event once."""
    ruling = terms.level(act.parent.type, agent, row.domain)
    call = _call(act, "")
    wish = _wish(row, act, ruling, call)
    found = store.snapshot(Keys(decisions=[call], approvals=[wish.kind]))
    if (before := found.decisions.get(call)) is not None:
        what = f"{agent} has asked for {act.offer.name!r} already: d{before.number} is {before.state}"
        raise Conflict(what, hint=f"`eventctl decisions show d{before.number}` shows how it stands")
    if ruling.level == "L3":
        return _done(store, row, act, ruling, terms)
    envelope = _envelope(act)
    _record(act, envelope)
    wish = wish._replace(body={**wish.body, "emit": envelope})
    return decisions.ask(wish, found.approvals.get(wish.kind, 0), decisions.next_number(store), act.now, terms), None


def _wish(row: Notification, act: _Act, ruling: Ruling, record: str) -> Wish:
    """The action as a decision: of the notification's member or domain. Its kind counts what people approved, whoever asks."""
    offer, parent = act.offer, act.parent
    owner = row.audience.removeprefix("member:") if row.audience.startswith("member:") else ""
    body = {
        "form": "act", "action": offer.name, "summary": f"{offer.summary} (n{row.id}: {row.title})"[:300],
        "args": {"event": offer.emits, "payload": act.payload}, "by": f"{SOURCE}/{act.agent or act.principal.subject}", "cartridge": SOURCE,
        "type": parent.type, "entity": parent.entity, "hops": parent.hops, "notification": row.id,
    }  # fmt: skip
    kind = f"{SOURCE}/{parent.type}:{offer.name}"
    return Wish(_call(act, record), EMIT, kind, SOURCE, parent.seq, "" if owner else row.domain, owner, body, ruling)


def _call(act: _Act, record: str) -> str:
    """An agent's asking is known by the event that it is about, so that it asks once; a person may act again."""
    if act.agent is not None:
        return outbox_id(act.parent.seq, SOURCE, act.agent, EMIT, act.offer.name)
    return sha256(f"{SOURCE}:{record}".encode()).hexdigest()[:32]
