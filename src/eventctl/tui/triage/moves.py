"""Triage: what a key does to the rows that it is pressed for, and what takes it back.

Every row is a durable move of its own, the one that the command line makes. A row that may not be moved stops no other; what was
done and what was not is said in one sentence. Taking back is a move too: a row that somebody has changed since is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from eventctl import moves, silences
from eventctl.errors import Conflict, EventctlError, NotFound, NotPermitted, UsageError
from eventctl.holding import held
from eventctl.lives import DEFAULT_LEASE
from eventctl.notification import MemberView, Notification
from eventctl.store import Keys
from eventctl.times import ago
from eventctl.tui.room import Deed

if TYPE_CHECKING:
    from eventctl.principal import Principal
    from eventctl.silences import Silence
    from eventctl.store import Store

Clock = Callable[[], int]
Step = Callable[["Store"], None]
"""Takes the move of one row back. Raises what a move raises."""

REASONS_SHOWN = 2
"""Reasons that a sentence gives for rows that were not moved; the others are counted."""

NO = (Conflict, NotFound, NotPermitted, UsageError)
"""What a row answers that may not be moved. Anything else is about the whole workspace and ends the matter."""


def seen(store: Store, numbers: Sequence[int], who: Principal, now: Clock, shown: Mapping[int, int] | None = None) -> Deed:
    """Mark as seen, up to the `news` that was `shown` of each row: what came after it is still news."""

    def one(number: int) -> Step | None:
        before = _view(store, number, who)
        news = (shown or {}).get(number)
        if not moves.seen(store, number, member=who.subject, principal=who, now=now(), news=news).seq:
            return None
        return lambda later: _look_again(later, before, who, now)

    return _each(numbers, one, "seen")


def unseen(store: Store, numbers: Sequence[int], who: Principal, now: Clock) -> Deed:
    """Mark as not seen."""

    def one(number: int) -> Step | None:
        before = _view(store, number, who)
        if not moves.unseen(store, number, member=who.subject, principal=who, now=now()).seq:
            return None
        return lambda later: _look_again(later, before, who, now)

    return _each(numbers, one, "not seen")


def claim(store: Store, numbers: Sequence[int], who: Principal, now: Clock, lease: int = DEFAULT_LEASE) -> Deed:
    """Take to work on for `lease` microseconds. One's own is extended, and taken back to when it ended."""

    def one(number: int) -> Step:
        before = _row(store, number)
        after = moves.claim(store, number, agent=who.subject, principal=who, now=now(), lease=lease).notification
        mine = _mine(before, who, now)
        return lambda later: _give_back(later, before if mine else None, after, who, now)

    return _each(numbers, one, "yours")


def start(store: Store, numbers: Sequence[int], who: Principal, now: Clock, lease: int = DEFAULT_LEASE) -> Deed:
    """Begin to work, with a claim before that where nobody has it."""

    def one(number: int) -> Step:
        before = _row(store, number)
        claimed = _free(before, now()) and moves.claim(store, number, agent=who.subject, principal=who, now=now(), lease=lease)
        token = claimed.notification.lease_token if claimed else None
        after = moves.start(store, number, agent=who.subject, principal=who, now=now(), token=token).notification
        mine = _mine(before, who, now)
        return lambda later: _give_back(later, before if mine else None, after, who, now)

    return _each(numbers, one, "in progress")


def release(store: Store, numbers: Sequence[int], who: Principal, now: Clock, reason: str = "") -> Deed:
    """Give back, with a word to whoever takes it next."""

    def one(number: int) -> Step:
        before = _row(store, number)
        after = moves.release(store, number, agent=who.subject, principal=who, now=now(), reason=reason).notification

        def back(later: Store) -> None:
            _unchanged(later, after)
            _hold(later, before, who, now)

        return back

    return _each(numbers, one, "free again")


