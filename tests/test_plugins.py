"""Plugins: each stands by itself, and whatever is wrong with one is named. The packages here are real ones on `sys.path`."""

from __future__ import annotations

import logging
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from eventctl import catalog, plugins
from eventctl.builtin import Builtin
from eventctl.plugins import Plugins

HEAD = """
from eventctl.contracts import Answer, CartridgeSpec
from eventctl.hookspecs import hookimpl

class Shout:
    def __init__(self, name):
        self.name = name
    def execute(self, request):
        return Answer(True)
"""
TYPES = """
@hookimpl
def eventctl_register_event_types():
    return [{"namespace": "weather", "types": {"changed": {"summary": "The weather changed."}}}]
"""
EXECUTORS = """
@hookimpl
def eventctl_register_executors():
    return [Shout("shout")]
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path, monkeypatch) -> Install:
    """Put a package with an entry point where Python finds packages."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str, code: str, *, module: str = "", package: str = "", version: str = "1.2.3") -> None:
        module = module or f"plugged_{name}"
        package = package or f"eventctl-{name}"
        (tmp_path / f"{module}.py").write_text(HEAD + textwrap.dedent(code))
        info = tmp_path / f"{package.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[eventctl]\n{name} = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return put


def builtin() -> Builtin:
    return Builtin({}, logging.getLogger("test"))


def said(loaded: Plugins) -> list[tuple[str, str]]:
    return [(problem.where, problem.what) for problem in loaded.problems]


def test_what_a_plugin_brings_is_there_under_its_name(install):
    install("weather", TYPES + EXECUTORS)
    loaded = plugins.load()
    assert [] == loaded.problems
    assert {"weather": "1.2.3"} == loaded.versions
    assert ["shout"] == list(loaded.executors)
    assert "weather" == loaded.owners["executor", "shout"]
    types, problems = catalog.load(loaded.event_types)
    assert [] == problems
    assert "plugin weather" == types.owner("weather.changed")


def test_what_eventctl_brings_comes_by_the_same_hooks_and_first(install):
    install("aaa", EXECUTORS.replace("shout", "command"))
    loaded = plugins.load(builtin=builtin(), version="0.1.0")
    assert ["command", "log"] == sorted(loaded.executors)
    assert "eventctl" == loaded.owners["executor", "command"]
    assert [("plugin aaa", "the executor 'command' is brought by eventctl already; the one of aaa is left out")] == said(loaded)
    assert "0.1.0" == loaded.versions["eventctl"]
    assert ("eventctl", "eventctl") == loaded.event_types[0][:1] + loaded.event_types[-1][:1]


def test_nothing_of_others_is_loaded_when_it_is_not_wanted(install, tmp_path):
    mark = tmp_path / "executed"
    install("weather", f"open({str(mark)!r}, 'w')" + EXECUTORS)
    loaded = plugins.load(no_plugins=True, builtin=builtin())
    assert ["eventctl"] == list(loaded.versions)
    assert ["weather"] == plugins.load({"weather"}).disabled
    assert not mark.exists()


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_the_environment_can_say_so(value, expected):
    assert expected == plugins.prevented({"EVENTCTL_NO_PLUGINS": value})
    assert not plugins.prevented({})


def test_a_disabled_plugin_that_is_not_there_is_worth_a_word(install):
    install("weather", EXECUTORS)
    (problem,) = plugins.load({"wether"}).problems
    assert ("no plugin is called 'wether'", "did you mean 'weather'?", True) == problem[1:4]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def x(:", "SyntaxError: invalid syntax (plugged_bad.py, line 10)"),
        ("raise RuntimeError('\\x1b[2Jgone')", "RuntimeError: ␛[2Jgone"),
        ("", "it has no function marked with `@hookimpl`"),
        ("@hookimpl\ndef eventctl_register_executors():\n    raise ValueError('x')", "ValueError: x"),
        (
            "@hookimpl\ndef eventctl_register_executors():\n    return 'x'",
            "eventctl_register_executors returned str, not a list",
        ),
        (
            "@hookimpl\ndef eventctl_register_executors():\n    return [object()]",
            "eventctl_register_executors returned object among what should be executors",
        ),
        (
            "@hookimpl\ndef eventctl_register_event_types():\n    return [5]",
            "eventctl_register_event_types returned int among what should be event types",
        ),
    ],
)
def test_a_plugin_that_fails_is_named_and_left_out_whole(install, code, why):
    install("bad", TYPES + code if "hookimpl" in code and "event_types" not in code else code)
    install("good", EXECUTORS)
    loaded = plugins.load(builtin=builtin())
    assert [("plugin bad", f"is left out: {why}")] == said(loaded)
    assert "'bad' in [plugins] disabled" in loaded.problems[0].hint
    assert ["eventctl", "good"] == list(loaded.versions)
    assert not [origin for origin, _ in loaded.event_types if origin == "plugin bad"]


