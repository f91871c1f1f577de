"""Draws the README's pictures from the program itself: `python -m tools.picture` writes `docs/demo.svg` and `docs/dashboard*.svg`.

The dashboard is played without a terminal over the demo's workspace, at the time at which its recording ends.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

from eventctl.cli import cli
from eventctl.cli.session import Session
from eventctl.times import parse_iso
from eventctl.tui.app import Dashboard

DOCS = Path(__file__).resolve().parents[1] / "docs"
WIDTH = 112
CUT = "Try next:"
REMOTE_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
NOW = parse_iso("2026-11-20T12:00:00Z")
"""When the pictures of the dashboard are taken: the recording is shifted so that it ends just before."""

SCREENS: Mapping[str, tuple[tuple[int, int], tuple[str, ...]]] = {
    "dashboard": ((150, 36), ("j", "j")),
    "dashboard-why": ((110, 34), ("j", "j", "y")),
}
"""Picture -> its size in columns and lines, and the keys that lead to what it shows."""


def main() -> None:
    """Draw all of them, or with `dashboard` only those that are the same every time."""
    if sys.argv[1:] != ["dashboard"]:
        _write("demo", _demo())
    for name, svg in dashboards().items():
        _write(name, svg)


def dashboards() -> dict[str, str]:
    """Pictures of the dashboard by name, the same every time."""
    with TemporaryDirectory() as folder:
        env = {"HOME": folder, "PATH": os.environ["PATH"], "TZ": "UTC", "EVENTCTL_MEMBER": "ada"}
        session = Session(env=env, now=lambda: NOW)
        root = str(Path(folder) / "demo")
        with redirect_stdout(TextIOWrapper(BytesIO())), redirect_stderr(TextIOWrapper(BytesIO())):
            cli.main(["demo", "--keep", root], obj=replace(session), standalone_mode=False)
        return {
            name: REMOTE_FONTS.sub("", asyncio.run(_seen(replace(session, workspace=root), name, size, keys)))
            for name, (size, keys) in SCREENS.items()
        }


async def _seen(session: Session, name: str, size: tuple[int, int], keys: tuple[str, ...]) -> str:
    (session.paths().state_dir / "dashboard.json").unlink(missing_ok=True)
    app = Dashboard(session)
    async with app.run_test(size=size) as pilot:
        for key in ("", *keys):
            if key:
                await pilot.press(key)
            for _ in range(2):  # what is read may bring about more reading
                await pilot.pause()
                await app.workers.wait_for_complete()
        await pilot.pause()
        app.workers.cancel_all()
        return app.export_screenshot(title=f"eventctl {name.partition('-')[0]}")


def _demo() -> str:
    command = [sys.executable, "-m", "eventctl", "--color", "always", "demo"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    console = Console(record=True, width=WIDTH, file=sys.stderr, force_terminal=True, color_system="truecolor")
    console.print(
        Text.from_ansi("$ eventctl demo\n" + shown.partition(CUT)[0].rstrip()), no_wrap=True, overflow="ellipsis", crop=True
    )
    return REMOTE_FONTS.sub("", console.export_svg(title="eventctl demo", unique_id="eventctl"))


def _write(name: str, svg: str) -> None:
    (DOCS / f"{name}.svg").write_text(svg, "utf-8")
    print(f"docs/{name}.svg")


if __name__ == "__main__":
    main()
