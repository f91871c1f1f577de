"""What eventctl itself brings, through the hooks that every plugin has."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from eventctl import catalog
from eventctl.contracts import Executor
from eventctl.executors import CommandExecutor, LogExecutor
from eventctl.hookspecs import hookimpl


class Builtin:
    """The plugin `eventctl`. `env` is what commands may see of, `log` where the `log` executor writes, `root` where commands run."""

    def __init__(self, env: Mapping[str, str], log: logging.Logger, root: str | None = None) -> None:
        self._env = env
        self._log = log
        self._root = root

    @hookimpl
    def eventctl_register_event_types(self) -> list[dict[str, Any]]:
        return catalog.shipped_parts()

    @hookimpl
    def eventctl_register_executors(self) -> list[Executor]:
        return [CommandExecutor(self._env, self._root), LogExecutor(self._log)]
