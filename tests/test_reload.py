"""Reload: seen, built aside, swapped between steps; what does not load leaves the old one at work."""

from __future__ import annotations

import threading
from pathlib import Path

import orjson
import pytest

from eventctl.catalog import Catalog
from eventctl.errors import Misconfigured, Problem
from eventctl.memory_store import MemoryStore
from eventctl.reload import Built, Reload, is_ours
from eventctl.store import Store
from eventctl.system_pipeline import SystemPipeline
from eventctl.workspace import Paths

NOW = 1_800_000_000_000_000
OLD = Problem("company/old.toml", "has been wrong for long", "")
NEW = Problem("company/new.toml", "was wrong just now", "mend it")


class Builder:
    """Builds what a test tells it to."""

    def __init__(self) -> None:
        self.problems: list[Problem] = [OLD]
        self.failure: Misconfigured | None = None
        self.calls = 0

    def __call__(self, store: Store, running: Built | None = None) -> Built:
        self.calls += 1
        if self.failure:
            raise self.failure
        return Built([SystemPipeline(Catalog())], self.problems)


@pytest.fixture
def build() -> Builder:
    return Builder()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def reload(build: Builder, store: MemoryStore, tmp_path: Path) -> Reload:
    return Reload(Paths(tmp_path), build, build(store), now=lambda: NOW, wake=lambda: None)


def test_nothing_is_built_while_nothing_changes(reload: Reload, build: Builder, store: MemoryStore) -> None:
    assert reload.take(store) is None
    assert 1 == build.calls


def test_a_change_that_loads_is_taken_once_and_told(reload: Reload, store: MemoryStore) -> None:
    reload.ask()
    change = reload.take(store)
    assert change is not None
    assert change.pipelines is not None
    assert "system.reload.done" == change.told.type
    assert reload.take(store) is None


def test_an_old_mistake_does_not_hold_up_a_change(reload: Reload, store: MemoryStore) -> None:
    reload.ask()
    change = reload.take(store)
    assert change is not None
    assert change.pipelines is not None


def test_a_new_mistake_keeps_what_ran_and_is_named(reload: Reload, build: Builder, store: MemoryStore) -> None:
    build.problems = [OLD, NEW]
    for _ in range(2):  # it stays new until it is mended
        reload.ask()
        change = reload.take(store)
        assert change is not None
        assert change.pipelines is None
        assert "system.reload.failed" == change.told.type
        assert "company/new.toml: was wrong just now" == orjson.loads(change.told.body)["payload"]["reason"]
    build.problems = [OLD]
    reload.ask()
    mended = reload.take(store)
    assert mended is not None
    assert mended.pipelines is not None


def test_settings_that_cannot_be_read_keep_what_ran(reload: Reload, build: Builder, store: MemoryStore) -> None:
    build.failure = Misconfigured("not TOML", where="eventctl.toml line 3")
    reload.ask()
    change = reload.take(store)
    assert change is not None
    assert change.pipelines is None
    assert "eventctl.toml line 3: not TOML" == orjson.loads(change.told.body)["payload"]["reason"]


@pytest.mark.parametrize("name", ["company/domains/ops/cartridges/new.py", "eventctl.toml", "cartridges/fresh/cartridge.toml"])
def test_a_written_file_is_seen(build: Builder, store: MemoryStore, tmp_path: Path, name: str) -> None:
    (tmp_path / "company/domains/ops/cartridges").mkdir(parents=True)
    woken = threading.Event()
    reload = Reload(Paths(tmp_path), build, build(store), now=lambda: NOW, wake=woken.set)
    reload.watch()
    try:
        assert reload.watching.wait(30), "the watcher has not begun"
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
        assert woken.wait(30)
        assert reload.take(store) is not None
    finally:
        reload.close()


@pytest.mark.parametrize(
    ("path", "matters"),
    [
        ("company/domains/ops/domain.toml", True),
        ("cartridges/x/cartridge.py", True),
        ("company/.git/index", False),
        ("company/__pycache__/x.cpython-311.pyc", False),
        ("company/domain.toml~", False),
        ("company/.domain.toml.swp", False),
    ],
)
def test_leftovers_of_editors_do_not_matter(path: str, matters: bool, tmp_path: Path) -> None:
    assert matters == is_ours(str(tmp_path / path), tmp_path)
