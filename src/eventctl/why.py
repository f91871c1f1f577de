"""Why: one record or one notification explained in sentences, from what was written down while it happened.

Nothing is guessed and nothing is run again. Where the store says nothing about a pipeline, the record was plainly applied there;
everything else left a row with a reason. The same facts come as `facts`, in plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl import whyshaped, whyspoke
from eventctl.event import Level
from eventctl.reasons import in_words, verdict_in_words
from eventctl.store import DUPLICATE_OF, LOG_PIPELINE, SHAPED
from eventctl.times import ago, iso
from eventctl.whymoved import cut, moved

if TYPE_CHECKING:
    from eventctl.declared import Declared
    from eventctl.notification import MemberView, Notification
    from eventctl.store import CursorRow, ExceptionRow, LogRow, OutboxRow
    from eventctl.views import Trace, Views
    from eventctl.whyspoke import Rules

SHOWN_MAX = 10
"""Of children, repeats and history, so many are told one by one; the rest are counted."""

SKIPPED = "skipped:"
"""Before the pipeline in the slot that says which cartridges an event went on without."""

CHANNELS = {
    "cli": "on the command line", "socket": "over the socket", "file": "as a file", "http": "over HTTP", "redis": "over Redis",
    "peer": "from another node", "cartridge": "from a cartridge", "timer": "from a timer", "outbox": "as an answer",
    "system": "from eventctl itself",
}  # fmt: skip
ROLES = {"opens": "opens", "updates": "updates", "resolves": "settles", "reopens": "reopens"}
OWED = {
    "pending": "is owed", "sending": "is on its way", "retry": "failed and is tried again", "done": "is done",
    "dead": "was given up", "unknown": "was tried, and nobody saw how it ended",
}  # fmt: skip


class Part(NamedTuple):
    """A heading and the sentences under it. Sentences quote strangers: print them through `safe_text`."""

    heading: str
    lines: list[str]


@dataclass(slots=True)
class Explanation:
    """What there is to say. `missing` is why there is no notification, as (code, sentence); None where there is one."""

    title: str
    parts: list[Part] = field(default_factory=list)
    missing: tuple[str, str] | None = None
    next_steps: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, heading: str, lines: Sequence[str]) -> None:
        """A part, if there is anything in it."""
        if lines:
            self.parts.append(Part(heading, list(lines)))


def of_record(
    views: Views, trace: Trace, declared: Declared, rules: Rules, *, now: int, running: bool, when: Callable[[int], str] = iso
) -> Explanation:
    """Explain a record. `running` is whether a runner works on the workspace now, `when` how an instant is written."""
    record = trace.record
    cursors = views.cursors()
    told = Explanation(f"e{record.seq}  {record.type}")
    told.add("Where it came from", _origin(trace, now, when))
    told.add("What was done with it", _steps(trace, cursors, now))
    told.add("What was said about it", _noted(trace.annotations, when))
    matched = whyspoke.of_record(trace, rules, when, views.decisions_about(record.seq))
    told.add("Rules that matched", [line for spoke in matched for line in spoke.lines])
    told.add("What it caused", _caused(trace))
    told.add("Repeats of it", _repeats(trace))
    told.add("What it owes", [_effect(row, now) for row in trace.outbox])
    told.add("Notifications", [line for row in trace.notifications for line in _about(row, views.life(row.id), now)])
    told.add("Why it is not in sight", _out_of_sight(views, trace, now, when))
    if not trace.notifications:
        told.missing = _no_notification(trace, declared, cursors, running=running)
        notices = [f"e{child.seq}" for child in trace.children if child.type == whyspoke.NOTICE]
        rules_tell = [f"What it caused tells of it: see {', '.join(notices[:SHOWN_MAX])}."] if notices else []
        told.add("Why there is no notification", [told.missing[1], *rules_tell])
    told.next_steps = _next_steps(trace, told.missing, running=running)
    told.facts = {**_record_facts(trace, told), "rules": [spoke.facts for spoke in matched]}
    return told


def _out_of_sight(views: Views, trace: Trace, now: int, when: Callable[[int], str]) -> list[str]:
    lines = []
    for row in trace.notifications:
        newest = trace if row.seq == trace.record.seq else views.trace(row.seq) if row.silenced_by is not None else None
        lines += [f"n{row.id}: {line}" for line in whyshaped.quiet(row, newest.annotations if newest else {}, now, when)]
    return lines


def of_notification(
    views: Views, row: Notification, declared: Declared, rules: Rules, *, now: int, when: Callable[[int], str] = iso
) -> Explanation:
    """Explain a notification: the life it stands for, what events did to it, and who handled it."""
    life = views.life(row.id)
    seen = views.member_views(row.id)
    told = Explanation(f"n{row.id}  {row.title}")
    told.add("Why it is there", _opening(row, life, declared, now))
    opened = next((each for each in life if each.seq == row.opened_seq), None)
    raised, rule = whyspoke.of_notification(row, opened, views, rules, when)
    told.add("The rule that raised it", raised)
    newest = views.trace(row.seq) if row.silenced_by is not None else None
    quiet = whyshaped.quiet(row, newest.annotations if newest else {}, now, when)
    told.add("Why it is not in sight", quiet)
    told.add("Its life so far", _history(row, life, declared, now))
    told.add("Where it stands", [*_about(row, [], now), *_seen(row, seen, now, when)])
    told.next_steps = [f"eventctl why e{row.opened_seq}", f"eventctl inbox show n{row.id}"]
    told.facts = {
        "subject": {"kind": "notification", "number": row.id},
        "life": row.life,
        "life_key": orjson.loads(row.life_key),
        "opened_by": row.opened_seq,
        "newest": row.seq,
        "history": [{"seq": each.seq, "kind": each.kind, "type": each.type, "did": _did(each, row, declared)} for each in life],
        "state": row.agent_state,
        "agent": row.agent,
        "silenced_by": row.silenced_by,
        "rule": rule or None,
        "seen_by": [view.member for view in seen if view.seen >= row.news],
        "sentences": _sentences(told),
    }
    return told


def _origin(trace: Trace, now: int, when: Callable[[int], str]) -> list[str]:
    record = trace.record
    channel, _, subject = record.principal.partition(":")
    way = CHANNELS.get(channel, f"over {channel}")
    lines = [
        f"{record.source} says so; {subject or record.principal} brought it in {way}, {ago(record.at, now)} ({when(record.at)})."
    ]
    if record.kind != "event":
        lines = [f"{moved(record)}, {way}, {ago(record.at, now)} ({when(record.at)})."]
    if record.hops:
        lines.append(f"It is {record.hops} steps away from what somebody outside said.")
    if record.caused_by is not None and not trace.parents:
        lines.append(f"It was caused by e{record.caused_by}, which the log no longer has.")
    if trace.parents:
        chain = ", which was caused by ".join(f"e{parent.seq} {parent.type}" for parent in trace.parents[:SHOWN_MAX])
        lines.append(f"It was caused by {chain}.")
    return lines


def _steps(trace: Trace, cursors: Sequence[tuple[CursorRow, int]], now: int) -> list[str]:
    lines = [_step(row, now) for row in trace.exceptions]
    lines += [
        f"{row.type if row.why == 'retry' else LOG_PIPELINE}: it was let in again ({row.why})."
        for row in trace.feed
        if row.why in ("release", "retry")
    ]
    positions = [row.pos for row in trace.feed if row.why in ("accept", "release")]
    behind = [
        (cursor.pipeline, max(positions) - cursor.pos) for cursor, _ in cursors if positions and cursor.pipeline != LOG_PIPELINE
    ]
    lines += [f"{name}: has not come to it yet, {left} before it." for name, left in behind if left > 0]
    passed = any(cursor.pipeline == LOG_PIPELINE and cursor.pos >= trace.record.seq for cursor, _ in cursors)
    if not lines and passed:
        lines.append("Every step let it go on.")
    return lines


def _step(row: ExceptionRow, now: int) -> str:
    who = f"{row.pipeline}/{row.cartridge}" if row.cartridge else row.pipeline
    reason = _reason(row)
    sentences = {
        "dropped": f"{who}: dropped it: {reason}.",
        "quarantined": f"{who}: holds it for a person to judge: {reason}.",
        "waiting": f"{who}: waits for an answer: {reason}.",
        "behind": f"{who}: waits behind an earlier event of {row.entity or 'its entity'}.",
        "retry": f"{who}: failed {_times(row.attempts)} and tries again {ago(row.due, now) if row.due else 'soon'}: {reason}.",
        "dead": f"{who}: failed for good after {_times(row.attempts)}: {reason}.",
        "struck": f"{who}: hung or fell over it and is left out of its next run: {reason}.",
    }
    return sentences.get(row.state, f"{who}: {row.state}: {reason}.")


def _reason(row: ExceptionRow) -> str:
    """The reason in words; the word that stands in the row is kept beside them."""
    return in_words(row.reason) if row.reason else "no reason was given"


def _caused(trace: Trace) -> list[str]:
    lines = [f"e{child.seq} {child.type}" + ("" if child.kind == "event" else f" ({moved(child)})") for child in trace.children]
    return _first(lines, len(lines))


def _repeats(trace: Trace) -> list[str]:
    if not trace.duplicates:
        return []
    shown = ", ".join(f"e{seq}" for seq in trace.duplicates[:SHOWN_MAX])
    more = trace.duplicates_count - min(len(trace.duplicates), SHOWN_MAX)
    return [
        f"{trace.duplicates_count:,} came later and {'was' if trace.duplicates_count == 1 else 'were'} dropped: {shown}"
        + (f" and {more:,} more." if more else ".")
    ]


def _effect(row: OutboxRow, now: int) -> str:
    when = f" {ago(row.next_at, now)}" if row.state == "retry" else ""
    tries = f" after {_times(row.attempt)}" if row.attempt > 1 else ""
    answer = f"; the answer is e{row.answer_seq}" if row.answer_seq else ""
    return f"{row.kind} {row.name} {OWED.get(row.state, row.state)}{when}{tries}{answer}."


def _about(row: Notification, life: Sequence[LogRow], now: int) -> list[str]:
    state = {
        "none": "nobody has taken it",
        "claimed": f"{row.agent} has claimed it",
        "in_progress": f"{row.agent} is working on it",
        "resolved": f"resolved {ago(row.resolved_at or row.updated_at, now)}",
    }[row.agent_state]
    put_away = f", archived {ago(row.archived_at, now)}" if row.archived_at is not None else ""
    lines = [f"n{row.id} ({Level(row.level).name.lower()}, for {row.audience}): {row.title} — {state}{put_away}."]
    return lines + [f"  {moved(move)}, {ago(move.at, now)} (e{move.seq})." for move in life if move.kind == "move"][-SHOWN_MAX:]


def _seen(row: Notification, seen: Sequence[MemberView], now: int, when: Callable[[int], str]) -> list[str]:
    lines = [
        f"{view.member} has seen it." if view.seen >= row.news else f"{view.member} has not seen its news." for view in seen
    ]
    asleep = [view for view in seen if view.snooze_until is not None and view.snooze_until > now]
    return lines + [
        f"{view.member} hears nothing of it until {when(view.snooze_until)}{_snoozed_by(view)}."
        for view in asleep
        if view.snooze_until
    ]


def _snoozed_by(view: MemberView) -> str:
    return f", because of {view.snoozed_by.removeprefix('rule:')}" if view.snoozed_by else ""


def _opening(row: Notification, life: Sequence[LogRow], declared: Declared, now: int) -> list[str]:
    opened = next((each for each in life if each.seq == row.opened_seq), None)
    by = (
        f"e{row.opened_seq} {opened.type} from {opened.source}" if opened else f"e{row.opened_seq}, which the log no longer has"
    )
    lines = [f"It stands for the life {row.life} {row.life_key}, which {by} opened {ago(row.created_at, now)}."]
    if opened is not None:
        role = _did(opened, row, declared)
        owner = declared.owner(opened.type)
        lines.append(f"{owner or 'The catalog'} declares that {opened.type} {ROLES.get(role, role)} that life." if role else "")
        description = orjson.loads(opened.body).get("description")
        lines.append(f"It said: {cut(str(description))}" if description else "")
    return [line for line in lines if line]


def _history(row: Notification, life: Sequence[LogRow], declared: Declared, now: int) -> list[str]:
    lines = [_lived(each, row, declared, now) for each in life]
    kept = 2 * SHOWN_MAX
    return lines if len(lines) <= kept else [*lines[:3], f"({len(lines) - kept + 3} more)", *lines[-kept + 3 :]]


def _lived(each: LogRow, row: Notification, declared: Declared, now: int) -> str:
    if each.kind != "event":
        return f"e{each.seq} {moved(each)}, {ago(each.at, now)}."
    role = _did(each, row, declared)
    verb = "goes on with" if role == "opens" and each.seq != row.opened_seq else ROLES.get(role, "belongs to")
    return f"e{each.seq} {each.type} from {each.source} {verb} it, {ago(each.at, now)}."


def _did(record: LogRow, row: Notification, declared: Declared) -> str:
    """What an event of this type does to the notification's life, as declared now."""
    if record.kind != "event":
        return ""
    return next((role.does for role in declared.roles(record.type) if role.life == row.life), "")


