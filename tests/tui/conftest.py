"""Workspaces for the dashboard's tests: those of the command line's, so that both faces are held to the same, and a busy one."""

import pytest

from tests.cli.conftest import CLEAN, env, face
from tests.tui import busy as made

__all__ = ["busy", "busy_made", "env", "face"]


@pytest.fixture(scope="session")
def busy_made(tmp_path_factory):
    """The busy workspace, made once. Nobody touches it: `busy` is a copy."""
    root = tmp_path_factory.mktemp("made") / "busy"
    home = root.parent / "home"
    home.mkdir()
    made.make(root, {**CLEAN, "HOME": str(home), "TZ": "UTC", "EVENTCTL_MEMBER": "ada"})
    return root


@pytest.fixture
def busy(busy_made, tmp_path, env):
    """A workspace with everything in it, at noon: see `tests/tui/busy.py`."""
    return made.copied(busy_made, tmp_path, env)
