"""kill -9 while a cartridge is installed, promoted, removed, rolled back or trusted: the workspace always loads, and stands as before or after.

At every failpoint of each step, and at random moments (`EVENTCTL_LIFECYCLE_KILLS`, 40 by default, more for more). After each kill it
is listed, run and verified; then the step is made again, and must be done. Files that are promoted may stand in both places for as long
as nobody has made it again; they never stand in none, and nowhere in part. Two controls must be caught.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eventctl import failpoints
from tests.faults import scene
from tests.lifekit import archive, code, folder, rule

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

KILLS = int(os.environ.get("EVENTCTL_LIFECYCLE_KILLS", "40"))
CONTROLS = {"PYTHONPATH": os.pathsep.join([str(scene.HERE / "controls"), os.environ.get("PYTHONPATH", "")])}
KILLED = -9
SHOP = ("--domain", "shop")
FILES = {"late.toml": rule(), "late.examples.toml": "# none\n"}
FOLDER = {f"watch/{name}": text for name, text in folder().items()}
COMMITS = ("lifecycle.before_commit", "lifecycle.after_commit")
MOVES = (
    "promote.after_copy",
    "promote.after_rename",
    "promote.after_rename@2",
    "promote.after_leaving",
    "promote.after_leaving@2",
)


@dataclass(frozen=True)
class Step:
    """What is killed: its words, the failpoints that it passes, and the files that it carries."""

    words: tuple[str, ...]
    points: tuple[str, ...] = COMMITS
    files: Mapping[str, str] | None = None


STEPS = {
    "install": Step(("install", "{given}/new.tar.gz", *SHOP)),
    "upgrade": Step(("install", "{given}/till-3.tar.gz", *SHOP)),
    "promote": Step(("promote", "domain:shop/till", "--to", "library")),
    "remove": Step(("remove", "till")),
    "rollback": Step(("rollback", "till", "--to", "1.0.0")),
    "trust": Step(("trust", "till")),
    "files": Step(("promote", "late", "--to", "domain:shop"), (*MOVES, *COMMITS), FILES),
    "folder": Step(("promote", "watch", "--to", "library"), (*[each for each in MOVES if "@" not in each], *COMMITS), FOLDER),
}
PROMOTE = "installed:domain:shop/till"


def test_the_steps_walk_every_failpoint_of_theirs() -> None:
    walked = {point.partition("@")[0] for step in STEPS.values() for point in step.points}
    assert {point for point in failpoints.POINTS if point.startswith(("lifecycle.", "promote."))} == walked


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which every step is possible, and what is given to it."""
    base = tmp_path_factory.mktemp("lifecycle")
    root, given = base / "ws", base / "given"
    domain = root / "company/domains/shop"
    (domain / "cartridges").mkdir(parents=True)
    (root / "cartridges").mkdir()
    (root / "eventctl.toml").write_text(scene.SETTINGS + "[members.bob]\n")
    (domain / "domain.toml").write_text('summary = "A shop."\n')
    for name, text in (FILES | FOLDER).items():
        path = root / "personal/bob/cartridges" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    given.mkdir()
    for number in (1, 2, 3):
        archive(given / f"till-{number}.tar.gz", {"till.py": code("till", f"{number}.0.0")})
    archive(given / "new.tar.gz", {"new.py": code("new")})
    subprocess.run([*scene.EVENTCTL, "init", str(root)], check=True, stdout=subprocess.DEVNULL)
    for number in (1, 2):
        do(base, ("install", f"{given}/till-{number}.tar.gz", *SHOP))
    scene.settle(root)
    return base


def do(base: Path, words: tuple[str, ...], **env: str) -> int:
    """Run the step; its exit code, which is -9 for one that was killed."""
    command = [
        *scene.EVENTCTL,
        "-w",
        str(base / "ws"),
        "cartridge",
        *(word.format(given=base / "given") for word in words),
        "--yes",
    ]
    if words[0] == "promote" and words[1].startswith("domain:"):
        command[command.index(words[1])] = PROMOTE
    return subprocess.run(command, env=os.environ | env, capture_output=True, timeout=60).returncode


def copied(made: Path, to: Path) -> Path:
    shutil.copytree(made, to)
    return to


def stands(base: Path) -> tuple[Any, ...]:
    """What is installed, and what files there are."""
    rows = json.loads(eventctl(base, "cartridge", "list", "--versions", "--json").stdout)["items"]
    facts = {(row["place"], row["id"], row["digest"], row["active"], row["runs"]) for row in rows}
    return facts, {name: data for name, data in files(base).items() if "/." not in name}


def files(base: Path) -> dict[str, bytes]:
    root = base / "ws"
    places = (root / "personal", root / "company", root / "cartridges")
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()
    }


def eventctl(base: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*scene.EVENTCTL, "-w", str(base / "ws"), *words], capture_output=True, text=True, timeout=120)


