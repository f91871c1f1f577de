"""Every package of the corpus is refused by `cartridge install`, with its reason, soon, and nothing else happens.

What happens is measured, not believed: an inventory of a watched tree (homes, temporary files, what lies beside the package) and of the
workspace before and after, what the store says, the modules that are loaded, and a canary that hostile code would leave behind. The same
measures catch `tarfile.extractall` and an import.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sqlite3
import sys
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import chdir, closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from eventctl import archives
from eventctl.cli import cli
from eventctl.cli.session import Session
from eventctl.errors import EventctlError
from eventctl.package import BadPackage
from eventctl.times import parse_iso
from tests.attacks import forge
from tests.attacks.attack import Attack, laid
from tests.attacks.corpus import ATTACKS
from tests.attacks.watch import inventory, loaded, touched

SECONDS = 4.0
"""Processor time that refusing one package may take; the dearest takes a tenth of it."""

NOW = parse_iso("2026-11-20T12:00:00Z")
THERE = (
    '# /// cartridge\n# id = "watch-deploys"\n# summary = "Watches."\n# consumes = ["job.*"]\n# version = "2.0.0"\n# ///\n\n\n'
)


@dataclass
class Desk:
    """A workspace with one installed cartridge, beside things that are nobody's business, all of it watched."""

    tree: Path
    root: Path
    env: dict[str, str]

    @property
    def secret(self) -> Path:
        return self.tree / "home/secret.toml"

    def run(self, *words: str, **env: str) -> tuple[int, str, str]:
        """Exit code, output, and what escaped as a traceback."""
        session = Session(env={**self.env, **env}, now=lambda: NOW)
        ended = CliRunner().invoke(cli, ["-w", str(self.root), *words], obj=session)
        crash = ended.exception if not isinstance(ended.exception, SystemExit | EventctlError | None) else None
        return ended.exit_code, ended.output, repr(crash) if crash else ""

    def seen(self) -> dict[str, object]:
        """All that is watched: files, those of the workspace as well, and everything that the store holds."""
        with closing(sqlite3.connect(self.root / ".eventctl/state.db")) as db:
            store = {"the store": list(db.iterdump())}
        inside = inventory(self.root, leave=(".eventctl/",))
        return (
            store
            | inventory(self.tree, leave=("desk/",), busy=("tmp",))
            | {f"desk/{name}": each for name, each in inside.items()}
        )


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    tree = tmp_path_factory.mktemp("watched")
    (tree / "home").mkdir()
    (tree / "tmp").mkdir()
    (tree / "home/secret.toml").write_text("password = 1\n")
    env = {name: value for name, value in os.environ.items() if not name.startswith("EVENTCTL_")}
    made = Desk(
        tree,
        tree / "desk",
        {
            **env,
            "HOME": str(tree / "home"),
            "EVENTCTL_MEMBER": "ada",
            "TMPDIR": str(tree / "tmp"),
            "PATH": "/usr/bin:/bin",  # pip asks every rustc that it finds for its version
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(tree / "attack"),
        },
    )
    assert made.run("init", "--name", "test", "--member", "bob:member", "--yes")[0] == 0
    file = tree / "watch-deploys.py"
    file.write_text(THERE + forge.GOOD.format(slot="x"))
    code, said, crash = made.run("cartridge", "install", str(file), "--yes")
    assert (0, "") == (code, crash), said
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tree / "tmp"))
        patch.setenv("HOME", str(tree / "home"))
        yield made


class Measured(NamedTuple):
    """What became of one attack: whether it was refused for what it is, what was said, and what else happened."""

    refused: bool
    said: str
    wrong: list[str]
    seconds: float


