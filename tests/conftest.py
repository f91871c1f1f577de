"""What every test runs under."""

from __future__ import annotations

import signal

# Started in the background of a script, a process inherits that interrupts are ignored, and so does all that it starts; the tests of
# what Ctrl-C, the quit key and a closed terminal do would wait for nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)

pytest_plugins = ("pytester",)
