"""`exec -- CMD`: run a command as it would have run, and record how it went.

The command comes first. It starts before anything is recorded, its output and signals pass through untouched, and its exit code is
ours. If the log cannot be written, that is said on stderr and changes nothing else.
"""

from __future__ import annotations

import os
import platform
import signal
import sqlite3
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from eventctl.cli.interrupts import Interrupts
from eventctl.cli.session import Session, Verb
from eventctl.errors import EventctlError
from eventctl.ids import uuid7
from eventctl.text import safe_text

NOT_FOUND = 127
NOT_EXECUTABLE = 126
OUTPUT_LINES = 20
OUTPUT_BYTES = 16_000
LEFT_BEHIND_S = 0.5
"""A process that the command left behind may hold its output open for ever; after this much silence it is not waited for."""

PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH)
STARTED_WAIT_S = 35.0
"""Longer than an append may wait for other writers (30 s): its outcome is known before the result is appended."""


@click.command(
    cls=Verb,
    short_help="Run a command and record how it went.",
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] COMMAND...")
@click.option("--name", help="What to call the job (default: the command's name and first word).")
@click.option(
    "--lines", default=OUTPUT_LINES, show_default=True, type=click.IntRange(0, 200), help="Last lines of output to keep."
)
@click.option("--no-output", is_flag=True, help="Keep no output, and leave the command's streams alone.")
@click.pass_obj
def execute(session: Session, command: tuple[str, ...], name: str | None, lines: int, no_output: bool) -> None:
    """Run COMMAND and record job.started, then job.succeeded or job.failed: exit code, signal, duration, resources, last lines.

    Works with or without a runner, passes everything through, and ends with the command's exit code.

    \b
    eventctl exec -- make test
    eventctl exec --name nightly-backup -- ./backup.sh /srv
    """
    job = _Job(session, name or default_name(command), command)
    raise click.exceptions.Exit(job.run(0 if no_output else lines))


def default_name(command: tuple[str, ...]) -> str:
    """`make test`, `pytest`, `backup.sh`: the program, and its first argument when that reads like a word."""
    program = Path(command[0]).name or command[0]
    word = command[1] if len(command) > 1 else ""
    return f"{program} {word}" if word.replace("-", "").replace("_", "").isalnum() and not word.startswith("-") else program


class _Job:
    def __init__(self, session: Session, name: str, command: tuple[str, ...]) -> None:
        self._session = session
        self._name = _clean(name)
        self._host = platform.node().split(".")[0] or "localhost"
        self._command = [_clean(word) for word in command]
        self._argv = command
        self._run = uuid7(session.now())

    def run(self, lines: int) -> int:
        """The command's exit code, as a shell would give it."""
        began = time.monotonic()
        tail = Tail(OUTPUT_BYTES if lines else 0)
        try:
            child = Child(self._argv, tail)
        except OSError as error:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            complaint = f"{self._argv[0]}: {error.strerror}"
            click.echo(safe_text(complaint), err=True)
            self._record("job.started", {})
            self._record("job.failed", {"exit_code": code, "duration_s": 0.0, "output": _clean(complaint)})
            return code
        started = threading.Thread(target=self._record, args=("job.started", {"pid": child.pid}), daemon=True)
        started.start()
        status, usage = child.wait()
        seconds = time.monotonic() - began
        started.join(STARTED_WAIT_S)
        self._record(*_outcome(status, seconds, usage, tail.last(lines)))
        return _shell_code(status)

    def _record(self, type_: str, result: dict[str, Any]) -> None:
        """Append, or say why not. Nothing that happens here may reach the command."""
        import orjson

        from eventctl import client
        from eventctl.decode import decode, to_record

        now = self._session.now()
        envelope = {
            "event": type_,
            "source": f"exec:{self._host}",
            "entity": f"eventctl://job/{self._name}",
            "description": _description(self._name, type_, result),
            "payload": {"job": self._name, "host": self._host, "run": self._run, "command": self._command, **result},
        }
        try:
            record = to_record(decode(orjson.dumps(envelope), now=now), principal=str(self._session.producer()), at=now)
            client.append(self._session.paths(), [record])
        except (EventctlError, OSError, sqlite3.Error) as error:
            where = f" ({safe_text(error.hint)})" if isinstance(error, EventctlError) and error.hint else ""
            click.echo(f"eventctl: {type_} was not recorded: {safe_text(error, limit=300)}{where}", err=True)


class Tail:
    """The last bytes of what went by."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Remember the end of `data`."""
        self._kept += data
        if len(self._kept) > 4 * self.size:
            del self._kept[: -self.size]

    def last(self, lines: int) -> str:
        """The last `lines` lines, as text that an event may hold."""
        if not lines:
            return ""
        text = bytes(self._kept[-self.size :]).decode(errors="replace").replace("\r\n", "\n")
        return _clean("\n".join(text.rstrip("\n").split("\n")[-lines:]))