def faults(base: Path, step: Step, before: tuple[Any, ...], after: tuple[Any, ...]) -> list[str]:
    """What is wrong with a workspace in which the step was killed."""
    wrong = []
    for words in (("cartridge", "list"), ("cartridge", "check"), ("run", "--until-idle"), ("verify",)):
        done = eventctl(base, *words)
        if done.returncode:
            wrong.append(f"{' '.join(words)} ends with {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}")
    found = stands(base)
    if found[0] not in (before[0], after[0]):
        wrong.append(f"installed is {found[0]}")
    if step.files is None and found[1] != before[1]:
        wrong.append("files have changed")
    there = list(found[1].items())
    for name, text in (step.files or {}).items():
        copies = [data for path, data in there if path.endswith(f"/cartridges/{name}") or path == f"cartridges/{name}"]
        if not copies or any(data != text.encode() for data in copies):
            wrong.append(f"{name} stands {len(copies)} times, {sum(data != text.encode() for data in copies)} of them in part")
    return wrong


def decided(base: Path, step: Step) -> int:
    """How often it was decided to carry these files."""
    told = json.loads(eventctl(base, "decisions", "list", "--all", "--json").stdout)["items"]
    return sum(each["kind"].startswith("promote:") for each in told) if step.files else 1


def finished(base: Path, step: Step, after: tuple[Any, ...]) -> list[str]:
    """Make the step again: what is not as it should be then. One that is done already may say that there is nothing to do."""
    code_ = do(base, step.words)
    there = stands(base)
    left = [name for name in files(base) if "/." in name]
    wrong = [f"made again, it ends with {code_}"] if code_ not in (0, 3, 4) else []
    wrong += [] if decided(base, step) == 1 else [f"made again, it was decided {decided(base, step)} times"]
    return wrong + (["made again, it is not done"] if there != after else []) + [f"{name} was left behind" for name in left]


@pytest.fixture(scope="module")
def ends(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[tuple[Any, ...], tuple[Any, ...], float]]:
    """Each step as it ends when nobody disturbs it, and how long it takes."""
    found = {}
    for name, step in STEPS.items():
        base = copied(made, tmp_path_factory.mktemp(name) / "copy")
        before, began = stands(base), time.monotonic()
        assert 0 == do(base, step.words)
        took = time.monotonic() - began
        after = stands(base)
        assert before != after
        found[name] = before, after, took
    return found


@pytest.mark.parametrize(("name", "point"), [(name, point) for name, step in STEPS.items() for point in step.points])
def test_a_kill_at_every_failpoint_leaves_the_state_before_or_after(
    made: Path, ends: dict[str, Any], tmp_path: Path, name: str, point: str
) -> None:
    step, (before, after, _) = STEPS[name], ends[name]
    base, seen = copied(made, tmp_path / "copy"), tmp_path / "seen"
    bare, _, visit = point.partition("@")
    arm = f"{bare}=kill" + (f"@{visit}" if visit else "")
    assert KILLED == do(base, step.words, EVENTCTL_FAILPOINT=arm, EVENTCTL_FAILPOINT_SEEN=str(seen))
    assert [bare] == seen.read_text().split()
    assert [] == faults(base, step, before, after)
    assert [] == finished(base, step, after)
    assert [] == faults(base, step, after, after)


def storm(made: Path, ends: dict[str, Any], tmp_path: Path, kills: int, names: list[str], seed: int, **env: str) -> list[str]:
    """Kill steps at random moments; what was wrong after any of them."""
    rng, wrong, hit = random.Random(seed), [], 0
    for number in range(kills):
        name = names[number % len(names)]
        step, (before, after, took) = STEPS[name], ends[name]
        base = copied(made, tmp_path / f"copy{number}")
        words = [word.format(given=base / "given") for word in step.words]
        if name == "promote":
            words[1] = PROMOTE
        actor = scene.Actor([*scene.EVENTCTL, "-w", str(base / "ws"), "cartridge", *words, "--yes"], env)
        actor.start()
        time.sleep(took * rng.uniform(0.5, 1.05))
        hit += actor.alive()
        actor.kill()
        found = faults(base, step, before, after) or finished(base, step, after)
        wrong += [f"{name}: {each}" for each in found]
        shutil.rmtree(base)
        if wrong and env:
            break
    print(f"\n{kills} kills, {hit} of them in time: {len(wrong)} faults")
    assert hit or wrong
    return wrong


def test_a_kill_at_any_moment_leaves_the_state_before_or_after(made: Path, ends: dict[str, Any], tmp_path: Path) -> None:
    assert [] == storm(made, ends, tmp_path, KILLS, list(STEPS), seed=1)


def test_a_promotion_that_deletes_before_it_copies_is_caught(made: Path, ends: dict[str, Any], tmp_path: Path) -> None:
    base, step, (before, after, _) = copied(made, tmp_path / "copy"), STEPS["files"], ends["files"]
    armed = {**CONTROLS, "EVENTCTL_CONTROL": "leave-first", "EVENTCTL_FAILPOINT": "promote.after_copy=kill"}
    assert KILLED == do(base, step.words, **armed)
    assert [] != faults(base, step, before, after)


def test_an_install_in_two_commits_is_caught(made: Path, ends: dict[str, Any], tmp_path: Path) -> None:
    assert [] != storm(made, ends, tmp_path, 60, ["install"], 2, **CONTROLS, EVENTCTL_CONTROL="package-apart")
