"""A workspace from Python: emit, step, read, move; the parts are wired so that one event goes all the way."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import pytest

import eventctl
from eventctl import client, starter, strikes, workspace
from eventctl.app import Workspace
from eventctl.breadcrumb import Crumb, NoCrumb
from eventctl.decode import decode, to_record
from eventctl.errors import Conflict, NotFound, Refused, Unavailable
from eventctl.house import House
from eventctl.store import Operations, Record
from eventctl.workspace import Paths

EVENT_TYPES = """\
namespace = "domain.ops"
[lives.deploy]
key = ["slug"]
title = "Deploy {slug}"
[types."deploy.triggered"]
summary = "A release begins."
level = "workflow"
payload = { slug = "str" }
lives = { deploy = "opens" }
[types."deploy.succeeded"]
summary = "A release is out."
level = "workflow"
payload = { slug = "str" }
lives = { deploy = "resolves" }
[types."measured"]
summary = "How a program ended."
payload = { exit = "int" }
"""
ASKS = """\
# /// cartridge
# id = "asks"
# version = "1.0.0"
# summary = "Runs a program and says how it ended."
# consumes = ["domain.ops.deploy.triggered"]
# emits = ["domain.ops.measured"]
# annotates = ["asked"]
# [permissions]
# calls = ["command", "log"]
# ///
async def process(event, context):
    answer = await context.call("command", {{"argv": [{python!r}, "-c", "print('hello'); raise SystemExit(3)"]}})
    await context.call("log", {{"text": answer["output"]}})
    context.annotate("asked", answer["output"])
    context.emit("domain.ops.measured", {{"exit": answer["exit"]}}, entity=event.entity)
    return event
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    cartridges = tmp_path / "company" / "domains" / "ops" / "cartridges"
    cartridges.mkdir(parents=True)
    (tmp_path / "eventctl.toml").write_text('[members.ada]\nrole = "admin"\n')
    (cartridges.parent / "domain.toml").write_text('summary = "Operations."\n')
    (cartridges.parent / "event_types.toml").write_text(EVENT_TYPES)
    (cartridges / "asks.py").write_text(ASKS.format(python=sys.executable))
    paths = Paths(tmp_path.resolve())
    workspace.prepare(paths)
    starter._open_store(paths)
    return paths.root


def test_an_event_goes_all_the_way_to_a_notification_and_its_calls(root: Path) -> None:
    with eventctl.open(root) as ws:
        emitted = ws.emit("domain.ops.deploy.triggered", "ci", {"slug": "api"}, entity="api")
        assert ws.run_until_idle()
        assert [] == list(ws.problems)
        assert ["Deploy api"] == [item.notification.title for item in ws.inbox.list().items]
        trace = ws.views.trace(emitted.seq)
        assert trace is not None
        assert b'"hello\\n"' == trace.annotations["asked"]
        assert [("domain.ops.measured", 3)] == [
            (row.type, orjson.loads(row.body)["payload"]["exit"]) for row in trace.children if row.kind == "event"
        ]
        counts = ws.views.counts()
        assert (0, 0) == (counts.unaccounted, counts.outbox_owed)


def test_a_move_is_made_and_a_second_one_conflicts(root: Path) -> None:
    with eventctl.open(root) as ws:
        ws.emit("domain.ops.deploy.triggered", "ci", {"slug": "api"})
        ws.run_until_idle()
        (item,) = ws.inbox.list().items
        claimed = ws.inbox.claim(item.notification.id, agent="codex")
        assert ("claimed", "codex") == (claimed.notification.agent_state, claimed.notification.agent)
        with pytest.raises(Conflict):
            ws.inbox.claim(item.notification.id, agent="claude")
        ws.inbox.seen(item.notification.id, member="ada")
        assert "resolved" == ws.inbox.resolve(item.notification.id, agent="codex").notification.agent_state
        assert ws.run_until_idle()
        assert 0 == ws.views.counts().unaccounted


