"""Every screen looks as it did: in three sizes, in both themes, letter by letter and colour by colour.

`EVENTCTL_UPDATE_SNAPSHOTS=1 pytest tests/tui/test_screens.py` writes what it sees into `screens/` instead of comparing: read the diff.
"""

from __future__ import annotations

from pathlib import Path
from shutil import _ntuple_diskusage as usage

import pytest
from textual import events

from eventctl.tui import look
from tests.cli.conftest import UPDATE
from tests.tui import shot
from tests.tui.kit import NARROW, USUAL, WIDE, play, press, settled
from tests.tui.screenlist import SCREENS

PICTURES = Path(__file__).parent / "screens"
SIZES = {"80x24": NARROW, "120x40": USUAL, "200x50": WIDE}
MASKS = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "<an id that is new every time>"),
    (r"\b\d{3}\.\d kB", "<size>"),
)
DISK = (200_000_000_000, 150_000_000_000, 50_000_000_000)
"""What this machine's disk would be: bytes in all, used, and free."""

SIZE_MAX = 2_000_000
"""Bytes of all pictures together: they are read in diffs, and cloned by everybody."""


def seen(face, keys, size):
    """What the dashboard shows after these keys, as text."""

    async def script(pilot, app):
        for key in keys:
            if key.startswith("="):  # at once: what is read while somebody types depends on how fast they do
                app.post_message(events.Paste(key[1:]))
                await settled(pilot)
            else:
                await press(pilot, key)
        return await shot.both(pilot, app)

    return shot.masked(play(face, script, size=size), *MASKS)


def file_of(name, size):
    return PICTURES / f"{name.removeprefix('*')}.{size}.txt"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_it_did(request, monkeypatch, name, size):
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(*DISK))
    face = request.getfixturevalue("face" if name.startswith("*") else "busy")
    text, file = seen(face, SCREENS[name], SIZES[size]), file_of(name, size)
    if UPDATE:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    assert file.read_text("utf-8") == text


@pytest.mark.skipif(UPDATE, reason="they are being written")
def test_there_is_no_picture_of_a_screen_that_is_gone():
    expected = {file_of(name, size).name for name in SCREENS for size in SIZES}
    assert expected == {file.name for file in PICTURES.iterdir()}
    assert sum(file.stat().st_size for file in PICTURES.iterdir()) < SIZE_MAX


def kept():
    return file_of("inbox", "120x40").read_text("utf-8")


def test_another_glyph_is_seen(busy, monkeypatch):
    monkeypatch.setattr(look, "NEWS", "◉")
    assert kept() != (text := seen(busy, (), USUAL))
    assert kept() == text.replace("◉", "●")


@pytest.mark.parametrize("theme", ["DARK", "LIGHT"])
def test_another_colour_in_either_theme_is_seen(busy, monkeypatch, theme):
    from eventctl.tui import themes

    other = getattr(themes, theme)
    monkeypatch.setitem(other.variables, "text-warning", "#f5c253")
    assert kept() != (text := seen(busy, (), USUAL))
    assert kept().partition("-- styles")[0] == text.partition("-- styles")[0]
    assert "#f5c253" in text


def test_a_column_that_has_moved_is_seen(busy, monkeypatch):
    monkeypatch.setattr("eventctl.tui.rows.GAP", 2)
    text = seen(busy, (), USUAL)
    head = next(line for line in kept().splitlines() if line.split()[:2] == ["id", "level"])
    assert head.split() in [line.split() for line in text.splitlines()]
    assert head not in text.splitlines()
    assert kept() != text
