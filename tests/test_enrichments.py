"""Enrichment as people declare it: what is annotated, who sees it, what it may cost, and what a rebuild makes of it."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventctl
from eventctl import plugins, starter
from eventctl.breadcrumb import NoCrumb
from eventctl.contracts import Enricher
from eventctl.enriching import enrichers
from eventctl.enrichments import EnrichmentSettings
from eventctl.house import House
from eventctl.lookups import VALUE_MAX
from eventctl.memory_store import MemoryStore
from eventctl.rebuild import rebuild
from eventctl.store import Keys, Record
from eventctl.system.enrichers import FAILED, FAILURES_MAX, MOMENTS_MAX, SKIPPED, Enrichers, History, Lookup, Plugged, Said
from eventctl.times import HOUR, SECOND, iso
from tests.system.kit import World

HOSTS = "host,team,site\nweb-1,shop,Berlin\nweb-2,lab,Leipzig\n"
PASSED, FAILING = "shop.build.passed", "shop.build.failed"


def written(**given) -> EnrichmentSettings:
    base = {"consumes": ["shop.build.*"], "annotates": "host"}
    return EnrichmentSettings.model_validate({**base, **given})


def hosts(root: Path, text: str = HOSTS, **given) -> EnrichmentSettings:
    (root / "tables").mkdir(exist_ok=True)
    (root / "tables/hosts.csv").write_text(text)
    return written(**{"table": "tables/hosts.csv", "key": "host", "from": "payload.host", **given})


def world(root: Path, *, domain: str = "", plugged: list[Enricher] | None = None, **declared: EnrichmentSettings) -> World:
    stage, problems = enrichers(root, [("eventctl.toml", domain, declared)], plugged or [], budget_us=1_000_000)
    assert [] == problems
    return World(enrichers=stage)


class Told:
    """An enricher of a plugin that says where an event came from."""

    name = "told"
    consumes = ("shop.**",)

    def enrich(self, events):
        return [{"by": event.source, "n": event.payload.get("n")} if event.payload.get("n") != 0 else None for event in events]


# --- tables ----------------------------------------------------------------------------------------------------------------------


def test_a_row_of_a_table_stands_in_its_slot_beside_the_event(tmp_path):
    here = world(tmp_path, hosts=hosts(tmp_path))
    seqs = [here.tell(PASSED, {"host": name}) for name in ("web-1", "web-9", "web-2")]
    found = [here.annotation(seq, "enrichment:host") for seq in seqs]
    assert [{"team": "shop", "site": "Berlin"}, None, {"team": "lab", "site": "Leipzig"}] == found
    assert here.annotation(here.tell("shop.ticket.opened", {"id": 1, "host": "web-1"}), "enrichment:host") is None


@pytest.mark.parametrize(
    ("place", "fields", "found"),
    [
        ("entity", {"entity": "web-1"}, True),
        ("source", {"source": "web-1"}, True),
        ("domain", {"domain": "web-1"}, True),
        ("payload.a.b", {"payload": {"a": {"b": "web-1"}}}, True),
        ("payload.a.b", {"payload": {"a": "web-1"}}, False),
        ("payload.a", {"payload": {"a": True}}, False),
        ("payload.a", {"payload": {"a": ["web-1"]}}, False),
        ("entity", {}, False),
    ],
)
def test_the_key_is_taken_from_where_it_is_said(tmp_path, place, fields, found):
    here = world(tmp_path, hosts=hosts(tmp_path, **{"from": place}))
    assert found == (here.annotation(here.tell(PASSED, **fields), "enrichment:host") is not None)


def test_a_change_of_the_table_counts_for_what_comes_then_and_not_for_what_was_before(tmp_path):
    here = world(tmp_path, hosts=hosts(tmp_path))
    before = here.tell(PASSED, {"host": "web-1"})
    hosts(tmp_path, "host,team\nweb-1,somebody else altogether\n")
    after = here.tell(PASSED, {"host": "web-1"})
    assert ["shop", "somebody else altogether"] == [here.annotation(seq, "enrichment:host")["team"] for seq in (before, after)]


def test_a_table_that_breaks_is_told_by_one_event_and_its_last_rows_stay(tmp_path):
    here = world(tmp_path, hosts=hosts(tmp_path))
    here.tell(PASSED, {"host": "web-1"})
    hosts(tmp_path, "host,team\nweb-1\n")
    seqs = [here.tell(PASSED, {"host": "web-1"}) for _ in range(3)]
    assert ["shop"] * 3 == [here.annotation(seq, "enrichment:host")["team"] for seq in seqs]
    [told] = here.events(FAILED)
    assert {"enrichment": "hosts", "reason": "line 2 has 1 values for 2 columns"} == orjson.loads(told.body)["payload"]
    assert ["The enrichment hosts does not work: line 2 has 1 values for 2 columns"] == [row.title for row in here.inbox()]


def test_a_domain_enriches_its_own_events_only(tmp_path):
    here = world(tmp_path, domain="shop", hosts=hosts(tmp_path))
    own = here.tell(PASSED, {"host": "web-1"}, domain="shop")
    other = here.tell(PASSED, {"host": "web-1"}, domain="bank")
    assert [True, False] == [here.annotation(seq, "enrichment:host") is not None for seq in (own, other)]


def test_a_repeat_that_is_dropped_is_not_looked_up(tmp_path):
    here = world(tmp_path, hosts=hosts(tmp_path))
    here.emit(PASSED, {"host": "web-1"}, idempotency_key="one")
    again = here.emit(PASSED, {"host": "web-1"}, idempotency_key="one")
    here.run()
    assert here.annotation(again, "enrichment:host") is None


# --- what it may cost ------------------------------------------------------------------------------------------------------------


class Slow:
    """A table whose every row takes `each` of a clock that only it moves."""

    trouble = None

    def __init__(self, each: int) -> None:
        self.now, self.each, self.asked = 0, each, 0

    def look(self) -> bool:
        return False

    def row(self, key) -> bytes:
        self.now += self.each
        self.asked += 1
        return b'{"ok":true}'


def slow(each: int, budget: int, *more: Plugged) -> tuple[World, Slow]:
    made = Slow(each)
    lookup = Lookup("slow", "slow", ["shop.build.*"], ("payload", "host"), made)
    return World(enrichers=Enrichers([lookup], plugged=more, budget=budget, clock=lambda: made.now)), made


def test_past_the_budget_the_rest_of_a_batch_goes_on_without_and_the_next_batch_begins_anew():
    here, made = slow(each=10_000_000, budget=25_000_000)
    seqs = [here.emit(PASSED, {"host": "a"}) for _ in range(5)]
    here.run()
    assert (3, [True, True, True, False, False]) == (
        made.asked, [here.annotation(seq, "enrichment:slow") is not None for seq in seqs],
    )  # fmt: skip
    assert [None, {"skipped": ["slow"]}] == [here.annotation(seqs[at], "enrichment") for at in (2, 3)]
    assert 0 == here.counts()[1] + here.counts()[3]
    assert {"ok": True} == here.annotation(here.tell(PASSED, {"host": "a"}), "enrichment:slow")


def test_what_was_skipped_is_counted_and_told_once_until_a_batch_is_in_time_again():
    here, _ = slow(each=10_000_000, budget=25_000_000)
    for _ in range(3):
        for _ in range(5):
            here.emit(PASSED, {"host": "a"})
        here.run()
    payload = {"enrichment": "slow", "skipped": 2, "budget_ms": 25}
    assert [payload] == [orjson.loads(row.body)["payload"] for row in here.events(SKIPPED)]
    here.tell(PASSED, {"host": "a"})
    here.now += 2 * HOUR
    for _ in range(5):
        here.emit(PASSED, {"host": "a"})
    here.run()
    assert 2 == len(here.events(SKIPPED))


def test_a_workspace_that_declares_nothing_has_no_such_stage(tmp_path):
    assert (None, []) == enrichers(tmp_path, [("eventctl.toml", "", {})], [], budget_us=1)


# --- history ---------------------------------------------------------------------------------------------------------------------


def recent(**given) -> EnrichmentSettings:
    return written(**{"consumes": ["shop.build.passed"], "history": FAILING, "within": "24h", "annotates": "recent", **given})


def test_a_history_counts_what_the_entity_had_before_and_says_when_the_last_was(tmp_path):
    here = world(tmp_path, recent=recent())
    calm = here.tell(PASSED, entity="e")
    for _ in range(2):
        here.tell(FAILING, entity="e")
    at = here.now
    seqs = [calm, here.tell(PASSED, entity="e"), here.tell(PASSED, entity="other"), here.tell(PASSED)]
    found = [here.annotation(seq, "enrichment:recent") for seq in seqs]
    assert [None, {"count": 2, "last": iso(at)}, None, None] == found


def test_a_history_forgets_after_its_time_and_its_row_may_go_then(tmp_path):
    here = world(tmp_path, recent=recent(within="1h"))
    here.tell(FAILING, entity="e")
    failed = here.now
    assert here.annotation(here.tell(PASSED, entity="e"), "enrichment:recent") is not None
    here.now = failed + HOUR
    assert here.annotation(here.tell(PASSED, entity="e"), "enrichment:recent") is None
    key = ("system/enrichment//recent", "e")
    assert [key] == list(here.store.snapshot(Keys(states=[key])).states)


def test_a_history_keeps_so_many_moments_and_no_more(tmp_path):
    here = world(tmp_path, recent=recent())
    for _ in range(MOMENTS_MAX + 20):
        here.emit(FAILING, entity="e")
    here.run()
    assert MOMENTS_MAX == here.annotation(here.tell(PASSED, entity="e"), "enrichment:recent")["count"]


STEPS = st.lists(st.tuples(st.sampled_from([PASSED, FAILING]), st.sampled_from("ab"), st.integers(0, 2 * HOUR)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 7))
def test_a_history_is_what_a_list_of_all_moments_says_however_the_log_is_cut(steps, limit):
    stage = Enrichers(histories=[History("h", "recent", [PASSED], FAILING, 3 * HOUR)], budget=1, clock=lambda: 0)
    here = World(enrichers=stage)
    failed: dict[str, list[int]] = {"a": [], "b": []}
    expected = {}
    for name, entity, pause in steps:
        here.now += pause
        seq = here.emit(name, entity=entity)
        before = [at for at in failed[entity] if at > here.now - 3 * HOUR]
        expected[seq] = {"count": len(before), "last": iso(before[-1])} if name == PASSED and before else None
        if name == FAILING:
            failed[entity].append(here.now)
    here.run(limit)
    assert expected == {seq: here.annotation(seq, "enrichment:recent") for seq in expected}


# --- plugins ---------------------------------------------------------------------------------------------------------------------


def test_what_a_plugin_says_stands_under_its_name(tmp_path):
    here = world(tmp_path, plugged=[Told()])
    seqs = [here.emit(PASSED, {"n": n}) for n in range(3)]
    here.run()
    found = [here.annotation(seq, "enrichment:told") for seq in seqs]
    assert [None, {"by": "test", "n": 1}, {"by": "test", "n": 2}] == found


def ask(enrich) -> tuple[list[bytes | None], str]:
    class Made:
        name, consumes = "made", ()

        def enrich(self, events):
            return enrich(events)

    return plugins.enrich(Made(), ["one", "two"], VALUE_MAX)


@pytest.mark.parametrize(
    ("enrich", "words"),
    [
        (lambda events: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda events: sys.exit(3), "SystemExit: 3"),
        (lambda events: [1], "it gave 1 values for 2 events"),
        (lambda events: None, "TypeError: 'NoneType' object is not iterable"),
        (lambda events: [{1, 2}, None], "TypeError: Type is not JSON serializable: set"),
        (lambda events: ["x" * VALUE_MAX, None], f"it gave a value of {VALUE_MAX + 2:,} bytes, and {VALUE_MAX:,} are enough"),
    ],
)
def test_the_contract_of_an_enricher_whatever_it_breaks_is_a_sentence(enrich, words):
    assert ([], words) == ask(enrich)


def test_the_contract_of_an_enricher_one_json_value_or_none_for_each_event():
    assert ([b'{"a":1}', None], "") == ask(lambda events: [{"a": 1}, None])


class Broken(Told):
    def __init__(self) -> None:
        self.asked = 0

    def enrich(self, events):
        self.asked += 1
        raise RuntimeError("no connection")


def test_a_plugin_that_raises_is_named_and_left_out_and_asked_no_more_after_a_few_batches(tmp_path):
    broken = Broken()
    here = world(tmp_path, plugged=[broken])
    for _ in range(FAILURES_MAX + 3):
        here.tell(PASSED)
    assert FAILURES_MAX == broken.asked
    told = [orjson.loads(row.body)["payload"] for row in here.events(FAILED)]
    assert {"enrichment": "told", "reason": "RuntimeError: no connection"} == told[0]
    assert 1 == len(here.inbox())
    assert 0 == here.counts()[3]


def test_a_plugin_that_spends_the_budget_is_not_given_the_next_piece():
    ticks = count(step=10)
    sizes: list[int] = []

    def answer(events) -> Said:
        sizes.append(len(events))
        return Said([b"1"] * len(events))

    stage = Enrichers(plugged=[Plugged("slow", ["shop.**"], answer)], budget=15, clock=lambda: next(ticks))
    here = World(enrichers=stage)
    seqs = [here.emit(PASSED) for _ in range(130)]
    here.run()
    assert [50, 50] == sizes, "after the second piece 20 are spent"
    assert [1, None] == [here.annotation(seqs[at], "enrichment:slow") for at in (99, 100)]
    assert 30 == orjson.loads(here.events(SKIPPED)[0].body)["payload"]["skipped"]


PLUGIN = """
from eventctl import hookimpl

