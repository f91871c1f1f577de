"""What a cartridge can do to the machine, tier by tier: found out by one that tries it, and the table in docs/isolation.md is that.

In this process it can do whatever the account can, and the table says so. What a worker may do depends on the kernel; where it has all
that `eventctl doctor` asks it for, the table has to hold to the letter. Nothing that is tried does any harm where it succeeds: it may be
root who runs this (a mount is of a kind that there is not, and only who may mount at all is told so).
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from eventctl import confinement
from tests.flowkit import plan
from tests.workerkit import Apart, coded, workers

DOC = Path(__file__).parent.parent / "docs" / "isolation.md"
TRIES = {
    "read the environment's secrets": "found = 'EVENTCTL_PROBE' in os.environ",
    "read the runner's environment in /proc": "found = b'=' in open(f'/proc/{PARENT}/environ', 'rb').read()",
    "read its own first environment in /proc": "found = b'PATH=' in open('/proc/self/environ', 'rb').read()",
    "read /etc/passwd": "open('/etc/passwd').read()",
    "list the home folder": "os.listdir(os.path.expanduser('~') if 'HOME' in os.environ else '/root')",
    "list the root folder": "os.listdir('/')",
    "read the workspace's settings": "open(ROOT + '/eventctl.toml').read()",
    "open the database": "sqlite3.connect(ROOT + '/state.db').execute('SELECT * FROM secret').fetchall()",
    "write the database": "db = sqlite3.connect(ROOT + '/state.db'); db.execute('INSERT INTO secret VALUES (2)'); db.commit()",
    "write a file in the workspace": "open(ROOT + '/planted', 'w').write('x')",
    "write a file in /tmp": "open('/tmp/eventctl-probe', 'w').write('x'); os.unlink('/tmp/eventctl-probe')",
    "delete a file of the workspace": "os.unlink(ROOT + '/victim')",
    "make a link out of its folder and read through it": "os.symlink('/etc/passwd', 'way-out'); open('way-out').read()",
    "change the runner's working directory": "os.chdir('/'); found = os.getcwd() == '/' and os.getpid() == RUNNER",
    "write in a folder of its own": "open('own', 'w').write('x'); found = OWN",
    "import a library of Python": "import decimal",
    "import what eventctl is made of": "import eventctl.store",
    "find the runner's objects in memory": "import gc; found = any(type(o).__name__ == 'Apart' for o in gc.get_objects())",
    "change code of the runner": "import eventctl.times; eventctl.times.PROBED = 1; found = os.getpid() == RUNNER",
    "read what is open in the runner": "found = any(os.path.exists(f'/proc/self/fd/{n}') and ROOT in os.readlink(f'/proc/self/fd/{n}') for n in range(256))",
    "connect to a TCP port of this machine": "socket.create_connection(('127.0.0.1', PORT), 1).close()",
    "listen on a TCP port": "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.close()",
    "send a UDP packet": "s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b'x', ('127.0.0.1', PORT)); s.close()",
    "connect to a socket in the file system": "s = socket.socket(socket.AF_UNIX); s.connect(ROOT + '/sock'); s.close()",
    "resolve a name": "socket.getaddrinfo('localhost', 80)",
    "open a raw socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()",
    "fork": "p = os.fork()\nif p == 0: os._exit(0)\nos.waitpid(p, 0)",
    "start a thread": "t = threading.Thread(target=int); t.start(); t.join()",
    "run a program": "subprocess.run(['/bin/true'], check=True)",
    "become another program": "if os.getpid() != RUNNER: os.execv('/bin/true', ['true'])",
    "send the runner a signal": "os.kill(PARENT, 0)",
    "send process 1 a signal": "os.kill(1, 0)",
    "set a limit of the runner": "import resource as r; r.prlimit(PARENT, r.RLIMIT_CORE, r.prlimit(PARENT, r.RLIMIT_CORE))",
    "choose the processor of the runner": "os.sched_setaffinity(PARENT, os.sched_getaffinity(PARENT))",
    "change the mode of a file of the workspace": "os.chmod(ROOT + '/eventctl.toml', 0o644)",
    "change the times of a file of the workspace": "os.utime(ROOT + '/eventctl.toml')",
    "make a pair of sockets": "[s.close() for s in socket.socketpair()]",
    "trace the runner": "if ctypes.CDLL(None).ptrace(16, PARENT, 0, 0) and PARENT != os.getpid(): raise OSError",
    "call C through ctypes": "ctypes.CDLL(None).getpid()",
    "hold 1 GB of memory": "held = mmap.mmap(-1, 1 << 30); found = True; held.close()",
    "write a file of 64 MB": "f = open('large', 'wb')\nfor _ in range(64): f.write(bytes(1 << 20))\nf.close(); os.unlink('large')",
    "open a thousand files": "fs = [os.open('/dev/null', 0) for _ in range(1000)]; [os.close(f) for f in fs]",
    "raise its own limits": "import resource as r; h = r.getrlimit(r.RLIMIT_NOFILE); r.setrlimit(r.RLIMIT_NOFILE, (h[1] + 1, h[1] + 1)); r.setrlimit(r.RLIMIT_NOFILE, h)",
    "mount a file system": "ctypes.CDLL(None, use_errno=True).mount(b'none', ROOT.encode(), b'no-such-kind', 0, None); found = ctypes.get_errno() == errno.ENODEV",
    "make namespaces of its own": (
        "if os.getpid() != RUNNER:\n    found = ctypes.CDLL(None).unshare(1 << 28) == 0\n"
        "else:\n    p = os.fork()\n    if p == 0: os._exit(ctypes.CDLL(None).unshare(1 << 28) != 0)\n"
        "    found = os.waitpid(p, 0)[1] == 0"
    ),
    "read the clock": "time.time()",
}
PROBE = """
import ctypes, errno, gc, mmap, os, socket, sqlite3, subprocess, sys, threading, time
ROOT, PORT, RUNNER = {root!r}, {port}, {runner}
OWN = os.getcwd() != {cwd!r}
PARENT = RUNNER
async def process(event, context):
    said = {{}}
    for name, text in event.payload["tries"].items():
        place = dict(globals(), found=True)
        at = os.getcwd()
        try:
            exec(text, place)
            said[name] = "yes" if place["found"] else "no"
        except BaseException as error:
            said[name] = "no"
        os.chdir(at)
    context.annotate("probe", said)
    return event
