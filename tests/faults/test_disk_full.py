"""A full disk: appends are refused with 75 and leave nothing partial; once there is room, everything goes on by itself.

Needs root, for a file system small enough to fill.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from eventctl import client
from eventctl.decode import decode, to_record
from eventctl.errors import TryLater
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Record
from eventctl.times import now_us
from eventctl.workspace import Paths

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root"),
]

CYCLES = int(os.environ.get("EVENTCTL_DISK_CYCLES", "5"))
SUPERVISOR = """
import os, sys
from pathlib import Path
from eventctl import supervisor
from eventctl.workspace import Paths
sys.exit(supervisor.run(Paths(Path(sys.argv[1])), os.environ, say=lambda line: print(line, file=sys.stderr, flush=True)))
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def record(number: int) -> Record:
    now = now_us()
    envelope = {"event": "job.succeeded", "source": "tests", "id": f"r{number}", "payload": {"name": "x" * 2_000}}
    return to_record(decode(orjson.dumps(envelope), now=now), principal="cli:ada", at=now)


def free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def fill(folder: Path) -> Path:
    """A file that takes all that is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(16 * 1024))
        except OSError:
            return ballast


def until_refused(paths: Paths, number: int, ballast: Path) -> tuple[int, TryLater]:
    """Append until the disk is full, whatever is left of its room; the next number, and what was said."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            client.append(paths, [record(number)])
        except TryLater as refused:
            return number, refused
        number += 1
        if free(ballast.parent) and number % 10 == 0:
            with ballast.open("ab", buffering=0) as file:
                try:
                    file.write(bytes(16 * 1024))
                except OSError:
                    continue
    raise AssertionError("the disk never became full")


def passed(paths: Paths) -> tuple[int, int]:
    store = SqliteStore.open(paths.db, role="reader")
    try:
        cursor = store.cursor("system")
        return cursor.pos if cursor else 0, store.tail("log")
    finally:
        store.close()


def test_a_full_disk_refuses_and_goes_on_by_itself(disk: Path) -> None:
    (disk / "eventctl.toml").write_text('[workspace]\nname = "full"\n')
    paths = Paths(disk.resolve())
    SqliteStore.create(paths.db).close()
    with (disk.parent / "said.txt").open("wb") as said:
        process = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(disk)], stderr=said)
    try:
        while client.ask_status(paths) is None:
            time.sleep(0.05)
        number = 0
        for _ in range(CYCLES):
            ballast = fill(disk)
            number, refused = until_refused(paths, number, ballast)
            assert 75 == refused.exit_code
            time.sleep(0.3)
            ballast.unlink()
            began = time.monotonic()
            while True:
                try:
                    client.append(paths, [record(number)])
                    break
                except TryLater:
                    assert time.monotonic() - began < 5
                    time.sleep(0.1)
            number += 1
            while True:
                at, tail = passed(paths)
                if at == tail:
                    break
                assert time.monotonic() - began < 5
                time.sleep(0.05)
        assert process.poll() is None
        status = client.ask_status(paths)
        assert status is not None
        assert 0 == status["restarts"]
    finally:
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(15)
    store = SqliteStore.open(paths.db, role="reader")
    rows = store.read_log(0, 1_000_000)
    assert [f"r{n}" for n in range(number)] == [row.id for row in rows if row.source == "tests"]
    told = [row.type for row in rows if row.type.startswith("system.storage.")]
    assert ["system.storage.full", "system.storage.recovered"] * CYCLES == told
    assert 0 == store.views.counts().unaccounted
    store.close()
