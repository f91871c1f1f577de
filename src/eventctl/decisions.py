"""Decisions: what may act, and the machine that says when it does. Pure functions over rows; each gives what is to be committed.

    asked ── L3 ────────────────────► approved ─► done | failed | unknown
          ── L2, known, with undo ──► approved ─► done (until due) ── undo ─► undoing ─► undone | failed | unknown
          ── L2, known, no undo ────► window ── due ─► approved …     ── undo, deny ─► undone
          ── L1, or L2 and new ─────► held ── approve ─► approved …   ── deny ─► denied    ── due ─► expired

While it is held or waits out its window, a decision owes no effect: its body holds what it would owe. What lets it act inserts its
outbox row in the same commit, and an outbox row of a decision has one attempt: so it is performed at most once, and an attempt whose
end nobody saw is shown as that. However it ends, the same commit writes the answer that a parked event goes on with.

Approving, denying and undoing are moves: one durable commit each, with the row's version as its precondition (`approve`, `deny`,
`undo` below). `settle` is the runner's part: what came due.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl import failpoints
from eventctl.announce import announce
from eventctl.answers import answer_record
from eventctl.contracts import Answer
from eventctl.errors import Conflict, NotFound, NotPermitted, UsageError
from eventctl.event import HOPS_MAX
from eventctl.ids import uuid7
from eventctl.principal import AT_THE_DESK, Principal, allowed
from eventctl.store import DecisionRow, Keys, Operations, OutboxRow, Record, Store
from eventctl.text import safe_text
from eventctl.times import format_duration, iso

if TYPE_CHECKING:
    from eventctl.autonomy import Autonomy, Ruling

KIND = "decision"
"""The kind of a decision's outbox rows."""

OPEN = ("held", "window", "approved", "undoing")
AT_THE_INBOX, WHY_MAX = "inbox", 500
"""Where an agent asks for an action, and speaks for itself in whatever domain; characters of the reason for a no."""

WAITING = ("held", "window")
"""How a decision stands before it has come to one of `DECISION_ENDS`, and which of that waits for somebody or for its time."""

LEGAL = frozenset(
    {
        ("", "approved"), ("", "held"), ("", "window"), ("held", "approved"), ("held", "denied"), ("held", "expired"),
        ("window", "approved"), ("window", "undone"), ("approved", "done"), ("approved", "failed"), ("approved", "unknown"),
        ("done", "undoing"), ("undoing", "undone"), ("undoing", "failed"), ("undoing", "unknown"),
    }
)  # fmt: skip
"""Every step that a decision of a cartridge may take. An install goes from `held` to `done` at once: it is no effect outside."""

EVENTS = {
    "held": "decision.held", "acting": "decision.acting", "approved": "decision.approved", "denied": "decision.denied",
    "expired": "decision.expired", "undone": "decision.undone", "executed": "decision.executed", "failed": "decision.failed",
    "ambiguous": "decision.ambiguous",
}  # fmt: skip
"""What tells of a step."""

TRIES_MAX = 8
SETTLED_MAX = 200
"""How often a move is tried when the row changes under it; how many decisions that came due one step of a runner takes."""

RESULT_MAX = 4_096
"""Bytes of a result that the row itself keeps; a longer one stands in the answer only."""

CUT_OFF = "the attempt was cut off; whether it took place is not known"


class Wish(NamedTuple):
    """Something that wants to act. `id` is the call that it answers to, `name` the executor.

    `body` holds what is to be done and what people are shown: `action`, `summary`, `title`, `args`, `undo` (name and args, or None),
    `emit` (the envelope of an event, for that executor), `by` (the instance), `cartridge`, `type`, `entity` and `hops` of the event,
    `form` (`decide`, `propose` or `call`).
    """

    id: str
    name: str
    kind: str
    pipeline: str
    seq: int
    domain: str
    owner: str
    body: Mapping[str, Any]
    ruling: Ruling


class Decided(NamedTuple):
    """A move that was made: the number of its record, and the decision after it."""

    seq: int
    row: DecisionRow


