"""The dashboard's way to the workspace: who asks, and threads of its own for reading, for moving, and for what takes long.

Nothing that waits for a disk runs on the thread that paints. A read is one short look through a read-only connection; a move is the
durable commit that the command line makes, through a short connection under the writer's lock, and counts when it has come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from eventctl import client
from eventctl.cli.session import Session
from eventctl.cli.who import audience, eyes, principal
from eventctl.sqlite_store import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from eventctl.store import Store

T = TypeVar("T")


class Desk:
    """One person's or agent's place at a workspace. Raises what `principal` raises when nobody is named."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.paths = session.paths()
        self.who = principal(session)
        self.member = eyes(session)
        """The member whose eyes these are, "" for an agent."""
        self.audience = audience(session)
        self._store: SqliteStore | None = None
        self._file: tuple[int, int] | None = None
        self._opened = 0
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._slow = ThreadPoolExecutor(2, thread_name_prefix="slow")

    def now(self) -> int:
        """Microseconds since 1970 UTC, as the session has it."""
        return self.session.now()

    async def read(self, ask: Callable[[Store], T]) -> T:
        """What `ask` gives for the workspace as it is now. It takes milliseconds: everything that is shown waits in this line."""
        return await _in(self._reader, lambda: ask(self._open()))

    async def version(self) -> int:
        """A number that is another one after anybody has committed, or has put another database in the place of this one."""
        return await self.read(lambda store: self._opened << 128 | store.views.version())

    async def move(self, do: Callable[[Store], T]) -> T:
        """Make a move. It is durable when this comes back, also when nobody waits for it any more."""
        return await asyncio.shield(_in(self._writer, lambda: self._moved(do)))

    async def search(self, ask: Callable[[Store], T]) -> T:
        """A read that may take long, on a connection of its own: a search, a composition of all files."""
        return await _in(self._slow, lambda: self._searched(ask))

    async def think(self, work: Callable[[], T]) -> T:
        """Work that may take long and needs no store."""
        return await _in(self._slow, work)

    def close(self) -> None:
        """Finish the moves that are on their way, and let go."""
        self._writer.shutdown(wait=True)
        self._slow.shutdown(wait=True, cancel_futures=True)
        self._reader.submit(self._let_go)
        self._reader.shutdown(wait=True)

    def _open(self) -> SqliteStore:
        file = _file(self.paths.db)
        if file != self._file:  # a restore puts another one in its place; the one before would be read for ever
            self._let_go()
        if self._store is None:
            self._store = SqliteStore.open(self.paths.db, role="reader")
            self._file, self._opened = file, self._opened + 1
        return self._store

    def _moved(self, do: Callable[[Store], T]) -> T:
        with client.short(self.paths) as store:
            return do(store)

    def _searched(self, ask: Callable[[Store], T]) -> T:
        with self.session.reading() as store:
            return ask(store)

    def _let_go(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def _file(path: Path) -> tuple[int, int] | None:
    """Which file stands there; None for none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


async def _in(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, work)
