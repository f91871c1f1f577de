"""The workers: cartridges that run in processes of their own, which can be killed.

One process for each cartridge of a pipeline, started at its first event, kept, and ended when nobody has needed it for a minute, when it
has grown, or after many runs. It runs one event at a time.
"""

from __future__ import annotations

import logging
import pickle
import weakref
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from select import POLLIN, POLLOUT, poll
from time import monotonic
from typing import Any

from eventctl.advance import Wait
from eventctl.breadcrumb import LIMIT_S
from eventctl.catalog import Catalog
from eventctl.confinement import MEMORY_MAX
from eventctl.dag.apart import Job
from eventctl.modules import Code, LoadFailed, source
from eventctl.plan import Cartridge
from eventctl.workerlink import WorkerProcess
from eventctl.workerrun import Begun, Seat

_log = logging.getLogger("eventctl.workers")

ALIVE_MAX = 16
SIZE_MAX = 256 << 20
SIZE_EVERY = 100
"""Runs between two looks at how large a process is."""

IDLE_S = 60.0


class Workers:
    """All workers of a process. See `eventctl.dag.apart.Apart`.

    `limit_s` is the deadline of a run whose manifest names none. They end with `close`, and with this process.
    """

    def __init__(self, *, limit_s: float = LIMIT_S, alive_max: int = ALIVE_MAX, idle_s: float = IDLE_S) -> None:
        self.limit_s = limit_s
        self._alive_max = alive_max
        self._idle_s = idle_s
        self._seats: dict[tuple[str, str], Seat] = {}
        self._packed: tuple[str, list[str], str] = ("", [], "")
        self._number = 0
        self._tidied = monotonic()
        self._closing = weakref.finalize(self, _leave_all, self._seats)

    def __len__(self) -> int:
        return sum(seat.process is not None for seat in self._seats.values())

    def begin(self, job: Job) -> Begun:
        seat = self._seat(job)
        key = (job.record, job.attempt)
        begun = seat.begun.get(key)
        if begun is None:
            self._number += 1
            begun = Begun(self, seat, job, self._number)
            for old in [old for old, run in seat.begun.items() if run is not seat.current][:-2]:
                del seat.begun[old]
            seat.begun[key] = begun
        if seat.current is not begun and begun.finished is None and not seat.failed:
            begun.take_seat()
        return begun

    def ready(self, waits: Sequence[Wait]) -> bool:
        now, looking = monotonic(), poll()
        for wait in waits:
            if now >= wait.until:
                return True
            if wait.descriptor >= 0:
                looking.register(wait.descriptor, POLLIN | (POLLOUT if wait.writes else 0))
        return bool(looking.poll(0))

    def tidy(self) -> None:
        now = monotonic()
        if now - self._tidied < min(1.0, self._idle_s):
            return
        self._tidied = now
        for at, seat in list(self._seats.items()):
            if now - seat.used > self._idle_s and self._unattended(seat, now):
                seat.leave()
                del self._seats[at]

    def _unattended(self, seat: Seat, now: float) -> bool:
        """Whether nobody will miss its process: it has no run, or one that nobody has come back for, as after a reload."""
        run = seat.current
        return not seat.busy or run is None or run.asks or now > run.until + self._idle_s

    def keep(self, codes: Sequence[Code]) -> None:
        wanted = {code.hash for code in codes}
        for at, seat in list(self._seats.items()):
            seat.failed, seat.falls = "", 0
            if seat.cartridge.code.hash not in wanted and not seat.busy:
                seat.leave()
                del self._seats[at]

    def close(self) -> None:
        """End them all."""
        self._closing()

    def start(self, seat: Seat) -> bool:
        """Give a seat its process; False when there are too many, and all of them busy."""
        alive = [other for other in self._seats.values() if other.process is not None]
        if len(alive) >= self._alive_max:
            idle = [other for other in alive if not other.busy]
            if not idle:
                return False
            min(idle, key=lambda other: other.used).leave()
        try:
            seat.process = WorkerProcess(seat.hello)
        except OSError as error:  # no descriptor or no memory is left: its pipeline waits, and nobody is to blame
            if not seat.told:
                _log.warning("a worker for %s cannot be started: %s", seat.cartridge.rights.name, error)
            seat.told = True
            return False
        seat.told = False
        return True

    def grown(self, seat: Seat) -> bool:
        """Whether a process holds more memory than one that is kept. Looked at now and then."""
        return seat.process is not None and seat.runs % SIZE_EVERY == SIZE_EVERY - 1 and seat.process.size() > SIZE_MAX

    def _seat(self, job: Job) -> Seat:
        cartridge = job.cartridge
        settings = {name: _plain(value) for name, value in cartridge.settings.items()}
        given = (cartridge.rights, cartridge.code.hash, settings, job.catalog.version, cartridge.memory, cartridge.limit_s)
        at = (cartridge.rights.name, sha256(repr(given).encode()).hexdigest())
        seat = self._seats.get(at)
        if seat is None:
            for old in [old for old, other in self._seats.items() if old[0] == at[0] and not other.busy]:
                self._seats.pop(old).leave()
            limit_s = cartridge.limit_s or self.limit_s
            seat = self._seats[at] = Seat(cartridge, {}, limit_s)
            try:
                seat.hello = self._hello(cartridge, job.catalog, settings)
            except LoadFailed as failure:
                seat.failed = str(failure)
        return seat

    def _hello(self, cartridge: Cartridge, catalog: Catalog, settings: Mapping[str, Any]) -> dict[str, Any]:
        if self._packed[0] != catalog.version:
            packed = b64encode(pickle.dumps(catalog)).decode()
            self._packed = (catalog.version, catalog.types(), packed)
        try:
            text = source(cartridge.code).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise LoadFailed("its code is not UTF-8") from None
        rights = {name: getattr(cartridge.rights, name) for name in cartridge.rights.__slots__}
        return {
            "rights": rights,
            "settings": settings,
            "path": str(cartridge.code.files[-1]),
            "hash": cartridge.code.hash,
            "text": text,
            "memory": cartridge.memory or MEMORY_MAX,
            "types": self._packed[1],
            "catalog": self._packed[2],
        }


def _plain(value: Any) -> Any:
    """A setting as JSON; see `worker`."""
    return {"us": value // timedelta(microseconds=1)} if isinstance(value, timedelta) else value


def _leave_all(seats: dict[Any, Seat]) -> None:
    for seat in seats.values():
        seat.leave()
    seats.clear()
