"""ctrl+p: everything that can be done here, found by typing; and any number, to go there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher

from eventctl.tui.look import TONES

if TYPE_CHECKING:
    from eventctl.tui.app import Dashboard

NUMBER = re.compile(r"\s*([ned])(\d{1,15})\s*", re.IGNORECASE)
PLACES = {"n": "Open the notification", "e": "Open the record", "d": "Go to the decision"}
LEFT_OUT = ("command_palette", "help_quit")
"""Actions that make no sense from in here."""

FIRST = 1_000.0
"""Above the score of any likeness."""

SOON_S = 0.2
"""After this the palette is gone from the screen."""


class Command(NamedTuple):
    """What can be done, the key that does it too ("" for none), and the doing. The words are our own."""

    words: str
    key: str
    do: Callable[[], Any]

    def shown(self, wanted: Content) -> Content:
        """The words, as they were found, and the key."""
        return Content.assemble(wanted, "  ", (self.key, TONES["muted"])) if self.key else wanted


class Commands(Provider):
    """The keys of what is in front, then screens, the runner, themes; and numbers."""

    async def discover(self) -> Hits:
        """All of it, before anything is typed."""
        for command in self._commands():
            yield DiscoveryHit(command.shown(Content(command.words)), command.do, command.words)

    async def search(self, query: str) -> Hits:
        """What fits; a number is gone to before anything else."""
        named = NUMBER.fullmatch(query)
        if named is not None:
            letter, number = named[1].lower(), int(named[2])
            words = f"{PLACES[letter]} {letter}{number}"
            yield Hit(FIRST, Content(words), partial(self._dashboard.jump, letter, number), words)
        matcher = self.matcher(query)
        for command in self._commands():
            score = matcher.match(command.words)
            if score > 0:
                yield Hit(score, command.shown(_marked(matcher, command.words)), command.do, command.words)

    @property
    def _dashboard(self) -> Dashboard:
        return cast("Dashboard", self.app)

    def _commands(self) -> Iterator[Command]:
        app = self._dashboard
        seen: set[str] = set()
        bindings = sorted(self.screen.active_bindings.values(), key=lambda active: not active.binding.show)
        for node, binding, enabled, more in bindings:  # those that the last line shows come first
            if not enabled or not binding.description or binding.action in (*LEFT_OUT, *seen):
                continue
            seen.add(binding.action)
            words = (
                f"{binding.description}: {more.rstrip('.')}" if more and more != binding.description else binding.description
            )
            yield Command(words, app.get_key_display(binding), partial(app.run_action, binding.action, node))
        if app.standing.there:
            if app.standing.ours:
                yield Command("Stop the runner that this dashboard started", "", app.action_stop_runner)
        else:
            yield Command("Start the runner", "", app.action_start_runner)
        yield Command("Save a picture of this screen", "", lambda: app.set_timer(SOON_S, app.deliver_screenshot))
        for name in sorted(app.available_themes, key=lambda name: (not name.startswith("eventctl"), name)):
            yield Command(f"Theme: {name}", "", partial(setattr, app, "theme", name))


def _marked(matcher: Matcher, words: str) -> Content:
    """The words with the letters that were typed standing out. The matcher's own way would read them as markup."""
    score, places = matcher.fuzzy_search.match(matcher.query, words)
    content = Content(words)
    for place in places if score else ():
        content = content.stylize("bold underline", place, place + 1)
    return content
