"""A call of the command line in a process of its own: what executes cartridges, or takes long. It can be given up at any moment."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
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

CHUNK = 64 * 1024
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
    """One call with `--json`, for whoever is at the desk. `run` gives what it ended with; giving that up ends all that it started."""

    def __init__(self, desk: Desk, words: Sequence[str]) -> None:
        who = ("--as", desk.member) if desk.member else ("--agent", desk.who.subject)
        self.command = [
            sys.executable, "-P", "-m", "eventctl", "-w", str(desk.paths.root), *who, "--color", "never", *words, "--json",
        ]  # fmt: skip
        self._env = dict(desk.session.env)
        self._said = ""
        self.pid = 0
        """The process, which leads a group of its own; 0 before it runs."""

    async def run(self, told: Told) -> Ended:
        """Start it and wait for its end. Raises `EventctlError` when it cannot be started."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command, env=self._env, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise EventctlError(
                f"the command line cannot be started: {error.strerror or error}", where=sys.executable
            ) from error
        self.pid = process.pid
        try:
            printed, _ = await asyncio.gather(_whole(process.stdout), self._listen(process.stderr, told))
            code = await process.wait()
        finally:
            if process.returncode is None:
                await self._end(process)
        return Ended(code, _document(printed), self._said)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Interrupt it, as Ctrl-C does, so that it tidies up; then end what is left of its group."""
        self._signal(signal.SIGINT)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE_S):
                    await process.wait()
        finally:
            self._signal(signal.SIGKILL)
        await process.wait()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _listen(self, stream: asyncio.StreamReader | None, told: Told) -> None:
        """Hear lines of progress, and keep everything else that is said."""
        rest = b""
        while stream is not None and (data := await stream.read(CHUNK)):
            *lines, rest = (rest + data).split(b"\n")
            for each in lines:
                self._hear(each, told)
            rest = rest[-SAID_MAX:]
        self._hear(rest, told)

    def _hear(self, said: bytes, told: Told) -> None:
        progress = _document(said) if said.startswith(b'{"read"') else None
        if progress is not None and isinstance(progress.get("read"), int) and isinstance(progress.get("of"), int):
            told(progress["read"], progress["of"])
        elif said:
            self._said = f"{self._said}{said.decode(errors='replace')}\n"[-SAID_MAX:]


async def _whole(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


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
