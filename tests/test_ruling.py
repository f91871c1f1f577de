"""Rules at work: each effect, windows, the shadow, and what becomes of a rule that has no answer."""

from __future__ import annotations

from pathlib import Path

import eventctl
from eventctl.dag.faults import ERRORS_MAX
from tests.rulekit import beside, make, payloads, put, running, sell, titles

NOTIFY = """\
when = "payload.amount > 10.0"
[notify]
title = "{payload.name} for {payload.amount}"
text  = "at {source}, {entity}"
level = "business"
"""


def test_a_notice_is_raised_for_what_matches_and_the_same_entity_updates_it(tmp_path: Path) -> None:
    with running(make(tmp_path, big=NOTIFY)) as ws:
        sell(ws, {"name": "a boat", "amount": 9})
        assert [] == titles(ws)
        sell(ws, {"name": "a boat", "amount": 12})
        assert ["a boat for 12"] == titles(ws)
        sell(ws, {"name": "a ship", "amount": 13.5})
        assert ["a ship for 13.5"] == titles(ws)
        sell(ws, {"name": "a car", "amount": 11}, entity="garage")
        assert ["a car for 11", "a ship for 13.5"] == sorted(titles(ws))
        raised = payloads(ws, "notice.raised")[0]
        assert {"by": "domain:ops/big", "key": "big:shop", "rule": "big", "text": "at till, shop"}.items() <= raised.items()
