"""The keys of the dashboard as tables, made from the bindings: `docs/dashboard.md` holds them between two marks."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import App

from eventctl.tui.app import Dashboard
from eventctl.tui.cartridges.screen import CartridgesRoom
from eventctl.tui.decisions.screen import DecisionsRoom
from eventctl.tui.detail.screen import DetailRoom
from eventctl.tui.health.screen import HealthRoom
from eventctl.tui.held.screen import HeldRoom
from eventctl.tui.inbox.screen import InboxRoom
from eventctl.tui.keys import Key, of_class
from eventctl.tui.live.screen import LiveRoom
from eventctl.tui.rows import RowList

BEGIN, END = "<!-- keys: made by `python -m tools.reference`; edits are lost -->", "<!-- end of keys -->"
PLACES: tuple[tuple[str, type], ...] = (
    ("Everywhere", Dashboard), ("In every list", RowList), ("Inbox", InboxRoom), ("One notification", DetailRoom), ("Decisions", DecisionsRoom),
    ("Live", LiveRoom), ("Cartridges", CartridgesRoom), ("Held", HeldRoom), ("Health", HealthRoom),
)  # fmt: skip


def with_keys(page: str) -> str:
    """The page with the tables as they are now. Raises `ValueError` where it has no marks."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return "\n".join([before + BEGIN, "", *tables(), END]) + after


def tables() -> Iterator[str]:
    """A table for each place, in lines."""
    shown = App[None]().get_key_display
    for title, kind in PLACES:
        yield f"### {title}"
        yield ""
        yield "| key | |"
        yield "|---|---|"
        yield from (_row(key) for key in of_class(kind, lambda binding: _name(shown(binding))))
        yield ""


def _name(key: str) -> str:
    return key.replace("|", "\\|")


def _row(key: Key) -> str:
    keys = " ".join(f"`{name}`" for name in key.keys.split(" "))
    return f"| {keys} | {f'{key.does}. {key.more}' if key.more else key.does} |"
