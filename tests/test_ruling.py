"""Rules at work: each effect, windows, the shadow, and what becomes of a rule that has no answer."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from pathlib import Path

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

import eventctl
from eventctl import decisions
from eventctl.app import Workspace
from eventctl.dag import faults
from eventctl.dag.faults import ERRORS_MAX
from eventctl.expressions import Facts, Unanswered, compiled, terms
from eventctl.principal import ROLES, Principal
from eventctl.ruling import KEY_MAX, TEXT_MAX, TITLE_MAX
from eventctl.store import Keys
from eventctl.templates import render
from eventctl.times import iso, now_us
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


def test_a_rule_without_when_holds_for_all_that_it_consumes(tmp_path: Path) -> None:
    with running(make(tmp_path, all='[notify]\ntitle = "sold"\nkey = "{payload.name}"\n')) as ws:
        sell(ws, {"name": "a"})
        sell(ws, {"name": "b"})
        sell(ws, {"name": "a"})
        assert ["sold", "sold"] == titles(ws)
        assert ["a", "b", "a"] == [raised["key"] for raised in payloads(ws, "notice.raised")]


def test_a_title_of_which_nothing_is_left_is_the_summary(tmp_path: Path) -> None:
    with running(make(tmp_path, all='[notify]\ntitle = "{payload.name}"\n')) as ws:
        sell(ws)
        assert ["A rule."] == titles(ws)


def test_an_emitted_payload_keeps_the_types_of_its_fields(tmp_path: Path) -> None:
    rule = """\
