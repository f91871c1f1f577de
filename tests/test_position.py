"""Positions: a token names the life of the log, and is good in that life only."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl import backup
from eventctl.errors import Conflict, UsageError
from eventctl.position import Position, resume, token
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Record

EPOCH = "0123456789abcdef"


@given(st.integers(0, 2**31), st.integers(0, 10**18 - 1))
def test_a_token_is_read_back_as_it_was_written(partition: int, pos: int) -> None:
    position = Position(EPOCH, partition, pos)
    assert position == Position.parse(str(position))


@pytest.mark.parametrize(
    "text", ["", "e42", "42", "a:0", "a:0:1:2", ":0:1", "a::1", "a:0:", "a:0:-1", "a:0:x", "a b:0:1", "a:0:٣"]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no position") as refused:
        Position.parse(text)
    assert "log tail --ndjson" in refused.value.hint


def test_a_position_that_this_log_has_not_is_a_conflict() -> None:
    assert 5 == Position(EPOCH, 0, 5).within(EPOCH, 5)
    for position in (Position(EPOCH, 0, 6), Position(EPOCH, 1, 5)):
        with pytest.raises(Conflict, match="no such position"):
            position.within(EPOCH, 5)


def test_a_token_from_before_a_restore_is_from_another_life(tmp_path: Path) -> None:
    path = tmp_path / "s" / "state.db"
    store = SqliteStore.create(path, reserve_bytes=0)
    store.append([Record("event", "tests", "e1", "a.b", b"{}", "cli:ada", 1)])
    kept = token(store, 1)
    assert 1 == resume(store, kept)
    store.close()
    backup.back_up(path, tmp_path / "b.db")
    backup.restore(tmp_path / "b.db", path, 2)
    store = SqliteStore.open(path)
    with pytest.raises(Conflict, match="another life of this log: start again from the beginning or the tail"):
        resume(store, kept)
    assert 1 == resume(store, token(store, 1))
    store.close()
