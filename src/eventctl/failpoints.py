"""Named places where a test may kill, stop or break the process: the crash tests walk all of them.

`EVENTCTL_FAILPOINT=t0.after_commit=kill` arms a point for this process; `kill@3` waits for the third visit, `sleep:0.2` says how
long, several are separated by commas. `EVENTCTL_FAILPOINT_SEEN` names a file that gets a line for each armed point that is
reached, written before anything happens, so that a harness knows that its fault took place. Unarmed, a visit costs one call and
one look at an empty dict (60 ns).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

POINTS: Mapping[str, str] = {
    "t0.before_commit": "an append has written its rows, nothing is durable yet",
    "t0.after_commit": "an append is durable, nobody has heard so",
    "t1.before_commit": "a batch has written its outcome, the transaction is open",
    "t1.after_commit": "a batch is committed, the engine does not know it yet",
    "t2.after_claim": "an outbox row is claimed, its attempt has not begun",
    "send.after": "an executor has acted, nothing says so yet",
    "t3.before_commit": "a result is known, it is about to be written",
    "timer.before_commit": "a timer is due, its record is about to be written",
    "decision.before_commit": "a decision is made, or came due; it is about to be written",
    "move.before_commit": "a move has written its effect, the transaction is open",
    "move.after_commit": "a move is committed, its caller has not heard so",
    "lifecycle.before_commit": "a cartridge is about to be installed, promoted, removed, rolled back or trusted",
    "lifecycle.after_commit": "that is committed, nobody has heard so",
    "promote.after_copy": "the files of a promoted cartridge are written aside in their new place",
    "promote.after_rename": "one of them has its name there",
    "promote.after_leaving": "one of them has gone from its old place",
}
ACTIONS = ("kill", "raise", "sleep")
SLEEP_S = 0.5


class FailpointReached(BaseException):
    """What an armed `raise` throws. No `Exception`: the plugin boundary would take it for a record's fault."""


@dataclass(slots=True)
class _Arm:
    """What happens at a point, after how many more visits, and (for `sleep`) for how long."""

    action: str
    visits: int
    seconds: float


def parse(setting: str) -> dict[str, _Arm]:
    """`point=action[@visit][:seconds], ...` as a table. Raises ValueError that names what does not exist."""
    arms: dict[str, _Arm] = {}
    for part in filter(None, (part.strip() for part in setting.split(","))):
        point, _, how = part.partition("=")
        how, _, seconds = how.partition(":")
        action, _, visit = how.partition("@")
        if point not in POINTS:
            raise ValueError(f"no failpoint {point!r}; there are {', '.join(POINTS)}")
        if action not in ACTIONS:
            raise ValueError(f"a failpoint does one of {', '.join(ACTIONS)}, not {action!r}")
        arms[point] = _Arm(action, int(visit or 1), float(seconds or SLEEP_S))
    return arms


# The process is what a failpoint breaks, so the table belongs to the process.
_armed = parse(os.environ.get("EVENTCTL_FAILPOINT", ""))


def reach(point: str) -> None:
    """Say that execution has come to `point`."""
    if _armed:
        _act(point)


@contextmanager
def armed(setting: str) -> Iterator[None]:
    """Arm points for a block, inside this process."""
    before = dict(_armed)
    _armed.clear()
    _armed.update(parse(setting))
    try:
        yield
    finally:
        _armed.clear()
        _armed.update(before)


def _act(point: str) -> None:
    arm = _armed.get(point)
    if arm is None:
        return
    arm.visits -= 1
    if arm.visits > 0:
        return
    del _armed[point]
    _note(point)
    if arm.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if arm.action == "raise":
        raise FailpointReached(point)
    time.sleep(arm.seconds)


def _note(point: str) -> None:
    path = os.environ.get("EVENTCTL_FAILPOINT_SEEN")
    if not path:
        return
    seen = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(seen, f"{point}\n".encode())
    os.close(seen)