def _no_notification(
    trace: Trace, declared: Declared, cursors: Sequence[tuple[CursorRow, int]], *, running: bool
) -> tuple[str, str]:
    record = trace.record
    if record.kind != "event":
        return "not_an_event", f"It is a {record.kind}: only events open notifications."
    system = next((row for row in trace.exceptions if row.pipeline == LOG_PIPELINE), None)
    if system is not None:
        return _ended(system)
    at = next((cursor.pos for cursor, _ in cursors if cursor.pipeline == LOG_PIPELINE), 0)
    if at < record.seq:
        who = "the runner is" if running else "no runner works here, and the pipeline is"
        return "not_yet", f"The pipeline has not come to it: {who} {_number(record.seq - at, 'record')} behind it."
    return _without_life(record, declared)


def _ended(row: ExceptionRow) -> tuple[str, str]:
    if row.reason.startswith(DUPLICATE_OF):
        return "duplicate", f"It repeats e{row.reason.removeprefix(DUPLICATE_OF)}, which was here before it: see that one."
    code, words = {
        "dropped": ("dropped", "was dropped"),
        "quarantined": ("quarantined", "is held in quarantine, until a person releases it"),
        "dead": ("dead", "failed for good"),
    }.get(row.state, ("waiting", "still waits"))
    return code, f"It {words}, at {row.cartridge or row.pipeline}: {_reason(row)}."


