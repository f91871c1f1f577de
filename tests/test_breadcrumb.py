"""The breadcrumb: read from outside, at any instant, also after a kill."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from eventctl.breadcrumb import Breadcrumb, Watch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "breadcrumb"


def test_nobody_is_anywhere_at_first(file: Path) -> None:
    assert Watch(file).read() is None


def test_the_watch_sees_where_the_runner_is(file: Path) -> None:
    watch, crumb = Watch(file), Breadcrumb(file, limit_s=2.5)
    before = time.monotonic()
    crumb.enter("domain:sales", "deal-watch", 42)
    seen = watch.read()
    assert seen is not None
    assert ("domain:sales", "deal-watch", 42, 2.5) == (seen.pipeline, seen.cartridge, seen.seq, seen.limit_s)
    assert before <= seen.since <= time.monotonic()


def test_leaving_clears_it(file: Path) -> None:
    watch, crumb = Watch(file), Breadcrumb(file)
    crumb.enter("system", "trust", 1)
    crumb.leave()
    assert watch.read() is None


def test_a_cartridges_own_limit_counts(file: Path) -> None:
    watch, crumb = Watch(file), Breadcrumb(file, limit_s=5)
    crumb.enter("system", "trust", 1, 0.5)
    seen = watch.read()
    assert seen is not None
    assert not seen.late(seen.since + 0.4)
    assert seen.late(seen.since + 0.6)


def test_each_name_is_its_own_among_thousands(file: Path) -> None:
    watch, crumb = Watch(file), Breadcrumb(file)
    for number in range(3_000):  # more than the table holds at once
        crumb.enter("domain:x", f"cartridge-{number}", number)
        seen = watch.read()
        assert seen is not None
        assert (f"cartridge-{number}", number) == (seen.cartridge, seen.seq)
        crumb.leave()


def test_it_survives_the_runners_death(file: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from eventctl.breadcrumb import Breadcrumb
Breadcrumb(Path({str(file)!r})).enter("domain:ops", "spins", 7)
os.kill(os.getpid(), signal.SIGKILL)
"""
    watch = Watch(file)
    subprocess.run([sys.executable, "-c", code], check=False)
    seen = watch.read()
    assert seen is not None
    assert ("domain:ops", "spins", 7) == seen[:3]


def test_a_new_runner_begins_with_nothing(file: Path) -> None:
    watch = Watch(file)
    Breadcrumb(file).enter("system", "trust", 1)
    Breadcrumb(file)
    assert watch.read() is None


def test_the_file_has_real_blocks_for_a_full_disk(file: Path) -> None:
    Breadcrumb(file)
    assert file.stat().st_blocks * 512 >= file.stat().st_size
