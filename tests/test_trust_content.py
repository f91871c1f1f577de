"""Trust looks at contents too: what is odd about an event, what that comes to, and that it is a fold of the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventctl
from eventctl import moves, starter
from eventctl.breadcrumb import NoCrumb
from eventctl.house import House
from eventctl.memory_store import MemoryStore
from eventctl.reasons import in_words
from eventctl.store import Keys
from eventctl.system.anomaly import PLACES, SHELVES, USUAL_BYTES, Anomalies, Sighting, unlike
from eventctl.system.trust import Trust
from eventctl.times import DAY
from tests.system.kit import ADA, World, catalog

PASSED = "shop.build.passed"
DECLARED = catalog(
    {
        "namespace": "parts",
        "types": {
            "moved": {
                "summary": "s",
                "payload": {"id": "str", "count": "int", "weight": "float?", "note": "any?", "data": "any"},
            },
            "weighed": {
                "summary": "s",
                "schema": {
                    "type": "object",
                    "required": ["kg"],
                    "properties": {"kg": {"type": "number"}, "unit": {"enum": ["kg", "t"]}},
                },
            },
            "sealed": {"summary": "s", "schema": {"properties": {"id": {"type": "string"}}, "additionalProperties": False}},
        },
    }
)


def odd(world: World, seq: int) -> list[str]:
    """The reasons that trust wrote beside an event."""
    said = world.annotation(seq, "trust")
    return [] if said is None else said["reasons"]


# --- first seen ------------------------------------------------------------------------------------------------------------------


def test_the_first_of_a_type_from_a_source_is_flagged_and_goes_on():
    world = World()
    seqs = [world.emit(PASSED, source=source) for source in ("ci", "ci", "laptop", "ci")]
    seqs.append(world.emit("shop.build.failed", source="ci"))
    world.run()
    assert [["first_seen"], [], ["first_seen"], [], ["first_seen"]] == [odd(world, seq) for seq in seqs]
    assert len(seqs) == len(world.feed())


def test_a_type_that_its_source_has_not_sent_for_a_month_is_new_again():
    world = World()
    world.tell(PASSED)
    world.now += 29 * DAY
    assert [] == odd(world, world.tell(PASSED))
    world.now += 29 * DAY
    assert [] == odd(world, world.tell(PASSED)), "each sighting counts, not the first"
    world.now += 32 * DAY
    assert ["first_seen"] == odd(world, world.tell(PASSED))


def test_what_the_platform_says_is_not_new_and_permissive_asks_nothing():
    world = World()
    assert [] == odd(world, world.tell(PASSED, principal="cartridge:shop/x"))
    lax = World(trust=Trust("permissive"))
    assert [] == odd(lax, lax.tell(PASSED))


def test_where_the_first_is_held_the_source_is_new_until_somebody_releases_one():
    world = World(trust=Trust(anomalies=Anomalies(first_seen="quarantine")))
    first, second = world.tell(PASSED), world.tell(PASSED)
    assert ["first_seen", "first_seen"] == [world.exception(seq).reason for seq in (first, second)]
    moves.control(world.store, "quarantine.release", first, principal=ADA, now=world.now)
    world.run()
    assert (first, PASSED, "release") in world.feed()
    assert world.exception(world.tell(PASSED)) is None
    assert "quarantined" == world.exception(second).state, "a release is about one event"


def test_sources_without_end_leave_as_many_rows_as_there_are_shelves():
    world = World()
    for number in range(SHELVES * PLACES + 500):
        world.emit(PASSED, source=f"s{number}")
    world.run()
    states = world.store.snapshot(Keys(states=[("system/trust", f"seen/{shelf:02}") for shelf in range(SHELVES)])).states
    assert SHELVES == len(states)
    assert max(len(value) for value in states.values()) < PLACES * 40


EVENTS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 90), st.integers(0, 40 * DAY // 90)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.integers(1, 7))
def test_what_is_new_does_not_depend_on_how_the_log_is_cut(events, limit):
    def played(size: int) -> list[list[str]]:
        world = World()
        seqs = []
        for name, source, pause in events:
            world.now += pause
            seqs.append(world.emit(f"shop.{name}", source=f"s{source}"))
        world.run(size)
        return [odd(world, seq) for seq in seqs]

    assert played(500) == played(limit)


def crowd() -> list[str]:
    """More sources than a shelf has places, all of one shelf."""
    names = (f"s{number}" for number in range(100_000))
    return [name for name in names if Sighting(PASSED, name).key[1] == "seen/00"][: PLACES + 5]


def test_a_full_shelf_forgets_whom_it_has_not_seen_for_longest_however_the_log_is_cut():
    names = crowd()
    order = [*names, names[-1], names[0]]

    def played(size: int) -> list[list[str]]:
        world = World()
        seqs = [world.emit(PASSED, source=name) for name in order]
        world.run(size)
        return [odd(world, seq) for seq in seqs[-2:]]

    assert [[], ["first_seen"]] == played(500) == played(1)


# --- size ------------------------------------------------------------------------------------------------------------------------


def test_an_oversized_event_interrupts_nobody_and_says_by_how_much():
    world = World()
    world.tell("shop.ticket.opened", {"id": 0})
    seq = world.tell("shop.ticket.opened", {"id": 1, "text": "x" * USUAL_BYTES}, level=3)
    said = world.annotation(seq, "trust")
    assert ("attenuate", 1) == (said["verdict"], said["level_at_most"])
    assert said["reasons"][0].startswith("oversized: 65,")
    assert [2, 1] == [row.level for row in world.inbox()]


def test_no_rule_lifts_an_attenuated_event_up_again(tmp_path):
    from eventctl import manifest
    from eventctl.system.rulings import Rulings, Shaper

    rule = tmp_path / "loud.toml"
    rule.write_text('id = "loud"\nsummary = "s"\nconsumes = ["shop.**"]\nwhen = "true"\n[set]\nlevel = "business"\n')
    world = World(rules=Rulings([Shaper("workspace", "", manifest.load(rule))]))
    world.tell("shop.ticket.opened", {"id": 0})
    world.tell("shop.ticket.opened", {"id": 1, "text": "x" * USUAL_BYTES})
    assert [3, 1] == [row.level for row in world.inbox()]


def test_a_type_may_be_given_a_size_of_its_own():
    world = World(trust=Trust(anomalies=Anomalies(oversized="quarantine", sizes={"shop.build.*": 300, "shop.**": 100_000})))
    assert world.exception(world.tell("shop.build.passed", {"log": "short"})) is None
    held = world.exception(world.tell("shop.build.passed", {"log": "x" * 300}))
    assert ("quarantined", True) == (held.state, held.reason.startswith("oversized: "))
    assert world.exception(world.tell("shop.ticket.opened", {"id": 1, "log": "x" * 300})) is None


# --- payloads --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payload", "said"),
    [
        ("parts.moved", {"id": "a", "count": 1, "data": None}, ""),
        ("parts.moved", {"id": "a", "count": 1, "weight": 2, "data": [], "more": True}, ""),
        ("parts.moved", {"id": "a", "count": 1, "weight": None, "data": 0}, ""),
        ("parts.moved", {"id": "a", "count": 5.0, "data": 1}, ""),
        ("parts.moved", {"id": "a", "count": 5.5, "data": 1}, "count is number, declared integer"),
        ("parts.moved", {"id": "a", "count": True, "data": 1}, "count is boolean, declared integer"),
        ("parts.moved", {"id": "a", "count": 1}, "data is missing"),
        ("parts.moved", {"count": "1", "data": 1}, "id is missing, count is string, declared integer"),
        ("parts.weighed", {"kg": 2, "more": [1]}, ""),
        ("parts.weighed", {"unit": "lb"}, "kg is missing, unit has a value that is not declared"),
        ("parts.sealed", {"id": "a", "more": 1}, "more is not declared"),
    ],
)
def test_a_payload_unlike_its_declaration_says_in_what(name, payload, said):
    check = unlike(DECLARED.entry(name))
    assert said == check(payload)
    assert said == check(payload), "the second look is the quick one"


def test_an_event_of_a_type_without_a_declared_payload_is_not_looked_at():
    assert unlike(DECLARED.entry(PASSED)) is None
    assert unlike(DECLARED.entry("nobody.declared.this")) is None


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(-2, 2), st.text(max_size=2), st.just([]), st.just({})
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["id", "count", "weight", "note", "data"]), VALUES), max_size=6))
def test_the_quick_check_finds_what_a_walk_of_the_schema_finds(payloads):
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(DECLARED.payload_schema("parts.moved"))
    check = unlike(DECLARED.entry("parts.moved"))
    for payload in payloads:
        # A field that may be absent may be null as well.
        given = {name: value for name, value in payload.items() if value is not None or name == "data"}
        assert validator.is_valid(given) == (check(payload) == "")


def test_what_is_unlike_is_flagged_and_its_verdict_may_be_another():
    world = World(types=DECLARED)
    seq = world.tell("parts.moved", {"id": 4, "count": 1, "data": 1})
    assert ["unlike_schema: id is integer, declared string", "first_seen"] == odd(world, seq)
    strict = World(types=DECLARED, trust=Trust(anomalies=Anomalies(unlike_schema="reject")))
    seq = strict.tell("parts.moved", {})
    assert ("dropped", True) == (
        strict.exception(seq).state,
        strict.exception(seq).reason.startswith("rejected: unlike_schema: "),
    )


def test_the_gravest_verdict_holds_with_the_reasons_of_all():
    world = World(types=DECLARED, trust=Trust(anomalies=Anomalies(oversized="attenuate", size=10)))
    seq = world.tell("parts.moved", {"id": "a"}, principal="http:stranger")
    said = world.annotation(seq, "trust")
    assert "attenuate" == said["verdict"]
    assert ["unknown_source", "oversized", "unlike_schema", "first_seen"] == [
        reason.split(":")[0] for reason in said["reasons"]
    ]


def test_who_is_refused_is_refused_for_that_alone_and_leaves_nothing_behind():
    world = World(trust=Trust("strict"))
    assert "unknown_source" == world.exception(world.tell(PASSED, {"log": "x" * USUAL_BYTES}, principal="http:x")).reason
    assert ["first_seen"] == odd(world, world.tell(PASSED, domain="shop"))


def test_an_oddity_of_a_known_source_changes_nothing_about_its_repeats():
    world = World()
    world.emit(PASSED, {"log": "x" * USUAL_BYTES}, idempotency_key="one")
    again = world.emit(PASSED, idempotency_key="one", source="test")
    world.run()
    assert "dropped" == world.exception(again).state


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("first_seen", "this source has not sent this type before, or not for a month (first_seen)"),
        (
            "oversized: 70,000 bytes, past 65,536",
            "it is larger than events of its type are (oversized: 70,000 bytes, past 65,536)",
        ),
        (
            "unknown_source; first_seen",
            "nobody vouches for this source on this channel (unknown_source) and this source has not",
        ),
        ("a cartridge said so", "a cartridge said so"),
    ],
)
def test_reasons_are_told_in_words(reason, words):
    assert in_words(reason).startswith(words)


# --- as it is written ------------------------------------------------------------------------------------------------------------


def made(tmp_path: Path, config: str = "", domain: str = "") -> Path:
    root = starter.make(tmp_path / "work", name="work", member="ada").root
    (root / "eventctl.toml").write_text((root / "eventctl.toml").read_text() + config)
    if domain:
        file = root / "company/domains/marketing/domain.toml"
        file.write_text(file.read_text() + domain)
    return root


def strictness(root: Path, principal: str, domain: str) -> str:
    from eventctl.system.trust import Claim
    from eventctl.workspace import at

    house = House(at(root), {}, NoCrumb(), no_plugins=True)
    built = house.build(MemoryStore())
    assert [] == [str(problem) for problem in built.problems if not problem.warning]
    trust = built.pipelines[0]._stages[0]
    return trust.strictness(Claim("a.b", "s", principal, None, domain, False))


def test_a_domain_says_in_its_own_file_how_strictly_it_is_judged_and_eventctl_toml_goes_before_it(tmp_path):
    root = made(tmp_path, domain='\n[guardian]\ntrust = "strict"\n')
    assert ("strict", "standard") == (strictness(root, "http:x", "marketing"), strictness(root, "http:x", "other"))
    (root / "eventctl.toml").write_text('[trust]\ndomains = { marketing = "standard" }\nchannels = { http = "strict" }\n')
    assert ("strict", "standard") == (strictness(root, "http:x", "marketing"), strictness(root, "peer:x", "marketing"))


def test_an_ordinary_job_in_a_fresh_workspace_is_not_held(tmp_path):
    root = made(tmp_path)
    with eventctl.open(root) as here:
        here.emit("job.succeeded", "cron", {"job": "backup", "duration_s": 12.0})
        here.run_until_idle()
        assert 0 == here.views.counts().unaccounted
        assert [] == here.views.exceptions(states=["quarantined"])


def test_mistakes_in_trust_are_named_and_the_rest_holds(tmp_path):
    from eventctl.settings import load as read

    file = tmp_path / "eventctl.toml"
    file.write_text(
        '[trust]\nstrictness = "strict"\n[trust.channels]\nhttps = "strict"\n[trust.anomalies]\noversised = "flag"\n'
    )
    given, problems = read(file)
    assert "strict" == given.trust.strictness
    said = " ".join(map(str, problems))
    assert "https" in said and "did you mean 'oversized'?" in said
