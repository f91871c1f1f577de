"""Every screen of the dashboard that has a picture, and the keys that lead there from a fresh start in the inbox.

A word is a key as Textual names it; a word that begins with `=` is a text that is typed. A name that begins with `*` is over an empty
workspace.
"""

from __future__ import annotations

from collections.abc import Mapping

ORDER = ("j", "j", "j", "j")
"""Down to the order that is stuck: it has a deep payload, a shape for its resolution, and two actions."""

SCREENS: Mapping[str, tuple[str, ...]] = {
    "inbox": (),
    "inbox-marked": ("space", "j", "space"),
    "inbox-filtered": ("slash", "=level:business web", "enter"),
    "inbox-filter-wrong": ("slash", "=where payload.x ==", "enter"),
    "inbox-by-age": ("o",),
    "inbox-beside": ("d", *ORDER),
    "*inbox-empty": (),
    "detail": (*ORDER, "enter"),
    "detail-history": (*ORDER, "enter", "h"),
    "detail-why": (*ORDER, "y"),
    "detail-owed": (*ORDER, "enter", "o"),
    "resolve": (*ORDER, "r"),
    "snooze": ("z",),
    "silence": (*ORDER, "m"),
    "decisions": ("2",),
    "decisions-all": ("2", "h", "h"),
    "deny": ("2", "d"),
    "*decisions-empty": ("2",),
    "live": ("3",),
    "live-filtered": ("3", "slash", "=type:domain.sales.**", "enter"),
    "live-record": ("3", "k", "k", "k", "enter"),
    "*live-empty": ("3",),
    "cartridges": ("4",),
    "cartridge": ("4", "j", "j", "enter"),
    "install": ("4", "i"),
    "*cartridges-empty": ("4",),
    "held": ("5",),
    "held-second": ("5", "right_square_bracket"),
    "held-third": ("5", "right_square_bracket", "right_square_bracket"),
    "held-one": ("5", "enter"),
    "*held-empty": ("5",),
    "health": ("6",),
    "*health-empty": ("6",),
    "help": ("question_mark",),
    "palette": ("ctrl+p",),
    "palette-found": ("ctrl+p", "=heal"),
}
