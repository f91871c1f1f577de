"""A declaration made of what was seen: it says what the events were, changes nothing else in its file, and leaves nothing broken."""

from __future__ import annotations

import tempfile
import tomllib
import unicodedata
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.validators import Draft202012Validator

from eventctl import catalog as catalogs
from eventctl.adoption import draft, place, quoted, write
from eventctl.declaration import read_part
from eventctl.discoveries import Discovery
from eventctl.drift import drifts
from eventctl.errors import Conflict, Misconfigured, NotFound, Problem, UsageError
from eventctl.inference import NOTHING, merge, observe
from eventctl.times import parse_iso

DAY = parse_iso("2026-10-21T10:00:00Z")
HELD = b"""# Kept by hand; every byte of it.
namespace = "domain.shop"   # two spaces stay


[types."sold"]
summary = 'Sold.'
payload = { sku = "str",   price = "float" }
"""

# What the gate lets into a log: any text without NUL and halves of pairs.
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.sampled_from(
    [
        "id",
        "order_id",
        "..",
        "../../x",
        "a.b",
        '"',
        "'",
        '"""',
        "\n",
        "\r\n",
        "]",
        "#",
        "=",
        "\x1b[31m",
        "\u202e",
        "\u3164",
        "\x7f",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False, width=16) | NAMES
FLAT = st.dictionaries(NAMES, SCALARS | st.lists(st.integers(0, 3), max_size=2), max_size=6)
NESTED = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
PAYLOADS = FLAT | st.dictionaries(NAMES, NESTED, max_size=4)


def seen(*payloads, type_="domain.shop.lost", count=0):
    shape = reduce(merge, map(observe, payloads), NOTHING)
    number = count or len(payloads)
    return Discovery(type_, False, number, DAY, DAY, (1,), (("till", 1),), number, (), shape)


def loaded(part, *others):
    """What a catalog has against a part."""
    return catalogs.load([("event_types.toml", part), *others])[1]


def adopt(found, file, **how):
    made = draft(found, file, **how)
    write(made, loaded)
    return made


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "event_types.toml"
    made.write_bytes(HELD)
    return made


@settings(max_examples=150, deadline=None)
@given(st.lists(PAYLOADS, min_size=1, max_size=6), st.booleans())
def test_an_adopted_declaration_takes_every_event_that_it_was_made_of(payloads, fresh):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "event_types.toml")
        if not fresh:
            file.write_bytes(HELD)
        made = adopt(seen(*payloads, count=100), file)
        catalog, problems = catalogs.load([read_part(file)])
        assert [] == problems
        assert catalog.declared("domain.shop.lost")
        wanted = catalog.payload_schema("domain.shop.lost")
        for payload in payloads:
            assert Draft202012Validator(wanted).is_valid(payload)
            assert [] == list(drifts(wanted, payload))
        always = reduce(set.intersection, map(set, payloads))
        assert always == set(wanted.get("required", ()))
        assert file.read_bytes().startswith(b"" if fresh else HELD)
        for text in (file.read_text("utf-8"), made.schema):
            assert set() == {
                each for each in text if each != "\n" and unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")
            }


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_toml_reads_back_what_was_quoted(text):
    assert {"x": text} == tomllib.loads(f"x = {quoted(text)}")
    assert {text: 1} == tomllib.loads(f"{quoted(text)} = 1")


def test_a_flat_payload_is_a_table_with_what_it_cannot_say_beside_it(file):
    rows = [
        {
            "order_id": str(n),
            "state": ("on", "off")[n % 2],
            "at": "2026-11-20",
            "total": n,
            "tags": ["a"],
            **({"ok": True} if n else {}),
        }
        for n in range(60)
    ]
    made = adopt(seen(*rows), file, level=2)
    assert HELD + made.block.encode() == file.read_bytes()
    assert None is made.schema_file
    assert (
        made.block
        == """
[types."lost"]
summary = "Seen 60 times since 2026-10-21; say here what it means."
level = "workflow"
# identity = ["order_id"]  # makes an occurrence: the same again within `window` is a duplicate
# lives = { order = "updates" }  # what stands in the inbox; needs a [lives.order]
# at was always a date
# state was one of "off", "on"
payload = { at = "str", order_id = "str", state = "str", tags = "list", total = "int", ok = "bool?" }
"""
    )


def test_a_long_table_stands_on_lines_of_its_own(file):
    adopt(seen({f"a_rather_long_name_{number}": 1 for number in range(9)}), file)
    payload = read_part(file)[1]["types"]["lost"]["payload"]
    assert {f"a_rather_long_name_{number}": "int" for number in range(9)} == payload


