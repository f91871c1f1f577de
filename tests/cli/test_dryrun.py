"""`emit --dry-run`: what would become of an event, and nothing written, whoever else is at work."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventctl import app, client
from eventctl.breadcrumb import NoCrumb
from eventctl.dryrun import foresee
from eventctl.house import House
from eventctl.store import Keys
from eventctl.workspace import at

CARTRIDGE = """# /// cartridge
# id = "judge"
# summary = "Drops what is odd, tells of what is much, asks about the rest."
# consumes = ["job.*"]
# annotates = ["judge"]
# [permissions]
# calls = ["ask"]
# ///


async def process(event, context):
    n = event.payload.get("n", 0)
    seen = await context.state.get("seen", 0) + 1
    context.state.set("seen", seen)
    if n % 2:
        context.drop("odd")
    elif n > 10:
        context.notify(f"{n} is much, the {seen}.", payload={"key": event.entity})
        context.annotate("judge", {"seen": seen})
    elif n > 5:
        context.annotate("judge", await context.call("ask", {"n": n}))
    return event
"""


@pytest.fixture
def judged(face):
    """A workspace with a cartridge for jobs, that has been run."""
    (face.root / "cartridges").mkdir(exist_ok=True)
    (face.root / "cartridges" / "judge.py").write_text(CARTRIDGE)
    config = face.root / "eventctl.toml"
    config.write_text(config.read_text() + "\n[enable]\njudge = {}\n")
    face("run", "--until-idle")
    face("emit", "job.failed", "--source", "cron", "--entity", "a", "--payload", '{"n": 12, "job": "a"}')
    face("run", "--until-idle")
    return face


def everything(root: Path) -> dict[str, str]:
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted((root / ".eventctl").iterdir())
        if file.is_file() and not file.name.endswith("-shm") and file.stat().st_size
    }


def dry(face, n: int, *more: str, entity: str = "a", kind: str = "job.failed"):
    payload = json.dumps({"n": n, "job": "a"})
    return face("emit", kind, "--source", "cron", "--entity", entity, "--payload", payload, "--dry-run", *more)


def test_nothing_is_written(judged):
    before, tail = everything(judged.root), judged("log", "show").output
    for n in (1, 2, 8, 12):
        dry(judged, n)
    assert before == everything(judged.root)
    assert tail == judged("log", "show").output


def test_a_refused_event_leaves_no_reject(judged):
    before = everything(judged.root)
    assert 1 == judged.ask("emit", "Not A Type", "--source", "cron", "--dry-run").exit_code
    assert before == everything(judged.root)


def test_it_says_the_verdict_of_every_pipeline_the_notes_and_the_notification(judged, snapshot):
    snapshot(dry(judged, 14).output)


def test_it_says_who_drops_an_event_and_which_calls_would_be_made(judged):
    dropped, asked = json.loads(dry(judged, 3, "--json").output), json.loads(dry(judged, 8, "--json").output)
    assert {
        "pipeline": "workspace",
        "state": "dropped",
        "cartridge": "judge",
        "reason": "odd",
        "cartridges": ["judge"],
    } in dropped["pipelines"]
    assert [{"name": "ask", "args": {"n": 8}}] == asked["calls"]


def test_it_knows_what_the_cartridge_remembers(judged):
    found = json.loads(dry(judged, 14, "--json").output)
    assert ["14 is much, the 2."] == [each["payload"]["title"] for each in found["emitted"]]


def test_a_repeated_id_is_named(judged):
    judged("emit", "job.failed", "--source", "cron", "--id", "x1")
    said = judged("emit", "job.failed", "--source", "cron", "--id", "x1", "--dry-run").output
    assert "in the log already" in said


def test_a_stream_is_not_run_dry(judged):
    result = judged.ask("emit", "--ndjson", "-", "--dry-run")
    assert 2 == result.exit_code


@settings(max_examples=25, deadline=None)
@given(
    script=st.lists(
        st.tuples(st.integers(0, 14), st.sampled_from("ab"), st.sampled_from(("job.failed", "job.completed"))), max_size=6
    )
)
def test_what_it_says_is_what_then_becomes_of_the_event(tmp_path_factory, script):
    root = tmp_path_factory.mktemp("dry")
    (root / "cartridges").mkdir()
    (root / "cartridges" / "judge.py").write_text(CARTRIDGE)
    (root / "eventctl.toml").write_text('[workspace]\nname = "x"\n[enable]\njudge = {}\n')
    (root / ".eventctl").mkdir(mode=0o700)
    from eventctl.decode import decode, to_record
    from eventctl.sqlite_store import SqliteStore

    SqliteStore.create(root / ".eventctl" / "state.db", reserve_bytes=0).close()
    clock = Standing()
    with app.open(root, env={}, clock=clock, no_plugins=True) as here:
        here.step()
        house = House(at(root), {}, NoCrumb(), no_plugins=True)
        for number, (n, entity, kind) in enumerate(script):
            clock.us += 1_000_000
            envelope = {
                "event": kind,
                "source": "cron",
                "id": f"j{number}",
                "entity": entity,
                "payload": {"n": n, "job": entity},
            }
            record = to_record(decode(json.dumps(envelope), now=clock.us), principal="socket:ada", at=clock.us)
            planned = house.planned(house.scan(here.store))
            found = foresee(here.store, planned, record)
            seq = here.store.append([record])[0].seq
            while here.engine.step().passed:
                pass
            beside = here.store.snapshot(Keys(annotations=[seq])).annotations.get(seq, {})
            assert {slot: json.loads(value) for slot, value in beside.items()} == found.annotations
            made = [row.id for row in here.store.read_log(seq, 100) if row.principal.startswith("cartridge:workspace")]
            assert made == [row.id for row in found.made if row.principal.startswith("cartridge:workspace")]
            now = here.store.snapshot(Keys(notifications=[row.id for _, row in found.notifications])).notifications
            assert [(now[row.id].title, now[row.id].level, now[row.id].news) for _, row in found.notifications] == [
                (row.title, row.level, row.news) for _, row in found.notifications
            ]


class Standing:
    """A clock that stands."""

    us = 1_800_000_000_000_000

    def now(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.us / 1e6


def test_beside_a_supervisor_nothing_is_written_either(judged):
    command = [str(Path(sys.executable).with_name("eventctl")), "-w", str(judged.root), "run"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 20
            while client.ask_status(at(judged.root)) is None and time.monotonic() < until:
                time.sleep(0.05)
            assert client.ask_status(at(judged.root)) is not None
            with app.open(judged.root, no_plugins=True) as here:
                before = here.views.counts()
                assert "14 is much" in dry(judged, 14).output
                assert before.log_tail == here.views.counts().log_tail
                assert before.notifications_open == here.views.counts().notifications_open
        finally:
            process.terminate()
            process.wait(20)
