"""eventctl: one durable log, one pipeline, one inbox for everything that happens while you are not looking.

What a cartridge or a program needs stands here: `from eventctl import Context, Event`, and `eventctl.open(path)`. Names are looked
up when they are asked for; `import eventctl` loads nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventctl.app import Workspace, open
    from eventctl.contracts import Answer, CallFailed, CartridgeSpec, Context, Executor, Request
    from eventctl.errors import EventctlError
    from eventctl.event import Event, Level, Visibility
    from eventctl.hookspecs import hookimpl

__version__ = "0.1.0"

_HOMES = {
    "Answer": "contracts", "CallFailed": "contracts", "CartridgeSpec": "contracts", "Context": "contracts",
    "Event": "event", "EventctlError": "errors", "Executor": "contracts", "Level": "event", "Request": "contracts",
    "Visibility": "event", "Workspace": "app", "hookimpl": "hookspecs", "open": "app",
}  # fmt: skip

__all__ = [
    "Answer", "CallFailed", "CartridgeSpec", "Context", "Event", "EventctlError", "Executor", "Level", "Request", "Visibility",
    "Workspace", "hookimpl", "open",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'eventctl' has no attribute {name!r}")
    return getattr(import_module(f"eventctl.{home}"), name)
