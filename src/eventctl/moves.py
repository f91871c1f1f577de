"""Moves: what people and agents do with a notification, and the state machine that says what they may.

    agent axis    none -> claimed -> in_progress -> resolved -> none      a claim has a lease and a fencing token
    human axis    unseen <-> seen, and snoozed until, for each member

A move is one durable commit: what it needs to be true, what it does, and a record of it with the position of the log that it saw
(`saw`). A rebuild applies it there again, through the same `apply`. What a row becomes by ageing is the projection's business: a
move that changes that asks for it by setting `due` to now.

Control moves (of the quarantine and of dead letters) are only appended; the pipeline that they name acts on them in its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from eventctl import gathered, holding
from eventctl.errors import Conflict, NotFound, NotPermitted, UsageError
from eventctl.ids import uuid7
from eventctl.lives import DEFAULT_LEASE
from eventctl.notification import MemberView, Notification
from eventctl.principal import Principal, allowed
from eventctl.resolution import check_resolution
from eventctl.store import LOG_PIPELINE, Keys, Operations, Record, Snapshot, Store, TimerRow

INBOX = "inbox"
"""The owner of the inbox's own timers: leases, snoozes, and the sweep that ages notifications."""

DECIDES = {
    "quarantine.release": "quarantined", "quarantine.discard": "quarantined", "dead.retry": "dead", "dead.discard": "dead",
}  # fmt: skip
"""Control moves: they decide about an event that a pipeline holds, and here is the state that it must be in."""

TRIES_MAX = 8
"""How often a move is tried when the row changes under it; the runner needs a few milliseconds per batch."""

Body = Mapping[str, Any]


class Moved(NamedTuple):
    """A move that was made: the number of its record (0 when nothing had to change), and the row after it.

    After a claim, `notification.lease_token` is the token that later moves of the claimer can show.
    """

    seq: int
    notification: Notification


def claim(store: Store, number: int, *, agent: str, principal: Principal, now: int, lease: int = DEFAULT_LEASE) -> Moved:
    """Take a notification to work on, for `lease` microseconds. Claiming one's own again renews the lease.

    Raises `Conflict` when somebody else holds it, or it is resolved or archived.
    """
    if lease <= 0:
        raise UsageError("a lease lasts longer than nothing", hint="say for how long: 20m, 2h")
    return _make(store, principal, now, {"verb": "claim", "notification": number, "agent": agent, "lease_due": now + lease})


def start(store: Store, number: int, *, agent: str, principal: Principal, now: int, token: int | None = None) -> Moved:
    """Say that work on a claimed notification has begun. `token` is the claim's; without it the agent's name must be the claimer's."""
    return _make(store, principal, now, {"verb": "start", "notification": number, "agent": agent, "token": token})


def release(
    store: Store, number: int, *, agent: str, principal: Principal, now: int, token: int | None = None, reason: str = ""
) -> Moved:
    """Give a claimed notification back, and say why."""
    body = {"verb": "release", "notification": number, "agent": agent, "token": token, "reason": reason or None}
    return _make(store, principal, now, body)


def resolve(
    store: Store,
    number: int,
    *,
    agent: str,
    principal: Principal,
    now: int,
    resolution: Mapping[str, Any] | None = None,
    token: int | None = None,
) -> Moved:
    """Say how a notification was settled. `resolution` is JSON and must have the shape that the newest event asks for, if it does.

    Nobody needs to have claimed it; if somebody has, it is theirs to resolve.
    """
    said = dict(resolution or {})
    body = {"verb": "resolve", "notification": number, "agent": agent, "token": token, "resolution": said}
    return _make(store, principal, now, body, check=lambda row: check_resolution(store, row, said))


def reopen(store: Store, number: int, *, agent: str, principal: Principal, now: int) -> Moved:
    """Take back that it was resolved. Raises `Conflict` when it is not, or its life has another open one by now."""
    return _make(store, principal, now, {"verb": "reopen", "notification": number, "agent": agent})


def archive(store: Store, number: int, *, principal: Principal, now: int) -> Moved:
    """Put a notification away. Raises `Conflict` while somebody works on it."""
    return _make(store, principal, now, {"verb": "archive", "notification": number})


def unarchive(store: Store, number: int, *, principal: Principal, now: int) -> Moved:
    """Bring a notification back. Raises `Conflict` when its life has another open one by now."""
    return _make(store, principal, now, {"verb": "unarchive", "notification": number})


