"""The other commands, each over a real workspace: what they print, and what they refuse."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pytest

from eventctl.sqlite_store import SqliteStore
from eventctl.store import Advance, Operations
from eventctl.times import HOUR

JOB = '{"job": "backup", "run": "r1"}'


def answer(face, *words, code=0):
    return json.loads(face(*words, "--json", code=code).stdout)


@contextmanager
def program(words, face):
    """The program itself, ended with the block whatever happens in it."""
    with subprocess.Popen(words, env=face.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.fixture
def shop(face):
    """A domain with one cartridge, as it was read by a run."""
    (face.root / "company/domains/shop").mkdir(parents=True)
    face("cartridge", "new", "order-counter", "--domain", "shop", "--consumes", "**")
    face("run", "--until-idle")
    return face


@pytest.fixture
def worked(face):
    face("emit", "job.failed", "--source", "cron", "--id", "1", "--description", "backup failed", "--payload", JOB)
    face("emit", "system.burst.detected", "--source", "me", "--id", "2")
    face("emit", "stranger.spoke", "--source", "me", "--id", "3", "--entity", "x://1")
    face("run", "--until-idle")
    face.later(HOUR)
    return face


def test_log_show_lists_in_the_order_of_the_log(worked, snapshot):
    snapshot(worked("log", "show").stdout)


def test_log_show_shows_one_in_full(worked, snapshot):
    snapshot(worked("log", "show", "e1").stdout)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--type", "job.*"], [1]),
        (["--source", "me"], [2, 3]),
        (["--entity", "x://1"], [3]),
        (["--kind", "move"], []),
        (["--since", "30m"], []),
        (["--until", "30m"], [1, 2, 3]),
        (["-n", "2"], [2, 3]),
        (["--before", "e3"], [1, 2]),
    ],
    ids=str,
)
def test_log_show_filters(worked, words, expected):
    assert expected == [item["seq"] for item in answer(worked, "log", "show", *words)["items"]]


def test_an_empty_log_says_how_to_fill_it(face):
    assert "eventctl exec" in face("log", "show").stderr


def test_log_tail_prints_what_comes_until_it_is_stopped(worked):
    words = [sys.executable, "-m", "eventctl", "-w", str(worked.root), "log", "tail", "--ndjson", "-n", "1", "--type", "**"]
    with program(words, worked) as child:
        assert 3 == json.loads(child.stdout.readline())["seq"]
        worked("emit", "a.b", "--source", "s")
        assert "a.b" == json.loads(child.stdout.readline())["type"]
        child.send_signal(signal.SIGINT)
        assert 0 == child.wait(timeout=10)


def test_a_log_that_was_trimmed_is_not_replayed_and_says_why(worked):
    with closing(SqliteStore.open(worked.root / ".eventctl/state.db", role="short")) as store:
        store.commit(Operations(meta={"trimmed.log": "1204"}))
    said = worked("log", "replay", code=4).stderr
    assert "1,204 old records have been trimmed from the log" in said
    assert "[retention]" in said


def test_log_replay_is_dry_and_says_where_it_differs(worked, snapshot):
    snapshot(worked("log", "replay").stdout)
    worked("quarantine", "release", "e2")
    before = answer(worked, "status")
    report = answer(worked, "log", "replay", "e1", "e3")
    assert before == answer(worked, "status")
    assert (3, 1) == (report["records"], report["opened"])
    assert [] == report["differences"]
    worked("log", "replay", "e9", code=3)


def test_status_counts_everything(worked, snapshot):
    result = worked("status")
    snapshot(result.stdout + result.stderr)
    facts = answer(worked, "status")
    assert None is facts["runner"]
    assert 0 == facts["unaccounted"]
    expected = {"cursor": 3, "lag": 0, "applied": 2, "dropped": 0, "quarantined": 1, "waiting": 0, "dead": 0}
    assert {**expected, "held": None, "unfinished": None} == facts["pipelines"]["system"]
    assert [] == facts["cartridges"]


def test_status_names_what_was_struck_and_what_is_switched_off(shop):
    with closing(SqliteStore.open(shop.root / ".eventctl/state.db", role="short")) as store:
        unit = next(iter(store.units().values()))
        store.commit(Operations(units=[unit._replace(strikes=1)]))
    assert "order-counter hung or ended the process once: `eventctl cartridge show" in shop("status").stderr
    with closing(SqliteStore.open(shop.root / ".eventctl/state.db", role="short")) as store:
        store.commit(Operations(units=[unit._replace(strikes=2, state="disabled", reason="hung for more than 2 s")]))
    assert "order-counter is switched off (hung for more than 2 s)" in shop("status").stderr
    assert [("order-counter", "disabled", 2)] == [
        (each["id"], each["state"], each["strikes"]) for each in answer(shop, "status")["cartridges"]
    ]
    shown = shop("cartridge", "show", "order-counter").stdout
    assert "switched off: hung for more than 2 s (2 strikes)" in shown
    assert "runs in    nothing" in shown


def test_status_says_what_holds_a_pipeline_up(shop):
    with closing(SqliteStore.open(shop.root / ".eventctl/state.db", role="short")) as store:
        cursor = store.cursor("domain:shop")
        store.commit(Operations(advance=Advance("domain:shop", cursor.pos, cursor.pos, cursor.term, waiting=10_000)))
    assert None is answer(shop, "status")["pipelines"]["domain:shop"]["held"]
    shop("emit", "a.b", "--source", "s")
    with closing(SqliteStore.open(shop.root / ".eventctl/state.db", role="short")) as store:
        system = store.cursor("system")
        store.commit(Operations(advance=Advance("system", system.pos, 1, system.term, applied=1), feed=[(1, "a.b", "accept")]))
    said = "10,000 events wait for answers, and 10,000 may: it takes nothing new"
    assert said == answer(shop, "status")["pipelines"]["domain:shop"]["held"]
    assert f"domain:shop: {said}" in shop("status").stderr


def test_what_is_held_can_be_seen_released_and_discarded(worked, snapshot):
    screens = [
        worked("quarantine").stdout,
        worked("quarantine", "show", "e2").stdout,
        worked("quarantine", "release", "e2").stdout,
    ]
    snapshot("---\n".join(screens))
    worked("run", "--until-idle")
    assert [] == answer(worked, "quarantine", "list")["items"]
    assert "release" in worked("why", "e2").stdout
    worked("quarantine", "release", "e2", code=3)
    worked("emit", "system.burst.detected", "--source", "me", "--id", "9")
    worked("run", "--until-idle")
    held = answer(worked, "quarantine", "list")["items"][0]["short"]
    worked("quarantine", "discard", held)
    worked("run", "--until-idle")
    assert "dropped" == answer(worked, "why", held)["steps"][0]["state"]


def test_no_dead_letters_is_good_news(worked):
    assert "Nothing has failed for good." in worked("dead-letter").stderr
    worked("dead-letter", "show", "e1", code=3)


def test_rejects_can_be_listed_and_shown(face, snapshot):
    face("emit", "--ndjson", "-", given="nonsense \x1b[31m\n", code=1)
    snapshot(face("rejects").stdout, "list")
    snapshot(face("rejects", "show", "r1").stdout, "show")
    face("rejects", "show", "r9", code=3)


def test_verify_finds_nothing_wrong(worked, snapshot):
    worked("inbox", "claim", "n1")
    worked("inbox", "resolve", "n1")
    snapshot(worked("verify", "--rebuild").stdout)


def test_verify_finds_a_record_that_was_changed(worked):
    with sqlite3.connect(worked.root / ".eventctl/state.db") as db:
        db.execute("UPDATE log SET source = 'somebody else' WHERE seq = 2")
    found = {item["name"]: item for item in answer(worked, "verify", code=1)["items"]}
    assert (False, True) == (found["records"]["ok"], found["file"]["ok"])
    assert "e2" in found["records"]["said"]


def test_a_backup_comes_back(worked, tmp_path):
    backup = answer(worked, "backup", str(tmp_path / "b.db"))
    assert 3 == backup["tail"]
    worked("backup", str(tmp_path / "b.db"), code=4)
    worked("emit", "a.b", "--source", "s")
    assert "Replace the memory" in worked("restore", str(tmp_path / "b.db"), given="n\n", code=130).stderr
    assert 4 == answer(worked, "status")["log"]["tail"]
    before = answer(worked, "status")["epoch"]
    worked("restore", str(tmp_path / "b.db"), "--yes")
    after = answer(worked, "status")
    assert 3 == after["log"]["tail"]
    assert before != after["epoch"]


def test_what_is_no_backup_is_not_restored(worked):
    assert "no backup" in worked("restore", str(worked.root / "eventctl.toml"), "--yes", code=78).stderr


def test_doctor_finds_this_machine_well(worked):
    found = answer(worked, "doctor")
    assert found["ok"]
    assert {"ok"} == {item["state"] for item in found["items"] if item["name"] not in ("disk", "plugin")}


def test_doctor_names_what_is_loose(worked):
    (worked.root / ".eventctl/state.db").chmod(0o644)
    assert "chmod" in worked("doctor").stderr


def test_events_are_listed_and_shown(worked, snapshot):
    snapshot(worked("events", "list", "--type", "job.*").stdout, "list")
    snapshot(worked("events", "show", "job.failed").stdout, "show")
    assert ["job.failed", "stranger.spoke", "system.burst.detected"] == sorted(
        item["type"] for item in answer(worked, "events", "list", "--seen")["items"]
    )
    assert "nobody declares it" in worked("events", "show", "stranger.spoke").stderr
    assert "did you mean job.failed?" in worked("events", "show", "job.faild", code=3).stderr
    assert "None found." in worked("events", "list", "--domain", "nowhere").stderr


def test_events_are_known_without_a_workspace(tmp_path, env):
    words = [sys.executable, "-m", "eventctl", "events", "list", "--json"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, check=True)
    assert "job.failed" in {item["type"] for item in json.loads(done.stdout)["items"]}


def test_schemas_are_schemas(face, tmp_path):
    from jsonschema.validators import Draft202012Validator

    for words in (
        ["events", "schema"],
        ["events", "schema", "job.failed"],
        ["config", "schema"],
        ["config", "schema", "event-types"],
        ["config", "schema", "cartridge"],
        ["config", "schema", "envelope"],
    ):
        Draft202012Validator.check_schema(json.loads(face(*words).stdout))
    face("events", "schema", "-o", str(tmp_path / "e.json"))
    Draft202012Validator(json.loads((tmp_path / "e.json").read_text())).validate({"event": "a.b", "source": "s", "level": 1})


def test_settings_are_shown_with_their_origin(face, snapshot):
    snapshot(face("config", "show", "--changed", EVENTCTL_RUNNER__BATCH="200").stdout)


def test_every_mistake_is_named_with_its_file_key_and_suggestion(face, snapshot):
    config = face.root / "eventctl.toml"
    config.write_text(config.read_text().replace('strictness = "standard"', 'strictnes = "standard"') + "\n[retentoin]\n")
    result = face("config", "check", code=78)
    snapshot(result.stdout + result.stderr)
    face("emit", "a.b", "--source", "s")
    face("run", "--until-idle")


def test_a_workspace_in_order_says_so(face):
    assert "everything is in order\n" == face("config", "check").stdout


def test_a_warning_is_for_the_check_and_stops_nothing(face):
    domain = face.root / "company/domains/shop"
    domain.mkdir(parents=True)
    (domain / "event_types.toml").write_text(
        'namespace = "domain.shop"\n[lives.order]\nkey = ["order"]\ntitle = "{order}"\n'
        '[types.stuck]\nsummary = "Stuck."\npayload = { order = "str" }\nlives = { order = "opens" }\n'
    )
    checked = face("config", "check")
    assert "no type resolves this life" in checked.stdout
    assert "1 warning in what is written here; everything works\n" == checked.stderr
    face("emit", "domain.shop.stuck", "--source", "s", "--payload", '{"order": "7"}')
    assert "left out" not in face("run", "--until-idle").stderr
    assert "7" in face("inbox").stdout


@pytest.mark.parametrize("given", ["order-counter", "company/domains/shop/cartridges/order-counter.py"])
def test_a_cartridge_is_shown_with_its_settings_and_where_it_runs(shop, snapshot, given):
    domain = shop.root / "company/domains/shop/domain.toml"
    domain.write_text("[settings.order-counter]\nloud = true\n")
    snapshot(shop("cartridge", "show", given).stdout)
    card = answer(shop, "cartridge", "show", given)
    assert [{"pipeline": "domain:shop", "level": 0, "settings": {"loud": True}, "tier": "in-process"}] == card["runs"]
    assert ("active", 0, "domain shop") == (card["state"], card["strikes"], card["of"])


def test_a_cartridge_that_is_not_there_is_suggested_and_one_of_two_is_asked_for(shop):
    assert "did you mean 'order-counter'?" in shop("cartridge", "show", "order-conter", code=3).stderr
    shop("cartridge", "new", "order-counter")
    assert "say which: " in shop("cartridge", "show", "order-counter", code=2).stderr


def test_a_mistake_in_the_settings_of_a_cartridge_stands_on_its_card(shop):
    (shop.root / "company/domains/shop/domain.toml").write_text("[settings.order-counter]\nlaud = true\n")
    result = shop("cartridge", "show", "order-counter")
    assert "has no setting 'laud'" in result.stderr
    assert "runs in    nothing" in result.stdout


def test_a_new_cartridge_is_in_order_and_runs(face, snapshot):
    (face.root / "company/domains/shop").mkdir(parents=True)
    face("cartridge", "new", "order-counter", "--domain", "shop", "--consumes", "**")
    face("cartridge", "check")
    face("cartridge", "check", str(face.root / "company/domains/shop/cartridges/order-counter.py"))
    snapshot(face("cartridge").stdout, "list")
    snapshot(face("cartridge", "graph").stdout, "graph")
    face("run", "--until-idle")
    face("emit", "a.b", "--source", "s", "--entity", "x://1")
    face("run", "--until-idle")
    assert {"count": 1} in answer(face, "why", "e1")["annotations"].values()


def test_a_cartridge_that_cannot_be_is_not_written(face):
    face("cartridge", "new", "Not A Name", code=78)
    assert [] == list((face.root / "cartridges").iterdir())
    face("cartridge", "new", "fine")
    face("cartridge", "new", "fine", code=4)
    assert "there is no domain" in face("cartridge", "new", "x-y", "--domain", "nowhere", code=3).stderr


def test_a_broken_cartridge_is_named(face, snapshot):
    folder = face.root / "cartridges"
    folder.mkdir()
    (folder / "broken.py").write_text('# /// cartridge\n# id = "broken"\n# consume = ["**"]\n# ///\ndef process(event: x\n')
    result = face("cartridge", "check", code=78)
    snapshot(result.stdout + result.stderr)


def test_a_second_runner_names_the_first(worked):
    words = [sys.executable, "-m", "eventctl", "-w", str(worked.root), "run"]
    with program(words, worked) as first:
        deadline = time.monotonic() + 20
        while answer(worked, "status")["runner"] is None and time.monotonic() < deadline:
            time.sleep(0.05)
        second = subprocess.run(words, env=worked.env, capture_output=True, text=True, check=False, timeout=30)
        assert 69 == second.returncode
        assert f"pid {first.pid}" in second.stderr
        assert 69 == worked.ask("run", "--until-idle").exit_code
        assert worked("emit", "job.failed", "--source", "cron", "--payload", '{"job": "x"}').stdout.startswith("e")
        os.kill(first.pid, signal.SIGTERM)
        assert 0 == first.wait(timeout=20)


def test_running_until_idle_says_what_it_did(face, snapshot):
    face("emit", "job.failed", "--source", "cron", "--id", "1", "--payload", JOB)
    snapshot(face("run", "--until-idle").stdout)
    assert "nothing to do\n" == face("run", "--until-idle").stdout
    assert answer(face, "run", "--until-idle")["idle"]


def test_plugins_are_listed(face):
    assert "eventctl" == answer(face, "plugin", "list")["items"][0]["name"]
    assert "not loaded" in face("--no-plugins", "plugin", "list").stderr


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_backup_to_a_full_disk_says_so_and_leaves_nothing(worked, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=False, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        told = worked("backup", str(small / "b.db"), code=75).stderr
        assert "the disk is full; nothing was copied" in told
        assert len(told.splitlines()) <= 3
        assert [] == list(small.iterdir())
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_restore_leaves_nothing_of_its_making(worked, tmp_path):
    worked("backup", str(tmp_path / "b.db"))
    worked("restore", str(tmp_path / "b.db"), "--yes")
    assert [] == list((worked.root / ".eventctl").glob("restoring*"))


def test_settings_that_cannot_be_read_keep_a_run_from_starting_and_are_said_to(face):
    file = face.root / "eventctl.toml"
    file.write_text(file.read_text() + "\nx = = 1\n")
    told = face("config", "check", code=78)
    assert "is not TOML" in told.stdout
    assert "refuses to start" in told.stderr
    face("run", "--until-idle", code=78)


def test_cartridges_in_a_circle_are_listed_as_broken(shop):
    folder = shop.root / "company/domains/shop/cartridges"
    for name, other in (("left", "right"), ("right", "left")):
        shop("cartridge", "new", name, "--domain", "shop", "--consumes", "**")
        file = folder / f"{name}.py"
        file.write_text(file.read_text().replace("# annotates", f'# after = ["{other}"]\n# annotates'))
    told = shop("cartridge", "list").stdout
    assert 2 == told.count("nothing (broken)")
    assert "left -> right -> left" in told
    items = {item["id"]: item["broken"] for item in answer(shop, "cartridge", "list")["items"]}
    assert items["order-counter"] is None
    assert "circle" in items["left"]


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a disk needs root")
def test_a_workspace_on_a_disk_that_cannot_be_written_says_so(worked):
    state = str(worked.root / ".eventctl")
    if subprocess.run(["mount", "--bind", state, state], check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", state], check=True)
        assert "cannot be written here" in worked("verify", code=74).stderr
    finally:
        subprocess.run(["umount", state], check=True)
