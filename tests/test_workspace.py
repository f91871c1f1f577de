"""The folder of a workspace: found, private, locked by the kernel, never on a network file system."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import eventctl
from eventctl import starter, workspace
from eventctl.errors import Misconfigured, NotFound, Unavailable
from eventctl.workspace import Paths

MOUNTS = """\
/dev/vda1 / ext4 rw,relatime 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
tmpfs /home/ada/ram tmpfs rw 0 0
//box/share /mnt/my\\040share cifs rw 0 0
"""
MOUNTS_MAC = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//ada@box/share on /Volumes/share (smbfs, nodev, nosuid, mounted by ada)
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "eventctl.toml").write_text("")
    found = Paths(tmp_path.resolve())
    workspace.prepare(found)
    return found


def test_the_nearest_folder_upwards_is_found(paths: Paths) -> None:
    deep = paths.root / "a" / "b"
    deep.mkdir(parents=True)
    assert paths == workspace.find(deep, {"HOME": "/nonexistent"})


def test_a_named_workspace_comes_before_the_nearest(paths: Paths, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "eventctl.toml").write_text("")
    assert Paths(other) == workspace.find(paths.root, {"EVENTCTL_WORKSPACE": str(other)})


def test_the_default_workspace_is_the_last_resort(paths: Paths, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    data = tmp_path_factory.mktemp("data")
    usual = data / "eventctl" / "workspace"
    usual.mkdir(parents=True)
    (usual / "eventctl.toml").write_text("")
    assert Paths(usual) == workspace.find(elsewhere, {"XDG_DATA_HOME": str(data)})


def test_no_workspace_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as missing:
        workspace.find(tmp_path, {"HOME": str(tmp_path)})
    assert "eventctl init" in missing.value.hint


def test_the_state_is_private_whatever_the_umask(tmp_path: Path) -> None:
    found = Paths(tmp_path)
    before = os.umask(0)
    try:
        workspace.prepare(found)
        found.db.write_bytes(b"")
    finally:
        os.umask(before)
    workspace.prepare(found)
    assert 0o700 == found.state_dir.stat().st_mode & 0o777
    assert {0o600} == {file.stat().st_mode & 0o777 for file in found.state_dir.iterdir()}


def test_the_state_stays_out_of_git(paths: Paths) -> None:
    assert "*\n" == (paths.state_dir / ".gitignore").read_text()


@pytest.mark.parametrize(
    ("folder", "kind", "mounts"),
    [
        ("/srv/x", "ext4", MOUNTS),
        ("/home/ada", "nfs4", MOUNTS),
        ("/home/ada/ram/x", "tmpfs", MOUNTS),
        ("/homes", "ext4", MOUNTS),
        ("/mnt/my share/x", "cifs", MOUNTS),
        ("/Users/ada", "apfs", MOUNTS_MAC),
        ("/Volumes/share/x", "smbfs", MOUNTS_MAC),
    ],
)
def test_the_file_system_is_the_one_of_the_longest_mount(folder: str, kind: str, mounts: str) -> None:
    assert kind == workspace.filesystem(Path(folder), mounts)


def test_a_network_file_system_is_refused_with_78() -> None:
    with pytest.raises(Misconfigured, match="nfs4") as refused:
        workspace.refuse_network(Path("/home/ada"), MOUNTS)
    assert 78 == refused.value.exit_code


def test_this_machine_names_its_file_systems(tmp_path: Path) -> None:
    assert workspace.filesystem(tmp_path, workspace._mounts())


def test_a_second_runner_is_told_who_holds_the_workspace(paths: Paths) -> None:
    with workspace.running(paths), pytest.raises(Unavailable, match=str(os.getpid())) as refused, workspace.running(paths):
        pass
    assert 69 == refused.value.exit_code


def test_a_killed_holder_lets_go(paths: Paths) -> None:
    code = f"""
from pathlib import Path
import eventctl
from eventctl import starter, workspace
with workspace.running(workspace.Paths(Path({str(paths.root)!r}))):
    print("held", flush=True); input()
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout
        assert b"held\n" == holder.stdout.readline()
        assert workspace.held(paths)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert not workspace.held(paths)
    with workspace.running(paths):
        pass


def test_a_short_path_keeps_its_socket_beside_the_store(paths: Paths) -> None:
    found = Paths(Path("/srv/w")).socket({})
    assert Path("/srv/w/.eventctl/run.sock") == found


def test_a_long_path_gets_a_short_private_socket(tmp_path: Path) -> None:
    runtime = Path(f"/tmp/eventctl-test-{os.getpid()}")
    runtime.mkdir(mode=0o700)
    try:
        found = Paths(tmp_path / ("x" * 120)).socket({"XDG_RUNTIME_DIR": str(runtime)})
        assert runtime / "eventctl" == found.parent
        assert 0o700 == found.parent.stat().st_mode & 0o777
        assert len(os.fsencode(found)) <= workspace.SOCKET_BYTES_MAX
        found.parent.chmod(0o755)
        with pytest.raises(Misconfigured, match="private"):
            Paths(tmp_path / ("x" * 120)).socket({"XDG_RUNTIME_DIR": str(runtime)})
    finally:
        (runtime / "eventctl").rmdir()
        runtime.rmdir()


def test_two_long_paths_have_two_sockets(tmp_path: Path) -> None:
    one, two = (Paths(tmp_path / (letter * 120)).socket({}) for letter in "ab")
    assert one != two


def test_nobody_runs_a_workspace_on_a_network_file_system_unknowingly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starter.make(tmp_path, name="tests", member="ada")
    monkeypatch.setattr(workspace, "_mounts", lambda: "server:/homes / nfs4 rw 0 0\n")
    with eventctl.open(tmp_path) as ws, pytest.raises(Misconfigured, match="network file system") as refused:
        ws.run_until_idle()
    assert "--i-know" in refused.value.hint
    with eventctl.open(tmp_path, i_know=True) as ws:
        assert ws.run_until_idle()
