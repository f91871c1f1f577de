"""The terminal under the dashboard: told to end it, closed, or gone.

Textual puts the terminal back when its app ends. What it does not know are the ends that come from outside: SIGTERM, and the SIGHUP of
a terminal that was closed, on which every further write fails.
"""

from __future__ import annotations

import errno
import os
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from eventctl.tui.app import Dashboard


@contextmanager
def until_hung_up(app: Dashboard) -> Iterator[None]:
    """For as long as this block lasts, SIGTERM and SIGHUP leave the dashboard in good order."""

    def told(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            silence()
        app.leave_soon()

    ends = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, told) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def silence() -> None:
    """Let nothing go to, or come from, a terminal that is gone: an error while everything is put in order would leave it half done."""
    for handle in (0, 1, 2):
        if _gone(handle):
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, handle)
            os.close(nowhere)


def _gone(handle: int) -> bool:
    """Whether this is a terminal that hung up: asked for its settings, it fails. A pipe or a file is none and stays."""
    try:
        termios.tcgetattr(handle)
    except termios.error as error:
        return bool(error.args[0] != errno.ENOTTY)
    return False
