"""`eventctl run`: the process that stays. It appends, it watches, it starts the runner again; it loads no cartridge.

One thread and one selector hold the append socket, the runner's channel and the signals. Ten times a second it looks at the
breadcrumb: a runner that has been in one cartridge for too long gets SIGABRT, leaves its traceback, is struck and begins again.
Of the two long-lived write connections one is here, and it is the one that checkpoints.

    exit 0   after SIGTERM, SIGINT or SIGHUP: what was asked is answered, the runner has finished its batch (10 s at most)
    exit 69  another supervisor holds the workspace
    exit 74  the disk gave an I/O error; after that nothing in the page cache is to be trusted
    exit 78  the runner says that the workspace cannot be run as it is
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson

from eventctl import appendserver, client, strikes, workspace
from eventctl.announce import announce
from eventctl.appendserver import AppendServer
from eventctl.breadcrumb import Crumb, Watch
from eventctl.diskwatch import DiskWatch
from eventctl.errors import StorageFailed, TryLater
from eventctl.runnerchild import RunnerChild, end_leftover
from eventctl.sqlite_store import SqliteStore
from eventctl.times import iso, now_us

if TYPE_CHECKING:
    from eventctl.workspace import Paths

TICK_S = 0.1
IDLE_TICK_S = 0.5
"""While the runner is in no cartridge and nothing was appended lately. What it enters meanwhile is seen later, and by its own time."""

LATELY_S = 2.0
DRAIN_S = 10.0
CALM_S = 30.0
"""A runner that lived this long has recovered: the next fall is the first one again."""

STEADY_S = 2.0
"""A runner that lived this long after a crash is worth saying so."""

BACKOFF_S = (0.0, 0.0, 0.25, 1.0, 2.0, 5.0, 10.0, 30.0)
TICKS_LATE = 3
"""How often the same crumb must have been seen: after a suspended machine wakes up, everything looks late once."""

CHECKPOINT_EVERY_S = 1.0
FINAL = (69, 74, 78)


class Supervisor:
    """The parent of one runner. `say` takes a line for people; `env` goes to the runner."""

    def __init__(self, paths: Paths, store: SqliteStore, *, env: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._paths = paths
        self._store = store
        self._env = env
        self._say = say
        self._nonce = os.urandom(16).hex()
        self._socket = paths.socket(env)
        self._selector = selectors.DefaultSelector()
        self._disk = DiskWatch(store, say=say, now=now_us)
        self._server = AppendServer(
            store,
            appendserver.listen(self._socket),
            self._selector,
            nudge=self._nudge,
            status=self.status,
            gate=self._disk.gate,
            refused=self._disk.refused,
        )
        self._watch = Watch(paths.breadcrumb)
        self._judge = strikes.Judge()
        self._child: RunnerChild | None = None
        self._began = time.monotonic()
        self._child_began = 0.0
        self._start_at = 0.0
        self._nudged = 0.0
        self._falls = 0
        self._restarts = 0
        self._struck = 0
        self._restarted = False
        self._untold: list[tuple[str, dict[str, Any], str]] = []
        self._owed: tuple[Crumb, str, str] | None = None
        self._seen: tuple[Crumb | None, int] = (None, 0)
        self._checked = 0.0
        self._committed = 0
        self._stop: int | None = None

    def status(self) -> dict[str, Any]:
        """What `eventctl status` shows about this process."""
        return {
            "pid": os.getpid(),
            "runner": self._child.pid if self._child else None,
            "seconds": round(time.monotonic() - self._began, 1),
            "restarts": self._restarts,
            "strikes": self._struck,
            "state": "disk_full" if self._disk.full else "running" if self._child else "restarting",
        }

    def run(self) -> int:
        """Stay until a signal, or until it makes no sense to stay; returns the exit code."""
        with self._signals():
            try:
                while self._stop is None:
                    self._turn(TICK_S if self._watchful(time.monotonic()) else IDLE_TICK_S)
                    self._tick(time.monotonic())
                return self._drain()
            except StorageFailed as failed:
                self._say(str(failed))
                return failed.exit_code
            finally:
                self._let_go()

    def _turn(self, wait_s: float) -> None:
        """Serve what comes in for at most this long, and commit what is pending when it is time."""
        pending = self._server.wait_s(time.monotonic())
        for key, mask in self._selector.select(wait_s if pending is None else min(wait_s, pending)):
            key.data(mask)
        pending = self._server.wait_s(time.monotonic())
        if pending is not None and pending <= 0:
            self._server.flush()

    def _watchful(self, now: float) -> bool:
        return self._child is None or self._seen[0] is not None or now - self._nudged < LATELY_S

    def _tick(self, now: float) -> None:
        self._look_after_child(now)
        if now - self._checked < CHECKPOINT_EVERY_S:
            return
        self._checked = now
        self._server.sweep(now)
        self._look_after_disk()
        if self._restarted and self._child and now - self._child_began > STEADY_S:
            self._restarted = False
            self._untold.append(("system.runner.started", self._about(now_us(), "started_at"), "the runner is up again"))

    def _look_after_child(self, now: float) -> None:
        if self._child is None:
            self._start_when_due(now)
            return
        status = self._child.ended()
        if status is None and not self._hung(now):
            return
        crumb = self._crumb()
        hung = status is None
        self._fallen(strikes.Fall(self._child.abort() if status is None else status, crumb, hung), now)

    def _hung(self, now: float) -> bool:
        crumb = self._crumb()
        before, ticks = self._seen
        self._seen = (crumb, ticks + 1 if crumb == before else 1)
        return crumb is not None and crumb.late(now) and self._seen[1] >= TICKS_LATE

    def _crumb(self) -> Crumb | None:
        """Where this child is. What the one before it has left stands there until this one has begun."""
        crumb = self._watch.read()
        return crumb if crumb is not None and crumb.since >= self._child_began else None

    def _fallen(self, fall: strikes.Fall, now: float) -> None:
        why = self._judge.verdict(fall)
        if why and fall.crumb and self._child:
            self._owed = (fall.crumb, why, self._child.crash())
        self._forget_child()
        if fall.status in FINAL and not fall.crumb:
            self._stop = fall.status
            return
        if not why:
            self._tell_crash(fall)
        self._falls = 0 if now - self._child_began > CALM_S else self._falls + 1
        self._restarts += 1
        # A strike is progress: the next run leaves the culprit out, and nobody waits for it.
        self._start_at = now if why else now + BACKOFF_S[min(self._falls, len(BACKOFF_S) - 1)]
        self._start_when_due(now)

    def _tell_crash(self, fall: strikes.Fall) -> None:
        now = now_us()
        reason = f"the runner ended with {strikes.ended_with(fall.status)}"
        facts = {**self._about(now, "crashed_at"), "reason": reason, "restarts": self._restarts + 1}
        self._untold.append(("system.runner.crashed", facts, reason))
        self._restarted = True

    def _about(self, now: int, when: str) -> dict[str, Any]:
        return {"host": os.uname().nodename, "pid": self._child.pid if self._child else 0, when: iso(now)}

    def _tell(self) -> None:
        """Append what people are owed to hear; on a full disk, try again later."""
        while self._untold:
            event, facts, said = self._untold[0]
            told = announce(event, facts, now=now_us(), by="supervisor", entity="runner", description=said)
            self._store.append([told])
            self._say(said)
            self._nudge()
            del self._untold[0]

    def _start_when_due(self, now: float) -> None:
        if now < self._start_at or not self._booked(now):
            return
        self._child = RunnerChild(self._paths, self._nonce, self._env)
        self._child_began = now
        self._seen = (None, 0)
        self._selector.register(self._child.channel, selectors.EVENT_READ, self._hear_child)
        self._write_run()

    def _booked(self, now: float) -> bool:
        """Write the strike that is owed; False when the disk will not have it yet: the runner would only fall again."""
        if self._owed is None:
            return True
        try:
            told = strikes.book(self._store, *self._owed, now_us())
        except TryLater:
            self._start_at = now + 1.0
            return False
        self._owed = None
        self._struck += 1
        self._say(told)
        return True

    def _hear_child(self, _: int) -> None:
        """Its end of the channel is closed: it is gone, or about to be."""
        if self._child and not self._child.lives():
            self._selector.unregister(self._child.channel)

    def _forget_child(self) -> None:
        if self._child:
            if self._child.channel in self._selector.get_map():
                self._selector.unregister(self._child.channel)
            self._child.close()
            self._child = None

    def _look_after_disk(self) -> None:
        """Checkpoint while nobody appends, notice when the disk is full and when it no longer is."""
        try:
            if self._server.committed == self._committed:
                self._store.checkpoint()
            self._committed = self._server.committed
            self._disk.look()
            self._tell()
        except TryLater:
            self._disk.refused()

    def _drain(self) -> int:
        """Take nothing new, let the runner finish, answer what was asked."""
        deadline = time.monotonic() + DRAIN_S
        if self._child:
            self._child.ask_to_stop()
        while self._child and self._child.ended() is None:
            if time.monotonic() > deadline:
                self._child.kill()
            self._turn(TICK_S)
        self._server.close()
        return self._stop or 0

    def _let_go(self) -> None:
        self._paths.run.unlink(missing_ok=True)
        self._socket.unlink(missing_ok=True)
        if self._child and self._child.ended() is None:
            self._child.kill()
        self._forget_child()
        self._watch.close()
        self._selector.close()

    def _nudge(self) -> None:
        self._nudged = time.monotonic()
        if self._child:
            self._child.nudge()

    def _write_run(self) -> None:
        """Say who and where we are, in one rename."""
        info = {
            "pid": os.getpid(),
            "runner": self._child.pid if self._child else 0,
            "nonce": self._nonce,
            "socket": str(self._socket),
        }
        aside = self._paths.run.with_suffix(".new")
        try:
            aside.touch(mode=0o600)
            aside.write_bytes(orjson.dumps(info))
            aside.replace(self._paths.run)
        except OSError as error:  # a full disk: appenders go their own way until the next try, at the next start
            self._say(f"cannot write {self._paths.run}: {error.strerror}")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM, SIGINT and the end of the terminal end the loop, whatever the select is doing. What nohup ignores stays so."""
        woken, wakes = socket.socketpair()
        woken.setblocking(False)
        wakes.setblocking(False)
        self._selector.register(woken, selectors.EVENT_READ, lambda _: woken.recv(4096))

        def stop(_number: int, _frame: object) -> None:
            self._stop = 0

        ends = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            ends.append(signal.SIGHUP)
        before = {number: signal.signal(number, stop) for number in ends}
        descriptor = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)
            woken.close()
            wakes.close()


def run(
    paths: Paths,
    env: Mapping[str, str],
    *,
    say: Callable[[str], None],
    i_know: bool = False,
) -> int:
    """Supervise until stopped; returns the exit code.

    Raises `Unavailable` when another runner holds the workspace, `Misconfigured` on a network file system or a newer store,
    `TryLater` on a disk that is full before it began.
    """
    with workspace.running(paths, i_know=i_know):
        replace_leftovers(paths)
        store = SqliteStore.open(paths.db, role="appender", checkpointer=True)
        try:
            return Supervisor(paths, store, env=env, say=say).run()
        finally:
            store.close()


def replace_leftovers(paths: Paths) -> None:
    """What a supervisor that was killed has left: its runner is ended, its notice removed. The caller holds the lock."""
    info = client.run_info(paths)
    if info is not None:
        end_leftover(int(info.get("runner") or 0), str(info.get("nonce") or ""))
        paths.run.unlink(missing_ok=True)