def ask(wish: Wish, known: int, number: int, now: int, terms: Autonomy) -> Operations:
    """What autonomy makes of a wish. `known` is how often a person has approved its kind, `number` the decision's own."""
    ruling = wish.ruling
    body = {**wish.body, "level": ruling.level, "why": ruling.why, "known": known, "window": terms.window}
    row = DecisionRow(
        number, wish.id, "held", wish.kind, wish.name, wish.pipeline, wish.seq, wish.domain, wish.owner, now,
        due=now + terms.expires, body=orjson.dumps(body),
    )  # fmt: skip
    if ruling.level == "L3":
        return _acts(row._replace(state="approved", due=None, decided_at=now), now)
    if ruling.level == "L1" or known < terms.after:
        return Operations(decisions=[row], records=[_told("held", row, now)])
    if wish.body.get("undo"):
        out = _acts(row._replace(state="approved", due=None, decided_at=now), now)
        out.records.append(_told("acting", row, now))
        return out
    row = row._replace(state="window", due=now + terms.window)
    return Operations(decisions=[row], records=[_told("acting", row, now)])


def approved(row: DecisionRow, by: str, now: int) -> Operations:
    """A person says yes. Raises `Conflict` unless it is held, and still is."""
    if row.state != "held" or _over(row, now):
        raise _not_so(row, now)
    after = _next(row, "approved", by, now)._replace(due=None, approved=True)
    out = _acts(after, now)
    out.records.append(_told("approved", after, now))
    return out


def denied(row: DecisionRow, by: str, now: int, why: str = "") -> Operations:
    """A person says no, and why: to what is held, or to what waits out its window."""
    if row.state not in WAITING or _over(row, now):
        raise _not_so(row, now)
    state = "denied" if row.state == "held" else "undone"
    return _ended(_next(row, state, by, now)._replace(due=None), now, why)


def undone(row: DecisionRow, by: str, now: int) -> Operations:
    """Take it back: before it acts, or by its own undo while there is time."""
    if row.state == "window" and not _over(row, now):
        return _ended(_next(row, "undone", by, now)._replace(due=None), now)
    if row.state != "done" or not undo_of(row) or _over(row, now):
        raise _not_so(row, now)
    after = _next(row, "undoing", by, now)._replace(due=None, decided_at=row.decided_at)
    return Operations(decisions=[after], outbox=[_owed(after, now)])


def due(row: DecisionRow, now: int) -> Operations:
    """Its time has come: what nobody approved expires, what nobody took back acts. Raises `Conflict` before."""
    if row.state not in WAITING or not _over(row, now):
        raise _not_so(row, now)
    if row.state == "held":
        return _ended(_next(row, "expired", "", now)._replace(due=None), now)
    return _acts(_next(row, "approved", "", now)._replace(due=None), now)


def answered(row: DecisionRow, answer: Answer, now: int, *, unseen: bool = False) -> Operations:
    """Its attempt has ended, or nobody saw its end. Raises `Conflict` where none was on its way."""
    if row.state not in ("approved", "undoing"):
        raise _not_so(row, now)
    undoing, body = row.state == "undoing", orjson.loads(row.body)
    id_, name = (undo_call(row.call), str(body["undo"][0])) if undoing else (row.call, row.name)
    error = CUT_OFF if unseen else _failure(name, answer)
    state = "unknown" if unseen else "failed" if error else "undone" if undoing else "done"
    body["error"] = safe_text(error, limit=500)
    if answer.ok and len(orjson.dumps(answer.result)) <= RESULT_MAX:
        body["undo_result" if undoing else "result"] = answer.result
    until = now + int(body["window"]) if not error and not undoing and body.get("undo") else None
    after = row._replace(state=state, due=until, ver=row.ver + 1, body=orjson.dumps(body))
    outcome = {"unknown": "failed"}.get(state, state)
    said = Answer(False, error=error) if unseen else answer
    ended = {"outcome": outcome, "by": row.decided_by, **({"failed": error} if error else {})}
    records = [answer_record(id_, row.pipeline, row.seq, name, said, now, ended=ended)]
    event = {"done": "executed", "unknown": "ambiguous"}.get(state, state)
    if event != "executed" or row.approved or body["level"] != "L3":
        records.append(_told(event, after, now))
    return Operations(decisions=[after], records=records)


