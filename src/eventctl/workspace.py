"""The folder that holds a workspace: where it is, what stands in it, and who may write.

    eventctl.toml            what people write
    .eventctl/               ours, 0700; everything in it 0600
        state.db             the store
        run.json             who runs here now: pid, socket, nonce
        runner.lock          held by the one runner (its pid is inside)
        writer.lock          held by a short writer while its connection is open
        breadcrumb           which cartridge the runner is in (memory-mapped)
        crash                where a dying runner leaves its traceback
        reserve              bytes that are given back when the disk is full

A lock is `flock`: the kernel lets go when the holder dies, so a leftover file means nothing. SQLite's write-ahead log needs
shared memory, therefore a network file system is refused.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eventctl.errors import Misconfigured, NotFound, StorageFailed, Unavailable

CONFIG = "eventctl.toml"
STATE = ".eventctl"
NETWORK_FILESYSTEMS = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "9p", "afs", "afpfs", "ceph", "glusterfs", "lustre", "beegfs",
        "davfs", "webdav", "vboxsf", "prl_fs", "macfuse", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.gvfsd-fuse",
        "fuse.davfs", "fuse.glusterfs",
    }
)  # fmt: skip
SOCKET_BYTES_MAX = 100  # sun_path holds 104 bytes on macOS and 108 on Linux, the closing zero included


@dataclass(frozen=True, slots=True)
class Paths:
    """The files of one workspace. `root` is absolute."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / CONFIG

    @property
    def state_dir(self) -> Path:
        return self.root / STATE

    @property
    def db(self) -> Path:
        return self.state_dir / "state.db"

    @property
    def run(self) -> Path:
        return self.state_dir / "run.json"

    @property
    def runner_lock(self) -> Path:
        return self.state_dir / "runner.lock"

    @property
    def writer_lock(self) -> Path:
        return self.state_dir / "writer.lock"

    @property
    def breadcrumb(self) -> Path:
        return self.state_dir / "breadcrumb"

    @property
    def crash(self) -> Path:
        return self.state_dir / "crash"

    @property
    def reserve(self) -> Path:
        return self.state_dir / "reserve"

    def socket(self, env: Mapping[str, str]) -> Path:
        """Where the append socket goes: beside the store, or in the runtime or temporary directory when that path is too long.

        The answer is the same for everyone with the same `env`; clients read the place from `run.json` all the same. A directory
        made for it is 0700 and ours, else `Misconfigured` is raised.
        """
        here = self.state_dir / "run.sock"
        if len(os.fsencode(here)) <= SOCKET_BYTES_MAX:
            return here
        import hashlib  # 13 ms, and only for a deep folder

        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        runtime = env.get("XDG_RUNTIME_DIR")
        if runtime:
            folder = Path(runtime) / "eventctl"
            if len(os.fsencode(folder)) + 22 <= SOCKET_BYTES_MAX:
                return _private(folder) / f"{name}.sock"
        # The path of TMPDIR may be too long itself; a folder in /tmp that is not ours and private is refused.
        return _private(Path("/tmp") / f"eventctl-{os.getuid()}") / f"{name}.sock"  # noqa: S108


def _private(folder: Path) -> Path:
    """`folder`, made 0700; refused when it is somebody else's or a link."""
    folder.mkdir(mode=0o700, exist_ok=True)
    stat = folder.lstat()
    if folder.is_symlink() or stat.st_uid != os.getuid() or stat.st_mode & 0o077:
        raise Misconfigured("the directory for the socket is not private to this user", where=str(folder), hint="remove it")
    return folder


def find(start: Path, env: Mapping[str, str]) -> Paths:
    """The workspace that `start` belongs to.

    `EVENTCTL_WORKSPACE`, else the nearest folder upwards with an `eventctl.toml`, else the user's default workspace.
    Raises `NotFound` with what to type.
    """
    named = env.get("EVENTCTL_WORKSPACE")
    if named:
        return at(Path(named).expanduser())
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / CONFIG).exists():
            return Paths(folder)
    usual = default(env)
    if (usual / CONFIG).exists():
        return Paths(usual)
    raise NotFound("no workspace here or above", where=str(start), hint="make one with `eventctl init`, or name one with -w")