def seen(store: Store, number: int, *, member: str, principal: Principal, now: int, news: int | None = None) -> Moved:
    """Mark as seen for a member, up to the `news` that they were shown (default: all there is now)."""
    return _make(store, principal, now, {"verb": "seen", "notification": number, "member": member, "news": news})


def unseen(store: Store, number: int, *, member: str, principal: Principal, now: int) -> Moved:
    """Mark as not seen for a member."""
    return _make(store, principal, now, {"verb": "unseen", "notification": number, "member": member})


def snooze(store: Store, number: int, *, member: str, until: int, principal: Principal, now: int) -> Moved:
    """Let a member hear nothing of it until then."""
    if until <= now:
        raise UsageError("a snooze ends in the future", hint="say for how long: 2h, 3d")
    return _make(store, principal, now, {"verb": "snooze", "notification": number, "member": member, "until": until})


def unsnooze(store: Store, number: int, *, member: str, principal: Principal, now: int) -> Moved:
    """End a member's snooze."""
    return _make(store, principal, now, {"verb": "unsnooze", "notification": number, "member": member})


def act(
    store: Store,
    number: int,
    action: str,
    *,
    principal: Principal,
    now: int,
    plan: Callable[[Notification], Operations],
    agent: str | None = None,
) -> Moved:
    """Take an action. `plan` gives the records, decisions and outbox rows that it comes to; the move's record stands before them.

    Raises `Conflict` when it is archived, or an agent acts on what somebody else holds.
    """
    body = {"verb": "act", "notification": number, "agent": agent, "action": action}
    return _make(store, principal, now, body, also=plan)


def control(store: Store, verb: str, seq: int, *, principal: Principal, now: int, pipeline: str = LOG_PIPELINE) -> int:
    """Ask a pipeline to release or discard what it holds, or to retry or discard a dead letter. Returns the record's number.

    Raises `Conflict` when the record is in another state; the pipeline checks again when it comes to it.
    """
    _permit(principal, verb)
    found = store.snapshot(Keys(exceptions=[(pipeline, seq)])).exceptions.get((pipeline, seq))
    if found is None:
        raise NotFound(f"{pipeline} holds no e{seq}", hint=f"`eventctl why e{seq}` says what became of it")
    if found.state != DECIDES[verb]:
        what = f"e{seq} is {found.state} in {pipeline}, not {DECIDES[verb]}"
        raise Conflict(what, hint=f"`eventctl why e{seq}` says why, and what can be done")
    body = orjson.dumps({"verb": verb, "pipeline": pipeline, "seq": seq})
    record = Record("move", "move", uuid7(now), verb, body, str(principal), now, found.entity, caused_by=seq)
    return store.append([record])[0].seq


def apply(body: Body, snapshot: Snapshot, seq: int, at: int) -> Operations:
    """What a move of the inbox does to the state in `snapshot`, without its record. `seq` is the record's, -1 for the commit's first.

    Raises `Conflict` where the state does not allow it, `NotFound` where there is no such notification.
    """
    number = int(body["notification"])
    row = snapshot.notifications.get(number)
    if row is None:
        raise NotFound(f"there is no n{number}", hint="`eventctl inbox` shows what there is")
    out = Operations()
    after = _EFFECTS[body["verb"]](Move(body, row, snapshot, at), out)
    if after is not None:
        changed = [after, *_group(row, after, snapshot, at, out)]
        for each in changed:
            out.changed.append(each._replace(ver=each.ver + 1, changed_pos=int(body["saw"])))
            out.touched.append((each.id, seq))
    return out


def read(store: Store, body: Body) -> Snapshot:
    """What `apply` must know about a move."""
    number, member = int(body["notification"]), body.get("member")
    keys = Keys(notifications=[number], member_views=[(member, number)] if member else [])
    found = store.snapshot(keys)
    row = found.notifications.get(number)
    group = gathered.group_of(row) if row is not None else None
    if group is not None:
        keys.notifications.append(group)
        found = store.snapshot(keys)
        row = found.notifications.get(number)
    if body["verb"] in ("unarchive", "reopen") and row is not None:
        keys.lives.append((row.life, row.life_key))
        found = store.snapshot(keys)
    return found