def test_a_hook_that_takes_what_nobody_gives_is_named(install):
    install("bad", "@hookimpl\ndef eventctl_register_executors(config):\n    return []")
    (problem,) = plugins.load().problems
    assert "hook 'eventctl_register_executors'" in problem.what
    assert "config" in problem.what


def test_a_misspelt_hook_is_named_and_the_others_of_its_plugin_stand(install):
    install("weather", EXECUTORS + TYPES.replace("event_types", "event_typs"))
    loaded = plugins.load()
    (problem,) = loaded.problems
    assert "there is no hook 'eventctl_register_event_typs'; nobody calls it" == problem.what
    assert "did you mean 'eventctl_register_event_types'?" == problem.hint
    assert ["shout"] == list(loaded.executors)


def test_a_hook_of_a_later_version_may_be_marked_optional(install):
    install("weather", EXECUTORS + "@hookimpl(optionalhook=True)\ndef eventctl_register_dreams():\n    return []")
    assert [] == plugins.load().problems


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("executor", EXECUTORS),
        ("command", "import click\n@hookimpl\ndef eventctl_register_commands():\n    return [click.Command('shout')]"),
        (
            "cartridge",
            "@hookimpl\ndef eventctl_register_cartridges():\n    return [CartridgeSpec({'id': 'shout'}, lambda e, c: e)]",
        ),
    ],
)
def test_a_clash_names_both_owners_and_the_first_stands(install, kind, code):
    install("one", code)
    install("two", code)
    loaded = plugins.load()
    assert [("plugin two", f"the {kind} 'shout' is brought by one already; the one of two is left out")] == said(loaded)
    assert "one" == loaded.owners[kind, "shout"]
    assert 1 == len(loaded.executors) + len(loaded.commands) + len(loaded.cartridges)


def test_event_types_of_two_plugins_that_clash_name_both(install):
    install("one", TYPES)
    install("two", TYPES)
    (problem,) = catalog.load(plugins.load().event_types)[1]
    assert ("plugin two: types.changed", "the type 'weather.changed' is declared by plugin one already") == problem[:2]


def test_two_packages_with_a_plugin_of_one_name_are_both_named(install):
    install("same", EXECUTORS, module="plugged_a", package="package-a")
    install("same", EXECUTORS, module="plugged_b", package="package-b")
    loaded = plugins.load()
    what = "package-b and package-a both bring a plugin of this name; the one of package-b is left out"
    assert [("plugin same", what)] == said(loaded)
    assert ["shout"] == list(loaded.executors)


def test_nobody_else_can_be_eventctl(install):
    install("eventctl", EXECUTORS, package="impostor")
    (problem,) = plugins.load(builtin=builtin()).problems
    assert "impostor and eventctl both bring a plugin of this name; the one of impostor is left out" == problem.what


def test_the_same_package_twice_on_the_path_is_one_plugin(install, tmp_path: Path, monkeypatch):
    install("weather", EXECUTORS)
    other = tmp_path / "other"
    other.mkdir()
    for info in tmp_path.glob("*.dist-info"):
        (other / info.name).mkdir()
        for file in info.iterdir():
            (other / info.name / file.name).write_text(file.read_text())
    monkeypatch.syspath_prepend(str(other))
    assert [] == plugins.load().problems
