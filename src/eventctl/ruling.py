"""Speaking rules at work: the function that a rule without code runs as, beside the cartridges in code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventctl.contracts import Context
    from eventctl.event import Event
    from eventctl.manifest import Manifest
    from eventctl.rule import Rule


def process_of(rule: Rule, manifest: Manifest) -> Any:
    """The cartridge function of a speaking rule."""

    async def process(event: Event, context: Context) -> Event | None:
        return event

    return process
