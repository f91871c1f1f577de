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


_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""The machine's number, as a filter sees it."""

_REFUSED: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "a process or another program": ((56, 57, 58, 59, 322, 435), (220, 221, 281, 435)),
    "sockets": ((41, 42, 53, 425), (198, 203, 199, 425)),
    "what is inside others": ((101, 310, 311, 434, 438, 440, 448), (117, 270, 271, 434, 438, 440, 448)),
    "signals to others": ((129, 297, 200, 424), (138, 240, 130, 424)),
    "how others run": ((141, 142, 144, 203, 314, 251, 256, 279), (140, 118, 119, 122, 274, 30, 238, 239)),
    "what files are like": (
        (90, 91, 268, 452, 92, 93, 94, 260, 132, 235, 261, 280, 469),
        (52, 53, 452, 54, 55, 88, 469),
    ),
    "attributes of files": ((188, 189, 190, 197, 198, 199, 463, 466), (5, 6, 7, 14, 15, 16, 463, 466)),
    "memory and queues of the account": (
        (29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 220, 240, 241),
        (180, 181, 186, 187, 188, 189, 190, 191, 192, 193, 194, 195, 196),
    ),
    "the kernel": ((272, 308, 165, 321, 298, 323, 248, 249, 250), (97, 268, 40, 280, 241, 282, 217, 218, 219)),
}
"""Numbers of system calls on x86_64 and on aarch64, line by line: clone, fork, vfork, execve, execveat, clone3; socket, connect,
socketpair, io_uring_setup; ptrace, process_vm_readv and -writev, pidfd_open, pidfd_getfd, process_madvise and -mrelease;
rt_sigqueueinfo, rt_tgsigqueueinfo, tkill, pidfd_send_signal; priorities, schedulers, processors, pages; modes, owners and times, which
Landlock does not look at; attributes; queues, semaphores and memory of System V and POSIX; unshare, setns, mount, bpf,
perf_event_open, userfaultfd and keys. A call that a machine does not have is missing in its half."""

_OWN = {"x86_64": (62, 234, 302), "aarch64": (129, 131, 261)}
"""kill, tgkill and prlimit64: allowed about itself (0 is itself, or its group, which is its own), which is how it ends by a signal
and how its limits are read."""

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_FIRST = 16
"""Where the first argument of a call stands: its lower half, which is all of a number of a process."""

_FOREIGN_CALLS = 0x40000000
"""Where x86_64 has the same calls once more, for another kind of program."""


class _Step(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32)]


class _Steps(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Step))]


def processes(libc: Any) -> bool:
    """No new process, no new thread, no other program, no new socket, and nothing that changes another process or a file's mode.

    Needs `no_new_privs`. The limit of processes does not hold for root, and Landlock sees neither who connects to a socket that is a
    file (the workspace has one), nor who changes a mode, nor who sets a limit of the runner.
    """
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        return False
    half = list(_ARCHITECTURES).index(machine)
    numbers = [number for halves in _REFUSED.values() for number in halves[half]]
    kill, tgkill, limit = _OWN[machine]
    steps = [_Step(_LOAD, 0, 0, 4), _Step(_EQUAL, 1, 0, _ARCHITECTURES[machine]), _Step(_RETURN, 0, 0, _REFUSE)]
    steps += [_Step(_LOAD, 0, 0, 0), _Step(_AT_LEAST, 0, 1, _FOREIGN_CALLS), _Step(_RETURN, 0, 0, _REFUSE)]
    for number in numbers:
        steps += [_Step(_EQUAL, 0, 1, number), _Step(_RETURN, 0, 0, _REFUSE)]
    for number, own in ((kill, os.getpid()), (tgkill, os.getpid()), (limit, 0)):
        steps += [_Step(_EQUAL, 0, 5, number), _Step(_LOAD, 0, 0, _FIRST), _Step(_EQUAL, 1, 0, own), _Step(_EQUAL, 0, 1, 0)]
        steps += [_Step(_RETURN, 0, 0, _ALLOW), _Step(_RETURN, 0, 0, _REFUSE)]
    steps += [_Step(_RETURN, 0, 0, _ALLOW)]
    program = (_Step * len(steps))(*steps)
    filtered = _Steps(len(steps), program)
    return bool(libc.prctl(22, 2, ctypes.byref(filtered), 0, 0) == 0)
