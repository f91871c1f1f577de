"""A screen as text: its letters, and under them which colours they have in each theme.

    letters     the screen, line by line
    styles      a letter for each look that turns up: what it is in one theme | what it is in the other
    places      a line for each line of the screen: `a12 b3` is twelve columns of look a, then three of b; `5-9` is five lines alike

A picture of this kind is a few kB, can be read, and shows in a diff what has moved and which colour has changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import groupby, zip_longest
from string import ascii_letters
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from eventctl.tui.app import Dashboard
from tests.tui.kit import settled

THEMES = ("eventctl-dark", "eventctl-light")
FLAGS = ("bold", "dim", "italic", "underline", "reverse", "strike")


class Shot(NamedTuple):
    """One screen in one theme: its lines, each a row of segments."""

    lines: list[list[Segment]]

    @property
    def letters(self) -> str:
        return "\n".join("".join(segment.text for segment in line).rstrip() for line in self.lines)


def taken(app: Dashboard) -> Shot:
    """What is on the screen."""
    strips = app.screen._compositor.render_strips()  # no widget's own: what the terminal gets, dialogs and what lies behind
    return Shot([[segment for segment in strip if segment.text] for strip in strips])


async def both(pilot: Pilot[int], app: Dashboard) -> str:
    """The screen in both themes, as text."""
    shots = []
    for theme in THEMES:
        app.theme = theme
        await still(pilot, app)
        shots.append(taken(app))
    app.theme = THEMES[0]
    return written(*shots)


async def still(pilot: Pilot[int], app: Dashboard) -> None:
    """Let nothing move: cursors do not blink, and no message stands that will be gone in a moment."""
    for field in [*app.screen.query(Input), *app.screen.query(TextArea)]:
        field.cursor_blink = False
    app.clear_notifications()
    await settled(pilot)


def written(first: Shot, second: Shot) -> str:
    """Both as text. They differ in colours alone."""
    assert first.letters == second.letters, "a theme changes letters"
    looks: dict[tuple[str, str], str] = {}
    rows = [_runs(one, other, looks) for one, other in zip_longest(first.lines, second.lines)]
    legend = [f"{letter:2} {dark}  |  {light}" for (dark, light), letter in looks.items()]
    return "\n".join([first.letters, "", "-- styles", *legend, "", "-- places", *_folded(rows), ""])


def _runs(one: list[Segment], other: list[Segment], looks: dict[tuple[str, str], str]) -> str:
    cells = zip(_cells(one), _cells(other), strict=True)
    runs = []
    for pair, same in groupby(cells):
        letter = looks.setdefault(pair, _letter(len(looks)))
        runs.append(f"{letter}{len(list(same))}")
    return " ".join(runs)


def _cells(line: Iterable[Segment]) -> list[str]:
    return [look for segment in line for look in [named(segment.style)] * cell_len(segment.text)]


def named(style: Style | None) -> str:
    """A style in words: `#e2e6eb on #0f1318 bold`."""
    if style is None:
        return "none"
    colours = [
        "default" if colour is None else colour.get_truecolor().hex if not colour.is_default else "default"
        for colour in (style.color, style.bgcolor)
    ]
    return " ".join([" on ".join(colours), *(flag for flag in FLAGS if getattr(style, flag))])


def _letter(number: int) -> str:
    more, at = divmod(number, len(ascii_letters))
    return ascii_letters[at] + "'" * more


def _folded(rows: list[str]) -> list[str]:
    said, at = [], 1
    for row, same in groupby(rows):
        count = len(list(same))
        said.append(f"{at}{f'-{at + count - 1}' if count > 1 else ''}: {row}")
        at += count
    return said


def masked(text: str, *rules: tuple[str, str | Callable[[re.Match[str]], str]]) -> str:
    """What differs from run to run in words that do not; each as wide as it was, so that columns stay where they are."""
    for pattern, words in rules:
        text = re.sub(
            pattern,
            words if callable(words) else lambda found, words=words: words[: len(found[0])].ljust(len(found[0]), "·"),
            text,
        )
    return text
