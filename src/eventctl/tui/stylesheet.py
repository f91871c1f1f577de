"""The style sheet of the dashboard: what it says is read once for the colours it is read in.

The framework's own forgets what it has parsed at every screen that is opened for the first time, and then parses all of it twice:
some 50 ms that whoever has pressed a key waits for. Here it is parsed again when a colour has changed.
"""

from __future__ import annotations

from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet

PARSED_MAX = 1_000
"""Texts that are kept parsed. After a walk through all screens there are 63; the framework keeps 64, and with one more it would keep
none of those it needs next."""


class Parsed(Stylesheet):
    """A style sheet that keeps what it has parsed as long as its variables stay the same."""

    def __init__(self, *, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._parse_cache = LRUCache(PARSED_MAX)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Take these colours; the same as before change nothing."""
        if variables != self._variables:
            super().set_variables(variables)
            self._require_parse = True

    def reparse(self) -> None:
        """Parse what is not parsed yet, in the colours of now."""
        if self._require_parse:
            self.parse()
