"""A call of the command line in a process of its own: what executes cartridges, or takes long. It can be given up at any moment."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import orjson

from eventctl.errors import EventctlError
from eventctl.tui.desk import Desk

GRACE_S = 2.0
"""How long it may tidy up after an interrupt: folders of its own, workers. It was measured at well under one."""

SAID_MAX = 8_000
"""Characters of what it said on stderr that are kept, the last ones."""

OK = (0, 1)
"""How a call ends that has given its answer: `cartridge test` says with a 1 that an example does not hold."""

Told = Callable[[int, int], None]
"""Hears how many records of how many have been read."""


class Ended(NamedTuple):
    """How it ended: its exit code (minus the signal), the JSON it printed, and what it said beside it."""

    code: int
    document: dict[str, Any] | None
    said: str

    def answer(self, words: str) -> dict[str, Any]:
        """The JSON. Raises `EventctlError` with what it said where there is none; `words` name the call."""
        if self.code in OK and self.document is not None:
            return self.document
        wrong = _error(self.said)
        if wrong:
            raise EventctlError(
                str(wrong.get("message", "")), where=str(wrong.get("where", "")), hint=str(wrong.get("hint", ""))
            )
        how = f"was killed by signal {-self.code}" if self.code < 0 else f"ended with {self.code}"
        last = self.said.strip().rpartition("\n")[2]
        raise EventctlError(f"{words} {how}{f': {last}' if last else ''}", hint="nothing was changed")


class Child:
    """One call with `--json`, for whoever is at the desk. `run` gives what it ended with; giving that up ends all that it started.

    A thread waits for it, and not the loop: so it is waited for to its end also when the dashboard is left.
    """

    def __init__(self, desk: Desk, words: Sequence[str]) -> None:
        who = ("--as", desk.member) if desk.member else ("--agent", desk.who.subject)
        self.command = [
            sys.executable, "-P", "-m", "eventctl", "-w", str(desk.paths.root), *who, "--color", "never", *words, "--json",
        ]  # fmt: skip
        self._env = dict(desk.session.env)
        self._said = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()

    @property
    def pid(self) -> int:
        """The process, which leads a group of its own; 0 before it runs."""
        return self._process.pid if self._process else 0

    async def run(self, told: Told) -> Ended:
        """Start it and wait for its end. Raises `EventctlError` when it cannot be started."""
        loop = asyncio.get_running_loop()

        def hear(read: int, of: int) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody looks any more
                loop.call_soon_threadsafe(told, read, of)

        running = asyncio.ensure_future(asyncio.to_thread(self._run, hear))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.wait({running})
            raise

    def stop(self) -> None:
        """Interrupt it, as Ctrl-C does, so that it tidies up; `GRACE_S` later end what is left of its group."""
        self._stopped.set()
        self._signal(signal.SIGINT)
        last = threading.Timer(GRACE_S, self._signal, [signal.SIGKILL])
        last.daemon = True
        last.start()

    def _run(self, told: Told) -> Ended:
        with tempfile.TemporaryFile() as printed:
            try:
                process = subprocess.Popen(
                    self.command, env=self._env, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.PIPE,
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                what = f"the command line cannot be started: {error.strerror or error}"
                raise EventctlError(what, where=self.command[0]) from error
            with process:
                self._process = process
                if self._stopped.is_set():
                    self._signal(signal.SIGKILL)  # it was given up before it was there
                for line in process.stderr or ():
                    self._hear(line.rstrip(b"\n"), told)
                code = process.wait()
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(
                        process.pid, signal.SIGKILL
                    )  # what it left behind; the number stays taken as long as there is any
            printed.seek(0)
            return Ended(code, _document(printed.read()), self._said)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _hear(self, said: bytes, told: Told) -> None:
        progress = _document(said) if said.startswith(b'{"read"') else None
        if progress is not None and isinstance(progress.get("read"), int) and isinstance(progress.get("of"), int):
            told(progress["read"], progress["of"])
        elif said:
            self._said = f"{self._said}{said.decode(errors='replace')}\n"[-SAID_MAX:]


def _document(printed: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(printed)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _error(said: str) -> dict[str, Any] | None:
    """The error that it told as JSON, whatever stands before it."""
    found = _document(said[max(0, said.find("{")) :].encode())
    wrong = found.get("error") if found else None
    return wrong if isinstance(wrong, dict) else None
