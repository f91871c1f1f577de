"""One run in a worker: from the moment that it is begun until it has ended, however often it is looked at in between.

What the worker says is hostile input: whatever is not what an honest one says ends it, and is a strike. So is a run that takes longer
than its deadline, and one that ends its process; a kill from outside is nobody's fault until the third in a row.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import monotonic
from typing import Any, Protocol

import orjson

from eventctl.advance import Wait
from eventctl.context import ASKS_MAX
from eventctl.dag.apart import Answer, Finished, Hostile, Job
from eventctl.plan import Cartridge
from eventctl.store import LogRow
from eventctl.strikes import KILLS_MAX, OUTSIDE, ended_with
from eventctl.workerlink import WorkerProcess

RUNS_MAX = 10_000
START_S = 20.0
"""How long Python may take to start, which is not the cartridge's doing: 0.1 s, or many times that on a machine that is busy."""

STARTS_MAX = 3
ABORT_S = 0.1
"""How long a worker that is late may take to write down where it is."""

BYTES_MAX = 4 << 20
"""What one run may log, in all."""

CROWDED_S = 0.02
WALL = 4
"""How many times its deadline a run may take by the runner's clock, however little of it was seen."""

_said = logging.getLogger("eventctl.cartridge")

Key = tuple[LogRow, tuple[int, int]]
"""What a run is of: the record itself and not its number, since a trial takes back what it has written."""


class Room(Protocol):
    """Whoever says how many processes there may be, and how large."""

    def start(self, seat: Seat) -> bool: ...

    def grown(self, seat: Seat) -> bool: ...


class Seat:
    """Where one cartridge runs: its process, when it has one, and the runs that were begun here."""

    def __init__(self, cartridge: Cartridge, hello: dict[str, Any], limit_s: float) -> None:
        self.cartridge = cartridge
        self.hello = hello
        self.limit_s = limit_s
        self.process: WorkerProcess | None = None
        self.up = False
        self.loaded = False
        self.failed = ""
        self.runs = 0
        self.falls = 0
        self.current: Begun | None = None
        self.begun: dict[Key, Begun] = {}
        self.used = monotonic()
        self.told = False

    @property
    def busy(self) -> bool:
        """Whether a run is on its way."""
        return self.current is not None and self.current.finished is None

    def leave(self) -> None:
        """End the process. A run that is on its way has to begin anew."""
        process, self.process = self.process, None
        self.up = self.loaded = False
        self.runs = 0
        if self.current is not None and self.current.finished is None:
            self.current.forget()
        self.current = None
        if process is not None:
            process.close()