class Child:
    """A running command whose output is copied to ours as it comes, and remembered.

    A stream of ours that is a terminal stays one for the command (through a pseudo-terminal), so that colours and progress bars
    are as they were. Input is inherited. Signals sent to us are passed on; Ctrl-C and
    Ctrl-\\ reach the command by themselves.
    """

    def __init__(self, argv: tuple[str, ...], tail: Tail) -> None:
        self.pid = 0
        self._tail = tail
        self._copies: dict[int, int] = {}  # where we read what the command wrote -> where it goes
        self._over, self._wake = os.pipe()
        self._interrupts = Interrupts()
        self._before = {number: signal.getsignal(number) for number in PASSED_ON}
        for number, handler in self._before.items():
            if handler != signal.SIG_IGN:  # what was ignored (nohup) stays so, for the command too
                signal.signal(number, self._pass_on)
        theirs = [self._theirs(stream) for stream in (1, 2)] if tail.size else [1, 2]
        actions: list[Any] = [(os.POSIX_SPAWN_DUP2, there, stream) for stream, there in zip((1, 2), theirs, strict=True)]
        try:
            # Python ignores these two for itself; a command expects them as they are everywhere else.
            self.pid = os.posix_spawnp(
                argv[0],
                argv,
                os.environ,
                file_actions=actions,
                setsigmask=self._interrupts.mask(),
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
            )
            self._interrupts.pass_to(self.pid)
        finally:
            for there in set(theirs) - {1, 2}:
                os.close(there)
            if not self.pid:
                self._restore()

    def wait(self) -> tuple[int, Any]:
        """Copy until the command is over; its wait status and resource usage."""
        pump = threading.Thread(target=self._pump, daemon=True)
        pump.start()
        try:
            _, status, usage = os.wait4(self.pid, 0)
            os.close(self._wake)
            pump.join()
            return status, usage
        finally:
            self._restore()

    def _theirs(self, stream: int) -> int:
        if os.isatty(stream):
            import pty
            import tty

            ours, theirs = pty.openpty()
            tty.setraw(theirs)  # our own terminal translates line ends; twice would be once too often
            _copy_size(stream, theirs)
        else:
            ours, theirs = os.pipe()
        self._copies[ours] = stream
        return theirs

    def _pump(self) -> None:
        import selectors

        with selectors.DefaultSelector() as waiting:
            for ours in (*self._copies, self._over):
                waiting.register(ours, selectors.EVENT_READ)
            patience: float | None = None
            while len(waiting.get_map()) > (patience is None):
                ready = waiting.select(patience)
                if not ready:
                    return  # the command is over, and whatever it left behind holds the pipe and is silent
                for key, _ in ready:
                    if key.fd == self._over:
                        patience = LEFT_BEHIND_S
                        waiting.unregister(key.fd)
                    elif not self._copy(key.fd):
                        waiting.unregister(key.fd)
                        del self._copies[key.fd]
                        os.close(key.fd)

    def _copy(self, ours: int) -> bool:
        try:
            data = os.read(ours, 65536)
        except OSError:  # a pseudo-terminal whose other side is closed
            return False
        self._tail.add(data)
        try:
            rest = data
            while rest:
                rest = rest[os.write(self._copies[ours], rest) :]
        except OSError:  # nobody reads ours any more: the command learns it the same way, from a closed pipe
            return False
        return bool(data)

    def _pass_on(self, number: int, _frame: object) -> None:
        if number == signal.SIGWINCH:
            for ours, stream in list(self._copies.items()):
                if os.isatty(stream):
                    _copy_size(stream, ours)
        elif self.pid:
            os.kill(self.pid, number)

    def _restore(self) -> None:
        self._interrupts.end()
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _copy_size(ours: int, theirs: int) -> None:
    import fcntl
    import struct
    import termios

    with suppress(OSError):  # either may have closed while the window was being moved
        size = fcntl.ioctl(ours, termios.TIOCGWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)


def _outcome(status: int, seconds: float, usage: Any, output: str) -> tuple[str, dict[str, Any]]:
    code = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in
    result: dict[str, Any] = {
        "exit_code": _shell_code(status),
        "duration_s": round(seconds, 3),
        "user_s": round(usage.ru_utime, 3),
        "system_s": round(usage.ru_stime, 3),
        "memory_bytes": usage.ru_maxrss * unit,
    }
    if code < 0:
        result["signal"] = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    if output:
        result["output"] = output
    return ("job.succeeded" if code == 0 else "job.failed"), result


def _shell_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _description(name: str, type_: str, result: dict[str, Any]) -> str:
    if type_ == "job.started":
        return f"{name} began"
    took = f"after {result['duration_s']:.1f} s"
    if type_ == "job.succeeded":
        return f"{name} succeeded {took}"
    return (
        f"{name} was killed by {result['signal']} {took}"
        if "signal" in result
        else f"{name} failed with {result['exit_code']} {took}"
    )


def _clean(text: str) -> str:
    """Text that an event may hold: no NUL, no half characters."""
    return text.encode(errors="surrogateescape").decode(errors="replace").replace("\0", "␀")
