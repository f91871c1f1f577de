"""Why a rule matched an event, or did not: what is said about it is held against what engines made of the same events."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from eventctl import whyasked, whyrule
from eventctl.breadcrumb import NoCrumb
from eventctl.errors import NotFound
from eventctl.house import House
from eventctl.times import MINUTE, SECOND, iso
from eventctl.whyrule import Answer, Asked
from eventctl.workspace import Paths
from tests.rulekit import put
from tests.test_rule_kinds import ALARM, NOON, SOLD, SPEAKS, TROUBLE, Day, about_trouble, day, window

BIG = "when = \"payload.spent > 10000.0 && payload.name != 'test'\"\n" + SPEAKS
THREE = window("threshold", count="3")


def asked(here: Day, root: Path, rule: str) -> Asked:
    """The rule of that name, or at that path."""
    return whyasked.asked(House(Paths(root.resolve()), {}, NoCrumb(), no_plugins=True), here.ws.store, rule)


def ask(here: Day, root: Path, seq: int, rule: str | Asked) -> Answer:
    """Why a rule matched an event, or did not."""
    trace = here.ws.views.trace(seq)
    assert trace is not None
    return whyrule.explain(here.ws.store, trace, asked(here, root, rule) if isinstance(rule, str) else rule, iso)


def verdict(here: Day, root: Path, seq: int, rule: str) -> str:
    return ask(here, root, seq, rule).verdict


def part(answer: Answer, heading: str) -> list[str]:
    return dict(answer.parts)[heading]


def at(minutes: float) -> str:
    """A moment of the day, as `iso` writes it."""
    return iso(NOON + int(minutes * MINUTE))


# --- what it says is what was -----------------------------------------------------------------------------------------------

WINDOWS = {
    "many": THREE,
    "several": window("threshold", count="3", distinct='"payload.step"'),
    "pair": window("sequence", after="\"payload.step == 'a'\"", then="\"payload.step == 'b'\""),
    "risen": window("rate", value='"payload.spent"', change="20.0"),
    "fallen": window("rate", value='"payload.spent"', percent="-40.0"),
    "sources": window("threshold", count="3", per='["source", "payload.step"]'),
    "big": 'when = "payload.spent > 60.0"\n' + SPEAKS,
    "note": 'when = "payload.spent > 40.0 || payload.step == \'a\'"\nmode = "shadow"\n[annotate]\nslot = "note"\n',
    "beats": window("absence", expect="\"payload.step == 'b'\""),
}
SHAPING = {
    "quiet": about_trouble("quiet") + 'when = "payload.up"\n[silence]\nfor = "30m"\nreason = "calm"\n',
    "flaps": about_trouble("flaps") + '[window]\nkind = "flap"\nwithin = "10m"\nvalue = "payload.up"\ncount = 2\nper = ["payload.host"]\n',
    "stills": about_trouble("stills")
    + '[window]\nkind = "inhibit"\nwithin = "10m"\nafter = "payload.host == \'a\'"\nper = []\n',
    "loud": about_trouble("loud") + '[window]\nkind = "threshold"\nwithin = "10m"\ncount = 3\n[set]\nlevel = "workflow"\n',
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_what_a_rule_is_said_to_do_is_what_it_did_for_every_event_of_a_random_day(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    with day(tmp_path, **WINDOWS) as here:
        seqs = []
        for _ in range(70):
            payload = {"step": choose.choice("abc"), "spent": choose.randrange(100)}
            late = choose.choice([0, 0, 0, 4, 25]) * MINUTE
            moment = here.clock.us + 2 * MINUTE - late
            entity = choose.choice(["shop", "mill"])
            seqs.append(here.says(payload, after=choose.choice([0, 0.5, 2, 2, 30]), entity=entity, timestamp=iso(moment)))
        rules = {rule: asked(here, tmp_path, rule) for rule in WINDOWS}
        found = {(rule, seq): ask(here, tmp_path, seq, rules[rule]) for rule in WINDOWS for seq in seqs}
    assert {} == {at: answer.verdict for at, answer in found.items() if answer.matched != answer.would}
    matched = {rule for (rule, _), answer in found.items() if answer.matched}
    assert set(WINDOWS) - {"beats"} == matched  # an absence speaks when its time is over, not at an event


@pytest.mark.parametrize("seed", range(3))
def test_so_it_is_with_rules_that_shape(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    with day(tmp_path, **SHAPING) as here:
        seqs = []
        for _ in range(60):
            up, host = choose.random() < 0.5, choose.choice("aabc")
            seqs.append(here.says({"host": host, "up": up}, after=choose.choice([0.5, 2, 2, 9, 30]), event=TROUBLE))
        rules = {rule: asked(here, tmp_path, rule) for rule in SHAPING}
        found = {(rule, seq): ask(here, tmp_path, seq, rules[rule]) for rule in SHAPING for seq in seqs}
    assert {} == {at: answer.verdict for at, answer in found.items() if answer.matched != answer.would}
    assert set(SHAPING) == {rule for (rule, _), answer in found.items() if answer.matched}


# --- each thing that may keep a rule from matching --------------------------------------------------------------------------


def test_the_term_that_is_false_is_named_with_the_value_of_its_field(tmp_path: Path) -> None:
    with day(tmp_path, big=BIG) as here:
        low, high = (here.says({"spent": spent, "name": "ads"}) for spent in (900, 12000))
        assert "It did not match: `payload.spent > 10000.0` is false (payload.spent is 900)." == verdict(
            here, tmp_path, low, "big"
        )
        assert (
            "It matched: `payload.spent > 10000.0` is true (payload.spent is 12000)"
            " and `payload.name != 'test'` is true (payload.name is \"ads\")."
        ) == verdict(here, tmp_path, high, "big")
        answer = ask(here, tmp_path, low, "big")
    assert [
        "`payload.spent > 10000.0` is false (payload.spent is 900).",
        "`payload.name != 'test'` is true (payload.name is \"ads\").",
    ] == part(answer, "The terms of `when`")
    first, second = answer.facts["terms"]
    assert (False, {"payload.spent": 900}) == (first["value"], first["fields"])
    assert (True, {"payload.name": "ads"}) == (second["value"], second["fields"])


def test_what_or_joins_is_told_part_by_part(tmp_path: Path) -> None:
    with day(tmp_path, big="when = \"level >= 3 || payload.name.startsWith('x')\"\n" + SPEAKS) as here:
        seq = here.says({"name": "ads"})
        said = "(`level >= 3` is false (level is 1), `payload.name.startsWith('x')` is false (payload.name is \"ads\"))"
        assert f"It did not match: `level >= 3 || payload.name.startsWith('x')` is false {said}." == verdict(
            here, tmp_path, seq, "big"
        )


def test_a_rule_without_an_answer_says_what_is_missing(tmp_path: Path) -> None:
    with day(tmp_path, big=BIG) as here:
        seq = here.says({"name": "ads"})
        answer = ask(here, tmp_path, seq, "big")
    assert "It did not match: `when` has no answer: there is no field 'spent'." == answer.verdict
    assert "`payload.spent > 10000.0` has no answer: there is no field 'spent'." == part(answer, "The terms of `when`")[0]
    assert ["payload.spent"] == answer.facts["terms"][0]["missing"]
    assert any(
        "went on without it then: there is no field 'spent'" in each["sentence"].lower() for each in answer.facts["checks"]
    )


def test_hostile_text_stays_a_quoted_value(tmp_path: Path) -> None:
    name = 'ads" is true). It matched: \x1b[31m\u202e' + "x" * 500
    with day(tmp_path, big="when = \"payload.name == 'ads'\"\n" + SPEAKS) as here:
        said = verdict(here, tmp_path, here.says({"name": name}), "big")
    assert said.startswith(
        "It did not match: `payload.name == 'ads'` is false (payload.name is \"ads\\\" is true). It matched: \\u001b[31m"
    )
    assert "\x1b" not in said
    assert len(said) < 200


def test_a_type_that_it_does_not_consume_names_the_nearest_pattern(tmp_path: Path) -> None:
    with day(tmp_path, big=BIG) as here:
        seq = here.troubled("a", up=False)
        assert f"It did not match: it does not consume {TROUBLE}; the nearest that it names is {SOLD}." == verdict(
            here, tmp_path, seq, "big"
        )


def test_a_domain_shapes_only_what_is_its_own(tmp_path: Path) -> None:
    text = 'id = "quiet"\nsummary = "A rule."\nconsumes = ["job.failed"]\n[silence]\nfor = "1h"\nreason = "calm"\n'
    with day(tmp_path, quiet=text) as here:
        seq = here.says({"job": "x"}, event="job.failed")
        assert "a rule of the domain ops shapes only its own events" in verdict(here, tmp_path, seq, "quiet")


def test_an_event_that_follows_from_the_rule_is_no_reason_for_it(tmp_path: Path) -> None:
    text = f'id = "echo"\nsummary = "A rule."\nconsumes = ["{SOLD}", "{ALARM}"]\n{SPEAKS}'
    with day(tmp_path, echo=text) as here:
        seq = here.says({})
        trace = here.ws.views.trace(seq)
        assert trace is not None
        (made,) = trace.children
        assert "It did not match: the rule made the event itself." == verdict(here, tmp_path, made.seq, "echo")
        assert "It matched: it asks for nothing but the type." == verdict(here, tmp_path, seq, "echo")


def test_an_event_that_was_dropped_never_came_to_it(tmp_path: Path) -> None:
    text = f'id = "jobs"\nsummary = "A rule."\nconsumes = ["job.failed"]\n{THREE}'
    with day(tmp_path, jobs=text) as here:
        first, again = (here.says({"job": "x", "run": "1"}, event="job.failed") for _ in range(2))
        assert "its window stood at 1 of 3" in verdict(here, tmp_path, first, "jobs")
        said = verdict(here, tmp_path, again, "jobs")
    assert said.startswith("It did not match: the event did not come to it: dropped at dedup")
    assert f"duplicate of e{first}" in said


def test_what_nobody_has_come_to_yet_is_not_taken_for_no_match(tmp_path: Path) -> None:
    with day(tmp_path, big=BIG) as here:
        seq = here.ws.emit(SOLD, "till", {"spent": 12000, "name": "x"}).seq
        assert "It did not match: the system pipeline has not come to the event yet." == verdict(here, tmp_path, seq, "big")


# --- windows ----------------------------------------------------------------------------------------------------------------


def test_a_threshold_says_at_which_count_it_stood_and_that_it_had_spoken(tmp_path: Path) -> None:
    with day(tmp_path, many=THREE) as here:
        seqs = [here.says({}) for _ in range(4)]
        said = [verdict(here, tmp_path, seq, "many") for seq in seqs]
        facts = ask(here, tmp_path, seqs[1], "many").facts["window"]
    assert "It did not match: its window stood at 1 of 3 with this event." == said[0]
    assert f"It did not match: its window stood at 2 of 3 with this event, from {at(1)} to {at(2)}." == said[1]
    assert f"It matched: its window stood at 3 of 3 with this event, from {at(1)} to {at(3)}." == said[2]
    assert "4 of 3" in said[3]
    assert said[3].endswith("and it had spoken before: it does once, until it was calm for 10m.")
    assert (2, 3, at(1), at(2), 1, False) == tuple(
        facts[name] for name in ("count", "needed", "since", "until", "looked_at", "bounded")
    )


def test_a_window_counts_events_of_the_same_key_only(tmp_path: Path) -> None:
    with day(tmp_path, many=THREE, each=window("threshold", count="2", per='["payload.step", "source"]')) as here:
        here.says({"step": "a"}, entity="mill")
        seq = here.says({"step": "b"})
        assert "stood at 1 of 3" in verdict(here, tmp_path, seq, "many")
        assert "stood at 1 of 2" in verdict(here, tmp_path, seq, "each")
        assert "stood at 2 of 2" in verdict(here, tmp_path, here.says({"step": "b"}, entity="mill"), "each")


def test_a_window_is_not_stepped_past_the_event(tmp_path: Path) -> None:
    with day(tmp_path, many=THREE) as here:
        seqs = [here.says({}) for _ in range(6)]
        assert "stood at 1 of 3" in verdict(here, tmp_path, seqs[0], "many")


def test_more_events_than_are_looked_at_are_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventctl.whywindow.REPLAY_MAX", 4)
    with day(tmp_path, many=window("threshold", count="9")) as here:
        *_, seq = (here.says({}, after=0.1) for _ in range(8))
        answer = ask(here, tmp_path, seq, "many")
    assert "stood at 5 of 9" in answer.verdict
    assert "Only the newest 4 events before it were looked at" in part(answer, "Its window")[-1]


def test_history_is_not_counted(tmp_path: Path) -> None:
    with day(tmp_path, many=THREE.replace("[window]", '[window]\nlateness = "1h"')) as here:
        seq = here.says({}, timestamp=iso(NOON - 5 * 60 * MINUTE))
        assert "it happened 5h 1m before it came in, and the window counts at most 1h" in verdict(here, tmp_path, seq, "many")


def test_a_sequence_says_what_it_waits_for_and_since_when(tmp_path: Path) -> None:
    with day(tmp_path, pair=WINDOWS["pair"]) as here:
        lone, first, second, other = (here.says({"step": step}) for step in "bab.")
        said = [verdict(here, tmp_path, seq, "pair") for seq in (lone, first, second, other)]
    assert "It did not match: `then` holds, and no event for which `after` holds waited for it in the 10m before." == said[0]
    assert f"It did not match: it is the first of a sequence: the second is waited for until {at(12)}." == said[1]
    assert f"It matched: it is the second of a sequence whose first came at {at(2)}." == said[2]
    assert "It did not match: neither `after` nor `then` holds." == said[3]


def test_an_absence_says_when_it_speaks_and_what_ended_its_wait(tmp_path: Path) -> None:
    wait = window("absence", within="30m", after="\"payload.step == 'a'\"", expect="\"payload.step == 'b'\"")
    with day(tmp_path, wait=wait, beats=WINDOWS["beats"]) as here:
        stray, first, second = (here.says({"step": step}) for step in "bab")
        said = [verdict(here, tmp_path, seq, "wait") for seq in (stray, first, second)]
        beat = verdict(here, tmp_path, second, "beats")
    assert "It did not match: it is what is expected, and nothing waited for it." == said[0]
    speaks = iso(NOON + 32 * MINUTE + 10 * SECOND)
    assert f"It did not match: a wait began with it: without what is expected the rule speaks at {speaks}." == said[1]
    assert f"It did not match: it is what was expected, and ended the wait since {at(2)}." == said[2]
    assert f"It did not match: it is a beat: without another one it speaks at {iso(NOON + 13 * MINUTE + 10 * SECOND)}." == beat


def test_a_rate_says_from_what_to_what(tmp_path: Path) -> None:
    with day(tmp_path, risen=WINDOWS["risen"], fallen=WINDOWS["fallen"]) as here:
        first, little, much = (here.says({"spent": spent}) for spent in (50, 60, 75))
        half = here.says({"spent": 37})
        said = [verdict(here, tmp_path, seq, "risen") for seq in (first, little, much)]
        fell = verdict(here, tmp_path, half, "fallen")
    assert "It did not match: its value is 50, and there is none of the 10m before." == said[0]
    assert "It did not match: its value went from 50 to 60, by 10 of 20 within 10m." == said[1]
    assert "It matched: its value went from 50 to 75, by 25 of 20 within 10m." == said[2]
    assert "It matched: its value went from 75 to 37, by -50.6667 of -40 percent within 10m." == fell


def test_a_flap_says_how_often_the_value_changed(tmp_path: Path) -> None:
    with day(tmp_path, flaps=SHAPING["flaps"]) as here:
        seqs = [here.troubled("a", up=up) for up in (True, False, True)]
        said = [verdict(here, tmp_path, seq, "flaps") for seq in seqs]
    assert "It did not match: it is the first of its key, with the value true." == said[0]
    assert "It did not match: its value went from true to false; 1 of 2 changes within 10m." == said[1]
    assert f"It matched: its value went from false to true; 2 of 2 changes within 10m: quiet until {at(13)}." == said[2]


def test_an_inhibition_names_its_cause(tmp_path: Path) -> None:
    with day(tmp_path, stills=SHAPING["stills"]) as here:
        before, cause, quiet = (here.troubled(host, up=False) for host in "bab")
        here.passes(60)
        after = here.troubled("b", up=False)
        said = [verdict(here, tmp_path, seq, "stills") for seq in (before, cause, quiet, after)]
    assert "It did not match: no event for which `after` holds came in the 10m before." == said[0]
    assert "It did not match: it is a cause itself: from it on other events are kept quiet." == said[1]
    assert f"It matched: a cause stands since {at(2)}, and keeps it quiet until {at(12)}." == said[2]
    assert "no event for which `after` holds came in the 10m before" in said[3]


def test_when_decides_before_the_window_does(tmp_path: Path) -> None:
    with day(tmp_path, many="when = \"payload.step == 'a'\"\n" + THREE) as here:
        answer = ask(here, tmp_path, here.says({"step": "b"}), "many")
    assert "It did not match: `payload.step == 'a'` is false (payload.step is \"b\")." == answer.verdict
    assert answer.facts["window"] is None


# --- how the rule stands ----------------------------------------------------------------------------------------------------


def test_a_rule_in_the_shadow_matched_and_did_nothing(tmp_path: Path) -> None:
    with day(tmp_path, big='mode = "shadow"\n' + BIG) as here:
        answer = ask(here, tmp_path, here.says({"spent": 12000, "name": "x"}), "big")
    assert answer.verdict.startswith("It matched: `payload.spent > 10000.0` is true")
    assert "It is in shadow mode: it notes what it would do, and does nothing." in part(answer, "The rule")
    assert ["It was in shadow mode, and noted what it would have done: [emit]."] == part(answer, "What it did")


def test_a_file_that_stands_nowhere_is_asked_too(tmp_path: Path) -> None:
    root, aside = tmp_path / "work", tmp_path / "elsewhere.toml"
    aside.write_text(f'id = "elsewhere"\nsummary = "A rule."\nconsumes = ["{SOLD}"]\n[notify]\ntitle = "x"\n')
    with day(root, many=THREE) as here:
        answer = ask(here, root, here.says({}), str(aside))
    assert (
        "It would match (it asks for nothing but the type), and did not: it stands nowhere in the workspace: it is a file that nobody runs."
        == answer.verdict
    )
    assert ["not_installed"] == answer.facts["rule"]["standing"]


def test_a_library_rule_that_is_not_switched_on_says_so(tmp_path: Path) -> None:
    with day(tmp_path, many=THREE) as here:
        put(tmp_path, "far", f'id = "far"\nsummary = "A rule."\nconsumes = ["{SOLD}"]\n[notify]\ntitle = "x"\n', folder="")
        said = verdict(here, tmp_path, here.says({}), "far")
    assert "and did not: it is not switched on: `[enable]` in eventctl.toml does not name far, and nobody requires it." in said


def test_a_rule_that_was_suspended_says_why(tmp_path: Path) -> None:
    with day(tmp_path, big='when = "payload.spent > 1.0"\n' + SPEAKS) as here:
        for _ in range(10):
            here.says({})
        said = verdict(here, tmp_path, here.says({"spent": 2}), "big")
    assert "and did not: it is switched off: it had no answer for 10 events in a row" in said


def test_a_shaping_rule_that_was_suspended_says_why(tmp_path: Path) -> None:
    with day(
        tmp_path, quiet=about_trouble("quiet") + 'when = "payload.load > 1.0"\n[silence]\nfor = "1h"\nreason = "calm"\n'
    ) as here:
        for _ in range(10):
            here.troubled("a", up=True)
        said = verdict(here, tmp_path, here.says({"host": "a", "up": False, "load": 2.0}, event=TROUBLE), "quiet")
    assert "and did not: it is suspended: it had no answer for 10 events in a row" in said


def test_a_file_that_was_changed_since_is_not_blamed_for_what_it_did_not_do(tmp_path: Path) -> None:
    with day(tmp_path, big=BIG) as here:
        seq = here.says({"spent": 900, "name": "x"})
        put(tmp_path, "big", BIG.replace("10000", "100"))
        said = verdict(here, tmp_path, seq, "big")
        high = here.ws.views.trace(here.says({"spent": 12000, "name": "x"}))
        put(tmp_path, "big", BIG.replace("10000", "20000"))
        assert high is not None
        then = verdict(here, tmp_path, high.record.seq, "big")
    assert said.startswith("It would match now (`payload.spent > 100.0` is true")
    assert "and did not then, and its file was changed at " in said
    assert then.startswith("It matched then. Now it would not: `payload.spent > 20000.0` is false")


def test_a_silence_of_hours_says_that_it_was_not_on(tmp_path: Path) -> None:
    text = about_trouble("nights") + '[silence]\nevery = ["22:00-06:00"]\nreason = "sleep"\n'
    with day(tmp_path, nights=text) as here:
        assert f"It did not match: its silence was not on at {at(1)}." == verdict(
            here, tmp_path, here.troubled("a", up=True), "nights"
        )


def test_a_group_names_the_field_that_is_lacking(tmp_path: Path) -> None:
    text = about_trouble("gather") + '[group]\nby = ["payload.rack"]\n'
    with day(tmp_path, gather=text) as here:
        seq = here.troubled("a", up=True)
        assert "It did not match: the event lacks a field of payload.rack, by which it gathers." == verdict(
            here, tmp_path, seq, "gather"
        )
        assert "It matched" in verdict(here, tmp_path, here.says({"host": "b", "rack": "1"}, event=TROUBLE), "gather")


def test_code_is_not_asked_and_an_unknown_rule_has_a_suggestion(tmp_path: Path) -> None:
    with day(tmp_path, many=THREE) as here:
        seq = here.says({})
        with pytest.raises(NotFound) as unknown:
            ask(here, tmp_path, seq, "mny")
    assert "did you mean 'many'?" == unknown.value.hint


def test_annotations_are_those_that_the_rule_saw(tmp_path: Path) -> None:
    early = '[annotate]\nslot = "size"\nvalue = "{payload.size}"\n'
    late = (
        f'id = "late"\nsummary = "A rule."\nconsumes = ["{SOLD}"]\nafter = ["early"]\nwhen = "annotations.size > 5.0"\n{SPEAKS}'
    )
    with day(tmp_path, early=early, late=late) as here:
        small, large = (here.says({"size": size}) for size in (1, 9))
        assert "It did not match: `annotations.size > 5.0` is false (annotations.size is 1)." == verdict(
            here, tmp_path, small, "late"
        )
        assert "It matched: `annotations.size > 5.0` is true (annotations.size is 9)." == verdict(here, tmp_path, large, "late")


def test_a_timer_is_the_moment_of_an_absence_and_nothing_to_other_rules(tmp_path: Path) -> None:
    with day(tmp_path, wait=window("absence", expect="\"payload.step == 'a'\""), many=THREE) as here:
        here.says({"step": "a"})
        here.passes(30)
        timer = next(row.seq for row in here.ws.store.read_log(0, 100) if row.kind == "timer")
        said = [verdict(here, tmp_path, timer, rule) for rule in ("wait", "many")]
    assert "It matched: the moment that its window waited for came, and what was expected had not." == said[0]
    assert "It did not match: it is a timer, no event." == said[1]


def test_a_level_that_was_set_before_is_the_one_that_a_later_shaping_rule_saw(tmp_path: Path) -> None:
    rules = {
        "a_level": about_trouble("a-level") + '[set]\nlevel = "workflow"\n',
        "b_quiet": about_trouble("b-quiet") + 'when = "level == 2"\n[silence]\nfor = "1h"\nreason = "calm"\n',
    }
    with day(tmp_path, **rules) as here:
        assert "It matched: `level == 2` is true (level is 2)." == verdict(
            here, tmp_path, here.troubled("a", up=True), "b-quiet"
        )
