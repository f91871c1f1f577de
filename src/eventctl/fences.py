"""Two fences that a process on Linux puts around itself without being anybody special: Landlock for files, seccomp for system calls.

Both hold for good, for all its threads and children. Where the kernel has one of them not, it says so and goes on: what a worker has
is told, and `eventctl doctor` shows it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import stat
from collections.abc import Iterable
from typing import Any

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""Landlock's system calls, the same numbers on every machine."""

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_ALL_FILES = (1 << 13, 1 << 14, 1 << 15, 1 << 15, 1 << 16)
"""One more than the rights of files that each version of Landlock knows, from the first to the fifth."""

_FILE_ONLY = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14
"""Rights that a single file can have: run, write, read, truncate. Others are of folders."""

_TCP = 3
_SCOPES = 3
"""Abstract sockets of others, and signals to others."""


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scopes", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def files(libc: Any, readable: Iterable[str], own: str) -> bool:
    """Of all files only those beneath `readable` can be read, none be run, and those in the folder `own` be written.

    With it go signals and abstract sockets to others, and TCP, as far as the kernel's Landlock knows of them.
    """
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    rights = _ALL_FILES[min(version, len(_ALL_FILES)) - 1] - 1
    wanted = _Ruleset(rights, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(_CREATE, ctypes.byref(wanted), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        for path in readable:
            _allow(libc, ruleset, path, _READ_FILE | _READ_DIR)
        _allow(libc, ruleset, own, rights & ~1)
        return bool(libc.syscall(_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: Any, ruleset: int, path: str, rights: int) -> None:
    """A path that is not there needs no rule."""
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            rights &= _FILE_ONLY
        libc.syscall(_ADD, ruleset, 1, ctypes.byref(_Beneath(rights, parent)), 0)
    finally:
        os.close(parent)


_CALLS = {
    "x86_64": (0xC000003E, (56, 57, 58, 59, 322, 435, 41, 42, 425, 101, 272, 308, 165, 321)),
    "aarch64": (0xC00000B7, (220, 221, 281, 435, 198, 203, 425, 117, 97, 268, 40, 280)),
}
"""The machine's number, and its calls clone, fork, vfork, execve, execveat, clone3, socket, connect, io_uring_setup, ptrace, unshare,
setns, mount and bpf; aarch64 has no fork of its own."""

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_FOREIGN_CALLS = 0x40000000
"""Where x86_64 has the same calls once more, for another kind of program."""


class _Step(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32)]


class _Steps(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Step))]


def processes(libc: Any) -> bool:
    """No new process, no new thread, no other program, no new socket. Needs `no_new_privs`.

    The limit of processes does not hold for root, and Landlock does not see who connects to a socket that is a file: the workspace
    has one.
    """
    known = _CALLS.get(platform.machine())
    if known is None:
        return False
    machine, numbers = known
    refuse = len(numbers) + 3
    steps = [_Step(_LOAD, 0, 0, 4), _Step(_EQUAL, 0, refuse, machine), _Step(_LOAD, 0, 0, 0)]
    steps += [_Step(_AT_LEAST, refuse - 2, 0, _FOREIGN_CALLS)]
    steps += [_Step(_EQUAL, refuse - 3 - at, 0, number) for at, number in enumerate(numbers)]
    steps += [_Step(_RETURN, 0, 0, _ALLOW), _Step(_RETURN, 0, 0, _REFUSE)]
    program = (_Step * len(steps))(*steps)
    filtered = _Steps(len(steps), program)
    return bool(libc.prctl(22, 2, ctypes.byref(filtered), 0, 0) == 0)
