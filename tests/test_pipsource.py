"""Packages by name: pip downloads a wheel from a folder here. Nothing of it is installed or run."""

from __future__ import annotations

import pytest

from eventctl import package, pipsource
from eventctl.errors import NotFound, Unavailable, UsageError
from eventctl.package import BadPackage
from tests.attacks.forge import Member, folder, zip_of


def wheel(name: str, version: str, *more: Member) -> bytes:
    info = f"{name}-{version}.dist-info"
    return zip_of(
        *(Member(f"{name}/{file}", content) for file, content in folder(version=f'"{version}"').items()),
        Member(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()),
        Member(f"{info}/WHEEL", b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        Member(f"{info}/RECORD", b""),
        *more,
    )


@pytest.fixture
def env(tmp_path) -> dict[str, str]:
    """An environment in which pip knows one folder and no index."""
    for version in ("1.0.0", "1.1.0"):
        (tmp_path / f"night_watch-{version}-py3-none-any.whl").write_bytes(wheel("night_watch", version))
    return {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}


@pytest.mark.parametrize(("source", "version"), [("pip:Night.Watch", "1.1.0"), ("pip:night-watch==1.0.0", "1.0.0")])
def test_a_wheel_is_fetched_and_read(env, source, version):
    files, origin = pipsource.fetch(source, env=env)
    assert (f"pip:night-watch=={version}", version) == (origin, package.of(files).manifest.version)


def test_a_version_that_there_is_not_is_not_found(env):
    with pytest.raises(NotFound, match="has no wheel") as failed:
        pipsource.fetch("pip:night-watch==9", env=env)
    assert "ask for a wheel" in failed.value.hint


def test_without_pip_it_says_how_to_get_it(env, tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "{python}: No module named pip" >&2\nexit 1\n')
    python.chmod(0o755)
    with pytest.raises(Unavailable, match="pip is not here") as failed:
        pipsource.fetch("pip:night-watch", env=env, python=str(python))
    assert "ensurepip" in failed.value.hint
    with pytest.raises(Unavailable, match="cannot be started"):
        pipsource.fetch("pip:night-watch", env=env, python=str(tmp_path / "nothing"))


def test_without_a_network_it_says_so(env):
    offline = {
        **env,
        "PIP_NO_INDEX": "",
        "PIP_FIND_LINKS": "",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "1",
    }
    with pytest.raises(Unavailable, match="cannot be reached"):
        pipsource.fetch("pip:night-watch", env=offline)


def test_a_pip_that_does_not_answer_is_not_waited_for(env, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    with pytest.raises(Unavailable, match=r"within 0.2 s"):
        pipsource.fetch("pip:night-watch", env=env, python=str(python), timeout_s=0.2)


@pytest.mark.parametrize(
    "brings", ["", "touch other-1-py3-none-any.whl", "touch night-watch-1.tar.gz", "mkdir x; touch night_watch-1.whl"]
)
def test_what_is_not_the_one_wheel_is_refused(env, tmp_path, brings):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{brings}\n")
    python.chmod(0o755)
    with pytest.raises(BadPackage, match="other than this one wheel"):
        pipsource.fetch("pip:night-watch", env=env, python=str(python))


@pytest.mark.parametrize(
    "source", ["pip:", "night-watch", "pip:-r x", "pip:a b", "pip:a==", "pip:a>=1", "pip:./a", "pip:a==1\n"]
)
def test_what_is_no_name_never_reaches_pip(env, source):
    with pytest.raises(UsageError):
        pipsource.fetch(source, env=env, python="/nowhere")


def test_pip_is_started_away_from_here(env, tmp_path, monkeypatch):
    (tmp_path / "pip.py").write_text(f"open({str(tmp_path / 'fired')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    assert "pip:night-watch==1.1.0" == pipsource.fetch("pip:night-watch", env=env)[1]
    assert not (tmp_path / "fired").exists()