def measure(desk: Desk, attack: Attack, install: Callable[[Desk, tuple[str, ...]], tuple[int, str, str]]) -> Measured:
    """Make the attack, try it, and see what is other than it was."""
    here, evil = desk.tree / "attack", desk.tree / "home/canary"
    here.mkdir()
    made = attack.make(here, str(evil), desk.secret)
    words = (str(made),) if isinstance(made, Path) else tuple(made)
    before, modules, path, began = desk.seen(), loaded(), list(sys.path), time.process_time()
    with chdir(here):
        code, said, crash = install(desk, words)
    seconds = time.process_time() - began
    wrong = [f"{name} was touched" for name in touched(before, desk.seen())]
    wrong += ["the canary fired"] if evil.exists() else []
    wrong += ["a module was loaded"] if modules != loaded() or path != sys.path else []
    wrong += [f"a traceback: {crash}"] if crash else []
    wrong += [f"it took {seconds:.1f} s"] if seconds > SECONDS else []
    wrong += [
        f"a screen would obey {sign!r}"
        for sign in set(re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", said))
    ]
    clear(here, evil)
    named = any(" ".join(part.split()) in " ".join(said.split()) for part in attack.words.split("|"))
    return Measured(code not in (0, 1) and named, f"exit {code}: {said.strip()[-600:]}", wrong, seconds)


def clear(here: Path, evil: Path) -> None:
    evil.unlink(missing_ok=True)
    for path in sorted(here.rglob("*"), key=lambda path: -len(path.parts)):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    here.rmdir()


def ours(desk: Desk, words: tuple[str, ...]) -> tuple[int, str, str]:
    return desk.run("cartridge", "install", "--yes", *words)


@pytest.mark.timeout(600)
def test_every_package_is_refused_with_its_reason_and_nothing_is_touched(desk):
    measured = {attack.name: measure(desk, attack, ours) for attack in ATTACKS}
    bad = [f"{name}: {found.wrong or found.said}" for name, found in measured.items() if found.wrong or not found.refused]
    for name, found in measured.items():
        print(f"{'refused' if found.refused else 'LET IN '} {found.seconds * 1e3:6.0f} ms  {name}")
    print(
        f"{len(measured) - len(bad)} of {len(ATTACKS)} refused; the dearest took {max(m.seconds for m in measured.values()):.2f} s"
    )
    assert [] == bad
    assert len(measured) == len(ATTACKS) >= 60


def test_a_harmless_package_gets_in_by_the_same_way(tmp_path, desk):
    attack = Attack("none", "installed night-watch 1.0.0", laid(lambda evil: forge.folder()))
    measured = measure(desk, attack, ours)
    assert ["the store was touched"] == measured.wrong, measured.said
    assert measured.said.startswith("exit 0")
    assert 0 == desk.run("cartridge", "remove", "night-watch", "--yes", "--for-good")[0]


@pytest.mark.parametrize(
    "words",
    [
        ("install", "{package}"),
        ("install", "{package}", "--domain", "marketing"),
        ("install", "{package}", "--member", "ada"),
        ("promote", "watch-deploys", "--to", "domain:marketing"),
        ("remove", "watch-deploys"),
        ("remove", "watch-deploys", "--for-good"),
        ("rollback", "watch-deploys"),
        ("trust", "watch-deploys"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("who", [{"EVENTCTL_MEMBER": "bob"}, {"EVENTCTL_AGENT": "claude"}], ids=str)
def test_whoever_is_no_admin_may_not_and_nothing_is_touched(desk, words, who):
    (desk.tree / "attack").mkdir()
    package = laid(lambda evil: forge.folder())(desk.tree / "attack", "", desk.secret)
    before = desk.seen()
    code, said, crash = desk.run("cartridge", *(word.format(package=package) for word in words), "--yes", **who)
    after = desk.seen()
    clear(desk.tree / "attack", desk.tree / "home/canary")
    assert (5, "", []) == (code, crash, touched(before, after)), said


def by_extracting(desk: Desk, words: tuple[str, ...]) -> tuple[int, str, str]:
    """What an installer does that trusts `tarfile`: every member goes where it says."""
    with tarfile.open(words[0]) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.extractall(desk.tree / "tmp", filter="fully_trusted")
    return 2, "is absolute '..'", ""


def by_importing(desk: Desk, words: tuple[str, ...]) -> tuple[int, str, str]:
    """What an installer does that looks at a cartridge by importing it."""
    spec = importlib.util.spec_from_file_location("cartridge", Path(words[0], "cartridge.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["cartridge"] = module
    spec.loader.exec_module(module)
    return 2, "`open` reaches files", ""


def test_the_measures_catch_an_installer_that_extracts(desk):
    climbing = next(attack for attack in ATTACKS if attack.name == "tar: up")
    assert {"evil.py was touched", "tmp/cartridge.py was touched"} <= set(measure(desk, climbing, by_extracting).wrong)
    for path in (desk.tree / "evil.py", *(desk.tree / "tmp").iterdir()):
        path.unlink()


def test_the_measures_catch_an_installer_that_imports(desk):
    hostile = next(attack for attack in ATTACKS if attack.name == "code: a file is written")
    wrong = measure(desk, hostile, by_importing).wrong
    del sys.modules["cartridge"]
    assert {"home/canary was touched", "the canary fired", "a module was loaded"} <= set(wrong)


def changing(desk: Desk, monkeypatch, during: Callable[[], object], step: str) -> str:
    """What is said about a folder of which somebody changes a file between two steps of reading it."""
    here = desk.tree / "attack"
    here.mkdir()
    folder = laid(lambda evil: forge.folder())(here, "", desk.secret)
    real, done = getattr(os, step), []

    def meddle(*args, **options):
        if str(args[0]) == "cartridge.py" or step == "fdopen":
            done or done.append(during())
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(archives.os, step, meddle)
        with pytest.raises(BadPackage) as refused:
            archives.read(folder)
    clear(here, desk.tree / "home/canary")
    assert done
    return str(refused.value)


def test_a_file_that_grows_while_it_is_read_is_refused(desk, monkeypatch):
    code = desk.tree / "attack/package/cartridge.py"
    assert "changed while it was read" in changing(desk, monkeypatch, lambda: code.write_bytes(b"x" * 9_000), "fdopen")


def test_a_file_that_becomes_a_link_before_it_is_opened_is_refused(desk, monkeypatch):
    code = desk.tree / "attack/package/cartridge.py"
    said = changing(desk, monkeypatch, lambda: (code.unlink(), code.symlink_to(desk.secret)), "open")
    assert "Too many levels of symbolic links" in said


def test_a_file_that_becomes_a_pipe_before_it_is_opened_is_refused_at_once(desk, monkeypatch):
    code = desk.tree / "attack/package/cartridge.py"
    assert "is a pipe" in changing(desk, monkeypatch, lambda: (code.unlink(), os.mkfifo(code)), "open")


def test_a_file_that_is_replaced_before_it_is_opened_is_refused(desk, monkeypatch):
    code = desk.tree / "attack/package/cartridge.py"
    other = desk.tree / "attack/other"
    said = changing(desk, monkeypatch, lambda: (other.write_bytes(b"x"), other.replace(code)), "open")
    assert "changed while it was read" in said