def test_emitting_and_moving_work_beside_a_runner(root: Path) -> None:
    with eventctl.open(root) as runner, eventctl.open(root) as beside:
        runner.step()
        assert 1 == beside.emit("domain.ops.deploy.triggered", "ci", {"slug": "api"}).seq
        runner.run_until_idle()
        (item,) = beside.inbox.list().items
        beside.inbox.archive(item.notification.id)
        runner.run_until_idle()
        assert [] == runner.inbox.list().items


def test_two_programs_cannot_both_run_the_pipelines(root: Path) -> None:
    with eventctl.open(root) as one, eventctl.open(root) as two:
        one.step()
        with pytest.raises(Unavailable, match=str(os.getpid())):
            two.step()
    with eventctl.open(root) as again:
        again.step()


def test_a_repeated_identity_is_found_and_not_doubled(root: Path) -> None:
    with eventctl.open(root) as ws:
        first = ws.emit("job.completed", "cron", id="nightly-1")
        second = ws.emit("job.completed", "cron", id="nightly-1")
    assert (False, True) == (first.duplicate, second.duplicate)
    assert first.seq == second.seq


def test_many_envelopes_are_all_or_nothing_at_the_gate(root: Path) -> None:
    with eventctl.open(root) as ws:
        assert [1, 2] == [row.seq for row in ws.emit_many([{"event": "job.completed", "source": "x"}] * 2)]
        with pytest.raises(Refused):
            ws.emit_many([{"event": "job.completed", "source": "x"}, {"event": "not a type", "source": "x"}])
        assert 2 == ws.views.counts().log_records


def test_many_go_in_while_this_process_runs_the_pipelines(root: Path) -> None:
    with eventctl.open(root) as ws:
        ws.step()
        assert 1_200 == len(ws.emit_many({"event": "job.completed", "source": "x", "id": str(n)} for n in range(1_200)))
        assert ws.run_until_idle()
        assert 1_200 == types(ws, 2_000).count("job.completed")


def test_no_workspace_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        eventctl.open(tmp_path)


def test_what_does_not_load_is_named_and_the_rest_runs(root: Path) -> None:
    broken = root / "company/domains/ops/cartridges/broken.py"
    broken.write_text("# /// cartridge\n# id = 'broken'\n# consumez = ['x']\n# ///\n")
    with eventctl.open(root) as ws:
        ws.emit("domain.ops.deploy.triggered", "ci", {"slug": "api"})
        ws.run_until_idle()
        assert any("broken.py" in problem.where for problem in ws.problems)
        assert 1 == len(ws.inbox.list().items)


def take_change(ws: Workspace) -> None:
    reload = ws.engine._reload
    assert reload is not None
    reload.ask()
    ws.run_until_idle()


def types(ws: Workspace, limit: int = 1_000) -> list[str]:
    return [row.type for row in ws.store.read_log(0, limit)]


def test_a_changed_cartridge_is_taken_between_steps(root: Path) -> None:
    file = root / "company/domains/ops/cartridges/asks.py"
    with eventctl.open(root) as ws:
        ws.run_until_idle()
        file.write_text(file.read_text().replace("'hello'", "'goodbye'"))
        take_change(ws)
        seq = ws.emit("domain.ops.deploy.triggered", "ci", {"slug": "api"}).seq
        ws.run_until_idle()
        trace = ws.views.trace(seq)
        assert trace is not None
        assert b'"goodbye\\n"' == trace.annotations["asked"]
        assert "system.reload.done" in types(ws)


@pytest.mark.parametrize(("right", "wrong"), [("async def process(", "async def process(("), ('id = "asks"', "idd = 3")])
def test_a_change_that_does_not_load_leaves_the_old_one_at_work(root: Path, right: str, wrong: str) -> None:
    file = root / "company/domains/ops/cartridges/asks.py"
    good = file.read_text()
    with eventctl.open(root) as ws:
        ws.emit("domain.ops.deploy.triggered", "ci", {"slug": "first"})
        ws.run_until_idle()
        file.write_text(good.replace(right, wrong))
        take_change(ws)
        seq = ws.emit("domain.ops.deploy.triggered", "ci", {"slug": "second"}).seq
        ws.run_until_idle()
        trace = ws.views.trace(seq)
        assert trace is not None
        assert b'"hello\\n"' == trace.annotations["asked"]
        file.write_text(good)
        take_change(ws)
        assert ["system.reload.failed", "system.reload.done"] == [type_ for type_ in types(ws) if ".reload." in type_]