[emit]
event = "domain.ops.alarm"
entity = "till-{payload.number}"
description = "{payload.name} again"
payload = { amount = "{payload.amount}", list = ["{payload.list}", "x{payload.number}"], table = { gone = "{payload.no}" }, \
gone = "{payload.no}", fixed = 3 }
"""
    with running(make(tmp_path, alarm=rule)) as ws:
        sell(ws, {"amount": 1.5, "list": [1, 2], "number": 7, "name": "{payload.amount}"})
        (row,) = [row for row in ws.store.read_log(0, 100) if row.type == "domain.ops.alarm"]
        assert "till-7" == row.entity
        assert {
            "rule": "alarm", "amount": 1.5, "list": [[1, 2], "x7"], "table": {"gone": None}, "fixed": 3,
        } == orjson.loads(row.body)["payload"]  # fmt: skip
        assert "{payload.amount} again" == orjson.loads(row.body)["description"], "a stranger's braces stay braces"


def test_an_annotation_stands_beside_the_event(tmp_path: Path) -> None:
    rule = '[annotate]\nslot = "size"\nvalue = { large = true, amount = "{payload.amount}" }\n'
    with running(make(tmp_path, size=rule)) as ws:
        assert {"large": True, "amount": 3} == beside(ws, sell(ws, {"amount": 3}))["size"]


def test_a_later_rule_reads_what_an_earlier_one_annotated(tmp_path: Path) -> None:
    first = '[annotate]\nslot = "size"\nvalue = "{payload.amount}"\n'
    second = 'after = ["first"]\nwhen = "annotations.size > 2"\n[notify]\ntitle = "{annotations.size}"\n'
    with running(make(tmp_path, first=first, second=second)) as ws:
        sell(ws, {"amount": 2})
        sell(ws, {"amount": 3})
        assert ["3"] == titles(ws)


PROPOSAL = """\
[propose]
action = "restart"
summary = "Restart {entity}"
emits = "domain.ops.restart"
payload = { slug = "{entity}" }
"""


def test_a_proposal_is_done_at_once_where_nothing_says_otherwise(tmp_path: Path) -> None:
    with running(make(tmp_path, offer=PROPOSAL)) as ws:
        seq = sell(ws)
        assert [{"slug": "shop"}] == payloads(ws, "domain.ops.restart")
        (row,) = [row for row in ws.store.read_log(0, 100) if row.type == "domain.ops.restart"]
        assert ("domain:ops/offer", "cartridge:domain:ops/offer", seq, 1) == (
            row.source,
            row.principal,
            row.caused_by,
            row.hops,
        )
        assert [("d1", "done", "")] == [(f"d{row.number}", row.state, row.decided_by) for row in ws.views.decisions_about(seq)]
        assert [] == titles(ws), "what acts by itself and comes off tells nobody"


def test_a_proposal_that_is_held_waits_in_the_inbox_and_is_done_when_somebody_approves_it(tmp_path: Path) -> None:
    root = make(tmp_path, offer=PROPOSAL)
    (root / "eventctl.toml").write_text((root / "eventctl.toml").read_text() + '\n[autonomy]\ndefault = "L1"\n')
    with running(root) as ws:
        seq = sell(ws)
        assert ["ops asks: Restart shop"] == titles(ws)
        assert [] == payloads(ws, "domain.ops.restart"), "nobody has approved it"
        decisions.approve(ws.store, 1, principal=Principal("cli", "ada", ROLES["admin"]), now=now_us())
        ws.run_until_idle()
        assert [{"slug": "shop"}] == payloads(ws, "domain.ops.restart")
        (row,) = ws.views.decisions_about(seq)
        assert ("done", "cli:ada") == (row.state, row.decided_by)
        assert ["resolved"] == [item.notification.agent_state for item in ws.inbox.list().items]


def test_a_proposal_for_an_agent_that_nobody_has_is_warned_about(tmp_path: Path) -> None:
    rule = '[propose]\naction = "look"\nsummary = "Look"\nagent = "clade"\ninstructions = "Look into it."\n'
    root = make(tmp_path, offer=rule)
    config = root / "eventctl.toml"
    config.write_text(config.read_text() + '\n[agents.claude]\ncommand = ["true"]\n')
    with eventctl.open(root) as ws:
        ws.run_until_idle()
        (problem,) = [problem for problem in ws.problems if "agent" in str(problem)]
    assert problem.warning
    assert "offer.toml: propose.agent: there is no agent 'clade' (did you mean 'claude'?)" in str(problem)


def test_what_an_event_holds_stays_one_word_of_a_command(tmp_path: Path) -> None:
    rule = '[propose]\naction = "sell"\nsummary = "Sell"\ncommand = ["sh", "-c", "exit 0", "{payload.name}"]\nundo = ["true"]\n'
    with running(make(tmp_path, offer=rule)) as ws:
        seq = sell(ws, {"name": "a boat; rm -rf $HOME"})
        (row,) = ws.views.decisions_about(seq)
        body = orjson.loads(row.body)
        assert ["sh", "-c", "exit 0", "a boat; rm -rf $HOME"] == body["args"]["argv"]
        assert ["command", {"argv": ["true"]}] == body["undo"]
        assert "done" == row.state


def test_in_the_shadow_a_rule_says_what_it_would_do_and_does_nothing(tmp_path: Path) -> None:
    rule = 'mode = "shadow"\n[notify]\ntitle = "{payload.name}"\n[emit]\nevent = "domain.ops.alarm"\npayload = { a = 1 }\n'
    with running(make(tmp_path, dark=rule)) as ws:
        notify, emit = beside(ws, sell(ws, {"name": "a boat"}))["shadow:dark"]
        assert ("notify", "a boat", "dark:shop") == (notify["effect"], notify["title"], notify["key"])
        assert {"effect": "emit", "event": "domain.ops.alarm", "payload": {"rule": "dark", "a": 1}} == emit
        assert [] == titles(ws)
        assert [] == payloads(ws, "domain.ops.alarm")


THRESHOLD = """\
[window]
kind = "threshold"
count = 3
within = "10m"
[notify]
title = "{window.count} sales in {entity} since {window.since}"
"""


def test_a_window_speaks_when_it_is_full_for_each_entity_and_over_a_restart(tmp_path: Path) -> None:
    root = make(tmp_path, burst=THRESHOLD)
    with running(root) as ws:
        first = sell(ws)
        sell(ws)
        sell(ws, entity="garage")
        assert [] == titles(ws)
        record = ws.store.read_log(first - 1, 1)[0]
    with running(root) as ws:
        sell(ws)
        (raised,) = payloads(ws, "notice.raised")
        assert "burst" == raised["rule"]
        assert 3 == raised["window"]["count"]
        assert raised["window"]["since"] <= iso(record.at)
        assert [f"3 sales in shop since {raised['window']['since']}"] == titles(ws)


def test_an_absence_speaks_of_the_event_that_nothing_followed(tmp_path: Path) -> None:
    rule = """\