def resolve(
    store: Store, numbers: Sequence[int], who: Principal, now: Clock, resolution: Mapping[str, Any] | None = None
) -> Deed:
    """Settle. What was one's own before is one's own again when it is taken back."""

    def one(number: int) -> Step:
        before = _row(store, number)
        after = moves.resolve(store, number, agent=who.subject, principal=who, now=now(), resolution=resolution).notification

        def back(later: Store) -> None:
            _unchanged(later, after)
            moves.reopen(later, number, agent=who.subject, principal=who, now=now())
            if _mine(before, who, now):
                _hold(later, before, who, now)

        return back

    return _each(numbers, one, "resolved")


def reopen(store: Store, numbers: Sequence[int], who: Principal, now: Clock) -> Deed:
    """Make open again what was resolved. Taken back, it is resolved as it was."""

    def one(number: int) -> Step:
        before = _row(store, number)
        after = moves.reopen(store, number, agent=who.subject, principal=who, now=now()).notification
        settled: dict[str, Any] = orjson.loads(before.resolution or b"{}")

        def back(later: Store) -> None:
            _unchanged(later, after)
            moves.resolve(later, number, agent=before.agent or who.subject, principal=who, now=now(), resolution=settled)

        return back

    return _each(numbers, one, "open again")


def snooze(store: Store, numbers: Sequence[int], who: Principal, now: Clock, until: int) -> Deed:
    """Leave out of one's own list until then (microseconds since 1970 UTC)."""

    def one(number: int) -> Step:
        before = _view(store, number, who)
        moves.snooze(store, number, member=who.subject, until=until, principal=who, now=now())
        return lambda later: _sleep_again(later, before, until, who, now)

    return _each(numbers, one, f"snoozed, back {ago(until, now())}")


def unsnooze(store: Store, numbers: Sequence[int], who: Principal, now: Clock) -> Deed:
    """End a snooze."""

    def one(number: int) -> Step | None:
        before = _view(store, number, who)
        if not moves.unsnooze(store, number, member=who.subject, principal=who, now=now()).seq:
            return None
        return lambda later: _sleep_again(later, before, None, who, now)

    return _each(numbers, one, "back in your list")


def archive(store: Store, numbers: Sequence[int], who: Principal, now: Clock) -> Deed:
    """Put away, for everybody."""

    def one(number: int) -> Step:
        after = moves.archive(store, number, principal=who, now=now()).notification

        def back(later: Store) -> None:
            _unchanged(later, after)
            moves.unarchive(later, number, principal=who, now=now())

        return back

    return _each(numbers, one, "archived")


def unarchive(store: Store, numbers: Sequence[int], who: Principal, now: Clock) -> Deed:
    """Bring back what was put away."""

    def one(number: int) -> Step:
        after = moves.unarchive(store, number, principal=who, now=now()).notification

        def back(later: Store) -> None:
            _unchanged(later, after)
            moves.archive(later, number, principal=who, now=now())

        return back

    return _each(numbers, one, "back in the inbox")


def hush(store: Store, wanted: Silence, who: Principal, now: Clock) -> Deed:
    """Set a silence. Taken back, it is ended."""
    made = silences.add(store, wanted, principal=who, now=now())

    def back(later: Store) -> str:
        silences.end(later, made.number, principal=who, now=now())
        return f"{made.name} ended"

    return Deed(f"{made.name}: {silences.words(made)} is quiet, back {ago(made.until, now())}", back)


# --- many rows, one sentence -----------------------------------------------------------------------------------------------------


def _each(numbers: Sequence[int], one: Callable[[int], Step | None], word: str) -> Deed:
    """Make the move on each row; `one` gives what takes it back, None where nothing had to change.

    Raises what the first row answered when no row could be moved.
    """
    backs: list[tuple[int, Step]] = []
    same: list[int] = []
    refused: list[EventctlError] = []
    for number in numbers:
        try:
            step = one(number)
        except NO as no:
            refused.append(no)
        except EventctlError as no:  # the disk is full: the rows before this one were moved all the same
            refused.append(no)
            break
        else:
            if step is None:
                same.append(number)
            else:
                backs.append((number, step))
    if refused and not backs and not same:
        raise refused[0] if len(refused) == 1 else _together(refused)
    parts = [_counted([number for number, _ in backs], word), _counted(same, f"{word} already"), *_reasons(refused)]
    return Deed("; ".join(part for part in parts if part), _undoing(backs, word) if backs else None)


