"""What cartridges say about event types: patterns that choose none, fields that no payload has, files that are called something else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventctl
from eventctl import catalog as catalogs
from eventctl.catalog import Catalog, EventType
from eventctl.composition import compose
from eventctl.discovery import scan
from eventctl.patterns import matches
from eventctl.sqlite_store import SqliteStore
from eventctl.typecheck import TypeCheck
from eventctl.views import InboxFilter

TYPES = """
namespace = "domain.shop"
[types.sold]
summary = "Sold."
payload = { amount = "float", currency = "str?" }
[types.returned]
summary = "Returned."
payload = { amount = "float", reason = "str" }
[types.opened]
summary = "Open to anything."
[types.counted]
summary = "With a schema."
schema = { type = "object", properties = { stock = { type = "integer" } } }
"""
CODE = '# /// cartridge\n# id = "{id}"\n# summary = "A test."\n# consumes = ["{consumes}"]\n{more}# ///\n\n\n'
CODE += "async def process(event, context):\n    context.emit(*{emit})\n    return event\n"
HOME = "company/domains/shop"


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def code(
    root: Path, folder: str, id_: str = "one", consumes: str = "domain.shop.sold", emits: str = "", name: str = ""
) -> None:
    more = f'# emits = ["{emits}"]\n' if emits else ""
    text = CODE.format(id=id_, consumes=consumes, more=more, emit=(emits, {"amount": 1.0}))
    put(root, f"{folder}/cartridges/{name or id_}.py", text)


def rule(root: Path, when: str, rest: str = '[notify]\ntitle = "x"\n', consumes: str = "domain.shop.sold") -> list[str]:
    head = f"id = \"one\"\nsummary = \"A rule.\"\nconsumes = [\"{consumes}\"]\nwhen = '''{when}'''\n"
    put(root, f"{HOME}/cartridges/one.toml", head + rest)
    return said(root)


def said(root: Path) -> list[str]:
    put(root, f"{HOME}/event_types.toml", TYPES)
    found = scan(root, {})
    catalog, problems = catalogs.load(found.parts)
    assert not [problem for problem in problems if not problem.warning]
    return [
        ("warning: " if problem.warning else "") + str(problem).partition("cartridges/")[2]
        for problem in compose(found, catalog).problems
    ]


@pytest.mark.parametrize(
    ("consumes", "hint"),
    [
        ("domain.shpo.**", " (did you mean 'domain.shop.**'?)"),
        ("domain.shop.slod.**", ""),
        ("weather.*", ""),
        ("*.*.*.*.*", ""),
    ],
)
def test_a_pattern_of_no_declared_type_is_a_warning_for_code_too(tmp_path: Path, consumes: str, hint: str) -> None:
    code(tmp_path, HOME, consumes=consumes)
    what = f"{consumes!r} chooses no declared type: only events that nobody has declared{hint}"
    assert [f"warning: one.py: consumes[0]: {what}"] == said(tmp_path)


def test_a_type_that_nobody_declares_is_a_warning_for_code(tmp_path: Path) -> None:
    code(tmp_path, HOME, consumes="domain.shop.slod")
    (only,) = said(tmp_path)
    assert "warning: one.py: consumes[0]: 'domain.shop.slod' is a type that no one declares, so that it may never come" in only
    assert "(did you mean 'domain.shop.sold'?)" in only


@pytest.mark.parametrize(
    "consumes", ["**", "domain.**", "domain.shop.*", "*.shop.sold", "domain.*.sold", "*.*.*", "domain.shop.sold"]
)
def test_what_chooses_a_declared_type_is_in_order(tmp_path: Path, consumes: str) -> None:
    code(tmp_path, HOME, consumes=consumes)
    assert [] == said(tmp_path)


@given(
    st.lists(st.sampled_from(["a", "a.b", "a.b.c", "b", "b.c", "c.a.b.c"]), min_size=1, unique=True),
    st.lists(st.sampled_from(["a", "b", "c", "*"]), min_size=1, max_size=4),
    st.booleans(),
)
def test_what_sets_say_about_a_pattern_is_what_matching_says(names: list[str], parts: list[str], rest: bool) -> None:
    pattern = ".".join([*parts, "**"] if rest else parts)
    check = TypeCheck(Catalog([EventType(name, declared=True) for name in names]))
    assert any(matches(pattern, name) for name in names) == check._chooses(pattern)


@pytest.mark.parametrize(
    ("when", "wrong"),
    [
        ("payload.amuont > 1.0", "amuont"),
        ("has(payload.amuont) && payload.amuont > 1.0", "amuont"),
        ("payload['amuont'] == 1.0", "amuont"),
        ('payload["amuont"] == 1.0', "amuont"),
        ("payload.amuont.net > 1.0", "amuont"),
    ],
)
def test_a_field_that_no_consumed_type_declares_is_a_warning_with_the_one_that_is_meant(
    tmp_path: Path, when: str, wrong: str
) -> None:
    what = f"payload.{wrong} is no field that domain.shop.sold declares, so that it may never have an answer"
    assert [f"warning: one.toml:4: when: {what} (did you mean 'amount'?)"] == rule(tmp_path, when)


@pytest.mark.parametrize(
    "when",
    [
        "payload.amount > 1.0",
        "payload.currency == 'payload.nothing'",
        "annotations.payload.nothing == 1",
        "source == 'x' // payload.nothing",
        "event == 'payload[\"nothing\"]'",
    ],
)
def test_what_is_declared_and_what_is_no_field_is_left_alone(tmp_path: Path, when: str) -> None:
    assert [] == rule(tmp_path, when)


@pytest.mark.parametrize("consumes", ["domain.shop.*", "domain.shop.opened", "**", "weather.rain.**"])
def test_where_a_payload_is_open_nothing_is_said_about_fields(tmp_path: Path, consumes: str) -> None:
    assert not [each for each in rule(tmp_path, "payload.nothing == 1", consumes=consumes) if "payload.nothing" in each]


def test_one_consumed_type_that_has_it_is_enough_and_a_schema_counts(tmp_path: Path) -> None:
    both = 'domain.shop.sold", "domain.shop.counted'
    assert [] == rule(tmp_path, "payload.stock == 1 || payload.amount > 1.0", consumes=both)
    assert "payload.stokc" in rule(tmp_path, "payload.stokc == 1", consumes=both)[0]


def test_templates_windows_and_groups_are_looked_at_too(tmp_path: Path) -> None:
    window = '[window]\nkind = "threshold"\nwithin = "1h"\ncount = 2\nper = ["payload.shpo"]\n'
    found = rule(tmp_path, "true", f'{window}[notify]\ntitle = "{{payload.titel}}"\nkey = "{{payload.amount}}"\n')
    assert ["notify.title", "window.per"] == sorted(each.split(": ")[2] for each in found)


def test_a_file_that_is_not_called_like_its_cartridge_is_a_warning(tmp_path: Path) -> None:
    code(tmp_path, HOME, "one", name="eins")
    code(tmp_path, HOME, "two")
    folder = tmp_path / HOME / "cartridges/drei"
    folder.mkdir()
    (folder / "cartridge.toml").write_text('id = "three"\nsummary = "A test."\nconsumes = ["domain.shop.sold"]\n')
    (folder / "cartridge.py").write_text("def process(event, context):\n    return event\n")
    assert [
        "warning: drei/cartridge.toml: it is called 'drei', and the cartridge in it 'three' (let the file have the name of the cartridge)",
        "warning: eins.py: it is called 'eins', and the cartridge in it 'one' (let the file have the name of the cartridge)",
    ] == sorted(said(tmp_path))


# --- a member's own types -------------------------------------------------------------------------------------------------------

OWN = """
namespace = "member.ada"
[lives.reminder]
key = ["amount"]
title = "{{amount}}"
[types.reminded]
summary = "Reminded."
level = "business"
payload = {{ amount = "float" }}
lives = {{ reminder = "opens" }}
terminal_when = "1d elapsed"
{more}
"""


def member(root: Path, more: str = "", emits: str = "member.ada.reminded") -> None:
    put(root, "personal/ada/event_types.toml", OWN.format(more=more))
    code(root, "personal/ada", emits=emits)


def test_a_members_cartridge_emits_into_its_own_namespace_and_only_that_member_is_told(tmp_path: Path) -> None:
    put(tmp_path, "eventctl.toml", '[members.ada]\nrole = "admin"\n[members.bob]\nrole = "member"\n')
    put(tmp_path, f"{HOME}/event_types.toml", TYPES)
    member(tmp_path)
    state = tmp_path / ".eventctl"
    state.mkdir(mode=0o700)
    SqliteStore.create(state / "state.db", role="appender", checkpointer=True, reserve_bytes=0).close()
    with eventctl.open(tmp_path, env=dict(os.environ)) as ws:
        assert [] == [problem for problem in ws.problems if not problem.warning]
        ws.step()
        ws.emit("domain.shop.sold", "till", {"amount": 1.0})
        assert ws.run_until_idle()
        assert ["member:ada"] == [item.notification.audience for item in ws.views.inbox(InboxFilter()).items]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ('audience = "workspace"', "a member's events are told to member:ada, not to 'workspace'"),
        ('domain = "shop"', "a member's type belongs to no domain, not to 'shop'"),
        (
            '[types.done]\nsummary = "x"\nlives = { "domain.shop.order" = "resolves" }',
            "the life 'domain.shop.order' may be somebody else's",
        ),
    ],
)
def test_what_reaches_beyond_the_member_is_left_out_and_named(tmp_path: Path, more: str, sentence: str) -> None:
    member(tmp_path, more)
    found = scan(tmp_path, {})
    assert sentence in " ".join(map(str, found.problems))
    catalog, _ = catalogs.load(found.parts)
    assert catalog.declared("member.ada.reminded") == more.startswith("[types")
    assert not catalog.declared("member.ada.done")


@pytest.mark.parametrize("namespace", ["member.bob", "member", "domain.shop", "member.adam", "system"])
def test_a_member_declares_nothing_outside_of_the_own_namespace(tmp_path: Path, namespace: str) -> None:
    put(tmp_path, "personal/ada/event_types.toml", OWN.format(more="").replace("member.ada", namespace))
    found = scan(tmp_path, {})
    assert [] == found.parts
    assert "begin with 'member.ada'" in str(found.problems[0])


@pytest.mark.parametrize("emits", ["member.bob.reminded", "domain.shop.sold", "member.*.reminded", "**"])
def test_a_member_emits_nothing_outside_of_the_own_namespace(tmp_path: Path, emits: str) -> None:
    member(tmp_path, emits=emits)
    assert any("is outside of member.ada.**" in each for each in said(tmp_path))


@pytest.mark.parametrize(("folder", "sentence"), [(HOME, "is outside of domain.shop.**"), (".", "may be a member's type")])
def test_nobody_else_emits_into_a_members_namespace(tmp_path: Path, folder: str, sentence: str) -> None:
    member(tmp_path)
    code(tmp_path, folder, "two", emits="member.ada.reminded")
    put(tmp_path, f"{HOME}/event_types.toml", TYPES)
    found = scan(tmp_path, {})
    problems = compose(found, catalogs.load(found.parts)[0], enable={"two": {}}).problems
    assert sentence in " ".join(map(str, problems))
