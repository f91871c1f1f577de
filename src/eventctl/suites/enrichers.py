"""What every enricher must do.

class TestMine(EnricherSuite):
    @pytest.fixture
    def enricher(self):
        return Offices()

    events = [make_event("door.opened", {"door": "d3"}), make_event("door.opened", {"door": "d9"})]
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import orjson
import pytest

from eventctl.contracts import Enricher
from eventctl.event import Event
from eventctl.patterns import check, matches

BYTES_MAX = 8_192
MANY = 50


class EnricherSuite:
    """`enricher` is one, `events` some that it consumes, of which it knows something about at least one."""

    events: Sequence[Event] = ()

    @pytest.fixture
    def enricher(self) -> Enricher:
        raise NotImplementedError("give the enricher: override the fixture `enricher`")

    def test_it_has_a_name_that_can_be_a_slot(self, enricher: Enricher) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", enricher.name)

    def test_it_consumes_the_events_that_it_is_given(self, enricher: Enricher) -> None:
        for pattern in enricher.consumes:
            check(pattern)
        assert self.events
        for event in self.events:
            assert any(matches(pattern, event.event) for pattern in enricher.consumes)

    def test_it_says_one_thing_about_each_event_and_something_about_one(self, enricher: Enricher) -> None:
        said = enricher.enrich(self.events)
        assert len(self.events) == len(said)
        assert any(value is not None for value in said)

    def test_what_it_says_is_json_and_short(self, enricher: Enricher) -> None:
        for value in enricher.enrich(self.events):
            told = orjson.dumps(value)
            assert value == orjson.loads(told)
            assert len(told) <= BYTES_MAX

    def test_it_says_the_same_again(self, enricher: Enricher) -> None:
        assert list(enricher.enrich(self.events)) == list(enricher.enrich(self.events))

    def test_what_it_says_of_an_event_does_not_depend_on_the_others(self, enricher: Enricher) -> None:
        together = list(enricher.enrich(self.events))
        assert together == [enricher.enrich([event])[0] for event in self.events]
        assert together[::-1] == list(enricher.enrich(self.events[::-1]))

    def test_it_takes_none_and_many(self, enricher: Enricher) -> None:
        assert [] == list(enricher.enrich([]))
        assert MANY == len(enricher.enrich(list(self.events[:1]) * MANY))

    def test_it_leaves_events_as_they_were(self, enricher: Enricher) -> None:
        before = [orjson.dumps(event.data) for event in self.events]
        enricher.enrich(self.events)
        assert before == [orjson.dumps(event.data) for event in self.events]
