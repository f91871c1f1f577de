"""What a start costs, as the list of modules it loads: a list does not depend on how busy the machine is."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = {
    "pydantic", "rich", "textual", "redis", "sqlite_utils", "asyncio", "importlib.metadata", "pluggy", "watchfiles", "tomllib",
    "email", "http", "urllib.request", "logging", "multiprocessing", "concurrent",
}  # fmt: skip
SCRIPT = """
import json, sys
before = set(sys.modules)
from eventctl.cli import cli
code = cli.main(json.loads(sys.argv[1]), standalone_mode=False)
print(json.dumps([code, sorted(set(sys.modules) - before)]), file=sys.stderr)
"""


def loaded(env, *words):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(words)],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert 0 == code, done.stderr
    return modules


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--help"],
        ["emit", "--help"],
        ["emit", "a.b", "--source", "s", "--payload", '{"n": 1}'],
        ["emit", "a.b", "--source", "s", "--json"],
        ["emit", "--ndjson", "-"],
        ["inbox", "list"],
        ["log", "show"],
        ["dashboard", "--help"],
    ],
    ids=" ".join,
)
def test_a_start_loads_nothing_that_it_does_not_use(face, words):
    heavy = HEAVY - {"tomllib"} if words[0] == "inbox" else HEAVY
    modules = loaded(face.env, "-w", str(face.root), *words)
    assert set() == {name for name in modules if name in heavy or name.split(".")[0] in heavy}


@pytest.mark.parametrize(
    "words", [["why", "e1"], ["why", "n1"], ["inbox", "claim", "n1"], ["inbox", "resolve", "n1"]], ids=" ".join
)
def test_why_and_moves_load_no_catalog_and_no_pydantic(face, words):
    face("emit", "job.failed", "--source", "cron", "--payload", '{"job": "backup"}')
    face("run", "--until-idle")
    modules = loaded(face.env, "-w", str(face.root), *words)
    assert set() == modules_of("pydantic", "asyncio", "rich", "pluggy", "eventctl.catalog", "eventctl.app", among=modules)


def modules_of(*names, among):
    return {module for module in among if any(f"{module}.".startswith(f"{name}.") for name in names)}


def test_help_imports_no_command(face):
    ours = {name for name in loaded(face.env, "--help") if name.startswith("eventctl.cli.")}
    assert {"eventctl.cli.session", "eventctl.cli.report"} == ours


def test_the_list_would_show_a_module_that_is_imported(env):
    done = subprocess.run(
        [sys.executable, "-c", "import pydantic\n" + SCRIPT.replace("before = set(sys.modules)", "before = set()"), '["--version"]'],
        env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "pydantic" in json.loads(done.stderr.splitlines()[-1])[1]


def test_ctrl_c_while_the_program_is_read_in_is_no_traceback(tmp_path):
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run(
        [sys.executable, "-m", "eventctl", "run"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert (130, b"") == (done.returncode, done.stderr)