def _without_life(record: LogRow, declared: Declared) -> tuple[str, str]:
    roles = declared.roles(record.type)
    if not declared.declared(record.type):
        return "undeclared", f"No event type {record.type} is declared: it is kept and passed on, and nobody is told."
    if not roles:
        return "no_life", f"{record.type} is declared to take part in no life: it is kept and passed on, and nobody is told."
    payload = orjson.loads(record.body).get("payload") or {}
    for name, does in roles:
        key = declared.key_of(name, payload)
        if key is None:
            return "no_key", f"Its payload lacks what tells one {name} from another: {', '.join(declared.key(name))}."
        if does in ("resolves", "updates"):
            return "none_open", f"It {ROLES[does]} the life {name} {key}, and none was open."
    return "put_away", "What it opened has been purged from the inbox since."


def _next_steps(trace: Trace, missing: tuple[str, str] | None, *, running: bool) -> list[str]:
    seq = trace.record.seq
    code = missing[0] if missing else ""
    steps = {
        "duplicate": f"eventctl why e{next((row.reason.removeprefix(DUPLICATE_OF) for row in trace.exceptions if row.reason.startswith(DUPLICATE_OF)), '')}",
        "quarantined": f"eventctl quarantine release e{seq}",
        "dead": f"eventctl dead-letter retry e{seq}",
        "undeclared": f"eventctl events show {trace.record.type}",
        "no_life": f"eventctl events show {trace.record.type}",
        "not_yet": "eventctl status" if running else "eventctl run --until-idle",
    }
    return [steps[code]] if code in steps else [f"eventctl why n{row.id}" for row in trace.notifications[:1]]


