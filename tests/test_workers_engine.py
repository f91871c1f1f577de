"""Workers in a whole workspace: the engine sleeps while one thinks, others go on, strikes move, and nothing is left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

import eventctl
from eventctl import strikes, workspace
from eventctl.breadcrumb import Crumb
from eventctl.cli import main as cli_main
from tests.test_app import Paths, starter

TYPES = 'namespace = "domain.{name}"\n[types."seen"]\nsummary = "It happened."\n'
CODE = """\
# /// cartridge
# id = "{id}"
# version = "1.0.0"
# summary = "Says where it ran, and takes its time."
# consumes = ["domain.{domain}.seen"]
# annotates = ["{id}"]
# runs = "{runs}"
# ///
import os, time
async def process(event, context):
    time.sleep(event.payload.get("wait", 0))
    context.annotate("{id}", os.getpid())
    return event
"""


def add(root: Path, domain: str, id_: str, runs: str) -> Path:
    folder = root / "company" / "domains" / domain / "cartridges"
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "domain.toml").write_text('summary = "x"\n')
    (folder.parent / "event_types.toml").write_text(TYPES.format(name=domain))
    path = folder / f"{id_}.py"
    path.write_text(CODE.format(id=id_, domain=domain, runs=runs))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "eventctl.toml").write_text('[members.ada]\nrole = "admin"\n[runner]\nhang_deadline = "20s"\n')
    add(tmp_path, "slow", "thinks", "worker")
    add(tmp_path, "quick", "runs", "in-process")
    paths = Paths(tmp_path.resolve())
    workspace.prepare(paths)
    starter._open_store(paths)
    return paths.root


def annotated(ws: eventctl.app.Workspace, seq: int) -> dict[str, Any]:
    trace = ws.views.trace(seq)
    assert trace is not None
    return {slot: orjson.loads(value) for slot, value in trace.annotations.items()}


def test_the_engine_sleeps_while_a_worker_thinks_and_does_not_call_that_idle(root: Path) -> None:
    with eventctl.open(root) as ws:
        ws.emit("domain.slow.seen", "tests", {})
        assert ws.run_until_idle()
        slow = ws.emit("domain.slow.seen", "tests", {"wait": 0.6}).seq
        steps = []
        began = time.process_time()
        assert ws.run_until_idle(each=steps.append)
        assert "thinks" in annotated(ws, slow)
        assert len(steps) < 40  # it was woken, and did not spin
        assert any(step.waits and not step.busy for step in steps)
        assert time.process_time() - began < 1.0


def test_other_domains_go_on_while_one_thinks(root: Path) -> None:
    with eventctl.open(root) as ws:
        ws.emit("domain.slow.seen", "tests", {})
        assert ws.run_until_idle()
        slow, quick = (
            ws.emit(f"domain.{name}.seen", "tests", {"wait": wait}).seq for name, wait in (("slow", 4.0), ("quick", 0))
        )
        while "runs" not in annotated(ws, quick):
            ws.step()
        assert "thinks" not in annotated(ws, slow)
        assert ws.run_until_idle()
        assert os.getpid() == annotated(ws, quick)["runs"]
        assert os.getpid() != annotated(ws, slow)["thinks"]


def test_when_a_workspace_is_closed_its_workers_are_gone_also_one_that_thinks(root: Path) -> None:
    with eventctl.open(root) as ws:
        first = ws.emit("domain.slow.seen", "tests", {}).seq
        assert ws.run_until_idle()
        pid = annotated(ws, first)["thinks"]
        ws.emit("domain.slow.seen", "tests", {"wait": 60})
        while not ws.step().waits:
            pass
        began = time.monotonic()
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with eventctl.open(root) as ws:  # what was begun is begun again, by nobody's fault
        ws.step()
        assert 0 == sum(unit.strikes for unit in ws.store.units().values())


def test_a_struck_cartridge_runs_in_a_worker_from_then_on_until_its_file_changes(root: Path) -> None:
    path = root / "company" / "domains" / "quick" / "cartridges" / "runs.py"
    with eventctl.open(root) as ws:
        strikes.book(ws.engine.store, Crumb("domain:quick", "runs", 1, 0.0, 5.0), "hung", "", 1)
    with eventctl.open(root) as ws:
        seq = ws.emit("domain.quick.seen", "tests", {}).seq
        assert ws.run_until_idle()
        assert os.getpid() != annotated(ws, seq)["runs"]
    path.write_text(path.read_text() + "\n# mended\n")
    with eventctl.open(root) as ws:
        seq = ws.emit("domain.quick.seen", "tests", {}).seq
        assert ws.run_until_idle()
        assert os.getpid() == annotated(ws, seq)["runs"]


def test_a_cartridge_that_is_to_run_in_a_worker_is_never_loaded_here_also_by_a_reload(root: Path) -> None:
    path = root / "company" / "domains" / "quick" / "cartridges" / "runs.py"
    mark = root / "was-here"
    with eventctl.open(root) as ws:
        ws.emit("domain.quick.seen", "tests", {})
        assert ws.run_until_idle()
        path.write_text(
            CODE.format(id="runs", domain="quick", runs="worker") + f"\nopen({str(mark)!r} + str(os.getpid()), 'w').close()\n"
        )
        ws.engine._reload.ask()
        assert ws.step().reloaded
        seq = ws.emit("domain.quick.seen", "tests", {}).seq
        assert ws.run_until_idle()
        row = ws.store.exceptions_of("domain:quick", ("dead",))
        assert [] == list(root.glob("was-here*"))
        assert row or "runs" in annotated(ws, seq)  # where the kernel has no Landlock it may write, as somebody else


def test_sandbox_stays_refused_and_memory_is_obeyed(root: Path) -> None:
    add(root, "slow", "boxed", "sandbox")
    limited = add(root, "slow", "limited", "worker")
    text = limited.read_text().replace("# ///\nimport", '# [limits]\n# memory = "100MB"\n# time = "30s"\n# ///\nimport')
    limited.write_text(text.replace("    time.sleep", "    held = bytearray(200 << 20)\n    time.sleep"))
    with eventctl.open(root) as ws:
        seq = ws.emit("domain.slow.seen", "tests", {}).seq
        assert ["company/domains/slow/cartridges/boxed.py: runs"] == [problem.where for problem in ws.problems]
        until_s = time.monotonic() + 30
        while not (rows := ws.store.exceptions_of("domain:slow", ("retry", "dead"))):
            ws.step()
            assert time.monotonic() < until_s
        assert [(seq, "limited", "MemoryError")] == [(row.seq, row.cartridge, row.reason) for row in rows]


def test_a_dry_run_waits_for_a_worker_as_long_as_it_takes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with eventctl.open(root) as ws:
        ws.emit("domain.slow.seen", "tests", {})
        assert ws.run_until_idle()
    with pytest.raises(SystemExit) as ended:
        _command(
            "-w",
            str(root),
            "emit",
            "domain.slow.seen",
            "--source",
            "tests",
            "--payload",
            orjson.dumps({"wait": 0.3}).decode(),
            "--dry-run",
            "--json",
        )
    said = capsys.readouterr()
    assert 0 == (ended.value.code or 0), said.err
    assert "thinks" in orjson.loads(said.out)["annotations"]


def _command(*words: str) -> None:
    import sys

    before, sys.argv = sys.argv, ["eventctl", *words]
    try:
        cli_main()
    finally:
        sys.argv = before
