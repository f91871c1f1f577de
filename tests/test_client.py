"""Appending from outside: through the socket with group commit, or alone; the same answers either way."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from eventctl import appendserver, client, frames, workspace
from eventctl.appendserver import AppendServer
from eventctl.errors import Conflict, Refused, TryLater
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Record
from eventctl.workspace import Paths


def record(id_: str, body: bytes = b"{}") -> Record:
    return Record("event", "tests", id_, "job.completed", body, "cli:ada", 1_700_000_000_000_000, "api", None, 0)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "eventctl.toml").write_text("")
    found = Paths(tmp_path.resolve())
    workspace.prepare(found)
    SqliteStore.create(found.db, reserve_bytes=0).close()
    return found


class Served:
    """A server on a thread of its own: what it was told, how many commits it made, and how long it meant to put each off."""

    def __init__(self, paths: Paths) -> None:
        self.nudges = 0
        self.later: TryLater | None = None
        self.sizes: list[int] = []
        self.waits: list[float] = []
        self._paths = paths
        self._stop = False
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        assert self._up.wait(5)

    def stop(self) -> None:
        self._stop = True
        self._thread.join()

    def _serve(self) -> None:
        store = _Counting(SqliteStore.open(self._paths.db, role="appender"), self.sizes)
        selector = selectors.DefaultSelector()
        path = self._paths.socket({})
        server = AppendServer(
            store,
            appendserver.listen(path),
            selector,
            nudge=self._nudged,
            status=lambda: {"pid": os.getpid()},
            gate=lambda: self.later,
            refused=lambda: None,
        )
        self._paths.run.write_bytes(orjson.dumps({"pid": os.getpid(), "socket": str(path), "nonce": "n" * 32}))
        self._up.set()
        while not self._stop:
            for key, mask in selector.select(min(0.01, server.wait_s(time.monotonic()) or 0.01)):
                key.data(mask)
            wait_s = server.wait_s(time.monotonic())
            self.waits += [] if wait_s is None else [wait_s]
            if wait_s == 0:
                server.flush()
            server.sweep(time.monotonic())
        server.close()
        store.store.close()
        self._paths.run.unlink()

    def _nudged(self) -> None:
        self.nudges += 1


class _Counting:
    """A store that remembers how many records each of its transactions had."""

    def __init__(self, store: SqliteStore, sizes: list[int]) -> None:
        self.store = store
        self._sizes = sizes

    def append(self, records: list[Record], *, rejects: list[frames.RejectRow]) -> object:
        if any(record.type == "bad" for record in records):
            raise Conflict("a bad one")
        self._sizes.append(len(records))
        return self.store.append(records, rejects=rejects)


@contextmanager
def served(paths: Paths) -> Iterator[Served]:
    server = Served(paths)
    try:
        yield server
    finally:
        server.stop()


def stored(paths: Paths) -> list[str]:
    store = SqliteStore.open(paths.db, role="reader")
    try:
        return [row.id for row in store.read_log(0, 10_000)]
    finally:
        store.close()


@pytest.mark.parametrize("runner", [False, True])
def test_an_append_answers_with_seq_and_duplicate(paths: Paths, runner: bool) -> None:
    def both() -> None:
        assert [(1, False), (2, False)] == client.append(paths, [record("a"), record("b")])
        assert [(1, True), (3, False)] == client.append(paths, [record("a"), record("c")])

    if runner:
        with served(paths) as server:
            both()
        assert 2 == server.nudges
    else:
        both()
    assert ["a", "b", "c"] == stored(paths)


@pytest.mark.parametrize("runner", [False, True])
def test_rejects_are_kept_with_or_without_records(paths: Paths, runner: bool) -> None:
    with served(paths) if runner else paths_only():
        assert [] == client.append(paths, [], rejects=[("cli", 5, "not JSON", b"\xff{")])
    store = SqliteStore.open(paths.db, role="reader")
    assert [("cli", 5, "not JSON", b"\xff{")] == [row[1:] for row in store.views.rejects()]
    store.close()


@contextmanager
def paths_only() -> Iterator[None]:
    yield


def test_many_records_go_in_pieces_and_in_order(paths: Paths) -> None:
    records = [record(f"r{number}", b'"' + b"x" * 3_000 + b'"') for number in range(1_234)]
    with served(paths) as server:
        appended = client.append(paths, records)
    assert list(range(1, 1_235)) == [row.seq for row in appended]
    assert len(server.sizes) > 3


def test_concurrent_clients_share_commits(paths: Paths) -> None:
    def emit(name: int) -> None:
        with client.Appender(paths) as appender:
            for number in range(20):
                appender.append([record(f"{name}-{number}")])

    with served(paths) as server:
        threads = [threading.Thread(target=emit, args=(name,)) for name in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 320 == sum(server.sizes) == len(set(stored(paths)))
    assert len(server.sizes) < 200


def test_a_lone_client_is_not_delayed(paths: Paths) -> None:
    with served(paths) as server, client.Appender(paths) as appender:
        for number in range(20):
            appender.append([record(f"r{number}")])
    assert [1] * 20 == server.sizes
    assert {0.0} == set(server.waits)


def test_a_bad_request_does_not_hurt_the_others(paths: Paths) -> None:
    with served(paths):
        sockets = [_raw(paths) for _ in range(3)]
        types = ["ok", "bad", "ok"]
        for number, connection in enumerate(sockets):
            row = record(f"r{number}")._replace(type=types[number])
            connection.sendall(frames.pack_append([row], []))
        answers = [_answer(connection) for connection in sockets]
        for connection in sockets:
            connection.close()
    assert [None, "Conflict", None] == [answer.get("failed") for answer in answers]


def _raw(paths: Paths) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(5)
    connection.connect(str(paths.socket({})))
    return connection


def _answer(connection: socket.socket) -> dict[str, Any]:
    reader = frames.Reader()
    while True:
        for head, _ in reader.feed(connection.recv(65536)):
            return dict(head)


def test_a_closed_gate_answers_75_and_writes_nothing(paths: Paths) -> None:
    with served(paths) as server:
        server.later = TryLater("the disk is full", hint="free some space")
        with pytest.raises(TryLater, match="full") as refused:
            client.append(paths, [record("a")])
        assert "free some space" == refused.value.hint
        server.later = None
        client.append(paths, [record("a")])
    assert ["a"] == stored(paths)


def test_a_leftover_socket_is_gone_around(paths: Paths) -> None:
    listener = appendserver.listen(paths.socket({}))
    listener.close()
    paths.run.write_bytes(orjson.dumps({"pid": 1, "socket": str(paths.socket({})), "nonce": "x"}))
    assert [(1, False)] == client.append(paths, [record("a")])


def test_a_server_that_dies_in_between_loses_and_doubles_nothing(paths: Paths) -> None:
    with client.Appender(paths) as appender:
        with served(paths):
            appender.append([record("a")])
        assert [(1, True), (2, False)] == appender.append([record("a"), record("b")])


@pytest.mark.parametrize(
    "message",
    [
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\0\0\0\x08\0\0\0\x04nope",
        frames.pack({"op": "explode"}),
        frames.pack({"op": "append", "records": [["timer", "s", "i", "t", "p", 1, None, None, 0, 0]], "rejects": []}),
        frames.pack({"op": "append", "records": [["event", "s", "i", "t", "p", 1, None, None, 0, 99]], "rejects": []}),
        frames.pack({"op": "append", "records": [["event", "s", 7, "t", "p", 1, None, None, 0, 0]], "rejects": []}),
        frames.pack({"op": "append", "records": 7, "rejects": []}),
        frames.pack({"op": "append"}),
    ],
)
def test_a_message_of_another_shape_is_refused_and_hung_up_on(paths: Paths, message: bytes) -> None:
    with served(paths):
        with _raw(paths) as connection:
            connection.sendall(message)
            answer = _answer(connection)
            assert "Refused" == answer["failed"]
            assert b"" == connection.recv(10)
        assert [(1, False)] == client.append(paths, [record("a")])


def test_a_client_that_stops_in_a_message_is_let_go(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appendserver, "PARTIAL_S", 0.05)
    with served(paths), _raw(paths) as connection:
        connection.sendall(b"\0\0\0\x40half")
        assert b"" == connection.recv(10)


def test_the_peer_is_known_by_its_uid() -> None:
    one, two = socket.socketpair()
    with one, two:
        assert os.getuid() == appendserver.peer_uid(one)


def test_the_socket_is_private(paths: Paths) -> None:
    before = os.umask(0)
    try:
        with served(paths):
            assert 0o600 == paths.socket({}).stat().st_mode & 0o777
    finally:
        os.umask(before)


def test_a_record_survives_the_wire() -> None:
    rows = [record("a", b'{"x":1}'), Record("event", "ci", "m", "build.made", b"[]", "cli:ada", 2**60, None, 7, 3)]
    rejects = [("http", 1, "why", b"\x00\xff")]
    ((head, blobs),) = frames.Reader().feed(frames.pack_append(rows, rejects))
    assert (rows, rejects) == frames.unpack_append(head, blobs)


@pytest.mark.parametrize("kind", ["move", "timer", "answer"])
def test_nothing_but_an_event_comes_through_the_socket(kind: str) -> None:
    """A move that came in so would be a decision that nobody made, in the log, under the name of somebody else."""
    rows = [Record(kind, kind, "m", "decisions.approve", b'{"decision":1}', "cli:ada", 1)]
    ((head, blobs),) = frames.Reader().feed(frames.pack_append(rows, []))
    with pytest.raises(Refused, match=kind):
        frames.unpack_append(head, blobs)


@pytest.mark.parametrize("channel", ["system", "cartridge", "timer", "outbox"])
def test_nobody_speaks_through_the_socket_as_the_runner_itself(channel: str) -> None:
    rows = [Record("event", "eventctl", "m", "decision.held", b"{}", f"{channel}:eventctl", 1)]
    ((head, blobs),) = frames.Reader().feed(frames.pack_append(rows, []))
    with pytest.raises(Refused, match=channel):
        frames.unpack_append(head, blobs)


def test_a_stream_is_cut_into_its_messages_wherever_it_breaks() -> None:
    stream = frames.pack({"n": 1}) + frames.pack({"n": 2}, [b"blob"]) + frames.pack({"n": 3})
    for size in (1, 3, 7, 1000):
        reader = frames.Reader()
        heads = [head["n"] for at in range(0, len(stream), size) for head, _ in reader.feed(stream[at : at + size])]
        assert [1, 2, 3] == heads
        assert not reader.partial


def test_a_message_over_the_limit_is_not_sent() -> None:
    with pytest.raises(Refused, match="bytes"):
        frames.pack({}, [bytes(frames.MESSAGE_BYTES_MAX)])


def test_status_is_asked_for_and_absent_without_a_runner(paths: Paths) -> None:
    assert client.ask_status(paths) is None
    with served(paths):
        assert {"pid": os.getpid()} == client.ask_status(paths)


def test_a_nudge_without_a_runner_is_nothing(paths: Paths) -> None:
    client.nudge(paths)


def test_emit_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = "import sys, eventctl.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pydantic", "rich", "asyncio", "subprocess", "sqlite_utils", "click", "multiprocessing"}
    assert set() == heavy & set(done.stdout.split())
