"""How every process but the runner writes: through the supervisor's socket, or for itself when none is there.

With a runner, a record goes over its Unix socket and is answered when the group it was committed with is durable. Without one,
or when the socket is a leftover, a short connection is opened under `writer.lock`. Both ways answer alike. An append that was cut
off is repeated the other way: (source, id) is unique, so the second attempt finds the first.

On the path of `emit`: standard library and orjson, nothing else.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import orjson

from eventctl import errors, frames
from eventctl.store import Appended, Record

if TYPE_CHECKING:
    from types import TracebackType

    from eventctl.store import Store
    from eventctl.workspace import Paths

ANSWER_S = 10.0
_HANDLED = {
    kind.__name__: kind
    for kind in (
        errors.TryLater,
        errors.StorageFailed,
        errors.Misconfigured,
        errors.Refused,
        errors.Unavailable,
        errors.Conflict,
    )
}


class Appender:
    """A way into the log, kept open for as long as there is something to say."""

    def __init__(self, paths: Paths, *, answer_s: float = ANSWER_S) -> None:
        self._paths = paths
        self._answer_s = answer_s
        self._socket: socket.socket | None = None

    def append(self, records: Sequence[Record], *, rejects: Sequence[frames.RejectRow] = ()) -> list[Appended]:
        """Make records durable and say where they stand, in their order.

        Up to 500 records or 1 MiB are all or none; a longer sequence goes in such pieces. Raises `TryLater` (disk full, upgrade
        under way, no answer in time), `Misconfigured` (a newer store), `StorageFailed`.
        """
        appended: list[Appended] = []
        pieces = list(frames.chunks(records)) or [()]
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            appended += self._append(piece, rejects if last else ())
        return appended

    def _append(self, records: Sequence[Record], rejects: Sequence[frames.RejectRow]) -> list[Appended]:
        if not records and not rejects:
            return []
        try:
            answer = self._ask(frames.pack_append(records, rejects))
        except (ConnectionError, FileNotFoundError):
            answer = None
            self.close()
        if answer is None:
            with short(self._paths) as store:
                return store.append(records, rejects=rejects)
        return [Appended(seq, duplicate) for seq, duplicate in answer["appended"]]

    def _ask(self, message: bytes) -> dict[str, Any] | None:
        """The supervisor's answer; None when there is no supervisor. Raises what it says went wrong."""
        if self._socket is None:
            self._socket = _connect(self._paths, self._answer_s)
        if self._socket is None:
            return None
        answer = _exchange(self._socket, message)
        failed = answer.get("failed")
        if failed is not None:
            raise _HANDLED.get(failed, errors.EventctlError)(
                str(answer.get("what")), where=str(answer.get("where", "")), hint=str(answer.get("hint", ""))
            )
        return answer

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def append(paths: Paths, records: Sequence[Record], *, rejects: Sequence[frames.RejectRow] = ()) -> list[Appended]:
    """Append once; see `Appender.append`."""
    with Appender(paths) as appender:
        return appender.append(records, rejects=rejects)


@contextmanager
def short(paths: Paths) -> Iterator[Store]:
    """A short write connection under `writer.lock`, for a move or an append; the runner is nudged afterwards."""
    from eventctl.sqlite_store import SqliteStore

    store = SqliteStore.open(paths.db, role="short")
    try:
        yield store
    finally:
        store.close()
    nudge(paths)


def nudge(paths: Paths) -> None:
    """Tell the runner that there is something new. It finds out by itself within 250 ms, so a failure means nothing."""
    try:
        connection = _connect(paths, 0.2)
        if connection is not None:
            with connection:
                connection.sendall(frames.pack({"op": "nudge"}))
    except (OSError, errors.TryLater):
        return


def ask_status(paths: Paths) -> dict[str, Any] | None:
    """What the supervisor says about itself (pid, runner, restarts, strikes, since); None when there is none."""
    try:
        connection = _connect(paths, 1.0)
        if connection is None:
            return None
        with connection:
            return _exchange(connection, frames.pack({"op": "status"}))
    except (ConnectionError, FileNotFoundError, errors.TryLater):
        return None


def run_info(paths: Paths) -> dict[str, Any] | None:
    """What the supervisor wrote about itself when it began; it may have died since."""
    try:
        info = orjson.loads(paths.run.read_bytes())
    except (FileNotFoundError, NotADirectoryError, orjson.JSONDecodeError):
        return None
    return info if isinstance(info, dict) and isinstance(info.get("socket"), str) else None


def _connect(paths: Paths, answer_s: float) -> socket.socket | None:
    info = run_info(paths)
    if info is None:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(answer_s)
    try:
        connection.connect(os.fsencode(info["socket"]))
    except TimeoutError:
        connection.close()
        raise _silent() from None
    except OSError:
        connection.close()
        return None
    return connection


def _exchange(connection: socket.socket, message: bytes) -> dict[str, Any]:
    reader = frames.Reader()
    try:
        connection.sendall(message)
        while True:
            data = connection.recv(65536)
            if not data:
                raise ConnectionResetError("the supervisor went away")
            for head, _ in reader.feed(data):
                return head
    except TimeoutError:
        raise _silent() from None


def _silent() -> errors.TryLater:
    return errors.TryLater(
        "the runner did not answer in time; what was sent may have been recorded",
        hint="send it again with the same --id: a record that is there already is only found, never doubled",
    )
