"""What tests of the dashboard share: playing it without a terminal, waiting for it, and seeing what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from textual.pilot import Pilot

from eventctl.cli.session import Session
from eventctl.tui.app import Dashboard
from tests.cli.conftest import Face
from tests.tui import quiet

NARROW, USUAL, WIDE = (80, 24), (120, 40), (200, 50)
WAIT_S = 20.0
"""A busy machine takes its time; whoever waits longer than this waits for something that does not come."""

Script = Callable[[Pilot[int], Dashboard], Awaitable[Any]]


def play(face: Face, script: Script, *, size: tuple[int, int] = USUAL, **env: str) -> Any:
    """Open the dashboard over the workspace of `face`, at its time and for its member, and let `script` use it."""

    async def main() -> Any:
        session = Session(workspace=str(face.root), env={**face.env, **env}, now=lambda: face.now)
        app = Dashboard(session)
        async with app.run_test(size=size, tooltips=True, notifications=True) as pilot:
            await settled(pilot)
            try:
                return await script(pilot, app)
            finally:  # the screens are taken down under whoever still reads for them
                app.workers.cancel_all()

    return asyncio.run(main())


async def settled(pilot: Pilot[int]) -> None:
    """Wait until nothing is being read, moved or painted."""
    async with asyncio.timeout(WAIT_S):
        await quiet.settled(pilot.app)


async def press(pilot: Pilot[int], *keys: str) -> None:
    """Press keys, and wait after each for what it brings about."""
    for key in keys:
        await quiet.press(pilot.app, key)
        await settled(pilot)


async def typed(pilot: Pilot[int], text: str) -> None:
    """Type a text, letter by letter."""
    for letter in text:
        await quiet.press(pilot.app, letter)
    await settled(pilot)


def shown(app: Dashboard) -> str:
    """The letters on the screen, line by line, as a terminal has them."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())
