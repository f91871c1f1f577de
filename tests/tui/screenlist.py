"""Every screen of the dashboard that has a picture, and the keys that lead there from a fresh start in the inbox.

A word is a key as Textual names it; a word that begins with `=` is a text to type; `*` before a name opens it over an empty workspace.
"""

from __future__ import annotations

from collections.abc import Mapping

SCREENS: Mapping[str, tuple[str, ...]] = {
    "inbox": (),
    "*inbox-empty": (),
    "decisions": ("2",),
    "live": ("3",),
    "cartridges": ("4",),
    "held": ("5",),
    "health": ("6",),
    "detail": ("G", "enter"),
    "palette": ("ctrl+p",),
}
