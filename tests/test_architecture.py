"""The shape of the house: layers with arrows one way, no cycles, small files, broad handlers at named boundaries only.

Imports inside functions count like all others: they make a start faster and no arrow shorter. Imports for types alone do not run
and do not count.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import eventctl

ROOT = Path(eventctl.__file__).parent
LINES_MAX = 450

LAYERS: dict[str, tuple[str, ...]] = {
    "0 words": (
        "__init__", "announce", "answers", "archives", "autonomy", "catalog", "complaints", "declared", "contracts", "declaration", "decode", "drift", "envelope", "enrichments", "errors", "event", "expressions", "failpoints", "flags", "flagwords", "forms", "gathered", "helpdesk", "ids", "inference", "inspection", "lines", "lint",
        "lives", "lookalikes", "manifest", "nearest", "notification", "obeyed", "occurrence", "offers", "package", "patterns", "position", "principal", "recurring", "reasons", "regular", "rows", "rule", "settings", "shapes", "store", "strictjson", "suggest", "templates", "terminal",
        "text", "times", "totals", "tomledit", "untar", "unzip", "views",
    ),
    "1 plugs": ("builtin", "executors", "hookspecs", "plugins", "programs"),
    "2 memory": (
        "acting", "audit", "backup", "evidence", "decisions", "holding", "lookups", "memory_store", "memory_tables", "memory_views", "migrations", "moves", "resolution", "retention", "silences", "snapshots",
        "sqlite_connection", "sqlite_inbox", "sqlite_reads", "sqlite_store", "sqlite_tally", "sqlite_views", "sqlite_writes", "viewing",
    ),
    "3 flow": (
        "account", "adoption", "advance", "composition", "context", "counterparts", "dag", "dag_pipeline", "discoveries", "discovery", "drawing", "graph", "guardian", "inboxquery", "installed", "kept", "leaf", "logquery", "matrix", "modules", "overlaid", "past", "plan", "rebuild", "rulecheck", "typecheck", "scratch", "ruling", "system", "system_pipeline",
        "trampoline", "why", "whydecided", "whymoved", "whyrule", "whyshaped", "whyspoke", "whyterms", "whywindow", "windows",
    ),
    "4 running": (
        "agents", "app", "appendserver", "asked", "breadcrumb", "carrying", "client", "company", "diskwatch", "enriching", "frames", "gitlog", "house", "inbox", "invoked", "journald", "lifecycle", "outbox", "pipsource", "reload",
        "trial", "backtest", "beginning", "difference", "dryrun", "examples", "rehearsal", "runner", "runner_process", "runnerchild", "service", "servicefile", "staging", "starter", "confinement", "fences", "strikes", "supervisor", "worker", "worker_process", "workerlink", "workerrun", "workers", "whyasked", "workspace",
    ),
    "5 faces": ("__main__", "cli", "demo", "kit", "pytest_plugin", "ran", "suites", "testing", "trying", "tui"),
}  # fmt: skip
"""Every module of `eventctl`, by the first part of its name. A new one finds its place here before it finds users.

`store` and `views` are words: the shapes of records and rows, and two protocols. What keeps them is memory.
"""

BOUNDARIES = {
    "advance": "any record may meet any bug; it becomes a dead letter and the others go on",
    "outbox": "an executor is a plugin's; what it raises is its answer",
    "plugins": "a package that does not load is named and disabled; the others load",
    "trampoline": "a cartridge is somebody's; what it raises is how its run ended",
}
"""The modules that may catch every exception, and what stands on the other side."""

FLOW_FREE = ("sqlite3", "sqlite_utils", "socket", "urllib", "http", "subprocess")
"""Layer 3 knows no database and no network."""

Sources = Mapping[str, str]


def sources(root: Path) -> dict[str, str]:
    """Dotted module name below `eventctl` -> source text; a package goes by its own name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        if parts[0] not in ("_content", "types"):
            found[name] = path.read_text("utf-8")
    return found


@cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


def running(tree: ast.AST) -> list[ast.AST]:
    """Every node that runs: what stands under `if TYPE_CHECKING` does not."""
    nodes, found = [tree], []
    while nodes:
        node = nodes.pop()
        found.append(node)
        typed = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        nodes += node.orelse if typed else ast.iter_child_nodes(node)
    return found


