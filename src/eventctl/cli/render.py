"""What people see: aligned columns, local times, ages; and the JSON that programs see.

Every string that came from outside passes `safe_text` here, once, as it becomes a cell or a line. Colour is laid around cells
afterwards and never read out of text. There is one layout, with or without a terminal; a terminal only adds colour and a width.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Container, Iterable, Sequence
from textwrap import wrap
from typing import Any, NamedTuple
from unicodedata import combining, east_asian_width

import click

from eventctl.cli.params import LEVEL_NAMES
from eventctl.cli.session import Session
from eventctl.text import json_safe, safe_text
from eventctl.times import ago, iso, to_datetime

SCHEMA_VERSION = 1
"""Of everything that `--json` prints. Fields are added freely; one that changes its meaning raises this."""

LEVEL_COLORS = ("bright_black", None, "cyan", "yellow")
CELL_MAX = 200
COLUMN_MIN = 14
"""A narrower column says nothing any more. A date with its time, without the year, is as wide."""

WIDTH_MIN = 60
"""Narrower than this, lines wrap as the terminal likes: cutting them further would leave nothing to read."""


class Cell(NamedTuple):
    """One field of a table: text as it came, and how to paint it."""

    text: object
    fg: str | None = None
    bold: bool = False
    dim: bool = False


def document(value: dict[str, Any]) -> None:
    """Print one JSON object with the schema version in front."""
    click.echo(json_text({"schema_version": SCHEMA_VERSION, **value}))


def listing(items: Iterable[dict[str, Any]], **more: Any) -> None:
    """Print a list as the one JSON object of a data command."""
    document({"items": list(items), **more})


def line(value: dict[str, Any]) -> None:
    """Print one JSON object on one line: an item of a stream."""
    click.echo(json_safe(json.dumps(value, ensure_ascii=False, separators=(",", ":"))))


def json_text(value: Any) -> str:
    """The value as indented JSON that is safe on a screen."""
    return json_safe(json.dumps(value, ensure_ascii=False, indent=2))


def utc(us: int | None) -> str | None:
    """An instant in JSON."""
    return None if us is None else iso(us)


def local(us: int) -> str:
    """An instant for people, in the zone of this machine: `2026-11-20 11:00:03`."""
    return to_datetime(us).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 event`, `1,204 events`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


class Screen:
    """Prints to stdout for people (messages go to stderr), in the session's colours."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.color = session.wants_color(sys.stdout)
        self.now = session.now()

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Cell | object]], *, right: Iterable[int] = ()) -> None:
        """Columns as wide as their widest cell; on a terminal the widest are cut until a row fits the line.

        `right` are the columns that hold numbers. A row may be of plain values; they are made safe like any cell.
        """
        cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
        texts = [[safe_text("" if cell.text is None else cell.text, limit=CELL_MAX) for cell in row] for row in cells]
        aligned = set(right)
        widths = fit(
            [max(width(text) for text in column) for column in zip(head, *texts, strict=True)], self._columns(), aligned
        )
        painted = [[Cell(name, dim=True) for name in head], *cells]
        for row, shown in zip(painted, [list(head), *texts], strict=True):
            parts = [
                self._paint(cell, _pad(cut(text, widths[at]), widths[at], right=at in aligned, last=at == len(head) - 1))
                for at, (cell, text) in enumerate(zip(row, shown, strict=True))
            ]
            click.echo("  ".join(parts).rstrip(), color=self.color)

    def fields(self, pairs: Iterable[tuple[str, object]], *, indent: int = 0) -> None:
        """Names and values, one pair a line, the values aligned; a value that is None or "" is left out."""
        shown = [(name, value) for name, value in pairs if value is not None and value != ""]
        widest = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.line(name.ljust(widest), value, indent=indent)

    def line(self, label: str = "", value: object = "", *, indent: int = 0) -> None:
        """A line of ours, `label`, and after two spaces something from outside, `value`."""
        text = safe_text("" if value is None else value, limit=2 * CELL_MAX)
        name = self._paint(Cell(label, dim=True), label) if text and label else label
        click.echo((" " * indent + "  ".join(part for part in (name, text) if part)).rstrip(), color=self.color)

    def sentence(self, text: object, *, indent: int = 2) -> None:
        """A sentence that may quote strangers; on a terminal it is broken between words."""
        said, columns = safe_text(text, limit=10 * CELL_MAX), self._columns()
        space = " " * indent
        lines = [space + said] if columns is None else wrap(said, columns, initial_indent=space, subsequent_indent=space)
        click.echo("\n".join(lines), color=self.color)

    def title(self, text: object) -> None:
        """The headline of a screen or of a part of it."""
        click.echo(self._paint(Cell(text, bold=True), safe_text(text, limit=CELL_MAX)), color=self.color)

    def heading(self, text: object) -> None:
        """The headline of a part."""
        click.echo(self._paint(Cell(text, fg="cyan"), safe_text(text, limit=CELL_MAX)), color=self.color)

    def say(self, sentence: object) -> None:
        """A message for the person, on stderr: never part of the data."""
        click.echo(safe_text(sentence, limit=10 * CELL_MAX), err=True)

    def block(self, text: object, *, indent: int = 2) -> None:
        """Several lines from outside, indented."""
        for part in safe_text(text, newline=True).splitlines():
            click.echo(" " * indent + safe_text(part), color=self.color)

    def ago(self, us: int | None) -> str:
        """`3h ago`, or nothing."""
        return "" if us is None else ago(us, self.now)

    def level(self, level: int) -> Cell:
        """The name of a level in its colour."""
        return Cell(LEVEL_NAMES[level], fg=LEVEL_COLORS[level])

    def _columns(self) -> int | None:
        """How wide the terminal is; None where there is none, or one that is too narrow to lay anything out."""
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        return columns if columns >= WIDTH_MIN else None

    def _paint(self, cell: Cell, text: str) -> str:
        if not self.color or not (cell.fg or cell.bold or cell.dim):
            return text
        return click.style(text, fg=cell.fg, bold=cell.bold or None, dim=cell.dim or None)


def width(text: str) -> int:
    """How many columns a safe text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def fit(widths: Sequence[int], columns: int | None, fixed: Container[int] = ()) -> list[int]:
    """The widths with the widest made narrower, from the right, until all fit into `columns`; none below `COLUMN_MIN`."""
    fitted = list(widths)
    loose = [at for at in range(len(fitted)) if at not in fixed]
    while columns is not None and loose and sum(fitted) + 2 * (len(fitted) - 1) > columns:
        widest = max(loose, key=lambda at: (fitted[at], at))
        if fitted[widest] <= COLUMN_MIN:
            break
        fitted[widest] -= 1
    return fitted


def cut(text: str, room: int | None) -> str:
    """The text in at most `room` columns, ending in `…` when something is left out."""
    if room is None or width(text) <= room:
        return text
    while text and width(text) > room - 1:
        text = text[:-1]
    return text + "…"


def _pad(text: str, wanted: int, *, right: bool, last: bool) -> str:
    space = " " * (wanted - width(text))
    if right:
        return space + text
    return text if last else text + space
