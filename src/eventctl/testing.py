"""The kit for who writes cartridges and plugins: everything that a test of one needs, and nothing that runs without being asked.

    make_event, Events, Clock     events and a time that come out the same every time            (kit)
    run_cartridge, Ran            one cartridge through the real pipelines, and all that it said    (trying)
    workspace                     a workspace in a folder, open                                   (kit)
    examples                      the examples beside cartridges, as cases                        (here)
    eventctl.suites               what every cartridge, executor, enricher, store must do

With pytest they are fixtures by themselves: `make_event`, `run_cartridge`, `clock`, `workspace`. `pytest -p eventctl.testing` also takes
`*.examples.toml` and `examples/*.toml` beside cartridges for tests.

    # test_cartridges.py
    import pytest
    from eventctl import testing

    @pytest.mark.parametrize("example", testing.examples("path/to/workspace"), ids=str)
    def test_an_example_holds(example):
        example.check()
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from eventctl import examples as reading
from eventctl.backtest import Stage
from eventctl.breadcrumb import NoCrumb
from eventctl.errors import NotFound
from eventctl.examples import Result
from eventctl.house import House
from eventctl.kit import START, Bench, Clock, Events, make_event, workspace
from eventctl.ran import Call, Decided, Drop, Failure, Notice, Ran, Timer
from eventctl.trying import CartridgeFailed, run_cartridge
from eventctl.workspace import CONFIG, at

if TYPE_CHECKING:
    import pytest

__all__ = [
    "START", "Bench", "Call", "CartridgeFailed", "Case", "Clock", "Decided", "Drop", "Events", "Failed", "Failure", "Notice", "Ran",
    "Timer", "examples", "make_event", "run_cartridge", "workspace",
]  # fmt: skip


class Failed(AssertionError):
    """An example does not hold; the message says where."""


class Case(NamedTuple):
    """One example of one cartridge of a workspace."""

    root: Path
    cartridge: Path
    path: Path

    def __str__(self) -> str:
        return self.path.relative_to(self.root).as_posix()

    def run(self) -> Result:
        """Run it and say how it went."""
        stage = _stage(self.root)
        return reading.run(self.path, stage.alone(stage.place(self.cartridge)))

    def check(self) -> None:
        """Run it. Raises `Failed` with what was expected and what was found."""
        result = self.run()
        if result.misses:
            raise Failed("\n".join([str(self), *_lines(result)]))


def examples(folder: str | os.PathLike[str]) -> list[Case]:
    """Every example of the cartridges in a workspace."""
    root = Path(folder).resolve()
    return [Case(root, unit, file) for unit, file in reading.every(root)]


def _lines(result: Result) -> Iterator[str]:
    for miss in result.misses:
        yield f"  {miss.what}\n    expected  {miss.expected}\n    found     {miss.found}"


@cache
def _stage(root: Path) -> Stage:
    return Stage(House(at(root), {}, NoCrumb(), no_plugins=True), None)


def pytest_configure(config: pytest.Config) -> None:
    """The fixtures too, where the plugin that brings them is not installed as one."""
    from eventctl import pytest_plugin

    if not config.pluginmanager.is_registered(pytest_plugin):
        config.pluginmanager.register(pytest_plugin)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The hook of the plugin: a file of examples in a workspace is a collection of one test."""
    if file_path.suffix != ".toml":
        return None
    root = next((folder for folder in file_path.parents if (folder / CONFIG).exists()), None)
    if root is None or not any(case.path == file_path.resolve() for case in _cases(root)):
        return None
    found: pytest.Collector = _collector().from_parent(parent, path=file_path)
    return found


@cache
def _cases(root: Path) -> tuple[Case, ...]:
    return tuple(examples(root))


@cache
def _collector() -> Any:
    """The classes that pytest collects with; it is there when it asks for them."""
    import pytest

    class Item(pytest.Item):
        case: Case

        def runtest(self) -> None:
            self.case.check()

        def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
            return str(excinfo.value) if isinstance(excinfo.value, Failed) else super().repr_failure(excinfo, style)

        def reportinfo(self) -> tuple[Path, int, str]:
            return self.path, 0, str(self.case)

    class File(pytest.File):
        def collect(self) -> Iterable[pytest.Item]:
            found = [case for folder in self.path.parents if (folder / CONFIG).exists() for case in _cases(folder)]
            case = next((case for case in found if case.path == self.path.resolve()), None)
            if case is None:
                raise NotFound("it belongs to no cartridge", where=str(self.path))
            item = Item.from_parent(self, name=self.path.stem)
            item.case = case
            yield item

    return File
