"""How things look: glyphs, words and colours, and the one door through which text of strangers comes on a screen.

A meaning never stands in a colour alone: a level has a glyph and a name, a state has a word, news has a mark. What a colour is for
has a name (`TONES`), and the theme says which colour it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from textual.content import Content

from eventctl.cli.params import LEVEL_NAMES
from eventctl.notification import Notification
from eventctl.text import safe_text
from eventctl.times import ago

TEXT_MAX = 400
"""Characters of a stranger's text that a line holds at most: no screen is wider."""

LEVEL_GLYPHS = ("·", "•", "◆", "▲")
LEVEL_SHORT = ("infra", "ops", "workflow", "business")
LEVEL_TONES = ("muted", "", "accent", "warn")

NEWS, SEEN, MARKED, HERE = "●", " ", "✓", "▸"

TONES = {
    "": "", "muted": "$text-muted", "strong": "bold", "accent": "$text-accent", "good": "$text-success", "warn": "$text-warning",
    "bad": "$text-error bold",
}  # fmt: skip
"""What a colour is for -> how the theme paints it."""


class Cell(NamedTuple):
    """Text in one column, and its tone. `text` is safe: made by `said`, or our own."""

    text: str
    tone: str = ""


def said(value: object, limit: int = TEXT_MAX) -> str:
    """A stranger's text as one line that does nothing but stand there."""
    return safe_text("" if value is None else value, limit=limit)


def plain(value: object, tone: str = "", *, limit: int = TEXT_MAX) -> Content:
    """The same for a widget: letters, never markup."""
    return Content.styled(said(value, limit), TONES[tone])


def block(value: object, tone: str = "", *, limit: int = 64_000) -> Content:
    """Several lines of a stranger's text."""
    return Content.styled(safe_text("" if value is None else value, limit=limit, newline=True), TONES[tone])


def line(*cells: Cell, gap: str = "  ") -> Content:
    """Cells beside each other; empty ones are left out."""
    return Content(gap).join(Content.styled(cell.text, TONES[cell.tone]) for cell in cells if cell.text)


def fields(pairs: Iterable[tuple[str, object]]) -> Iterator[Content]:
    """A line for each pair of a name and what it is, below each other; what is None or "" is left out."""
    shown = [(name, value) for name, value in pairs if value not in ("", None)]
    widest = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        yield line(Cell(name.ljust(widest), "muted"), Cell(said(value)))


def headed(heading: str, lines: Iterable[Content]) -> Iterator[Content]:
    """Lines under a heading, with a blank one above it; nothing where there are none."""
    under = list(lines)
    if under:
        yield from (Content(""), plain(heading, "accent"), *under)


def level(number: int, *, short: bool = False) -> Cell:
    """A level by glyph, word and colour."""
    words = LEVEL_SHORT if short else LEVEL_NAMES
    return Cell(f"{LEVEL_GLYPHS[number]} {words[number]}", LEVEL_TONES[number])


def age(us: int | None, now: int) -> str:
    """`3h`, or nothing."""
    return "" if us is None else ago(us, now).removesuffix(" ago")


def state(row: Notification, snooze_until: int | None, now: int) -> Cell:
    """What is being done about it, and by whom; else what keeps it quiet."""
    who = said(row.agent, 40)
    if row.archived_at is not None:
        return Cell("▪ archived", "muted")
    if row.agent_state == "claimed":
        return Cell(f"◐ {who} has it", "accent")
    if row.agent_state == "in_progress":
        return Cell(f"◑ {who} is on it", "accent")
    if row.agent_state == "resolved":
        return Cell("✔ resolved", "good")
    if snooze_until and snooze_until > now:
        return Cell(f"☾ back {ago(snooze_until, now)}", "muted")
    if row.silenced_until and row.silenced_until > now:
        return Cell(f"⌀ {said(row.silenced_by, 30)}", "muted")
    return Cell("○ open")
