"""Nothing in the dashboard reads markup out of text, and no action is written out of data: the code is read and held to it.

What widgets show is either `Content`, made of letters, or a text of our own; where a widget would take markup, it is told not to.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventctl import tui

ROOM = Path(tui.__file__).parent
SOURCES = sorted(ROOM.rglob("*.py"))

TOLD = {"Static", "Label", "OptionList", "SelectionList", "notify", "Heading"}
"""What takes markup unless it is told `markup=False`."""

NAMED = {
    "Button": "label",
    "Checkbox": "label",
    "RadioButton": "label",
    "TabPane": "title",
    "Tab": "label",
    "Collapsible": "title",
    "Option": "prompt",
}
"""What takes markup and cannot be told: its words are `Content` or a text of our own. The name is that of the argument."""

SHOWN = {"border_title", "border_subtitle", "tooltip"}
"""Attributes and arguments that are shown, and read as markup when they are text."""

MADE = {"Content", "plain", "block", "line", "styled", "assemble", "Text", "join"}
"""What gives letters that are nothing else."""

LATER = {"call_later", "call_after_refresh", "call_next"}
ACTED = {("topline.py", "self._mode"), ("app.py", "mode"), ("inbox/screen.py", "STEP")}
"""What may stand in an action: the names of our own screens, and a number of ours."""


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def given(call: ast.Call, name: str) -> ast.expr | None:
    return next((word.value for word in call.keywords if word.arg == name), None)


def ours(value: ast.expr) -> bool:
    """Whether it is a text of our own without any bracket, or made of letters."""
    if isinstance(value, ast.Constant):
        return not isinstance(value.value, str) or "[" not in value.value
    if isinstance(value, ast.IfExp):
        return ours(value.body) and ours(value.orelse)
    return isinstance(value, ast.Call) and name_of(value) in MADE


def is_false(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def kinds(trees: dict[str, ast.Module]) -> dict[str, bool]:
    """Our own classes below those that are to be told -> whether they tell it themselves."""
    found: dict[str, bool] = {}
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(isinstance(base, ast.Name) and base.id in TOLD for base in node.bases):
                begins = [call for call in ast.walk(node) if isinstance(call, ast.Call) and name_of(call) == "__init__"]
                found[node.name] = bool(begins) and all(is_false(given(call, "markup")) for call in begins)
    return found


def wrong(trees: dict[str, ast.Module]) -> list[str]:
    """What reads markup, or acts on data; file and line."""
    mine = kinds(trees)
    told = (TOLD | set(mine)) - {name for name, tells in mine.items() if tells}
    return [f"{name}:{line}: {said}" for name, tree in trees.items() for line, said in _wrong(name, tree, told)]


def _wrong(name: str, tree: ast.Module, told: set[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and "from_markup" in (getattr(node, "attr", ""), getattr(node, "id", "")):
            yield node.lineno, "from_markup"
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Attribute) and target.attr in SHOWN and not ours(node.value):
                    yield node.lineno, f"{target.attr} is {ast.unparse(node.value)}"
        if isinstance(node, ast.Call):
            yield from _called(name, node, told)
        if isinstance(node, ast.ClassDef) and node.name in told:
            begins = [call for call in ast.walk(node) if isinstance(call, ast.Call) and name_of(call) == "__init__"]
            yield from ((call.lineno, f"{node.name} does not tell markup=False") for call in begins)


def _called(name: str, call: ast.Call, told: set[str]) -> Iterator[tuple[int, str]]:
    what = name_of(call)
    if given(call, "markup") is not None and not is_false(given(call, "markup")):
        yield call.lineno, f"{what} takes markup"
    if what in told and not is_false(given(call, "markup")):
        yield call.lineno, f"{what} is not told markup=False"
    if what in NAMED:
        label = call.args[0] if call.args else given(call, NAMED[what])
        if label is not None and not ours(label):
            yield call.lineno, f"{what} shows {ast.unparse(label)}"
    for word in call.keywords:
        if word.arg in SHOWN and what != "Binding" and not ours(word.value):
            yield call.lineno, f"{what} shows {ast.unparse(word.value)}"
    later = what in LATER and any(isinstance(arg, ast.Attribute) and arg.attr == "run_action" for arg in call.args)
    acts = call.args if later or what == "run_action" else call.args[1:2] if what == "Binding" else []
    for text in [part for arg in acts for part in ast.walk(arg) if isinstance(part, ast.FormattedValue)]:
        if (name, ast.unparse(text.value)) not in ACTED:
            yield call.lineno, f"{what} acts on {ast.unparse(text.value)}"


def trees_of(**texts: str) -> dict[str, ast.Module]:
    return {f"{name}.py": ast.parse(text) for name, text in texts.items()}


def test_the_dashboard_reads_no_markup_and_acts_on_no_data():
    assert len(SOURCES) > 60
    assert [] == wrong({path.relative_to(ROOM).as_posix(): ast.parse(path.read_text("utf-8")) for path in SOURCES})


@pytest.mark.parametrize(
    "text",
    [
        "Static(row.title)",
        "Static(f'{row.title}', markup=True)",
        "Label('all is well')",
        "self.notify(f'{name} is done')",
        "Button(offer.summary)",
        "Button(f'{offer.summary}')",
        "Button(label=offer.summary)",
        "TabPane(title)",
        "Content.from_markup(text)",
        "from_markup(text)",
        "self.border_title = row.title",
        "widget.tooltip = f'{row.title}'",
        "app.run_action(f\"open('{row.id}')\")",
        "self.call_later(app.run_action, f\"open('{row.id}')\")",
        "Binding('x', f\"act('{offer.name}')\")",
        "class Said(Static):\n    pass\nSaid(row.title)",
        "class Said(Static):\n    def __init__(self):\n        super().__init__(row.title)\n",
    ],
)
def test_what_would_is_found(text):
    assert len(wrong(trees_of(case=text))) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "Static(row.title, markup=False)",
        "Button(plain(offer.summary))",
        "Button('OK')",
        "self.border_title = Content(row.title)",
        "class Said(Static):\n    def __init__(self):\n        super().__init__(markup=False)\nSaid()",
        "app.run_action(\"go('inbox')\")",
    ],
)
def test_what_shows_letters_is_let_through(text):
    assert [] == wrong(trees_of(case=text))
