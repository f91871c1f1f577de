"""The contract suites on both stores, and both driven side by side."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventctl.memory_store import MemoryStore
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Store
from eventctl.suites.decisions import DecisionSuite, InstalledSuite
from eventctl.suites.notifications import NotificationSuite, OutboxSuite
from eventctl.suites.store import StoreSuite
from eventctl.suites.views import ViewSuite


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    made = SqliteStore.create(tmp_path / "state" / "state.db", checkpointer=True, reserve_bytes=0)
    yield made
    made.close()


class TestVerbs(StoreSuite):
    pass


class TestNotifications(NotificationSuite):
    pass


class TestOutbox(OutboxSuite):
    pass


class TestDecisions(DecisionSuite):
    pass


class TestInstalled(InstalledSuite):
    pass


class TestViews(ViewSuite):
    pass
