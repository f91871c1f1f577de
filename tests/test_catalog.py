"""The catalog: what is declared stands, what is mistaken is named, and no payload gets anything done."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl import catalog
from eventctl.catalog import Catalog, load
from eventctl.errors import Misconfigured, NotFound, Problem
from eventctl.lives import DEFAULT_AGEING, KEY_MAX, Life, Template
from eventctl.obeyed import NOT_OBEYED
from eventctl.occurrence import occurrence_key
from eventctl.terminal import Clause, parse
from eventctl.times import DAY, FOREVER, HOUR
from tests.counting import calls

DEPLOY = {
    "namespace": "domain.software-development",
    "lives": {"deploy": {"key": ["slug", "environment"], "title": "Deploy {slug} to {environment}"}},
    "types": {
        "deploy.triggered": {
            "summary": "An environment release begins.",
            "level": "workflow",
            "identity": ["slug", "environment", "sha"],
            "window": "24h",
            "payload": {"slug": "str", "environment": "str", "sha": "str"},
            "lives": {"deploy": "opens"},
        },
        "deploy.failed": {
            "summary": "An environment release failed.",
            "level": 3,
            "actionable": True,
            "failure": True,
            "lives": {"deploy": "updates"},
            "meaningful": ["error"],
            "actions": {"retry": {"summary": "Deploy again", "emits": "deploy.triggered"}},
            "terminal_when": "7d elapsed OR event deploy.succeeded OR when Ada says so",
            "ageing": {"resolved": "2d", "purge": "forever"},
        },
        "deploy.succeeded": {"summary": "An environment release is out.", "lives": {"deploy": "resolves"}},
    },
}


def shipped() -> Catalog:
    loaded, problems = load([("eventctl", part) for part in catalog.shipped_parts()])
    assert [] == problems
    return loaded


def part(**types: dict) -> dict:
    return {"namespace": "a", "types": {name.replace("_", "."): {"summary": "x", **spec} for name, spec in types.items()}}


def mistakes(*parts: dict) -> list[Problem]:
    return load([(f"part{number}", data) for number, data in enumerate(parts)])[1]


def test_an_entry_says_what_its_part_declares():
    loaded, _ = load([("event_types.toml", DEPLOY)])
    entry = loaded.entry("domain.software-development.deploy.failed")
    assert (3, "software-development", "local") == entry.defaults
    assert entry.actionable
    assert entry.failure
    assert (("domain.software-development.deploy", "updates"),) == entry.lives
    assert "domain.software-development.deploy.triggered" == entry.actions["retry"].emits
    assert 24 * HOUR == loaded.entry("domain.software-development.deploy.triggered").window


def test_types_are_listed_in_order_and_each_knows_its_owner():
    loaded, _ = load([("event_types.toml", DEPLOY)])
    names = [f"domain.software-development.deploy.{name}" for name in ("failed", "succeeded", "triggered")]
    assert names == loaded.types()
    assert "event_types.toml" == loaded.owner(names[0])
    assert names == [entry.type for entry in loaded]


def test_an_undeclared_type_is_operational_and_makes_no_life():
    entry = Catalog().entry("made.up")
    assert not entry.declared
    assert (1, "", "local") == entry.defaults
    assert () == entry.lives
    assert "" == Catalog().owner("made.up")


def test_undeclared_types_do_not_pile_up():
    loaded = Catalog()
    for number in range(catalog.UNDECLARED_MAX + 10):
        loaded.entry(f"made.up.{number}")
    assert len(loaded._undeclared) <= catalog.UNDECLARED_MAX


def test_a_mistaken_type_is_left_out_and_the_rest_stands():
    data = part(good={}, bad={"levle": 2, "visibility": "locl"})
    loaded, problems = load([("mine.toml", data)])
    assert ["a.good"] == loaded.types()
    assert {
        ("mine.toml: types.bad", "unknown key 'levle'", "did you mean 'level'?"),
        ("mine.toml: types.bad.visibility", "is one of local, cluster, public, not 'locl'", "did you mean 'local'?"),
    } == {problem[:3] for problem in problems}


def test_every_mistake_of_every_part_is_reported_at_once():
    problems = mistakes(part(one={"level": 9}), {"types": {}}, part(two={"window": "soon"}, three={"payload": {"x": "string"}}))
    assert 4 == len(problems)
    assert [False] * 4 == [problem.warning for problem in problems]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"summary": 5}, "should be text, not 5"),
        (
            {"level": "busines"},
            "a level is infrastructure, operational, workflow, business, or 0 to 3, not 'busines': did you mean 'business'?",
        ),
        ({"level": True}, "a level is infrastructure, operational, workflow, business, or 0 to 3, not 'True'"),
        ({"window": 3}, "a duration is text like '10s', '5m', '2h' or '7d', not '3'"),
        ({"actionable": "yes"}, "should be true or false, not 'yes'"),
        ({"identity": "slug"}, "should be a list, not 'slug'"),
        ({"identity": ["a b"]}, "a payload field is a name like 'slug' or 'repository.full_name', not 'a b'"),
        ({"on_duplicate": "skip"}, "is one of drop, accumulate, not 'skip'"),
        ({"audience": "everybody"}, "is workspace, domain:<name> or member:<name>, not 'everybody'"),
        ({"lives": {"none": "opens"}}, "no life is called 'none'"),
        ({"terminal_when": "7d elapsed"}, "has terminal_when or ageing but takes part in no life"),
        ({"ageing": {"purge": "1d"}}, "has terminal_when or ageing but takes part in no life"),
        ({"meaningful": ["x"]}, "has meaningful or silent fields but takes part in no life"),
        ({"schema": "a.json"}, "the schema 'a.json' is a file, and only event types in a file can name one"),
        ({"schema": {}, "payload": {"x": "str"}}, "has both payload and schema: one of them says what the payload is"),
        ({"identity": ["sha"], "payload": {"slug": "str"}}, "'sha' (identity) is no field of its payload"),
        ({"identity": ["sha"], "schema": {"properties": {"slug": {}}}}, "'sha' (identity) is no field of its payload"),
    ],
)
def test_each_mistake_is_said_in_plain_words(spec, said):
    assert [said] == [problem.what for problem in mistakes(part(t=spec))]


def test_a_title_with_anything_but_plain_fields_is_refused():
    for title in ("{x!r}", "{x:>9}", "{x.__class__}", "{}", "{x", "x}", "{x[0]}"):
        data = {"namespace": "a", "lives": {"l": {"key": [], "title": title}}}
        loaded, problems = load([("mine.toml", data)])
        if "__class__" in title:
            assert "?" == loaded.life("a.l").render({"x": "text"})
        else:
            assert "mine.toml: lives.l" == problems[0].where, title


def test_what_a_broken_life_takes_with_it_is_said():
    data = part(t={"lives": {"l": "opens"}}) | {"lives": {"l": {"key": [], "title": 5}}}
    assert "it is left out for a mistake of its own" in [problem.hint for problem in mistakes(data)]


def test_two_declarations_of_a_type_name_both_owners():
    loaded, problems = load([("first", part(t={"level": 3})), ("second", part(t={}))])
    assert [("second: types.t", "the type 'a.t' is declared by first already")] == [problem[:2] for problem in problems]
    assert 3 == loaded.entry("a.t").level


def test_two_declarations_of_a_life_name_both_owners():
    data = {"namespace": "a", "lives": {"l": {"key": [], "title": "x"}}}
    assert ("second: lives.l", "the life 'a.l' is declared by first already") in [
        problem[:2] for problem in load([("first", data), ("second", data)])[1]
    ]


def test_a_life_needs_somebody_to_open_and_somebody_to_resolve_it():
    data = {"namespace": "a", "lives": {"l": {"key": [], "title": "x"}}}
    problems = mistakes(data)
    assert ["part0: a.l", "part0: a.l"] == [problem.where for problem in problems]
    assert all(problem.warning for problem in problems)


def test_a_type_can_take_part_in_two_lives():
    lives = {name: {"key": [], "title": name} for name in ("l", "m")}
    data = part(o={"lives": {"l": "opens", "m": "opens"}}, c={"lives": {"l": "resolves", "m": "resolves"}}) | {"lives": lives}
    loaded, problems = load([("mine", data)])
    assert [] == problems
    assert (("a.l", "opens"), ("a.m", "opens")) == loaded.entry("a.o").lives


def test_a_part_may_name_a_life_of_another_namespace_in_full():
    other = {"namespace": "b", "types": {"done": {"summary": "x", "lives": {"a.l": "resolves"}}}}
    data = part(o={"lives": {"l": "opens"}}) | {"lives": {"l": {"key": [], "title": "x"}}}
    loaded, problems = load([("one", other), ("two", data)])
    assert [] == problems
    assert (("a.l", "resolves"),) == loaded.entry("b.done").lives


def test_a_reserved_namespace_is_its_owners_alone():
    loaded, problems = load(
        [("eventctl", {"namespace": "sys", "reserved": True}), ("mine", {**part(t={}), "namespace": "sys.more"})]
    )
    assert ["the namespace 'sys' is reserved by eventctl"] == [problem.what for problem in problems]
    assert not loaded.declared("sys.more.t")
    assert loaded.entry("sys.made.up").reserved
    assert not loaded.entry("system.made.up").reserved


def test_a_type_of_a_reserved_namespace_can_be_open_to_senders():
    loaded, _ = load([("eventctl", part(closed={}, open={"reserved": False}) | {"reserved": True})])
    assert (True, False) == (loaded.entry("a.closed").reserved, loaded.entry("a.open").reserved)


def test_an_unknown_life_is_not_found_with_a_suggestion():
    loaded, _ = load([("event_types.toml", DEPLOY)])
    with pytest.raises(NotFound) as caught:
        loaded.life("domain.software-development.deplay")
    assert "did you mean 'domain.software-development.deploy'?" == caught.value.hint


def test_the_version_names_the_content_and_not_its_order_or_origin():
    other = part(t={})
    versions = {load(parts)[0].version for parts in ([("x", DEPLOY), ("y", other)], [("b", other), ("a", DEPLOY)])}
    assert 1 == len(versions)
    assert load([("x", DEPLOY), ("y", part(t={"level": 2}))])[0].version not in versions


def test_ageing_follows_the_workspace_except_where_a_type_says_otherwise():
    workspace = DEFAULT_AGEING._replace(unhandled=(DAY,) * 4)
    loaded, _ = load([("event_types.toml", DEPLOY)], ageing=workspace)
    ageing = loaded.entry("domain.software-development.deploy.failed").ageing
    assert ((2 * DAY,) * 4, (DAY,) * 4, (FOREVER,) * 4) == ageing
    assert DEFAULT_AGEING.resolved == loaded.entry("domain.software-development.deploy.succeeded").ageing.resolved


def test_ageing_is_by_level():
    assert (1 * DAY, 3 * DAY, 7 * DAY, 14 * DAY) == DEFAULT_AGEING.resolved
    assert (7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY) == DEFAULT_AGEING.unhandled
    assert (30 * DAY, 60 * DAY, 90 * DAY, 365 * DAY) == DEFAULT_AGEING.purge


def test_terminal_when_keeps_what_it_does_not_know_as_text_and_reports_it():
    clauses = (
        Clause("elapsed", us=7 * DAY),
        Clause("action"),
        Clause("seen"),
        Clause("event", "a.b"),
        Clause("text", "9 elapsed"),
    )
    assert clauses == parse("7d elapsed OR action taken OR  seen OR event a.b OR 9 elapsed")
    loaded, problems = load([("event_types.toml", DEPLOY)])
    assert ["terminal_when says 'when Ada says so', which ends nothing by itself"] == [problem.what for problem in problems]
    clause = loaded.entry("domain.software-development.deploy.failed").terminal_when[1]
    assert Clause("event", "domain.software-development.deploy.succeeded") == clause


@pytest.mark.parametrize(("clause", "word"), [("seen", "seen"), ("action taken", "action")])
def test_an_end_that_is_not_obeyed_is_said(clause, word):
    data = part(t={"lives": {"l": "opens"}, "terminal_when": f"7d elapsed OR {clause}"}) | {
        "lives": {"l": {"key": [], "title": "x"}}
    }
    (problem,) = mistakes(data)
    assert ("part0: a.t: terminal_when", NOT_OBEYED["terminal_when"][word], True) == (
        problem.where,
        problem.what,
        problem.warning,
    )


def test_an_end_that_waits_for_what_cannot_end_it_is_said():
    lives = {"lives": {"l": {"key": ["k"], "title": "x"}}}
    data = part(
        t={"lives": {"l": "opens"}, "terminal_when": "1d elapsed OR event u OR event v"},
        u={"lives": {"l": "updates"}, "terminal_when": "1d elapsed"},
        v={"payload": {"other": "str"}},
    )
    assert [
        "waits for 'a.u', which updates the life 'a.l' and does not end it",
        "waits for 'a.v', whose payload lacks 'k', a key of the life 'a.l'",
    ] == [problem.what for problem in mistakes(data | lives)]


def test_an_audience_can_come_from_the_payload_but_only_as_an_audience():
    loaded, _ = load([("mine", part(t={"audience": "member:{who}"}))])
    entry = loaded.entry("a.t")
    assert "member:ada" == entry.audience_for({"who": "ada"})
    assert ["workspace"] * 3 == [entry.audience_for(payload) for payload in ({}, {"who": "../x"}, {"who": ["ada"]})]


# --- lives ------------------------------------------------------------------------------------------------------------------------


def test_a_key_keeps_types_apart():
    life = Life.declare("a.l", ("n",), "x")
    assert ["[42]", '["42"]', "[true]", "[1]"] == [life.key_of({"n": value}) for value in (42, "42", True, 1)]


def test_a_missing_or_null_key_field_makes_no_key():
    life = Life.declare("a.l", ("slug", "repository.id"), "x")
    assert None is life.key_of({"slug": "x", "repository": {}})
    assert None is life.key_of({"slug": None, "repository": {"id": 1}})
    assert "repository.id" == life.missing({"slug": "x", "repository": "text"})
    assert '["x",7]' == life.key_of({"slug": "x", "repository": {"id": 7}})


def test_a_life_without_key_fields_is_one_for_the_workspace():
    assert "[]" == Life.declare("a.l", (), "x").key_of({"any": "thing"})


def test_a_long_key_is_replaced_by_its_hash():
    life = Life.declare("a.l", ("n",), "x")
    key, other = (life.key_of({"n": "x" * 100_000 + end}) for end in ("1", "2"))
    assert len(key) <= KEY_MAX
    assert key != other


def test_a_title_shows_fields_and_a_question_mark_for_what_is_not_there():
    life = Life.declare("a.l", (), "{{{slug}}} {a.b} {none} {n} {ok} {description} {entity} {source} {payload.source}")
    payload = {"slug": "api", "a": {"b": "deep"}, "n": 1.5, "ok": True, "source": "inner"}
    said = life.render(payload, description="text", entity=None, source="cron")
    assert "{api} deep ? 1.5 true text ? cron inner" == said


TITLES = ["{slug}: {description}", "{slug}: {error}", "{slug}"]


@pytest.mark.parametrize(
    ("payload", "description", "expected"),
    [
        ({"slug": "api", "error": "timeout"}, "it broke", "api: it broke"),
        ({"slug": "api", "error": "timeout"}, "", "api: timeout"),
        ({"slug": "api", "error": ""}, "", "api"),
        ({"slug": "api", "error": None}, "", "api"),
        ({}, "it broke", "?"),
    ],
)
def test_of_several_titles_the_first_that_an_event_can_fill_is_shown(payload, description, expected):
    life = Life.declare("a.l", (), TITLES)
    assert expected == life.render(payload, description=description)
    assert (expected != "?") == life.fits(payload, description=description)


def test_a_title_is_one_safe_line():
    life = Life.declare("a.l", (), "Deploy {slug}")
    assert "Deploy ␛[2J␤x" == life.render({"slug": "\x1b[2J\nx"})
    assert 200 == len(life.render({"slug": "x" * 100_000}))


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=4))
def test_no_value_is_ever_a_template(text, payload):
    life = Life.declare("a.l", (), "[{x}]")
    said = life.render({**payload, "x": "{y}" + text, "y": "secret"})
    assert said.startswith("[{y}")


def test_fields_of_a_template_are_those_of_the_payload():
    assert [("slug",), ("name",)] == Template("{slug} {description} {payload.name} {entity}").fields


# --- occurrences ------------------------------------------------------------------------------------------------------------------


def key(type_: str, data: dict, principal: str = "cli:ada") -> tuple[bytes | None, str | None]:
    return occurrence_key(shipped().entry(type_), data, principal)


def test_the_same_identity_is_the_same_occurrence_whoever_reports_it():
    run = {"payload": {"job": "backup", "run": "1", "host": "a"}}
    again = {"payload": {"host": "b", "run": "1", "job": "backup"}, "idempotency_key": "mine"}
    assert key("job.started", run) == key("job.started", again, "http:robot")
    assert 16 == len(key("job.started", run)[0])


def test_another_type_or_another_value_type_is_another_occurrence():
    keys = {
        key("job.started", {"payload": {"job": "a", "run": "1"}}),
        key("job.failed", {"payload": {"job": "a", "run": "1"}}),
        key("job.started", {"payload": {"job": "a", "run": 1}}),
        key("job.started", {"payload": {"job": "a:1", "run": ""}}),
        key("job.started", {"payload": {"job": "a", "run": ":1"}}),
    }
    assert 5 == len(keys)


def test_a_missing_identity_field_makes_no_key_and_is_named():
    for payload in ({"job": "a"}, {"job": "a", "run": None}, None):
        found, missing = key("job.started", {"payload": payload, "idempotency_key": "mine"})
        assert found is None
        assert missing == ("run" if payload else "job")


def test_a_senders_own_key_counts_for_that_sender_and_type_only():
    own = {"payload": {}, "idempotency_key": "k"}
    keys = {key("made.up", own), key("made.up", own, "http:eve"), key("made.other", own)}
    assert 3 == len(keys)
    assert key("made.up", own) == key("made.up", {**own, "payload": {"x": 1}})
    assert (None, None) == key("made.up", {"payload": {}})


@given(st.lists(st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans(), min_size=2, max_size=2), st.data())
def test_two_identities_share_a_key_only_when_they_are_equal(values, data):
    other = data.draw(st.just(values) | st.lists(st.text() | st.integers(0, 9) | st.booleans(), min_size=2, max_size=2))
    entry = SHIPPED.entry("job.started")
    one, two = ({"payload": dict(zip(("job", "run"), pair, strict=True))} for pair in (values, other))
    same = orjson.dumps(values) == orjson.dumps(other)
    assert same == (occurrence_key(entry, one, "cli:a") == occurrence_key(entry, two, "cli:a"))


def test_a_key_takes_a_handful_of_calls():
    entry, data = SHIPPED.entry("job.started"), {"payload": {"job": "backup", "run": "0190"}}
    assert calls(lambda: occurrence_key(entry, data, "cli:ada")) < 20


# --- schemas and files ------------------------------------------------------------------------------------------------------------


def test_a_payload_schema_tells_right_from_wrong():
    schema = SHIPPED.payload_schema("job.failed")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"job": "x", "exit_code": 1, "unknown": "is fine"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"job": "x", "exit_code": "1"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, schema)


def test_a_schema_file_beside_the_types_is_read_in(tmp_path: Path):
    (tmp_path / "t.json").write_text('{"properties": {"x": {"type": "string"}}, "required": ["x"]}')
    (tmp_path / "event_types.toml").write_text(
        'namespace = "a"\n[types.t]\nsummary = "x"\nschema = "t.json"\nidentity = ["x"]\n'
    )
    loaded, problems = load([catalog.read_part(tmp_path / "event_types.toml", shown="mine.toml")])
    assert [] == problems
    assert ["x"] == loaded.payload_schema("a.t")["required"]


@pytest.mark.parametrize(
    ("name", "said"), [("../t.json", "leaves the folder"), ("none.json", "cannot be read"), ("bad.json", "is not JSON")]
)
def test_a_schema_file_that_cannot_serve_is_refused(tmp_path: Path, name, said):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "event_types.toml").write_text(f'namespace = "a"\n[types.t]\nsummary = "x"\nschema = "{name}"\n')
    with pytest.raises(Misconfigured, match=said) as caught:
        catalog.read_part(tmp_path / "event_types.toml", shown="mine.toml")
    assert "mine.toml: types.t.schema" == caught.value.where


def test_the_schema_for_editors_takes_what_is_shipped():
    validator = jsonschema.Draft202012Validator(catalog.json_schema())
    for data in [*catalog.shipped_parts(), DEPLOY]:
        assert [] == [error.message for error in validator.iter_errors(data)]
    assert list(validator.iter_errors({"namespace": "a", "types": {"t": {"summary": "x", "levle": 1}}}))


def test_the_shipped_families_are_whole():
    families = {name.partition(".")[0] for name in SHIPPED.types()}
    assert {"system", "notice", "cartridge", "job", "deployment", "node", "content", "schema"} <= families
    for entry in SHIPPED:
        for name, _ in entry.lives:
            assert name.startswith(f"{entry.type.partition('.')[0]}."), entry.type
        json.dumps(SHIPPED.payload_schema(entry.type))


def test_only_the_platform_speaks_for_the_platform():
    reserved = {name for name in SHIPPED.types() if SHIPPED.entry(name).reserved}
    assert {"system.burst.detected", "notice.raised", "cartridge.failed"} <= reserved
    assert not {"job.failed", "node.alive", "system.worker.crashed", "system.backup.failed"} & reserved


SHIPPED = shipped()