[window]
kind = "absence"
after = "payload.step == 'begin'"
expect = "payload.step == 'end'"
within = "50ms"
lateness = "500ms"
[emit]
event = "domain.ops.alarm"
payload = { about = "{entity}", name = "{payload.name}" }
"""
    with running(make(tmp_path, absent=rule)) as ws:
        sell(ws, {"step": "begin", "name": "nightly"})
        sell(ws, {"step": "begin", "name": "hourly"}, entity="garage")
        sell(ws, {"step": "end"}, entity="garage")
        wait_for(ws, "domain.ops.alarm")
        (alarm,) = payloads(ws, "domain.ops.alarm")
        assert {"rule": "absent", "about": "shop", "name": "nightly"}.items() <= alarm.items()
        assert 1 == alarm["window"]["count"]


def test_each_window_has_a_notification_of_its_own(tmp_path: Path) -> None:
    rule = THRESHOLD.replace("count = 3", 'count = 2\nper = ["source", "payload.name"]')
    with running(make(tmp_path, burst=rule)) as ws:
        for name in ("a", "b", "a", "b", "a"):
            sell(ws, {"name": name})
        assert ["burst:till:a", "burst:till:b"] == sorted({raised["key"] for raised in payloads(ws, "notice.raised")})
        assert 2 == len([title for title in titles(ws) if "sales in" in title])


def test_a_rule_does_not_answer_to_what_follows_from_itself(tmp_path: Path) -> None:
    echo = 'id = "echo"\nsummary = "A rule."\nconsumes = ["domain.ops.*"]\n[emit]\nevent = "domain.ops.alarm"\n'
    with running(make(tmp_path, echo=echo)) as ws:
        sell(ws)
        assert 1 == len(payloads(ws, "domain.ops.alarm"))
        assert 0 == ws.views.counts().unaccounted


def test_a_rule_that_has_no_answer_lets_the_event_go_on_and_is_counted(tmp_path: Path) -> None:
    with running(make(tmp_path, big=NOTIFY, all='[annotate]\nslot = "seen"\n')) as ws:
        seq = sell(ws, {"name": "no amount"})
        assert {"big": "there is no field 'amount'"} == beside(ws, seq)["skipped:domain:ops"]
        assert beside(ws, seq)["seen"] is True
        fault = faults_of(ws)["big"]
        assert (1, 1, seq) == (fault.errors, fault.row, fault.seq)
        sell(ws, {"name": "a boat", "amount": 12})
        assert (1, 0) == (faults_of(ws)["big"].errors, faults_of(ws)["big"].row)
        assert [] == ws.store.exceptions_of("domain:ops", ("dead", "retry"))


def test_a_rule_that_never_has_an_answer_is_suspended_says_so_and_stays_suspended(tmp_path: Path) -> None:
    root = make(tmp_path, big=NOTIFY, all='[annotate]\nslot = "seen"\n')
    with running(root) as ws:
        for _ in range(ERRORS_MAX - 1):
            sell(ws)
        assert [] == titles(ws)
        sell(ws)
        (unit,) = [unit for unit in ws.store.units().values() if unit.path.endswith("big.toml")]
        reason = f"it had no answer for {ERRORS_MAX} events in a row, the last time because there is no field 'amount'"
        assert ("disabled", reason) == (unit.state, unit.reason)
        assert f"big in domain:ops: {reason}" in titles(ws)
        assert "skipped:domain:ops" not in beside(ws, sell(ws)), "it is not asked any more"
    with eventctl.open(root) as ws:
        seq = sell(ws, {"name": "a boat", "amount": 12})
        assert [f"company/domains/ops/cartridges/big.toml: is switched off: {reason}"] == [
            str(problem).partition(" (")[0] for problem in ws.problems if "cartridges/" in problem.where
        ]
        assert beside(ws, seq)["seen"] is True
        assert 1 == sum("no answer" in title for title in titles(ws))


def test_a_suspended_rule_whose_file_changes_begins_anew(tmp_path: Path) -> None:
    root = make(tmp_path, big=NOTIFY)
    with running(root) as ws:
        for _ in range(ERRORS_MAX):
            sell(ws)
    put(root, "big", 'when = "has(payload.amount) && payload.amount > 10.0"\n' + NOTIFY.partition("\n")[2])
    with running(root) as ws:
        sell(ws)
        sell(ws, {"name": "a boat", "amount": 12})
        assert "a boat for 12" in titles(ws)


def test_errors_count_on_over_a_restart(tmp_path: Path) -> None:
    root = make(tmp_path, big=NOTIFY)
    for _ in range(ERRORS_MAX):
        with eventctl.open(root) as ws:
            sell(ws)
    with eventctl.open(root) as ws:
        assert ["disabled"] == [unit.state for unit in ws.store.units().values()]


def test_an_effect_that_cannot_be_made_is_counted_like_no_answer(tmp_path: Path) -> None:
    rule = '[annotate]\nslot = "copy"\nvalue = ["{payload.big}", "{payload.big}", "{payload.big}"]\n'
    with running(make(tmp_path, copy=rule)) as ws:
        seq = sell(ws, {"big": "x" * 100_000})
        assert "262,144 are allowed" in beside(ws, seq)["skipped:domain:ops"]["copy"]
        assert 1 == faults_of(ws)["copy"].errors


def test_what_an_event_holds_may_be_as_long_as_it_likes(tmp_path: Path) -> None:
    with running(
        make(tmp_path, all='[notify]\ntitle = "{payload.big}"\nkey = "{payload.big}"\ntext = "{payload.big}"\n')
    ) as ws:
        sell(ws, {"big": "x" * 100_000})
        (raised,) = payloads(ws, "notice.raised")
        assert [TITLE_MAX, KEY_MAX, TEXT_MAX] == [len(raised[name]) for name in ("title", "key", "text")]
        assert 1 == len(titles(ws))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.sampled_from("ab"), inner, max_size=3),
    max_leaves=8,
)
HOSTILE = JSON | st.sampled_from([2**70, "\ud800", {"\ud800": 1}, {1: 2}, b"x", [[[[[[]]]]]], object()])
TEXTS = [
    "payload.a > 1", "payload.a == payload.b", "payload.a.b", "payload.a[0] == 'x'", "size(payload.a) > 1", "!payload.a",
    "payload.a.matches('(a+)+$')", "payload.a + payload.b == 2", "timestamp(payload.a) < now", "payload.a in payload.b",
    "payload.a.exists(x, x == payload.b)", "-payload.a < 0", "payload.a / payload.b > 1", "has(payload.a.b) || payload.b == null",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TEXTS), HOSTILE, HOSTILE, st.sampled_from(["shop", "", None, "\ud800"]))
def test_whatever_an_event_holds_an_expression_answers_or_says_that_it_does_not(
    text: str, a: object, b: object, entity: str | None
) -> None:
    facts = Facts({"event": "x", "source": "y", "entity": entity, "payload": {"a": a, "b": b}})
    for ask in (compiled(text, wants="any").holds, compiled(text, wants="any").value):
        with suppress(Unanswered):
            ask(facts)
    assert isinstance(terms(text, facts), list)
    render("{payload.a} {payload.b.x} {entity}", {"payload": {"a": a, "b": b}, "entity": entity})


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
STORED = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional={"a": STORED, "b": STORED, "name": STORED}), min_size=1, max_size=12))
def test_whatever_comes_every_event_is_accounted_for_and_none_is_a_dead_letter(given: list[dict[str, object]]) -> None:
    effects = '[notify]\ntitle = "{payload.name}"\nkey = "{payload.a}"\n[annotate]\nslot = "%s"\nvalue = ["{payload.a}", "{payload.b}"]\n'
    rules = {
        f"rule_{number}": f"when = {text!r}\n" + effects % f"s{number}" for number, text in enumerate(TEXTS) if "'" not in text
    }
    rules["window"] = '[window]\nkind = "threshold"\nwithin = "1h"\ncount = 2\ndistinct = "payload.a"\n' + effects % "w"
    with tempfile.TemporaryDirectory() as folder, running(make(Path(folder), **rules)) as ws:
        for payload in given:
            ws.emit("domain.ops.sold", "till", payload, entity="shop")
        assert ws.run_until_idle()
        assert 0 == ws.views.counts().unaccounted
        assert [] == ws.store.exceptions_of("domain:ops", ("dead", "retry", "waiting"))


def faults_of(ws: Workspace) -> dict[str, faults.Fault]:
    key = ("domain:ops", faults.STATE)
    return faults.read(orjson.loads(ws.store.snapshot(Keys(states=[key])).states[key]))


def wait_for(ws: Workspace, type_: str) -> None:
    for _ in range(200):
        ws.run_until_idle()
        if payloads(ws, type_):
            return
        time.sleep(0.05)
    raise AssertionError(f"no {type_} came")
