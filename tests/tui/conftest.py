"""Workspaces for the dashboard's tests: those of the command line's, so that both faces are held to the same, and a busy one."""

import gc
import shutil

import pytest

from tests.cli.conftest import CLEAN, Face, env
from tests.tui import busy as full
from tests.tui import inboxkit, quiet

__all__ = ["env"]


@pytest.fixture(scope="session", autouse=True)
def once():
    """What is the same for every app that is opened is done once: styles are parsed, and what is read in is looked through for garbage."""
    gc.collect()
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        quiet.parsed_once(patch)
        yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Nobody waits for a clock: see `quiet`."""
    quiet.patched(monkeypatch)


def fresh(root, env):
    """A fresh workspace whose admin is ada."""
    face = Face(root, env)
    face("init", "--name", "test")
    return face


MAKERS = {"fresh": fresh, "furnished": lambda root, env: inboxkit.furnish(fresh(root, env)), "busy": full.make}


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """A workspace of a kind, made once for all tests. Nobody touches it: they have copies."""
    kept = {}

    def get(kind):
        if kind not in kept:
            folder = tmp_path_factory.mktemp(kind)
            home = folder / "home"
            home.mkdir()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("eventctl.starter.SHIPPED", ())
                kept[kind] = MAKERS[kind](folder / "made", {**CLEAN, "HOME": str(home), "TZ": "UTC", "EVENTCTL_MEMBER": "ada"})
        return kept[kind]

    return get


@pytest.fixture
def copied(shelf, tmp_path, env):
    """A copy of a workspace of a kind, as it was left, for one test."""

    def copy(kind, name="desk"):
        face = shelf(kind)
        shutil.copytree(face.root, tmp_path / name)
        return Face(tmp_path / name, env, face.now)

    return copy


@pytest.fixture
def face(copied):
    """A fresh workspace whose admin is ada."""
    return copied("fresh")


@pytest.fixture
def furnished(copied):
    """A small inbox: see `inboxkit.furnish`."""
    return copied("furnished")


@pytest.fixture
def busy(copied):
    """A workspace with everything in it, at noon: see `tests/tui/busy.py`."""
    return copied("busy", "busy")
