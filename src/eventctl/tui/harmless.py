"""The last door before the terminal: whatever a widget paints, no letter of it is obeyed.

Text of strangers is made safe where it is read (`look`). What a person types or pastes, and what a form is filled with beforehand,
stays as it is in its field, since it is sent as it is; here it is only kept from being painted.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from eventctl.text import safe_text


class Harmless(LineFilter):
    """Puts blanks in the place of letters that a terminal obeys or hides. Columns stay where they are."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments of a line, harmless."""
        if all(text.isprintable() for text, _, _ in segments):
            return segments
        return [Segment(text if text.isprintable() else _harmless(text), style, control) for text, style, control in segments]


def _harmless(text: str) -> str:
    kept = "".join(letter if safe_text(letter) == letter else " " * cell_len(letter) for letter in text)
    length = cell_len(text)
    return kept if cell_len(kept) == length else set_cell_size(kept, length)
