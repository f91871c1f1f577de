"""The one gate between text from strangers and a screen.

Event text, ids, file names, log lines and error messages may hold terminal commands (ESC, C1), text direction overrides,
characters that take no room, and halves of characters. `safe_text` makes all of them visible and harmless; what is left is text
that a terminal prints and obeys in nothing. Markup stays what it is, letters: print with `markup=False`.
"""

from __future__ import annotations

import re

_UNSAFE = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"  # default ignorable
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"  # other formatting
    "\u2028\u2029\ud800-\udfff"  # line and paragraph separators, surrogates
)
_LINE = re.compile(f"\r\n|[{_UNSAFE}]")
_LINES = re.compile(f"\r\n|(?![\n\t])[{_UNSAFE}]")
_ELLIPSIS = "…"


def safe_text(value: object, *, limit: int | None = None, newline: bool = False) -> str:
    """The value as text that is safe on any screen, at most `limit` characters long (the last one then is `…`).

    Control characters become their pictures (`␛`), other unsafe ones an escape (`\\u202e`). On one line a tab is a space and a
    line end `␤`; `newline` keeps both as they are. Presentation selectors of emoji are left out.
    """
    text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    cut = limit is not None and len(text) > limit
    if cut:
        text = text[:limit]
    if not (text.isascii() and text.isprintable()):
        text = _LINES.sub(_keep_lines, text) if newline else _LINE.sub(_shown, text)
    if limit is not None and (cut or len(text) > limit):
        return text[: max(limit - 1, 0)] + _ELLIPSIS[:limit]
    return text


def json_safe(text: str) -> str:
    """A JSON document, as the serializers here write it, made safe to print: the same values, unsafe characters escaped."""
    if text.isascii() and text.isprintable():
        return text
    return _LINES.sub(_escaped, text)


def _shown(match: re.Match[str]) -> str:
    found = match[0]
    if found in ("\n", "\r\n"):
        return "␤"
    if found == "\t":
        return " "
    code = ord(found)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code in (0xFE0E, 0xFE0F):
        return ""
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _keep_lines(match: re.Match[str]) -> str:
    return "\n" if match[0] == "\r\n" else _shown(match)


def _escaped(match: re.Match[str]) -> str:
    data = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{data[at : at + 4]}" for at in range(0, len(data), 4))