def _undoing(backs: Sequence[tuple[int, Step]], word: str) -> Callable[[Store], str]:
    def back(store: Store) -> str:
        steps = dict(reversed(backs))

        def one(number: int) -> Step:
            steps[number](store)
            return steps[number]

        return _each(list(steps), one, f"{word}: taken back").said

    return back


def _counted(numbers: Sequence[int], word: str) -> str:
    if not numbers:
        return ""
    return f"n{numbers[0]} {word}" if len(numbers) == 1 else f"{len(numbers):,} {word}"


def _reasons(refused: Sequence[EventctlError]) -> list[str]:
    more = len(refused) - REASONS_SHOWN
    return [each.what for each in refused[:REASONS_SHOWN]] + ([f"and {more:,} more not"] if more > 0 else [])


def _together(refused: Sequence[EventctlError]) -> EventctlError:
    return type(refused[0])("; ".join(_reasons(refused)), hint=refused[0].hint)


# --- how a row stood, and how it stands so again -----------------------------------------------------------------------------------


def _row(store: Store, number: int) -> Notification:
    found = store.views.notification(number)
    if found is None:
        raise NotFound(f"there is no n{number}")
    return found


def _view(store: Store, number: int, who: Principal) -> MemberView:
    found = store.snapshot(Keys(member_views=[(who.subject, number)])).member_views.get((who.subject, number))
    return found or MemberView(who.subject, number, 0)


def _free(row: Notification, at: int) -> bool:
    return row.archived_at is None and row.agent_state != "resolved" and not held(row, at)


def _mine(row: Notification, who: Principal, now: Clock) -> bool:
    return row.agent == who.subject and held(row, now())


def _unchanged(store: Store, after: Notification) -> Notification:
    """The row, if it stands where the move has left it. Raises `Conflict` otherwise."""
    row = _row(store, after.id)
    if _stand(row) != _stand(after):
        who = f": {row.agent} has it" if row.agent and row.agent != after.agent else ""
        raise Conflict(f"n{row.id} has changed since{who}", hint=f"`eventctl why n{row.id}` says what happened")
    return row


def _stand(row: Notification) -> tuple[object, ...]:
    return row.agent_state, row.agent, row.lease_token, row.archived_at is None


def _give_back(store: Store, before: Notification | None, after: Notification, who: Principal, now: Clock) -> None:
    """Undo a claim or a start: give it back, and hold it as `before` where it was one's own."""
    _unchanged(store, after)
    moves.release(store, after.id, agent=who.subject, principal=who, now=now(), token=after.lease_token)
    if before is not None:
        _hold(store, before, who, now)


def _hold(store: Store, before: Notification, who: Principal, now: Clock) -> None:
    """Have it in hand as before, for as long as that claim would still last."""
    left = DEFAULT_LEASE if before.lease_due is None else before.lease_due - now()
    if left <= 0:
        raise Conflict(f"n{before.id} is free: your claim on it has ended since")
    token = moves.claim(store, before.id, agent=who.subject, principal=who, now=now(), lease=left).notification.lease_token
    if before.agent_state == "in_progress":
        moves.start(store, before.id, agent=who.subject, principal=who, now=now(), token=token)


def _look_again(store: Store, before: MemberView, who: Principal, now: Clock) -> None:
    """Have seen as much as before."""
    moves.unseen(store, before.notification, member=who.subject, principal=who, now=now())
    if before.seen:
        moves.seen(store, before.notification, member=who.subject, principal=who, now=now(), news=before.seen)


def _sleep_again(store: Store, before: MemberView, until: int | None, who: Principal, now: Clock) -> None:
    """Have snoozed it as before, unless it was snoozed otherwise since."""
    if _view(store, before.notification, who).snooze_until != until:
        raise Conflict(f"n{before.notification} has been snoozed otherwise since")
    if before.snooze_until is not None and before.snooze_until > now():
        moves.snooze(store, before.notification, member=who.subject, until=before.snooze_until, principal=who, now=now())
    else:
        moves.unsnooze(store, before.notification, member=who.subject, principal=who, now=now())
