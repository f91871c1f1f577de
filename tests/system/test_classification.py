"""Classification: where an event belongs, and how much it matters."""

from __future__ import annotations

from eventctl.system.classification import Classified, classify
from tests.system.kit import CATALOG, World


def test_the_catalog_says_what_the_sender_left_open():
    assert Classified(2, "", "local", True) == classify(CATALOG.entry("shop.ticket.opened"), {})
    said = {"level": 0, "domain": "ops", "visibility": "public"}
    assert Classified(0, "ops", "public", True) == classify(CATALOG.entry("shop.ticket.opened"), said)


def test_a_level_that_cannot_be_counts_as_the_nearest():
    entry = CATALOG.entry("shop.ticket.opened")
    assert [0, 3] == [classify(entry, {"level": level}).level for level in (-4, 9)]


def test_attenuation_lowers_and_never_raises():
    entry = CATALOG.entry("shop.ticket.opened")
    assert [1, 0] == [classify(entry, {"level": level}, attenuated=True).level for level in (3, 0)]


def test_nothing_is_written_into_the_event():
    world = World()
    seq = world.tell("shop.ticket.opened", {"id": 1, "_classification": "mine"})
    body = world.store.views.record(seq).body
    assert b'{"id":1,"_classification":"mine"}' in body
