"""What goes into a window and what comes out of it; and what all kinds of windows count in."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl.times import MILLISECOND, SECOND, WEEK

if TYPE_CHECKING:
    from eventctl.rule import Window

State = dict[str, Any]
"""What a window remembers for one key: JSON, changed in place by nobody."""

LATENESS = WEEK
"""What happened longer before its ingestion is history and not counted, unless the rule says less."""

AHEAD = 5 * SECOND
"""How far a sender's clock may be ahead; what is later counts as this much later than its ingestion."""

GRACE = 10 * SECOND
"""How long an absence waits past its deadline for what is on its way, unless the rule states its lateness."""

PARTS = 4
"""Sub-buckets of one window: counting in quarters, 4 numbers stand for any number of events."""

BEHIND = 4
"""An event so many windows older than the newest of its key is too late to count: state that never ends would have no bound."""

VALUE_MAX = 24
"""Characters of a value that are remembered."""

_HASH = 8


class Signals(NamedTuple):
    """What an event is to a window: the truth of its expressions.

    `counts` is whether the rule's `when` holds; where it does not, nothing else is asked, but for an inhibition, whose `when`
    chooses what is muted. `value` is that of `distinct` or `value`.
    """

    after: bool = False
    then: bool = False
    expect: bool = False
    until: bool = False
    counts: bool = False
    value: Any = None


@dataclass(frozen=True, slots=True)
class Fired:
    """A window spoke: how many it counted, since when (microseconds of event time), and a value where its kind has one."""

    count: int
    since: int
    value: Any = None


class Step(NamedTuple):
    """What one event, or one wake, did to a window.

    `state` is to be remembered for this key, None forgets it; the very state that was given says that nothing is to be written.
    `wake` is when the window wants to be asked again, in ingestion time, at once if that is over; it replaces what was wanted
    before, and None leaves that. From `expires` on (ingestion time) the state makes no difference to any event that may still
    come, so that it can be deleted at any time after; it comes with every new state. `muted` says that this event is to be quiet,
    and others until then (event time).
    """

    state: State | None = None
    fired: Fired | None = None
    wake: int | None = None
    expires: int | None = None
    muted: int | None = None


def lateness(window: Window) -> int:
    """The longest time between an event and its ingestion that counts, in microseconds."""
    return LATENESS if window.lateness is None else window.lateness


def grace(window: Window) -> int:
    """How long an absence waits past its deadline, in microseconds; at least a millisecond."""
    return max(MILLISECOND, GRACE if window.lateness is None else window.lateness)


def quarter(window: Window) -> int:
    """The length of a sub-bucket: a quarter of the window, rounded up to a microsecond."""
    return -(-window.within // PARTS)


def short(value: Any) -> str:
    """A value as text of at most 24 characters that is its own: a longer one is its beginning and a hash."""
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str).decode()
    if len(text) <= VALUE_MAX:
        return text
    return f"{text[: VALUE_MAX - _HASH - 1]}#{sha256(text.encode()).hexdigest()[:_HASH]}"
