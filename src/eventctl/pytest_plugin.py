"""The fixtures of the kit, for pytest. Nothing of eventctl is imported before a test asks for one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from eventctl.kit import Bench, Clock, Events
    from eventctl.ran import Ran


@pytest.fixture
def make_event() -> Events:
    """Makes events: `make_event("job.failed", {"job": "backup"})`. Each has the next number and comes a second later."""
    from eventctl.kit import Events

    return Events()


@pytest.fixture
def run_cartridge() -> Callable[..., Ran]:
    """`run_cartridge(path_or_function, events, ...)`: see `eventctl.testing.run_cartridge`."""
    from eventctl.trying import run_cartridge

    return run_cartridge


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until `clock.advance("1h")`."""
    from eventctl.kit import Clock

    return Clock()


@pytest.fixture
def workspace(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Bench]]:
    """Opens a workspace in a fresh folder: `workspace({"cartridges/x.toml": text})`. Its time is `clock`."""
    from eventctl.kit import workspace

    with ExitStack() as closing:

        def made(files: Mapping[str, str] | None = None, *, name: str = "workspace") -> Bench:
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            return closing.enter_context(workspace(folder, files, clock=clock))

        yield made