@cache
def imported(text: str) -> frozenset[str]:
    """Absolute names of the modules (or of names in modules) that a source imports, lazily or not."""
    names: set[str] = set()
    for node in running(parsed(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif (
            isinstance(node, ast.Call)
            and "import_module" in (getattr(node.func, "id", ""), getattr(node.func, "attr", ""))
            and isinstance(node.args[0], ast.Constant)
        ):
            names.add(str(node.args[0].value).partition(":")[0])
    return frozenset(names)


def arrows(modules: Sources) -> dict[str, set[str]]:
    """Module -> modules of ours that it imports; a name in a module counts as the module."""
    graph: dict[str, set[str]] = {}
    for name, text in modules.items():
        graph[name] = set()
        for full in imported(text):
            if full != "eventctl" and not full.startswith("eventctl."):
                continue
            parts = full.split(".")[1:]
            known = [".".join(parts[:end]) for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in modules]
            graph[name].add(known[0] if known else "__init__")
        graph[name].discard(name)
    return graph


def layer_of(module: str) -> int | None:
    first = module.split(".", maxsplit=1)[0]
    return next((place for place, names in enumerate(LAYERS.values()) if first in names), None)


def unplaced(modules: Sources) -> list[str]:
    return [f"{name} stands in no layer" for name in modules if layer_of(name) is None]


def upward(modules: Sources) -> list[str]:
    """Arrows that point up, as sentences."""
    wrong = []
    for name, targets in arrows(modules).items():
        for target in sorted(targets):
            here, there = layer_of(name), layer_of(target)
            if here is not None and there is not None and there > here:
                wrong.append(f"{name} (layer {here}) imports {target} (layer {there})")
    return wrong


def cycle(modules: Sources) -> str:
    """The first circle of imports, or nothing. A package and what stands in it count as they import each other."""
    graph = {name: {target for target in targets if target != "__init__"} for name, targets in arrows(modules).items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(error.args[1])
    return ""


def too_long(modules: Sources) -> list[str]:
    lengths = {name: len(text.splitlines()) for name, text in modules.items()}
    return [f"{name} has {lines} lines" for name, lines in lengths.items() if lines >= LINES_MAX]


def broad(modules: Sources) -> list[str]:
    """Handlers that catch everything and keep it, outside the boundaries. One that ends in `raise` only tidies up on the way."""
    wrong = []
    for name, text in modules.items():
        for node in ast.walk(parsed(text)):
            if not isinstance(node, ast.ExceptHandler) or name in BOUNDARIES or isinstance(node.body[-1], ast.Raise):
                continue
            caught = ast.unparse(node.type) if node.type else "BaseException"
            if {"Exception", "BaseException"} & set(caught.strip("()").replace(" ", "").split(",")):
                wrong.append(f"{name}:{node.lineno} catches {caught}")
    return wrong


def worldly(modules: Sources) -> list[str]:
    """Modules of layer 3 that reach for a database or the network."""
    return [
        f"{name} imports {full}"
        for name, text in modules.items()
        if layer_of(name) == 3
        for full in sorted(imported(text))
        if full.split(".")[0] in FLOW_FREE
    ]


CHECKS = (unplaced, upward, worldly, too_long, broad)


@pytest.fixture(scope="module")
def modules() -> dict[str, str]:
    return sources(ROOT)


def test_every_module_stands_in_a_layer(modules):
    assert [] == unplaced(modules)


def test_arrows_between_layers_point_down(modules):
    assert [] == upward(modules)


def test_modules_do_not_import_each_other_in_a_circle(modules):
    assert "" == cycle(modules)


def test_the_flow_knows_no_database_and_no_network(modules):
    assert [] == worldly(modules)


def test_a_file_is_short_enough_to_be_read_at_once(modules):
    assert [] == too_long(modules)


def test_everything_is_caught_at_the_named_boundaries_only(modules):
    assert [] == broad(modules)


def test_no_layer_or_boundary_lists_a_module_that_is_gone(modules):
    there = {name.split(".")[0] for name in modules}
    listed = {name for names in LAYERS.values() for name in names}
    assert set() == listed - there
    assert set() == set(BOUNDARIES) - set(modules)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("novelty", "import os\n", "novelty stands in no layer"),
        (
            "text",
            "def late():\n    from eventctl.memory_store import MemoryStore\n",
            "text (layer 0) imports memory_store (layer 2)",
        ),
        ("text", "def late():\n    import eventctl.cli.emit\n", "text (layer 0) imports cli.emit (layer 5)"),
        (
            "moves",
            "from importlib import import_module\nimport_module('eventctl.app')\n",
            "moves (layer 2) imports app (layer 4)",
        ),
        ("system.trust", "async def look():\n    import sqlite3\n", "system.trust imports sqlite3.connect"),
        ("text", "\n" * LINES_MAX, f"text has {LINES_MAX} lines"),
        ("text", "try:\n    pass\nexcept (OSError, Exception):\n    pass\n", "text:3 catches (OSError, Exception)"),
        ("text", "try:\n    pass\nexcept:\n    pass\n", "text:3 catches BaseException"),
    ],
)
def test_a_module_that_breaks_a_rule_is_caught(modules, name, text, complaint):
    text = text.replace("import sqlite3", "from sqlite3 import connect")
    bad = {**dict.fromkeys(["memory_store", "app", "cli.emit"], ""), **modules, name: text}
    assert complaint in [sentence for check in CHECKS for sentence in check(bad)]


def test_a_circle_is_named_by_its_path():
    circle = {"ids": "def a():\n    import eventctl.times\n", "times": "import eventctl.ids\n"}
    assert set(cycle(circle).split(" -> ")) == {"ids", "times"}


def test_an_import_for_types_alone_is_no_arrow():
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from eventctl.memory_store import MemoryStore\n"
    assert [] == upward({"text": text, "memory_store": ""})