def _group(row: Notification, after: Notification, snapshot: Snapshot, at: int, out: Operations) -> list[Notification]:
    """What settling a row means for its group: one open member less; and for a group, that what it gathers follows."""
    if _settled(row) or not _settled(after):
        return []
    if gathered.is_group(row):
        out.timers.append(TimerRow(INBOX, f"silence:group:{row.id}", at))
    number = gathered.group_of(row)
    group = None if number is None else snapshot.notifications.get(number)
    if group is None or group.archived_at is not None:
        return []
    left = gathered.left(group, at)
    if group.lease_due is not None and left.lease_due is None:
        out.timers_cleared.append((INBOX, f"lease:{group.id}", None))
    return [left._replace(due=at)]


def _settled(row: Notification) -> bool:
    return row.agent_state == "resolved" or row.archived_at is not None


def _make(
    store: Store,
    principal: Principal,
    now: int,
    body: dict[str, Any],
    *,
    check: Callable[[Notification], None] | None = None,
    also: Callable[[Notification], Operations] | None = None,
) -> Moved:
    verb = f"inbox.{body['verb']}"
    who = body.get("agent", body.get("member"))
    if who is not None and not who.strip():
        raise UsageError("a move has somebody who makes it", hint="name a member or an agent")
    _permit(principal, verb, body.get("member", ""))
    for attempt in range(1, TRIES_MAX + 1):
        snapshot = read(store, body)
        # Read after the row: an event between the two changes the row's `ver`, and the commit below conflicts.
        cursor = store.cursor(LOG_PIPELINE)
        full = {**{name: value for name, value in body.items() if value is not None}, "saw": cursor.pos if cursor else 0}
        out = apply(full, snapshot, -1, now)
        row = snapshot.notifications[full["notification"]]
        if not out.changed:
            return Moved(0, row)
        if check:
            check(row)
        out.records.append(Record("move", "move", uuid7(now), verb, orjson.dumps(full), str(principal), now, caused_by=row.seq))
        if also:
            more = also(row)
            out.records += more.records
            out.decisions += more.decisions
            out.outbox += more.outbox
        try:
            committed = store.commit(out, durable=True)
        except Conflict:
            if attempt == TRIES_MAX:
                raise
            continue
        return Moved(committed.seqs[0], out.changed[0])
    raise AssertionError("the last attempt returns or raises")


def _permit(principal: Principal, verb: str, subject: str = "") -> None:
    if not allowed(principal, verb, subject):
        what = f"{principal} may not {verb}" + (f" for {subject}" if subject else "")
        raise NotPermitted(what, hint="somebody with that right may: an admin, or the member themselves")


class Move(NamedTuple):
    """A move, the row it is about, and what else is known."""

    body: Body
    row: Notification
    snapshot: Snapshot
    at: int

    @property
    def view(self) -> MemberView:
        """The member's side of the row."""
        member = self.body["member"]
        return self.snapshot.member_views.get((member, self.row.id)) or MemberView(member, self.row.id, 0)


def _claim(move: Move, out: Operations) -> Notification:
    body, row, at = move.body, move.row, move.at
    holding.still_open(row)
    renewal = holding.held(row, at) and row.agent == body["agent"]
    if holding.held(row, at) and not renewal:
        raise holding.by(row)
    out.timers.append(TimerRow(INBOX, f"lease:{row.id}", body["lease_due"]))
    if renewal:
        return row._replace(lease_due=body["lease_due"])
    return row._replace(
        agent_state="claimed", agent=body["agent"], lease_token=row.lease_token + 1, lease_due=body["lease_due"],
        claimed_at=at, updated_at=at,
    )  # fmt: skip


def _start(move: Move, out: Operations) -> Notification:
    holding.must_hold(move.body, move.row, move.at)
    if move.row.agent_state == "in_progress":
        raise Conflict(f"n{move.row.id} is in progress already", hint=f"`eventctl inbox resolve n{move.row.id}` ends it")
    return move.row._replace(agent_state="in_progress", updated_at=move.at)


def _release(move: Move, out: Operations) -> Notification:
    holding.must_hold(move.body, move.row, move.at)
    out.timers_cleared.append((INBOX, f"lease:{move.row.id}", None))
    return move.row._replace(agent_state="none", agent=None, claimed_at=None, lease_due=None, updated_at=move.at, due=move.at)