def test_a_new_domain_begins_at_the_tail(root: Path) -> None:
    with eventctl.open(root) as ws:
        ws.emit("job.completed", "cron")
        ws.run_until_idle()
        cartridges = root / "company/domains/fresh/cartridges"
        cartridges.mkdir(parents=True)
        (cartridges.parent / "domain.toml").write_text('summary = "New."\n')
        (cartridges / "sees.py").write_text(
            "# /// cartridge\n# id = 'sees'\n# version = '1'\n# summary = 's'\n# consumes = ['job.*']\n# annotates = ['seen']\n# ///\n"
            "def process(event, context):\n    context.annotate('seen', True)\n    return event\n"
        )
        take_change(ws)
        seq = ws.emit("job.completed", "cron").seq
        ws.run_until_idle()
        before, after = ws.views.trace(1), ws.views.trace(seq)
        assert before is not None
        assert after is not None
        assert "seen" not in before.annotations
        assert b"true" == after.annotations["seen"]


def test_a_cartridge_that_was_switched_off_and_has_been_changed_is_told_to_be_on_again(root: Path) -> None:
    file = root / "company/domains/ops/cartridges/asks.py"
    with eventctl.open(root) as ws:
        ws.run_until_idle()
        (unit,) = ws.store.units().values()
        ws.store.commit(Operations(units=[unit._replace(state="disabled", reason="hung")]))
        ws.run_until_idle()
        file.write_text(file.read_text() + "\n# mended\n")
        take_change(ws)
        take_change(ws)
        assert 1 == types(ws).count("system.cartridge.enabled")
        assert "active" == ws.store.units()[unit.path].state


RULE = 'id = "loud"\nsummary = "s"\nconsumes = ["job.failed"]\nwhen = "{when}"\n{effect}\n'


def a_library_rule(root: Path, **said: str) -> Path:
    """A rule that the whole workspace runs; its file."""
    file = root / "cartridges/loud.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(RULE.format(**said))
    with (root / "eventctl.toml").open("a") as settings:
        settings.write("[enable]\nloud = {}\n")
    return file


def test_a_rule_that_was_switched_off_while_it_ran_does_not_hold_up_a_change_of_another_file(root: Path) -> None:
    a_library_rule(root, when="payload.missing > 1", effect='[notify]\ntitle = "t"')
    asks = root / "company/domains/ops/cartridges/asks.py"
    with eventctl.open(root) as ws:
        for number in range(11):
            ws.emit("job.failed", f"cron{number}", {"job": "x", "run": number})
        ws.run_until_idle()
        assert "disabled" == ws.store.units()["cartridges/loud.toml"].state
        asks.write_text(asks.read_text().replace("'hello'", "'goodbye'"))
        take_change(ws)
        assert ["system.reload.done"] == [kind for kind in types(ws) if ".reload." in kind]


def test_a_shaping_rule_that_was_changed_shapes_as_it_says_now_and_not_when_its_file_is_gone(root: Path) -> None:
    file = a_library_rule(root, when="payload.n > 10", effect='[set]\nlevel = "business"')
    with eventctl.open(root) as ws:

        def level(job: str) -> int:
            ws.emit("job.failed", "cron", {"job": job, "run": 1, "n": 5})
            ws.run_until_idle()
            return next(item.notification.level for item in ws.inbox.list().items if job in item.notification.title)

        assert 2 == level("first")
        file.write_text(file.read_text().replace("> 10", "> 1"))
        take_change(ws)
        assert 3 == level("second")
        file.write_text(file.read_text().replace("n > 1", "n >"))
        take_change(ws)
        assert 3 == level("third")
        file.unlink()
        (root / "eventctl.toml").write_text('[members.ada]\nrole = "admin"\n')
        take_change(ws)
        assert 2 == level("fourth")
        told = [kind for kind in types(ws) if ".reload." in kind]
        assert ["system.reload.done", "system.reload.failed", "system.reload.done"] == told