class Begun:
    """A run that was begun; see `eventctl.dag.apart.Run`."""

    def __init__(self, room: Room, seat: Seat, job: Job, number: int) -> None:
        self._room = room
        self._seat = seat
        self._job = job
        self.number = number
        self.finished: Finished | None = None
        self.kills = 0
        self.forget()

    def forget(self) -> None:
        """Nothing of it has happened yet."""
        self._told: list[tuple[Any, bytes]] = []
        self._pending: Any = None
        self._since = self._looked = monotonic()
        self._used_s = 0.0
        self._wall_s = 0.0
        self._heard = 0
        self._dying = 0.0
        self._sent = False

    @property
    def wait(self) -> Wait:
        process = self._seat.process
        if self._seat.current is not self or process is None:
            blocking = self._seat.current
            if blocking is not None and blocking is not self and process is not None:
                return Wait(process.descriptor, blocking.until, process.writes)
            return Wait(-1, monotonic() + CROWDED_S)
        return Wait(process.descriptor, self.until, process.writes)

    @property
    def until(self) -> float:
        """When somebody has to look at it at the latest, on the monotonic clock."""
        if self._dying:
            return self._dying + ABORT_S
        if self._pending is not None:
            return monotonic()
        if not self._seat.up:
            return self._since + START_S
        limit_s = self._seat.limit_s
        return self._since + max(0.0, min(limit_s - self._used_s, WALL * limit_s - self._wall_s))

    @property
    def asks(self) -> bool:
        """Whether it waits for an answer and nothing else can happen."""
        return self._pending is not None

    def go_on(self, answer: Answer, wait_s: float) -> Finished | None:
        end = monotonic() + wait_s
        while self.finished is None:
            if self._seat.failed:
                self._end(Finished("failed", text=self._seat.failed))
            elif self._seat.current is not self and not self.take_seat():
                break
            elif self._pending is not None:
                self._reply(answer)
            else:
                self.listen()
                left = end - monotonic()
                if self.finished is None and self._pending is None:
                    if left <= 0 or self._seat.process is None:
                        break
                    self._seat.process.wait(min(left, max(0.0, self.until - monotonic())))
        return self.finished

    def still(self, answer: Answer) -> bool:
        same = self._same(answer)
        if not same:
            self._again()
        return same

    def _same(self, answer: Answer) -> bool:
        for asked, reply in self._told:
            try:
                if answer(asked) != reply:
                    return False
            except Hostile:
                return False
        return True

    def _again(self) -> None:
        """What it was told holds no more: what came of it counts for nothing."""
        if self._seat.current is self and self.finished is None:
            self._seat.leave()
        elif self._seat.current is self:
            self._seat.current = None
        self.finished = None
        self.forget()

    def take_seat(self) -> bool:
        """Become the run that the process is at, when it is free: all of a level are at work before the first is waited for."""
        seat, other = self._seat, self._seat.current
        if other is not None and other.finished is None:
            other.listen()
            if other.asks:  # nobody is there to answer it now: it will begin anew
                seat.leave()
            elif other.finished is None:
                return False
        if seat.process is not None and not self._idle(seat.process):
            seat.leave()
        if self.finished is not None or (seat.process is None and not self._room.start(seat)):
            return False
        seat.current = self
        seat.used = self._since = self._looked = monotonic()
        self._send()
        return True

    def _idle(self, process: WorkerProcess) -> bool:
        """Whether a process that was doing nothing can take this run: it is there, is not old, has not grown, and has kept quiet."""
        try:
            for told in process.hear():
                self._after(told)
        except Hostile as hostile:
            self._strike(str(hostile))
            return False
        return process.gone() is None and self._seat.runs < RUNS_MAX and not self._room.grown(self._seat)

    def _send(self) -> None:
        seat = self._seat
        if self._sent or seat.process is None or not seat.loaded:
            return
        record = list(self._job.record)
        record[5] = self._job.record.body.decode()
        told = {"run": self.number, "record": record, "defaults": self._job.defaults}
        self._sent = True
        self._since = self._looked = monotonic()
        seat.runs += 1
        seat.process.say(orjson.dumps(told))

    def _reply(self, answer: Answer) -> None:
        asked, self._pending = self._pending, None
        try:
            reply = answer(asked)
        except Hostile as hostile:
            self._strike(str(hostile))
            return
        self._told.append((asked, reply))
        self._since = self._looked = monotonic()
        if len(self._told) > ASKS_MAX:
            self._strike(f"asked {ASKS_MAX:,} times for one event")
        elif self._seat.process is not None:
            self._seat.process.say(reply)

    def listen(self) -> None:
        """Take in what the process has said, and see whether it is late or gone."""
        process = self._seat.process
        if process is None or self.finished is not None:
            return
        process.flush()
        try:
            for told in process.hear():
                if self.finished is None:
                    self._hear(told)
                else:
                    self._after(told)
        except Hostile as hostile:
            self._strike(str(hostile))
            return
        if self.finished is not None:
            if self._dying or self._seat.process is None:  # it has answered at the last moment, and has been told to end
                self._seat.leave()
            return
        status = process.gone()
        if status is not None:
            self._gone(status)
        elif self._pending is None:
            self._looked = monotonic()
            self._clock(process)

    def _hear(self, told: Mapping[str, Any]) -> None:
        seat = self._seat
        if self._pending is not None and told.keys() != {"log"}:
            raise Hostile("it spoke while it waited for an answer")
        if told.keys() == {"log"}:
            self._log(told["log"])
        elif not seat.up and told.keys() == {"up"}:
            seat.up, seat.falls = True, 0
            self._since = self._looked = monotonic()
        elif seat.up and not seat.loaded and told.keys() == {"loaded"}:
            seat.loaded = True
            self._send()
        elif seat.up and not seat.loaded and told.keys() == {"failed"}:
            seat.failed = str(told["failed"])[:2_000]
            seat.leave()
        elif self._sent and told.keys() == {"ask"}:
            self._pause()
            self._pending = told["ask"]
        elif self._sent and "end" in told:
            self._ended(told)
        else:
            raise Hostile("it said what nobody had asked for")

    def _after(self, told: Mapping[str, Any]) -> None:
        """What a run has printed may come late; nothing else may."""
        if told.keys() != {"log"}:
            raise Hostile("it spoke when its run was over")
        self._log(told["log"])

    def _pause(self) -> None:
        """It has come to a stop. What it took is what was seen: while nobody looked, it may have waited for us."""
        self._wall_s += monotonic() - self._since
        self._used_s += max(0.0, self._looked - self._since)

    def _log(self, told: Any) -> None:
        match told:
            case [int(level), str(line)] if len(line) <= 4_000:
                self._heard += len(line) + 100
                if self._heard > BYTES_MAX:
                    raise Hostile("it talked without end")
                about = {"cartridge": self._seat.cartridge.rights.name, "seq": self._job.record.seq}
                _said.log(max(logging.DEBUG, min(level, logging.CRITICAL)), "%s", line, extra=about)
            case _:
                raise Hostile("it logged what is no line")

    def _ended(self, told: Mapping[str, Any]) -> None:
        self._pause()
        if told["end"] != self.number or type(told["end"]) is not int:
            raise Hostile("it ended a run that it was not given")
        how, value, kind, text = (told.get(name, "") for name in ("how", "value", "kind", "text"))
        asked, ns = told.get("asked", {}), told.get("ns", 0)
        texts = all(isinstance(said, str) for said in (value, kind, text))
        if how not in ("returned", "raised", "parked") or not texts or type(ns) is not int or not isinstance(asked, dict):
            raise Hostile("it ended a run with what is no end")
        if how == "returned" and value not in ("event", "nothing"):
            raise Hostile("it returned what there is not")
        if how == "parked" and not self._parked():
            raise Hostile("it waits for an answer that it was given")
        ns = max(0, min(ns, int(self._wall_s * 1e9)))
        self._end(Finished(how, value, kind[:80], text[:2_000], ns, asked))

    def _parked(self) -> bool:
        return bool(self._told) and self._told[-1][1] == b'{"parks":true}'

    def _clock(self, process: WorkerProcess) -> None:
        """End what is late: first so that it says where it is, then for good."""
        now = monotonic()
        if self._dying:
            if now > self._dying + ABORT_S:
                self._gone(process.end())
        elif now > self.until:
            self._dying = now
            process.abort()

    def _gone(self, status: int) -> None:
        seat = self._seat
        line = seat.process.line() if seat.process else ""
        at = f" at {line}" if line else ""
        late, up, sent = bool(self._dying), seat.up, self._sent
        began_loading = up and not sent
        self._dying = 0.0
        seat.leave()
        if not up:
            seat.falls += 1
            if seat.falls >= STARTS_MAX:
                why = "did not start in time" if late else f"ended with {ended_with(status)}"
                seat.failed = f"its worker {why}, {STARTS_MAX} times; limits.memory may be too little"
            return
        where = " while it was loaded" if began_loading else ""
        if late:
            self._end(Finished("struck", text=f"hung for more than {seat.limit_s:g} s{where}{at}"))
        elif -status in OUTSIDE and self.kills + 1 < KILLS_MAX:
            self.kills += 1
        elif -status in OUTSIDE:
            self._end(Finished("struck", text=f"was killed {KILLS_MAX} times in a row with {ended_with(status)}{where}"))
        else:
            self._end(Finished("struck", text=f"ended its process with {ended_with(status)}{where}{at}"))

    def _strike(self, why: str) -> None:
        """It is not what it should be: nothing that it said counts, and its process goes."""
        self._end(Finished("struck", text=f"did not keep to what a worker says: {why}"))
        self._seat.leave()

    def _end(self, finished: Finished) -> None:
        self.finished = finished
        self._seat.used = monotonic()
