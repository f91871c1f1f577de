"""A key of a file that people write is set or taken out, and nothing else of theirs is touched."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl import tomledit
from eventctl.errors import Conflict, Misconfigured
from eventctl.tomledit import Change, edit

WRITTEN = """\
# Settings of the shop.
[members.ada]   # the boss
role = "admin"  # of everything

# What may act.
[autonomy]
default = "L3"  # calm
# types come later

[autonomy.domains]
shop = "L1"

# Trust nobody.
[trust]
rules = [
  { source = "a", verdict = "flag" },  # one
]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "eventctl.toml"
    path.write_text(WRITTEN)
    return path


def lines_of(before: str, after: str) -> tuple[list[str], list[str]]:
    """What is gone and what is new, but for empty lines."""
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new and line], [line for line in new if line not in old and line]


@pytest.mark.parametrize(
    ("key", "value", "gone", "new"),
    [
        ("autonomy.default", "L2", ['default = "L3"  # calm'], ['default = "L2"  # calm']),
        ("autonomy.window", "5m", [], ['window = "5m"']),
        ("autonomy.types.deploy.*", "L1", [], ["[autonomy.types]", '"deploy.*" = "L1"']),
        ("autonomy.domains.ops", "L2", [], ['ops = "L2"']),
        ("autonomy.domains.shop", None, ['shop = "L1"'], []),
        ("members.ada.domains", ["shop"], [], ['domains = ["shop"]']),
        ("members.bob", {"role": "member"}, [], ["[members.bob]", 'role = "member"']),
        ("members.ada", None, ["[members.ada]   # the boss", 'role = "admin"  # of everything'], []),
        ("trust.strictness", "strict", [], ['strictness = "strict"']),
        ("runner.batch", 5, [], ["[runner]", "batch = 5"]),
    ],
)
def test_an_edit_touches_its_own_lines_and_no_others(file, key, value, gone, new):
    made = edit(file, [(key.split(".", 2), value)])
    assert (gone, new) == lines_of(WRITTEN, made.after)
    assert WRITTEN == file.read_text()
    made.write()
    assert value == tomledit.at(tomllib.loads(file.read_text()), key.split(".", 2))


def test_a_new_table_stands_with_its_kin_and_the_next_ones_comment_stays_with_the_next(file):
    after = edit(file, [(("members", "bob"), {"role": "member"}), (("members", "ada", "domains"), ["x"])]).after
    assert (
        """\
role = "admin"  # of everything
domains = ["x"]

[members.bob]
role = "member"

# What may act.
[autonomy]
"""
        in after
    )
    after = edit(file, [(("autonomy", "domains", "shop"), None), (("members", "ada"), None)]).after
    assert "# Settings of the shop.\n\n# What may act.\n[autonomy]\n" in after
    assert "# Trust nobody.\n[trust]\n" in after


def test_what_is_so_already_is_no_change(file):
    made = edit(file, [(("autonomy", "default"), "L3"), (("autonomy", "cartridges", "x"), None)], check=pytest.fail)
    assert ([], WRITTEN) == (made.changes, made.after)


def test_the_changes_say_what_was_and_what_is(file):
    changes = edit(file, [(("autonomy", "types", "a.*"), "L1"), (("autonomy", "domains", "shop"), None)]).changes
    assert [Change(("autonomy", "types", "a.*"), None, "L1"), Change(("autonomy", "domains", "shop"), "L1", None)] == changes
    assert ['autonomy.types."a.*"', "autonomy.domains.shop"] == [change.name for change in changes]


def test_a_file_that_is_not_there_yet_is_made(tmp_path):
    made = edit(tmp_path / "domain.toml", [(("autonomy", "default"), "L2"), (("summary",), "Shop.")])
    made.write()
    assert {"autonomy": {"default": "L2"}, "summary": "Shop."} == tomllib.loads((tmp_path / "domain.toml").read_text())