"""
ROOTS = {"open a raw socket", "mount a file system", "send process 1 a signal", "raise its own limits", "list the home folder"}
"""What depends on whether the account is root, in this process: the table is about an ordinary one."""


def tried(root: Path, runs: str, port: int, *, only: Sequence[str] = tuple(TRIES)) -> dict[str, str]:
    text = PROBE.format(root=str(root), port=port, runner=os.getpid(), cwd=str(Path.cwd()))
    with workers(limit_s=20) as made:
        world = Apart(plan(coded("probe", text, runs=runs)), made)
        seq = world.send(tries={name: TRIES[name] for name in only})
        world.settle()
        assert {} == world.states(), world.exception(seq)
        return world.annotations(seq)["probe"]


@pytest.fixture
def stage(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENTCTL_PROBE", "secret")
    (tmp_path / "eventctl.toml").write_text("")
    db = sqlite3.connect(tmp_path / "state.db")
    db.execute("CREATE TABLE secret (n INTEGER)")
    db.commit()
    db.close()
    held = (tmp_path / "held").open("w")
    server, named = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)
    named.bind("sock")
    named.listen()
    yield tmp_path, server.getsockname()[1]
    for each in (held, server, named):
        each.close()


def told() -> dict[str, tuple[str, str]]:
    """The table of the document."""
    rows = [line.strip("| \n").split(" | ") for line in DOC.read_text().splitlines() if line.startswith("| ")]
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3 and row[0] in TRIES}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.skipif(sys.platform != "linux", reason="the table is about Linux")
def test_the_table_in_the_document_is_what_a_cartridge_finds_out(stage):
    root, port = stage
    found = {}
    for runs in ("in-process", "worker"):
        (root / "victim").write_text("")
        (root / "planted").unlink(missing_ok=True)
        found[runs] = tried(root, runs, port)
    print("\n| what a cartridge tries | in-process | worker |\n|---|---|---|")
    for name in TRIES:
        print(f"| {name} | {found['in-process'][name]} | {found['worker'][name]} |")
    table = told()
    assert set(TRIES) == set(table)
    missing = [name for name, had in confinement.possible().items() if not had]
    for name, (here, there) in table.items():
        if name not in ROOTS:
            assert here == found["in-process"][name], name
        if not missing:
            assert there == found["worker"][name], name
    assert len(TRIES) >= 30


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_a_probe_that_nothing_holds_back_is_seen_to_get_through(stage, monkeypatch):
    """The control: without what confines it, a worker does what this process does, and the table would be wrong."""
    from eventctl import workerlink

    (stage[0] / "victim").write_text("")
    text = "from eventctl import confinement; confinement.confine = lambda *_: {}\nimport sys; from eventctl.worker_process import main; main(sys.argv[1:])"
    (stage[0] / "loose.py").write_text(text)
    real = workerlink.subprocess.Popen

    def loose(command, **given):
        return real([command[0], "-I", str(stage[0] / "loose.py"), *command[4:]], **given)

    monkeypatch.setattr(workerlink.subprocess, "Popen", loose)
    names = ("open the database", "fork", "run a program", "read /etc/passwd", "connect to a TCP port of this machine")
    assert dict.fromkeys(names, "yes") == tried(stage[0], "worker", stage[1], only=names)


def test_what_a_worker_has_is_known_without_starting_one():
    had = confinement.possible()
    assert had["core"]
    if sys.platform == "linux":
        assert had["dies_with_parent"]
        assert had["no_new_privs"]
