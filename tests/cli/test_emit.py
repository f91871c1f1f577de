"""`emit`: what goes in, what is refused and kept, what is answered."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

ENTRY = {
    "__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": "1763632800000000", "_HOSTNAME": "atlas", "PRIORITY": "3",
    "MESSAGE": "disk is slow", "SYSLOG_IDENTIFIER": "kernel",
}  # fmt: skip


def records(face, *words):
    return json.loads(face("log", "show", "--json", *words).stdout)["items"]


def rejects(face):
    return json.loads(face("rejects", "list", "--json").stdout)["items"]


def test_an_event_is_answered_with_its_short_id(face):
    assert "e1\n" == face("emit", "build.done", "--source", "ci").stdout


def test_every_flag_becomes_its_field(face):
    face(
        "emit", "build.done", "--source", "ci", "--level", "workflow", "--domain", "software-development", "--entity", "x://api",
        "--description", "Built", "--visibility", "public", "--id", "b1", "--timestamp", "2026-11-20T10:00:00+01:00",
        "--payload", '{"n": 1}',
    )  # fmt: skip
    expected = {
        "event": "build.done", "source": "ci", "level": 2, "domain": "software-development", "entity": "x://api",
        "description": "Built", "visibility": "public", "id": "b1", "timestamp": "2026-11-20T09:00:00Z", "payload": {"n": 1},
    }  # fmt: skip
    (record,) = records(face)
    assert expected == record["body"]
    assert "cli:ada" == record["principal"]


def test_a_repeated_identity_says_what_it_repeats(face):
    face("emit", "build.done", "--source", "ci", "--id", "b1")
    answer = json.loads(face("emit", "build.done", "--source", "ci", "--id", "b1", "--json").stdout)
    assert {"schema_version": 1, "id": "b1", "seq": 1, "duplicate_of": 1} == answer
    assert "already" in face("emit", "build.done", "--source", "ci", "--id", "b1").stderr


def test_the_payload_is_judged_as_it_was_written_and_cannot_add_fields(face):
    assert "payload" in face("emit", "a.b", "--source", "s", "--payload", '{"n":1},"hops":3,"x":{}', code=2).stderr
    assert "twice" in face("emit", "a.b", "--source", "s", "--payload", '{"n":1,"n":2}', code=1).stderr
    assert [] == records(face)


def test_a_payload_may_stand_in_a_file_or_come_by_the_standard_input(face, tmp_path):
    (tmp_path / "p.json").write_text('{"n": 2}')
    face("emit", "a.b", "--source", "s", "--payload", f"@{tmp_path}/p.json")
    face("emit", "a.b", "--source", "s", "--payload", "@-", given='{"n": 3}')
    assert [{"n": 2}, {"n": 3}] == [record["body"]["payload"] for record in records(face)]


def test_a_refused_event_names_the_field_and_is_kept_as_a_reject(face, snapshot):
    snapshot(face("emit", "not a type", "--source", "ci", code=1).stderr)
    (reject,) = rejects(face)
    assert "not a type" in reject["raw"]


def test_without_a_source_it_says_how_to_give_one(face, snapshot):
    snapshot(face("emit", "a.b", code=2).stderr)


@pytest.mark.parametrize("words", [[], ["a.b", "--ndjson", "-"], ["--ndjson", "-", "--journald", "-"]])
def test_it_takes_one_thing_at_a_time(face, words):
    assert "one thing at a time" in face("emit", *words, code=2).stderr


def test_a_flag_of_one_event_does_not_go_with_a_stream(face):
    assert "--source" in face("emit", "--ndjson", "-", "--source", "s", code=2, given="").stderr


def test_bad_lines_are_named_and_kept_and_the_good_ones_go_in(face, snapshot):
    lines = [
        '{"event":"a.b","source":"s","id":"1"}',
        "",
        "nonsense",
        '{"event":"a.b"}',
        '{"event":"a.b","source":"s","id":"2"}',
    ]
    result = face("emit", "--ndjson", "-", given="\n".join(lines), code=1)
    snapshot(result.stdout + result.stderr)
    assert ["1", "2"] == [record["id"] for record in records(face)]
    assert {"nonsense", '{"event":"a.b"}'} == {reject["raw"] for reject in rejects(face)}


def test_a_stream_is_answered_with_counts(face, tmp_path):
    file = tmp_path / "events.ndjson"
    file.write_bytes(b'\xef\xbb\xbf{"event":"a.b","source":"s","id":"1"}\r\n{"event":"a.b","source":"s","id":"2"}')
    first = json.loads(face("emit", "--ndjson", str(file), "--json").stdout)
    again = json.loads(face("emit", "--ndjson", str(file), "--json").stdout)
    assert {"schema_version": 1, "accepted": 2, "duplicates": 0, "refused": 0, "first_seq": 1, "last_seq": 2} == first
    assert {"schema_version": 1, "accepted": 0, "duplicates": 2, "refused": 0, "first_seq": None, "last_seq": None} == again


def test_a_line_without_an_end_costs_no_more_than_its_limit(face):
    huge = b'{"event":"a.b","source":"s","payload":{"x":"' + b"y" * 3_000_000 + b'"}}\n{"event":"a.b","source":"s"}\n'
    result = face("emit", "--ndjson", "-", given=huge, code=1)
    assert "line 1:" in result.stderr
    assert 1 == len(records(face))
    assert len(rejects(face)[0]["raw"]) < 300_000


def test_a_file_that_is_not_there_is_not_found(face):
    face("emit", "--ndjson", "/nowhere/x", code=3)


def test_a_journal_entry_becomes_an_event_named_by_its_cursor(face):
    bad = '{"MESSAGE": "no time"}'
    result = face("emit", "--journald", "-", given=f"{json.dumps(ENTRY)}\n{bad}\n{json.dumps(ENTRY)}\n", code=1)
    assert "line 2: " in result.stderr
    assert "1 event in (e1), 1 already there, 1 refused\n" == result.stdout
    (record,) = records(face)
    assert ("journal.entry", "s=1;i=2", "journald:atlas") == (record["type"], record["id"], record["source"])
    assert "disk is slow" == record["body"]["description"]


def test_a_repository_brings_in_its_commits_once(face, tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path / "repo"), *words], check=True, capture_output=True)

    (tmp_path / "repo").mkdir()
    git("init")
    for subject in ("first", 'a "quoted"\nsubject'):
        git("-c", "user.name=ada", "-c", "user.email=a@x", "commit", "--allow-empty", "-m", subject)
    face("emit", "--git", str(tmp_path / "repo"))
    assert "2 already there" in face("emit", "--git", str(tmp_path / "repo")).stdout
    assert ["first", 'a "quoted" subject'] == [record["body"]["description"] for record in records(face)]
    assert {"git.commit"} == {record["type"] for record in records(face)}


def test_a_folder_without_a_repository_says_what_git_said(face, tmp_path):
    assert "not a git repository" in face("emit", "--git", str(tmp_path), code=1).stderr


def test_an_agent_speaks_in_its_own_family_only(face):
    face("emit", "agent.builder.done", "--source", "builder", "--agent", "builder")
    assert "may not emit" in face("emit", "deployment.failed", "--source", "x", "--agent", "builder", code=5).stderr
    line = '{"event":"deployment.failed","source":"x"}'
    assert "may not emit" in face("emit", "--ndjson", "-", "--agent", "builder", given=line, code=1).stderr


def test_without_a_workspace_it_says_how_to_make_one(tmp_path, env):
    words = [sys.executable, "-m", "eventctl", "emit", "a.b", "--source", "s"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert 3 == done.returncode
    assert "eventctl init" in done.stderr
    assert "" == done.stdout


def test_a_trickling_pipe_is_durable_line_by_line_and_ctrl_c_drains_it(face):
    words = [sys.executable, "-m", "eventctl", "-w", str(face.root), "emit", "--ndjson", "-"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=face.env) as child:
        child.stdin.write(b'{"event":"a.b","source":"s"}\n{"event":"torn')
        child.stdin.flush()
        deadline = time.monotonic() + 20
        while not records(face) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert 1 == len(records(face))
        os.kill(child.pid, signal.SIGINT)
        out, _ = child.communicate(timeout=20)
    assert b"1 event in (e1), 1 refused\n" == out


def test_a_reader_that_has_seen_enough_is_no_error(face):
    script = f"{sys.executable} -m eventctl -w {face.root} log show --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=face.env, check=False)
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("words", [["--ndjson", "nope"], ["--git", "/"]], ids=" ".join)
def test_a_stream_that_never_began_answers_with_its_error_alone(face, words):
    result = face.ask("emit", *words)
    assert 0 != result.exit_code
    assert "" == result.stdout


def test_many_bad_lines_are_counted_after_the_first_twenty(face):
    told = face("emit", "--ndjson", "-", given="x\n" * 50, code=1).stderr.splitlines()
    assert 20 == sum(line.startswith("line ") for line in told)
    assert "... and 30 more" in told
    assert 50 == len(rejects(face))


def test_a_stream_that_is_cut_short_says_what_was_not_taken(face):
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    lines = "".join(f'{{"event":"a.b","source":"s","description":"{"x" * 1000}"}}\n' for _ in range(5000))
    words = [sys.executable, "-m", "eventctl", "-w", str(face.root), "emit", "--ndjson", "-"]
    done = subprocess.run(words, input=lines, env=face.env, capture_output=True, text=True, check=False, preexec_fn=small_files)
    assert done.returncode in (74, 75)
    assert done.stdout.startswith(f"{len(records(face, '-n', '5000')):,} events in")
    assert "lines were read and not taken" in done.stderr