@pytest.mark.parametrize(
    "text",
    [
        'members = { ada = { role = "admin" } }  # all in one\n',
        'members.ada.role = "admin"  # dotted\n',
        '[members]\nada = { role = "admin" }  # inline\n',
        '\ufeff[members.ada]\nrole = "admin"',
        '[members]\n[members.ada]\nrole = "admin"\n[other]\ntext = """\n[members.bob]\n"""\n',
    ],
)
def test_however_it_is_written_it_reads_back_with_the_change_and_nothing_else(tmp_path, text):
    path = tmp_path / "eventctl.toml"
    path.write_text(text, "utf-8")
    before = tomllib.loads(text.removeprefix("\ufeff"))
    done = edit(path, [(("members", "bob"), {"role": "member"}), (("members", "ada", "role"), "member")]).after
    wanted = {**before, "members": {"ada": {"role": "member"}, "bob": {"role": "member"}}}
    assert wanted == tomllib.loads(done.removeprefix("\ufeff"))
    assert [comment for comment in ("# all in one", "# dotted", "# inline") if comment in text and comment not in done] == []


def test_a_file_that_cannot_be_read_is_not_edited(file):
    file.write_text("[members\n")
    with pytest.raises(Misconfigured, match="not TOML"):
        edit(file, [(("members", "bob"), {"role": "member"})])
    assert "[members\n" == file.read_text()


def test_what_would_touch_other_lines_is_refused_with_the_line_to_write(tmp_path):
    path = tmp_path / "eventctl.toml"
    path.write_text("autonomy = 5\n")
    with pytest.raises(Misconfigured, match="without touching other lines") as caught:
        edit(path, [(("autonomy", "default"), "L1")])
    assert "[autonomy]" in caught.value.hint


def test_a_check_that_raises_leaves_the_file(file):
    def check(text: str) -> None:
        assert 'default = "L9"' in text
        raise Misconfigured("no such level")

    with pytest.raises(Misconfigured, match="no such level"):
        edit(file, [(("autonomy", "default"), "L9")], check=check)
    assert WRITTEN == file.read_text()


def test_a_file_that_was_changed_in_between_is_left_as_it_is(file):
    made = edit(file, [(("autonomy", "default"), "L1")])
    file.write_text(WRITTEN + "# mine\n")
    with pytest.raises(Conflict):
        made.write()
    assert file.read_text().endswith("# mine\n")
    assert [file] == list(file.parent.iterdir())


def test_a_file_keeps_its_mode_and_a_link_stays_a_link(file, tmp_path):
    file.chmod(0o640)
    link = tmp_path / "elsewhere"
    link.mkdir()
    (link / "eventctl.toml").symlink_to(file)
    edit(link / "eventctl.toml", [(("autonomy", "default"), "L1")]).write()
    assert (link / "eventctl.toml").is_symlink()
    assert ("L1", 0o640) == (tomllib.loads(file.read_text())["autonomy"]["default"], stat.S_IMODE(file.stat().st_mode))


NAMES = st.sampled_from(["a", "b-c", "d.*", "é"])
LEVELS = st.sampled_from(["L1", "L2", 'quo"te', "# no comment"])
VALUES = LEVELS | st.lists(LEVELS, max_size=2) | st.integers(0, 9)
FILES = st.lists(
    st.sampled_from(
        [
            "# alone",
            "",
            "[a]",
            "[a.b-c]  # there",
            "[x]",
            "a = 1 # one",
            'b-c = "L1"',
            '"d.*" = [',
            "  1, # in",
            "]",
            "e = {a=1}",
        ]
    ),
    max_size=12,
).map("\n".join)


@given(
    FILES, st.lists(NAMES, min_size=2, max_size=3), st.none() | VALUES | st.dictionaries(NAMES, LEVELS, min_size=1, max_size=2)
)
def test_an_edit_of_any_file_is_that_change_and_keeps_every_comment_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, key: list[str], value: Any
) -> None:
    path = tmp_path_factory.mktemp("edit") / "a.toml"
    path.write_text(text, "utf-8")
    try:
        before = tomllib.loads(text)
        made = edit(path, [(key, value)])
    except (tomllib.TOMLDecodeError, Misconfigured):
        return
    after = tomllib.loads(made.after)
    assert value == tomledit.at(after, key)
    assert without(before, key) == without(after, key)
    if value is not None:
        comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
        assert [] == [comment for comment in comments if comment not in made.after and tomledit.at(before, key) is None]


def without(data: Any, key: list[str]) -> Any:
    """The data without a key, and without the tables above it that are empty then."""
    if key[0] not in data:
        return data
    inner = without(data[key[0]], key[1:]) if key[1:] and isinstance(data[key[0]], dict) else None
    rest = {name: each for name, each in data.items() if name != key[0]}
    return {**rest, key[0]: inner} if inner else rest
