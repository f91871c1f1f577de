"""The socket that records come in through, and the group commit behind it.

One thread, one connection to the store. Requests that arrive while a commit is on its way to the disk are in the sockets when it
ends, and share the next one. When the last group had more than one request, the next waits up to 2 ms for those who are
connected but silent; a lone client never waits. An answer goes out after its records are durable, never before.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from eventctl import errors, frames
from eventctl.frames import RejectRow
from eventctl.store import Appended, Record, Store

LINGER_S = 0.002
GROUP_MAX = 100
CLIENTS_MAX = 512
PARTIAL_S = 10.0
"""How long a client may take over one message; after that it is gone."""


class _Client:
    """One connection: what it is sending, and what it has not taken yet."""

    __slots__ = ("heard", "out", "reader", "socket")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.reader = frames.Reader()
        self.out = bytearray()
        self.heard = time.monotonic()


class _Request:
    """One append that somebody waits for."""

    __slots__ = ("client", "records", "rejects")

    def __init__(self, client: _Client, records: list[Record], rejects: list[RejectRow]) -> None:
        self.client = client
        self.records = records
        self.rejects = rejects


class AppendServer:
    """Accepts, collects, commits, answers.

    `nudge` is called after each commit, `status` answers a status request. `gate` says why nothing is taken now, or None;
    `refused` hears that the store would not take a group for now.
    """

    def __init__(
        self,
        store: Store,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        *,
        nudge: Callable[[], None],
        status: Callable[[], dict[str, Any]],
        gate: Callable[[], errors.TryLater | None],
        refused: Callable[[], None],
    ) -> None:
        self._store = store
        self._listener = listener
        self._selector = selector
        self._nudge = nudge
        self._status = status
        self._gate = gate
        self._refused = refused
        self.committed = 0
        self._clients: set[_Client] = set()
        self._pending: deque[_Request] = deque()
        self._first = 0.0
        self._crowded = False
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def wait_s(self, now: float) -> float | None:
        """How long the next commit may still be put off; None when nothing waits. `now` is monotonic seconds."""
        if not self._pending:
            return None
        silent = len(self._clients) - len({request.client for request in self._pending})
        if not self._crowded or silent <= 0 or len(self._pending) >= GROUP_MAX:
            return 0.0
        return max(0.0, self._first + LINGER_S - now)

    def flush(self) -> None:
        """Commit what is pending and answer. Raises `StorageFailed`, after telling the clients: this process is to stop."""
        while self._pending:
            group = [self._pending.popleft() for _ in range(min(len(self._pending), GROUP_MAX))]
            self._crowded = len(group) > 1
            self._commit(group)

    def sweep(self, now: float) -> None:
        """Let go of clients that began a message, or an answer, and stopped."""
        for client in list(self._clients):
            if (client.reader.partial or client.out) and now - client.heard > PARTIAL_S:
                self._drop(client)

    def close(self) -> None:
        """Take no more connections, finish what was asked, and let go."""
        self._selector.unregister(self._listener)
        self._listener.close()
        self.flush()
        for client in list(self._clients):
            self._drop(client)

    def _accept(self, _: int) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:  # nobody left, or no descriptor for them: they find the store themselves
                return
            if len(self._clients) >= CLIENTS_MAX or peer_uid(connection) not in (os.getuid(), 0):
                connection.close()
                continue
            connection.setblocking(False)
            client = _Client(connection)
            self._clients.add(client)
            self._selector.register(connection, selectors.EVENT_READ, partial(self._serve, client))
            self._receive(client)  # a one-shot emitter has usually sent already

    def _serve(self, client: _Client, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._send(client)
        if mask & selectors.EVENT_READ:
            self._receive(client)

    def _receive(self, client: _Client) -> None:
        try:
            data = client.socket.recv(262144)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        client.heard = time.monotonic()
        try:
            for head, blobs in client.reader.feed(data):
                self._take(client, head, blobs)
        except errors.Refused as refused:
            self._answer(client, _failure(refused))
            self._drop(client)

    def _take(self, client: _Client, head: dict[str, Any], blobs: memoryview) -> None:
        match head.get("op"):
            case "append":
                if not self._pending:
                    self._first = time.monotonic()
                self._pending.append(_Request(client, *frames.unpack_append(head, blobs)))
            case "nudge":
                self._nudge()
            case "status":
                self._answer(client, self._status())
            case other:
                raise errors.Refused(f"no operation {other!r}")

    def _commit(self, group: Sequence[_Request]) -> None:
        try:
            appended = self._append(group)
        except errors.TryLater as later:
            self._refused()
            for request in group:
                self._answer(request.client, _failure(later))
            return
        except errors.StorageFailed as failed:
            for request in group:
                self._answer(request.client, _failure(failed))
            raise
        except errors.EventctlError as refused:
            if len(group) == 1:
                self._answer(group[0].client, _failure(refused))
            else:  # somebody's request is bad: the others are not to suffer for it
                for request in group:
                    self._commit([request])
            return
        self.committed += 1
        self._nudge()
        start = 0
        for request in group:
            mine = appended[start : start + len(request.records)]
            start += len(request.records)
            self._answer(request.client, {"appended": [tuple(row) for row in mine]})

    def _append(self, group: Sequence[_Request]) -> list[Appended]:
        closed = self._gate()
        if closed is not None:
            raise closed
        records = [record for request in group for record in request.records]
        rejects = [reject for request in group for reject in request.rejects]
        return self._store.append(records, rejects=rejects)

    def _answer(self, client: _Client, head: dict[str, Any]) -> None:
        if client in self._clients:
            client.out += frames.pack(head)
            self._send(client)

    def _send(self, client: _Client) -> None:
        try:
            sent = client.socket.send(client.out) if client.out else 0
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._drop(client)
            return
        del client.out[:sent]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.out else 0)
        key = self._selector.get_key(client.socket)
        if key.events != events:
            self._selector.modify(client.socket, events, key.data)

    def _drop(self, client: _Client) -> None:
        if client in self._clients:
            self._clients.discard(client)
            self._selector.unregister(client.socket)
            client.socket.close()


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, 0600; a leftover there is replaced (the caller holds the runner's lock)."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(os.fsencode(path))
    finally:
        os.umask(before)
    listener.listen(CLIENTS_MAX)
    listener.setblocking(False)
    return listener


def peer_uid(connection: socket.socket) -> int:
    """Whose process is at the other end, as the kernel says."""
    if sys.platform == "darwin":
        local_peercred, xucred = 0x001, "IIh"
        return int(struct.unpack_from(xucred, connection.getsockopt(0, local_peercred, 76))[1])
    return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1])


def _failure(error: errors.EventctlError) -> dict[str, Any]:
    return {"failed": type(error).__name__, "what": error.what, "where": error.where, "hint": error.hint}