def _record_facts(trace: Trace, told: Explanation) -> dict[str, Any]:
    record = trace.record
    first = next((row.reason for row in trace.exceptions if row.reason.startswith(DUPLICATE_OF)), "")
    return {
        "subject": {"kind": "record", "seq": record.seq},
        "record": {
            "kind": record.kind, "type": record.type, "source": record.source, "id": record.id, "principal": record.principal,
            "at": iso(record.at), "entity": record.entity, "hops": record.hops,
        },
        "parents": [parent.seq for parent in trace.parents],
        "steps": [
            {
                "pipeline": row.pipeline, "cartridge": row.cartridge, "state": row.state, "reason": row.reason,
                "attempts": row.attempts, "due": None if row.due is None else iso(row.due),
            }
            for row in trace.exceptions
        ],
        "annotations": {slot: orjson.loads(value) for slot, value in trace.annotations.items()},
        "caused": [child.seq for child in trace.children],
        "duplicate_of": int(first.removeprefix(DUPLICATE_OF)) if first else None,
        "duplicates": {"count": trace.duplicates_count, "seqs": trace.duplicates},
        "notifications": [
            {"number": row.id, "title": row.title, "state": row.agent_state, "agent": row.agent} for row in trace.notifications
        ],
        "owed": [
            {"id": row.id, "kind": row.kind, "name": row.name, "state": row.state, "attempts": row.attempt} for row in trace.outbox
        ],
        "no_notification": {"code": told.missing[0], "sentence": told.missing[1]} if told.missing else None,
        "sentences": _sentences(told),
    }  # fmt: skip


