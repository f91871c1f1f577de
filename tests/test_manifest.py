"""Manifests: read without executing anything, refused with every mistake at once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest

from eventctl import manifest
from eventctl.errors import Misconfigured
from eventctl.suggest import FILE_MAX, parse_toml

BAD = Path(__file__).parent / "manifests" / "bad"
WANTED = "async def process(event: Event, context: Context) -> Event | None"
CODE = "async def process(event, context):\n    return event\n"
TOML = """\
id       = "deploy-tracker"
version  = "1.0.0"
summary  = "Says how long a deploy took."
consumes = ["domain.software-development.deploy.*"]
annotates = ["deploy"]
[settings]
slow = { type = "duration", default = "10m", help = "Longer than this is slow." }
[limits]
time = "1s"
memory = "64MB"
"""
BLOCK = "# /// cartridge\n" + "".join(f"# {line}".rstrip() + "\n" for line in TOML.splitlines()) + "# ///\n"


def file(folder: Path, text: str, name: str = "deploy_tracker.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def folder(tmp_path: Path, toml: str = TOML, code: str | None = CODE) -> Path:
    path = tmp_path / "deploy-tracker"
    path.mkdir()
    (path / "cartridge.toml").write_text(toml)
    if code is not None:
        (path / "cartridge.py").write_text(code)
    return path


def said(path: Path) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        manifest.load(path, shown=path.name)
    assert 78 == caught.value.exit_code
    return [str(problem) for problem in caught.value.problems]


def test_the_folder_and_the_file_give_the_same_manifest(tmp_path):
    one, other = manifest.load(folder(tmp_path)), manifest.load(file(tmp_path, BLOCK + CODE))
    assert one == other
    assert one == manifest.load(tmp_path / "deploy-tracker" / "cartridge.toml")
    assert ("deploy-tracker", ("deploy",), ("entity",), "retry", "in-process") == (
        one.id, one.annotates, one.key, one.on_error, one.runs
    )  # fmt: skip
    assert (1_000_000, 64_000_000) == (one.limits.time, one.limits.memory)


def test_reading_executes_nothing(tmp_path):
    mark = tmp_path / "executed"
    code = f"open({str(mark)!r}, 'w')\nraise SystemExit\n" + CODE
    manifest.load(file(tmp_path, BLOCK + code))
    manifest.load(folder(tmp_path, code=code))
    assert not mark.exists()


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.toml")))
def test_each_rule_has_a_file_that_breaks_it(tmp_path, name):
    (tmp_path / "cartridge.toml").write_text((BAD / f"{name}.toml").read_text())
    (tmp_path / "cartridge.py").write_text(CODE)
    with pytest.raises(Misconfigured) as caught:
        manifest.load(tmp_path / "cartridge.toml", shown="cartridge.toml")
    assert (BAD / f"{name}.txt").read_text().splitlines() == [str(problem) for problem in caught.value.problems]


def test_mistakes_in_the_manifest_and_in_the_code_are_named_together(tmp_path):
    path = folder(tmp_path, toml=TOML.replace("summary", "sumary"), code="def proces(event, context): ...\n")
    assert [
        "deploy-tracker/cartridge.toml: 'summary' is missing",
        "deploy-tracker/cartridge.toml: unknown key 'sumary' (did you mean 'summary'?)",
        f"deploy-tracker/cartridge.py: has no function process (write `{WANTED}`)",
    ] == said(path)


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("x = 1\n", "x.py: has no function process"),
        ("class A:\n    def process(self, event): ...\n", "x.py: has no function process"),
        ("def process(event): ...\n", "x.py:16: process takes two arguments, event and context"),
        ("def process(event, context, more): ...\n", "x.py:16: process takes two arguments, event and context"),
        ("def process(event, context, *, more): ...\n", "x.py:16: process takes two arguments, event and context"),
        ("def process(event, context)\n", "x.py:16: is not Python: expected ':'"),
        ("x = '\0'\n", "x.py: is not Python: source code string cannot contain null bytes"),
    ],
)
def test_code_that_cannot_run_is_refused_by_its_line(tmp_path, code, what):
    assert len(BLOCK.splitlines()) == 12
    blank = "\n" * 3
    (line,) = said(file(tmp_path, BLOCK + blank + code, "x.py"))
    assert line.partition(" (write")[0] == what or ("null" in what and line.startswith("x.py") and "null bytes" in line)


@pytest.mark.parametrize(
    "code",
    [
        "def process(event, context): return event\n",
        "async def process(event, context, *, more=1): return event\n",
        "def process(*both): return both[0]\n",
        "import functools\n@functools.cache\ndef process(e, c, /, extra=None): return e\n",
    ],
)
def test_a_process_that_can_be_called_with_two_arguments_is_taken(tmp_path, code):
    assert "deploy-tracker" == manifest.load(file(tmp_path, BLOCK + code)).id


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (CODE, "x.py: has no `# /// cartridge` block"),
        (BLOCK + BLOCK + CODE, "x.py: has more than one `# /// cartridge` block"),
        ("# /// cartridge\n# id = 'x'\n" + CODE, "the `# /// cartridge` block does not end: line 3 is neither"),
        ("import os\n# /// cartridge\n# id = x\n# ///\n" + CODE, "x.py: is not TOML: Invalid value (at line 3, column 6)"),
    ],
)
def test_a_block_that_cannot_be_read_is_named_with_its_line(tmp_path, text, what):
    assert what in said(file(tmp_path, text, "x.py"))[0]


def test_a_block_may_hold_empty_comment_lines_and_windows_line_ends(tmp_path):
    text = (BLOCK.replace("# [settings]", "#\n# [settings]") + CODE).replace("\n", "\r\n")
    path = tmp_path / "x.py"
    path.write_bytes(text.encode("utf-8-sig"))
    assert "deploy-tracker" == manifest.load(path).id


def test_what_is_no_cartridge_is_said_to_be_none(tmp_path):
    assert ["x.toml:5: unknown key 'annotates'", "x.toml:6: unknown key 'settings'", "x.toml:8: unknown key 'limits'"] == [
        line.partition(" (")[0] for line in said(file(tmp_path, TOML, "x.toml"))
    ]
    assert ["x.txt: is no cartridge: one is a folder, a .py file or a .toml rule"] == said(file(tmp_path, "", "x.txt"))
    assert ["none.py: cannot be read: No such file or directory"] == said(tmp_path / "none.py")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert [
        "empty/cartridge.toml: cannot be read: No such file or directory",
        "empty/cartridge.py: cannot be read: No such file or directory",
    ] == said(empty)


def test_hostile_files_are_refused_and_not_survived_by_luck(tmp_path):
    deep = "x = " + "[" * 100_000
    assert ["nested too deep"] == [
        what[-15:] for what in said(file(tmp_path, BLOCK.replace("# id ", f"# {deep}\n# id "), "d.py"))[:1]
    ]
    (line,) = said(file(tmp_path, BLOCK + CODE + "x = " + "(" * 100_000, "p.py"))
    assert "is not Python" in line
    assert [f"big.py: is larger than {FILE_MAX:,} bytes"] == said(file(tmp_path, "#" * (FILE_MAX + 1), "big.py"))
    binary = tmp_path / "b.py"
    binary.write_bytes(b"\xff\xfe")
    assert "b.py: is not UTF-8 (byte 0)" == said(binary)[0]


# --- settings ---------------------------------------------------------------------------------------------------------------------

SETTINGS = """\
id = "x-one"
summary = "x"
consumes = []
[settings]
slow = { type = "duration", default = "10m" }
ratio = { type = "float", default = 2 }
count = { type = "int" , default = 3}
loud = { type = "bool", default = false }
names = { type = "list", default = [] }
mode = { type = "choice", choices = ["fast", "safe"], default = "safe" }
token = { type = "str", help = "Where to send." }
"""


def settings(given: dict) -> dict:
    return manifest.check_settings(manifest.from_mapping(parse_toml(SETTINGS, "x"), "x"), given)


def test_settings_are_complete_and_of_their_types():
    assert {
        "slow": timedelta(minutes=10), "ratio": 2.0, "count": 3, "loud": False, "names": [], "mode": "fast", "token": "t",
    } == settings({"token": "t", "mode": "fast"})  # fmt: skip


def test_all_mistakes_in_settings_are_named():
    with pytest.raises(Misconfigured) as caught:
        settings({"slwo": "1m", "ratio": "2", "count": True, "mode": "slow", "slow": 5})
    assert [
        "settings of x-one: x-one has no setting 'slwo' (did you mean 'slow'?)",
        "settings of x-one: slow: is of type duration, not '5'",
        "settings of x-one: ratio: is of type float, not '2'",
        "settings of x-one: count: is of type int, not 'True'",
        "settings of x-one: mode: is one of fast, safe, not 'slow'",
        "settings of x-one: x-one needs 'token': Where to send.",
    ] == [str(problem) for problem in caught.value.problems]


# --- storing and showing ----------------------------------------------------------------------------------------------------------


def test_a_stored_manifest_comes_back_equal(tmp_path):
    one = manifest.load(file(tmp_path, BLOCK + CODE))
    assert one == manifest.undump(manifest.dump(one))


def test_the_schema_for_editors_agrees_with_the_reader():
    validator = jsonschema.Draft202012Validator(manifest.json_schema())
    assert [] == list(validator.iter_errors(parse_toml(TOML, "x")))
    assert [] == list(validator.iter_errors(parse_toml(SETTINGS, "x")))
    for name in (
        "unknown-key",
        "id-missing",
        "id-not-a-name",
        "on-error-unknown",
        "limit-not-a-duration",
        "consumes-not-a-list",
    ):
        assert list(validator.iter_errors(parse_toml((BAD / f"{name}.toml").read_text(), name))), name
