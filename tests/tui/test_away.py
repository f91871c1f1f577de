"""A workspace that goes away, or becomes another one, under an open dashboard."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Static

from eventctl.tui.app import Dashboard
from tests.tui.inboxkit import furnish, keys, room, told
from tests.tui.kit import play, press, settled


async def look(pilot: Pilot[int], app: Dashboard) -> None:
    """What a beat does."""
    await app.attempt(app.look)
    await settled(pilot)


def note(app: Dashboard) -> str:
    return str(room(app).query_one("#note", Static).render())


def test_a_workspace_that_is_gone_is_said_once_and_stays_said_on_the_screen(face):
    furnish(face)

    async def script(pilot: Pilot[int], app: Dashboard) -> None:
        shutil.rmtree(face.root)
        for _ in range(3):
            await look(pilot, app)
        assert 1 == len(told(app))
        assert "⚠ what is shown is old" in note(app)
        await press(pilot, "e", "2", "3", "4", "5", "6", "1")
        assert app.is_running
        assert "No such file or directory" in " ".join(told(app))

    play(face, script)


def test_what_could_not_be_read_is_read_as_soon_as_it_can_be(face):
    furnish(face)

    async def script(pilot: Pilot[int], app: Dashboard) -> None:
        aside = face.root.with_name("aside")
        face.root.rename(aside)
        await look(pilot, app)
        assert "⚠ what is shown is old" in note(app)
        aside.rename(face.root)
        await look(pilot, app)
        assert "what is shown is old" not in note(app)
        assert 6 == len(keys(app))

    play(face, script)


def test_a_restored_database_is_what_is_shown(face):
    furnish(face)
    face("backup")
    (backup,) = (face.root / ".eventctl" / "backups").glob("*.db")

    async def script(pilot: Pilot[int], app: Dashboard) -> None:
        await press(pilot, "e")
        assert 5 == len(keys(app))
        face("restore", "--yes", str(backup))
        await look(pilot, app)
        assert 6 == len(keys(app))

    play(face, script)


def test_a_reading_that_failed_is_made_up_for_at_the_next_beat(face, monkeypatch):
    furnish(face)

    async def script(pilot: Pilot[int], app: Dashboard) -> None:
        await look(pilot, app)
        face("inbox", "archive", "n1")
        with monkeypatch.context() as patch:
            patch.setattr(Path, "stat", _refused_after(2))
            await look(pilot, app)
        assert "n1" in keys(app)
        await look(pilot, app)
        assert "n1" not in keys(app)

    play(face, script)


def _refused_after(times: int):
    """A disk that answers so often, and then does not."""
    real, left = Path.stat, iter(range(times))

    def stat(path: Path, **more):
        if path.name == "state.db" and next(left, None) is None:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return real(path, **more)

    return stat