def settle(store: Store, now: int) -> int:
    """Decide what came due; how many. What a person decided in the same moment is theirs."""
    settled = 0
    for row in store.due_decisions(now, limit=SETTLED_MAX):
        out = due(row, now)
        failpoints.reach("decision.before_commit")
        try:
            store.commit(out)
        except Conflict:
            continue
        settled += 1
    return settled


# --- moves ---------------------------------------------------------------------------------------------------------------------


def approve(
    store: Store, number: int, *, principal: Principal, now: int, at_once: Callable[[DecisionRow], Operations] | None = None
) -> Decided:
    """Let a held decision act. `at_once` gives what an install does, which is no effect outside but part of this commit.

    Raises `NotFound`, `NotPermitted`, and `Conflict` when it is decided already.
    """

    def step(row: DecisionRow) -> Operations:
        if not at_the_desk(row):
            return approved(row, str(principal), now)
        if at_once is None:
            raise UsageError(
                f"d{row.number} is approved on the command line only", hint=f"`eventctl decisions approve d{number}`"
            )
        return _performed(row, str(principal), now, at_once)

    return _make(store, number, "approve", principal, now, step)


def deny(store: Store, number: int, *, principal: Principal, now: int, why: str = "") -> Decided:
    """Turn a decision down that is held, or that waits out its window; whoever asked hears `why`. Raises as `approve` does."""
    return _make(store, number, "deny", principal, now, lambda row: denied(row, str(principal), now, why))


def undo(store: Store, number: int, *, principal: Principal, now: int) -> Decided:
    """Take back what is about to act, or what has acted while there is time. Raises as `approve` does."""
    return _make(store, number, "undo", principal, now, lambda row: undone(row, str(principal), now))


def _make(
    store: Store, number: int, verb: str, principal: Principal, now: int, step: Callable[[DecisionRow], Operations]
) -> Decided:
    for attempt in range(1, TRIES_MAX + 1):
        row = store.views.decision(number)
        if row is None:
            raise NotFound(f"there is no d{number}", hint="`eventctl decisions list --all` shows what there is")
        permit(principal, verb, row)
        out = step(row)
        body = {"verb": f"decisions.{verb}", "decision": number, "call": row.call, "seq": row.seq}
        move = Record(
            "move", "move", uuid7(now), f"decisions.{verb}", orjson.dumps(body), str(principal), now, caused_by=row.seq or None
        )
        out.records.insert(0, move)
        failpoints.reach("decision.before_commit")
        try:
            committed = store.commit(out, durable=True)
        except Conflict:
            if attempt == TRIES_MAX:
                raise
            continue
        return Decided(committed.seqs[0], out.decisions[0])
    raise AssertionError("the last attempt returns or raises")


def permit(principal: Principal, verb: str, row: DecisionRow) -> None:
    """Raises `NotPermitted` unless the principal may do that to the decision: `approve`, `deny` or `undo`.

    What an admin alone may do at the desk (install, promote, remove, trust) is approved by whoever may do it.
    """
    target = whose(row)
    wanted = [f"decisions.{verb}", *([f"cartridge.{row.name}"] if at_the_desk(row) and verb == "approve" else [])]
    if any(not allowed(principal, each, target) for each in wanted):
        whom = (
            "an admin"
            if at_the_desk(row) and not row.owner
            else f"{row.owner} themselves or an admin"
            if row.owner
            else f"a member who has {row.domain} in `domains`, or an admin"
            if row.domain
            else "an admin"
        )
        raise NotPermitted(
            f"{principal.subject} may not {verb} d{row.number}: {summary_of(row)}",
            where=target,
            hint=f"{whom} may, on the command line",
        )


def at_the_desk(row: DecisionRow) -> bool:
    """Whether it changes the workspace itself, which is done on the command line and by no executor."""
    return not row.pipeline and f"cartridge.{row.name}" in AT_THE_DESK


def whose(row: DecisionRow) -> str:
    """What the right to decide is about: `domain:<name>`, `member:<name>` or `workspace`, as an audience is written."""
    return f"domain:{row.domain}" if row.domain else f"member:{row.owner}" if row.owner else "workspace"


