"""Ctrl-C and Ctrl-\\ while a command of ours runs: whoever they were meant for gets them once.

The terminal sends them to everything in its foreground, so the command has them already; `kill` sends them to us alone, and then
they are passed on. Only the kernel knows which it was, and it tells a thread that waits for a signal and no handler.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress

KEYS = (signal.SIGINT, signal.SIGQUIT)
SI_KERNEL = 0x80
"""`si_code` of a signal that the terminal's driver has sent."""


class Interrupts:
    """Holds both signals back from this process, from now until `end`. What a caller had ignored (nohup) stays so."""

    def __init__(self) -> None:
        self._held = {number for number in KEYS if signal.getsignal(number) != signal.SIG_IGN}
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, self._held)
        self._thread: threading.Thread | None = None
        self._over = False

    def pass_to(self, pid: int) -> None:
        """Pass on to `pid` what was sent to us alone. What has come since the beginning counts too."""
        if self._held:
            self._thread = threading.Thread(target=self._wait, args=(pid,), name="interrupts", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Let them reach this process again."""
        self._over = True
        if self._thread is not None and self._thread.ident is not None:
            signal.pthread_kill(self._thread.ident, next(iter(self._held)))
            self._thread.join()
            self._thread = None
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def mask(self) -> set[signal.Signals | int]:
        """The signals that were held back before us: a command begins with those, and not with ours."""
        return set(self._before)

    def _wait(self, pid: int) -> None:
        while True:
            number, theirs = _next(self._held)
            if self._over:
                return
            if not theirs:
                with suppress(ProcessLookupError):  # it has ended in this moment
                    os.kill(pid, number)


def _next(numbers: set[signal.Signals]) -> tuple[int, bool]:
    """The next of these signals, and whether the terminal has sent it to everybody in front."""
    if sys.platform == "darwin":
        return signal.sigwait(numbers), _in_front()
    found = signal.sigwaitinfo(numbers)
    return found.si_signo, found.si_code == SI_KERNEL


def _in_front() -> bool:
    """Whether this process group has the terminal: the best guess where the kernel does not say who sent a signal."""
    try:
        terminal = os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
