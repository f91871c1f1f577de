"""What a change has to pass. A bare `nox` runs everything but `faults` and `bench`, which have the machine to themselves.

nox                 lint, types, tests, docs, smoke
nox -s faults       kill -9, power cuts, hangs, full disks
nox -s bench        figures as ratios with a floor measured in the same run
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests", "docs", "smoke"]

PROJECT = nox.project.load_toml("pyproject.toml")
PATHS = ["src", "tests", "tools", "bench", "noxfile.py", "cartridges", "company", "personal"]
DOCS = ["tests/test_docs.py", "tests/test_content.py"]


def group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PROJECT, name))


@nox.session
def lint(session: nox.Session) -> None:
    """Rules and format; every exemption stands with its reason in pyproject.toml."""
    session.install(*group("lint"))
    session.run("ruff", "check", *PATHS)
    session.run("ruff", "format", "--check", *PATHS)


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict."""
    session.install("-e", ".", *group("types"), *group("test"), *group("nox"))
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Everything that is quick, on all cores."""
    session.install("-e", ".", *group("test"))
    ignored = [f"--ignore={path}" for path in DOCS]
    session.run("pytest", "-n", "auto", *ignored, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """What is written is what is there: commands, settings, keys, hooks, and the content that a workspace begins with."""
    session.install("-e", ".", *group("test"))
    session.run("pytest", *DOCS, *session.posargs)


@nox.session(reuse_venv=False)
def smoke(session: nox.Session) -> None:
    """The built wheel, alone in an environment, does its main job."""
    session.install(".")
    root = Path(session.create_tmp()).resolve()
    shutil.rmtree(root / "work", ignore_errors=True)
    (root / "work").mkdir()
    session.chdir(root / "work")
    env = {"HOME": str(root), "EVENTCTL_WORKSPACE": ""}
    for command in (
        "--version",
        "demo --keep demo",
        "-w demo verify",
        "init",
        'emit job.failed --source smoke --payload {"job":"smoke","exit_code":3}',
        "exec -- python -c pass",
        "run --until-idle",
        "inbox list",
        "status",
        "config check",
    ):
        session.run("eventctl", *command.split(), env=env)
    if "smoke ended with exit code 3" not in str(session.run("eventctl", "inbox", "list", "--json", env=env, silent=True)):
        session.error("what was emitted does not stand in the inbox")


@nox.session
def faults(session: nox.Session) -> None:
    """Kills, power cuts, hangs and full disks. EVENTCTL_KILLS sets how many kills (default 200)."""
    session.install("-e", ".", *group("test"))
    session.run("pytest", "tests/faults", "-m", "faults", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Figures, each beside its floor."""
    session.install("-e", ".", *group("test"))
    session.run("python", "-m", "bench", *session.posargs)