def _resolve(move: Move, out: Operations) -> Notification:
    body, row, at = move.body, move.row, move.at
    holding.still_open(row)
    if holding.held(row, at) or body.get("token") is not None:
        holding.must_hold(move.body, move.row, move.at)
    if row.lease_due is not None:
        out.timers_cleared.append((INBOX, f"lease:{row.id}", None))
    return row._replace(
        agent_state="resolved", agent=body["agent"], lease_due=None, resolved_at=at, resolution=orjson.dumps(body["resolution"]),
        updated_at=at, due=at, silenced_by=None, silenced_until=None,
    )  # fmt: skip


def _reopen(move: Move, out: Operations) -> Notification:
    row, at = move.row, move.at
    holding.unarchived(row)
    if row.agent_state != "resolved":
        raise Conflict(f"n{row.id} is not resolved", hint=f"`eventctl inbox show n{row.id}` shows how it stands")
    if gathered.is_group(row):
        what = f"n{row.id} stood for others, which were settled with it"
        raise Conflict(what, hint="reopen those that you want: `eventctl inbox list --resolved` shows them")
    _only_open(move)
    return row._replace(
        agent_state="none",
        agent=None,
        claimed_at=None,
        lease_due=None,
        resolved_at=None,
        resolution=None,
        updated_at=at,
        due=at,
    )


def _archive(move: Move, out: Operations) -> Notification:
    row = move.row
    if row.archived_at is not None:
        raise Conflict(f"n{row.id} is archived already", hint=f"`eventctl inbox unarchive n{row.id}` brings it back")
    if holding.held(row, move.at):
        raise holding.by(row)
    return row._replace(archived_at=move.at, updated_at=move.at, due=move.at, silenced_by=None, silenced_until=None)


def _unarchive(move: Move, out: Operations) -> Notification:
    row = move.row
    if row.archived_at is None:
        raise Conflict(f"n{row.id} is not archived", hint=f"`eventctl inbox show n{row.id}` shows how it stands")
    if gathered.is_group(row):
        what = f"n{row.id} stood for others, which were put away with it"
        raise Conflict(what, hint="bring those back that you want: `eventctl inbox list --archived` shows them")
    if row.agent_state != "resolved":
        _only_open(move)
    return row._replace(archived_at=None, updated_at=move.at, due=move.at)


def _only_open(move: Move) -> None:
    row, other = move.row, move.snapshot.lives.get((move.row.life, move.row.life_key))
    if other is not None and other.agent_state != "resolved":
        raise Conflict(f"n{other.id} is open for the same thing as n{row.id}", hint=f"work on n{other.id}")


def _seen(move: Move, out: Operations) -> Notification | None:
    shown = min(move.body.get("news", move.row.news), move.row.news)
    if move.view.seen >= shown:
        return None
    out.member_views.append(move.view._replace(seen=shown))
    return move.row


def _unseen(move: Move, out: Operations) -> Notification | None:
    if not move.view.seen:
        return None
    out.member_views.append(move.view._replace(seen=0))
    return move.row


def _snooze(move: Move, out: Operations) -> Notification:
    body = move.body
    out.member_views.append(move.view._replace(snooze_until=body["until"], snoozed_by=None))
    out.timers.append(TimerRow(INBOX, f"snooze:{body['member']}:{move.row.id}", body["until"]))
    return move.row


def _unsnooze(move: Move, out: Operations) -> Notification | None:
    if move.view.snooze_until is None:
        return None
    out.member_views.append(move.view._replace(snooze_until=None, snoozed_by=None))
    out.timers_cleared.append((INBOX, f"snooze:{move.body['member']}:{move.row.id}", None))
    return move.row


def _act(move: Move, out: Operations) -> Notification:
    row, agent = move.row, move.body.get("agent")
    holding.unarchived(row)
    if agent is not None and holding.held(row, move.at) and row.agent != agent:
        raise holding.by(row)
    return row._replace(updated_at=move.at)


_EFFECTS: dict[str, Callable[[Move, Operations], Notification | None]] = {
    "claim": _claim, "start": _start, "release": _release, "resolve": _resolve, "reopen": _reopen,
    "archive": _archive, "unarchive": _unarchive, "seen": _seen, "unseen": _unseen, "snooze": _snooze, "unsnooze": _unsnooze, "act": _act,
}  # fmt: skip