class Spoken:
    name = "spoken"
    consumes = ["job.**"]

    def enrich(self, events):
        return [{"words": event.event.split(".")} for event in events]

@hookimpl
def eventctl_register_enrichers():
    return [Spoken()]
"""


def install(tmp_path, monkeypatch, code: str) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "plugged_spoken.py").write_text(code)
    info = tmp_path / "eventctl_spoken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: eventctl-spoken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[eventctl]\nspoken = plugged_spoken\n")
    monkeypatch.delitem(sys.modules, "plugged_spoken", raising=False)


def test_an_enricher_that_is_installed_works_in_a_workspace(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, PLUGIN)
    root = starter.make(tmp_path / "work", name="work", member="ada").root
    with eventctl.open(root, env={}) as here:
        seq = here.emit("job.succeeded", "cron", {"job": "backup"}).seq
        here.run_until_idle()
        assert {"words": ["job", "succeeded"]} == orjson.loads(here.views.trace(seq).annotations["enrichment:spoken"])


def test_an_enricher_without_patterns_is_none_and_named(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, PLUGIN.replace('["job.**"]', '"job.**"'))
    [problem] = plugins.load().problems
    assert "eventctl_register_enrichers returned Spoken among what should be enrichers" in problem.what


# --- as it is declared -----------------------------------------------------------------------------------------------------------


def made(tmp_path: Path, config: str, domain: str = "") -> Path:
    root = starter.make(tmp_path / "work", name="work", member="ada").root
    (root / "eventctl.toml").write_text(config)
    if domain:
        file = root / "company/domains/marketing/domain.toml"
        file.write_text(file.read_text() + domain)
    return root


def mistakes(root: Path) -> list[str]:
    from eventctl.workspace import at

    built = House(at(root), {}, NoCrumb(), no_plugins=True).build(MemoryStore())
    return [str(problem) for problem in built.problems if not problem.warning]


TABLE = """
[enrichment.hosts]
consumes = ["job.**"]
table = "tables/hosts.csv"
key = "host"
from = "payload.host"
annotates = "host"
columns = ["team"]
"""


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (TABLE.replace("hosts.csv", "host.csv"), "eventctl.toml: enrichment.hosts.table: there is no file 'tables/host.csv' (did you mean 'hosts.csv'?)"),
        (TABLE.replace('["team"]', '["taem"]'), "eventctl.toml: enrichment.hosts.columns: the table has no column 'taem' (did you mean 'team'?)"),
        (TABLE.replace('"tables/', '"../tables/'), "enrichment.hosts.table: '../tables/hosts.csv' leaves the workspace"),
        (TABLE.replace("annotates", "anotates"), "enrichment.hosts: unknown key 'anotates' (did you mean 'annotates'?)"),
        (TABLE.replace("payload.host", "payloads.host"), "enrichment.hosts.from: is entity, source, event, domain or a field"),
        (TABLE + 'history = "job.failed"\n', "enrichment.hosts: has a table or a history"),
        (TABLE.replace('key = "host"\n', ""), "enrichment.hosts: has a table and no key"),
        (TABLE.replace('"job.**"', '"Job"'), "enrichment.hosts.consumes[0]: a pattern is"),
        (TABLE + TABLE.replace(".hosts]", ".again]"), "enrichment.again: annotates 'host', which eventctl.toml: enrichment.hosts does already"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_key_and_suggestion_and_takes_only_its_enrichment_away(tmp_path, config, words):
    more = TABLE.replace(".hosts]", ".right]").replace('"host"\ncol', '"right"\ncol')
    root = made(tmp_path, config + more)
    (root / "tables").mkdir()
    (root / "tables/hosts.csv").write_text(HOSTS)
    found = mistakes(root)
    assert any(words in said for said in found), found
    with eventctl.open(root, env={}, no_plugins=True) as here:
        seq = here.emit("job.succeeded", "cron", {"job": "backup", "host": "web-1"}).seq
        here.run_until_idle()
        assert {"team": "shop"} == orjson.loads(here.views.trace(seq).annotations["enrichment:right"])


READER = """# /// cartridge
# id       = "reader"
# summary  = "Says whose host it was."
# consumes = ["job.*"]
# annotates = ["whose"]
# ///
async def process(event, context):
    said = await context.annotations()
    context.annotate("whose", [said["host"]["team"], said["trust"]["verdict"], said.get("enrichment:host")])
    return event
