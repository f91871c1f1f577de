"""When nothing goes on any more in an app that is played. No clock is asked: a busy machine gives the same as an idle one.

The framework's own pilot waits until the process has used little of its processor for a while: 20 ms at the least, twice for a key
and once for a pause, and as long again as anything else runs beside it. Here it waits until the event loop has nothing left to do.
And the screen is painted when all is done, not every sixtieth of a second meanwhile; nothing on it is moved bit by bit.
"""

from __future__ import annotations

import asyncio
from functools import wraps
from typing import Any
from unicodedata import lookup
from weakref import WeakKeyDictionary

import pytest
from textual import events
from textual._context import active_app
from textual.app import App
from textual.css.stylesheet import Stylesheet
from textual.keys import REPLACED_KEYS, _character_to_key, _get_unicode_name_from_key
from textual.pilot import Pilot
from textual.screen import Screen

BATCH_S = 0.05
"""What the framework puts off by so many seconds, to do several at once, is waited for: another size, a screen that comes in front."""

SOON_S = 0.15
"""And what the dashboard puts off until somebody has stopped typing or going down a list."""

NEVER_S = 86_400.0


async def idle() -> None:
    """Let run whatever can run now. What is left waits for a clock, a thread, or the next key."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # no other way to see that nobody's turn has come
    while True:
        await asyncio.sleep(0)
        if not ready:
            return


async def painted(app: App[Any]) -> None:
    """Let run what can run now, and paint what it has changed."""
    while await _idle(app):
        if soon := _put_off(app, BATCH_S):
            await asyncio.wait(soon)
        elif not _paint(app.screen):
            return


async def settled(app: App[Any]) -> None:
    """Wait until nothing is being read, moved or painted. Work that was given up for other work is waited for as well."""
    while await _idle(app):
        if under_way := _working(app) or _put_off(app, SOON_S):
            done, _ = await asyncio.wait(under_way, timeout=BATCH_S, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                _paint(app.screen)  # it may wait for that
        elif not _paint(app.screen):
            return


async def press(app: App[Any], key: str) -> None:
    """Press a key, and let run what it brings about. Nothing is painted: `settled` does that once, when all is read."""
    name = _character_to_key(key) if len(key) == 1 else key
    try:
        letter: str | None = lookup(_get_unicode_name_from_key(REPLACED_KEYS.get(name, name)))
    except KeyError:
        letter = key if len(key) == 1 else None
    app.post_message(events.Key(name, letter))
    await idle()


async def _idle(app: App[Any]) -> bool:
    """Let run what can run now. False when the app has ended."""
    await idle()
    return app.is_running and bool(app.screen_stack)


def _working(app: App[Any]) -> list[asyncio.Task[Any]]:
    tasks = [worker._task for worker in app.workers if worker.group != "forever"]
    return [task for task in tasks if task is not None and not task.done()]


def _put_off(app: App[Any], seconds: float) -> list[asyncio.Task[Any]]:
    """What waits for a clock to be done once, and not for longer than this."""
    timers = [timer for part in (app, *app._registry) for timer in part._timers if timer._repeat == 0]
    tasks = [timer._task for timer in timers if timer._interval <= seconds and timer._active.is_set()]
    return [task for task in tasks if task is not None and not task.done()]


def _paint(screen: Screen[Any]) -> bool:
    """Do now what the screen would do at its next beat. False when there is nothing to do."""
    wanted = bool(
        screen._layout_required
        or screen._scroll_required
        or screen._repaint_required
        or screen._recompose_required
        or screen._dirty_widgets
        or screen._callbacks
    )
    if wanted:
        screen._on_timer_update()
    return wanted


def patched(patch: pytest.MonkeyPatch) -> None:
    """Let every pilot wait in this way."""

    async def after_a_key(*_: float) -> None:
        await painted(active_app.get())

    async def after_all(self: Pilot[Any], *_: float) -> bool:
        await painted(self.app)
        return self.app._exception is None

    patch.setattr("textual.pilot.wait_for_idle", after_a_key)
    patch.setattr("textual.app.wait_for_idle", after_a_key)
    patch.setattr("textual.constants.TEXTUAL_ANIMATIONS", "none")
    patch.setattr("textual.screen.UPDATE_PERIOD", NEVER_S)
    patch.setattr(Pilot, "_wait_for_screen", after_all)


def parsed_once(patch: pytest.MonkeyPatch) -> None:
    """Let no style be parsed twice in a process for the same colours, whichever app it is for."""
    kept: dict[tuple[tuple[str, str], ...], dict[object, Any]] = {}
    own: WeakKeyDictionary[Stylesheet, tuple[dict[str, str], dict[object, Any]]] = WeakKeyDictionary()
    parse = Stylesheet._parse_rules

    @wraps(parse)
    def once(self: Stylesheet, css: str, **where: Any) -> Any:
        variables, parsed = own.get(self, (None, {}))
        if variables is not self._variables:
            parsed = kept.setdefault(tuple(self._variables.items()), {})
            own[self] = self._variables, parsed
        key = (css, *where.values())
        if key not in parsed:
            parsed[key] = parse(self, css, **where)
        return parsed[key]

    patch.setattr(Stylesheet, "_parse_rules", once)
