"""A workspace with one domain, `ops`, and rules that a test writes into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

import eventctl
from eventctl import starter, workspace
from eventctl.app import Workspace
from eventctl.workspace import Paths

EVENT_TYPES = """\
namespace = "domain.ops"
[types."sold"]
summary = "Something was sold."
[types."alarm"]
summary = "Something is wrong."
level = "workflow"
[types."restart"]
summary = "Somebody wants a restart."
"""
HEAD = """\
id       = "{id}"
summary  = "A rule."
consumes = ["domain.ops.sold"]
"""


def make(root: Path, **rules: str) -> Path:
    """A workspace with these rules of its domain, by id; a text without `consumes` gets the usual head."""
    (root / "company/domains/ops/cartridges").mkdir(parents=True, exist_ok=True)
    (root / "eventctl.toml").write_text('[members.ada]\nrole = "admin"\n')
    (root / "company/domains/ops/domain.toml").write_text('summary = "Operations."\n')
    (root / "company/domains/ops/event_types.toml").write_text(EVENT_TYPES)
    for name, text in rules.items():
        put(root, name, text)
    paths = Paths(root.resolve())
    workspace.prepare(paths)
    starter._open_store(paths)
    return paths.root


def put(root: Path, name: str, text: str, folder: str = "company/domains/ops") -> Path:
    """Write a rule."""
    file = root / folder / "cartridges" / f"{name.replace('_', '-')}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text if "consumes" in text else HEAD.format(id=file.stem) + text)
    return file


@contextmanager
def running(root: Path) -> Iterator[Workspace]:
    """The workspace, with its pipelines begun; its rules have no mistakes."""
    with eventctl.open(root) as ws:
        ws.run_until_idle()
        assert [] == [str(problem) for problem in ws.problems if "cartridges/" in problem.where and not problem.warning]
        yield ws


def sell(ws: Workspace, payload: dict[str, Any] | None = None, entity: str | None = "shop", **more: Any) -> int:
    """One sale, and everything that follows from it. Gives its seq."""
    seq = ws.emit("domain.ops.sold", "till", payload or {}, entity=entity, **more).seq
    ws.run_until_idle()
    return seq


def payloads(ws: Workspace, type_: str) -> list[dict[str, Any]]:
    """What the events of a type hold, oldest first."""
    rows = ws.store.read_log(0, 1_000)
    return [orjson.loads(row.body)["payload"] for row in rows if row.type == type_]


def titles(ws: Workspace) -> list[str]:
    """The inbox."""
    return [item.notification.title for item in ws.inbox.list().items]


def beside(ws: Workspace, seq: int) -> dict[str, Any]:
    """The annotations of an event."""
    trace = ws.views.trace(seq)
    assert trace is not None
    return {slot: orjson.loads(value) for slot, value in trace.annotations.items()}