def at(folder: Path) -> Paths:
    """The workspace in exactly this folder. Raises `NotFound`."""
    folder = folder.resolve()
    if not (folder / CONFIG).exists():
        raise NotFound(
            f"no workspace in this folder: it has no {CONFIG}", where=str(folder), hint="make one with `eventctl init`"
        )
    return Paths(folder)


def default(env: Mapping[str, str]) -> Path:
    """The user's default workspace, whether it exists or not."""
    data = env.get("XDG_DATA_HOME")
    return (Path(data) if data else Path(env.get("HOME", "~")).expanduser() / ".local/share") / "eventctl" / "workspace"


def prepare(paths: Paths, *, i_know: bool = False) -> None:
    """Make the state directory, or tighten it: 0700, files 0600, kept out of git. `i_know` allows a network file system."""
    if not i_know:
        refuse_network(paths.root)
    paths.state_dir.mkdir(mode=0o700, exist_ok=True)
    if paths.state_dir.stat().st_mode & 0o077:
        paths.state_dir.chmod(0o700)
    for file in paths.state_dir.iterdir():
        if file.is_file() and file.stat().st_mode & 0o077:
            file.chmod(0o600)
    ignore = paths.state_dir / ".gitignore"
    if not ignore.exists():
        os.close(os.open(ignore, os.O_CREAT | os.O_WRONLY, 0o600))
        ignore.write_text("*\n")


def refuse_network(folder: Path, mounts: str | None = None) -> None:
    """Raise `Misconfigured` when `folder` lies on a network file system. `mounts` is a mount table (default: this machine's)."""
    kind = filesystem(folder, _mounts() if mounts is None else mounts)
    if kind in NETWORK_FILESYSTEMS:
        raise Misconfigured(
            f"a workspace cannot live on a network file system ({kind}): its database needs shared memory",
            where=str(folder),
            hint="put it on a local disk, or pass --i-know if only one machine ever opens it",
        )


def filesystem(folder: Path, mounts: str) -> str:
    """The file system type under `folder`, from a mount table in the form of /proc/self/mounts or of macOS `mount`; "" unknown."""
    best, kind = "", ""
    target = os.path.realpath(folder)
    for line in mounts.splitlines():
        point, found = _mount(line)
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if point and inside and len(point) >= len(best):
            best, kind = point, found
    return kind


def _mount(line: str) -> tuple[str, str]:
    head, on, tail = line.partition(" on ")
    if on and " (" in tail:  # macOS: device on /point (type, options)
        point, _, options = tail.rpartition(" (")
        return point, options.rstrip(")").split(",")[0].strip()
    fields = head.split()
    return (fields[1].replace("\\040", " "), fields[2]) if len(fields) >= 3 else ("", "")


def _mounts() -> str:
    if sys.platform == "linux":
        return Path("/proc/self/mounts").read_text(errors="surrogateescape")
    import subprocess  # 20 ms, and only on macOS

    return subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False).stdout


@contextmanager
def running(paths: Paths, *, i_know: bool = False) -> Iterator[None]:
    """Prepare the workspace and hold `runner.lock` with our pid in it: the way in for all who run it, or replace its store.

    Raises `Unavailable` that names the holder, and `Misconfigured` on a network file system unless `i_know`.
    """
    prepare(paths, i_know=i_know)
    lock = _open(paths.runner_lock)
    try:
        if not _take(lock):
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            raise Unavailable(
                f"another runner holds this workspace (pid {holder})",
                where=str(paths.root),
                hint="stop it first, or leave it running: `eventctl emit` and `eventctl inbox` work beside it",
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(lock)


def held(paths: Paths) -> bool:
    """Whether a runner holds the workspace now."""
    if not paths.runner_lock.exists():
        return False
    lock = _open(paths.runner_lock)
    try:
        return not _take(lock)
    finally:
        os.close(lock)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        raise NotFound("the workspace has no state yet", where=str(path.parent), hint="`eventctl init` makes it") from None
    except OSError as error:
        raise StorageFailed(f"cannot open the lock: {error.strerror}", where=str(path)) from error


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
