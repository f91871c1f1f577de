"""Who is to blame when a runner dies, and what is written down about it.

A cartridge is struck when it hung, or when the process died inside it by a crash or an exit. A kill from outside is nobody's
fault, unless it finds the same cartridge at the same record three times in a row: the kernel kills whoever eats all memory.
One commit holds it all: the exception that makes the next run leave the cartridge out for this record, the strike on the
cartridge's unit, and the event that tells people.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from eventctl.announce import announce
from eventctl.breadcrumb import Crumb
from eventctl.dag.striking import strike, written
from eventctl.store import LOG_PIPELINE, ExceptionRow, Keys, Operations, Record, Store, Unit

KILLS_MAX = 3
OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_FRAME = re.compile(r'^  File "(?P<file>[^"]*)", line (?P<line>\d+) in (?P<name>.*)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fall:
    """How a runner ended: `status` is an exit code, or minus the signal; `crumb` where it was; `hung` that we ended it."""

    status: int
    crumb: Crumb | None
    hung: bool = False


class Judge:
    """Decides whether a fall is a strike; remembers only how often a kill from outside found the same place."""

    def __init__(self) -> None:
        self._place: tuple[str, str, int] | None = None
        self._kills = 0

    def verdict(self, fall: Fall) -> str:
        """Why its cartridge is struck, as the beginning of a sentence; "" when it is not."""
        crumb = fall.crumb
        if crumb is None:
            self._place = None
            return ""
        if fall.hung:
            return f"hung for more than {crumb.limit_s:g} s"
        if -fall.status not in OUTSIDE:
            return f"ended the process with {ended_with(fall.status)}"
        place = (crumb.pipeline, crumb.cartridge, crumb.seq)
        self._kills = self._kills + 1 if place == self._place else 1
        self._place = place
        return f"was killed {self._kills} times in a row with {ended_with(fall.status)}" if self._kills >= KILLS_MAX else ""


def ended_with(status: int) -> str:
    """A process's end in words."""
    if status >= 0:
        return f"exit code {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def culprit(crash: str) -> str:
    """The line of a faulthandler dump to look at: the newest frame that is neither Python's library nor ours; "" without one."""
    _, current, rest = crash.partition("Current thread")
    section = rest.partition("\n\n")[0] if current else crash
    frames = list(_FRAME.finditer(section))
    ours = (sys.base_prefix, sys.prefix, "<frozen", __file__.rpartition("/")[0])
    foreign = [frame for frame in frames if not frame["file"].startswith(ours)]
    chosen = (foreign or frames)[:1]
    return f"{chosen[0]['file']}:{chosen[0]['line']} in {chosen[0]['name']}()" if chosen else ""


def book(store: Store, crumb: Crumb, why: str, crash: str, now: int) -> str:
    """Write the strike down, durably, and return the sentence that was written. Raises `TryLater` on a full disk."""
    line = culprit(crash)
    reason = f"{why} at {line}" if line else why
    unit = unit_of(store.units(), crumb)
    struck = strike(unit, reason) if unit else None
    strikes = struck.unit.strikes if struck else 1
    facts = {"cartridge": crumb.cartridge, "pipeline": crumb.pipeline, "reason": reason, "strikes": strikes}
    said = f"{crumb.cartridge} {reason}"
    row = struck_row(store, crumb, reason)
    operations = Operations(
        exceptions=[row] if row else [],
        records=[_told("system.cartridge.struck", {**facts, "seq": crumb.seq}, crumb, said, now)],
    )
    if struck:
        operations.units.append(struck.unit)
    if struck and struck.off:
        said = f"{said}; it is switched off after {strikes} strikes"
        operations.records.append(_told("system.cartridge.disabled", facts, crumb, said, now))
    elif struck and struck.moves:
        said = f"{said}; it runs in a worker from now on"
        operations.records.append(_told("system.cartridge.moved", {**facts, "to": "worker"}, crumb, said, now))
    store.commit(operations, durable=True)
    return said


def unit_of(units: Mapping[str, Unit], crumb: Crumb) -> Unit | None:
    """The unit that the cartridge was read from: its domain's or member's own, else the library's or a plugin's; None without."""
    member, _, id_ = crumb.cartridge.rpartition("/")
    place = member or crumb.pipeline.rpartition(":")[2]
    named = [unit for unit in units.values() if _id(unit) == id_]
    here = (f"installed:domain:{place}/", f"installed:member:{place}/")
    inside = [unit for unit in named if place in unit.path.split("/")[:-1] or unit.path.startswith(here)]
    shared = [unit for unit in named if unit.path.startswith(("cartridges/", "plugin:", "installed:library/"))]
    return next(iter(inside or shared or named), None)


def struck_row(store: Store, crumb: Crumb, reason: str) -> ExceptionRow | None:
    """The exception that makes the next run leave the cartridge out, standing where the record stands in its stream.

    An event that was open already (it waited, or was tried again) keeps its place and what is known about it; one whose run fell
    before keeps that culprit too, after a comma. None when the pipeline is done with the record, or never gets it: to leave open
    what was counted already would count it twice.
    """
    before = store.snapshot(Keys(exceptions=[(crumb.pipeline, crumb.seq)])).exceptions.get((crumb.pipeline, crumb.seq))
    if before is None:
        pos = _position(store, crumb)
        return None if pos is None else ExceptionRow(crumb.pipeline, crumb.seq, "struck", pos, crumb.cartridge, reason)
    if before.state in ("dead", "dropped", "quarantined"):
        return None
    if before.state != "struck" or crumb.cartridge in before.cartridge.split(","):
        return before._replace(state="struck", cartridge=crumb.cartridge, reason=reason, due=None)
    return before._replace(cartridge=f"{before.cartridge},{crumb.cartridge}", reason=f"{before.reason}; {reason}")


def _position(store: Store, crumb: Crumb) -> int | None:
    """Where the record stands in the pipeline's stream; in a feed None unless it is ahead of the cursor, however far."""
    if crumb.pipeline == LOG_PIPELINE:
        return crumb.seq
    cursor, trace = store.cursor(crumb.pipeline), store.views.trace(crumb.seq)
    passed = cursor.pos if cursor else 0
    return next((row.pos for row in trace.feed if row.pos > passed), None) if trace else None


def _id(unit: Unit) -> str:
    return str(written(unit).get("id", ""))


def _told(event: str, facts: dict[str, object], crumb: Crumb, said: str, now: int) -> Record:
    return announce(event, facts, now=now, by="supervisor", entity=crumb.cartridge, description=said, caused_by=crumb.seq)
