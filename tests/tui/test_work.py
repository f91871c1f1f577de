"""What is begun for a screen ends with it: nobody paints on what is gone, and nobody has to ask whether it is."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager

import pytest

from eventctl.tui.app import SCREENS
from eventctl.tui.detail.recordview import RecordView
from eventctl.tui.detail.screen import DetailRoom
from tests.tui.kit import play, settled


@asynccontextmanager
async def unread(app):
    """As long as this lasts, nothing is read: what asks for it waits."""
    go_on = threading.Event()

    async def hold() -> None:
        await app.desk.read(lambda _: go_on.wait(20))

    app.begin(hold, "hold")
    try:
        yield
    finally:
        go_on.set()


@pytest.mark.parametrize("mode", SCREENS)
def test_who_leaves_while_a_screen_is_read_is_left_alone(busy, mode):
    async def script(pilot, app):
        await app.run_action(f"go('{mode}')")
        app.reread()
        app.exit()
        await pilot.pause()

    play(busy, script)


@pytest.mark.parametrize("made", [lambda: RecordView(1, why=True), lambda: DetailRoom(1, why=True)], ids=["record", "detail"])
def test_what_is_read_for_a_screen_that_was_left_comes_to_nothing(busy, made):
    async def script(pilot, app):
        async with unread(app):
            screen = made()
            app.push_screen(screen)
            await pilot.pause()
            assert any(worker.group in ("record", "reading") for worker in app.workers)
            await app.pop_screen()
            assert not any(
                worker.node is screen or screen in worker.node.ancestors for worker in app.workers if worker.is_running
            )
        await settled(pilot)
        assert app.front is app.screen

    play(busy, script)


def test_nothing_is_begun_for_a_dashboard_that_is_gone(face):
    begun = []

    async def work() -> None:
        begun.append(1)

    async def script(pilot, app):
        assert app.begin(work, "work") is not None
        await settled(pilot)
        return app

    app = play(face, script)
    assert app.begin(work, "work") is None
    assert [1] == begun
