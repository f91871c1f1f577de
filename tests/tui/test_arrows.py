"""The folders of the dashboard: what a screen needs stands in its own, what several need stands above or below them all."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventctl import tui

ROOT = Path(tui.__file__).parent
STAIRS = (("triage",), ("detail",), ("inbox", "decisions", "live", "cartridges", "held", "health"), ("app",))
"""Folders from below: each may know those below it. What stands in no folder knows none of them, but for `app`, which knows all."""

HEIGHTS = {"": -1} | {name: height for height, names in enumerate(STAIRS) for name in names}
MODULES = sorted(ROOT.rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """What is imported when the code runs, also inside functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        yield from imported(node)


def folder(name: str) -> str:
    """The folder that a module of the dashboard stands in, "" for none; `app` stands for itself."""
    first = name.removeprefix("eventctl.tui.").split(".")[0]
    return first if first in HEIGHTS else ""


def test_every_folder_has_its_place():
    assert {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"} | {"app", ""} == set(HEIGHTS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_between_folders_point_down(path):
    here = folder(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for name in imported(ast.parse(path.read_text())):
        there = folder(name) if name.startswith("eventctl.tui.") else here
        assert there == here or HEIGHTS[there] < HEIGHTS[here], name
