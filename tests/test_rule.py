"""What may stand in a rule's file, and the sentence for everything that may not: file, line, key, and what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from eventctl import manifest
from eventctl.errors import Misconfigured
from eventctl.lines import lines_of
from eventctl.manifest import read_rule, rule_schema
from eventctl.suggest import parse_toml
from eventctl.times import HOUR, MINUTE

GOOD = """\
id       = "ad-spend"
summary  = "Tell me when a campaign spends past 10,000."
consumes = ["domain.marketing.campaign.*"]
when     = "payload.spent > 10000.0"

[notify]
title = "{payload.name} has spent {payload.spent}"
level = "business"
"""
HEAD = 'id = "one-rule"\nsummary = "A rule."\nconsumes = ["job.*"]\n'
NOTIFY = '[notify]\ntitle = "x"\n'


def said(text: str) -> list[str]:
    with pytest.raises(Misconfigured) as error:
        read_rule(text, "r.toml")
    return [str(problem) for problem in error.value.problems]


def test_a_rule_is_the_manifest_of_a_cartridge(tmp_path: Path) -> None:
    file = tmp_path / "ad-spend.toml"
    file.write_text(GOOD)
    read = manifest.load(file)
    assert ("ad-spend", ("domain.marketing.campaign.*",), ("entity",)) == (read.id, read.consumes, read.key)
    assert read.rule is not None
    assert not read.rule.shaping
    assert (3, ["notify"]) == (read.rule.notify.level if read.rule.notify else 0, read.rule.effects)
    assert read == manifest.undump(manifest.dump(read))


def test_what_it_emits_and_annotates_follows_from_its_effects() -> None:
    read = read_rule(HEAD + '[emit]\nevent = "a.b"\n[annotate]\nslot = "s"\n')
    assert (("a.b",), ("s",)) == (read.emits, read.annotates)


def test_its_state_belongs_to_what_its_window_belongs_to() -> None:
    window = '[window]\nkind = "threshold"\nwithin = "1h 30m"\ncount = 2\nper = ["source", "payload.a.b"]\nlateness = "1h"\n'
    read = read_rule(HEAD + window + NOTIFY)
    assert ("source", "payload.a.b") == read.key
    assert read.rule is not None
    assert read.rule.window is not None
    assert (90 * MINUTE, HOUR) == (read.rule.window.within, read.rule.window.lateness)
    assert read == manifest.undump(manifest.dump(read))


@pytest.mark.parametrize("effect", ["[set]\nlevel = 0\n", '[group]\nby = ["payload.a"]\n', '[silence]\nfor = "2h"\n'])
def test_a_shaping_rule_is_one_that_changes_what_an_event_counts_as(effect: str) -> None:
    read = read_rule(HEAD + effect)
    assert read.rule is not None
    assert read.rule.shaping
    assert read == manifest.undump(manifest.dump(read))


KNOWN = (
    " (known here: after, annotate, api, consumes, emit, group, id, mode, notify, propose, requires, set, silence, summary, "
    "version, when, window)"
)
MISTAKES = {
    "an unknown key": (GOOD.replace("when ", "wen "), ["r.toml:4: unknown key 'wen' (did you mean 'when'?)"]),
    "an unknown key in an effect": (GOOD + 'titel = "x"\n', ["r.toml:9: notify: unknown key 'titel' (did you mean 'title'?)"]),
    "an unknown table": (
        GOOD + '[notfy]\ntitle = "x"\n',
        ["r.toml:9: unknown key 'notfy' (did you mean 'notify'?)"],
    ),
    "no title": (HEAD + '[notify]\ntext = "x"\n', ["r.toml:4: notify: 'title' is missing"]),
    "a level that is none": (
        GOOD.replace('"business"', '"busy"'),
        ["r.toml:8: notify.level: a level is infrastructure, operational, workflow, business, or 0 to 3, not 'busy'"],
    ),
    "an unknown name": (
        GOOD.replace("payload.spent >", "paylod.spent >"),
        ["r.toml:4: when: column 1: there is no 'paylod' (did you mean 'payload'?)"],
    ),
    "a wrong type": (
        GOOD.replace("payload.spent > 10000.0", "entity > 3"),
        [
            (
                "r.toml:4: when: column 8: > does not take text and a whole number "
                "(double(), int() and string() change a value's kind)"
            )
        ],
    ),
    "no truth": (
        GOOD.replace("payload.spent > 10000.0", "size(payload)"),
        ["r.toml:4: when: gives a whole number, and here it should give true or false"],
    ),
    "an empty expression": (
        GOOD.replace("payload.spent > 10000.0", " "),
        ["r.toml:4: when: is empty: an expression asks something, like payload.spent > 100.0"],
    ),
    "a long expression": (
        GOOD.replace("payload.spent > 10000.0", "true || " * 1_000 + "true"),
        ["r.toml:4: when: has 8,004 characters; 4,000 are allowed"],
    ),
    "a template without such a field": (
        GOOD.replace("payload.name", "paylod.name"),
        ["r.toml:7: notify.title: an event has no 'paylod' (did you mean 'payload'?)"],
    ),
    "a template that computes": (
        GOOD.replace("{payload.name}", "{payload.a + 1}"),
        [
            (
                "r.toml:7: notify.title: {payload.a + 1} is no field: braces hold a dotted name "
                "(one is {payload.name}; a template computes nothing)"
            )
        ],
    ),
    "a template of a window that is none": (
        GOOD.replace("{payload.name}", "{window.count}"),
        ["r.toml:7: notify.title: {window...} is what a window counted, and this rule has none (give it a [window])"],
    ),
    "a template deep in a payload": (
        HEAD + '[emit]\nevent = "a.b"\npayload = { a = ["{nowhere.b}"] }\n',
        ["r.toml:6: emit.payload.a[0]: an event has no 'nowhere' (did you mean 'now'?)"],
    ),
    "no effect": (
        HEAD,
        ["r.toml: has no effect: it needs one of [notify], [emit], [annotate], [propose], [set], [group], [silence]"],
    ),
    "both kinds of effect": (
        GOOD + "[set]\nlevel = 1\n",
        [
            (
                "r.toml: [notify] speaks about the event and [set] changes what it counts as: "
                "they happen in two places, write two rules"
            )
        ],
    ),
    "a date that is no text": (
        HEAD + '[emit]\nevent = "a.b"\npayload = { at = 2026-11-20 }\n',
        [
            (
                "r.toml:6: emit.payload: a value is text, a number, true or false, a list or a table, not 2026-11-20: "
                "write it in quotes"
            )
        ],
    ),
    "not TOML": (
        'id = "x\n',
        ["r.toml: is not TOML: Illegal character '\\n' (at line 1, column 8) (text values stand in quotes)"],
    ),
    "code's key": (GOOD.replace("when ", "key "), ["r.toml:4: unknown key 'key'" + KNOWN]),
    "no audience": (
        GOOD + 'audience = "ada"\n',
        ["r.toml:9: notify.audience: an audience is workspace, domain:<name> or member:<name>, not 'ada'"],
    ),
    "a silence that ends twice": (
        HEAD + '[silence]\nfor = "2h"\nuntil = "2026-12-01T00:00:00Z"\n',
        ["r.toml:4: silence: has for and until: a silence ends in one way"],
    ),
    "a silence without an end": (HEAD + "[silence]\n", ["r.toml: a silence ends: give it for, until or every"]),
    "a time of no week": (
        HEAD + '[silence]\nevery = ["Mo 10-12"]\n',
        [
            (
                "r.toml:5: silence.every[0]: a time of the week is written like 'Mon-Fri 22:00-07:00' or '12:00-13:00', "
                "not 'Mo 10-12'"
            )
        ],
    ),
    "no time zone": (
        HEAD + '[silence]\nevery = ["10:00-12:00"]\ntimezone = "Berlin"\n',
        ["r.toml:6: silence.timezone: no time zone is called 'Berlin'; one is 'Europe/Berlin'"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_with_its_line_and_what_was_meant(text: str, expected: list[str]) -> None:
    assert expected == said(text)


WINDOWS = {
    "a kind that is none": (
        'kind = "treshold"\nwithin = "1h"',
        (
            "r.toml:5: window.kind: is one of threshold, sequence, absence, flap, rate, inhibit, not 'treshold' "
            "(did you mean 'threshold'?)"
        ),
    ),
    "no within": ('kind = "threshold"\ncount = 3', "r.toml:4: window: 'within' is missing"),
    "within nothing": (
        'kind = "threshold"\ncount = 3\nwithin = "0s"',
        "r.toml:4: window: within is longer than 0 and at most 366d",
    ),
    "within years": (
        'kind = "threshold"\ncount = 3\nwithin = "400d"',
        "r.toml:4: window: within is longer than 0 and at most 366d",
    ),
    "no duration": (
        'kind = "threshold"\ncount = 3\nwithin = 10',
        "r.toml:7: window.within: a duration is text like '10s', '5m', '2h' or '7d', not '10'",
    ),
    "no count": ('kind = "threshold"\nwithin = "1h"', "r.toml:4: window: a threshold needs 'count'"),
    "a count of none": (
        'kind = "threshold"\nwithin = "1h"\ncount = 0',
        "r.toml:7: window.count: input should be greater than or equal to 1, not 0",
    ),
    "a sequence of one": ('kind = "sequence"\nwithin = "1h"\nafter = "true"', "r.toml:4: window: a sequence needs 'then'"),
    "an absence of nothing": (
        'kind = "absence"\nwithin = "1h"\nafter = "true"',
        "r.toml:4: window: an absence needs 'expect'",
    ),
    "what another kind has": (
        'kind = "absence"\nwithin = "1h"\nexpect = "true"\ncount = 3',
        "r.toml:4: window: an absence has no 'count'; it takes expect, after, within, per and lateness",
    ),
    "lateness": (
        'kind = "threshold"\nwithin = "1h"\ncount = 3\nlateness = "8d"',
        "r.toml:4: window: lateness is at most 7d: what comes later is not counted",
    ),
    "a rate of nothing": (
        'kind = "rate"\nwithin = "1h"\nvalue = "level"',
        "r.toml:4: window: a rate needs either 'change' (by how much) or 'percent' (of the value before)",
    ),
    "a rate of text": (
        'kind = "rate"\nwithin = "1h"\nvalue = "entity"\nchange = 1',
        "r.toml:7: window.value: gives text, and here it should give a number",
    ),
    "a mistake in an expression": (
        'kind = "sequence"\nwithin = "1h"\nafter = "evnt == \'a\'"\nthen = "event = \'b\'"',
        "r.toml:7: window.after: column 1: there is no 'evnt' (did you mean 'event'?)",
    ),
    "whose it is": (
        'kind = "threshold"\nwithin = "1h"\ncount = 3\nper = ["host"]',
        "r.toml:8: window.per[0]: a window belongs to entity, source, event, domain or payload.<field>, not to 'host': did you mean 'payload.host'?",
    ),
}


@pytest.mark.parametrize(("window", "expected"), WINDOWS.values(), ids=WINDOWS.keys())
def test_a_window_that_cannot_be_is_refused(window: str, expected: str) -> None:
    assert expected == said(f"{HEAD}[window]\n{window}\n{NOTIFY}")[0]


KINDS = {
    "flap": ('value = "payload.a"\ncount = 3', "the window 'flap' mutes what it matches, and [notify] speaks: write two rules"),
    "inhibit": ('after = "true"', "the window 'inhibit' mutes what it matches, and [notify] speaks: write two rules"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_that_mutes_needs_no_effect_and_takes_none_that_speaks(kind: str) -> None:
    keys, sentence = KINDS[kind]
    window = f'{HEAD}[window]\nkind = "{kind}"\nwithin = "1h"\n{keys}\n'
    read = read_rule(window)
    assert read.rule is not None
    assert read.rule.shaping
    assert [f"r.toml: {sentence}"] == said(window + NOTIFY)


@pytest.mark.parametrize("effect", ["[set]\nlevel = 1\n", '[annotate]\nslot = "s"\n'])
def test_an_absence_has_no_event_to_act_on(effect: str) -> None:
    window = '[window]\nkind = "absence"\nwithin = "1h"\nexpect = "true"\n'
    (sentence,) = said(HEAD + window + effect)
    assert sentence.startswith("r.toml: an absence has no event")


def test_the_place_of_a_mistake_is_marked_in_the_text() -> None:
    with pytest.raises(Misconfigured) as error:
        read_rule(GOOD.replace("payload.spent > 10000.0", "level > 1 &&\\n  sorce == 'x'"), "r.toml")
    (problem,) = error.value.problems
    assert "line 2 of it, column 3: there is no 'sorce'" == problem.what
    assert "  sorce == 'x'\n  ^" == problem.mark


def test_editors_refuse_what_eventctl_refuses_and_take_what_it_takes() -> None:
    schema = Draft202012Validator(rule_schema())
    assert schema.is_valid(parse_toml(GOOD, "good"))
    assert not schema.is_valid(parse_toml(GOOD.replace("when ", "wen "), "unknown"))
    assert not schema.is_valid(parse_toml(GOOD + "text = 3\n", "type"))


def test_the_lines_of_keys_are_found_also_around_long_texts() -> None:
    text = 'id = "x"\nwhen = """\nlevel = 3\n"""  # a text\n[ notify ]  # a table\n  title = \'\'\'a\nb = 1\'\'\'\nlevel = 2\n[[a.b]]\nc.d = 1\n'
    assert {"id": 1, "when": 2, "notify": 5, "notify.title": 6, "notify.level": 8, "a.b": 9, "a.b.c.d": 10} == lines_of(text)
