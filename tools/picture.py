"""Draws the README's picture from the program itself: `python -m tools.picture` writes `docs/demo.svg`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

TARGET = Path(__file__).resolve().parents[1] / "docs" / "demo.svg"
WIDTH = 112
CUT = "Try next:"
REMOTE_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> None:
    command = [sys.executable, "-m", "eventctl", "--color", "always", "demo"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    console = Console(record=True, width=WIDTH, file=sys.stderr, force_terminal=True, color_system="truecolor")
    console.print(
        Text.from_ansi("$ eventctl demo\n" + shown.partition(CUT)[0].rstrip()), no_wrap=True, overflow="ellipsis", crop=True
    )
    TARGET.write_text(REMOTE_FONTS.sub("", console.export_svg(title="eventctl demo", unique_id="eventctl")), "utf-8")


if __name__ == "__main__":
    main()
