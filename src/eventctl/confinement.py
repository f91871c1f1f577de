"""What a worker takes from itself before it loads a line of somebody's code; on each system as much as it lets go of.

    everywhere    limits of memory, time on a processor, open files, size of files, processes; no core file; private files
    Linux         dies with its parent; gains no rights by running a program; where the kernel lets an ordinary account have it: no
                  network (a namespace of its own), no files but Python's and its own folder (Landlock), no process (seccomp)

docs/isolation.md has the table.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from typing import Any

from eventctl import fences

PROTECTIONS = ("dies_with_parent", "no_new_privs", "no_network", "no_files", "no_processes")
MEMORY_MAX = 512 << 20
CPU_S_MAX = 3_600
"""Of one worker's whole life: past the deadline of a run it is killed anyway; this is for what goes on between runs."""

FILES_MAX = 64
FILE_BYTES_MAX = 16 << 20
PROCESSES_MAX = 0
"""No more than there are already: neither forks nor threads. The kernel does not hold root to it."""

NICE = 10
"""Behind the runner, whoever else wants a processor: beside a loop that hung, the slowest in a hundred took twice as long without it."""

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 1, 38, 4
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def confine(memory: int, parent: int, own: str) -> dict[str, bool]:
    """Take it all, for good, and say what was had. Ends the process when its parent has gone meanwhile. `own` is its folder."""
    had = dict.fromkeys(PROTECTIONS, False)
    os.umask(0o077)
    os.nice(NICE)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        had["no_network"] = _namespaces(libc)
        had["dies_with_parent"] = libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0
        had["no_new_privs"] = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        _drop_capabilities(libc)
        had["no_files"] = fences.files(libc, readable(), own)
        had["no_processes"] = had["no_new_privs"] and fences.processes(libc)
        if os.getppid() != parent:
            os._exit(0)
    return had | _limits(memory)


def readable() -> list[str]:
    """What Python needs to import: its own folders and those of packages, the system's libraries, time zones."""
    system = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/usr/share/zoneinfo"]
    devices = ["/dev/null", "/dev/urandom"]
    return [*system, *devices, sys.prefix, sys.base_prefix, *(path for path in sys.path if path)]


def possible() -> dict[str, bool]:
    """What a worker on this machine would have, found out by a process that tries it."""
    command = [sys.executable, "-I", "-m", "eventctl.confinement", str(os.getpid())]
    told = subprocess.run(command, capture_output=True, check=False, env={}, timeout=30).stdout
    return {str(name): bool(had) for name, had in json.loads(told or "{}").items()}


def _namespaces(libc: Any) -> bool:
    """No uid is mapped, so nobody in there is anybody; the network has not even a loopback that is up."""
    return bool(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def _drop_capabilities(libc: Any) -> None:
    """Whoever makes a namespace of users is its master: a master could make more of them. Root loses what makes it root."""

    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    nothing = (ctypes.c_uint32 * 6)()
    libc.capset(ctypes.byref(Header(0x20080522, 0)), ctypes.byref(nothing))


_LIMITS = {
    "memory": (resource.RLIMIT_AS, None),
    "cpu": (resource.RLIMIT_CPU, CPU_S_MAX),
    "files": (resource.RLIMIT_NOFILE, FILES_MAX),
    "file_size": (resource.RLIMIT_FSIZE, FILE_BYTES_MAX),
    "core": (resource.RLIMIT_CORE, 0),
    "processes": (resource.RLIMIT_NPROC, PROCESSES_MAX),
}


def _limits(memory: int) -> dict[str, bool]:
    """Lower each limit, never raise one; whether the system took it."""
    had = {}
    for name, (number, most) in _LIMITS.items():
        wanted = memory if most is None else most
        _, hard = resource.getrlimit(number)
        wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(number, (wanted, wanted))
            had[name] = True
        except (ValueError, OSError):  # macOS takes no limit of memory
            had[name] = False
    return had


if __name__ == "__main__":
    print(json.dumps(confine(MEMORY_MAX, int(sys.argv[1]), os.getcwd())))  # noqa: PTH109, T201