def _sentences(told: Explanation) -> list[dict[str, Any]]:
    return [{"about": part.heading, "lines": part.lines} for part in told.parts]


def _noted(annotations: Mapping[str, bytes], when: Callable[[int], str]) -> list[str]:
    lines: list[str] = []
    for slot, value in annotations.items():
        if slot == SHAPED:
            lines += whyshaped.silenced(value, when)
        elif slot.startswith(SKIPPED):
            passed = orjson.loads(value)
            lines += [f"{slot.removeprefix(SKIPPED)} went on without {name}: {cut(why)}." for name, why in passed.items()]
        elif not whyshaped.shadowed(slot):
            lines.append(_said(slot, value))
    return lines


def _said(slot: str, value: bytes) -> str:
    """An annotation as a line: what trust wrote in words, everything else as it stands."""
    said = orjson.loads(value) if slot == "trust" else None
    if isinstance(said, dict) and said.keys() >= {"verdict", "reasons"}:
        return f"trust {verdict_in_words(said['verdict'], said['reasons'])}."
    return f"{slot}: {cut(value.decode())}"


def _first(lines: list[str], total: int) -> list[str]:
    return lines[:SHOWN_MAX] + ([f"and {total - SHOWN_MAX:,} more"] if total > SHOWN_MAX else [])


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
