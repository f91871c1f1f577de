"""What stands on a disk and is no plain file of its own, what changes while it is read, and names that are given to pip."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.attacks.attack import Attack, bad, laid
from tests.attacks.forge import GOOD, Member, canary, folder, gzip, tar_of, zip_of

BLOCK = '# /// cartridge\n# id = "night-watch"\n# summary = "x"\n# consumes = ["job.*"]\n# ///\n'
PIP = (
    "--index-url=http://127.0.0.1:9",
    "-r/etc/passwd",
    "../evil",
    "git+https://127.0.0.1/x",
    "x @ file:///tmp/x",
    "x;print(1)",
    "x\ny",
    "",
)


def beside(change: Callable[[Path, Path], None]) -> Callable[[Path, str, Path], Path]:
    """A folder with a cartridge, and what is done to it then."""

    def made(here: Path, evil: str, secret: Path) -> Path:
        laid(bad)(here, evil, secret)
        change(here / "package", secret)
        return here / "package"

    return made


def alone(name: str, change: Callable[[Path, Path], None]) -> Callable[[Path, str, Path], Path]:
    """A single thing of this name, made by `change`."""

    def made(here: Path, evil: str, secret: Path) -> Path:
        change(here / name, secret)
        return here / name

    return made


def _hard(package: Path, secret: Path) -> None:
    mine = package.parent / "mine"
    mine.write_text("x")
    os.link(mine, package / "README")


def _plugged(package: Path, secret: Path) -> None:
    before = Path.cwd()
    os.chdir(package)  # the name of a socket has 100 characters at most
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("README")
    finally:
        os.chdir(before)


def _linked_examples(file: Path, secret: Path) -> None:
    file.write_text(BLOCK + GOOD.format(slot="x"))
    (file.parent / "night-watch.examples.toml").symlink_to(secret)


def disks() -> Iterator[Attack]:
    yield Attack(
        "disk: a link to a secret", "is a link", beside(lambda package, secret: (package / "README").symlink_to(secret))
    )
    yield Attack(
        "disk: a link to a folder",
        "is a link",
        beside(lambda package, secret: (package / "examples").symlink_to(secret.parent)),
    )
    yield Attack(
        "disk: a link to nothing", "is a link", beside(lambda package, secret: (package / "README").symlink_to("nothing"))
    )
    yield Attack("disk: a hard link", "is a hard link", beside(_hard))
    yield Attack("disk: a pipe in a folder", "is a pipe", beside(lambda package, secret: os.mkfifo(package / "README")))
    yield Attack("disk: a socket in a folder", "is a socket", beside(_plugged))
    yield Attack(
        "disk: a name that is no text",
        "control characters",
        beside(lambda package, secret: Path(os.fsdecode(os.fsencode(package) + b"/\xff\xfe.md")).write_bytes(b"")),
    )
    yield Attack("disk: a pipe as a file", "is a pipe", alone("night-watch.py", lambda file, secret: os.mkfifo(file)))
    yield Attack("disk: a pipe as an archive", "is a pipe", alone("a.tar.gz", lambda file, secret: os.mkfifo(file)))
    yield Attack(
        "disk: a link as the package", "is a link", alone("linked", lambda file, secret: file.symlink_to(secret.parent))
    )
    yield Attack("disk: a link as an archive", "is a link", alone("a.zip", lambda file, secret: file.symlink_to(secret)))
    yield Attack("disk: examples that are a link", "is a link", alone("night-watch.py", _linked_examples))
    yield Attack("disk: a device", "is no package", lambda here, evil, secret: Path("/dev/zero"))
    yield Attack("disk: nothing", "is not there", lambda here, evil, secret: here / "night-watch.py")


def _offered(files: dict[str, bytes]) -> Callable[[Path, str, Path], tuple[str]]:
    """Files in the folder that pip looks into, which is the current one as well; `{canary}` stands for its path."""

    def made(here: Path, evil: str, secret: Path) -> tuple[str]:
        for name, content in files.items():
            raw = content.replace(b"{canary}", evil.encode())
            (here / name).write_bytes(gzip(tar_of({"night-watch-1/setup.py": raw})) if name.endswith(".gz") else raw)
        return ("pip:night-watch",)

    return made


def _wheel(*more: Member) -> bytes:
    inside = [Member(f"night_watch/{name}", content) for name, content in folder().items()]
    described = (
        Member("night_watch-1.dist-info/METADATA", b"Metadata-Version: 2.1\nName: night-watch\nVersion: 1\n"),
        Member(
            "night_watch-1.dist-info/WHEEL", b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        Member("night_watch-1.dist-info/RECORD", b""),
    )
    return zip_of(*inside, *described, *more)


def packages() -> Iterator[Attack]:
    for name in PIP:
        words = "is pip:NAME or pip:NAME==VERSION"
        yield Attack(f"pip: {name.splitlines()[:1]}", words, lambda here, evil, secret, name=name: (f"pip:{name}",))
    setup = canary("{canary}").encode()
    yield Attack("pip: a source distribution", "the index has no wheel", _offered({"night-watch-1.tar.gz": setup}))
    yield Attack(
        "pip: a pip that lies around", "the index has no wheel", _offered({"pip.py": setup, "sitecustomize.py": setup})
    )
    evil = _wheel(Member("evil.pth", b"import os"))
    yield Attack("pip: a wheel with a .pth", "pip would put it elsewhere", _offered({"night_watch-1-py3-none-any.whl": evil}))
