"""What people decided lately, counted and said; what another level would have held."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from eventctl.evidence import DAYS, Evidence, Scope, alike, gather, suggested, words, would
from eventctl.memory_store import MemoryStore
from eventctl.store import DecisionRow, Operations
from eventctl.suites.rows import NOON_US, asked
from eventctl.times import DAY

NOW = NOON_US + 40 * DAY
ANY = Scope()
YES = {"state": "done", "approved": True, "decided_by": "cli:ada"}


def store_of(*rows: DecisionRow) -> MemoryStore:
    store = MemoryStore()
    store.commit(Operations(decisions=[row._replace(call=f"c{n}") for n, row in enumerate(rows)]))
    return store


def row(
    known: int = 0, *, days: int = 1, type_: str = "deploy.failed", cartridge: str = "rollback", **given: Any
) -> DecisionRow:
    body = {"known": known, "type": type_, "cartridge": cartridge}
    return asked("", asked_at=NOW - days * DAY, body=orjson.dumps(body), **given)


def gathered(*rows: DecisionRow, scope: Scope = ANY) -> Evidence:
    return gather(store_of(*rows).views, scope, after=3, now=NOW)


def test_what_was_approved_is_said_with_what_another_level_would_have_held():
    found = gathered(*(row(n, **YES) for n in range(47)))
    assert "47 of 47 approved in 30 days" == words(found)
    assert "L2 would have held 3 of them" == would(found, "L2")
    assert "L1 would have held all of them" == would(found, "L1")
    assert "L3 would have held none of them" == would(found, "L3")


def test_every_end_is_counted_once_in_its_place():
    found = gathered(
        row(**YES), row(**{**YES, "state": "undone"}), row(**{**YES, "state": "failed"}), row(state="denied"), row(state="expired"),
        row(), row(5, state="done"), row(5, state="undone"), row(5, state="window"), row(5, state="unknown"),
    )  # fmt: skip
    wanted = Evidence(asked=10, approved=3, denied=1, expired=1, waiting=1, alone=3, undone=2, failed=2, new=6)
    assert wanted == found
    assert "3 of 5 approved, 1 denied, 1 expired, 3 acted without asking, 2 undone, 2 failed in 30 days" == words(found)


def test_only_the_last_days_count_and_installs_are_no_action():
    found = gathered(row(days=DAYS + 1, **YES), row(days=DAYS, **YES), row(name="install", pipeline="", **YES))
    assert 1 == found.asked
    assert f"nothing was decided in {DAYS} days" == words(gathered())
    assert "" == would(gathered(), "L1")


@pytest.mark.parametrize(
    ("scope", "count"),
    [
        (Scope(), 4),
        (Scope(type="deploy.*"), 3),
        (Scope(cartridge="rollback"), 3),
        (Scope(cartridge="ops/rollback"), 1),
        (Scope(domain="builds"), 3),
        (Scope("deploy.failed", "rollback", "builds"), 1),
        (Scope(type="none.*"), 0),
    ],
)
def test_a_scope_chooses_by_type_cartridge_and_domain(scope, count):
    rows = [row(), row(type_="job.failed"), row(domain="ops"), row(cartridge="page")]
    assert count == gathered(*rows, scope=scope).asked


def test_more_than_a_page_is_counted():
    assert 1_203 == gathered(*(row(n, **YES) for n in range(1_203))).asked


@pytest.mark.parametrize(
    ("level", "rows", "wanted"),
    [
        ("L1", [row(n, **YES) for n in range(10)], "L2"),
        ("L1", [row(n, **YES) for n in range(9)], ""),
        ("L1", [row(n, **YES) for n in range(10)] + [row(state="denied")], ""),
        ("L1", [row(n, **YES) for n in range(10)] + [row(state="expired")], ""),
        ("L1", [row(n, **YES) for n in range(10)] + [row(**{**YES, "state": "undone"})], ""),
        ("L2", [row(5, state="done") for _ in range(10)], "L3"),
        ("L2", [row(5, state="done") for _ in range(10)] + [row(5, state="undone")], ""),
        ("L3", [row(5, state="done") for _ in range(10)], ""),
    ],
)
def test_another_level_is_suggested_where_all_of_many_were_approved_and_none_taken_back(level, rows, wanted):
    assert wanted == suggested(gathered(*rows), level)


def test_what_was_made_of_the_like_is_the_newest_of_its_kind_within_the_days():
    rows = [row(kind="a", days=DAYS + 1), *(row(kind=kind) for kind in "abababa")]
    found = alike(store_of(*rows).views, "a", now=NOW, most=3)
    assert [8, 6, 4] == [each.number for each in found]
    assert [2, 4, 6, 8] == sorted(each.number for each in alike(store_of(*rows).views, "a", now=NOW))