def summary_of(row: DecisionRow) -> str:
    """What it is about, as its cartridge says it."""
    return str(orjson.loads(row.body).get("summary", row.name))


def undo_of(row: DecisionRow) -> tuple[str, Mapping[str, Any]] | None:
    """The call that takes it back."""
    given = orjson.loads(row.body).get("undo")
    return None if not given else (given[0], given[1])


def undo_call(call: str) -> str:
    """The id of the outbox row that takes a decision back."""
    return sha256(f"{call}:undo".encode()).hexdigest()[:32]


def call_of(row: OutboxRow) -> str:
    """The decision that an outbox row of kind `decision` belongs to."""
    return str(orjson.loads(row.body).get("decision", row.id))


def next_number(store: Store) -> int:
    """The number that the next decision gets if nobody is faster; then the commit conflicts and is planned again."""
    return store.snapshot(Keys(decisions=[""])).decision_last + 1


# --- what a step comes to --------------------------------------------------------------------------------------------------------


def _acts(row: DecisionRow, now: int) -> Operations:
    return Operations(decisions=[row], outbox=[_owed(row, now)])


def _owed(row: DecisionRow, now: int) -> OutboxRow:
    """The outbox row of a decision that may act, or of its undo: one attempt."""
    body = orjson.loads(row.body)
    held: dict[str, Any] = {"cartridge": body["cartridge"], "repeat": False, "decision": row.call, "args": body["args"]}
    if row.state == "undoing":
        name, args = body["undo"]
        undoing = orjson.dumps({**held, "args": args})
        return OutboxRow(undo_call(row.call), KIND, name, row.pipeline, row.seq, undoing, next_at=now)
    if body.get("emit"):
        held["emit"] = body["emit"]
    return OutboxRow(row.call, KIND, row.name, row.pipeline, row.seq, orjson.dumps(held), next_at=now)


def _performed(row: DecisionRow, by: str, now: int, at_once: Callable[[DecisionRow], Operations]) -> Operations:
    if row.state != "held" or _over(row, now):
        raise _not_so(row, now)
    out = at_once(row)
    after = _next(row, "done", by, now)._replace(due=None, approved=True)
    out.decisions.insert(0, after)
    out.records.append(_told("executed", after, now))
    return out


def _ended(row: DecisionRow, now: int, why: str = "") -> Operations:
    """It ends without having acted: whoever waits for it hears so."""
    body = orjson.loads(row.body)
    said = {
        "denied": f"denied by {row.decided_by}", "undone": f"taken back by {row.decided_by} before it acted",
        "expired": f"nobody approved it within {format_duration(now - row.asked_at)}",
    }[row.state]  # fmt: skip
    said += f": {why.strip()[:WHY_MAX]}" if why.strip() else ""
    body["error"] = said
    row = row._replace(body=orjson.dumps(body))
    ended = {"outcome": row.state, "by": row.decided_by}
    answer = answer_record(row.call, row.pipeline, row.seq, row.name, Answer(False, error=said), now, ended=ended)
    waited = [answer] if row.pipeline else []  # an install is asked for by a person, and no event waits for it
    return Operations(decisions=[row], records=[*waited, _told(row.state, row, now)])


def _next(row: DecisionRow, state: str, by: str, now: int) -> DecisionRow:
    return row._replace(state=state, decided_by=by, decided_at=now, ver=row.ver + 1)


def _over(row: DecisionRow, now: int) -> bool:
    return row.due is not None and row.due <= now


def _failure(name: str, answer: Answer) -> str:
    """Why what was done did not come off, "" when it did. A program that ran and failed has answered, and has not done it."""
    if not answer.ok:
        return answer.error or "it gave no reason"
    code = answer.result.get("exit", 0) if name == "command" and isinstance(answer.result, Mapping) else 0
    if not code:
        return ""
    lines = str(answer.result.get("output", "")).strip().splitlines()
    how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
    return f"the command {how}" + (f": {lines[-1][:200]}" if lines else "")


