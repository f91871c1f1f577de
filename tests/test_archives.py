"""What usual programs pack is read as it was packed. What hostile ones do is in `tests/attacks`."""

from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from eventctl import archives
from eventctl.errors import NotFound
from eventctl.package import BadPackage
from tests.attacks.forge import folder

FILES = {**folder(), "README.md": b"# Watches\n", "examples/one.toml": b"", "examples/two.toml": b"x = 1\n" * 5_000}


@pytest.fixture
def packed(tmp_path) -> Path:
    """A folder `night-watch` with the files."""
    for name, content in FILES.items():
        (tmp_path / "night-watch" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "night-watch" / name).write_bytes(content)
    return tmp_path / "night-watch"


def test_a_folder_is_read_as_it_stands(packed):
    assert FILES == archives.read(packed)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz"])
@pytest.mark.parametrize("inside", ["night-watch", "."])
def test_what_tarfile_packs_is_read(packed, form, name, inside):
    file = packed.parent / name
    with tarfile.open(file, "w" if name == "a.tar" else "w:gz", format=form) as archive:
        archive.add(packed, inside)
    assert FILES == archives.read(file)


@pytest.mark.parametrize("how", [["--format=gnu"], ["--format=pax"], ["--format=ustar"], ["--format=pax", "-z"]])
def test_what_tar_packs_is_read(packed, how):
    file = packed.parent / ("a.tar.gz" if "-z" in how else "a.tar")
    subprocess.run(["tar", *how, "-C", packed.parent, "-cf", file, "night-watch"], check=True)
    assert FILES == archives.read(file)


class Pipe(io.RawIOBase):
    """A file that cannot be gone back in: what packs into it writes sizes behind the data."""

    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.written += bytes(data)
        return len(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("piped", [False, True])
def test_what_zipfile_packs_is_read(packed, method, piped):
    pipe = Pipe()
    with zipfile.ZipFile(pipe if piped else packed.parent / "a.zip", "w", method) as archive:
        for path in sorted(packed.rglob("*")):
            archive.write(path, path.relative_to(packed.parent))
    if piped:
        (packed.parent / "a.zip").write_bytes(pipe.written)
    assert FILES == archives.read(packed.parent / "a.zip")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar"])
def test_what_git_packs_is_read_with_the_commit_that_it_writes(packed, name):
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@y", "-C", packed]
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["commit", "-qm", "x"],
        ["archive", "--prefix=night-watch-1/", "-o", packed.parent / name, "HEAD"],
    ):
        subprocess.run([*git, *words], check=True)
    assert FILES == archives.read(packed.parent / name)


def test_a_wheel_brings_the_folder_with_the_manifest_and_nothing_else(packed):
    file = packed.parent / "night_watch-1-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"night_watch/{name}", content)
        archive.writestr("night_watch/__init__.py", "")
        archive.writestr("night_watch-1.dist-info/METADATA", "Name: night-watch\n")
    assert FILES == archives.read(file)


def test_a_file_comes_with_its_examples(packed):
    (packed / "x.py").write_text("1")
    (packed / "x.examples.toml").write_text("2")
    (packed / "x.examples").mkdir()
    (packed / "x.examples/a.toml").write_text("3")
    (packed / "y.py").write_text("4")
    assert {"x.py": b"1", "x.examples.toml": b"2", "x.examples/a.toml": b"3"} == archives.read(packed / "x.py")
    assert {"y.py": b"4"} == archives.read(packed / "y.py")


def test_the_way_to_a_package_may_go_through_a_link(packed):
    (packed.parent / "way").symlink_to(packed)
    (packed / "x.py").write_text("1")
    assert {"x.py": b"1"} == archives.read(packed.parent / "way/x.py")
    with pytest.raises(BadPackage, match="is a link"):
        archives.read(packed.parent / "way")


@pytest.mark.parametrize("name", ["nothing", "nothing.zip", "nothing/at.all"])
def test_what_is_not_there_is_not_found(tmp_path, name):
    with pytest.raises(NotFound):
        archives.read(tmp_path / name)


def test_a_file_of_another_kind_is_told_what_a_package_is(tmp_path):
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    with pytest.raises(BadPackage, match="is no package") as refused:
        archives.read(tmp_path / "x.rar")
    assert ".tar.gz" in refused.value.hint