@pytest.mark.parametrize("payload", [{"a": {"b": 1}}, {"a": [{"b": 1}]}], ids=str)
def test_what_a_table_cannot_say_is_a_schema_beside_the_file(file, payload):
    made = adopt(seen(payload), file)
    assert file.parent / "lost.schema.json" == made.schema_file
    assert 'schema = "lost.schema.json"' in made.block
    assert made.schema == made.schema_file.read_text("utf-8")
    assert ["is string, declared integer"] == [
        what
        for _, what in drifts(
            read_part(file)[1]["types"]["lost"]["schema"],
            {"a": {"b": "x"}} if isinstance(payload["a"], dict) else {"a": [{"b": "x"}]},
        )
    ]


def test_a_file_without_a_last_line_end_and_one_of_another_system_stay_as_they_are(file):
    for before in (HELD.rstrip(), HELD.replace(b"\n", b"\r\n")):
        file.write_bytes(before)
        adopt(seen({"n": 1}), file)
        after = file.read_bytes()
        assert after.startswith(before)
        assert (b"\r\n" in before) == (b"\n" not in after.replace(b"\r\n", b""))
        assert {"sold", "lost"} == set(tomllib.loads(after.decode())["types"])


def test_a_domain_without_a_file_gets_one(tmp_path):
    adopt(seen({"n": 1}), tmp_path / "event_types.toml")
    assert "domain.shop" == read_part(tmp_path / "event_types.toml")[1]["namespace"]


def test_mode_and_link_of_the_file_stay(file, tmp_path):
    file.chmod(0o600)
    link = tmp_path / "elsewhere" / "event_types.toml"
    link.parent.mkdir()
    link.symlink_to(file)
    adopt(seen({"n": 1}), link)
    assert link.is_symlink()
    assert 0o600 == file.stat().st_mode & 0o777
    assert b"lost" in file.read_bytes()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def unharmed(file, *more):
    assert HELD == file.read_bytes()
    assert sorted(["event_types.toml", *more]) == names(file.parent)


def test_what_the_loader_refuses_is_not_written(file):
    made = draft(seen({"a": {"b": 1}}), file)
    with pytest.raises(Misconfigured, match="no good"):
        write(made, lambda part: [Problem("here", "no good")])
    unharmed(file)


def test_a_file_that_changed_meanwhile_is_left_alone(file):
    made = draft(seen({"n": 1}), file)
    file.write_bytes(HELD + b"# edited\n")
    with pytest.raises(Conflict, match="has changed"):
        write(made, loaded)
    assert HELD + b"# edited\n" == file.read_bytes()
    assert ["event_types.toml"] == names(file.parent)


def test_a_schema_that_stands_there_is_not_overwritten(file):
    other = file.parent / "lost.schema.json"
    other.write_text("{}")
    with pytest.raises(Conflict, match="stands there already"):
        adopt(seen({"a": {"b": 1}}), file)
    assert "{}" == other.read_text()
    unharmed(file, "lost.schema.json")


def test_a_file_that_a_block_cannot_be_added_to_says_so(file):
    closed = b'namespace = "domain.shop"\ntypes = { sold = { summary = "Sold." } }\n'
    file.write_bytes(closed)
    with pytest.raises(Misconfigured) as wrong:
        adopt(seen({"n": 1}), file)
    assert "by hand" in wrong.value.hint
    assert (closed, ["event_types.toml"]) == (file.read_bytes(), names(file.parent))


@pytest.mark.parametrize("block", [b"[types.lost.payload]\nn = 'nonsense'\n", b"[types.lost]\nlevel = 9\n"])
def test_a_type_that_is_written_there_with_a_mistake_is_not_written_again(file, block):
    file.write_bytes(HELD + block)
    with pytest.raises(Conflict) as wrong:
        adopt(seen({"n": 1}), file)
    assert "config check" in wrong.value.hint
    assert HELD + block == file.read_bytes()


def test_a_file_of_another_namespace_does_not_take_it(file):
    with pytest.raises(UsageError, match="outside the namespace"):
        draft(seen({}, type_="domain.marketing.lost"), file)
    with pytest.raises(UsageError, match="outside the namespace"):
        draft(seen({}, type_="domain.shop"), file)


def test_the_name_of_a_type_says_where_it_belongs(tmp_path):
    shops = {"shop": tmp_path / "shop"}
    assert tmp_path / "shop/event_types.toml" == place(tmp_path, "domain.shop.lost", domains=shops)
    assert tmp_path / "shop/event_types.toml" == place(tmp_path, "domain.shop.lost", domain="shop", domains=shops)
    with pytest.raises(UsageError, match="no domain's"):
        place(tmp_path, "stranger.spoke", domains=shops)
    with pytest.raises(UsageError, match="outside the namespace of 'shop'"):
        place(tmp_path, "domain.store.lost", domain="shop", domains=shops)
    with pytest.raises(NotFound) as wrong:
        place(tmp_path, "domain.shopp.lost", domains=shops)
    assert "did you mean 'shop'?" == wrong.value.hint