def _not_so(row: DecisionRow, now: int) -> Conflict:
    """Why it cannot be decided any more, or not like that."""
    who, at = row.decided_by or "nobody", _clock(row.decided_at or row.asked_at)
    said = {
        "held": f"waits for a person until {_clock(row.due)}", "window": f"acts by itself at {_clock(row.due)}",
        "approved": f"is on its way since {at}", "done": f"was done at {at}", "undoing": f"is being taken back by {who}",
        "undone": f"was taken back by {who}", "denied": f"was denied by {who} at {at}", "expired": f"expired at {at}: nobody approved it",
        "failed": f"failed: {orjson.loads(row.body).get('error', '')}", "unknown": "was cut off, and may have taken place",
    }[row.state]  # fmt: skip
    if row.state == "held" and _over(row, now):
        said = f"expired at {_clock(row.due)}: nobody approved it"
    elif row.state == "window" and _over(row, now):
        said = "acts now: its window is over"
    elif row.state == "done" and undo_of(row) is None:
        said = f"{said}, and nothing takes it back"
    elif row.state == "done" and row.due is not None and now < row.due:
        said = f"{said}, and can be taken back until {_clock(row.due)}"
    elif row.state == "done":
        said = f"{said}, and its time to be taken back is over"
    return Conflict(f"d{row.number} {said}", hint=f"`eventctl decisions show d{row.number}` shows how it came to that")


def _clock(us: int | None) -> str:
    return f"{iso(us or 0)[:16].replace('T', ' ')} UTC"


# --- what people are told --------------------------------------------------------------------------------------------------------


def asker(row: DecisionRow) -> str:
    """Who asks, as people say it: the domain, the member, the agent, or the cartridge."""
    body = orjson.loads(row.body)
    by = str(body.get("by", ""))
    if not row.pipeline:
        return by.partition(":")[2] or by
    return ("" if row.pipeline == AT_THE_INBOX else row.domain or row.owner) or by.rpartition("/")[2]


def _told(what: str, row: DecisionRow, now: int) -> Record:
    """The event that tells of a step."""
    type_ = EVENTS[what]
    body = orjson.loads(row.body)
    summary, window = str(body.get("summary") or row.name)[:300], format_duration(int(body.get("window", 0)))
    who = asker(row)
    name = f"d{row.number}"
    title = {
        "held": str(body.get("title") or f"{who} asks: {summary}")[:300],
        "acting": f"{who} acts in {window}: {summary}" if row.state == "window" else f"{who} acts: {summary}",
        "failed": f"{who} failed at: {summary}", "ambiguous": f"{who} may have done it, or not: {summary}",
    }.get(what, f"{who}: {summary}")  # fmt: skip
    error = str(body.get("error", ""))
    said = {
        "decision.held": f"`eventctl decisions approve {name}` lets it act, `deny {name}` does not; without an answer it is denied at {_clock(row.due)}",
        "decision.acting": f"`eventctl decisions undo {name}` "
        + (f"stops it until {_clock(row.due)}" if row.state == "window" else f"takes it back for {window} from when it is done"),
        "decision.approved": f"approved by {row.decided_by}", "decision.denied": error, "decision.expired": error,
        "decision.undone": error or f"taken back by {row.decided_by}", "decision.executed": "done",
        "decision.failed": error, "decision.ambiguous": f"{error}: look whether it did, `eventctl decisions show {name}` shows what it is",
    }[type_]  # fmt: skip
    facts = {
        "call": row.call, "number": row.number, "title": title, "action": str(body.get("action", row.name)), "by": str(body.get("by", "")),
        "summary": summary, "executor": row.name, "state": row.state, "audience": whose(row),
        **({"decided_by": row.decided_by} if row.decided_by else {}), **({"reason": error} if error else {}),
    }  # fmt: skip
    hops = min(HOPS_MAX, int(body.get("hops", 0)) + 1)
    id_ = sha256(f"{row.call}:{what}:{row.state}".encode()).hexdigest()[:32]
    return announce(
        type_, facts, now=now, by="decisions", entity=body.get("entity"), description=said,
        caused_by=row.seq or None, hops=hops, id_=id_,
    )  # fmt: skip