def test_a_speaking_rule_that_was_changed_says_what_it_says_now(root: Path) -> None:
    file = a_library_rule(root, when="true", effect='[notify]\ntitle = "before {payload.run}"')
    with eventctl.open(root) as ws:
        ws.emit("job.failed", "cron", {"job": "x", "run": 1})
        ws.run_until_idle()
        file.write_text(file.read_text().replace("before", "after"))
        take_change(ws)
        ws.emit("job.failed", "cron", {"job": "x", "run": 2})
        ws.run_until_idle()
        assert "after 2" in [item.notification.title for item in ws.inbox.list().items]


def test_a_pipeline_whose_only_cartridge_was_switched_off_goes_on_and_keeps_its_dead_letter(root: Path) -> None:
    file = root / "company/domains/ops/cartridges/asks.py"
    with eventctl.open(root) as ws:
        ws.run_until_idle()
        (unit,) = ws.store.units().values()
        struck = ws.store.append([record_of("domain.ops.deploy.triggered", "struck")])[0].seq
        ws.engine.pipelines[0].advance(ws.store, 100, ws.engine._clock.now())
        crumb = Crumb("domain:ops", "asks", struck, 0.0, 5.0)
        ws.store.commit(Operations(units=[unit._replace(strikes=2)]))
        strikes.book(ws.store, crumb, "hung", "", 1)
        assert "disabled" == ws.store.units()[unit.path].state
    with eventctl.open(root) as ws:
        ws.run_until_idle()
        ws.emit("job.completed", "cron")
        ws.run_until_idle()
        assert {"system": 0, "domain:ops": 0} == {cursor.pipeline: lag for cursor, lag in ws.views.cursors()}
        assert [(struck, "dead")] == [(row.seq, row.state) for row in ws.store.exceptions_of("domain:ops", ("dead", "struck"))]
        assert 0 == ws.views.counts().unaccounted
        file.write_text(file.read_text() + "\n# mended\n")
        take_change(ws)
        assert ["asks"] == [each.id for pipeline in ws.pipelines[1:] for each in pipeline.plan]  # type: ignore[attr-defined]  # a DagPipeline


def record_of(kind: str, name: str) -> Record:
    raw = orjson.dumps({"event": kind, "source": "cron", "id": name, "payload": {"slug": "api"}})
    return to_record(decode(raw, now=1), principal="cli:ada", at=1)


def test_a_pipeline_whose_cartridge_is_gone_stands_still(root: Path) -> None:
    with eventctl.open(root) as ws:
        ws.run_until_idle()
    (root / "company/domains/ops/cartridges/asks.py").unlink()
    with eventctl.open(root) as ws:
        ws.run_until_idle()
        assert ["system"] == [pipeline.name for pipeline in ws.pipelines]


def test_the_house_reads_without_running_anything(root: Path) -> None:
    catalog, problems = House(Paths(root), {}, NoCrumb()).catalog()
    assert [] == problems
    assert catalog.declared("domain.ops.deploy.triggered")
    assert catalog.declared("job.failed")
    assert client.run_info(Paths(root)) is None


LOOP: dict[str, Any] = {}
LOOP["self"] = LOOP


@pytest.mark.parametrize(
    "payload",
    [
        b"x",
        object(),
        5,
        [1],
        {1: "a"},
        {"n": float("nan")},
        {"n": [None, float("inf")]},
        {"s": "\ud800"},
        {"o": object()},
        LOOP,
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_is_not_json_is_refused_with_its_field(root: Path, payload: Any) -> None:
    with eventctl.open(root) as ws, pytest.raises(Refused) as refused:
        ws.emit("a.b", "s", payload)
    assert "payload" == refused.value.where.split(".")[0]


def test_a_payload_may_be_any_mapping(root: Path) -> None:
    with eventctl.open(root) as ws:
        assert 1 == ws.emit("a.b", "s", MappingProxyType({"nothing": None})).seq
