"""Plays back a power cut: what a disk may hold when the power goes at one point of a recorded run.

The recording is what the real processes asked the kernel to do (`recorder.c`), in order. Up to the cut, a file keeps everything
up to its last sync; of what came after it each write may be there, missing, or torn at a sector.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

SECTOR = 512


class Op(NamedTuple):
    """One recorded call; `offset` is the size for a truncate. An acknowledgement has the id as its data."""

    op: str
    name: str
    offset: int
    data: bytes


def build_recorder(folder: Path) -> Path:
    """Compile the recorder; needs a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("the power-cut harness needs a C compiler: apt-get install gcc libc6-dev")
    library = folder / "recorder.so"
    source = Path(__file__).with_name("recorder.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return library


def recording_env(library: Path, directory: Path, trace: Path) -> dict[str, str]:
    """The environment under which a process is recorded."""
    return os.environ | {
        "LD_PRELOAD": str(library),
        "EVENTCTL_RECORD_DIR": str(directory),
        "EVENTCTL_RECORD_TRACE": str(trace),
    }


def acknowledge(trace_fd: int, ident: str) -> None:
    """Note in the trace, at this very point, that somebody was told `ident` is durable. One write, as the recorder's are."""
    data = ident.encode()
    os.write(trace_fd, b"a\0" + (0).to_bytes(8, "little") + len(data).to_bytes(4, "little") + data)


def read_trace(path: Path) -> list[Op]:
    """The recording, in the order of the calls."""
    raw = path.read_bytes()
    ops: list[Op] = []
    at = 0
    while at < len(raw):
        op, name_length = chr(raw[at]), raw[at + 1]
        at += 2
        name = raw[at : at + name_length].decode()
        at += name_length
        offset = int.from_bytes(raw[at : at + 8], "little")
        length = int.from_bytes(raw[at + 8 : at + 12], "little")
        at += 12
        ops.append(Op(op, name, offset, raw[at : at + length]))
        at += length
    return ops


def image(base: Path, ops: Iterable[Op], rng: random.Random, into: Path) -> None:
    """Write to `into` one state that the disk may be in when the power goes after `ops`, which began on the files of `base`.

    Which of the unsynced writes survived is up to `rng`.
    """
    shutil.copytree(base, into, dirs_exist_ok=True)
    survival = rng.choice([0.0, 0.3, 0.7, 1.0])
    files: dict[str, list[Op]] = {}
    for op in ops:
        if op.op != "a":
            files.setdefault(op.name, []).append(op)
    for name, history in files.items():
        synced = max((k for k, op in enumerate(history) if op.op == "s"), default=-1)
        began = base / name
        content: bytearray | None = bytearray(began.read_bytes() if began.exists() else b"")
        for k, op in enumerate(history):
            certain = k < synced
            if op.op == "d":
                content = None
            elif op.op == "w" and (certain or rng.random() < survival):
                data = op.data if certain or rng.random() > 0.2 else torn(op.data, rng)
                content = content if content is not None else bytearray()
                content.extend(b"\0" * (op.offset + len(data) - len(content)))
                content[op.offset : op.offset + len(data)] = data
            elif op.op == "t" and content is not None and (certain or rng.random() < 0.5):
                del content[op.offset :]
                content.extend(b"\0" * (op.offset - len(content)))
        if content is None:
            (into / name).unlink(missing_ok=True)
        else:
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes(content)


def torn(data: bytes, rng: random.Random) -> bytes:
    """Only the first sectors of a write arrived."""
    return data[: SECTOR * rng.randrange(0, max(1, len(data) // SECTOR) + 1)]
