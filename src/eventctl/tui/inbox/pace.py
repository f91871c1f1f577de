"""Pace: what costs much is not done all the time, whatever the workspace does meanwhile."""

from __future__ import annotations

import asyncio

SHARE = 5
"""Of the time of a processor that reading may take while things change: a fifth."""

CHEAP_S = 0.05
"""What costs less than this is done whenever it is wanted."""


class Pace:
    """When something may be done again, by what it cost the last time."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def spent(self, cost: float) -> None:
        """It has just cost so many seconds of a processor."""
        self._free_at = asyncio.get_running_loop().time() + (SHARE - 1) * cost if cost > CHEAP_S else 0.0

    @property
    def wait(self) -> float:
        """Seconds until it may be done again; 0 for now."""
        return max(0.0, self._free_at - asyncio.get_running_loop().time())
