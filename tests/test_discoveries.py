"""What came in that nobody declared: counted, with examples, over any store."""

from __future__ import annotations

import orjson
import pytest

from eventctl import catalog as catalogs
from eventctl.declared import Declared
from eventctl.discoveries import DRIFTS_MAX, EXAMPLES, GLANCE, SAMPLE, TYPES_MAX, discover, look, undeclared
from eventctl.memory_store import MemoryStore
from eventctl.sqlite_store import SqliteStore
from eventctl.suites.rows import record

PART = {
    "namespace": "domain.shop",
    "types": {
        "sold": {"summary": "Sold.", "payload": {"sku": "str", "price": "float", "note": "str?", "extra": "any?"}},
        "free": {"summary": "Anything goes."},
    },
}


@pytest.fixture
def catalog():
    made, problems = catalogs.load([("shop", PART)])
    assert [] == problems
    return made


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    made = MemoryStore() if request.param == "memory" else SqliteStore.create(tmp_path / "store" / "state.db", reserve_bytes=0)
    yield made
    made.close()


def told(number, type_, payload, source="till", **more):
    body = orjson.dumps({"event": type_, "source": source, "payload": payload})
    return record(number, type=type_, body=body, source=source, **more)


def test_an_unknown_type_is_told_with_count_moments_examples_sources_and_schema(store, catalog):
    rows = [told(number, "domain.shop.lost", {"sku": f"s{number}"}, "till" if number % 3 else "web") for number in range(1, 11)]
    store.append([*rows, told(11, "domain.shop.sold", {"sku": "s", "price": 2})])
    found = discover(store.views, catalog)
    assert (["domain.shop.lost"], 0) == ([each.type for each in found.items], found.more)
    (lost,) = found.items
    assert (False, 10, (10, 9, 8), 10) == (lost.declared, lost.count, lost.examples, lost.sampled)
    assert (rows[0].at, rows[-1].at) == (lost.first_at, lost.last_at)
    assert (("till", 7), ("web", 3)) == lost.sources
    assert {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]} == lost.schema
    assert () == lost.drift


def test_drift_is_told_field_by_field_with_the_newest_events_that_show_it(store, catalog):
    good = {"sku": "s", "price": 2.5, "note": "x"}
    payloads = [good, {**good, "price": "2"}, {"price": 1}, {**good, "colour": "red"}, {**good, "price": "3"}, {}]
    store.append([told(number, "domain.shop.sold", payload) for number, payload in enumerate(payloads, 1)])
    (sold,) = discover(store.views, catalog, drift=True).items
    assert [
        ("price", "is string, declared number", 2, (5, 2)),
        ("sku", "is missing", 2, (6, 3)),
        ("colour", "is not declared", 1, (4,)),
        ("price", "is missing", 1, (6,)),
    ] == list(sold.drift)
    assert (True, 6, (6, 5, 4)) == (sold.declared, sold.count, sold.examples)


def test_what_is_as_declared_or_declared_without_a_payload_is_no_discovery(store, catalog):
    store.append([told(1, "domain.shop.sold", {"sku": "s", "price": 1}), told(2, "domain.shop.free", {"any": [1]})])
    assert ([], 0) == discover(store.views, catalog)
    assert () == look(store.views, catalog, "domain.shop.sold").drift
    assert None is look(store.views, catalog, "domain.shop.lost")


def test_null_in_a_field_of_a_table_is_an_absent_field(store, catalog):
    store.append([told(1, "domain.shop.sold", {"sku": "s", "price": 1, "note": None, "extra": None})])
    assert () == look(store.views, catalog, "domain.shop.sold").drift
    store.append([told(2, "domain.shop.sold", {"sku": None, "price": 1})])
    assert [("sku", "is missing", 1, (2,))] == list(look(store.views, catalog, "domain.shop.sold").drift)


def test_pattern_moment_drift_and_limit_choose(store, catalog):
    types = ["a.x", "a.y", "a.y", "b.x", "domain.shop.sold"]
    store.append([told(number, name, {}) for number, name in enumerate(types, 1)])

    def names(**how):
        found = discover(store.views, catalog, **how)
        return [each.type for each in found.items], found.more

    assert (["a.y", "a.x", "b.x", "domain.shop.sold"], 0) == names()
    assert (["a.y", "a.x"], 0) == names(pattern="a.*")
    assert (["a.y", "b.x", "domain.shop.sold"], 0) == names(since=record(3).at)
    assert (["domain.shop.sold"], 0) == names(drift=True)
    assert (["a.y"], 3) == names(limit=1)
    assert 1 == look(store.views, catalog, "a.y", since=record(3).at).count


def test_a_schema_is_of_the_newest_events_and_a_count_of_all(store, catalog):
    old = [told(number, "a.b", {"old": 1}) for number in range(1, 11)]
    store.append([*old, *(told(number, "a.b", {"new": 1}) for number in range(11, SAMPLE + 11))])
    one = look(store.views, catalog, "a.b")
    assert (SAMPLE + 10, SAMPLE, {"new"}) == (one.count, one.sampled, set(one.shape.fields))
    assert GLANCE == discover(store.views, catalog).items[0].sampled


def test_records_that_are_no_events_are_not_looked_at(store, catalog):
    store.append([told(1, "a.b", {"n": 1}), told(2, "a.b", {"n": "x"}, kind="move"), told(3, "c.d", {}, kind="timer")])
    (found,) = discover(store.views, catalog).items
    assert (1, 1, "integer") == (found.count, found.sampled, found.schema["properties"]["n"]["type"])


def test_there_is_an_end_to_differences_that_a_sender_can_make(store, catalog):
    payload = {"sku": "s", "price": 1, **{f"field{number}": 1 for number in range(5_000)}}
    store.append([told(1, "domain.shop.sold", payload)])
    assert DRIFTS_MAX == len(look(store.views, catalog, "domain.shop.sold").drift)


def test_one_type_is_found_among_more_than_are_listed(catalog):
    store = MemoryStore()
    store.append([told(number, f"many.t{number}", {}) for number in range(1, TYPES_MAX + 2)])
    found = discover(store.views, catalog, limit=2)
    assert (2, TYPES_MAX - 2) == (len(found.items), found.more)
    listed = {each.type for each in store.views.types_seen(limit=TYPES_MAX)}
    (left_out,) = {f"many.t{number}" for number in range(1, TYPES_MAX + 2)} - listed
    assert 1 == look(store.views, catalog, left_out).count


def test_names_of_undeclared_types_need_no_catalog(store, catalog):
    store.append([told(number, name, {}) for number, name in enumerate(["b.c", "domain.shop.sold", "a.b", "b.c"], 1)])
    assert ["a.b", "b.c"] == undeclared(store.views, Declared.read(Declared.of(catalog).text()))


def test_there_are_never_more_examples_than_a_few(store, catalog):
    store.append([told(number, "domain.shop.sold", {"n": number % 7, "x" * (number % 5): 1}) for number in range(1, 30)])
    (found,) = discover(store.views, catalog).items
    assert EXAMPLES == len(found.examples)
    assert all(len(each.examples) <= EXAMPLES for each in found.drift)
