"""What cartridges have done, as the command line shows it: on their cards, in the list, in the graph; and who may be promoted."""

from __future__ import annotations

import orjson
import pytest

import eventctl

BROKEN = """\
# /// cartridge
# id = "fails"
# version = "1.0.0"
# summary = "Fails."
# consumes = ["shop.**"]
# after = ["counts"]
# on_error = "skip"
# ///


async def process(event, context):
    raise ValueError("no")
"""
QUIET = 'id = "quiet"\nsummary = "Keeps it down."\nconsumes = ["shop.**"]\n[set]\nlevel = "infrastructure"\n'


@pytest.fixture
def busy(face):
    """A domain with one cartridge that works and one that fails after it; three events each."""
    folder = face.root / "company/domains/shop/cartridges"
    folder.mkdir(parents=True)
    face("cartridge", "new", "counts", "--domain", "shop", "--consumes", "shop.**")
    (folder / "fails.py").write_text(BROKEN)
    (folder / "quiet.toml").write_text(QUIET)
    face("run", "--until-idle")
    for number in range(3):
        face("emit", "shop.sold", "--source", "till", "--id", str(number))
    face("run", "--until-idle")
    return face


def drawn(face, *words):
    return orjson.loads(face("cartridge", "graph", "--format", "json", *words).stdout)["items"]


def test_a_run_that_ends_at_once_has_counted_all_the_same(busy):
    told = {each["id"]: each["counts"] for each in drawn(busy, "domain:shop")[0]["cartridges"]}
    assert {"counts": (3, 0), "fails": (3, 3)} == {name: (each["calls"], each["errors"]) for name, each in told.items()}
    assert 0 < told["counts"]["p95_ms"] <= told["counts"]["max_ms"]
    assert told["counts"]["since"] <= told["counts"]["last"]


def test_list_and_show_say_the_same(busy):
    listed = {each["id"]: each["counts"] for each in orjson.loads(busy("cartridge", "list", "--json").stdout)["items"]}
    assert (3, None) == (listed["counts"]["calls"], listed["quiet"])
    assert listed["fails"] == orjson.loads(busy("cartridge", "show", "fails", "--json").stdout)["counts"]
    assert "3 times, 3 errors; 95 of 100 within " in busy("cartridge", "show", "fails").stdout


def test_the_graph_has_the_order_the_counts_and_the_rules_that_shape(busy):
    text = busy("cartridge", "graph").stdout
    assert "system\n  level 1\n    shop/quiet\n" in text
    assert "    counts  3 runs, p95 " in text
    assert "3 runs, 3 errors, p95 " in text
    assert "after counts" in text
    assert "runs" not in busy("cartridge", "graph", "--no-counts").stdout
    assert "counts" not in drawn(busy, "domain:shop", "--no-counts")[0]["cartridges"][0]


def test_what_is_switched_off_stands_beside_the_order_with_its_reason(busy):
    path = busy.root / "company/domains/shop/cartridges/fails.py"
    path.write_text(BROKEN.replace('"skip"', '"disable"'))
    busy("run", "--until-idle")
    busy("emit", "shop.sold", "--source", "till", "--id", "last")
    busy("run", "--until-idle")
    (pipeline,) = drawn(busy, "domain:shop")
    assert ["counts"] == [each["id"] for each in pipeline["cartridges"]]
    assert ["fails"] == [each["id"] for each in pipeline["off"]]
    assert "  switched off\n    fails " in busy("cartridge", "graph").stdout


def test_one_that_has_run_so_often_is_suggested_in_the_inbox_once(face):
    config = face.root / "eventctl.toml"
    config.write_text(config.read_text() + "\n[runner]\npromote_after = 2\n")
    face("cartridge", "new", "mine", "--member", "ada", "--consumes", "domain.shop.**")
    face("run", "--until-idle")
    for number in range(5):
        face("emit", "domain.shop.sold", "--source", "till", "--id", str(number))
        face("run", "--until-idle")
    titles = [item["title"] for item in orjson.loads(face("inbox", "--json").stdout)["items"]]
    said = "mine of ada has run 2 times without an error: `eventctl cartridge promote mine --to domain:shop`"
    assert [said] == [title for title in titles if "promote" in title]


ASKS = """\
# /// cartridge
# id = "asks"
# version = "1.0.0"
# summary = "Waits for what nobody answers yet."
# consumes = ["shop.**"]
# [permissions]
# calls = ["command"]
# ///


async def process(event, context):
    if event.payload.get("bad"):
        raise ValueError("no")
    await context.call("command", {"argv": ["sleep", "20"]})
    return event
"""


def test_status_says_what_each_pipeline_has_not_finished_and_since_when(face):
    folder = face.root / "company/domains/shop/cartridges"
    folder.mkdir(parents=True)
    (folder / "asks.py").write_text(ASKS)
    face("run", "--until-idle")
    assert None is orjson.loads(face("status", "--json").stdout)["pipelines"]["domain:shop"]["unfinished"]
    for number, entity in enumerate(("a://1", "a://1", "a://2")):
        face("emit", "shop.sold", "--source", "till", "--id", str(number), "--entity", entity)
    face("emit", "shop.sold", "--source", "till", "--id", "bad", "--payload", '{"bad": true}')
    with eventctl.open(face.root, env=face.env) as workspace:
        workspace.step()
    left = orjson.loads(face("status", "--json").stdout)["pipelines"]["domain:shop"]["unfinished"]
    assert (2, 1, 1, 0) == tuple(left[state] for state in ("waiting", "behind", "retry", "struck"))
    assert 0 <= left["oldest_s"] < 60
    assert left["next_retry"] > left["oldest_since"]
    said = face("status").stderr
    assert "domain:shop: 2 for an answer; 1 behind an earlier event of its entity; 1 to be tried again, first in " in said
    assert f"the oldest, {left['oldest']}, for " in said