"""


def test_what_is_declared_reaches_cartridges_under_its_slot(tmp_path):
    root = made(tmp_path, TABLE)
    (root / "tables").mkdir()
    (root / "tables/hosts.csv").write_text(HOSTS)
    (root / "company/domains/marketing/cartridges/reader.py").write_text(READER)
    with eventctl.open(root, env={}, no_plugins=True) as here:
        seq = here.emit("job.succeeded", "cron", {"job": "backup", "host": "web-1"}).seq
        here.run_until_idle()
        assert ["shop", "flag", None] == orjson.loads(here.views.trace(seq).annotations["whose"])


def test_a_domain_declares_its_own_in_its_file(tmp_path):
    root = made(tmp_path, "", domain=TABLE.replace('"job.**"', '"domain.marketing.**"'))
    (root / "tables").mkdir()
    (root / "tables/hosts.csv").write_text(HOSTS)
    with eventctl.open(root, env={}, no_plugins=True) as here:
        seq = here.emit("domain.marketing.anything", "me", {"host": "web-2"}).seq
        here.run_until_idle()
        assert {"team": "lab"} == orjson.loads(here.views.trace(seq).annotations["enrichment:host"])


# --- a rebuild -------------------------------------------------------------------------------------------------------------------


def test_a_rebuild_takes_what_was_written_then_and_not_what_tables_and_plugins_say_now(tmp_path):
    here = world(tmp_path, plugged=[Told()], hosts=hosts(tmp_path), recent=recent())
    for name in ("web-1", "web-2", "web-9"):
        here.now += SECOND
        here.tell(FAILING, {"host": name, "n": 1}, entity="e")
    seqs = [here.tell(PASSED, {"host": name, "n": 1}, entity="e") for name in ("web-1", "web-2", "web-9")]
    hosts(tmp_path, "host,team\nweb-1,other\nweb-9,new\n")
    again = MemoryStore()
    stage, _ = enrichers(
        tmp_path, [("eventctl.toml", "", {"hosts": hosts(tmp_path, "host,team\nweb-9,new\n")})], [Broken()], budget_us=1
    )
    assert rebuild(here.store, again, World(enrichers=stage).pipeline).same
    for seq in seqs:
        assert here.store.views.trace(seq).annotations == again.views.trace(seq).annotations
    assert here.store.tail("log") == again.tail("log"), "and it says nothing new"


def test_a_rule_that_reads_an_enrichment_is_rebuilt_to_the_same_inbox_when_its_table_has_changed(tmp_path):
    from eventctl import manifest
    from eventctl.system.rulings import Rulings, Shaper

    rule = tmp_path / "lab.toml"
    rule.write_text(
        'id = "lab"\nsummary = "Of the lab."\nconsumes = ["shop.ticket.*"]\n'
        'when = "annotations.host.team == \'lab\'"\n[set]\nlevel = "business"\n'
    )

    def pipeline() -> World:
        enrichment = hosts(tmp_path, (tmp_path / "tables/hosts.csv").read_text(), consumes=["shop.ticket.*"])
        stage, problems = enrichers(tmp_path, [("eventctl.toml", "", {"hosts": enrichment})], [], budget_us=1_000_000)
        assert [] == problems
        return World(enrichers=stage, rules=Rulings([Shaper("workspace", "", manifest.load(rule))]))

    hosts(tmp_path)
    here = pipeline()
    for number, host in enumerate(["web-1", "web-2", "web-2"]):
        here.emit("shop.ticket.opened", {"id": number, "host": host})
    here.run()
    assert [2, 3, 3] == [row.level for row in here.inbox()], "each event is judged by its own annotation"
    hosts(tmp_path, HOSTS.replace("web-2,lab", "web-2,other"))
    later = pipeline()
    assert rebuild(here.store, MemoryStore(), later.pipeline).same
    naive = pipeline()
    naive.store.append([Record(*row[1:]) for row in here.store.read_log(0, 10)])
    naive.run()
    assert naive.store.views.projection_hash() != here.store.views.projection_hash(), (
        "asked today, the table says something else"
    )
